/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names come first that signal_to_name gives; aliases stand behind. */
#include "daemon/signal_names.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int number;
} signals[] = {
	{"SIGHUP", SIGHUP},       {"SIGINT", SIGINT},       {"SIGQUIT", SIGQUIT},
	{"SIGILL", SIGILL},       {"SIGTRAP", SIGTRAP},     {"SIGABRT", SIGABRT},
	{"SIGBUS", SIGBUS},       {"SIGFPE", SIGFPE},       {"SIGKILL", SIGKILL},
	{"SIGUSR1", SIGUSR1},     {"SIGSEGV", SIGSEGV},     {"SIGUSR2", SIGUSR2},
	{"SIGPIPE", SIGPIPE},     {"SIGALRM", SIGALRM},     {"SIGTERM", SIGTERM},
	{"SIGSTKFLT", SIGSTKFLT}, {"SIGCHLD", SIGCHLD},     {"SIGCONT", SIGCONT},
	{"SIGSTOP", SIGSTOP},     {"SIGTSTP", SIGTSTP},     {"SIGTTIN", SIGTTIN},
	{"SIGTTOU", SIGTTOU},     {"SIGURG", SIGURG},       {"SIGXCPU", SIGXCPU},
	{"SIGXFSZ", SIGXFSZ},     {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF},
	{"SIGWINCH", SIGWINCH},   {"SIGIO", SIGIO},         {"SIGPWR", SIGPWR},
	{"SIGSYS", SIGSYS},       {"SIGIOT", SIGIOT},       {"SIGCLD", SIGCHLD},
	{"SIGPOLL", SIGPOLL},
};

/* A plain decimal without leading zeros, up to 99. Return: -1 when it is none. */
static int small_decimal(const char *digits)
{
	int number = 0;

	if (digits[0] == '\0' || strlen(digits) > 2 || (digits[0] == '0' && digits[1] != '\0'))
		return -1;
	for (; *digits != '\0'; digits++) {
		if (*digits < '0' || *digits > '9')
			return -1;
		number = number * 10 + (*digits - '0');
	}
	return number;
}

/* A real-time signal, relative to the first or the last one. */
static int real_time_from_name(const char *name)
{
	static const char first[] = "SIGRTMIN", last[] = "SIGRTMAX";
	const size_t stem = strlen(first);
	int base, sign, offset = 0;

	if (strncmp(name, first, stem) == 0) {
		base = SIGRTMIN;
		sign = 1;
	} else if (strncmp(name, last, stem) == 0) {
		base = SIGRTMAX;
		sign = -1;
	} else {
		return 0;
	}
	if (name[stem] != '\0') {
		if (name[stem] != (sign > 0 ? '+' : '-'))
			return 0;
		offset = small_decimal(name + stem + 1);
		if (offset < 0 || offset > SIGRTMAX - SIGRTMIN)
			return 0;
	}
	return base + sign * offset;
}

int signal_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcmp(name, signals[i].name) == 0)
			return signals[i].number;
	return real_time_from_name(name);
}

void signal_to_name(int number, char ret[static SIGNAL_NAME_SIZE])
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (number == signals[i].number) {
			snprintf(ret, SIGNAL_NAME_SIZE, "%s", signals[i].name);
			return;
		}
	if (number == SIGRTMIN)
		snprintf(ret, SIGNAL_NAME_SIZE, "SIGRTMIN");
	else
		snprintf(ret, SIGNAL_NAME_SIZE, "SIGRTMIN+%d", number - SIGRTMIN);
}
