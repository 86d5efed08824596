/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of a test, with their output in files that have no name. */
#include "tests/support/command.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/process.h"

enum {
	TIMEOUT_MS = 40000,
	LOOK_EVERY_US = 5000,
};

void command_start(Command *command, const char *const argv[])
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	int r;

	*command = (Command){0};
	for (int i = 0; i < 2; i++) {
		command->fds[i] = memfd_create("output", MFD_CLOEXEC);
		ck_assert_int_ge(command->fds[i], 0);
		command->texts[i] = strdup("");
	}
	options.stdout_fd = command->fds[COMMAND_STDOUT];
	options.stderr_fd = command->fds[COMMAND_STDERR];
	options.dies_with_us = true;
	r = process_spawn(argv, &options, &command->pid);
	ck_assert_msg(r == 0, "%s: %s", argv[0], strerror(-r));
}

/* Reads all that there is by now. */
static void read_output(Command *command)
{
	for (int i = 0; i < 2; i++) {
		struct stat st;
		ssize_t n;

		ck_assert_int_eq(fstat(command->fds[i], &st), 0);
		free(command->texts[i]);
		command->texts[i] = malloc((size_t)st.st_size + 1);
		ck_assert_ptr_nonnull(command->texts[i]);
		n = pread(command->fds[i], command->texts[i], (size_t)st.st_size, 0);
		ck_assert_int_eq(n, st.st_size);
		command->texts[i][n] = '\0';
	}
}

static bool has_ended(const Command *command)
{
	siginfo_t info = {0};

	ck_assert_int_eq(waitid(P_PID, (id_t)command->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	return info.si_pid != 0;
}

void command_wait_text(Command *command, int stream, const char *text)
{
	int64_t deadline = now_ms() + TIMEOUT_MS;

	for (;;) {
		bool ended = has_ended(command);

		read_output(command);
		if (strstr(command->texts[stream], text))
			return;
		ck_assert_msg(!ended && now_ms() < deadline, "it never said \"%s\", but:\n%s%s",
			      text, command->texts[0], command->texts[1]);
		usleep(LOOK_EVERY_US);
	}
}

int command_finish(Command *command)
{
	int status, r;

	r = process_wait(command->pid, TIMEOUT_MS, &status);
	read_output(command);
	ck_assert_msg(r == 0, "process %d does not end; it said:\n%s%s", command->pid,
		      command->texts[0], command->texts[1]);
	command->pid = 0;
	return process_exit_status(status);
}

size_t command_count(const Command *command, int stream, const char *text)
{
	const char *at = command->texts[stream];
	size_t count = 0;

	for (at = strstr(at, text); at; at = strstr(at + 1, text))
		count++;
	return count;
}

unsigned long command_summary(const Command *command, const char *key)
{
	const char *summary = strstr(command->texts[COMMAND_STDOUT], "{\"summary\":{"), *at;
	char quoted[64];

	ck_assert_msg(summary != NULL, "no summary in:\n%s", command->texts[COMMAND_STDOUT]);
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	at = strstr(summary, quoted);
	ck_assert_msg(at != NULL, "no %s in %s", key, summary);
	return strtoul(at + strlen(quoted), NULL, 10);
}

void command_end(Command *command)
{
	if (command->pid > 0) {
		kill(command->pid, SIGKILL);
		process_wait(command->pid, TIMEOUT_MS, NULL);
	}
	for (int i = 0; i < 2; i++) {
		close(command->fds[i]);
		free(command->texts[i]);
	}
}
