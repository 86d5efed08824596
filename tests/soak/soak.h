/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the soak's driver (soak.c) and its clients share: a page with orders one way and tallies the other.
 */
#ifndef SOAK_H
#define SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What is counted over all clients, those that were killed included. */
#define SOAK_TALLIES(X)                                            \
	X(ROUNDS, "rounds of targets")                             \
	X(EVALUATED, "evaluations compared")                       \
	X(HITS, "hits compared")                                   \
	X(RECORDS, "records read and looked at")                   \
	X(DROPPED, "hits dropped, counted")                        \
	X(LOST, "traps that the kernel did not show")              \
	X(EXACT, "comparisons, exact")                             \
	X(BOUNDED, "comparisons after the daemon was gone")        \
	X(SURVIVED, "sessions and filters that outlived a daemon") \
	X(CONNECTIONS, "connections")                              \
	X(SESSIONS, "sessions with a ring")                        \
	X(FORWARDS, "sessions with a sink")                        \
	X(LINGERING, "sessions that linger")                       \
	X(LENT, "lent filters")                                    \
	X(ADDED, "breakpoints added")                              \
	X(REMOVED, "breakpoints removed")                          \
	X(NO_SLOT, "fifth breakpoints refused")                    \
	X(SWITCHED, "enabled or disabled")                         \
	X(PARAMETERS, "parameters changed")                        \
	X(KILLED_TARGETS, "targets killed at work")                \
	X(DISTURBED, "calls that a daemon's end cut off")          \
	X(REFUSED, "calls put off by the limits")

#define SOAK_NUMBER(name, text) SOAK_##name,
enum soak_tally {
	SOAK_TALLIES(SOAK_NUMBER) SOAK_N_TALLIES
};
#undef SOAK_NUMBER

typedef struct Soak {
	atomic_uint disturbances; /* one more before the daemon's end is brought about */
	atomic_uint kills;        /* of them those by SIGKILL */
	atomic_uint settled;      /* as many, once the next daemon serves */
	atomic_uint rest;         /* clients shall have nothing while this is odd */
	atomic_bool over;
	atomic_uint failures;
	atomic_ulong tallies[SOAK_N_TALLIES];
	atomic_uint rested[64]; /* by client: the `rest` that it is at */
	bool survives;          /* what there is outlives the daemon */
} Soak;

static inline void soak_count(Soak *soak, enum soak_tally tally, uint64_t n)
{
	atomic_fetch_add(&soak->tallies[tally], n);
}

/* A client, as its user: opens, adds, compares and closes by chance until it is told to end. Never
 * returns; the exit status is 0 when everything was as it must be. `target` is the program's path. */
_Noreturn void soak_worker(Soak *soak, unsigned number, uint64_t seed, const char *target);

#endif
