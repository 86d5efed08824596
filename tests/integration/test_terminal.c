/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `bpcondctl run` on a terminal, as a job of a shell with job control: what becomes of the program when
 * bpcondctl has ended, and what Ctrl-C does. The shell here does of a shell's work what counts for
 * that: a session with the terminal, a process group for the job, and the foreground for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/integration.h"
#include "tests/support/process.h"

enum {
	TIMEOUT_MS = 40000,
	/* Longer than the kernel takes to tell a group that it is orphaned. */
	QUIET_MS = 1000,
	MAX_OUTPUT = 16384,
	MAX_ARGUMENTS = 16,
};

typedef struct Terminal {
	int fd;        /* the pty's other side */
	int report_fd; /* the job's wait status */
	pid_t shell;
	char output[MAX_OUTPUT]; /* all so far */
	size_t length;
} Terminal;

static void __attribute__((noreturn)) shell(const char *slave, char *const argv[], int report_fd)
{
	int status, fd;
	pid_t job;

	/* A test case that fails leaves nothing behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	fd = open(slave, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
		_exit(1);
	signal(SIGTTOU, SIG_IGN);
	job = fork();
	if (job == 0) {
		setpgid(0, 0);
		tcsetpgrp(fd, getpid());
		signal(SIGTTOU, SIG_DFL);
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		execv(argv[0], argv);
		_exit(126);
	}
	if (waitpid(job, &status, 0) != job)
		_exit(1);
	tcsetpgrp(fd, getpgrp());
	if (write(report_fd, &status, sizeof(status)) != (ssize_t)sizeof(status))
		_exit(1);
	for (;;)
		pause();
}

/* Starts bpcondctl with these arguments as the foreground job of a terminal. */
static void terminal_start(Terminal *terminal, const char *const arguments[])
{
	char *argv[MAX_ARGUMENTS] = {integration_program("tools/bpcondctl")}, slave[128];
	int fds[2];

	for (size_t i = 0; arguments[i] != NULL; i++) {
		ck_assert_uint_lt(i + 2, MAX_ARGUMENTS);
		argv[i + 1] = strdup(arguments[i]);
	}
	*terminal = (Terminal){.fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	ck_assert_msg(terminal->fd >= 0, "posix_openpt: %s", strerror(errno));
	ck_assert_int_eq(grantpt(terminal->fd), 0);
	ck_assert_int_eq(unlockpt(terminal->fd), 0);
	ck_assert_int_eq(ptsname_r(terminal->fd, slave, sizeof(slave)), 0);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	terminal->report_fd = fds[0];
	terminal->shell = fork();
	ck_assert_int_ge(terminal->shell, 0);
	if (terminal->shell == 0)
		shell(slave, argv, fds[1]);
	close(fds[1]);
	for (size_t i = 1; argv[i] != NULL; i++)
		free(argv[i]);
}

static void terminal_end(Terminal *terminal)
{
	kill(terminal->shell, SIGKILL);
	waitpid(terminal->shell, NULL, 0);
	close(terminal->report_fd);
	close(terminal->fd);
}

/* Reads what comes next, in which `text` is hoped for. */
static void terminal_read(Terminal *terminal, const char *text)
{
	struct pollfd fd = {.fd = terminal->fd, .events = POLLIN};
	ssize_t n = -1;

	if (poll(&fd, 1, TIMEOUT_MS) > 0)
		n = read(terminal->fd, terminal->output + terminal->length,
			 MAX_OUTPUT - 1 - terminal->length);
	ck_assert_msg(n > 0, "it never said \"%s\", but:\n%s", text, terminal->output);
	terminal->length += (size_t)n;
	terminal->output[terminal->length] = '\0';
}

/* Reads until `text` stands on the screen. Return: the place behind it. */
static const char *terminal_wait(Terminal *terminal, const char *text)
{
	const char *found;

	for (;;) {
		found = strstr(terminal->output, text);
		if (found != NULL)
			return found + strlen(text);
		terminal_read(terminal, text);
	}
}

static void terminal_type(const Terminal *terminal, const char *text)
{
	ck_assert_int_eq(write(terminal->fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* The pid that stands behind `text`. */
static pid_t terminal_pid(Terminal *terminal, const char *text)
{
	const char *digits = terminal_wait(terminal, text);
	char *end;
	long pid;

	/* All of it, and not what had come of it. */
	while (digits[strspn(digits, "0123456789")] == '\0')
		terminal_read(terminal, text);
	pid = strtol(digits, &end, 10);
	ck_assert_int_gt(pid, 1);
	return (pid_t)pid;
}

/* Return: bpcondctl's exit status. */
static int terminal_exit_status(const Terminal *terminal)
{
	struct pollfd fd = {.fd = terminal->report_fd, .events = POLLIN};
	int status;

	ck_assert_int_eq(poll(&fd, 1, TIMEOUT_MS), 1);
	ck_assert_int_eq(read(terminal->report_fd, &status, sizeof(status)),
			 (ssize_t)sizeof(status));
	return process_exit_status(status);
}

/* The state letter of a process; 'X' of one that is gone. */
static char state_of(pid_t pid)
{
	char path[64], line[512] = "";
	const char *behind;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 'X';
	if (fgets(line, sizeof(line), file) == NULL)
		*line = '\0';
	fclose(file);
	behind = strrchr(line, ')');
	return behind == NULL ? 'X' : behind[2];
}

static bool has_ended(pid_t pid)
{
	char state = state_of(pid);

	return state == 'X' || state == 'Z';
}

/* What is left stopped stays so when the shell's job is over, and then goes on as if nothing had been: it
 * reads from the terminal and writes to it. */
START_TEST(a_stopped_program_stays_stopped)
{
	Terminal terminal;
	int64_t until;
	pid_t pid;

	terminal_start(&terminal,
		       (const char *[]){"run", "--stop", "--limit", "1", "break", "loop_work", "--",
					integration_program("tests/targets/loop"), NULL});
	terminal_wait(&terminal, "ready\r\n");
	terminal_type(&terminal, "call 10\n");
	pid = terminal_pid(&terminal, "kill -CONT ");
	ck_assert_int_eq(terminal_exit_status(&terminal), 0);
	for (until = now_ms() + QUIET_MS; now_ms() < until; usleep(10000))
		ck_assert_msg(state_of(pid) == 'T', "the program is in state %c", state_of(pid));

	ck_assert_ptr_null(strstr(terminal.output, "called 10"));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	terminal_wait(&terminal, "called 10");
	terminal_type(&terminal, "call 20\n");
	terminal_wait(&terminal, "called 20");
	kill(pid, SIGKILL);
	terminal_end(&terminal);
}
END_TEST

static const char *const interrupted[][8] = {
	{"run", "break", "loop_work", "if", "0", "--"},
	{"run", "--stop", "break", "loop_work", "if", "0", "--"},
};

/* Ctrl-C goes to both of them, also where the terminal does not reach the program itself. */
START_TEST(an_interrupt_reaches_the_program)
{
	const char *arguments[MAX_ARGUMENTS] = {NULL};
	int64_t deadline = now_ms() + TIMEOUT_MS;
	Terminal terminal;
	size_t n = 0;
	pid_t pid;

	for (; interrupted[_i][n] != NULL; n++)
		arguments[n] = interrupted[_i][n];
	arguments[n] = integration_program("tests/targets/loop");
	terminal_start(&terminal, arguments);
	/* By the program's first words bpcondctl takes signals up. */
	terminal_wait(&terminal, "address loop_record");
	terminal_type(&terminal, "pid\n");
	pid = terminal_pid(&terminal, "pid ");
	terminal_type(&terminal, "\003");
	ck_assert_int_eq(terminal_exit_status(&terminal), 1);
	while (!has_ended(pid)) {
		ck_assert_msg(now_ms() < deadline, "the program lives:\n%s", terminal.output);
		usleep(10000);
	}
	terminal_end(&terminal);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("terminal");

	integration_add(suite, "a stopped program stays stopped", a_stopped_program_stays_stopped);
	integration_add_loop(suite, "an interrupt reaches the program",
			     an_interrupt_reaches_the_program, 0);
	integration_add_loop(suite, "an interrupt reaches a program in a session of its own",
			     an_interrupt_reaches_the_program, 1);
	return integration_run(suite, argc, argv);
}
