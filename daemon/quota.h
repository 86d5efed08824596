/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one user may use of the daemon at a time. Counted before anything is allocated; one user's
 * use never takes another's.
 *
 * What a user still keeps of the kernel's after the daemon has let it go counts on ("kept"). What nobody
 * can use any more but the kernel has still to free ("dying", some tens of milliseconds) does not, up
 * to as much again: so who removes and adds is not refused, and memory stays bounded.
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

/* An amount of each resource. */
typedef struct QuotaAmounts {
	uint64_t of[QUOTA_RESOURCES];
} QuotaAmounts;

typedef struct QuotaTable QuotaTable;

/* Called when a user is about to be refused, to release what the kernel has freed meanwhile. */
typedef void (*QuotaReclaim)(uid_t uid, void *userdata);

/* Limits for each user, in the order of QuotaResource. Return: 0 and *ret (quota_free), -ENOMEM. */
int quota_new(const uint64_t limits[static QUOTA_RESOURCES], QuotaTable **ret);
QuotaTable *quota_free(QuotaTable *table);

void quota_set_reclaim(QuotaTable *table, QuotaReclaim reclaim, void *userdata);

/* Takes `amount` for uid, or nothing. Return: 0; REFUSED_QUOTA_EXCEEDED, *refusal naming the
 * quota, its value and what to do; -ENOMEM. */
int quota_take(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount,
	       Refusal *refusal);

/* The same for several resources, all or none. */
int quota_take_all(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts, Refusal *refusal);

/*
 * The same without asking for the limits: for what was taken before a restart, which a lower limit
 * does not end. Return: 0; -ENOMEM.
 */
int quota_restore(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts);

/* Gives back what quota_take gave: more is a bug and ends the daemon. */
void quota_give_back(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount);
void quota_give_back_all(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts);

/* Of what was taken, the daemon has let this go, but the user keeps it. Still to be given back, or to
 * become dying. */
void quota_keep(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts);
void quota_unkeep(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts);

/* What was taken is dying, and is given back by quota_bury once it is dead. */
void quota_let_die(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts);
void quota_bury(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts);

uint64_t quota_limit(const QuotaTable *table, QuotaResource resource);
/* With what is kept, without what is dying. */
uint64_t quota_used(const QuotaTable *table, uid_t uid, QuotaResource resource);

/* The names under which `Limits` publishes them, and errors name them: sessions, breakpoints,
 * events, ring-bytes, lent-filters, pending-questions. */
const char *quota_name(QuotaResource resource);

#endif
