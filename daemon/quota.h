/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one user may use of the daemon at a time. Counted before anything is allocated; one user's
 * use never takes another's.
 */
#ifndef QUOTA_H
#define QUOTA_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/refusal.h"

typedef enum QuotaResource {
	QUOTA_SESSIONS,
	QUOTA_BREAKPOINTS,
	QUOTA_EVENTS, /* perf events: a thread of a breakpoint each */
	QUOTA_RING_BYTES,
	QUOTA_LENT_FILTERS,
	QUOTA_QUESTIONS, /* calls that wait for polkit's answer */
	QUOTA_RESOURCES,
} QuotaResource;

typedef struct QuotaTable QuotaTable;

/* Limits for each user, in the order of QuotaResource. Return: 0 and *ret (quota_free), -ENOMEM. */
int quota_new(const uint64_t limits[static QUOTA_RESOURCES], QuotaTable **ret);
QuotaTable *quota_free(QuotaTable *table);

/* Takes `amount` for uid, or nothing. Return: 0; REFUSED_QUOTA_EXCEEDED, *refusal naming the
 * quota, its value and what to do; -ENOMEM. */
int quota_take(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount,
	       Refusal *refusal);

/* Gives back what quota_take gave: more is a bug and ends the daemon. */
void quota_give_back(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount);

uint64_t quota_limit(const QuotaTable *table, QuotaResource resource);
uint64_t quota_used(const QuotaTable *table, uid_t uid, QuotaResource resource);

/* The names under which `Limits` publishes them, and errors name them: sessions, breakpoints,
 * events, ring-bytes, lent-filters, pending-questions. */
const char *quota_name(QuotaResource resource);

#endif
