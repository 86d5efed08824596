/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands of bpcondctl share: how they were called, and how they end. A command returns
 * its exit status; what it has to say on the way to an error goes to stderr, results to stdout.
 */
#ifndef BPCONDCTL_H
#define BPCONDCTL_H

#include <stdbool.h>
#include <stddef.h>

#include "bpcond/bpcond.h"

typedef enum ExitStatus {
	STATUS_HITS = 0, /* at least one hit; of other commands: done */
	STATUS_NO_HITS = 1,
	STATUS_USAGE = 2,     /* wrong use, or a spec, condition or location that is wrong */
	STATUS_REFUSED = 3,   /* rights, quotas, debug registers, what this kernel cannot do */
	STATUS_NO_TARGET = 4, /* no such process, program, session or breakpoint */
	STATUS_NO_DAEMON = 5, /* not reachable, or lost on the way */
} ExitStatus;

typedef struct Tool {
	const char *bus; /* an address; NULL: the system bus */
	bool json;
} Tool;

/* The commands, each with the arguments behind its name: argv[0] is the name. */
ExitStatus command_status(Tool *tool, int argc, char **argv);
ExitStatus command_check(Tool *tool, int argc, char **argv);
ExitStatus command_break(Tool *tool, int argc, char **argv);
ExitStatus command_watch(Tool *tool, int argc, char **argv);
ExitStatus command_run(Tool *tool, int argc, char **argv);
ExitStatus command_list(Tool *tool, int argc, char **argv);
ExitStatus command_rm(Tool *tool, int argc, char **argv);

/* complain.c */

/* Prints "bpcondctl: …" on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain(), and where to find help. Return: STATUS_USAGE. */
ExitStatus complain_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The exit status that an error of the library stands for. */
ExitStatus status_of_error(const bpcond_error *error);

/* Says what an error of the library is about. `text` is the text that it may point into, or NULL.
 * Return: the exit status. */
ExitStatus complain_error(const bpcond_error *error, const char *text);

/* Prints the line of `text` that the place is in, and a caret below the column, from 1 in bytes. */
void print_caret(const char *text, unsigned line, unsigned column);

#endif
