/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trees back to text: what it looks like, that it compiles to the same tree again, and what is no tree.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpcond/text.h>

#include "tests/unit/text_fixture.h"

static void expect_stable(const char *text, const bpcond_text_scope *scope)
{
	char *tree = text_compile(text, scope), *again = NULL, *tree_again;
	int r = bpcond_condition_to_text(tree, &again);

	ck_assert_msg(r == 0, "%s, from %s: %d", tree, text, r);
	tree_again = text_compile(again, scope);
	ck_assert_msg(strcmp(tree, tree_again) == 0, "%s\n  gives %s\n  as text %s\n  gives %s",
		      text, tree, again, tree_again);
	free(tree_again);
	free(again);
	free(tree);
}

START_TEST(test_text_is_stable)
{
	/* A symbol's address stays, its name does not: so a parameter cannot hide it. */
	expect_stable(TEXT_TREES[_i].text, &TEXT_EXECUTE);
}
END_TEST

static const struct {
	const char *tree, *text;
} TEXTS[] = {
	{"{\"==\":[{\"reg\":\"rdi\"},500]}", "$rdi == 500"},
	{"{\"==\":[{\"reg\":\"rdi\"},\"0x1f4\"]}", "$rdi == 500"},
	{"{\"registers\":{\"rax\":1,\"rbx\":{\"param\":\"rbx\"}}}", "$rax == 1 && $rbx == rbx"},
	{"{\"!\":[{\"registers\":{\"rax\":1}}]}", "!($rax == 1)"},
	{"{\"<\":[{\"+\":[{\"reg\":\"edi\"},1]},5]}", "(long)$edi + 1 < 5"},
	{"{\"<\":[{\"as\":\"s32\",\"of\":{\"+\":[{\"reg\":\"edi\"},1]}},5]}", "$edi + 1 < 5"},
	{"{\"<\":[{\"-\":[{\"reg\":\"rsp\"},{\"reg\":\"rbp\"}]},5]}",
	 "(unsigned long)($rsp - $rbp) < 5"},
	{"{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":\"rsi\"},8]}}", "*(int *)($rsi + 8)"},
	{"{\"string-equals\":[{\"reg\":\"rdi\"},\"a\\\"\\u0001\"]}", "streq($rdi, \"a\\\"\\001\")"},
	{"{\"if\":[{\"reg\":\"rax\"},1,{\"if\":[{\"reg\":\"rbx\"},2,3]}]}",
	 "$rax ? 1 : $rbx ? 2 : 3"},
	{"{\"in\":[{\"reg\":\"rax\"},-5,5]}", "in_range($rax, -5, 5)"},
	{"{\"-\":[{\"-\":[{\"reg\":\"rax\"}]}]}", "-(-$rax)"},
	{"{\"-\":[{\"reg\":\"rax\"},{\"-\":[{\"reg\":\"rbx\"},-1]}]}", "$rax - ($rbx - -1)"},
	{"{\"var\":\"previous\"}", "previous"},
	{"{\"var\":\"counter\"}", "$_counter"},
	{"-9223372036854775808", "(-9223372036854775807 - 1)"},
	{"18446744073709551615", "0xffffffffffffffff"},
	{"{\"/\":[1,0]}", "1 / 0"},
	{"{\"+\":[1,2]}", "3"},
	{"{\"<<\":[1,40]}", "1099511627776"},
};

START_TEST(test_texts)
{
	char *text = NULL;
	int r = bpcond_condition_to_text(TEXTS[_i].tree, &text);

	ck_assert_msg(r == 0, "%s: %d", TEXTS[_i].tree, r);
	ck_assert_str_eq(text, TEXTS[_i].text);
	free(text);
}
END_TEST

START_TEST(test_no_trees)
{
	static const char *const NONE[] = {
		"",
		"x",
		"null",
		"true",
		"1.5",
		"\"5\"",
		"\"0x\"",
		"\"0x12345678901234567\"",
		"[]",
		"{}",
		"{\"reg\":\"nope\"}",
		"{\"reg\":5}",
		"{\"var\":\"nope\"}",
		"{\"nope\":[1,2]}",
		"{\"+\":[1]}",
		"{\"!\":[1,2]}",
		"{\"if\":[1,2]}",
		"{\"+\":5}",
		"{\"==\":[1,2],\"x\":1}",
		"{\"load\":\"s32\"}",
		"{\"load\":\"s33\",\"at\":1}",
		"{\"load\":\"s32\",\"at\":1,\"x\":2}",
		"{\"string-equals\":[1]}",
		"{\"string-equals\":[1,2]}",
		"{\"registers\":{}}",
		"{\"registers\":{\"nope\":1}}",
		"{\"string-equals\":[1,\"a\\u0000b\"]}",
		"1 2",
		"18446744073709551616",
		"-9223372036854775809",
		"{\"param\":\"a b\"}",
		"{\"bytes-equal\":[1,\"0\"]}",
	};
	char *text = (char *)&text;

	for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++)
		ck_assert_msg(bpcond_condition_to_text(NONE[i], &text) == -EINVAL, "%s", NONE[i]);
	ck_assert_ptr_eq(text, (char *)&text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text back");
	TCase *texts = tcase_create("texts");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(texts, test_text_is_stable, 0, TEXT_N_TREES);
	tcase_add_loop_test(texts, test_texts, 0, sizeof(TEXTS) / sizeof(TEXTS[0]));
	tcase_add_test(texts, test_no_trees);
	suite_add_tcase(suite, texts);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
