/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of break, watch and run, and what stands behind them: LOCATION [if CONDITION].
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdint.h>
#include <sys/types.h>

#include "tools/bpcondctl.h"

enum {
	OPTIONS_MAX_PARAMETERS = 64,
	OPTIONS_MAX_MEMORY = 8,
	OPTIONS_DEFAULT_STACK = 16,
};

typedef struct Options {
	bool run;   /* of `run`: no -p, and a program behind -- */
	bool watch; /* data */
	pid_t pid;  /* 0: not given */

	bpcond_request request; /* points into the members below */
	bpcond_parameter parameters[OPTIONS_MAX_PARAMETERS];
	bpcond_memory_request memory[OPTIONS_MAX_MEMORY];
	char *owned[OPTIONS_MAX_PARAMETERS + OPTIONS_MAX_MEMORY + 2]; /* strings to free */
	size_t n_owned;

	bool default_pc;      /* nobody asked for registers: the pc is there for who did it */
	bool stack_by_itself; /* --stack without =N */
	int64_t timeout_ms;   /* 0: none */
	char **program;       /* of `run`: NULL-terminated, in argv */
} Options;

/*
 * Reads what stands behind the name of a command (argv[0]). With options->run set it reads that of
 * `run`.
 *
 * Return: STATUS_HITS, the caller goes on (options_clear); else what went wrong has been said.
 */
ExitStatus options_parse(Options *options, Tool *tool, int argc, char **argv);
void options_clear(Options *options);

/* The option that a member of the spec, by its JSON path, came from. Return: it, as "--mem"; NULL. */
const char *options_of_path(const char *path);

/* Says what may have gone wrong on the way to a text that does not compile: a shell that took $names,
 * an option behind the condition. Nothing when there is no sign of it. */
void options_hint(const char *text);

/* Reads NAME=VALUE of --param into *ret; the name is appended to options->owned. */
ExitStatus options_add_parameter(Options *options, const char *text);

/* Joins arguments by single spaces. Return: the text (free()); NULL when memory is short. */
char *join_arguments(char **argv, int argc);

/* A whole decimal or 0x number within the limits. */
bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret);

#endif
