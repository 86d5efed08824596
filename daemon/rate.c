/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets, by user. A bucket fills up a second or two after its user was last heard of, once what
 * was overdrawn is made up for; then there is nothing to remember, and the entry goes when room
 * is needed. So the table is as large as the number of users who call at the same time.
 *
 * Levels are in millionths, so that a microsecond of filling is `limit` of them.
 */
#include "daemon/rate.h"
#include "daemon/user_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MILLION 1000000

/* An overdrawn bucket gives again after so many seconds at the most, and is full after twice that. */
#define MAX_DEBT_SECONDS 4

typedef struct RateUser {
	uid_t uid;                     /* first, for the table */
	uint64_t seen;                 /* when the levels were right */
	int64_t level[RATE_RESOURCES]; /* negative: overdrawn */
} RateUser;

struct RateTable {
	uint64_t limits[RATE_RESOURCES];
	UserTable users; /* of RateUser */
};

static const struct {
	const char *name;
	unsigned seconds; /* that the bucket holds */
	const char *advice;
} resources[RATE_RESOURCES] = {
	[RATE_CALLS] = {"calls-per-second", 1,
			"call less often, and wait a moment before the next"},
	[RATE_BUSY] = {"busy-milliseconds-per-second", 2,
		       "wait a moment before the next call, and set breakpoints on fewer threads"},
};

int rate_new(const uint64_t limits[static RATE_RESOURCES], RateTable **ret)
{
	RateTable *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	memcpy(table->limits, limits, sizeof(table->limits));
	table->users = USER_TABLE(RateUser);
	*ret = table;
	return 0;
}

RateTable *rate_free(RateTable *table)
{
	if (table)
		user_table_clear(&table->users);
	free(table);
	return NULL;
}

static int64_t capacity(const RateTable *table, RateResource resource)
{
	return (int64_t)(table->limits[resource] * resources[resource].seconds * MILLION);
}

/* Fills the buckets up to now. Return: whether they are full. */
static bool fill(const RateTable *table, RateUser *user, uint64_t now)
{
	uint64_t elapsed = now - user->seen;
	bool full = true;

	if (elapsed > 2 * MAX_DEBT_SECONDS * (uint64_t)MILLION)
		elapsed = 2 * MAX_DEBT_SECONDS * (uint64_t)MILLION;
	for (RateResource i = 0; i < RATE_RESOURCES; i++) {
		user->level[i] += (int64_t)(elapsed * table->limits[i]);
		if (user->level[i] >= capacity(table, i))
			user->level[i] = capacity(table, i);
		else
			full = false;
	}
	user->seen = now;
	return full;
}

/* A moment, and whose limits count. */
typedef struct Look {
	const RateTable *table;
	uint64_t now;
} Look;

/* Whether there is something to remember. */
static bool is_wanted(void *entry, const void *userdata)
{
	const Look *look = userdata;

	return !fill(look->table, entry, look->now);
}

static int insert(RateTable *table, uid_t uid, uint64_t now, RateUser **ret)
{
	const Look look = {.table = table, .now = now};
	RateUser *user;
	void *added;
	int r;

	if (user_table_is_full(&table->users))
		user_table_sift(&table->users, is_wanted, &look);
	r = user_table_insert(&table->users, uid, &added);
	if (r < 0)
		return r;
	user = added;
	user->seen = now;
	for (RateResource i = 0; i < RATE_RESOURCES; i++)
		user->level[i] = capacity(table, i);
	*ret = user;
	return 0;
}

static void spend(const RateTable *table, RateUser *user, RateResource resource, int64_t amount)
{
	int64_t lowest = -(int64_t)(table->limits[resource] * MAX_DEBT_SECONDS * MILLION);

	user->level[resource] -= amount;
	if (user->level[resource] < lowest)
		user->level[resource] = lowest;
}

int rate_admit(RateTable *table, uid_t uid, const RateCall *call, Refusal *refusal)
{
	const uint64_t now = call->now;
	RateUser *user = user_table_find(&table->users, uid);
	int r;

	if (user) {
		fill(table, user, now);
	} else {
		r = insert(table, uid, now, &user);
		if (r < 0)
			return r;
	}
	for (RateResource i = 0; i < RATE_RESOURCES && !call->never_refused; i++) {
		/* A whole call, or any time at all. */
		int64_t least = i == RATE_CALLS ? MILLION : 1;

		if (i == RATE_BUSY && !call->others_wait)
			continue;
		if (user->level[i] < least)
			return refuse(refusal, REFUSED_QUOTA_EXCEEDED,
				      "the quota \"%s\" of user %u is %" PRIu64
				      ", and is used up for now: %s",
				      resources[i].name, uid, table->limits[i],
				      resources[i].advice);
	}
	spend(table, user, RATE_CALLS, MILLION);
	return 0;
}

void rate_charge(RateTable *table, uid_t uid, uint64_t usec)
{
	RateUser *user = user_table_find(&table->users, uid);
	int64_t most = 2 * MAX_DEBT_SECONDS * (int64_t)table->limits[RATE_BUSY] * MILLION;

	if (!user)
		return;
	/* Its level counts milliseconds in millionths. */
	spend(table, user, RATE_BUSY, usec > (uint64_t)most / 1000 ? most : (int64_t)(usec * 1000));
}

bool rate_is_overdrawn(RateTable *table, uid_t uid, uint64_t now)
{
	RateUser *user = user_table_find(&table->users, uid);

	if (!user)
		return false;
	fill(table, user, now);
	return user->level[RATE_BUSY] < 1;
}

uint64_t rate_limit(const RateTable *table, RateResource resource)
{
	return table->limits[resource];
}

const char *rate_name(RateResource resource)
{
	return resources[resource].name;
}
