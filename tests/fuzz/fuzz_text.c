/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes conditions in text. An input is a text, or, if it begins like JSON, a tree.
 *
 * Of a text: a mistake has a place inside the text and a message; a tree that comes out is one that the
 * daemon takes (or refuses for its size alone), and survives the way to text and back. Of a tree: its
 * text compiles, to something that computes the same.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <bpcond/bpcond.h>

#include "condition/condition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sorted, as the daemon's side wants them. */
static const char *const PARAMETERS[] = {"max", "rbx", "x"};

static int look_up(void *userdata, const char *name, bpcond_symbol *ret)
{
	switch (name[0]) {
	case 'a': /* an array of so many bytes each */
		ret->kind = BPCOND_SYMBOL_ARRAY;
		break;
	case 'f':
		ret->kind = BPCOND_SYMBOL_FUNCTION;
		break;
	case 'o':
		ret->kind = BPCOND_SYMBOL_OTHER;
		break;
	case 'r':
		ret->kind = BPCOND_SYMBOL_IN_REGISTER;
		ret->base_register = "rcx";
		break;
	case 'l':
		ret->base_register = "rbp";
		break;
	case 'g':
		break;
	case 't':
		return -EEXIST;
	default:
		return -ENOENT;
	}
	ret->address = 0x404040;
	ret->size = name[1] >= '0' && name[1] <= '9' ? name[1] - '0' : 4;
	ret->is_signed = name[1] != '\0' && name[2] == 's';
	ret->pointers = name[1] != '\0' && name[2] == 'p';
	return 0;
}

static const bpcond_text_scope SCOPE = {
	.parameters = PARAMETERS, .n_parameters = 3, .data_breakpoint = 1, .lookup = look_up};

__attribute__((noreturn)) static void found(const char *what, const char *text, const char *more)
{
	fprintf(stderr, "%s\n%s\n%s\n", what, text, more ? more : "");
	abort();
}

/* Memory that holds its own addresses, but for a hole. */
static int read_memory(void *userdata, uint64_t address, void *buffer, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uint64_t at = address + i;

		if (at % 4096 > 4000)
			return -EFAULT;
		((unsigned char *)buffer)[i] = (unsigned char)(at ^ at >> 8);
	}
	return 0;
}

/* Return: NULL if the daemon refuses it, with *ret_size true if for its size. */
static Condition *daemon_condition(const char *json, bool *ret_size)
{
	static const ConditionScope WHERE = {
		.use = CONDITION_FOR_DATA, .parameters = PARAMETERS, .n_parameters = 3};
	struct json_tokener *tokener = json_tokener_new_ex(1000);
	struct json_object *tree = json_tokener_parse_ex(tokener, json, (int)strlen(json) + 1);
	ConditionError error = {.message = ""};
	Condition *condition = NULL;
	int r = 1;

	if (json_tokener_get_error(tokener) == json_tokener_success)
		r = condition_from_json(tree, "$", &WHERE, &condition, &error);
	*ret_size = strstr(error.message, "256") || strstr(error.message, "32") ||
		    strstr(error.message, "4096");
	json_object_put(tree);
	json_tokener_free(tokener);
	return r == 0 ? condition : NULL;
}

static int evaluate(const Condition *condition, uint64_t *ret)
{
	uint64_t registers[64], parameters[3] = {7, 1ull << 63, 0xfffffffe};
	ConditionWorld world = {.registers = registers,
				.parameters = parameters,
				.tid = 4711,
				.pid = 4710,
				.time = 1ull << 40,
				.value = 0xffffffff80000000,
				.previous = 3,
				.read_memory = read_memory};

	for (size_t i = 0; i < 64; i++)
		registers[i] = i * 0x123456789abcdefull;
	*ret = 0;
	return condition_evaluate_value(condition, &world, ret);
}

/* The place must be in the text: at most one behind the end of a line. */
static void check_error(const char *text, const bpcond_text_error *error)
{
	const char *line = text;

	for (unsigned i = 1; i < error->line; i++) {
		line = strchr(line, '\n');
		if (!line)
			found("the line of the mistake does not exist", text, error->message);
		line++;
	}
	if (error->line < 1 || error->column < 1 || error->column > strcspn(line, "\n") + 1 ||
	    error->message[0] == '\0')
		found("the mistake has no place or message", text, error->message);
}

static void fuzz_text(const char *text)
{
	bpcond_text_error error = {.line = 0};
	char *json = NULL, *again = NULL, *back = NULL;
	Condition *condition;
	bool size;
	int r = bpcond_condition_from_text(text, &SCOPE, &json, &error);

	if (r == 1) {
		check_error(text, &error);
		return;
	}
	if (r != 0)
		found("neither a tree nor a mistake", text, NULL);
	condition = daemon_condition(json, &size);
	if (!condition && !size)
		found("the daemon would not take the tree", text, json);
	condition_free(condition);
	/* What the daemon refuses for its size may be too much for the way back. */
	r = bpcond_condition_to_text(json, &back);
	if (r != 0 && condition)
		found("the tree has no text", text, json);
	if (r == 0 && bpcond_condition_from_text(back, &SCOPE, &again, &error) != 0)
		found("the text of the tree does not compile", back, error.message);
	if (r == 0 && strcmp(json, again) != 0)
		found("the way to text and back changes the tree", json, again);
	free(back);
	free(again);
	free(json);
}

static void fuzz_tree(const char *json)
{
	Condition *condition, *same;
	char *text, *again = NULL;
	bpcond_text_error error;
	uint64_t value, value_again;
	bool size;
	int r = bpcond_condition_to_text(json, &text);

	if (r != 0)
		return;
	condition = daemon_condition(json, &size);
	if (condition) {
		if (bpcond_condition_from_text(text, &SCOPE, &again, &error) != 0)
			found("the text of the tree does not compile", text, error.message);
		same = daemon_condition(again, &size);
		if (same && (evaluate(condition, &value) != evaluate(same, &value_again) ||
			     value != value_again))
			found("the text of the tree computes something else", json, text);
		condition_free(same);
	}
	condition_free(condition);
	free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (text[0] == '{')
		fuzz_tree(text);
	else
		fuzz_text(text);
	free(text);
	return 0;
}
