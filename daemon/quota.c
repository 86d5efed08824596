/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each user holds of the daemon, and the limits on it. A user has an entry only while it holds
 * something, so that the table is bounded by what is really in use, and not by how many user ids
 * somebody can show up with. Entries are sorted by uid.
 *
 * used <= limit holds for each entry at all times; both are 64 bits, and no sum is ever formed
 * before it is known to stay below the limit.
 */
#include "daemon/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct QuotaUser {
	uid_t uid;
	uint64_t used[QUOTA_RESOURCES];
} QuotaUser;

struct QuotaTable {
	uint64_t limits[QUOTA_RESOURCES];
	QuotaUser *users; /* ascending uid */
	size_t n_users;
	size_t n_allocated;
};

static const struct {
	const char *name;
	const char *advice;
} resources[QUOTA_RESOURCES] = {
	[QUOTA_SESSIONS] = {"sessions", "close a session that is no longer needed"},
	[QUOTA_BREAKPOINTS] = {"breakpoints", "remove a breakpoint that is no longer needed"},
	[QUOTA_EVENTS] = {"events", "remove a breakpoint, or set this one on fewer threads: each "
				    "thread of a breakpoint is an event"},
	[QUOTA_RING_BYTES] = {"ring-bytes", "ask for a smaller ring (hits-bytes), or close a "
					    "session and every descriptor of its ring"},
	[QUOTA_LENT_FILTERS] = {"lent-filters", "return a lent filter that is no longer needed"},
	[QUOTA_QUESTIONS] = {"pending-questions", "answer those that an administrator is asked "
						  "already, and call again"},
};

int quota_new(const uint64_t limits[static QUOTA_RESOURCES], QuotaTable **ret)
{
	QuotaTable *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	memcpy(table->limits, limits, sizeof(table->limits));
	*ret = table;
	return 0;
}

QuotaTable *quota_free(QuotaTable *table)
{
	if (table != NULL)
		free(table->users);
	free(table);
	return NULL;
}

/* Where the user's entry is, or belongs. */
static size_t quota_position(const QuotaTable *table, uid_t uid)
{
	size_t low = 0, high = table->n_users;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->users[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static QuotaUser *quota_find(const QuotaTable *table, uid_t uid)
{
	size_t position = quota_position(table, uid);

	if (position == table->n_users || table->users[position].uid != uid)
		return NULL;
	return &table->users[position];
}

static int quota_insert(QuotaTable *table, uid_t uid, QuotaUser **ret)
{
	size_t position = quota_position(table, uid);
	QuotaUser *users = table->users;

	if (table->n_users == table->n_allocated) {
		size_t n_allocated = table->n_allocated > 0 ? table->n_allocated * 2 : 8;

		users = reallocarray(table->users, n_allocated, sizeof(*users));
		if (users == NULL)
			return -ENOMEM;
		table->users = users;
		table->n_allocated = n_allocated;
	}
	memmove(&users[position + 1], &users[position],
		(table->n_users - position) * sizeof(*users));
	users[position] = (QuotaUser){.uid = uid};
	table->n_users++;
	*ret = &users[position];
	return 0;
}

static void quota_remove(QuotaTable *table, QuotaUser *user)
{
	size_t position = (size_t)(user - table->users);

	table->n_users--;
	memmove(user, user + 1, (table->n_users - position) * sizeof(*user));
	if (table->n_users == 0) {
		free(table->users);
		table->users = NULL;
		table->n_allocated = 0;
	}
}

static bool quota_holds_nothing(const QuotaUser *user)
{
	for (size_t i = 0; i < QUOTA_RESOURCES; i++)
		if (user->used[i] != 0)
			return false;
	return true;
}

int quota_take(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount,
	       Refusal *refusal)
{
	uint64_t limit = table->limits[resource];
	QuotaUser *user = quota_find(table, uid);
	uint64_t used = user != NULL ? user->used[resource] : 0;
	int r;

	if (amount > limit - used)
		return refuse(refusal, REFUSED_QUOTA_EXCEEDED,
			      "the quota \"%s\" of user %u is %" PRIu64 ", of which %" PRIu64
			      " are in use, and %" PRIu64 " more were asked for: %s",
			      resources[resource].name, uid, limit, used, amount,
			      resources[resource].advice);
	if (amount == 0)
		return 0;
	if (user == NULL) {
		r = quota_insert(table, uid, &user);
		if (r < 0)
			return r;
	}
	user->used[resource] += amount;
	return 0;
}

void quota_give_back(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount)
{
	QuotaUser *user = quota_find(table, uid);
	uint64_t used = user != NULL ? user->used[resource] : 0;

	if (amount == 0)
		return;
	if (amount > used) {
		/* With a wrong count the limits mean nothing any more. */
		fprintf(stderr,
			"bug: %" PRIu64 " of \"%s\" given back for user %u, who holds %" PRIu64
			"\n",
			amount, resources[resource].name, uid, used);
		abort();
	}
	user->used[resource] -= amount;
	if (quota_holds_nothing(user))
		quota_remove(table, user);
}

uint64_t quota_limit(const QuotaTable *table, QuotaResource resource)
{
	return table->limits[resource];
}

uint64_t quota_used(const QuotaTable *table, uid_t uid, QuotaResource resource)
{
	const QuotaUser *user = quota_find(table, uid);

	return user != NULL ? user->used[resource] : 0;
}

const char *quota_name(QuotaResource resource)
{
	return resources[resource].name;
}
