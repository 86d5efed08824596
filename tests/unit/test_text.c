/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conditions in text: what they compile to, where C's rules ask for an `as` and where not, and every mistake
 * with its place and what the message tells to do.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpcond/bpcond.h>

#include "client/text_names.h"
#include "client/text_tree.h"
#include "condition/condition.h"
#include "condition/registers.h"
#include "tests/unit/text_fixture.h"

static void expect_tree(const char *text, const bpcond_text_scope *scope, const char *expected)
{
	char *json = text_compile(text, scope);

	ck_assert_msg(strcmp(json, expected) == 0, "%s\n  gives   %s\n  and not %s", text, json,
		      expected);
	free(json);
}

/* ---- What texts compile to ------------------------------------------------------------------- */

START_TEST(test_trees)
{
	expect_tree(TEXT_TREES[_i].text, &TEXT_EXECUTE, TEXT_TREES[_i].tree);
}
END_TEST

START_TEST(test_variables_of_data_breakpoints_and_lent_filters)
{
	expect_tree("value != previous", &TEXT_DATA,
		    "{\"!=\":[{\"var\":\"value\"},{\"var\":\"previous\"}]}");
	expect_tree("$_value < -1", &TEXT_DATA,
		    "{\"<\":[{\"var\":\"value\"},\"0xffffffffffffffff\"]}");
	expect_tree("(int)value < -1", &TEXT_DATA,
		    "{\"<\":[{\"as\":\"s32\",\"of\":{\"var\":\"value\"}},-1]}");
	expect_tree("$_counter == 26", &TEXT_LENT, "{\"==\":[{\"var\":\"counter\"},26]}");
	expect_tree("$rdi", NULL, "{\"reg\":\"rdi\"}");
}
END_TEST

/* `value` has the type of what is watched, $_value is as the daemon gives it. */
START_TEST(test_values_with_a_type)
{
	bpcond_text_scope scope = TEXT_DATA;

	scope.value_size = 4;
	scope.value_is_signed = 1;
	expect_tree("value < 0", &scope, "{\"<\":[{\"as\":\"s32\",\"of\":{\"var\":\"value\"}},0]}");
	expect_tree("value - previous > 0", &scope,
		    "{\">\":[{\"as\":\"s32\",\"of\":{\"-\":[{\"var\":\"value\"},{\"var\":"
		    "\"previous\"}]}},0]}");
	expect_tree("value == 0xffffffff", &scope,
		    "{\"==\":[{\"as\":\"u32\",\"of\":{\"var\":\"value\"}},4294967295]}");
	expect_tree("$_value < 5", &scope, "{\"<\":[{\"var\":\"value\"},5]}");
	scope.value_size = 8;
	expect_tree("previous < value", &scope,
		    "{\"<\":[{\"as\":\"s64\",\"of\":{\"var\":\"previous\"}},{\"as\":\"s64\","
		    "\"of\":{\"var\":\"value\"}}]}");
	scope.value_is_signed = 0;
	expect_tree("value < previous", &scope,
		    "{\"<\":[{\"var\":\"value\"},{\"var\":\"previous\"}]}");
	scope.value_size = 1;
	expect_tree("value - 1 < 0", &scope,
		    "{\"<\":[{\"-\":[{\"as\":\"u8\",\"of\":{\"var\":\"value\"}},1]},0]}");
	/* Not one of the sizes that there are. */
	scope.value_size = 3;
	expect_tree("value < 5", &scope, "{\"<\":[{\"var\":\"value\"},5]}");
}
END_TEST

/* ---- Mistakes -------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	unsigned line, column;
	const char *says;
} MISTAKES[] = {
	{"", 1, 1, "empty"},
	{"$rdi = 5", 1, 6, "`==`"},
	{"$rdi == 5, 1", 1, 10, "comma"},
	{"$rdi++ == 5", 1, 5, "`++`"},
	{"--$rdi", 1, 1, "`--`"},
	{"$rdi += 5", 1, 6, "`+=`"},
	{"$rdi <<= 5", 1, 6, "`<<=`"},
	{"$rdi ==", 1, 8, "ends where a value is wanted"},
	{"$rdi == == 5", 1, 9, "a value is missing before `==`"},
	{"($rdi == 5", 1, 11, "`)` is missing"},
	{"$rdi == 5)", 1, 10, "closes nothing"},
	{"$rdi 5", 1, 6, "an operator is missing"},
	{"$rdi ? 5", 1, 9, "`:` is missing"},
	{"$rdi : 5", 1, 6, "`?`"},
	{"$rdi == 5;", 1, 10, "semicolon"},
	{"$rdi == 5 // five", 1, 11, "comments"},
	{"$rdi and $rsi", 1, 6, "`&&`"},
	{"{\"==\": [1, 2]}", 1, 1, "expression"},
	{"$rdi == 1 &&\n  foo", 2, 3, "unknown name `foo`"},
	{"$rdi == 1 &&\n\n\t$rdx2", 3, 2, "did you mean `$rdx`"},
	{"$ == 1", 1, 1, "follows $"},
	{"$tid == 1", 1, 1, "did you mean `$_tid`"},
	{"$frobnicate", 1, 1, "no register or variable `$frobnicate`"},
	{"$xmm0 == 1", 1, 1, "floating-point and vector registers"},
	{"rdi == 1", 1, 1, "`$rdi`"},
	{"tid == 1", 1, 1, "`$_tid`"},
	{"previous == 1", 1, 1, "data breakpoints only"},
	{"$_previous == 1", 1, 1, "data breakpoints only"},
	{"$_counter == 1", 1, 1, "lent filters only"},
	{"twice == 1", 1, 1, "several"},
	{"nowhere == 1", 1, 1, "no place in memory"},
	{"1 + state", 1, 5, "`state` is no integer"},
	{"odd == 1", 1, 1, "no integer"},
	{"head == 1", 1, 1, "*(int *)((char *)&head + 8)"},
	{"*(short *)(&state + 6) == 1", 1, 19, "(char *)&"},
	{"&state - 1 == 0", 1, 8, "by which C would step"},
	{"&odd - &odd", 1, 6, "by which C would step"},
	{"opaque + 1 == 0", 1, 8, "by which C would step"},
	{"grid + 1 == 0", 1, 6, "by which C would step"},
	{"&table + 1 == 0", 1, 8, "by which C would step"},
	{"*&table == 1", 1, 1, "cast"},
	{"heads[1] == 1", 1, 6, "no integer type"},
	{"sizeof state", 1, 1, "size"},
	{"GREEN == 1", 1, 1, "enum"},
	{"shop::none == 1", 1, 1, "unknown name `shop::none`"},
	{"shop:: limit == 1", 1, 8, "NAMESPACE::NAME"},
	{"shop ::limit == 1", 1, 1, "unknown name `shop`"},
	{"max::min == 1", 1, 1, "unknown name `max::min`"},
	{"int == 1", 1, 1, "is a type"},
	{"(float)$rdi", 1, 2, "`float` is no integer type"},
	{"(struct foo *)$rdi", 1, 2, "`struct` is no integer type"},
	{"(unsigned foo)$rdi", 1, 11, "`foo` is no known type"},
	{"(short long)$rdi", 1, 2, "name no type"},
	{"(int[2])$rdi", 1, 5, "array types"},
	{"(void)$rdi", 1, 1, "void"},
	{"(int $rdi", 1, 6, "`)` is missing after the type"},
	{"*$rdi == 1", 1, 1, "*(int *)$rdi"},
	{"*$rsp == 1", 1, 1, "no integer type"},
	{"$rdi[1]", 1, 5, "cast"},
	{"&$rdi", 1, 1, "& gives the address"},
	{"$rdi->next", 1, 5, "members"},
	{"state.next", 1, 1, "no integer"},
	{"counter.next", 1, 8, "members"},
	{"main(1)", 1, 1, "cannot call"},
	{"(main)(1)", 1, 7, "cannot call"},
	{"strqe($rdi, \"a\")", 1, 1, "did you mean `streq`"},
	{"streq($rdi)", 1, 11, "streq(ADDRESS, \"text\")"},
	{"streq($rdi, 5)", 1, 13, "double quotes"},
	{"streq($rdi, \"a\", 1)", 1, 16, "comma"},
	{"streq($rdi, \"a\\0b\")", 1, 13, "NUL"},
	{"streq($rdi, \"\\xff\")", 1, 13, "UTF-8"},
	{"streq($rdi, \"a)", 1, 13, "does not end"},
	{"streq($rdi, \"\\q\")", 1, 14, "escape"},
	{"bytes_equal($rdi, \"abc\")", 1, 19, "hexadecimal digits"},
	{"bytes_equal($rdi, \"\")", 1, 19, "hexadecimal digits"},
	{"in_range($rdi, 1)", 1, 17, "in_range(VALUE, LOW, HIGH)"},
	{"masked($rdi, 1, 2, 3)", 1, 18, "three arguments"},
	{"\"GET\" == $rdi", 1, 1, "streq"},
	{"'ab' == $rdi", 1, 1, "one byte"},
	{"''", 1, 1, "one character"},
	{"1.5 < $rdi", 1, 1, "floating-point"},
	{"1e3 < $rdi", 1, 1, "floating-point"},
	{"08", 1, 2, "no digit in base 8"},
	{"0x", 1, 1, "digits are missing"},
	{"5lul", 1, 2, "suffixes"},
	{"9223372036854775808", 1, 1, "does not fit a long"},
	{"0x10000000000000000", 1, 1, "64 bits"},
	{"1 << 40 == $rdi", 1, 3, "cast that to long"},
	{"$edi >> -1", 1, 6, "0 to 31"},
	{"5 - (char *)$rdi", 1, 3, "pointer"},
	{"(char *)$rdi + (char *)$rsi", 1, 14, "two pointers"},
	{"(char *)$rdi - (int *)$rsi", 1, 14, "different sizes"},
	{"sizeof(void)", 1, 1, "size"},
	{"sizeof table", 1, 1, "size"},
	{"$rdi @ 3", 1, 6, "`@` means nothing"},
	{"$rdi == \x01", 1, 9, "byte 0x01"},
	{"gr\xc3\xb6\xc3\x9f"
	 "e",
	 1, 3, "byte 0xc3"},
};

START_TEST(test_mistakes)
{
	bpcond_text_error error = {.message = ""};
	char *json = (char *)&json;
	int r = bpcond_condition_from_text(MISTAKES[_i].text, &TEXT_EXECUTE, &json, &error);

	ck_assert_msg(r == 1, "%s: %d", MISTAKES[_i].text, r);
	ck_assert_ptr_eq(json, (char *)&json);
	ck_assert_msg(strstr(error.message, MISTAKES[_i].says) != NULL,
		      "%s: \"%s\" does not say \"%s\"", MISTAKES[_i].text, error.message,
		      MISTAKES[_i].says);
	ck_assert_msg(error.line == MISTAKES[_i].line && error.column == MISTAKES[_i].column,
		      "%s: at %u:%u, not %u:%u: %s", MISTAKES[_i].text, error.line, error.column,
		      MISTAKES[_i].line, MISTAKES[_i].column, error.message);
}
END_TEST

/* The lookup's own failure is forwarded; without a place for the error nothing is written. */
START_TEST(test_failures_of_the_lookup)
{
	bpcond_text_error error = {.message = "as it was"};
	char *json = NULL;

	ck_assert_int_eq(bpcond_condition_from_text("broken", &TEXT_EXECUTE, &json, &error), -EIO);
	ck_assert_str_eq(error.message, "as it was");
	ck_assert_int_eq(bpcond_condition_from_text("foo", NULL, &json, NULL), 1);
	ck_assert_ptr_null(json);
}
END_TEST

static char *repeated(const char *before, const char *unit, size_t n, const char *after)
{
	size_t length = strlen(unit);
	char *text = malloc(strlen(before) + n * length + strlen(after) + 1), *p;

	p = stpcpy(text, before);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, unit);
	strcpy(p, after);
	return text;
}

/* Large and deep texts end in a message, at once and without a deep stack. */
START_TEST(test_sizes)
{
	static const struct {
		const char *before, *unit;
		size_t n;
		const char *after, *says;
	} CASES[] = {
		{"", "(", 20000, "1", "nested too deeply"},
		{"", "-", 20000, "1", "`--`"},
		{"", "- ", 10000, "1", "nested too deeply"},
		{"", "1?", 10000, "1", "nested too deeply"},
		{"1", "?1:1", 7000, "", "nested too deeply"},
		{"$rdi", "-$rdi", 6000, "", "too large"},
		{"$rdi", "+$rdi", 6000, "", "too large"},
		{"$rdi", " ", 40000, "", "longer than 32768 bytes"},
	};
	bpcond_text_error error;
	char *text, *json;

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		text = repeated(CASES[i].before, CASES[i].unit, CASES[i].n, CASES[i].after);
		ck_assert_int_eq(bpcond_condition_from_text(text, NULL, &json, &error), 1);
		ck_assert_msg(strstr(error.message, CASES[i].says) != NULL, "%zu: %s", i,
			      error.message);
		free(text);
	}
	text = repeated("$rdi", "+$rdi", 250, "");
	free(text_compile(text, NULL));
	free(text);
}
END_TEST

/* ---- One language on both sides ---------------------------------------------------------------- */

/* Every name of a register that the daemon takes is known here, with the same type. */
START_TEST(test_registers_are_the_daemons)
{
	size_t n = 0;

	for (;; n++) {
		const Register *theirs = register_at(n), *same;
		const TextRegister *ours;

		if (!theirs)
			break;
		ours = text_register_find(theirs->name, strlen(theirs->name));
		ck_assert_msg(ours != NULL, "%s", theirs->name);
		same = register_by_name(ours->name);
		ck_assert_msg(same && same->whole == theirs->whole && same->shift == theirs->shift,
			      "%s", theirs->name);
		ck_assert_msg(strcmp(tree_type_name(ours->type), value_type_name(theirs->type)) ==
				      0,
			      "%s", theirs->name);
	}
	ck_assert_uint_gt(n, 60);
}
END_TEST

static Suite *text_suite(void)
{
	Suite *suite = suite_create("text");
	TCase *trees = tcase_create("trees"), *mistakes = tcase_create("mistakes");

	tcase_add_loop_test(trees, test_trees, 0, TEXT_N_TREES);
	tcase_add_test(trees, test_variables_of_data_breakpoints_and_lent_filters);
	tcase_add_test(trees, test_values_with_a_type);
	tcase_add_test(trees, test_registers_are_the_daemons);
	suite_add_tcase(suite, trees);
	tcase_add_loop_test(mistakes, test_mistakes, 0, sizeof(MISTAKES) / sizeof(MISTAKES[0]));
	tcase_add_test(mistakes, test_failures_of_the_lookup);
	tcase_add_test(mistakes, test_sizes);
	suite_add_tcase(suite, mistakes);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(text_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
