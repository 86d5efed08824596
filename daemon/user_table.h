/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table with an entry for each user of whom there is something to remember: an array, sorted by user id.
 * What an entry is its owner says; it begins with the uid_t. Entries move when others come or go: no
 * pointer to one outlives that.
 */
#ifndef USER_TABLE_H
#define USER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct UserTable {
	size_t entry_bytes;
	char *entries; /* ascending user ids */
	size_t n_users;
	size_t n_allocated;
} UserTable;

/* For entries of that size. Free it by user_table_clear. */
#define USER_TABLE(type) ((UserTable){.entry_bytes = sizeof(type)})
void user_table_clear(UserTable *table);

/* Return: the user's entry; NULL when there is none. */
void *user_table_find(const UserTable *table, uid_t uid);

/* Makes an entry of a user who has none, zero but for the id. Return: 0 and *ret; -ENOMEM. */
int user_table_insert(UserTable *table, uid_t uid, void **ret);

/* Whether an insertion would have to ask for memory. */
bool user_table_is_full(const UserTable *table);

void user_table_remove(UserTable *table, void *entry);

/* Removes those that `keep`, which may change an entry, does not want, in one walk. */
void user_table_sift(UserTable *table, bool (*keep)(void *entry, const void *userdata),
		     const void *userdata);

#endif
