/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said to a caller: always a text that a bus takes, whatever was quoted in it. */
#include "daemon/refusal.h"
#include "json/utf8.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_kind_and_text)
{
	Refusal refusal;

	ck_assert_int_eq(refuse(&refusal, REFUSED_TARGET_EXITED, "process %d is gone", 7),
			 REFUSED_TARGET_EXITED);
	ck_assert_int_eq(refusal.kind, REFUSED_TARGET_EXITED);
	ck_assert_str_eq(refusal.text, "process 7 is gone");
}
END_TEST

/* Whatever the alignment, the cut leaves no half character. */
START_TEST(test_cut_is_utf8)
{
	char quoted[2048] = "";
	Refusal refusal;
	size_t length;

	for (int i = 0; i < _i; i++)
		strcat(quoted, "x");
	for (int i = 0; i < 300; i++)
		strcat(quoted, "\xe2\x82\xac");
	refuse(&refusal, REFUSED_INVALID_SPEC, "%s", quoted);
	length = strlen(refusal.text);
	ck_assert_uint_eq(length, sizeof(refusal.text) - 1);
	ck_assert_str_eq(refusal.text + length - 3, "...");
	for (size_t at = 0; at < length;) {
		size_t width = utf8_length(refusal.text + at, length - at);

		ck_assert_uint_gt(width, 0);
		at += width;
	}
}
END_TEST

START_TEST(test_place)
{
	Refusal refusal;

	ck_assert_int_eq(refuse_at(&refusal, REFUSED_INVALID_CONDITION, "$.a[1]", 17, "wrong\n"),
			 REFUSED_INVALID_CONDITION);
	ck_assert_int_eq(refusal.kind, REFUSED_INVALID_CONDITION);
	ck_assert_str_eq(refusal.text, "$.a[1] (byte 17): wrong?");
	ck_assert_str_eq(refusal.path, "$.a[1]");
	ck_assert_str_eq(refusal.sentence, "wrong?");
	ck_assert_uint_eq(refusal.offset, 17);
	/* What was said before about a place is forgotten. */
	refuse(&refusal, REFUSED_TARGET_EXITED, "gone");
	ck_assert_str_eq(refusal.path, "");
	ck_assert_str_eq(refusal.sentence, "");
	ck_assert_uint_eq(refusal.offset, 0);
}
END_TEST

START_TEST(test_quoted_bytes)
{
	Refusal refusal;

	refuse(&refusal, REFUSED_INVALID_ARGUMENT, "no \"%s\"", "\x1b[31m\xff\n");
	ck_assert_str_eq(refusal.text, "no \"?[31m??\"");
}
END_TEST

START_TEST(test_names)
{
	static const struct {
		RefusalKind kind;
		const char *name;
	} names[] = {
		{REFUSED_NOT, "org.freedesktop.DBus.Error.Failed"},
		{REFUSED_INVALID_SPEC, "org.bpcond1.Error.InvalidSpec"},
		{REFUSED_INVALID_CONDITION, "org.bpcond1.Error.InvalidCondition"},
		{REFUSED_NO_SUCH_TARGET, "org.bpcond1.Error.NoSuchTarget"},
		{REFUSED_TARGET_EXITED, "org.bpcond1.Error.TargetExited"},
		{REFUSED_NOT_AUTHORIZED, "org.bpcond1.Error.NotAuthorized"},
		{REFUSED_NO_FREE_SLOT, "org.bpcond1.Error.NoFreeSlot"},
		{REFUSED_QUOTA_EXCEEDED, "org.bpcond1.Error.QuotaExceeded"},
		{REFUSED_NOT_SUPPORTED, "org.bpcond1.Error.NotSupported"},
		{REFUSED_INVALID_ARGUMENT, "org.freedesktop.DBus.Error.InvalidArgs"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_str_eq(refusal_error_name(names[i].kind), names[i].name);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("refusal");
	TCase *tests = tcase_create("refusal");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_kind_and_text);
	tcase_add_loop_test(tests, test_cut_is_utf8, 0, 3);
	tcase_add_test(tests, test_place);
	tcase_add_test(tests, test_quoted_bytes);
	tcase_add_test(tests, test_names);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
