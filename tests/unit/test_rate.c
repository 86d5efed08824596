/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates: so many at once, so many a second, apart for each user. The time is the test's own. */
#include "daemon/rate.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000

static const uint64_t limits[RATE_RESOURCES] = {[RATE_CALLS] = 10, [RATE_BUSY] = 100};

static RateTable *new_table(void)
{
	RateTable *table = NULL;

	ck_assert_int_eq(rate_new(limits, &table), 0);
	return table;
}

/* A call while others wait. Return: as rate_admit. */
static int call_at(RateTable *table, uid_t uid, uint64_t now, bool never_refused, Refusal *refusal)
{
	const RateCall call = {.now = now, .never_refused = never_refused, .others_wait = true};

	return rate_admit(table, uid, &call, refusal);
}

/* How many of 1,000 calls at that moment are admitted; the quota that refuses the next says `part`. */
static unsigned admitted(RateTable *table, uid_t uid, uint64_t now, const char *part)
{
	Refusal refusal;
	unsigned n = 0;
	int r;

	while ((r = call_at(table, uid, now, false, &refusal)) == 0 && n < 1000)
		n++;
	ck_assert_int_eq(r, REFUSED_QUOTA_EXCEEDED);
	ck_assert_msg(strstr(refusal.text, part) != NULL, "%s", refusal.text);
	return n;
}

START_TEST(test_calls)
{
	RateTable *table = new_table();
	uint64_t now = 5 * SECOND;

	ck_assert_uint_eq(admitted(table, 1000, now, "\"calls-per-second\" of user 1000 is 10"),
			  10);
	ck_assert_uint_eq(admitted(table, 1000, now + SECOND / 2, "calls-per-second"), 5);
	ck_assert_uint_eq(admitted(table, 1000, now + SECOND / 2, "calls-per-second"), 0);
	/* another user is not concerned */
	ck_assert_uint_eq(admitted(table, 1001, now + SECOND / 2, "calls-per-second"), 10);
	/* no more than a second's worth is ever saved up */
	ck_assert_uint_eq(admitted(table, 1000, now + 1000ULL * SECOND, "calls-per-second"), 10);
	rate_free(table);
}
END_TEST

START_TEST(test_time)
{
	RateTable *table = new_table();
	uint64_t now = 5 * SECOND;
	const RateCall alone = {.now = now};
	Refusal refusal;

	/* two seconds' worth, and then nothing until it is made up for */
	ck_assert_int_eq(call_at(table, 1000, now, false, &refusal), 0);
	rate_charge(table, 1000, 199000);
	ck_assert_int_eq(call_at(table, 1000, now, false, &refusal), 0);
	rate_charge(table, 1000, 101000);
	ck_assert_uint_eq(admitted(table, 1000, now, "\"busy-milliseconds-per-second\""), 0);
	/* it is short only where somebody waits for it */
	ck_assert_int_eq(rate_admit(table, 1000, &alone, &refusal), 0);
	ck_assert_uint_eq(admitted(table, 1000, now + SECOND, "busy-milliseconds"), 0);
	ck_assert_int_eq(call_at(table, 1000, now + SECOND + 1, false, &refusal), 0);
	rate_free(table);
}
END_TEST

START_TEST(test_debts_end)
{
	RateTable *table = new_table();
	uint64_t now = 5 * SECOND;
	Refusal refusal;

	ck_assert_int_eq(call_at(table, 1000, now, false, &refusal), 0);
	rate_charge(table, 1000, UINT64_MAX);
	ck_assert_uint_eq(admitted(table, 1000, now + 3 * SECOND, "busy-milliseconds"), 0);
	ck_assert_int_eq(call_at(table, 1000, now + 4 * SECOND + 1, false, &refusal), 0);
	/* of somebody who was never heard of */
	rate_charge(table, 4711, 1000);
	rate_free(table);
}
END_TEST

START_TEST(test_never_refused_is_counted)
{
	RateTable *table = new_table();
	uint64_t now = 5 * SECOND;
	Refusal refusal;

	for (int i = 0; i < 15; i++)
		ck_assert_int_eq(call_at(table, 1000, now, true, &refusal), 0);
	ck_assert_uint_eq(admitted(table, 1000, now, "calls-per-second"), 0);
	ck_assert_uint_eq(admitted(table, 1000, now + SECOND, "calls-per-second"), 5);
	rate_free(table);
}
END_TEST

/* The table does not grow with who has called once, and forgets nobody who owes. */
START_TEST(test_many_users)
{
	RateTable *table = new_table();
	uint64_t now = 5 * SECOND;

	ck_assert_uint_eq(admitted(table, 7, now, "calls-per-second"), 10);
	for (uid_t uid = 100000; uid > 1000; uid--) {
		Refusal refusal;

		ck_assert_int_eq(call_at(table, (uid_t)(1000 + (uint64_t)uid * 7919 % 100003), now,
					 false, &refusal),
				 0);
	}
	ck_assert_uint_eq(admitted(table, 7, now, "calls-per-second"), 0);
	for (uid_t uid = 1000; uid < 2000; uid++)
		ck_assert_uint_eq(admitted(table, uid, now + 10 * SECOND, "calls-per-second"), 10);
	rate_free(table);
	ck_assert_ptr_null(rate_free(NULL));
}
END_TEST

/* Whoever owes time is not waited for; who is unknown, or has some again, is. */
START_TEST(test_overdrawn)
{
	RateTable *table = new_table();
	uint64_t now = 5 * SECOND;

	ck_assert(!rate_is_overdrawn(table, 7, now));
	ck_assert_uint_eq(admitted(table, 7, now, "calls-per-second"), 10);
	ck_assert(!rate_is_overdrawn(table, 7, now));
	/* of 100 ms a second there are two seconds' */
	rate_charge(table, 7, 199 * 1000);
	ck_assert(!rate_is_overdrawn(table, 7, now));
	rate_charge(table, 7, 101 * 1000);
	ck_assert(rate_is_overdrawn(table, 7, now));
	ck_assert(!rate_is_overdrawn(table, 8, now));
	ck_assert(rate_is_overdrawn(table, 7, now + SECOND / 2));
	ck_assert(!rate_is_overdrawn(table, 7, now + 2 * SECOND));
	rate_free(table);
}
END_TEST

START_TEST(test_names)
{
	RateTable *table = new_table();

	ck_assert_str_eq(rate_name(RATE_CALLS), "calls-per-second");
	ck_assert_str_eq(rate_name(RATE_BUSY), "busy-milliseconds-per-second");
	ck_assert_uint_eq(rate_limit(table, RATE_CALLS), 10);
	ck_assert_uint_eq(rate_limit(table, RATE_BUSY), 100);
	rate_free(table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rate");
	TCase *tests = tcase_create("rate");
	SRunner *runner;
	int failed;

	/* a hundred thousand users take their time on a busy machine */
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_calls);
	tcase_add_test(tests, test_time);
	tcase_add_test(tests, test_debts_end);
	tcase_add_test(tests, test_never_refused_is_counted);
	tcase_add_test(tests, test_many_users);
	tcase_add_test(tests, test_overdrawn);
	tcase_add_test(tests, test_names);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
