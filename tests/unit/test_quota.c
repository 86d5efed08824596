/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quotas: exact at the limit, apart for each user, and gone when nothing is held. */
#include "daemon/quota.h"

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t limits[QUOTA_RESOURCES] = {
	[QUOTA_SESSIONS] = 3,         [QUOTA_BREAKPOINTS] = 0,  [QUOTA_EVENTS] = UINT64_MAX,
	[QUOTA_RING_BYTES] = 1 << 20, [QUOTA_LENT_FILTERS] = 2, [QUOTA_QUESTIONS] = 2,
};

static QuotaTable *new_table(void)
{
	QuotaTable *table = NULL;

	ck_assert_int_eq(quota_new(limits, &table), 0);
	return table;
}

static void take(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount)
{
	Refusal refusal = {.kind = REFUSED_NOT};

	ck_assert_int_eq(quota_take(table, uid, resource, amount, &refusal), 0);
	ck_assert_int_eq(refusal.kind, REFUSED_NOT);
}

static void take_refused(QuotaTable *table, uid_t uid, QuotaResource resource, uint64_t amount,
			 const char *says)
{
	uint64_t used = quota_used(table, uid, resource);
	Refusal refusal;

	ck_assert_int_eq(quota_take(table, uid, resource, amount, &refusal),
			 REFUSED_QUOTA_EXCEEDED);
	ck_assert_int_eq(refusal.kind, REFUSED_QUOTA_EXCEEDED);
	ck_assert_msg(strstr(refusal.text, says) != NULL, "%s", refusal.text);
	ck_assert_uint_eq(quota_used(table, uid, resource), used);
}

START_TEST(test_limit_is_exact)
{
	QuotaTable *table = new_table();

	take(table, 1000, QUOTA_SESSIONS, 1);
	take(table, 1000, QUOTA_SESSIONS, 2);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_SESSIONS), 3);
	take_refused(table, 1000, QUOTA_SESSIONS, 1,
		     "the quota \"sessions\" of user 1000 is 3, of which 3 are in use, and 1 more");
	take(table, 1000, QUOTA_SESSIONS, 0);
	quota_give_back(table, 1000, QUOTA_SESSIONS, 1);
	take(table, 1000, QUOTA_SESSIONS, 1);
	take_refused(table, 1000, QUOTA_BREAKPOINTS, 1, "\"breakpoints\"");
	take_refused(table, 1000, QUOTA_RING_BYTES, (1 << 20) + 1, "hits-bytes");
	take(table, 1000, QUOTA_RING_BYTES, 1 << 20);
	quota_free(table);
}
END_TEST

START_TEST(test_users_are_apart)
{
	QuotaTable *table = new_table();

	take(table, 1000, QUOTA_SESSIONS, 3);
	take(table, 0, QUOTA_SESSIONS, 3);
	take(table, (uid_t)-1, QUOTA_SESSIONS, 3);
	take_refused(table, 1000, QUOTA_SESSIONS, 1, "user 1000");
	quota_give_back(table, 0, QUOTA_SESSIONS, 3);
	take_refused(table, 1000, QUOTA_SESSIONS, 1, "user 1000");
	ck_assert_uint_eq(quota_used(table, 0, QUOTA_SESSIONS), 0);
	ck_assert_uint_eq(quota_used(table, (uid_t)-1, QUOTA_SESSIONS), 3);
	ck_assert_uint_eq(quota_used(table, 7, QUOTA_SESSIONS), 0);
	quota_free(table);
}
END_TEST

START_TEST(test_no_overflow)
{
	QuotaTable *table = new_table();

	take(table, 1000, QUOTA_EVENTS, UINT64_MAX - 1);
	take(table, 1000, QUOTA_EVENTS, 1);
	take_refused(table, 1000, QUOTA_EVENTS, 1, "18446744073709551615");
	take_refused(table, 1000, QUOTA_EVENTS, UINT64_MAX, "18446744073709551615");
	take(table, 1000, QUOTA_SESSIONS, 1);
	take_refused(table, 1000, QUOTA_SESSIONS, UINT64_MAX, "\"sessions\"");
	quota_give_back(table, 1000, QUOTA_EVENTS, UINT64_MAX);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_EVENTS), 0);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_SESSIONS), 1);
	quota_free(table);
}
END_TEST

/* Against a plain array, users coming and going in a random order. */
START_TEST(test_many_users)
{
	enum {
		N_USERS = 300,
		N_STEPS = 100000
	};
	static uint64_t used[N_USERS][2];
	QuotaTable *table = new_table();
	Refusal refusal;

	memset(used, 0, sizeof(used));
	srandom(1);
	for (int step = 0; step < N_STEPS; step++) {
		size_t user = (size_t)random() % N_USERS;
		bool ring = random() % 2 == 0;
		QuotaResource resource = ring ? QUOTA_RING_BYTES : QUOTA_SESSIONS;
		uint64_t *mine = &used[user][ring];
		uid_t uid = (uid_t)(user * 7919 % 1000);

		if (random() % 2 == 0) {
			uint64_t amount = (uint64_t)random() % (ring ? 1 << 19 : 3);
			bool fits = *mine + amount <= limits[resource];

			ck_assert_int_eq(quota_take(table, uid, resource, amount, &refusal),
					 fits ? 0 : REFUSED_QUOTA_EXCEEDED);
			*mine += fits ? amount : 0;
		} else {
			uint64_t amount = *mine == 0 ? 0 : (uint64_t)random() % (*mine + 1);

			quota_give_back(table, uid, resource, amount);
			*mine -= amount;
		}
		ck_assert_uint_eq(quota_used(table, uid, resource), *mine);
	}
	for (size_t user = 0; user < N_USERS; user++) {
		uid_t uid = (uid_t)(user * 7919 % 1000);

		ck_assert_uint_eq(quota_used(table, uid, QUOTA_SESSIONS), used[user][0]);
		ck_assert_uint_eq(quota_used(table, uid, QUOTA_RING_BYTES), used[user][1]);
	}
	quota_free(table);
}
END_TEST

START_TEST(test_more_given_back)
{
	QuotaTable *table = new_table();

	take(table, 1000, QUOTA_SESSIONS, 1);
	quota_give_back(table, 1000, QUOTA_SESSIONS, 2);
}
END_TEST

START_TEST(test_given_back_by_another)
{
	QuotaTable *table = new_table();

	take(table, 1000, QUOTA_SESSIONS, 1);
	quota_give_back(table, 1001, QUOTA_SESSIONS, 1);
}
END_TEST

static QuotaAmounts rings(uint64_t sessions, uint64_t bytes)
{
	QuotaAmounts amounts = {};

	amounts.of[QUOTA_SESSIONS] = sessions;
	amounts.of[QUOTA_RING_BYTES] = bytes;
	return amounts;
}

START_TEST(test_all_or_nothing)
{
	const QuotaAmounts fits = rings(1, 1 << 19), too_long = rings(1, 1 << 20);
	QuotaTable *table = new_table();
	Refusal refusal;

	ck_assert_int_eq(quota_take_all(table, 1000, &fits, &refusal), 0);
	ck_assert_int_eq(quota_take_all(table, 1000, &too_long, &refusal), REFUSED_QUOTA_EXCEEDED);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_SESSIONS), 1);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_RING_BYTES), 1 << 19);
	/* what was there before a restart is there, whatever the limits are now */
	ck_assert_int_eq(quota_restore(table, 1000, &too_long), 0);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_RING_BYTES), 3 << 19);
	take_refused(table, 1000, QUOTA_RING_BYTES, 1, "\"ring-bytes\"");
	quota_give_back_all(table, 1000, &too_long);
	quota_give_back_all(table, 1000, &fits);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_RING_BYTES), 0);
	quota_free(table);
}
END_TEST

START_TEST(test_kept_counts_and_is_said)
{
	const QuotaAmounts one = rings(1, 1 << 20);
	QuotaTable *table = new_table();
	Refusal refusal;

	ck_assert_int_eq(quota_take_all(table, 1000, &one, &refusal), 0);
	take_refused(table, 1000, QUOTA_RING_BYTES, 1, "hits-bytes");
	ck_assert_int_eq(quota_take(table, 1000, QUOTA_RING_BYTES, 1, &refusal),
			 REFUSED_QUOTA_EXCEEDED);
	ck_assert_ptr_null(strstr(refusal.text, "descriptors that you kept"));
	quota_keep(table, 1000, &one);
	take_refused(table, 1000, QUOTA_RING_BYTES, 1,
		     "; 1048576 of those in use are held by descriptors that you kept");
	quota_unkeep(table, 1000, &one);
	quota_give_back_all(table, 1000, &one);
	take(table, 1000, QUOTA_RING_BYTES, 1 << 20);
	quota_free(table);
}
END_TEST

/* What is dying makes room at once, but only for as much again. */
START_TEST(test_dying_is_bounded)
{
	const QuotaAmounts one = rings(1, 1 << 20);
	QuotaTable *table = new_table();
	Refusal refusal;

	ck_assert_int_eq(quota_take_all(table, 1000, &one, &refusal), 0);
	quota_let_die(table, 1000, &one);
	ck_assert_uint_eq(quota_used(table, 1000, QUOTA_RING_BYTES), 0);
	ck_assert_int_eq(quota_take_all(table, 1000, &one, &refusal), 0);
	quota_let_die(table, 1000, &one);
	take_refused(table, 1000, QUOTA_RING_BYTES, 1, "still freeing");
	take(table, 1000, QUOTA_SESSIONS, 1);
	quota_bury(table, 1000, &one);
	take(table, 1000, QUOTA_RING_BYTES, 1 << 20);
	quota_bury(table, 1000, &one);
	quota_free(table);
}
END_TEST

static const QuotaAmounts *to_reclaim;

static void reclaim(uid_t uid, void *userdata)
{
	if (to_reclaim)
		quota_give_back_all(userdata, uid, to_reclaim);
	to_reclaim = NULL;
}

START_TEST(test_reclaims_before_refusing)
{
	const QuotaAmounts one = rings(3, 0);
	QuotaTable *table = new_table();

	quota_set_reclaim(table, reclaim, table);
	to_reclaim = &one;
	take(table, 1000, QUOTA_SESSIONS, 3);
	ck_assert_ptr_nonnull(to_reclaim);
	take(table, 1000, QUOTA_SESSIONS, 3);
	ck_assert_ptr_null(to_reclaim);
	take_refused(table, 1000, QUOTA_SESSIONS, 1, "\"sessions\"");
	quota_free(table);
}
END_TEST

START_TEST(test_names)
{
	static const char *const names[] = {"sessions",   "breakpoints",  "events",
					    "ring-bytes", "lent-filters", "pending-questions"};
	QuotaTable *table = new_table();

	for (unsigned int i = 0; i < QUOTA_RESOURCES; i++) {
		ck_assert_str_eq(quota_name(i), names[i]);
		ck_assert_uint_eq(quota_limit(table, i), limits[i]);
	}
	quota_free(table);
	ck_assert_ptr_null(quota_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tests = tcase_create("quota");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_limit_is_exact);
	tcase_add_test(tests, test_users_are_apart);
	tcase_add_test(tests, test_no_overflow);
	tcase_add_test(tests, test_many_users);
	tcase_add_test_raise_signal(tests, test_more_given_back, SIGABRT);
	tcase_add_test_raise_signal(tests, test_given_back_by_another, SIGABRT);
	tcase_add_test(tests, test_all_or_nothing);
	tcase_add_test(tests, test_kept_counts_and_is_said);
	tcase_add_test(tests, test_dying_is_bounded);
	tcase_add_test(tests, test_reclaims_before_refusing);
	tcase_add_test(tests, test_names);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
