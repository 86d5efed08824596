/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conditions in text: what they compile to, where C's rules ask for an `as` and where not, every mistake
 * with its place and what the message tells to do, and the way back to text.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpcond/bpcond.h>

#include "client/text_names.h"
#include "client/text_tree.h"
#include "condition/condition.h"
#include "condition/registers.h"

static const struct {
	const char *name;
	bpcond_symbol symbol;
} PROGRAM[] = {
	{"counter", {.address = 0x404040, .size = 4, .is_signed = 1}},
	{"flags", {.address = 0x404048, .size = 1}},
	{"name", {.address = 0x404050, .size = 1, .is_signed = 1, .pointers = 1}},
	{"table", {.address = 0x404060, .size = 4, .kind = BPCOND_SYMBOL_ARRAY}},
	{"names",
	 {.address = 0x404080,
	  .size = 1,
	  .is_signed = 1,
	  .pointers = 1,
	  .kind = BPCOND_SYMBOL_ARRAY}},
	{"shop::limit", {.address = 0x4041b0, .size = 4, .is_signed = 1}},
	{"main", {.address = 0x401000, .kind = BPCOND_SYMBOL_FUNCTION}},
	{"state", {.address = 0x4040a0, .kind = BPCOND_SYMBOL_OTHER}},
	{"head", {.address = 0x404100, .kind = BPCOND_SYMBOL_OTHER, .extent = 24}},
	{"next", {.address = 0x404120, .pointers = 1, .extent = 24}},
	{"opaque", {.address = 0x404128, .pointers = 1, .extent = -1}},
	{"heads", {.address = 0x404140, .kind = BPCOND_SYMBOL_ARRAY, .extent = 24}},
	{"grid", {.address = 0x404180, .kind = BPCOND_SYMBOL_ARRAY}},
	{"anything", {.address = 0x4041a0, .pointers = 1}},
	{"self", {.address = (uint64_t)-8, .size = 8, .is_signed = 1, .base_register = "fs_base"}},
	{"local", {.address = (uint64_t)-20, .size = 4, .is_signed = 1, .base_register = "rbp"}},
	{"argument", {.size = 2, .base_register = "rsi", .kind = BPCOND_SYMBOL_IN_REGISTER}},
	{"value", {.address = 0x4040c0, .size = 8, .is_signed = 1}},
	{"odd", {.address = 0x4040c8, .size = 3}},
};

static int look_up(void *userdata, const char *name, bpcond_symbol *ret)
{
	if (strcmp(name, "twice") == 0)
		return -EEXIST;
	if (strcmp(name, "nowhere") == 0)
		return -EOPNOTSUPP;
	if (strcmp(name, "broken") == 0)
		return -EIO;
	for (size_t i = 0; i < sizeof(PROGRAM) / sizeof(PROGRAM[0]); i++) {
		if (strcmp(PROGRAM[i].name, name) == 0) {
			*ret = PROGRAM[i].symbol;
			return 0;
		}
	}
	return -ENOENT;
}

static const char *const PARAMETERS[] = {"max", "u8", "flags"};

static const bpcond_text_scope EXECUTE = {
	.parameters = PARAMETERS, .n_parameters = 3, .lookup = look_up};
static const bpcond_text_scope DATA = {
	.parameters = PARAMETERS, .n_parameters = 3, .data_breakpoint = 1, .lookup = look_up};
static const bpcond_text_scope LENT = {.lent_filter = 1};

static char *compile(const char *text, const bpcond_text_scope *scope)
{
	bpcond_text_error error = {.message = ""};
	char *json = NULL;
	int r = bpcond_condition_from_text(text, scope, &json, &error);

	ck_assert_msg(r == 0, "%s: %d, %u:%u: %s", text, r, error.line, error.column,
		      error.message);
	return json;
}

static void expect_tree(const char *text, const bpcond_text_scope *scope, const char *expected)
{
	char *json = compile(text, scope);

	ck_assert_msg(strcmp(json, expected) == 0, "%s\n  gives   %s\n  and not %s", text, json,
		      expected);
	free(json);
}

/* ---- What texts compile to ------------------------------------------------------------------- */

static const struct {
	const char *text, *tree;
} TREES[] = {
	/* The contract's own examples. */
	{"$rdi == 500 && *(int *)($rsi + 8) < max",
	 "{\"and\":[{\"==\":[{\"reg\":\"rdi\"},500]},{\"<\":[{\"load\":\"s32\",\"at\":{\"+\":[{"
	 "\"reg\":"
	 "\"rsi\"},8]}},{\"param\":\"max\"}]}]}"},
	{"$edi < 0", "{\"<\":[{\"reg\":\"edi\"},0]}"},
	{"streq($rdi, \"GET\")", "{\"string-equals\":[{\"reg\":\"rdi\"},\"GET\"]}"},
	{"$_tid == 4711", "{\"==\":[{\"var\":\"tid\"},4711]}"},
	/* Precedence and grouping. */
	{"1 + $rdi * 2 << 3 < 4",
	 "{\"<\":[{\"<<\":[{\"+\":[1,{\"*\":[{\"reg\":\"rdi\"},2]}]},3]},4]}"},
	{"$rax | $rbx ^ $rcx & $rdx == 1", "{\"|\":[{\"reg\":\"rax\"},{\"^\":[{\"reg\":\"rbx\"},{"
					   "\"&\":[{\"reg\":\"rcx\"},{\"==\":[{\"reg\":"
					   "\"rdx\"},1]}]}]}]}"},
	{"$rax || $rbx && $rcx",
	 "{\"or\":[{\"reg\":\"rax\"},{\"and\":[{\"reg\":\"rbx\"},{\"reg\":\"rcx\"}]}]}"},
	{"$rax - $rbx - $rcx",
	 "{\"-\":[{\"-\":[{\"reg\":\"rax\"},{\"reg\":\"rbx\"}]},{\"reg\":\"rcx\"}]}"},
	{"$rax + $rbx + $rcx", "{\"+\":[{\"reg\":\"rax\"},{\"reg\":\"rbx\"},{\"reg\":\"rcx\"}]}"},
	{"($rax + $rbx) + $rcx",
	 "{\"+\":[{\"+\":[{\"reg\":\"rax\"},{\"reg\":\"rbx\"}]},{\"reg\":\"rcx\"}]}"},
	{"$rax + ($rbx + $rcx)",
	 "{\"+\":[{\"reg\":\"rax\"},{\"+\":[{\"reg\":\"rbx\"},{\"reg\":\"rcx\"}]}]}"},
	{"$rax ? $rbx : $rcx ? 1 : 2",
	 "{\"if\":[{\"reg\":\"rax\"},{\"reg\":\"rbx\"},{\"if\":[{\"reg\":\"rcx\"},1,2]}]}"},
	{"!-~$rax", "{\"!\":[{\"-\":[{\"~\":[{\"reg\":\"rax\"}]}]}]}"},
	{"!!$rax", "{\"!\":[{\"!\":[{\"reg\":\"rax\"}]}]}"},
	{" ( ( $rdi ) )\n\t== +3 ", "{\"==\":[{\"reg\":\"rdi\"},3]}"},
	/* 32 bits wrap, once, and only where it shows. */
	{"$edi + 1 == 0", "{\"==\":[{\"as\":\"s32\",\"of\":{\"+\":[{\"reg\":\"edi\"},1]}},0]}"},
	{"$edi + 2147483647 + 1 < 0",
	 "{\"<\":[{\"as\":\"s32\",\"of\":{\"+\":[{\"reg\":\"edi\"},2147483647,1]}},0]}"},
	{"($edi + 1) * 2 + $rax", "{\"+\":[{\"as\":\"s32\",\"of\":{\"*\":[{\"+\":[{\"reg\":\"edi\"}"
				  ",1]},2]}},{\"reg\":\"rax\"}]}"},
	{"$al + $ah == $bx",
	 "{\"==\":[{\"+\":[{\"reg\":\"al\"},{\"reg\":\"ah\"}]},{\"reg\":\"bx\"}]}"},
	{"$al * $bl * $cl < 0",
	 "{\"<\":[{\"*\":[{\"reg\":\"al\"},{\"reg\":\"bl\"},{\"reg\":\"cl\"}]},0]}"},
	{"($edi & 7) + 1 == 8", "{\"==\":[{\"+\":[{\"&\":[{\"reg\":\"edi\"},7]},1]},8]}"},
	{"(unsigned)$edi < 5", "{\"<\":[{\"as\":\"u32\",\"of\":{\"reg\":\"edi\"}},5]}"},
	{"$edi == 0xffffffff", "{\"==\":[{\"as\":\"u32\",\"of\":{\"reg\":\"edi\"}},4294967295]}"},
	{"(unsigned char)($edi + 1) == 0",
	 "{\"==\":[{\"as\":\"u8\",\"of\":{\"+\":[{\"reg\":\"edi\"},1]}},0]}"},
	{"(char)(int)(long)$rdi == 'a'", "{\"==\":[{\"as\":\"s8\",\"of\":{\"reg\":\"rdi\"}},97]}"},
	{"(unsigned)-1 - $edi > 0u",
	 "{\">\":[{\"as\":\"u32\",\"of\":{\"-\":[4294967295,{\"reg\":\"edi\"}]}},0]}"},
	{"-$edi > 0", "{\">\":[{\"as\":\"s32\",\"of\":{\"-\":[{\"reg\":\"edi\"}]}},0]}"},
	{"~$edi == 0", "{\"==\":[{\"~\":[{\"reg\":\"edi\"}]},0]}"},
	{"$edi / $esi == 2",
	 "{\"==\":[{\"as\":\"s32\",\"of\":{\"/\":[{\"reg\":\"edi\"},{\"reg\":\"esi\"}]}},2]}"},
	{"$edi % 10 == 3", "{\"==\":[{\"%\":[{\"reg\":\"edi\"},10]},3]}"},
	{"$edi >> 4 == 3", "{\"==\":[{\">>\":[{\"reg\":\"edi\"},4]},3]}"},
	{"$edi << 4 == 3", "{\"==\":[{\"as\":\"s32\",\"of\":{\"<<\":[{\"reg\":\"edi\"},4]}},3]}"},
	{"(bool)$rdi == true", "{\"==\":[{\"!=\":[{\"reg\":\"rdi\"},0]},1]}"},
	{"$edi ? $esi + 1 : $rax", "{\"if\":[{\"reg\":\"edi\"},{\"as\":\"s32\",\"of\":{\"+\":[{"
				   "\"reg\":\"esi\"},1]}},{\"reg\":\"rax\"}]}"},
	/* Signs of 64 bits. */
	{"$rdi < -1ul", "{\"<\":[{\"reg\":\"rdi\"},\"0xffffffffffffffff\"]}"},
	{"$rdi < 1ul", "{\"<\":[{\"as\":\"u64\",\"of\":{\"reg\":\"rdi\"}},1]}"},
	{"$rdi == 1ul", "{\"==\":[{\"reg\":\"rdi\"},1]}"},
	{"(long)$rip < 0", "{\"<\":[{\"as\":\"s64\",\"of\":{\"reg\":\"rip\"}},0]}"},
	{"$rdi < $rip", "{\"<\":[{\"reg\":\"rdi\"},{\"reg\":\"rip\"}]}"},
	{"(unsigned)$edi < $rdi",
	 "{\"<\":[{\"as\":\"u32\",\"of\":{\"reg\":\"edi\"}},{\"reg\":\"rdi\"}]}"},
	{"(size_t)$rdi / 2 == 3",
	 "{\"==\":[{\"/\":[{\"as\":\"u64\",\"of\":{\"reg\":\"rdi\"}},2]},3]}"},
	{"$rdi >> $rip", "{\">>\":[{\"reg\":\"rdi\"},{\"as\":\"s64\",\"of\":{\"reg\":\"rip\"}}]}"},
	{"$rsp - $rbp < 0",
	 "{\"<\":[{\"as\":\"s64\",\"of\":{\"-\":[{\"reg\":\"rsp\"},{\"reg\":\"rbp\"}]}},0]}"},
	{"$rsp & 15", "{\"&\":[{\"reg\":\"rsp\"},15]}"},
	/* Constants are folded, with C's types. */
	{"(unsigned char)1 - 2 < 0", "1"},
	{"2147483647 + 1 < 0", "1"},
	{"2147483648 > 0 && -1 < 0u", "0"},
	{"0xffffffff == -1", "1"},
	{"4294967295 == -1", "0"},
	{"1 ? 2 : 3", "2"},
	{"-9223372036854775807 - 1", "-9223372036854775808"},
	{"18446744073709551615u", "\"0xffffffffffffffff\""},
	{"0x8000000000000000", "\"0x8000000000000000\""},
	{"0b101 + 017 + 0x1F + 1uLL + 'A' + '\\n' + '\\x41' + '\\101' + '\\'' + '\\377'", "295"},
	{"sizeof(int) + sizeof(char *) + sizeof $eax + sizeof(unsigned long long int)", "24"},
	{"-8 / 3 == -2 && -8 % 3 == -2", "1"},
	{"-1 >> 1 == -1 && -1u >> 1 == 0x7fffffff", "1"},
	{"1 / 0", "{\"/\":[1,0]}"},
	{"(long)1 << 40", "1099511627776"},
	{"$rdi << 64", "{\"<<\":[{\"reg\":\"rdi\"},64]}"},
	/* Memory and pointers. */
	{"*(unsigned char *)$rdi", "{\"load\":\"u8\",\"at\":{\"reg\":\"rdi\"}}"},
	{"*(int64_t *)0x404040", "{\"load\":\"s64\",\"at\":\"0x404040\"}"},
	{"((int *)$rsi)[3]", "{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":\"rsi\"},12]}}"},
	{"((short *)$rsi)[$ecx]", "{\"load\":\"s16\",\"at\":{\"+\":[{\"reg\":\"rsi\"},{\"*"
				  "\":[{\"reg\":\"ecx\"},2]}]}}"},
	{"*((int *)$rsi + 2) == *((char *)$rsi - 1)",
	 "{\"==\":[{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":\"rsi\"},8]}},{\"load\":"
	 "\"s8\",\"at\":"
	 "{\"-\":[{"
	 "\"reg\":\"rsi\"},1]}}]}"},
	{"**(char **)$rsi == 'x'", "{\"==\":[{\"load\":\"s8\",\"at\":{\"load\":\"u64\","
				   "\"at\":{\"reg\":\"rsi\"}}},120]}"},
	{"*(int *)($rsp + 8)", "{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":\"rsp\"},8]}}"},
	{"*(const volatile unsigned *const)$rdi", "{\"load\":\"u32\",\"at\":{\"reg\":\"rdi\"}}"},
	{"*(int *)$edi", "{\"load\":\"s32\",\"at\":{\"reg\":\"edi\"}}"},
	{"*(int *)($edi + 4)",
	 "{\"load\":\"s32\",\"at\":{\"as\":\"s32\",\"of\":{\"+\":[{\"reg\":\"edi\"},4]}}}"},
	{"(int *)$rdi - (int *)$rsi == 2",
	 "{\"==\":[{\"/\":[{\"-\":[{\"reg\":\"rdi\"},{\"reg\":\"rsi\"}]},4]},2]}"},
	{"(char *)$rdi < (char *)$rsi",
	 "{\"<\":[{\"as\":\"u64\",\"of\":{\"reg\":\"rdi\"}},{\"reg\":\"rsi\"}]}"},
	{"(void *)$rdi == NULL", "{\"==\":[{\"reg\":\"rdi\"},0]}"},
	{"2[(long *)$rdi]", "{\"load\":\"s64\",\"at\":{\"+\":[16,{\"reg\":\"rdi\"}]}}"},
	{"*(bool *)$rdi == 1",
	 "{\"==\":[{\"!=\":[{\"load\":\"u8\",\"at\":{\"reg\":\"rdi\"}},0]},1]}"},
	/* Names: parameters, then the program. */
	{"max - 1 > $rdi", "{\">\":[{\"-\":[{\"param\":\"max\"},1]},{\"reg\":\"rdi\"}]}"},
	{"(u8) + 1", "{\"+\":[{\"param\":\"u8\"},1]}"},
	{"flags == 1", "{\"==\":[{\"param\":\"flags\"},1]}"},
	{"$rdi ? shop::limit : shop::limit + 1",
	 "{\"as\":\"s32\",\"of\":{\"if\":[{\"reg\":\"rdi\"},{\"load\":\"s32\",\"at\":\"0x4041b0\"},"
	 "{"
	 "\"+\":[{\"load\":\"s32\",\"at\":\"0x4041b0\"},1]}]}}"},
	{"counter > 5", "{\">\":[{\"load\":\"s32\",\"at\":\"0x404040\"},5]}"},
	{"*name == 'a'",
	 "{\"==\":[{\"load\":\"s8\",\"at\":{\"load\":\"u64\",\"at\":\"0x404050\"}},97]}"},
	{"table[2] < 3", "{\"<\":[{\"load\":\"u32\",\"at\":\"0x404068\"},3]}"},
	{"streq(names[1], \"x\")",
	 "{\"string-equals\":[{\"load\":\"u64\",\"at\":\"0x404088\"},\"x\"]}"},
	{"$rip == main", "{\"==\":[{\"reg\":\"rip\"},4198400]}"},
	{"$rdi == &counter", "{\"==\":[{\"reg\":\"rdi\"},4210752]}"},
	{"&table[1] == $rdi", "{\"==\":[4210788,{\"reg\":\"rdi\"}]}"},
	{"*(short *)((char *)&state + 6)", "{\"load\":\"s16\",\"at\":\"0x4040a6\"}"},
	/* Pointers step by what they point to, also where that is no integer. */
	{"*(int *)(&head + 2)", "{\"load\":\"s32\",\"at\":\"0x404130\"}"},
	{"*(int *)((char *)&head + 4)", "{\"load\":\"s32\",\"at\":\"0x404104\"}"},
	{"*(int *)(heads + 1)", "{\"load\":\"s32\",\"at\":\"0x404158\"}"},
	{"*(long *)(next + 1)",
	 "{\"load\":\"s64\",\"at\":{\"+\":[{\"load\":\"u64\",\"at\":\"0x404120\"},24]}}"},
	{"*(long *)(anything + 1)",
	 "{\"load\":\"s64\",\"at\":{\"+\":[{\"load\":\"u64\",\"at\":\"0x4041a0\"},1]}}"},
	{"main + 4 == $rip", "{\"==\":[4198404,{\"reg\":\"rip\"}]}"},
	{"&head - &head == 0 && sizeof head == 24 && &state == 0x4040a0 && &table == table", "1"},
	{"self == 1", "{\"==\":[{\"load\":\"s64\",\"at\":{\"+\":[{\"reg\":\"fs_base\"},-8]}},1]}"},
	{"local == 1", "{\"==\":[{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":\"rbp\"},-20]}},1]}"},
	{"argument == 1", "{\"==\":[{\"as\":\"u16\",\"of\":{\"reg\":\"rsi\"}},1]}"},
	{"value == 3", "{\"==\":[{\"load\":\"s64\",\"at\":\"0x4040c0\"},3]}"},
	/* Registers by all their names. */
	{"$pc == $sp && $fp == $ps", "{\"and\":[{\"==\":[{\"reg\":\"rip\"},{\"reg\":\"rsp\"}]},{\"="
				     "=\":[{\"reg\":\"rbp\"},{\"reg\":"
				     "\"eflags\"}]}]}"},
	{"$r8l + $r9w + $r10d + $r11 + $r12b", "{\"+\":[{\"as\":\"s32\",\"of\":{\"+\":[{\"reg\":"
					       "\"r8l\"},{\"reg\":\"r9w\"},{\"reg\":\"r10d\"}]}},{"
					       "\"reg\":\"r11\"},{\"reg\":\"r12l\"}]}"},
	{"$cs == 0x33", "{\"==\":[{\"reg\":\"cs\"},51]}"},
	{"$_cpu - 1 < 0", "{\"<\":[{\"-\":[{\"var\":\"cpu\"},1]},0]}"},
	{"$_time > 5 && $_evaluated % 2 == 0 && $_pid == 1",
	 "{\"and\":[{\">\":[{\"var\":\"time\"},5]},{\"==\":[{\"%\":[{\"var\":\"evaluated\"}"
	 ",2]},0]}"
	 ",{\"==\":[{"
	 "\"var\":\"pid\"},1]}]}"},
	/* Functions. */
	{"strstarts(*(char **)$rdi, \"a\\\"b\\\\\\n\\303\\xa4\" \"c\")",
	 "{\"string-starts\":[{\"load\":\"u64\",\"at\":{\"reg\":\"rdi\"}},"
	 "\"a\\\"b\\\\\\u000aäc\"]"
	 "}"},
	{"streq($rdi, \"\")", "{\"string-equals\":[{\"reg\":\"rdi\"},\"\"]}"},
	{"$_streq($rdi, \"a\")", "{\"string-equals\":[{\"reg\":\"rdi\"},\"a\"]}"},
	{"bytes_equal($rsi + 1, \"7F454c46\")",
	 "{\"bytes-equal\":[{\"+\":[{\"reg\":\"rsi\"},1]},\"7F454c46\"]}"},
	{"streq(0x404040, \"a\")", "{\"string-equals\":[\"0x404040\",\"a\"]}"},
	{"in_range($edi, 1, max)", "{\"in\":[{\"reg\":\"edi\"},1,{\"param\":\"max\"}]}"},
	{"in_range($rdi, 1u, -1ul)", "{\"in\":[{\"reg\":\"rdi\"},1,\"0xffffffffffffffff\"]}"},
	{"in_range($rdi, 1, 9ul)", "{\"in\":[{\"as\":\"u64\",\"of\":{\"reg\":\"rdi\"}},1,9]}"},
	{"masked($eflags, 0x40, 0x40)", "{\"masked\":[{\"reg\":\"eflags\"},64,64]}"},
};

START_TEST(test_trees)
{
	expect_tree(TREES[_i].text, &EXECUTE, TREES[_i].tree);
}
END_TEST

START_TEST(test_variables_of_data_breakpoints_and_lent_filters)
{
	expect_tree("value != previous", &DATA,
		    "{\"!=\":[{\"var\":\"value\"},{\"var\":\"previous\"}]}");
	expect_tree("$_value < -1", &DATA, "{\"<\":[{\"var\":\"value\"},\"0xffffffffffffffff\"]}");
	expect_tree("(int)value < -1", &DATA,
		    "{\"<\":[{\"as\":\"s32\",\"of\":{\"var\":\"value\"}},-1]}");
	expect_tree("$_counter == 26", &LENT, "{\"==\":[{\"var\":\"counter\"},26]}");
	expect_tree("$rdi", NULL, "{\"reg\":\"rdi\"}");
}
END_TEST

/* `value` has the type of what is watched, $_value is as the daemon gives it. */
START_TEST(test_values_with_a_type)
{
	bpcond_text_scope scope = DATA;

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
	int r = bpcond_condition_from_text(MISTAKES[_i].text, &EXECUTE, &json, &error);

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

	ck_assert_int_eq(bpcond_condition_from_text("broken", &EXECUTE, &json, &error), -EIO);
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
	free(compile(text, NULL));
	free(text);
}
END_TEST

/* ---- Back to text ---------------------------------------------------------------------------- */

static void expect_stable(const char *text, const bpcond_text_scope *scope)
{
	char *tree = compile(text, scope), *again = NULL, *tree_again;
	int r = bpcond_condition_to_text(tree, &again);

	ck_assert_msg(r == 0, "%s, from %s: %d", tree, text, r);
	tree_again = compile(again, scope);
	ck_assert_msg(strcmp(tree, tree_again) == 0, "%s\n  gives %s\n  as text %s\n  gives %s",
		      text, tree, again, tree_again);
	free(tree_again);
	free(again);
	free(tree);
}

START_TEST(test_text_is_stable)
{
	/* A symbol's address stays, its name does not: so a parameter cannot hide it. */
	expect_stable(TREES[_i].text, &EXECUTE);
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
	TCase *texts = tcase_create("texts");

	tcase_add_loop_test(trees, test_trees, 0, sizeof(TREES) / sizeof(TREES[0]));
	tcase_add_test(trees, test_variables_of_data_breakpoints_and_lent_filters);
	tcase_add_test(trees, test_values_with_a_type);
	tcase_add_test(trees, test_registers_are_the_daemons);
	suite_add_tcase(suite, trees);
	tcase_add_loop_test(mistakes, test_mistakes, 0, sizeof(MISTAKES) / sizeof(MISTAKES[0]));
	tcase_add_test(mistakes, test_failures_of_the_lookup);
	tcase_add_test(mistakes, test_sizes);
	suite_add_tcase(suite, mistakes);
	tcase_add_loop_test(texts, test_text_is_stable, 0, sizeof(TREES) / sizeof(TREES[0]));
	tcase_add_loop_test(texts, test_texts, 0, sizeof(TEXTS) / sizeof(TEXTS[0]));
	tcase_add_test(texts, test_no_trees);
	suite_add_tcase(suite, texts);
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
