/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A breakpoint of the soak: a spec made by chance, and what must have become of each trap. The
 * expectation is computed here from what the target says it did (tests/targets/paced.h), without the
 * compiler, the evaluator or the filter, so that the two tallies are independent.
 */
#ifndef SOAK_WATCH_H
#define SOAK_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/differential/random.h"
#include "tests/targets/paced.h"

enum {
	WATCH_SITE_VARIABLE = 2, /* of PACED_SITES */
};

enum watch_kind {
	WATCH_ALWAYS,
	WATCH_REMAINDER,
	WATCH_BELOW_PARAMETER,
	WATCH_RANGE,
	WATCH_NESTED,
	WATCH_DIVISION, /* a fault wherever the divisor is 0 */
	WATCH_WORD,
	WATCH_REGISTERS,
	WATCH_LOAD,
	WATCH_PID,
	WATCH_KINDS,
};

typedef struct WatchCounts {
	uint64_t traps, evaluated, hits, rejected, withheld, faults, dropped, unsignalled, lost;
} WatchCounts;

typedef struct Watch {
	unsigned site; /* of PACED_SITES */
	uint64_t address;
	pid_t pid; /* of the target */
	enum watch_kind kind;
	uint64_t a, b; /* of the kind */
	int64_t parameter;
	bool fault_is_hit, enabled;
	uint64_t skip, every, limit;
	unsigned capture_bytes;

	uint64_t accepted, reported; /* since it was enabled, as skip, every and limit count */
	/* What must be: up to the last comparison, and the fewest and the most that the last run may
	 * have added. They differ only for a target that was killed. */
	WatchCounts expected, least, most;
	WatchCounts compared; /* as they were then */
	/* The limit was reached: from then on the events may be disabled at any moment, so that only
	 * hits are certain. */
	bool limited;
	uint64_t lost; /* up to the last comparison */
} Watch;

/* A spec's settings by chance, and `enabled`. */
void watch_choose(Watch *watch, Random *random, unsigned site, uint64_t address, pid_t pid);

/* One for a lent filter: on `site`, and without what only a spec has. */
void watch_choose_lent(Watch *watch, Random *random, unsigned site, pid_t pid);

/* The JSON spec, and the condition alone ("1" where there is none). */
void watch_spec(const Watch *watch, char *text, size_t size);
void watch_condition(const Watch *watch, char *text, size_t size);

/* The counting of skip, every and limit starts anew. */
void watch_enable(Watch *watch);

/* Adds what a run did, as the page has it. `complete`: its target has ended it. */
void watch_ran(Watch *watch, const PacedPage *page, bool complete);

/*
 * Compares. `exact`: nothing but the target's end may have shortened what it did; else (the daemon has
 * ended, nobody knows when) only that there is nothing too much. Afterwards what is is expected.
 *
 * Return: NULL or what is wrong, static text.
 */
const char *watch_compare(Watch *watch, const WatchCounts *counts, bool exact);

/* Whether a record that holds this first argument can be of this breakpoint. */
bool watch_may_record(const Watch *watch, uint64_t number);

#endif
