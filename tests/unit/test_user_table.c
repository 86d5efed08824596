/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table by users against a plain array of all users that there are in the test. */
#include "daemon/user_table.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum {
	USERS = 200,
	STEPS = 20000,
};

typedef struct Entry {
	uid_t uid;
	uint64_t value;
} Entry;

static bool is_even(void *entry, const void *userdata)
{
	Entry *at = entry;

	at->value += *(const uint64_t *)userdata;
	return at->value % 2 == 0;
}

/* Ids that are not in order, the highest among them. */
static uid_t uid_of(unsigned user)
{
	return user == 0 ? (uid_t)-1 : user * 2654435761U % 4000000000U;
}

static void compare(const UserTable *table, const bool known[static USERS],
		    const uint64_t values[static USERS])
{
	size_t n = 0;

	for (unsigned user = 0; user < USERS; user++) {
		const Entry *entry = user_table_find(table, uid_of(user));

		ck_assert_int_eq(entry != NULL, known[user]);
		if (!entry)
			continue;
		ck_assert_uint_eq(entry->uid, uid_of(user));
		ck_assert_uint_eq(entry->value, values[user]);
		n++;
	}
	ck_assert_uint_eq(table->n_users, n);
	ck_assert(n > 0 || (!table->entries && table->n_allocated == 0));
}

START_TEST(test_against_an_array)
{
	UserTable table = USER_TABLE(Entry);
	bool known[USERS] = {};
	uint64_t values[USERS] = {};

	srand(1);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned user = (unsigned)rand() % USERS;
		const uint64_t more = (unsigned)rand() % 2;
		Entry *entry = user_table_find(&table, uid_of(user));

		ck_assert_int_eq(entry != NULL, known[user]);
		if (entry) {
			user_table_remove(&table, entry);
		} else {
			void *added;

			ck_assert_int_eq(user_table_insert(&table, uid_of(user), &added), 0);
			entry = added;
			ck_assert_uint_eq(entry->value, 0);
			entry->value = values[user] = (uint64_t)rand();
		}
		known[user] = !known[user];
		if (step % 500 == 499) {
			user_table_sift(&table, is_even, &more);
			for (unsigned i = 0; i < USERS; i++) {
				values[i] += more;
				known[i] = known[i] && values[i] % 2 == 0;
			}
		}
		if (step % 50 == 0 || step % 500 == 499)
			compare(&table, known, values);
	}
	for (unsigned user = 0; user < USERS; user++) {
		if (known[user])
			user_table_remove(&table, user_table_find(&table, uid_of(user)));
		known[user] = false;
	}
	compare(&table, known, values);
	user_table_clear(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("user_table");
	TCase *tests = tcase_create("user_table");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_against_an_array);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
