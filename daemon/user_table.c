/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/user_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_USERS = 8,
};

void user_table_clear(UserTable *table)
{
	free(table->entries);
	*table = (UserTable){.entry_bytes = table->entry_bytes};
}

static void *entry_at(const UserTable *table, size_t place)
{
	return table->entries + place * table->entry_bytes;
}

static uid_t uid_at(const UserTable *table, size_t place)
{
	uid_t uid;

	memcpy(&uid, entry_at(table, place), sizeof(uid));
	return uid;
}

/* Where the user's entry is, or belongs. */
static size_t place_of(const UserTable *table, uid_t uid)
{
	size_t low = 0, high = table->n_users;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (uid_at(table, middle) < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *user_table_find(const UserTable *table, uid_t uid)
{
	size_t place = place_of(table, uid);

	if (place == table->n_users || uid_at(table, place) != uid)
		return NULL;
	return entry_at(table, place);
}

bool user_table_is_full(const UserTable *table)
{
	return table->n_users == table->n_allocated;
}

int user_table_insert(UserTable *table, uid_t uid, void **ret)
{
	size_t place = place_of(table, uid);
	char *entry;

	if (user_table_is_full(table)) {
		size_t n_allocated = table->n_allocated > 0 ? table->n_allocated * 2 : FIRST_USERS;
		char *grown = reallocarray(table->entries, n_allocated, table->entry_bytes);

		if (!grown)
			return -ENOMEM;
		table->entries = grown;
		table->n_allocated = n_allocated;
	}
	entry = entry_at(table, place);
	memmove(entry + table->entry_bytes, entry, (table->n_users - place) * table->entry_bytes);
	memset(entry, 0, table->entry_bytes);
	memcpy(entry, &uid, sizeof(uid));
	table->n_users++;
	*ret = entry;
	return 0;
}

/* Who came once is not paid for in memory when all have gone. */
static void shrink(UserTable *table, size_t n_users)
{
	table->n_users = n_users;
	if (n_users == 0)
		user_table_clear(table);
}

void user_table_remove(UserTable *table, void *entry)
{
	char *at = entry;
	char *end = entry_at(table, table->n_users);

	memmove(at, at + table->entry_bytes, (size_t)(end - at) - table->entry_bytes);
	shrink(table, table->n_users - 1);
}

void user_table_sift(UserTable *table, bool (*keep)(void *entry, const void *userdata),
		     const void *userdata)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->n_users; i++) {
		if (!keep(entry_at(table, i), userdata))
			continue;
		if (kept < i)
			memcpy(entry_at(table, kept), entry_at(table, i), table->entry_bytes);
		kept++;
	}
	shrink(table, kept);
}
