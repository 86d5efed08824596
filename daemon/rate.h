/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast one user may have the daemon work: so many calls a second, and so many milliseconds of the
 * daemon's own time a second. Each is a bucket that fills steadily and holds what comes in one second
 * of the calls, in two of the time. What
 * a call costs in time is known only afterwards: a user who has spent more than there was waits
 * until that is made up for.
 */
#ifndef RATE_H
#define RATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/refusal.h"

typedef enum RateResource {
	RATE_CALLS, /* a second */
	RATE_BUSY,  /* milliseconds of the daemon's time a second */
	RATE_RESOURCES,
} RateResource;

typedef struct RateTable RateTable;

/* Limits for each user, in the order of RateResource. Return: 0 and *ret (rate_free), -ENOMEM. */
int rate_new(const uint64_t limits[static RATE_RESOURCES], RateTable **ret);
RateTable *rate_free(RateTable *table);

/* What is to be known of a call. */
typedef struct RateCall {
	uint64_t now;       /* microseconds, never less than before */
	bool never_refused; /* counted all the same */
	bool others_wait;   /* more calls are there: only then is the time short */
} RateCall;

/*
 * Counts a call of uid.
 *
 * Return: 0; REFUSED_QUOTA_EXCEEDED, *refusal naming the quota, its value and what to do; -ENOMEM.
 */
int rate_admit(RateTable *table, uid_t uid, const RateCall *call, Refusal *refusal);

/* A call that rate_admit has counted took so long, or what it has led to. */
void rate_charge(RateTable *table, uid_t uid, uint64_t usec);

/* Whether the user has no time left at `now` (as of RateCall): then nobody is to wait for his sake. */
bool rate_is_overdrawn(RateTable *table, uid_t uid, uint64_t now);

uint64_t rate_limit(const RateTable *table, RateResource resource);

/* calls-per-second, busy-milliseconds-per-second */
const char *rate_name(RateResource resource);

#endif
