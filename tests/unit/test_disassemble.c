/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disassembler: each kind of instruction by a line that the kernel's own disassembler writes for it
 * (tests/differential/listing.c compares with the kernel itself), hostile instructions, and that each
 * kind that the emitter makes of the table of corner cases is known.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <json-c/json.h>
#include <linux/bpf.h>

#include "condition/disassemble.h"
#include "tests/differential/table.h"

static const struct {
	struct bpf_insn insn;
	const char *line;
} lines[] = {
#define INSN(c, d, s, o, i)                                                         \
	{                                                                           \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) \
	}
	{INSN(BPF_ALU64 | BPF_ADD | BPF_X, 1, 2, 0, 0), "(0f) r1 += r2"},
	{INSN(BPF_ALU64 | BPF_SUB | BPF_K, 3, 0, 0, -7), "(17) r3 -= -7"},
	{INSN(BPF_ALU64 | BPF_MUL | BPF_X, 0, 9, 0, 0), "(2f) r0 *= r9"},
	{INSN(BPF_ALU64 | BPF_DIV | BPF_X, 0, 1, 0, 0), "(3f) r0 /= r1"},
	{INSN(BPF_ALU64 | BPF_MOD | BPF_K, 0, 0, 0, 10), "(97) r0 %= 10"},
	{INSN(BPF_ALU64 | BPF_OR | BPF_X, 4, 5, 0, 0), "(4f) r4 |= r5"},
	{INSN(BPF_ALU64 | BPF_AND | BPF_K, 4, 0, 0, 63), "(57) r4 &= 63"},
	{INSN(BPF_ALU64 | BPF_XOR | BPF_X, 4, 8, 0, 0), "(af) r4 ^= r8"},
	{INSN(BPF_ALU64 | BPF_LSH | BPF_K, 4, 0, 0, 56), "(67) r4 <<= 56"},
	{INSN(BPF_ALU64 | BPF_RSH | BPF_X, 4, 1, 0, 0), "(7f) r4 >>= r1"},
	{INSN(BPF_ALU64 | BPF_ARSH | BPF_K, 4, 0, 0, 32), "(c7) r4 s>>= 32"},
	{INSN(BPF_ALU64 | BPF_NEG, 6, 0, 0, 0), "(87) r6 = -r6"},
	{INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 10, 0, 0), "(bf) r6 = r10"},
	{INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, INT32_MIN), "(b7) r0 = -2147483648"},
	{INSN(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, -1), "(b4) w0 = -1"},
	{INSN(BPF_ALU | BPF_MOV | BPF_X, 2, 2, 0, 0), "(bc) w2 = w2"},
	{INSN(BPF_ALU | BPF_NEG, 2, 0, 0, 0), "(84) w2 = -w2"},
	{INSN(BPF_LDX | BPF_MEM | BPF_DW, 0, 1, 112, 0), "(79) r0 = *(u64 *)(r1 +112)"},
	{INSN(BPF_LDX | BPF_MEM | BPF_W, 0, 10, -8, 0), "(61) r0 = *(u32 *)(r10 -8)"},
	{INSN(BPF_LDX | BPF_MEM | BPF_H, 0, 10, -16, 0), "(69) r0 = *(u16 *)(r10 -16)"},
	{INSN(BPF_LDX | BPF_MEM | BPF_B, 0, 6, 0, 0), "(71) r0 = *(u8 *)(r6 +0)"},
	{INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 3, -24, 0), "(7b) *(u64 *)(r10 -24) = r3"},
	{INSN(BPF_ST | BPF_MEM | BPF_DW, 6, 0, 8184, 1), "(7a) *(u64 *)(r6 +8184) = 1"},
	{INSN(BPF_ST | BPF_MEM | BPF_W, 6, 0, 4, -1), "(62) *(u32 *)(r6 +4) = -1"},
	{INSN(BPF_ST | BPF_MEM | BPF_H, 6, 0, 4, 65), "(6a) *(u16 *)(r6 +4) = 65"},
	{INSN(BPF_ST | BPF_MEM | BPF_B, 6, 0, 4, 65), "(72) *(u8 *)(r6 +4) = 65"},
	{INSN(BPF_JMP | BPF_JA, 0, 0, 7, 0), "(05) goto pc+7"},
	{INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0), "(95) exit"},
	{INSN(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 2, 500), "(15) if r1 == 0x1f4 goto pc+2"},
	{INSN(BPF_JMP | BPF_JNE | BPF_K, 1, 0, 2, -1), "(55) if r1 != 0xffffffff goto pc+2"},
	{INSN(BPF_JMP | BPF_JNE | BPF_X, 1, 2, 3, 0), "(5d) if r1 != r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JGT | BPF_X, 1, 2, 3, 0), "(2d) if r1 > r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JGE | BPF_X, 1, 2, 3, 0), "(3d) if r1 >= r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JLT | BPF_X, 1, 2, 3, 0), "(ad) if r1 < r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JLE | BPF_X, 1, 2, 3, 0), "(bd) if r1 <= r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JSGT | BPF_K, 1, 0, 3, 0), "(65) if r1 s> 0x0 goto pc+3"},
	{INSN(BPF_JMP | BPF_JSGE | BPF_X, 1, 2, 3, 0), "(7d) if r1 s>= r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JSLT | BPF_X, 1, 2, 3, 0), "(cd) if r1 s< r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JSLE | BPF_X, 1, 2, 3, 0), "(dd) if r1 s<= r2 goto pc+3"},
	{INSN(BPF_JMP | BPF_JSET | BPF_K, 0, 0, 9, 1), "(45) if r0 & 0x1 goto pc+9"},
	{INSN(BPF_JMP32 | BPF_JNE | BPF_K, 0, 0, 9, 1), "(56) if w0 != 0x1 goto pc+9"},
	{INSN(BPF_JMP | BPF_CALL, 0, 0, 0, 112), "(85) call bpf_probe_read_user#112"},
	{INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 17), "(85) call pc+17"},
	/* What the generator never makes is told apart from what it makes. */
	{INSN(BPF_JMP | BPF_CALL, 0, 0, 0, 6), "(85) call unknown#6"},
	{INSN(BPF_JMP | 0xe0, 0, 0, 0, 0), "(e5) unknown"},
	{INSN(BPF_ALU64 | 0xe0, 0, 0, 0, 0), "(e7) unknown"},
	{INSN(BPF_ALU | BPF_END, 0, 0, 0, 16), "(d4) unknown"},
	{INSN(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0), "(20) unknown"},
	{INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, 0), "(db) unknown"},
};

START_TEST(test_lines)
{
	char line[DISASSEMBLE_MAX_LINE];

	ck_assert_uint_eq(disassemble(&lines[_i].insn, 1, line, sizeof(line)), 1);
	ck_assert_str_eq(line, lines[_i].line);
}
END_TEST

START_TEST(test_wide_constant)
{
	struct bpf_insn wide[] = {
		INSN(BPF_LD | BPF_IMM | BPF_DW, 3, 0, 0, -2),
		INSN(0, 0, 0, 0, 0x12345678),
	};
	char line[DISASSEMBLE_MAX_LINE];

	ck_assert_uint_eq(disassemble(wide, 2, line, sizeof(line)), 2);
	ck_assert_str_eq(line, "(18) r3 = 0x12345678fffffffe");
	/* Cut in the middle, and the load of a map, which is not a constant. */
	ck_assert_uint_eq(disassemble(wide, 1, line, sizeof(line)), 1);
	ck_assert_str_eq(line, "(18) unknown");
	wide[0].src_reg = BPF_PSEUDO_MAP_FD;
	ck_assert_uint_eq(disassemble(wide, 2, line, sizeof(line)), 1);
	ck_assert_str_eq(line, "(18) unknown");
}
END_TEST

START_TEST(test_any_bytes)
{
	Random random = {1};

	for (int i = 0; i < 100000; i++) {
		char line[DISASSEMBLE_MAX_LINE], *copy;
		uint64_t bits[2] = {random_u64(&random), random_u64(&random)};
		struct bpf_insn insns[2];
		size_t used;

		memcpy(insns, bits, sizeof(insns));
		insns[0].code = i;
		used = disassemble(insns, 2, line, sizeof(line));
		ck_assert_uint_ge(used, 1);
		ck_assert_uint_le(used, 2);
		ck_assert_uint_lt(strlen(line), sizeof(line) - 1); /* none is cut */
		copy = strdup(line);
		disassemble(insns, 2, line, 8);
		ck_assert_int_eq(strncmp(copy, line, 7), 0);
		ck_assert_uint_le(strlen(line), 7);
		free(copy);
	}
}
END_TEST

START_TEST(test_what_is_emitted)
{
	ConditionScope scope = {CONDITION_FOR_DATA, world_parameter_names, WORLD_PARAMETERS};
	bool seen[256] = {false};

	for (size_t i = 0; i < table_n_cases; i++) {
		struct json_object *tree = json_tokener_parse(table_cases[i].condition);
		Condition *condition = NULL;
		ConditionError error;
		struct bpf_insn *insns;
		size_t n;

		ck_assert_int_eq(condition_from_json(tree, "$", &scope, &condition, &error), 0);
		ck_assert_int_eq(condition_emit(condition, &insns, &n), 0);
		for (size_t at = 0; at < n;) {
			char line[DISASSEMBLE_MAX_LINE];

			seen[insns[at].code] = true;
			at += disassemble(insns + at, n - at, line, sizeof(line));
			ck_assert_msg(!strstr(line, "unknown"), "%s: %s", table_cases[i].condition,
				      line);
		}
		free(insns);
		condition_free(condition);
		json_object_put(tree);
	}
	/* Each kind that the emitter made has a line above. */
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		seen[lines[i].insn.code] = false;
	seen[BPF_LD | BPF_IMM | BPF_DW] = false;
	for (int code = 0; code < 256; code++) {
		uint8_t other = code ^ BPF_X; /* the same with the other kind of operand */
		bool similar = false;

		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
			similar |= lines[i].insn.code == other;
		ck_assert_msg(!seen[code] || similar, "no line for operation code 0x%02x", code);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disassemble");
	TCase *tests = tcase_create("disassemble");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, test_lines, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(tests, test_wide_constant);
	tcase_add_test(tests, test_any_bytes);
	tcase_add_test(tests, test_what_is_emitted);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
