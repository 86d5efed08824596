/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the target `paced` and who started it share: what to do, and how far each thread of it is. A
 * thread writes `begun` before and `ended` after each round, so that also of a process that was killed
 * one knows to the round what it did: it began `begun` rounds, and ended all of them or all but one.
 */
#ifndef TARGETS_PACED_H
#define TARGETS_PACED_H

#include <stdint.h>

enum {
	PACED_THREADS = 8,
	PACED_SITES = 3, /* two functions and a variable, in this order in each round */
	PACED_WORDS = 4, /* the second argument points to one of these texts, by round */
};

#define PACED_WORD_LIST                       \
	{                                     \
		"zero", "one", "two", "three" \
	}

typedef struct PacedPage {
	/* of the next "run" */
	uint64_t rounds;
	uint32_t resident; /* threads that are there all the time, the main thread included */
	uint32_t later;    /* threads that are started for it */
	/* by site, then by thread, of the last run */
	uint64_t begun[PACED_SITES][PACED_THREADS];
	uint64_t ended[PACED_SITES][PACED_THREADS];
} PacedPage;

#endif
