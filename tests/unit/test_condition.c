/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference evaluator against verdicts worked out by hand, and what the emitter promises without
 * a kernel: the instructions it may use, the stack, folding, and that short conditions stay short.
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <json-c/json.h>
#include <linux/bpf.h>

#include "condition/assembler.h"
#include "tests/differential/registers.h"
#include "tests/differential/table.h"

static Condition *parse(const char *json, ConditionUse use)
{
	ConditionScope scope = {use, world_parameter_names, WORLD_PARAMETERS};
	struct json_object *tree = json_tokener_parse(json);
	Condition *condition = NULL;
	ConditionError error = {0};
	int r;

	ck_assert_msg(tree != NULL, "no JSON: %s", json);
	r = condition_from_json(tree, "$", &scope, &condition, &error);
	ck_assert_msg(r == 0, "%s: %s: %s", json, error.path, error.message);
	json_object_put(tree);
	return condition;
}

static size_t emit(const char *json, struct bpf_insn **ret)
{
	Condition *condition = parse(json, CONDITION_FOR_DATA);
	size_t n;

	ck_assert_int_eq(condition_emit(condition, ret, &n), 0);
	condition_free(condition);
	return n;
}

START_TEST(test_table)
{
	Random random = {1};
	World world;
	Condition *condition;

	ck_assert_int_eq(arena_map(&random), 0);
	table_world(&world);
	for (size_t i = 0; i < table_n_cases; i++) {
		int verdict;

		condition = parse(table_cases[i].condition, CONDITION_FOR_DATA);
		verdict = condition_evaluate(condition, &world.world);
		ck_assert_msg(verdict == table_cases[i].verdict, "%s is %d, should be %d",
			      table_cases[i].condition, verdict, table_cases[i].verdict);
		condition_free(condition);
	}
}
END_TEST

START_TEST(test_unreadable_variables)
{
	static const struct {
		const char *condition;
		ConditionUse use;
		bool value_unreadable, counter_unreadable;
		int verdict;
	} cases[] = {
		{"{\"var\":\"value\"}", CONDITION_FOR_DATA, true, false, CONDITION_FAULT},
		{"{\"var\":\"previous\"}", CONDITION_FOR_DATA, true, false, CONDITION_FAULT},
		{"{\"or\":[1,{\"var\":\"value\"}]}", CONDITION_FOR_DATA, true, false,
		 CONDITION_TRUE},
		{"{\"var\":\"value\"}", CONDITION_FOR_DATA, false, true, CONDITION_TRUE},
		{"{\"var\":\"counter\"}", CONDITION_FOR_LENT, false, true, CONDITION_FAULT},
		{"{\"==\":[{\"var\":\"counter\"},77]}", CONDITION_FOR_LENT, true, false,
		 CONDITION_TRUE},
	};
	World world;

	table_world(&world);
	world.world.counter = 77;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Condition *condition = parse(cases[i].condition, cases[i].use);

		world.world.value_unreadable = cases[i].value_unreadable;
		world.world.counter_unreadable = cases[i].counter_unreadable;
		ck_assert_int_eq(condition_evaluate(condition, &world.world), cases[i].verdict);
		condition_free(condition);
	}
}
END_TEST

START_TEST(test_value)
{
	Condition *condition = parse("{\"+\":[{\"reg\":\"" R8 "\"},{\"reg\":\"" PART_S "\"}]}",
				     CONDITION_FOR_EXECUTE);
	uint64_t value = 0;
	World world;

	table_world(&world);
	ck_assert_int_eq(condition_evaluate_value(condition, &world.world, &value), 0);
	/* 8 and the part of a register of ones that is signed, or unsigned */
	ck_assert_uint_eq(value, MACHINE_X86 ? 7 : 0x100000007);
	condition_free(condition);

	condition = parse("{\"/\":[1,{\"reg\":\"" RDX "\"}]}", CONDITION_FOR_EXECUTE);
	value = 5;
	ck_assert_int_eq(condition_evaluate_value(condition, &world.world, &value),
			 CONDITION_FAULT);
	ck_assert_uint_eq(value, 5);
	condition_free(condition);
}
END_TEST

/* 64 bytes */
#define LONG_TEXT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TEXT      "{\"string-equals\":[{\"reg\":\"" RDI "\"},\"x\"]}"

START_TEST(test_needs)
{
	static const struct {
		const char *condition;
		uint32_t needs;
	} cases[] =
	{ {"{\"==\":[{\"reg\":\"" RDI "\"},500]}", 0},
	  {"{\"load\":\"u8\",\"at\":{\"reg\":\"" RDI "\"}}", 0},
	  {"{\"and\":[{\"var\":\"tid\"},{\"var\":\"cpu\"}]}",
	   CONDITION_NEEDS_IDS | CONDITION_NEEDS_CPU},
	  {"{\"<\":[{\"var\":\"time\"},{\"var\":\"evaluated\"}]}",
	   CONDITION_NEEDS_TIME | CONDITION_NEEDS_EVALUATED},
	  {"{\"var\":\"value\"}", CONDITION_NEEDS_VALUE},
#if MACHINE_X86
	  {"{\"reg\":\"fs_base\"}", CONDITION_NEEDS_BASES},
	  {"{\"registers\":{\"gs_base\":1}}", CONDITION_NEEDS_BASES},
#endif
	  {"{\"string-equals\":[{\"reg\":\"" RDI "\"},\"" LONG_TEXT "\"]}",
	   CONDITION_NEEDS_SCRATCH}, /* the NUL is one byte too many */
	  {"{\"string-starts\":[{\"reg\":\"" RDI "\"},\"" LONG_TEXT "\"]}", 0},
	  {"{\"bytes-equal\":[{\"reg\":\"" RDI "\"},\"00\"]}", 0},
	  {"{\"or\":[" TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT "]}", 0},
	  {"{\"or\":[" TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT
	   "]}",
	   CONDITION_NEEDS_SCRATCH},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Condition *condition = parse(cases[i].condition, CONDITION_FOR_DATA);

		ck_assert_uint_eq(condition_needs(condition), cases[i].needs);
		condition_free(condition);
	}
}
END_TEST

/* What rejects most traps must stay a handful of instructions: load, compare, two returns. */
START_TEST(test_length)
{
	static const struct {
		const char *condition;
		size_t most;
	} cases[] = {
		{"1", 2},
		{"{\"/\":[1,0]}", 2},
		{"{\"==\":[{\"+\":[1,2,{\"*\":[3,4]}]},15]}", 2},
		{"{\"and\":[{\"==\":[{\"reg\":\"" RDI "\"},500]},0]}", 2},
		{"{\"==\":[{\"reg\":\"" RDI "\"},500]}", 6},
		{"{\"==\":[500,{\"reg\":\"" RDI "\"}]}", 6},
#if MACHINE_X86
		{"{\"<\":[{\"reg\":\"edi\"},0]}", 8},
#endif
		{"{\"==\":[{\"reg\":\"" RDI "\"},{\"param\":\"max\"}]}", 7},
		{"{\"in\":[{\"reg\":\"" RIP "\"},4198400,4202496]}", 7},
		{"{\"!\":{\"!\":{\"reg\":\"" RAX "\"}}}", 6},
		{"{\"and\":[{\"==\":[{\"reg\":\"" RDI "\"},1]},{\"==\":[{\"reg\":\"" RSI "\"},2]},"
		 "{\"==\":[{\"reg\":\"" RDX "\"},3]}]}",
		 10},
		/* the same load twice: one call */
		{"{\"or\":[{\"==\":[{\"load\":\"u32\",\"at\":{\"reg\":\"" RDI "\"}},5]},"
		 "{\"==\":[{\"load\":\"s32\",\"at\":{\"reg\":\"" RDI "\"}},-7]}]}",
		 26},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpf_insn *code;
		size_t n = emit(cases[i].condition, &code);

		ck_assert_msg(n <= cases[i].most, "%s: %zu instructions", cases[i].condition, n);
		free(code);
	}
}
END_TEST

static unsigned int calls(const char *json)
{
	struct bpf_insn *code;
	size_t n = emit(json, &code);
	unsigned int found = 0;

	for (size_t i = 0; i < n; i++)
		found += code[i].code == (BPF_JMP | BPF_CALL);
	free(code);
	return found;
}

#define LOAD_RDI "{\"load\":\"u32\",\"at\":{\"reg\":\"" RDI "\"}}"
#define LOAD_RSI "{\"load\":\"u32\",\"at\":{\"reg\":\"" RSI "\"}}"

START_TEST(test_repeated_loads)
{
	ck_assert_uint_eq(calls("{\"==\":[{\"+\":[" LOAD_RDI "," LOAD_RDI "]},4]}"), 1);
	ck_assert_uint_eq(calls("{\"and\":[" LOAD_RDI ",{\"<\":[" LOAD_RDI ",9]}]}"), 1);
	/* the second operand may not have run */
	ck_assert_uint_eq(calls("{\"and\":[{\"or\":[{\"reg\":\"" RAX "\"}," LOAD_RDI "]},"
				"{\"<\":[" LOAD_RDI ",9]}]}"),
			  2);
	/* on both ways to the second use */
	ck_assert_uint_eq(calls("{\"==\":[{\"if\":[{\"reg\":\"" RAX "\"}," LOAD_RDI
				",{\"+\":[" LOAD_RDI ",1]}]},{\"-\":[" LOAD_RSI "," LOAD_RSI
				"]}]}"),
			  3);
	ck_assert_uint_eq(calls("{\"or\":[{\"<\":[{\"if\":[{\"reg\":\"" RAX "\"}," LOAD_RDI
				",{\"+\":[" LOAD_RDI ",1]}]},5]},{\">\":[" LOAD_RDI ",9]}]}"),
			  2);
	ck_assert_uint_eq(calls("{\"and\":[{\"==\":[{\"reg\":\"" RAX "\"},1]}," LOAD_RDI "]}"), 1);
}
END_TEST

/* Of the kernel's memory nothing but the function's own stack is read: r3 = r10 - constant. */
static void check_reads_stack(const struct bpf_insn *call)
{
	ck_assert_int_eq(call[-2].code, BPF_ALU64 | BPF_MOV | BPF_X);
	ck_assert_int_eq(call[-2].dst_reg, BPF_REG_3);
	ck_assert_int_eq(call[-2].src_reg, BPF_REG_10);
	ck_assert_int_eq(call[-1].code, BPF_ALU64 | BPF_ADD | BPF_K);
	ck_assert_int_eq(call[-1].dst_reg, BPF_REG_3);
	ck_assert_int_lt(call[-1].imm, 0);
}

/* Instructions of Linux 6.1, and the promised stack. */
START_TEST(test_instructions)
{
	for (size_t i = 0; i < table_n_cases; i++) {
		struct bpf_insn *code;
		size_t n = emit(table_cases[i].condition, &code);

		for (size_t j = 0; j < n; j++) {
			uint8_t class = BPF_CLASS(code[j].code), op = BPF_OP(code[j].code);

			ck_assert_int_ge(code[j].off, -CONDITION_MAX_STACK);
			/* movsx and signed division, of cpu v4, carry an offset */
			if (class == BPF_ALU || class == BPF_ALU64)
				ck_assert_int_eq(code[j].off, 0);
			if (class == BPF_JMP && op == BPF_CALL) {
				ck_assert_int_eq(code[j].src_reg, 0);
				if (code[j].imm == BPF_FUNC_probe_read_kernel)
					check_reads_stack(&code[j]);
				else
					ck_assert_int_eq(code[j].imm, BPF_FUNC_probe_read_user);
			}
			if (code[j].code == (BPF_LD | BPF_IMM | BPF_DW)) {
				ck_assert_int_eq(code[j].src_reg, 0);
				j++;
			}
		}
		ck_assert_uint_eq(code[n - 1].code, BPF_JMP | BPF_EXIT);
		free(code);
	}
}
END_TEST

/* Jumps that only become idle when others are left out, conditional ones among them, go too. */
START_TEST(test_idle_jumps_are_left_out)
{
	Assembler as;
	struct bpf_insn *insns;
	int near, far;
	size_t n;

	assembler_start(&as);
	near = assembler_label(&as);
	far = assembler_label(&as);
	assembler_jump(&as, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, near);
	assembler_jump(&as, BPF_JMP | BPF_JA, 0, 0, 0, far);
	assembler_bind(&as, near, true);
	assembler_jump(&as, BPF_JMP | BPF_JA, 0, 0, 0, far);
	assembler_bind(&as, far, true);
	assembler_return(&as, 1);
	ck_assert_int_eq(assembler_finish(&as, &insns, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(insns[0].code, BPF_ALU64 | BPF_MOV | BPF_K);
	ck_assert_int_eq(insns[1].code, BPF_JMP | BPF_EXIT);
	free(insns);
	assembler_clear(&as);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("condition");
	TCase *tests = tcase_create("condition");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, test_table);
	tcase_add_test(tests, test_unreadable_variables);
	tcase_add_test(tests, test_value);
	tcase_add_test(tests, test_needs);
	tcase_add_test(tests, test_length);
	tcase_add_test(tests, test_repeated_loads);
	tcase_add_test(tests, test_instructions);
	tcase_add_test(tests, test_idle_jumps_are_left_out);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
