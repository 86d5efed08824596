/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading conditions: each mistake with the path and the words by which a person finds it, each limit
 * at its value and one beyond, the normal form.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <json-c/json.h>

#include "condition/condition.h"

static const char *const parameters[] = {"limit", "max"};

static int read_condition(const char *json, ConditionUse use, Condition **ret,
			  ConditionError *error)
{
	ConditionScope scope = {use, parameters, 2};
	struct json_tokener *tokener = json_tokener_new_ex(2000);
	struct json_object *tree = json_tokener_parse_ex(tokener, json, strlen(json) + 1);
	int r;

	ck_assert_msg(json_tokener_get_error(tokener) == json_tokener_success, "no JSON: %.99s",
		      json);
	r = condition_from_json(tree, "$.condition", &scope, ret, error);
	json_object_put(tree);
	json_tokener_free(tokener);
	return r;
}

static const struct {
	const char *json;
	ConditionUse use;
	const char *path;
	const char *words; /* in the message */
} mistakes[] = {
	/* not an expression */
	{"null", 0, "$.condition", "null"},
	{"true", 0, "$.condition", "this is true, where"},
	{"1.5", 0, "$.condition", "fraction"},
	{"1e3", 0, "$.condition", "fraction"},
	{"NaN", 0, "$.condition", "fraction"},
	{"[1]", 0, "$.condition", "an array"},
	{"{}", 0, "$.condition", "empty object"},
	{"\"42\"", 0, "$.condition", "\"42\" is not a number"},
	{"\"0x\"", 0, "$.condition", "not a number"},
	{"\"0x10000000000000000\"", 0, "$.condition", "64 bits"},
	{"\"0x12g\"", 0, "$.condition", "not a number"},
	{"\"-0x1\"", 0, "$.condition", "not a number"},
	{"\"rdi\"", 0, "$.condition", "{\"reg\": NAME}"},
	{"{\"==\":[{\"reg\":\"rdi\"},null]}", 0, "$.condition[\"==\"][1]", "null"},
	{"{\"and\":[1,{\"!\":[false]}]}", 0, "$.condition.and[1][\"!\"][0]", "this is false, where"},

	/* operators */
	{"{\"=\":[1,2]}", 0, "$.condition[\"=\"]", "\"=\" is not an operator"},
	{"{\"xor\":[1,2]}", 0, "$.condition.xor", "did you mean \"or\"?"},
	{"{\"string-equal\":[1,\"x\"]}", 0, "$.condition.string-equal",
	 "did you mean \"string-equals\"?"},
	{"{\"AND\":[1,2]}", 0, "$.condition.AND", "did you mean \"and\"?"},
	{"{\"at\":1}", 0, "$.condition.at", "belongs to {\"load\""},
	{"{\"of\":1}", 0, "$.condition.of", "belongs to {\"as\""},
	{"{\"==\":[1,2],\"!=\":[1,2]}", 0, "$.condition[\"!=\"]", "one operator"},
	{"{\"reg\":\"rdi\",\"at\":1}", 0, "$.condition.at", "one operator"},
	{"{\"load\":\"u8\",\"at\":1,\"of\":1}", 0, "$.condition.of", "one operator"},
	{"{\"load\":\"u8\"}", 0, "$.condition", "wants \"at\""},
	{"{\"as\":\"u8\"}", 0, "$.condition", "wants \"of\""},
	{"{\"as\":\"u8\",\"at\":1}", 0, "$.condition.at", "one operator"},
	{"{\"a\\nb\\u00e4\":[1]}", 0, NULL, "\"a?b??\""},

	/* how many operands */
	{"{\"==\":[1]}", 0, "$.condition[\"==\"]", "two operands; it has 1"},
	{"{\"==\":[1,2,3]}", 0, "$.condition[\"==\"]", "two operands; it has 3"},
	{"{\"==\":5}", 0, "$.condition[\"==\"]", "an array"},
	{"{\"+\":[1]}", 0, "$.condition[\"+\"]", "at least two operands; it has 1"},
	{"{\"and\":[]}", 0, "$.condition.and", "at least two operands; it has 0"},
	{"{\"or\":{\"reg\":\"rdi\"}}", 0, "$.condition.or", "an array"},
	{"{\"-\":[1,2,3]}", 0, "$.condition[\"-\"]", "one or two operands; it has 3"},
	{"{\"-\":[]}", 0, "$.condition[\"-\"]", "one or two operands; it has 0"},
	{"{\"!\":[1,2]}", 0, "$.condition[\"!\"]", "one operand; it has 2"},
	{"{\"~\":[]}", 0, "$.condition[\"~\"]", "one operand; it has 0"},
	{"{\"if\":[1,2]}", 0, "$.condition.if", "three operands; it has 2"},
	{"{\"in\":[1,2,3,4]}", 0, "$.condition.in", "three operands; it has 4"},
	{"{\"masked\":[1,2]}", 0, "$.condition.masked", "three operands; it has 2"},
	{"{\"string-equals\":[1]}", 0, "$.condition.string-equals", "two operands"},
	{"{\"string-starts\":[1,\"a\",\"b\"]}", 0, "$.condition.string-starts", "two operands"},

	/* registers */
	{"{\"reg\":5}", 0, "$.condition.reg", "a number, where the name of a register"},
	{"{\"reg\":\"edii\"}", 0, "$.condition.reg", "did you mean \"edi\"?"},
	{"{\"reg\":\"RDI\"}", 0, "$.condition.reg", "did you mean \"rdi\"?"},
	{"{\"reg\":\"$rdi\"}", 0, "$.condition.reg", "did you mean \"rdi\"?"},
	{"{\"reg\":\"r16\"}", 0, "$.condition.reg", "did you mean \"r1"},
	{"{\"reg\":\"program_counter\"}", 0, "$.condition.reg", "use gdb's names"},
	{"{\"reg\":\"xmm0\"}", 0, "$.condition.reg", "vector registers"},
	{"{\"reg\":\"st0\"}", 0, "$.condition.reg", "vector registers"},
	{"{\"reg\":\"ds\"}", 0, "$.condition.reg", "does not save"},
	{"{\"reg\":\"rdi\\u0000\"}", 0, "$.condition.reg", "NUL"},
	{"{\"reg\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", 0,
	 "$.condition.reg", "longer than"},
	{"{\"registers\":{}}", 0, "$.condition.registers", "register names"},
	{"{\"registers\":[1]}", 0, "$.condition.registers", "register names"},
	{"{\"registers\":{\"rax\":1,\"foo\":2}}", 0, "$.condition.registers.foo", "not a register"},
	{"{\"registers\":{\"rax\":null}}", 0, "$.condition.registers.rax", "null"},

	/* parameters and variables */
	{"{\"param\":\"maxx\"}", 0, "$.condition.param", "did you mean \"max\"?"},
	{"{\"param\":\"other\"}", 0, "$.condition.param", "declare it"},
	{"{\"param\":[]}", 0, "$.condition.param", "an array, where the name of a parameter"},
	{"{\"var\":\"tids\"}", 0, "$.condition.var", "did you mean \"tid\"?"},
	{"{\"var\":\"x\"}", 0, "$.condition.var", "not a variable"},
	{"{\"var\":\"value\"}", CONDITION_FOR_EXECUTE, "$.condition.var", "\"access\""},
	{"{\"var\":\"previous\"}", CONDITION_FOR_EXECUTE, "$.condition.var", "\"access\""},
	{"{\"var\":\"value\"}", CONDITION_FOR_LENT, "$.condition.var", "lent filter"},
	{"{\"var\":\"counter\"}", CONDITION_FOR_EXECUTE, "$.condition.var", "LendFilter"},
	{"{\"var\":\"counter\"}", CONDITION_FOR_DATA, "$.condition.var", "LendFilter"},

	/* types */
	{"{\"load\":\"int\",\"at\":1}", 0, "$.condition.load", "u8 s8 u16"},
	{"{\"load\":8,\"at\":1}", 0, "$.condition.load", "the name of a type"},
	{"{\"as\":\"u128\",\"of\":1}", 0, "$.condition.as", "u8 s8 u16"},
	{"{\"load\":\"u8\",\"at\":[]}", 0, "$.condition.at", "an array"},
	{"{\"load\":\"u8\",\"at\":{\"reg\":\"x\"}}", 0, "$.condition.at.reg", "not a register"},

	/* strings and bytes */
	{"{\"string-equals\":[{\"reg\":\"rdi\"},5]}", 0, "$.condition.string-equals[1]",
	 "a number, where a string"},
	{"{\"string-equals\":[\"text\",{\"reg\":\"rdi\"}]}", 0, "$.condition.string-equals[0]",
	 "not a number"},
	{"{\"string-starts\":[1,\"a\\u0000b\"]}", 0, "$.condition.string-starts[1]", "NUL"},
	{"{\"bytes-equal\":[1,\"0\"]}", 0, "$.condition.bytes-equal[1]", "odd number"},
	{"{\"bytes-equal\":[1,\"0x00\"]}", 0, "$.condition.bytes-equal[1]", "two for each"},
	{"{\"bytes-equal\":[1,\"zz\"]}", 0, "$.condition.bytes-equal[1]", "two for each"},
	{"{\"bytes-equal\":[1,{}]}", 0, "$.condition.bytes-equal[1]", "an object"},
};

START_TEST(test_mistakes)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		Condition *condition = NULL;
		ConditionError error = {0};
		int r = read_condition(mistakes[i].json, mistakes[i].use, &condition, &error);

		ck_assert_msg(r == 1, "%s is %d", mistakes[i].json, r);
		ck_assert_ptr_null(condition);
		if (mistakes[i].path)
			ck_assert_msg(strcmp(error.path, mistakes[i].path) == 0, "%s: path %s",
				      mistakes[i].json, error.path);
		ck_assert_msg(strstr(error.message, mistakes[i].words) != NULL, "%s: %s",
			      mistakes[i].json, error.message);
		for (const char *c = error.message; *c; c++)
			ck_assert_msg(*c >= 0x20 && *c < 0x7f, "%s: %s", mistakes[i].json,
				      error.message);
	}
}
END_TEST

static void expect(const char *json, int expected, const char *words)
{
	Condition *condition = NULL;
	ConditionError error = {0};
	int r = read_condition(json, CONDITION_FOR_DATA, &condition, &error);

	ck_assert_msg(r == expected, "%d, not %d: %s: %s", r, expected, error.path, error.message);
	if (r == 1)
		ck_assert_msg(strstr(error.message, words) != NULL, "%s", error.message);
	condition_free(condition);
}

/* {"+":[1,1,...]} with n nodes */
static char *wide(unsigned int n)
{
	char *json = malloc(16 + 2 * n), *at = json;

	at += sprintf(at, "{\"+\":[1");
	for (unsigned int i = 2; i < n; i++)
		at += sprintf(at, ",1");
	sprintf(at, "]}");
	return json;
}

/* n levels, the innermost a constant */
static char *deep(unsigned int n)
{
	char *json = malloc(16 + 8 * n), *at = json;

	*at = '\0';
	for (unsigned int i = 1; i < n; i++)
		at += sprintf(at, "{\"~\":[");
	at += sprintf(at, "1");
	for (unsigned int i = 1; i < n; i++)
		at += sprintf(at, "]}");
	return json;
}

START_TEST(test_limits)
{
	char *json, *text;

	json = wide(CONDITION_MAX_NODES);
	expect(json, 0, NULL);
	free(json);
	json = wide(CONDITION_MAX_NODES + 1);
	expect(json, 1, "limit on nodes, 256");
	free(json);
	json = wide(100000);
	expect(json, 1, "limit on nodes, 256");
	free(json);
	json = deep(CONDITION_MAX_DEPTH);
	expect(json, 0, NULL);
	free(json);
	json = deep(CONDITION_MAX_DEPTH + 1);
	expect(json, 1, "limit on depth, 32");
	free(json);
	json = deep(900);
	expect(json, 1, "limit on depth, 32");
	free(json);

	text = malloc(CONDITION_MAX_TEXT + 2);
	memset(text, 'a', CONDITION_MAX_TEXT + 1);
	text[CONDITION_MAX_TEXT + 1] = '\0';
	json = malloc(3 * CONDITION_MAX_TEXT);
	sprintf(json, "{\"string-equals\":[1,\"%.*s\"]}", CONDITION_MAX_TEXT, text);
	expect(json, 0, NULL);
	sprintf(json, "{\"string-equals\":[1,\"%s\"]}", text);
	expect(json, 1, "limit on text, 4096");
	sprintf(json, "{\"bytes-equal\":[1,\"%.*s%.*s\"]}", CONDITION_MAX_TEXT, text,
		CONDITION_MAX_TEXT, text);
	expect(json, 0, NULL);
	sprintf(json, "{\"bytes-equal\":[1,\"%.*s%.*saa\"]}", CONDITION_MAX_TEXT, text,
		CONDITION_MAX_TEXT, text);
	expect(json, 1, "limit on text, 4096");
	sprintf(json,
		"{\"or\":[{\"string-equals\":[1,\"%.*s\"]},{\"string-starts\":[1,\"%.*s\"]}]}",
		CONDITION_MAX_TEXT / 2, text, CONDITION_MAX_TEXT / 2, text);
	expect(json, 0, NULL);
	sprintf(json,
		"{\"or\":[{\"string-equals\":[1,\"%.*s\"]},{\"string-starts\":[1,\"%.*s\"]}]}",
		CONDITION_MAX_TEXT / 2, text, CONDITION_MAX_TEXT / 2 + 1, text);
	expect(json, 1, "limit on text, 4096");
	free(json);
	free(text);
}
END_TEST

/* `registers` is 1 + its entries. */
START_TEST(test_nodes_of_registers)
{
	char json[8192], *at = json;

	at += sprintf(at, "{\"and\":[{\"registers\":{\"rax\":1,\"rbx\":{\"param\":\"max\"}}}");
	for (unsigned int i = 0; i < CONDITION_MAX_NODES - 4; i++)
		at += sprintf(at, ",1");
	strcpy(at, "]}");
	expect(json, 0, NULL);
	strcpy(at, ",1]}");
	expect(json, 1, "limit on nodes");
}
END_TEST

static const struct {
	const char *json, *normal;
} forms[] = {
	{"\"0x10\"", "16"},
	{"-5", "-5"},
	{"\"0xffffffffffffffff\"", "18446744073709551615"},
	{"18446744073709551615", "18446744073709551615"},
	{"\"0x7fffffffffffffff\"", "9223372036854775807"},
	{"{ \"-\" : 5 }", "{\"-\":[5]}"},
	{"{\"!\":{\"reg\":\"rdi\"}}", "{\"!\":[{\"reg\":\"rdi\"}]}"},
	{"{\"at\":{\"reg\":\"rsi\"},\"load\":\"s32\"}",
	 "{\"load\":\"s32\",\"at\":{\"reg\":\"rsi\"}}"},
	{"{\"of\":7,\"as\":\"u8\"}", "{\"as\":\"u8\",\"of\":7}"},
	{"{\"+\":[1,2,3]}", "{\"+\":[1,2,3]}"},
	{"{\"param\":\"max\"}", "{\"param\":\"max\"}"},
	{"{\"var\":\"value\"}", "{\"var\":\"value\"}"},
	{"{\"bytes-equal\":[1,\"00FFab\"]}", "{\"bytes-equal\":[1,\"00ffab\"]}"},
	{"{\"string-equals\":[1,\"a\\\"\\u00e4\"]}", "{\"string-equals\":[1,\"a\\\"\xc3\xa4\"]}"},
	{"{\"string-starts\":[1,\"\"]}", "{\"string-starts\":[1,\"\"]}"},
	{"{\"registers\":{\"rbx\":\"0x2\",\"rax\":1}}", "{\"registers\":{\"rbx\":2,\"rax\":1}}"},
	{"{\"if\":[{\"in\":[1,2,3]},{\"masked\":[4,5,6]},{\"<<\":[1,2]}]}",
	 "{\"if\":[{\"in\":[1,2,3]},{\"masked\":[4,5,6]},{\"<<\":[1,2]}]}"},
};

static void expect_form(const char *json, const char *normal)
{
	Condition *condition = NULL;
	ConditionError error = {0};
	struct json_object *tree;
	int r = read_condition(json, CONDITION_FOR_DATA, &condition, &error);

	ck_assert_msg(r == 0, "%s: %s", json, error.message);
	ck_assert_int_eq(condition_to_json(condition, &tree), 0);
	ck_assert_str_eq(json_object_to_json_string_ext(
				 tree, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			 normal);
	json_object_put(tree);
	condition_free(condition);
}

START_TEST(test_normal_form)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		expect_form(forms[i].json, forms[i].normal);
		expect_form(forms[i].normal, forms[i].normal);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("condition-json");
	TCase *tests = tcase_create("condition-json");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, test_mistakes);
	tcase_add_test(tests, test_limits);
	tcase_add_test(tests, test_nodes_of_registers);
	tcase_add_test(tests, test_normal_form);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
