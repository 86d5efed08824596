/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any JSON as a condition's tree, in each of the three uses. Beside what the sanitizers see:
 *  - a mistake has a path below the stem, and a message;
 *  - what is accepted has a normal form that is accepted, is its own normal form, has as many nodes
 *    and needs, and computes the same in every world, faults included;
 *  - it has code: only forward jumps inside of it, an exit as its last instruction, and each
 *    instruction one that the disassembler knows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include "condition/condition.h"
#include "condition/disassemble.h"
#include "json/strict_json.h"
#include "tests/differential/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	MAX_JSON_DEPTH = 120,
	WORLDS = 4,
};

#define check(condition)                                             \
	do {                                                         \
		if (!(condition)) {                                  \
			fprintf(stderr, "not so: %s\n", #condition); \
			abort();                                     \
		}                                                    \
	} while (0)

static Condition *parse(struct json_object *tree, ConditionUse use)
{
	ConditionScope scope = {use, world_parameter_names, WORLD_PARAMETERS};
	ConditionError error = {.path = "", .message = ""};
	Condition *condition = NULL;
	int r;

	r = condition_from_json(tree, "$.stem", &scope, &condition, &error);
	check(r == 0 || r == 1);
	if (r == 1) {
		check(strncmp(error.path, "$.stem", 6) == 0);
		check(error.message[0] != '\0');
		return NULL;
	}
	check(condition_nodes(condition) >= 1 && condition_nodes(condition) <= CONDITION_MAX_NODES);
	return condition;
}

static void check_code(const struct bpf_insn *code, size_t n)
{
	char line[DISASSEMBLE_MAX_LINE];

	check(n > 0 && code[n - 1].code == (BPF_JMP | BPF_EXIT));
	for (size_t i = 0; i < n;) {
		bool jumps = (BPF_CLASS(code[i].code) == BPF_JMP ||
			      BPF_CLASS(code[i].code) == BPF_JMP32) &&
			     BPF_OP(code[i].code) != BPF_CALL && BPF_OP(code[i].code) != BPF_EXIT;
		size_t used = disassemble(code + i, n - i, line, sizeof(line));

		check(used == 1 || used == 2);
		check(line[0] != '\0' && !strstr(line, "unknown"));
		check(!jumps || (code[i].off > 0 && i + 1 + code[i].off < n));
		i += used;
	}
}

static void emit(const Condition *condition)
{
	const Condition *const twice[] = {condition, condition};
	struct bpf_insn *code;
	size_t n;

	check(condition_emit(condition, &code, &n) == 0);
	check_code(code, n);
	free(code);
	if (condition_needs(condition) & CONDITION_NEEDS_SCRATCH)
		return;
	check(condition_emit_values(twice, 2, &code, &n) == 0);
	check_code(code, n);
	free(code);
}

static void check_same(const Condition *condition, const Condition *again, Random *random)
{
	for (int i = 0; i < WORLDS; i++) {
		uint64_t value = 0, value_again = 0;
		World world;
		int verdict, r;

		world_make(&world, random);
		verdict = condition_evaluate(condition, &world.world);
		check(verdict >= CONDITION_FALSE && verdict <= CONDITION_FAULT);
		check(condition_evaluate(again, &world.world) == verdict);
		r = condition_evaluate_value(condition, &world.world, &value);
		check(condition_evaluate_value(again, &world.world, &value_again) == r);
		check(value == value_again);
		check(r == 0 ? verdict == (value != 0) : verdict == CONDITION_FAULT);
	}
}

static void fuzz(struct json_object *tree, ConditionUse use, Random *random)
{
	Condition *condition = parse(tree, use), *again;
	struct json_object *normal, *normal_again;

	if (!condition)
		return;
	check(condition_to_json(condition, &normal) == 0);
	again = parse(normal, use);
	check(again);
	check(condition_nodes(again) == condition_nodes(condition));
	check(condition_needs(again) == condition_needs(condition));
	check(condition_to_json(again, &normal_again) == 0);
	check(strcmp(json_object_to_json_string_ext(normal, JSON_C_TO_STRING_PLAIN),
		     json_object_to_json_string_ext(normal_again, JSON_C_TO_STRING_PLAIN)) == 0);
	check_same(condition, again, random);
	emit(condition);
	json_object_put(normal);
	json_object_put(normal_again);
	condition_free(condition);
	condition_free(again);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	Random random = {1};

	check(arena_map(&random) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *tree = NULL;
	Random random = {size};
	JsonError error;

	if (json_parse_strict((const char *)data, size, MAX_JSON_DEPTH, &tree, &error) != 0)
		return 0;
	for (size_t i = 0; i < size; i++)
		random.state = random.state * 31 + data[i];
	for (ConditionUse use = CONDITION_FOR_EXECUTE; use <= CONDITION_FOR_LENT; use++)
		fuzz(tree, use, &random);
	json_object_put(tree);
	return 0;
}
