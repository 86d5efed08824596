/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test's end of the conversation that tests/targets/target.h describes. */
#include "tests/support/target.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/integration.h"

enum {
	ANSWER_TIMEOUT_MS = 10000,
};

static void read_line(Target *target, char ret[static 256])
{
	int64_t deadline = now_ms() + ANSWER_TIMEOUT_MS;
	struct pollfd pollfd = {.fd = target->out_fd, .events = POLLIN};
	const char *end;
	size_t length;
	ssize_t n;

	for (;;) {
		end = memchr(target->buffer, '\n', target->buffered);
		if (end)
			break;
		ck_assert_uint_lt(target->buffered, sizeof(target->buffer));
		ck_assert_msg(now_ms() < deadline, "target %d does not answer", target->pid);
		if (poll(&pollfd, 1, 100) <= 0)
			continue;
		n = read(target->out_fd, target->buffer + target->buffered,
			 sizeof(target->buffer) - target->buffered);
		ck_assert_msg(n > 0, "target %d has closed its output", target->pid);
		target->buffered += (size_t)n;
	}
	length = (size_t)(end - target->buffer);
	ck_assert_uint_lt(length, 256);
	memcpy(ret, target->buffer, length);
	ret[length] = '\0';
	target->buffered -= length + 1;
	memmove(target->buffer, end + 1, target->buffered);
}

void target_wait_ready(Target *target)
{
	unsigned long address;
	char line[256], name[32];

	target->n_addresses = 0;
	for (;;) {
		read_line(target, line);
		if (strcmp(line, "ready") == 0)
			return;
		ck_assert_msg(sscanf(line, "address %31s %lx", name, &address) == 2, "target: %s",
			      line);
		ck_assert_uint_lt(target->n_addresses, 16);
		strcpy(target->addresses[target->n_addresses].name, name);
		target->addresses[target->n_addresses++].address = address;
	}
}

static void start(Target *target, const char *user, const char *const argv[])
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	int in[2], out[2], r;

	memset(target, 0, sizeof(*target));
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	if (user) {
		target->by_helper = true;
		target->pid = helper_spawn(user, argv, in[0], out[1]);
	} else {
		options.stdin_fd = in[0];
		options.stdout_fd = out[1];
		options.dies_with_us = true;
		r = process_spawn(argv, &options, &target->pid);
		ck_assert_msg(r == 0, "%s: %s", argv[0], strerror(-r));
	}
	close(in[0]);
	close(out[1]);
	target->in_fd = in[1];
	target->out_fd = out[0];
	target_wait_ready(target);
}

void target_start(Target *target, const char *name, const char *argument1, const char *argument2)
{
	char file[64];

	snprintf(file, sizeof(file), "tests/targets/%s", name);
	start(target, NULL,
	      (const char *[]){integration_program(file), argument1, argument2, NULL});
}

void target_start_as(Target *target, const char *user, const char *path, const char *argument)
{
	start(target, user, (const char *[]){path, argument, NULL});
}

void target_start_path(Target *target, const char *path)
{
	start(target, NULL, (const char *[]){path, NULL});
}

uint64_t target_address_of(const Target *target, const char *name)
{
	for (unsigned i = 0; i < target->n_addresses; i++) {
		if (strcmp(target->addresses[i].name, name) == 0)
			return target->addresses[i].address;
	}
	ck_abort_msg("the target has no address %s", name);
}

static void send_line(Target *target, const char *format, va_list arguments)
{
	char line[128];
	int n;

	n = vsnprintf(line, sizeof(line) - 1, format, arguments);
	ck_assert(n > 0 && n < (int)sizeof(line) - 1);
	line[n++] = '\n';
	ck_assert_int_eq(write(target->in_fd, line, (size_t)n), n);
}

void target_send(Target *target, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	send_line(target, format, arguments);
	va_end(arguments);
}

long target_answer(Target *target, const char *word)
{
	char line[256];
	size_t length = strlen(word);

	read_line(target, line);
	ck_assert_msg(strncmp(line, word, length) == 0, "target said \"%s\", not \"%s …\"", line,
		      word);
	return strtol(line + length, NULL, 10);
}

long target_ask(Target *target, const char *word, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	send_line(target, format, arguments);
	va_end(arguments);
	return target_answer(target, word);
}

void target_kill(Target *target)
{
	if (target->by_helper) {
		helper_kill(target->pid, SIGKILL);
		helper_wait(target->pid, ANSWER_TIMEOUT_MS);
	} else {
		kill(target->pid, SIGKILL);
		ck_assert_int_eq(process_wait(target->pid, ANSWER_TIMEOUT_MS, NULL), 0);
	}
}
