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
 * '?', and so is what is no UTF-8. */
void print_safe(FILE *file, const char *text);
void print_safe_bytes(FILE *file, const char *text, size_t length);

/* The same of what stands within a line, which it neither ends nor shifts. */
void print_safe_name(FILE *file, const char *name);

typedef struct OutputOptions {
	bool json;
	pid_t pid;
	/* For a person: the first piece of memory is what is watched, and the registers were captured
	 * for what the line says. */
	bool value_first;
	bool hide_registers;
	uint64_t start; /* ns, CLOCK_MONOTONIC: hits are shown relative to it */
} OutputOptions;

typedef struct Output {
	OutputOptions options;
	bpcond_symbols *symbols; /* owned; NULL: not to be had yet */
	int64_t symbols_time;    /* ms; of the last look at the target's modules */
	int64_t look_again;      /* ms; not sooner after it */

	FILE *text;      /* what is not written yet, in memory: buffer */
	char *buffer;    /* the stream's; owned */
	size_t buffered; /* the stream's */
	size_t kept;     /* bytes of it that are whole lines */

	bool live;           /* stderr is a terminal */
	char live_text[256]; /* "" before the first second has passed */
	int64_t live_time;
	struct bpcond_counters live_counters;
} Output;

/* Return: 0 (output_clear); a negative errno. */
int output_start(Output *output, const OutputOptions *options);
void output_clear(Output *output);

/* Shows a hit, at the latest with the next output_flush. Return: 0; a negative errno, when stdout does
 * not take it any more. */
int output_hit(Output *output, const struct bpcond_hit *hit);
int output_flush(Output *output);

/* Shows the live line, if there is one: with new numbers when a second has passed. */
void output_live(Output *output, const struct bpcond_counters *counters);

/* Takes the live line off the screen, for something else to be printed. */
void output_interrupt_live(void);

/*
 * The last line. `counts` with whole = false lacks traps and lost, which only the daemon could
 * have told. For a person `end` says why it is over, and `note` ("": nothing) what is to be known
 * besides.
 *
 * Return: 0; a negative errno, when stdout does not take it.
 */
int output_summary(Output *output, const bpcond_counts *counts, bool whole, const char *end,
		   const char *note);

/* CLOCK_MONOTONIC, in nanoseconds as in a hit, and in milliseconds. */
uint64_t monotonic_ns(void);
int64_t monotonic_ms(void);

#endif
