/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bpcondctl shows: hits, the live line on a terminal, and the summary. Hits and the summary go to
 * stdout; the live line, and all that is not a result, to stderr.
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "bpcond/bpcond.h"

/* The target and its files are not trusted with the terminal: what is no printable text is shown as
 * '?'. */
void print_safe(FILE *file, const char *text);
void print_safe_char(FILE *file, char c);

typedef struct Output {
	bool json;
	pid_t pid;
	bpcond_symbols *symbols; /* owned; NULL: not asked for yet, or not to be had */
	int64_t symbols_time;    /* ms; of the last look at the target's modules */
	uint64_t start;          /* ns, CLOCK_MONOTONIC: hits are shown relative to it */

	bool live;           /* stderr is a terminal */
	char live_text[256]; /* "" before the first second has passed */
	int64_t live_time;
	struct bpcond_counters live_counters;
} Output;

void output_start(Output *output, bool json, pid_t pid);
void output_clear(Output *output);

/* Return: 0; -EIO when stdout does not take it any more. */
int output_hit(Output *output, const struct bpcond_hit *hit);

/* Shows the live line, if there is one: with new numbers when a second has passed. */
void output_live(Output *output, const struct bpcond_counters *counters);

/* Takes the live line off the screen, for something else to be printed. */
void output_interrupt_live(void);

/*
 * The last line. `counts` with whole = false lacks traps and lost, which only the daemon could
 * have told. `end` says for a person why it is over.
 */
void output_summary(Output *output, const bpcond_counts *counts, bool whole, const char *end);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t monotonic_ms(void);

#endif
