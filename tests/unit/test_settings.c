/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings file: what it may say, and that nothing else is overlooked. */
#include "daemon/settings.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void parse(const char *text, Settings *ret)
{
	char message[512] = "";

	ck_assert_msg(settings_parse(text, ret, message, sizeof(message)) == 0, "%s", message);
}

START_TEST(test_what_it_may_say)
{
	Settings defaults, settings;

	settings_default(&defaults);
	parse("", &settings);
	ck_assert_mem_eq(&settings, &defaults, sizeof(settings));
	parse("# a comment = 5\n\n  \t\n", &settings);
	ck_assert_mem_eq(&settings, &defaults, sizeof(settings));

	parse("sessions=5\n  ring-bytes = 8M \r\nevents=2K\ncalls-per-second=7\n#x\n"
	      "lent-filters=0",
	      &settings);
	ck_assert_uint_eq(settings.quotas[QUOTA_SESSIONS], 5);
	ck_assert_uint_eq(settings.quotas[QUOTA_RING_BYTES], 8 << 20);
	ck_assert_uint_eq(settings.quotas[QUOTA_EVENTS], 2048);
	ck_assert_uint_eq(settings.quotas[QUOTA_LENT_FILTERS], 0);
	ck_assert_uint_eq(settings.rates[RATE_CALLS], 7);
	ck_assert_uint_eq(settings.quotas[QUOTA_BREAKPOINTS], defaults.quotas[QUOTA_BREAKPOINTS]);
	ck_assert_uint_eq(settings.rates[RATE_BUSY], defaults.rates[RATE_BUSY]);
}
END_TEST

START_TEST(test_mistakes)
{
	static const struct {
		const char *text, *part;
	} table[] = {
		{"sessions", "line 1: \"sessions\" is no setting"},
		{"\n\nsession=5", "line 3: there is no setting \"session\": there are sessions,"},
		{"SESSIONS=5", "no setting \"SESSIONS\""},
		{"=5", "no setting \"\""},
		{"sessions=", "sessions is \"\": give a number from 1 to 100000"},
		{"sessions=0", "sessions is \"0\""},
		{"sessions=-1", "sessions is \"-1\""},
		{"sessions=+1", "sessions is \"+1\""},
		{"sessions=0x10", "sessions is \"0x10\""},
		{"sessions=5 # five", "sessions is \"5 # five\""},
		{"sessions=5x", "sessions is \"5x\""},
		{"sessions=5KK", "sessions is \"5KK\""},
		{"sessions=5k", "sessions is \"5k\""},
		{"sessions=1e3", "sessions is \"1e3\""},
		{"sessions=18446744073709551617", "sessions is \"18446744073709551617\""},
		{"ring-bytes=18014398509481984G", "ring-bytes is"},
		{"busy-milliseconds-per-second=1001", "from 1 to 1000"},
		{"sessions=5\nsessions=5", "line 2: sessions is set twice"},
		{"[limits]\nsessions=5", "line 1: \"[limits]\" is no setting"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char message[512] = "";
		Settings settings;

		memset(&settings, 0x5a, sizeof(settings));
		ck_assert_msg(settings_parse(table[i].text, &settings, message, sizeof(message)) ==
				      -EINVAL,
			      "%s", table[i].text);
		ck_assert_msg(strstr(message, table[i].part) != NULL, "%s: %s", table[i].text,
			      message);
		/* and nothing of it was taken over */
		ck_assert_uint_eq(settings.quotas[QUOTA_SESSIONS], 0x5a5a5a5a5a5a5a5a);
	}
}
END_TEST

START_TEST(test_files)
{
	char path[] = "/tmp/test_settings-XXXXXX", message[512] = "";
	int fd = mkstemp(path);
	Settings settings;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "sessions=9\n", 11), 11);
	ck_assert_int_eq(settings_read(path, &settings, message, sizeof(message)), 0);
	ck_assert_uint_eq(settings.quotas[QUOTA_SESSIONS], 9);
	/* what comes behind a zero byte would be overlooked */
	ck_assert_int_eq(write(fd, "\0events=1\n", 10), 10);
	ck_assert_int_eq(settings_read(path, &settings, message, sizeof(message)), -EINVAL);
	ck_assert_msg(strstr(message, "zero byte") != NULL, "%s", message);
	close(fd);
	unlink(path);
	ck_assert_int_eq(settings_read(path, &settings, message, sizeof(message)), -ENOENT);
	ck_assert_int_eq(settings_read("/tmp", &settings, message, sizeof(message)), -EISDIR);
	ck_assert_msg(strlen(message) > 10, "%s", message);
}
END_TEST

/* By default 64 users at all of their limits fit into the descriptors that the unit allows. */
START_TEST(test_64_users_fit)
{
	Settings settings;

	settings_default(&settings);
	ck_assert_uint_le(64 * settings_descriptors(&settings), 524288 - 1024);
	settings.quotas[QUOTA_EVENTS] += 4096;
	ck_assert_uint_gt(64 * settings_descriptors(&settings), 524288);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *tests = tcase_create("settings");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_what_it_may_say);
	tcase_add_test(tests, test_mistakes);
	tcase_add_test(tests, test_files);
	tcase_add_test(tests, test_64_users_fit);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
