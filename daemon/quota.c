/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each user holds of the daemon, and the limits on it. A user has an entry only while it holds
 * something, so that the table is bounded by what is really in use, and not by how many user ids
 * somebody can show up with.
 *
 * used <= limit holds for each entry at all times but after a restart with lower limits; kept <= used
 * holds always. All are 64 bits, and no sum is ever formed before it is known to stay below a limit.
 */
#include "daemon/quota.h"
#include "daemon/user_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As much as the limit may be dying; of a small limit so much, since who adds and removes at once is
 * faster than the kernel. */
#define LEAST_SLACK 64

typedef struct QuotaUser {
	uid_t uid;         /* first, for the table */
	QuotaAmounts used; /* with what is kept, without what is dying */
	QuotaAmounts kept;
	QuotaAmounts dying;
} QuotaUser;

struct QuotaTable {
	uint64_t limits[QUOTA_RESOURCES];
	UserTable users; /* of QuotaUser */
	QuotaReclaim reclaim;
	void *reclaim_userdata;
};

static const struct {
	const char *name;
	const char *advice;
} resources[QUOTA_RESOURCES] = {
	[QUOTA_SESSIONS] = {"sessions", "close a session that is no longer needed"},
	[QUOTA_BREAKPOINTS] = {"breakpoints", "remove a breakpoint that is no longer needed"},
	[QUOTA_EVENTS] = {"events", "remove a breakpoint, or set this one on fewer threads: each "
				    "thread of a breakpoint is an event"},
	[QUOTA_RING_BYTES] = {"ring-bytes", "end a session, and close every descriptor of its ring: "
					    "until then it counts. A client that sets its ring's "
					    "size (hits-bytes) can ask for a smaller one"},
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
	table->users = USER_TABLE(QuotaUser);
	*ret = table;
	return 0;
}

QuotaTable *quota_free(QuotaTable *table)
{
	if (table != NULL)
		user_table_clear(&table->users);
	free(table);
	return NULL;
}

static bool quota_holds_nothing(const QuotaUser *user)
{
	for (size_t i = 0; i < QUOTA_RESOURCES; i++)
		if (user->used.of[i] != 0 || user->dying.of[i] != 0)
			return false;
	return true;
}

void quota_set_reclaim(QuotaTable *table, QuotaReclaim reclaim, void *userdata)
{
	table->reclaim = reclaim;
	table->reclaim_userdata = userdata;
}

/* Whether the user can have so much more, or why not. */
typedef enum QuotaRoom {
	QUOTA_ROOM,
	QUOTA_FULL,
	QUOTA_FULL_OF_DYING,
} QuotaRoom;

static QuotaRoom quota_room(const QuotaTable *table, uid_t uid, QuotaResource resource,
			    uint64_t amount)
{
	const QuotaUser *user = user_table_find(&table->users, uid);
	uint64_t limit = table->limits[resource];
	uint64_t used = user != NULL ? user->used.of[resource] : 0;
	uint64_t dying = user != NULL ? user->dying.of[resource] : 0;
	uint64_t room, slack;

	if (used > limit || amount > limit - used)
		return QUOTA_FULL;
	room = limit - used;
	slack = limit > LEAST_SLACK ? limit : LEAST_SLACK;
	room = room <= UINT64_MAX - slack ? room + slack : UINT64_MAX;
	return dying > room || amount > room - dying ? QUOTA_FULL_OF_DYING : QUOTA_ROOM;
}

static int quota_refuse(const QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount,
			QuotaRoom room, Refusal *refusal)
{
	const QuotaUser *user = user_table_find(&table->users, uid);
	uint64_t used = user != NULL ? user->used.of[resource] : 0;
	uint64_t kept = user != NULL ? user->kept.of[resource] : 0;
	char keeps[192] = "";

	if (room == QUOTA_FULL_OF_DYING)
		return refuse(refusal, REFUSED_QUOTA_EXCEEDED,
			      "the quota \"%s\" of user %u is %" PRIu64
			      ", and the kernel is still freeing what you gave back: call again in "
			      "a moment",
			      resources[resource].name, uid, table->limits[resource]);
	if (kept > 0)
		snprintf(keeps, sizeof(keeps),
			 "; %" PRIu64 " of those in use are held by descriptors that you kept of "
			 "what was closed, removed or returned: close (and unmap) them",
			 kept);
	return refuse(refusal, REFUSED_QUOTA_EXCEEDED,
		      "the quota \"%s\" of user %u is %" PRIu64 ", of which %" PRIu64
		      " are in use, and %" PRIu64 " more were asked for: %s%s",
		      resources[resource].name, uid, table->limits[resource], used, amount,
		      resources[resource].advice, keeps);
}

/* Return: the first resource that there is no room for; QUOTA_RESOURCES when there is for all. */
static QuotaResource quota_find_full(const QuotaTable *table, uid_t uid,
				     const QuotaAmounts *amounts, QuotaRoom *ret)
{
	for (QuotaResource i = 0; i < QUOTA_RESOURCES; i++) {
		*ret = amounts->of[i] ? quota_room(table, uid, i, amounts->of[i]) : QUOTA_ROOM;
		if (*ret != QUOTA_ROOM)
			return i;
	}
	return QUOTA_RESOURCES;
}

int quota_take_all(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts, Refusal *refusal)
{
	QuotaResource full;
	QuotaRoom room;

	full = quota_find_full(table, uid, amounts, &room);
	if (full != QUOTA_RESOURCES && table->reclaim != NULL) {
		table->reclaim(uid, table->reclaim_userdata);
		full = quota_find_full(table, uid, amounts, &room);
	}
	if (full != QUOTA_RESOURCES)
		return quota_refuse(table, uid, full, amounts->of[full], room, refusal);
	return quota_restore(table, uid, amounts);
}

int quota_take(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount,
	       Refusal *refusal)
{
	QuotaAmounts amounts = {};

	amounts.of[resource] = amount;
	return quota_take_all(table, uid, &amounts, refusal);
}

static void add(QuotaAmounts *to, const QuotaAmounts *amounts)
{
	for (size_t i = 0; i < QUOTA_RESOURCES; i++)
		to->of[i] += amounts->of[i];
}

static bool is_nothing(const QuotaAmounts *amounts)
{
	for (size_t i = 0; i < QUOTA_RESOURCES; i++)
		if (amounts->of[i] != 0)
			return false;
	return true;
}

int quota_restore(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts)
{
	QuotaUser *user;
	void *added;
	int r;

	if (is_nothing(amounts))
		return 0;
	user = user_table_find(&table->users, uid);
	if (user == NULL) {
		r = user_table_insert(&table->users, uid, &added);
		if (r < 0)
			return r;
		user = added;
	}
	add(&user->used, amounts);
	return 0;
}

static void subtract(uid_t uid, QuotaAmounts *from, const QuotaAmounts *amounts, const char *what)
{
	for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
		if (amounts->of[i] > from->of[i]) {
			/* With a wrong count the limits mean nothing any more. */
			fprintf(stderr,
				"bug: %" PRIu64
				" of \"%s\" given back for user %u, of whose %" PRIu64 " are %s\n",
				amounts->of[i], resources[i].name, uid, from->of[i], what);
			abort();
		}
		from->of[i] -= amounts->of[i];
	}
}

/* The user's entry, or one that holds nothing. */
static QuotaUser *quota_get(const QuotaTable *table, uid_t uid, QuotaUser *nothing)
{
	QuotaUser *user = user_table_find(&table->users, uid);

	*nothing = (QuotaUser){.uid = uid};
	return user != NULL ? user : nothing;
}

void quota_give_back_all(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts)
{
	QuotaUser nothing, *user = quota_get(table, uid, &nothing);

	if (is_nothing(amounts))
		return;
	subtract(uid, &user->used, amounts, "in use");
	if (quota_holds_nothing(user))
		user_table_remove(&table->users, user);
}

void quota_give_back(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount)
{
	QuotaAmounts amounts = {};

	amounts.of[resource] = amount;
	quota_give_back_all(table, uid, &amounts);
}

void quota_keep(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts)
{
	QuotaUser *user = user_table_find(&table->users, uid);

	if (user != NULL)
		add(&user->kept, amounts);
}

void quota_unkeep(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts)
{
	QuotaUser nothing, *user = quota_get(table, uid, &nothing);

	subtract(uid, &user->kept, amounts, "kept");
}

void quota_let_die(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts)
{
	QuotaUser nothing, *user = quota_get(table, uid, &nothing);

	subtract(uid, &user->used, amounts, "in use");
	add(&user->dying, amounts);
}

void quota_bury(QuotaTable *table, uid_t uid, const QuotaAmounts *amounts)
{
	QuotaUser nothing, *user = quota_get(table, uid, &nothing);

	if (is_nothing(amounts))
		return;
	subtract(uid, &user->dying, amounts, "dying");
	if (quota_holds_nothing(user))
		user_table_remove(&table->users, user);
}

uint64_t quota_limit(const QuotaTable *table, QuotaResource resource)
{
	return table->limits[resource];
}

uint64_t quota_used(const QuotaTable *table, uid_t uid, QuotaResource resource)
{
	const QuotaUser *user = user_table_find(&table->users, uid);

	return user != NULL ? user->used.of[resource] : 0;
}

const char *quota_name(QuotaResource resource)
{
	return resources[resource].name;
}
