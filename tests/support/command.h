/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command under a test: run as this user, its output kept in memory, so that it never waits for us
 * to read. Failures fail the test case.
 */
#ifndef SUPPORT_COMMAND_H
#define SUPPORT_COMMAND_H

#include <stddef.h>
#include <sys/types.h>

typedef struct Command {
	pid_t pid;      /* 0 once it has ended */
	int fds[2];     /* files in memory, its stdout and stderr */
	char *texts[2]; /* what has been read of them, NUL-terminated */
} Command;

enum {
	COMMAND_STDOUT,
	COMMAND_STDERR,
};

void command_start(Command *command, const char *const argv[]);

/* Waits until `text` has come on that stream. */
void command_wait_text(Command *command, int stream, const char *text);

/* Waits for its end and reads all output. Return: its exit status as $? would be. */
int command_finish(Command *command);

/* How often `text` occurs in what came on a stream. */
size_t command_count(const Command *command, int stream, const char *text);

/* The number after "KEY": in the last line of stdout, which must be there. */
unsigned long command_summary(const Command *command, const char *key);

/* Frees what it holds; kills it if it still runs. */
void command_end(Command *command);

#endif
