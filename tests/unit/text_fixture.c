/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/text_fixture.h"

#include <check.h>
#include <errno.h>
#include <string.h>

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

const bpcond_text_scope TEXT_EXECUTE = {
	.parameters = PARAMETERS, .n_parameters = 3, .lookup = look_up};
const bpcond_text_scope TEXT_DATA = {
	.parameters = PARAMETERS, .n_parameters = 3, .data_breakpoint = 1, .lookup = look_up};
const bpcond_text_scope TEXT_LENT = {.lent_filter = 1};

char *text_compile(const char *text, const bpcond_text_scope *scope)
{
	bpcond_text_error error = {.message = ""};
	char *json = NULL;
	int r = bpcond_condition_from_text(text, scope, &json, &error);

	ck_assert_msg(r == 0, "%s: %d, %u:%u: %s", text, r, error.line, error.column,
		      error.message);
	return json;
}

const TextAndTree TEXT_TREES[] = {
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

const size_t TEXT_N_TREES = sizeof(TEXT_TREES) / sizeof(TEXT_TREES[0]);
