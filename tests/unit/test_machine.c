/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is the machine's: the registers by name, type and place, in which compiler, records and text
 * must be of one opinion, and what its debug registers can watch. Each machine's build tests its own.
 */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpcond/bpcond.h"
#include "bpf/machine.h"
#include "client/machine.h"
#include "condition/registers.h"
#include "daemon/refusal.h"
#include "daemon/spec.h"

#define MESSAGE_BYTES sizeof(((Refusal *)NULL)->text)

typedef struct Expected {
	const char *name;
	unsigned int whole;
	ValueType type;
	unsigned int shift;
	bool is_unsigned;
} Expected;

#if MACHINE_X86
#define PC_NAME "rip"
static const Expected expected[] = {
	{"rax", BPCOND_REG_RAX, TYPE_S64, 0, false},
	{"eax", BPCOND_REG_RAX, TYPE_S32, 0, false},
	{"ah", BPCOND_REG_RAX, TYPE_S8, 8, false},
	{"r15b", BPCOND_REG_R15, TYPE_S8, 0, false},
	{"rip", BPCOND_REG_PC, TYPE_U64, 0, true},
	{"pc", BPCOND_REG_PC, TYPE_U64, 0, true},
	{"sp", BPCOND_REG_SP, TYPE_U64, 0, true},
	{"cs", BPCOND_REG_CS, TYPE_U16, 0, false},
	{"fs_base", BPCOND_REG_FS_BASE, TYPE_S64, 0, false},
};
static const char *const foreign[] = {"x0", "w30", "pstate", "lr"};
static const char *const unknown[] = {"x", "w", "", "rxx", "xa"};
#elif MACHINE_ARM64
#define PC_NAME "pc"
static const Expected expected[] = {
	{"x0", BPCOND_REG_X0, TYPE_S64, 0, false},
	{"w0", BPCOND_REG_X0, TYPE_U32, 0, false},
	{"x17", BPCOND_REG_X0 + 17, TYPE_S64, 0, false},
	{"ip1", BPCOND_REG_X0 + 17, TYPE_S64, 0, false},
	{"fp", BPCOND_REG_X29, TYPE_S64, 0, false},
	{"w30", BPCOND_REG_X30, TYPE_U32, 0, false},
	{"lr", BPCOND_REG_X30, TYPE_S64, 0, false},
	{"sp", BPCOND_REG_SP, TYPE_U64, 0, true},
	{"pc", BPCOND_REG_PC, TYPE_U64, 0, true},
	{"pstate", BPCOND_REG_PSTATE, TYPE_U64, 0, true},
	{"cpsr", BPCOND_REG_PSTATE, TYPE_U64, 0, true},
};
static const char *const foreign[] = {"rax",     "edi", "r8", "eflags",
				      "fs_base", "xzr", "v0", "tpidr"};
static const char *const unknown[] = {"x", "w", "", "x31", "w31", "wsp"};
#endif

START_TEST(test_names)
{
	const Register *reg = register_by_name(expected[_i].name);

	ck_assert_ptr_nonnull(reg);
	ck_assert_uint_eq(reg->whole, expected[_i].whole);
	ck_assert_int_eq(reg->type, expected[_i].type);
	ck_assert_uint_eq(reg->shift, expected[_i].shift);
	ck_assert_int_eq(reg->is_unsigned, expected[_i].is_unsigned);
}
END_TEST

START_TEST(test_no_names)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		ck_assert_ptr_null(register_by_name(foreign[i]));
		ck_assert_ptr_nonnull(register_why_not(foreign[i]));
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		ck_assert_ptr_null(register_by_name(unknown[i]));
		ck_assert_ptr_null(register_why_not(unknown[i]));
	}
}
END_TEST

/* Each whole register has one place of its own and is called alike everywhere. */
START_TEST(test_one_opinion)
{
	bool seen[BPCOND_REG_COUNT] = {false};

	for (size_t i = 0; register_at(i); i++) {
		const Register *reg = register_at(i);
		const TextRegister *text = text_register_find(reg->name, strlen(reg->name));
		bool is_input = register_inputs() >> reg->whole & 1;

		ck_assert_uint_lt(reg->whole, BPCOND_REG_COUNT);
		if (!seen[reg->whole]) {
			ck_assert_str_eq(reg->name, machine_register_names[reg->whole]);
			ck_assert_uint_eq(value_type_bytes(reg->type) == 8 || reg->type == TYPE_U16,
					  1);
		}
		seen[reg->whole] = true;
		if (!is_input)
			ck_assert_uint_lt(register_offset(reg->whole), 8 * MACHINE_REGISTER_WORDS);
		ck_assert_uint_eq(register_offset(reg->whole) % 8, 0);
		for (size_t j = 0; j < i; j++)
			if (register_at(j)->whole != reg->whole &&
			    !is_input == !(register_inputs() >> register_at(j)->whole & 1))
				ck_assert_uint_ne(register_offset(register_at(j)->whole),
						  register_offset(reg->whole));

		ck_assert_msg(text != NULL, "text does not know %s", reg->name);
		ck_assert_uint_eq(register_by_name(text->name)->whole, reg->whole);
		ck_assert_uint_eq(register_by_name(text->name)->type, reg->type);
	}
	for (int i = 0; i < BPCOND_REG_COUNT; i++)
		ck_assert(seen[i]);
	for (size_t i = 0; i < n_machine_text_registers; i++)
		ck_assert_ptr_nonnull(register_by_name(machine_text_registers[i].name));
	for (size_t i = 0; i < n_machine_dwarf_registers; i++)
		ck_assert_ptr_nonnull(register_by_name(machine_dwarf_registers[i]));
	for (size_t i = 0; i < n_machine_arguments; i++)
		ck_assert_ptr_nonnull(register_by_name(machine_arguments[i]));
}
END_TEST

static int parse(const char *address, const char *rest, char message[MESSAGE_BYTES])
{
	char text[160];
	Refusal refusal = {0};
	Spec *spec = NULL;
	int r;

	snprintf(text, sizeof(text), "{\"address\":\"%s\"%s}", address, rest);
	r = spec_parse(text, strlen(text), &spec, &refusal);
	snprintf(message, MESSAGE_BYTES, "%s", r > 0 ? refusal.text : "");
	spec_free(spec);
	return r;
}

/* x86-64: 1, 2, 4 or 8 aligned bytes. arm64: 1 to 8 bytes of one doubleword. */
START_TEST(test_lengths)
{
	for (unsigned int offset = 0; offset < 16; offset++)
		for (unsigned int length = 1; length <= 8; length++) {
			bool wanted = MACHINE_X86
					      ? (length & (length - 1)) == 0 && offset % length == 0
					      : offset % 8 + length <= 8;
			char message[MESSAGE_BYTES], address[32], rest[64];
			int r;

			snprintf(address, sizeof(address), "0x4010%02x", offset);
			snprintf(rest, sizeof(rest), ",\"access\":\"write\",\"length\":%u", length);
			r = parse(address, rest, message);
			ck_assert_msg(r == (wanted ? 0 : REFUSED_INVALID_SPEC),
				      "%u bytes at offset %u: %d, %s", length, offset, r, message);
		}
}
END_TEST

START_TEST(test_addresses)
{
	char message[MESSAGE_BYTES];

	ck_assert_int_eq(parse("0x401002", "", message), MACHINE_X86 ? 0 : REFUSED_INVALID_SPEC);
	if (MACHINE_ARM64)
		ck_assert_ptr_nonnull(strstr(message, "divisible by 4"));
	ck_assert_int_eq(parse("0x401004", "", message), 0);
	ck_assert_int_eq(parse("0x7fffffffeffc", "", message), 0);
	ck_assert_int_eq(parse("0xfffffffffffc", "", message),
			 MACHINE_ARM64 ? 0 : REFUSED_INVALID_SPEC);
	ck_assert_int_eq(parse("0x1000000000000", "", message), REFUSED_INVALID_SPEC);
	ck_assert_ptr_nonnull(strstr(message, "is not a user address"));
	/* a pointer with a tag */
	ck_assert_int_eq(parse("0x5a00000000401000", "", message), REFUSED_INVALID_SPEC);
	if (MACHINE_ARM64)
		ck_assert_ptr_nonnull(strstr(message, "write the address without it, 0x401000"));
}
END_TEST

/* Conditions in text: the machine's registers, and C as its compiler has it. */
static const struct {
	const char *text, *tree;
} texts[] = {
#if MACHINE_X86
	{"(char)$rdi == -1", "{\"==\":[{\"as\":\"s8\",\"of\":{\"reg\":\"rdi\"}},-1]}"},
	{"$edi + 1 < 5", "{\"<\":[{\"as\":\"s32\",\"of\":{\"+\":[{\"reg\":\"edi\"},1]}},5]}"},
#elif MACHINE_ARM64
	{"$x0 == 500 && *(int *)($x1 + 8) < 10", "{\"and\":[{\"==\":[{\"reg\":\"x0\"},500]},{\"<\":"
						 "[{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":"
						 "\"x1\"},8]}},10]}]}"},
	{"*(char *)$x1 == 'G'", "{\"==\":[{\"load\":\"u8\",\"at\":{\"reg\":\"x1\"}},71]}"},
	{"(signed char)$x0 == -1", "{\"==\":[{\"as\":\"s8\",\"of\":{\"reg\":\"x0\"}},-1]}"},
	{"$w0 + 1 < 5", "{\"<\":[{\"as\":\"u32\",\"of\":{\"+\":[{\"reg\":\"w0\"},1]}},5]}"},
	{"(int)$w0 < 0", "{\"<\":[{\"as\":\"s32\",\"of\":{\"reg\":\"w0\"}},0]}"},
	{"$fp == $lr", "{\"==\":[{\"reg\":\"x29\"},{\"reg\":\"x30\"}]}"},
	{"$pc == $sp", "{\"==\":[{\"reg\":\"pc\"},{\"reg\":\"sp\"}]}"},
	{"masked($cpsr, 1, 1)", "{\"masked\":[{\"reg\":\"pstate\"},1,1]}"},
#endif
	{"$pc != 0", "{\"!=\":[{\"reg\":\"" PC_NAME "\"},0]}"},
};

START_TEST(test_texts)
{
	bpcond_text_error error = {.message = ""};
	char *tree = NULL;
	int r = bpcond_condition_from_text(texts[_i].text, NULL, &tree, &error);

	ck_assert_msg(r == 0, "%s: %s", texts[_i].text, error.message);
	ck_assert_str_eq(tree, texts[_i].tree);
	free(tree);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine");
	TCase *tcase = tcase_create("machine");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, test_names, 0, sizeof(expected) / sizeof(expected[0]));
	tcase_add_test(tcase, test_no_names);
	tcase_add_test(tcase, test_one_opinion);
	tcase_add_test(tcase, test_lengths);
	tcase_add_test(tcase, test_addresses);
	tcase_add_loop_test(tcase, test_texts, 0, sizeof(texts) / sizeof(texts[0]));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
