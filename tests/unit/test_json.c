/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strict JSON reader: what RFC 8259 allows and no more, and where an error is said to stand. */
#include "json/strict_json.h"
#include "json/utf8.h"

#include <check.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 8

/* A literal with its length, since texts hold zero bytes. */
#define TEXT(literal) literal, sizeof(literal) - 1

typedef struct Accepted {
	const char *text;
	size_t length;
	const char *shown; /* as json-c writes the value */
} Accepted;

static const Accepted accepted[] = {
	{TEXT("{}"), "{}"},
	{TEXT("[]"), "[]"},
	{TEXT(" \t\r\n[ 1 , 2 ] \n"), "[1,2]"},
	{TEXT("null"), NULL},
	{TEXT("true"), "true"},
	{TEXT("false"), "false"},
	{TEXT("0"), "0"},
	{TEXT("-0"), "0"},
	{TEXT("9223372036854775807"), "9223372036854775807"},
	{TEXT("9223372036854775808"), "9223372036854775808"},
	{TEXT("18446744073709551615"), "18446744073709551615"},
	{TEXT("-9223372036854775808"), "-9223372036854775808"},
	{TEXT("1.5"), "1.5"},
	{TEXT("0.5"), "0.5"},
	{TEXT("-2.5E-1"), "-0.25"},
	{TEXT("1e2"), "100.0"},
	{TEXT("\"\""), "\"\""},
	{TEXT("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\""},
	{TEXT("\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\""),
	 "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
	{TEXT("\"a\\u0000b\""), "\"a\\u0000b\""},
	{TEXT("\"\x7f\xf4\x8f\xbf\xbf\""), "\"\x7f\xf4\x8f\xbf\xbf\""},
	{TEXT("{\"a\":1,\"A\":2,\"\":3}"), "{\"a\":1,\"A\":2,\"\":3}"},
	{TEXT("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}"),
	 "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}"},
	{TEXT("[[[[[[[[1]]]]]]]]"), "[[[[[[[[1]]]]]]]]"},
};

START_TEST(test_accepted)
{
	const Accepted *row = &accepted[_i];
	struct json_object *value = NULL;
	JsonError error;
	/* A copy of exactly that size, so that a sanitizer sees a byte too many being read. */
	char *copy = malloc(row->length > 0 ? row->length : 1);
	int r;

	memcpy(copy, row->text, row->length);
	r = json_parse_strict(copy, row->length, DEPTH, &value, &error);
	free(copy);
	ck_assert_msg(r == 0, "%s: %s at %zu", row->text, error.message, error.offset);
	if (row->shown == NULL)
		ck_assert_ptr_null(value);
	else
		ck_assert_str_eq(
			json_object_to_json_string_ext(
				value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			row->shown);
	json_object_put(value);
}
END_TEST

typedef struct Refused {
	const char *text;
	size_t length;
	const char *path;
	size_t offset;
	const char *says; /* a part of the sentence */
} Refused;

static const Refused refused[] = {
	{TEXT(""), "$", 0, "ends where a value"},
	{TEXT("  "), "$", 2, "ends where a value"},
	{TEXT("{} x"), "$", 3, "more text follows"},
	{TEXT("1 2"), "$", 2, "more text follows"},
	{TEXT("{}\0"), "$", 2, "more text follows"},
	{TEXT("\0"), "$", 0, "byte 0x00"},
	{TEXT("\xef\xbb\xbf{}"), "$", 0, "byte 0xef"},
	{TEXT("\xc2\xa0"), "$", 0, "byte 0xc2"},
	{TEXT("\v1"), "$", 0, "byte 0x0b"},
	{TEXT("'a'"), "$", 0, "double quotes"},
	{TEXT("{'a':1}"), "$", 1, "double quotes"},
	{TEXT("{a:1}"), "$", 1, "double quotes"},
	{TEXT("NaN"), "$", 0, "bare words"},
	{TEXT("-NaN"), "$", 1, "digit"},
	{TEXT("Infinity"), "$", 0, "bare words"},
	{TEXT("-Infinity"), "$", 1, "digit"},
	{TEXT("True"), "$", 0, "bare words"},
	{TEXT("nulls"), "$", 0, "bare words"},
	{TEXT("tru"), "$", 0, "bare words"},
	{TEXT("// x\n1"), "$", 0, "comments"},
	{TEXT("[1/* x */]"), "$", 2, "','"},
	{TEXT("[1,]"), "$[1]", 3, "where a value"},
	{TEXT("[,1]"), "$[0]", 1, "where a value"},
	{TEXT("[1 2]"), "$", 3, "','"},
	{TEXT("[1"), "$", 2, "end of the text"},
	{TEXT("[1}"), "$", 2, "']'"},
	{TEXT("["), "$[0]", 1, "ends"},
	{TEXT("{"), "$", 1, "end of the text"},
	{TEXT("{\"a\""), "$.a", 4, "':'"},
	{TEXT("{\"a\":"), "$.a", 5, "ends"},
	{TEXT("{\"a\" 1}"), "$.a", 5, "':'"},
	{TEXT("{\"a\":1,}"), "$", 7, "key"},
	{TEXT("{\"a\":1 \"b\":2}"), "$", 7, "','"},
	{TEXT("{1:2}"), "$", 1, "key"},
	{TEXT("01"), "$", 0, "leading zero"},
	{TEXT("-01"), "$", 0, "leading zero"},
	{TEXT("00"), "$", 0, "leading zero"},
	{TEXT("0x10"), "$", 0, "hexadecimal"},
	{TEXT("+1"), "$", 0, "'+'"},
	{TEXT(".5"), "$", 0, "'.'"},
	{TEXT("-"), "$", 1, "digit"},
	{TEXT("1."), "$", 2, "digit"},
	{TEXT("1.e1"), "$", 2, "digit"},
	{TEXT("1e"), "$", 2, "exponent"},
	{TEXT("1e+"), "$", 3, "exponent"},
	{TEXT("1e400"), "$", 0, "64 bits"},
	{TEXT("18446744073709551616"), "$", 0, "64 bits"},
	{TEXT("-9223372036854775809"), "$", 0, "64 bits"},
	{TEXT("[100000000000000000000000000000000000000000]"), "$[0]", 1, "64 bits"},
	{TEXT("\"a"), "$", 0, "no end"},
	{TEXT("\"a\\"), "$", 2, "escape"},
	{TEXT("\"a\\\""), "$", 0, "no end"},
	{TEXT("\"\\x41\""), "$", 1, "escape"},
	{TEXT("\"\\'\""), "$", 1, "escape"},
	{TEXT("\"\\\0\""), "$", 1, "escape"},
	{TEXT("\"\\u12\""), "$", 1, "hex"},
	{TEXT("\"\\u12g4\""), "$", 1, "hex"},
	{TEXT("\"\\u+123\""), "$", 1, "hex"},
	{TEXT("\"\\ud800\""), "$", 1, "surrogate"},
	{TEXT("\"\\ud800x\""), "$", 1, "surrogate"},
	{TEXT("\"\\ud800\\n\""), "$", 1, "surrogate"},
	{TEXT("\"\\ud800\\ud800\""), "$", 1, "surrogate"},
	{TEXT("\"\\udc00\\ud800\""), "$", 1, "surrogate"},
	{TEXT("\"\xed\xa0\x80\""), "$", 1, "UTF-8"},
	{TEXT("\"\xc0\x80\""), "$", 1, "UTF-8"},
	{TEXT("\"\xe0\x80\x80\""), "$", 1, "UTF-8"},
	{TEXT("\"\xf0\x8f\xbf\xbf\""), "$", 1, "UTF-8"},
	{TEXT("\"\xf4\x90\x80\x80\""), "$", 1, "UTF-8"},
	{TEXT("\"\xf5\x80\x80\x80\""), "$", 1, "UTF-8"},
	{TEXT("\"\x80\""), "$", 1, "UTF-8"},
	{TEXT("\"\xe2\x82\""), "$", 1, "UTF-8"},
	{TEXT("\"\xff\""), "$", 1, "UTF-8"},
	{TEXT("\"a\nb\""), "$", 2, "\\u000a"},
	{TEXT("\"a\tb\""), "$", 2, "\\u0009"},
	{TEXT("\"a\0b\""), "$", 2, "\\u0000"},
	{TEXT("{\"a\\u0000b\":1}"), "$", 1, "zero byte"},
	{TEXT("{\"a\":1,\"a\":2}"), "$.a", 7, "twice"},
	{TEXT("{\"a\":1,\"\\u0061\":2}"), "$.a", 7, "twice"},
	{TEXT("{\"a\":null,\"a\":null}"), "$.a", 10, "twice"},
	{TEXT("{\"/\":1,\"\\/\":2}"), "$[\"/\"]", 7, "twice"},
	{TEXT("{\"\":1,\"\":2}"), "$[\"\"]", 6, "twice"},
	{TEXT("{\"x\":[0,{\"b\":1,\"b\":1}]}"), "$.x[1].b", 15, "twice"},
	{TEXT("[[[[[[[[[1]]]]]]]]]"), "$[0][0][0][0][0][0][0][0]", 8, "more than 8"},
	{TEXT("{\"a\":{\"a\":{\"a\":[[[[[{}]]]]]}}}"), "$.a.a.a[0][0][0][0][0]", 20, "more than 8"},
	{TEXT("{\"on-fault\":tru}"), "$.on-fault", 12, "bare words"},
	{TEXT("{\"a b\":tru}"), "$[\"a b\"]", 7, "bare words"},
};

START_TEST(test_refused)
{
	const Refused *row = &refused[_i];
	struct json_object *value = (struct json_object *)&value;
	JsonError error = {.path = "", .message = ""};
	char *copy = malloc(row->length > 0 ? row->length : 1);
	int r;

	memcpy(copy, row->text, row->length);
	r = json_parse_strict(copy, row->length, DEPTH, &value, &error);
	free(copy);
	ck_assert_msg(r == 1, "%s was accepted", row->text);
	ck_assert_ptr_eq(value, &value);
	ck_assert_str_eq(error.path, row->path);
	ck_assert_msg(error.offset == row->offset, "%s: offset %zu, not %zu", row->text,
		      error.offset, row->offset);
	ck_assert_msg(strstr(error.message, row->says) != NULL, "%s: \"%s\" does not say \"%s\"",
		      row->text, error.message, row->says);
}
END_TEST

/* Every text that is cut short is an error, and no byte behind the cut is looked at. */
START_TEST(test_every_cut)
{
	static const char text[] = "{\"a\":[1,-2.5e3,\"\\u00e9\\ud83d\\ude00\xe2\x82\xac\",true,"
				   "null,{\"b\":{}}],\"c\":[]}";

	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		struct json_object *value = NULL;
		char *copy = malloc(length > 0 ? length : 1);
		JsonError error;

		memcpy(copy, text, length);
		ck_assert_int_eq(json_parse_strict(copy, length, DEPTH, &value, &error), 1);
		ck_assert_uint_le(error.offset, length);
		free(copy);
	}
}
END_TEST

START_TEST(test_zero_byte_survives)
{
	struct json_object *value;
	JsonError error;

	ck_assert_int_eq(json_parse_strict(TEXT("\"a\\u0000b\""), DEPTH, &value, &error), 0);
	ck_assert_int_eq(json_object_get_string_len(value), 3);
	ck_assert_mem_eq(json_object_get_string(value), "a\0b", 3);
	json_object_put(value);
}
END_TEST

/* n elements (or members, whose keys are numbered) between the two. */
static char *repeated(const char *begin, bool keys, const char *element, size_t n, const char *end)
{
	char *text = malloc(64 + n * (strlen(element) + 16));
	size_t length = (size_t)sprintf(text, "%s", begin);

	for (size_t i = 0; i < n; i++) {
		length += (size_t)sprintf(text + length, "%s", i > 0 ? "," : "");
		if (keys)
			length += (size_t)sprintf(text + length, "\"%zu\":", i);
		length += (size_t)sprintf(text + length, "%s", element);
	}
	sprintf(text + length, "%s", end);
	return text;
}

static void expect_limit(const char *begin, bool keys, const char *element, size_t limit,
			 const char *end, const char *says)
{
	char *text = repeated(begin, keys, element, limit, end);
	struct json_object *value;
	JsonError error;

	ck_assert_int_eq(json_parse_strict(text, strlen(text), DEPTH, &value, &error), 0);
	json_object_put(value);
	free(text);
	text = repeated(begin, keys, element, limit + 1, end);
	ck_assert_int_eq(json_parse_strict(text, strlen(text), DEPTH, &value, &error), 1);
	ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
	/* The one too many. */
	ck_assert_uint_eq(error.offset, strlen(text) - strlen(end) - strlen(element));
	free(text);
}

START_TEST(test_limits)
{
	expect_limit("[", false, "0", JSON_MAX_VALUES - 1, "]", "12288 values");
	expect_limit("{", true, "\"\"", JSON_MAX_VALUES - 1, "}", "12288 values");
	expect_limit("[", false, "[]", JSON_MAX_CONTAINERS - 1, "]", "5120 objects");
	expect_limit("{", true, "{}", JSON_MAX_CONTAINERS - 1, "}", "5120 objects");
}
END_TEST

START_TEST(test_duplicate_of_many)
{
	char *text = repeated("{", true, "0", 10000, ",\"9999\":0}");
	struct json_object *value;
	JsonError error;

	ck_assert_int_eq(json_parse_strict(text, strlen(text), DEPTH, &value, &error), 1);
	ck_assert_str_eq(error.path, "$[\"9999\"]");
	ck_assert_uint_eq(error.offset, strlen(text) - strlen("\"9999\":0}"));
	free(text);
}
END_TEST

static const char located[] =
	"\n {\"a\": 1, \"on-fault\": {\"x\": [10, [20, 30], {\"y\": \"a\"}]},"
	" \"a b\": {\"a\": 2}, \"\\u0061b\": 3, \"a\\\"\\\\\": 4, \"\xc3\xa9\": 5, \"a.b\": 6,"
	" \"=\\u003d\": [7, 8], \"\\ud83d\\ude00\": 9, \"\": 11}";

static const struct {
	const char *path;
	const char *at; /* the text from there on begins with this */
} places[] = {
	{"$", "{\"a\": 1"},
	{"$.a", "1, \"on"},
	{"$.on-fault", "{\"x\""},
	{"$.on-fault.x", "[10"},
	{"$.on-fault.x[0]", "10, ["},
	{"$.on-fault.x[1]", "[20"},
	{"$.on-fault.x[1][1]", "30]"},
	{"$.on-fault.x[2].y", "\"a\"}"},
	{"$[\"a b\"]", "{\"a\": 2"},
	{"$[\"a b\"].a", "2}"},
	{"$.ab", "3,"},
	{"$[\"a\\\"\\\\\"]", "4,"},
	{"$[\"\\u00e9\"]", "5,"},
	{"$[\"a.b\"]", "6,"},
	{"$[\"==\"][1]", "8]"},
	{"$[\"\\ud83d\\ude00\"]", "9,"},
	{"$[\"\"]", "11}"},
	/* What encloses it, where it is not there. */
	{"$.b", "{\"a\": 1"},
	{"$.a.b", "1, \"on"},
	{"$.on-fault.x[3]", "[10"},
	{"$.on-fault.x[2].z", "{\"y\""},
	{"$.on-fault.x[1][1].reg", "30]"},
	{"$.on-faul", "{\"a\": 1"},
	{"$.on-faults", "{\"a\": 1"},
	{"$.on-fault.x[10]", "[10"},
	{"", "{\"a\": 1"},
};

START_TEST(test_offset_of_path)
{
	size_t offset = json_offset_of_path(located, strlen(located), places[_i].path);

	ck_assert_msg(strncmp(located + offset, places[_i].at, strlen(places[_i].at)) == 0,
		      "%s leads to %s", places[_i].path, located + offset);
}
END_TEST

START_TEST(test_path_pieces)
{
	char path[JSON_MAX_PATH];

	json_path_member(path, "$", "condition");
	json_path_member(path, path, "and");
	json_path_index(path, path, 12);
	json_path_member(path, path, "on-fault_2");
	ck_assert_str_eq(path, "$.condition.and[12].on-fault_2");
	json_path_member(path, "$", "2a");
	ck_assert_str_eq(path, "$[\"2a\"]");
	json_path_member(path, "$", "\x1b[1m\"\\\xc2\x9b\x80\n");
	ck_assert_str_eq(path, "$[\"\\u001b[1m\\\"\\\\\\u009b\\u0080\\u000a\"]");
}
END_TEST

/* However long, a path fits, is marked as cut, and stays as it is when more is added. */
START_TEST(test_path_cut)
{
	char path[JSON_MAX_PATH] = "$", longest[JSON_MAX_PATH];
	char key[600];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	json_path_member(path, "$", key);
	ck_assert_uint_eq(strlen(path), JSON_MAX_PATH - 1);
	ck_assert_str_eq(path + JSON_MAX_PATH - 6, "kk...");
	strcpy(longest, path);
	json_path_index(path, path, 0);
	ck_assert_str_eq(path, longest);
	json_path_member(path, path, "more");
	ck_assert_str_eq(path, longest);

	/* One that just fits is whole. */
	key[JSON_MAX_PATH - 3] = '\0';
	json_path_member(path, "$", key);
	ck_assert_uint_eq(strlen(path), JSON_MAX_PATH - 1);
	ck_assert_ptr_null(strstr(path, "..."));
	json_path_index(path, path, 0);
	ck_assert_str_eq(path + JSON_MAX_PATH - 4, "...");
}
END_TEST

/* An error deep inside has a cut path, and its offset is that of the deepest place it names. */
START_TEST(test_deep_offset)
{
	char text[4096] = "", path[JSON_MAX_PATH] = "$";
	size_t offset;

	for (int i = 0; i < 60; i++) {
		strcat(text, "{\"condition\":");
		json_path_member(path, path, "condition");
	}
	strcat(text, "1");
	for (int i = 0; i < 60; i++)
		strcat(text, "}");
	ck_assert_uint_eq(strlen(path), JSON_MAX_PATH - 1);
	offset = json_offset_of_path(text, strlen(text), path);
	/* 25 whole members of 10 bytes behind the $. */
	ck_assert_uint_eq(offset, 25 * strlen("{\"condition\":"));
}
END_TEST

static const struct {
	const char *text;
	int result;
	uint64_t bits;
	bool is_unsigned;
} numbers[] = {
	{"0", 0, 0, false},
	{"-1", 0, UINT64_MAX, false},
	{"-9223372036854775808", 0, UINT64_C(1) << 63, false},
	{"9223372036854775807", 0, INT64_MAX, false},
	{"9223372036854775808", 0, UINT64_C(1) << 63, true},
	{"18446744073709551615", 0, UINT64_MAX, true},
	{"\"0x0\"", 0, 0, false},
	{"\"0xaF\"", 0, 0xaf, false},
	{"\"0x7fffffffffffffff\"", 0, INT64_MAX, false},
	{"\"0x8000000000000000\"", 0, UINT64_C(1) << 63, true},
	{"\"0xffffffffffffffff\"", 0, UINT64_MAX, true},
	{"\"0x000000000000000000001\"", 0, 1, false},
	{"\"0x10000000000000000\"", 1, 0, false},
	{"\"0x\"", 1, 0, false},
	{"\"0X1\"", 1, 0, false},
	{"\"1\"", 1, 0, false},
	{"\"\"", 1, 0, false},
	{"\"-0x1\"", 1, 0, false},
	{"\"0x-1\"", 1, 0, false},
	{"\"0x1 \"", 1, 0, false},
	{"\" 0x1\"", 1, 0, false},
	{"\"0x1g\"", 1, 0, false},
	{"\"0x1\\u0000\"", 1, 0, false},
	{"\"42abc\"", 1, 0, false},
	{"1.0", 1, 0, false},
	{"1e3", 1, 0, false},
	{"true", 1, 0, false},
	{"null", 1, 0, false},
	{"[1]", 1, 0, false},
	{"{}", 1, 0, false},
};

START_TEST(test_number)
{
	struct json_object *value = NULL;
	bool is_unsigned = true;
	uint64_t bits = 4711;
	JsonError error;

	ck_assert_int_eq(json_parse_strict(numbers[_i].text, strlen(numbers[_i].text), DEPTH,
					   &value, &error),
			 0);
	ck_assert_msg(json_get_number(value, &bits, &is_unsigned) == numbers[_i].result, "%s",
		      numbers[_i].text);
	if (numbers[_i].result == 0) {
		ck_assert_uint_eq(bits, numbers[_i].bits);
		ck_assert_int_eq(is_unsigned, numbers[_i].is_unsigned);
	} else {
		ck_assert_uint_eq(bits, 4711);
	}
	json_object_put(value);
}
END_TEST

START_TEST(test_utf8)
{
	char text[] = "a\x1b\xc2\x9b\xe2\x82\xac\xff\xe2\x82\x7f.";
	char bytes[4];
	uint32_t n_wrong = 0;

	utf8_sanitize(text);
	ck_assert_str_eq(text, "a???\xe2\x82\xac????.");
	for (uint32_t point = 1; point <= 0x10ffff; point++) {
		uint32_t decoded = 0;
		size_t length;

		if (point == 0xd800)
			point = 0xe000;
		length = utf8_encode(point, bytes);
		if (utf8_decode(bytes, length, &decoded) != length || decoded != point ||
		    utf8_length(bytes, length - 1) != 0)
			n_wrong++;
	}
	ck_assert_uint_eq(n_wrong, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("json");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, test_accepted, 0, sizeof(accepted) / sizeof(accepted[0]));
	tcase_add_loop_test(tests, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tests, test_every_cut);
	tcase_add_test(tests, test_zero_byte_survives);
	tcase_add_test(tests, test_limits);
	tcase_add_test(tests, test_duplicate_of_many);
	tcase_add_loop_test(tests, test_offset_of_path, 0, sizeof(places) / sizeof(places[0]));
	tcase_add_test(tests, test_path_pieces);
	tcase_add_test(tests, test_path_cut);
	tcase_add_test(tests, test_deep_offset);
	tcase_add_loop_test(tests, test_number, 0, sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_test(tests, test_utf8);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
