/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The manual says what the code knows: each operator, type, register, variable and function of
 * conditions, each key of a spec, of a hit and of the counts stands in its page, and the examples of
 * the pages are what the compiler and the parser make of them. Arguments: the directory of the pages.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <json-c/json.h>

#include <bpcond/bpcond.h>

#include "client/text_names.h"
#include "condition/node.h"
#include "daemon/spec.h"

static const char *pages_directory;
static char *page; /* without roff's markup */

/* Leaves out requests' names, quotes of their arguments, and fonts; resolves the escapes that our pages
 * use. */
static char *plain_text(const char *source)
{
	char *text = malloc(strlen(source) + 1), *out = text;
	bool request = false;

	ck_assert_ptr_nonnull(text);
	for (const char *in = source; *in != '\0'; in++) {
		bool line_start = in == source || in[-1] == '\n';

		if (line_start) {
			request = *in == '.';
			if (request)
				in += strcspn(in, " \n");
		}
		if (*in == '\0')
			break;
		if (request && *in == '"')
			continue;
		if (*in != '\\') {
			*out++ = *in;
			continue;
		}
		in++;
		if (*in == 'f')
			in++;
		else if (strncmp(in, "(dq", 3) == 0)
			in += 2, *out++ = '"';
		else if (*in == '-' || *in == ' ')
			*out++ = *in;
	}
	*out = '\0';
	return text;
}

static void read_page(const char *name)
{
	char path[4096], *source = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", pages_directory, name);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "no page %s", path);
	ck_assert_int_gt(getdelim(&source, &size, '\0', file), 0);
	fclose(file);
	page = plain_text(source);
	free(source);
}

static void read_condition_page(void)
{
	read_page("bpcond-condition.7");
}

static void read_spec_page(void)
{
	read_page("bpcond-spec.5");
}

static void forget_page(void)
{
	free(page);
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Whether it stands there as a whole word. */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || !is_word(at[-1])) && !is_word(at[n]))
			return true;
	return false;
}

static void expect_word(const char *word)
{
	ck_assert_msg(has_word(page, word), "the page does not say %s", word);
}

static void expect_quoted(const char *word)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\"", word);
	ck_assert_msg(strstr(page, quoted) != NULL, "the page does not say %s", quoted);
}

START_TEST(test_operators)
{
	for (int op = 0; op < NODE_OP_COUNT; op++)
		if (operators[op].key)
			expect_quoted(operators[op].key);
}
END_TEST

START_TEST(test_words_of_conditions)
{
	char dollar[64];

	for (size_t i = 0; register_at(i); i++)
		expect_word(register_at(i)->name);
	for (int i = 0; i < TYPE_COUNT; i++)
		expect_word(value_type_name(i));
	for (int i = 0; i < VARIABLE_COUNT; i++) {
		expect_word(variables[i].name);
		snprintf(dollar, sizeof(dollar), "$_%s", variables[i].name);
		expect_word(dollar);
	}
	for (size_t i = 0; text_function_at(i); i++)
		expect_word(text_function_at(i)->name);
}
END_TEST

START_TEST(test_limits)
{
	static const struct {
		int limit;
		const char *sentence;
	} limits[] = {
		{CONDITION_MAX_NODES, "%d nodes"},
		{CONDITION_MAX_DEPTH, "%d levels"},
		{CONDITION_MAX_TEXT, "%d bytes"},
		{CONDITION_MAX_PARAMETERS, "%d parameters"},
		{CONDITION_MAX_PARAMETER_NAME, "up to %d letters"},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		char sentence[64];

		snprintf(sentence, sizeof(sentence), limits[i].sentence, limits[i].limit);
		ck_assert_msg(strstr(page, sentence) != NULL, "the page does not say %s", sentence);
	}
}
END_TEST

static int look_up(void *userdata, const char *name, bpcond_symbol *ret)
{
	if (strcmp(name, "buffer") != 0)
		return -2;
	ret->kind = BPCOND_SYMBOL_ARRAY;
	ret->address = 0x404040;
	ret->size = 1;
	ret->is_signed = 1;
	return 0;
}

static struct json_object *parse_json(const char *text)
{
	struct json_tokener *tokener = json_tokener_new_ex(100);
	struct json_object *value = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);

	json_tokener_free(tokener);
	ck_assert_msg(value != NULL, "no JSON: %s", text);
	return value;
}

/* Both trees in normal form. */
static void expect_same(struct json_object *a, struct json_object *b)
{
	static const char *const names[] = {"max", "rcx"};
	const ConditionScope scope = {CONDITION_FOR_DATA, names, 2};
	struct json_object *trees[2] = {a, b}, *normal[2];

	for (int i = 0; i < 2; i++) {
		Condition *condition;
		ConditionError error;
		int r = condition_from_json(trees[i], "$", &scope, &condition, &error);

		ck_assert_msg(r == 0, "%s: %s in %s", error.path, error.message,
			      json_object_to_json_string(trees[i]));
		ck_assert_int_eq(condition_to_json(condition, &normal[i]), 0);
		condition_free(condition);
	}
	ck_assert_str_eq(json_object_to_json_string(normal[0]),
			 json_object_to_json_string(normal[1]));
	json_object_put(normal[0]);
	json_object_put(normal[1]);
}

/* In the examples a text is followed by an empty line and its tree. */
START_TEST(test_examples_of_conditions)
{
	static const char *const names[] = {"max", "rcx"};
	const bpcond_text_scope scope = {
		.parameters = names, .n_parameters = 2, .data_breakpoint = 1, .lookup = look_up};
	char *at = strstr(page, " EXAMPLES");
	int n_pairs = 0;

	ck_assert_ptr_nonnull(at);
	for (at = strstr(at, "\n\n{"); at; at = strstr(at, "\n\n{")) {
		char *text = at, *end, *json = NULL, *tree_text;
		struct json_object *compiled, *written;
		bpcond_text_error error;
		int r;

		while (text > page && text[-1] != '\n')
			text--;
		end = strchr(at + 2, '\n');
		while (end[1] == ' ')
			end = strchr(end + 1, '\n');
		tree_text = strndup(at + 2, (size_t)(end - at - 2));
		written = parse_json(tree_text);
		text = strndup(text, (size_t)(at - text));
		if (text[0] != '\0') {
			r = bpcond_condition_from_text(text, &scope, &json, &error);
			ck_assert_msg(r == 0, "%s: %s", text, error.message);
			compiled = parse_json(json);
			expect_same(compiled, written);
			json_object_put(compiled);
			n_pairs++;
		}
		expect_same(written, written);
		json_object_put(written);
		free(json);
		free(text);
		free(tree_text);
		at = end;
	}
	ck_assert_int_ge(n_pairs, 4);
}
END_TEST

START_TEST(test_words_of_specs)
{
	static const char *const counts[] = {"traps",    "evaluated",   "hits",
					     "rejected", "withheld",    "faults",
					     "dropped",  "unsignalled", "lost"};

	for (size_t i = 0; spec_key(i); i++)
		expect_quoted(spec_key(i));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		expect_word(counts[i]);
}
END_TEST

/* The first object of the page is a whole spec, and has each key. */
START_TEST(test_example_of_a_spec)
{
	char *start = strstr(page, "\n{"), *end;
	struct json_object *value;
	Spec *spec = NULL;
	Refusal refusal;
	int r;

	ck_assert_ptr_nonnull(start);
	end = strstr(start, "}\n\n");
	ck_assert_ptr_nonnull(end);
	end[1] = '\0';
	r = spec_parse(start, strlen(start), &spec, &refusal);
	ck_assert_msg(r == 0, "%s", refusal.text);
	value = parse_json(start);
	for (size_t i = 0; spec_key(i); i++)
		ck_assert_msg(json_object_object_get_ex(value, spec_key(i), NULL),
			      "no \"%s\" in the example", spec_key(i));
	json_object_put(value);
	spec_free(spec);
}
END_TEST

/* What the page calls the keys of a hit, in the order in which they come. */
START_TEST(test_keys_of_hits)
{
	struct {
		struct bpcond_hit hit;
		uint64_t rdi;
		struct bpcond_memory piece;
		uint64_t bytes, stack;
	} record = {
		.hit = {.size = sizeof(record),
			.version = BPCOND_LAYOUT_VERSION,
			.flags = BPCOND_HIT_FAULT | BPCOND_HIT_FROM_KERNEL | BPCOND_HIT_UNSIGNALLED,
			.register_mask = 1,
			.memory_count = 1,
			.stack_count = 1},
		.piece = {.length = 8, .read = 8},
	};
	const char *records = strstr(page, " HIT RECORDS");
	const char *at = records ? strstr(records, "\n{") : NULL;
	struct json_object *value, *flags, *pieces;
	char *json;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(bpcond_hit_to_json(&record.hit, &json), 0);
	value = parse_json(json);
	json_object_object_foreach(value, key, member)
	{
		char quoted[64];

		(void)member;
		snprintf(quoted, sizeof(quoted), "\"%s\":", key);
		at = strstr(at, quoted);
		ck_assert_msg(at != NULL, "the page has no %s at its place", quoted);
		ck_assert(has_word(strstr(records, "\n\n") + 2, key));
	}
	flags = json_object_object_get(value, "flags");
	ck_assert_uint_eq(json_object_array_length(flags), 3);
	for (size_t i = 0; i < 3; i++)
		expect_word(json_object_get_string(json_object_array_get_idx(flags, i)));
	pieces = json_object_object_get(value, "memory");
	json_object_object_foreach(json_object_array_get_idx(pieces, 0), piece_key, piece_member)
	{
		(void)piece_member;
		expect_word(piece_key);
	}
	json_object_put(value);
	free(json);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("manual");
	TCase *condition = tcase_create("bpcond-condition.7"),
	      *spec = tcase_create("bpcond-spec.5");
	SRunner *runner;
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: test_manual DIRECTORY\n");
		return 2;
	}
	pages_directory = argv[1];
	tcase_add_checked_fixture(condition, read_condition_page, forget_page);
	tcase_add_test(condition, test_operators);
	tcase_add_test(condition, test_words_of_conditions);
	tcase_add_test(condition, test_limits);
	tcase_add_test(condition, test_examples_of_conditions);
	suite_add_tcase(suite, condition);
	tcase_add_checked_fixture(spec, read_spec_page, forget_page);
	tcase_add_test(spec, test_words_of_specs);
	tcase_add_test(spec, test_example_of_a_spec);
	tcase_add_test(spec, test_keys_of_hits);
	suite_add_tcase(suite, spec);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
