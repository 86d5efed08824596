/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world: rax 0x8877665544f3e2d1, rbx INT64_MIN, rcx -1, rdx 0, rsi 0x80000000, rdi 0xffffffff,
 * rbp and rsp 0x8000000000000000, r8 to r15 8 to 15, rip 0x401136, eflags 0x246, cs and ss with event
 * bits of FRED above their 16, orig_rax -1, fs_base 0x7f0000001000, gs_base -1; on arm64 what stands for
 * these (registers.h). Parameters: limit
 * INT64_MIN, max 10, rbx -1. value 200, previous 201.
 *
 * Memory: "GET" and its NUL end at 0x200000002000, where a page is missing; "GET" without a NUL ends
 * at 0x200000005000, where another is; "sixteen bytes ok" and its NUL end at 0x200000007000, where the
 * last one is.
 */
#include <string.h>

#include "tests/differential/registers.h"
#include "tests/differential/table.h"

#define TRUE  CONDITION_TRUE
#define FALSE CONDITION_FALSE
#define FAULT CONDITION_FAULT

#define MIN                  "\"0x8000000000000000\""
#define UMAX                 "\"0xffffffffffffffff\""
#define REG(name)            "{\"reg\":\"" name "\"}"
#define PARAM(name)          "{\"param\":\"" name "\"}"
#define VAR(name)            "{\"var\":\"" name "\"}"
#define OP(op, args)         "{\"" op "\":[" args "]}"
#define IS(a, b)             OP("==", a "," b)
#define AS(type, e)          "{\"as\":\"" type "\",\"of\":" e "}"
#define LOAD(type, at)       "{\"load\":\"" type "\",\"at\":" at "}"
#define STRING(op, at, text) "{\"" op "\":[" at ",\"" text "\"]}"

#define GET_NUL   "\"0x200000001ffc\"" /* "GET\0", then nothing */
#define GET_CUT   "\"0x200000004ffd\"" /* "GET", then nothing */
#define LAST_BYTE "\"0x200000001fff\""
#define MISSING   "\"0x200000002000\""
#define SIXTEEN   "\"0x200000006fef\"" /* "sixteen bytes ok\0", then nothing */

const TableCase table_cases[] = {
#if MACHINE_ARM64
	{IS(REG("w0"), "\"0x44f3e2d1\""), TRUE},
	{IS(REG("w5"), "4294967295"), TRUE},
	{IS(REG("w5"), REG("x5")), TRUE},
	{OP("<", REG("w5") ",0"), FALSE},
	{IS(REG("w4"), "\"0x80000000\""), TRUE},
	{OP("<", REG("w4") ",0"), FALSE},
	{OP("<", AS("s32", REG("w4")) ",0"), TRUE},
	{IS(OP("+", REG("w5") ",1"), "4294967296"), TRUE},
	{OP("<", REG("w5") ",-1"), FALSE}, /* signed: a number that is never negative */
	{IS(REG("x7"), "-1"), TRUE},
	{IS(REG("w7"), "\"0xffffffff\""), TRUE},
	{IS(REG("lr"), REG("x30")), TRUE},
	{IS(REG("fp"), REG("x29")), TRUE},
	{IS(REG("ip0"), REG("x16")), TRUE},
	{OP("<", REG("fp") ",0"), TRUE},
	{IS(REG("pstate"), REG("cpsr")), TRUE},
	{OP("<", REG("pc") ",-1"), TRUE}, /* u64 */
	{OP("<", REG("sp") ",0"), FALSE},
#endif

	/* constants and truth */
	{"0", FALSE},
	{"1", TRUE},
	{"-1", TRUE},
	{"256", TRUE},
	{"\"0x0\"", FALSE},
	{MIN, TRUE},
	{IS(UMAX, "-1"), TRUE}, /* the same 64 bits */
	{OP("<", "-1,0"), TRUE},
	{OP("<", UMAX ",0"), FALSE},
	{OP(">", UMAX ",0"), TRUE},
	{OP("<", "-1," MIN), FALSE}, /* MIN is above INT64_MAX, so u64, and -1 the largest */
	{OP(">", "-1," MIN), TRUE},
	{OP("<", "9223372036854775807,-9223372036854775808"), FALSE},
	{OP("<", "\"0x7fffffffffffffff\",-1"), FALSE},

	/* registers and their types */
	{IS(REG(RAX), "\"0x8877665544f3e2d1\""), TRUE},
	{OP("<", REG(RAX) ",0"), TRUE},
#if MACHINE_X86
	{IS(REG("eax"), "\"0x44f3e2d1\""), TRUE},
	{IS(REG("ax"), "-7471"), TRUE},
	{IS(REG("al"), "-47"), TRUE},
	{IS(REG("ah"), "-30"), TRUE},
	{IS(REG("edi"), "-1"), TRUE},
#endif
	{IS(REG(RDI), "4294967295"), TRUE},
#if MACHINE_X86
	{IS(REG("edi"), "4294967295"), FALSE},
	{IS(REG("edi"), REG(RDI)), FALSE},
	{OP("<", REG("edi") ",0"), TRUE},
	{OP("<", REG("esi") ",0"), TRUE},
#endif
	{OP("<", REG(RSI) ",0"), FALSE},
#if MACHINE_X86
	{IS(REG("esi"), "-2147483648"), TRUE},
	{IS(REG("di"), "-1"), TRUE},
	{IS(REG("dil"), "-1"), TRUE},
	{IS(REG("sil"), "0"), TRUE},
	{IS(REG("r8d"), "8"), TRUE},
	{IS(OP("+", REG("r9w") "," REG("r10l") "," REG("r11b")), "30"), TRUE},
#endif
	{OP("<", REG(RSP) ",0"), FALSE},
	{OP(">", REG(RSP) ",0"), TRUE},
	{OP("<", REG("sp") ",0"), FALSE},
#if MACHINE_X86
	{OP("<", REG("rbp") ",1"), FALSE},
	{IS(REG("esp"), "0"), TRUE},
#endif
	{OP("<", REG(RBX) ",0"), TRUE},
	{OP("<", REG(RBX) "," REG(RSP)), FALSE}, /* u64: equal */
	{OP("<=", REG(RBX) "," REG(RSP)), TRUE},
	{IS(REG(RIP), "4198710"), TRUE},
	{IS(REG("pc"), REG(RIP)), TRUE},
	{IS(OP("&", REG(EFLAGS) ",64"), "64"), TRUE},
#if MACHINE_X86
	{IS(REG("cs"), "51"), TRUE},
	{IS(REG("ss"), "43"), TRUE},
	{IS(REG("orig_rax"), "-1"), TRUE},
	{OP("<", REG("orig_rax") ",0"), TRUE},
	{IS(REG("fs_base"), "\"0x7f0000001000\""), TRUE},
	{OP("<", REG("gs_base") ",0"), TRUE},
#endif

	/* parameters are signed, the variables of this world */
	{OP("<", PARAM("limit") ",0"), TRUE},
	{OP("<", PARAM("rbx") "," PARAM("max")), TRUE},
	{OP("<", AS("u64", PARAM("rbx")) "," PARAM("max")), FALSE},
	{IS(VAR("tid"), "4711"), TRUE},
	{OP("<", OP("-", VAR("tid") ",4712") ",0"), TRUE},
	{OP("<", OP("-", VAR("value") ",201") ",0"), FALSE}, /* value is u64 */
	{OP("!=", VAR("value") "," VAR("previous")), TRUE},
	{OP("<", VAR("value") "," VAR("previous")), TRUE},
	{IS(VAR("evaluated"), "1"), TRUE},

	/* arithmetic: 64 bits, wrapping */
	{IS(OP("+", "9223372036854775807,1"), MIN), TRUE},
	{OP("<", OP("+", "9223372036854775807,1") ",0"), TRUE},
	{IS(OP("-", "0,1"), UMAX), TRUE},
	{IS(OP("-", REG(RBX)), MIN), TRUE},
	{OP("<", OP("-", REG(RCX)) ",0"), FALSE},
	{OP("<", OP("-", REG(RSP)) ",0"), FALSE}, /* u64 stays u64 */
	{IS(OP("*", REG(RCX) "," REG(RCX)), "1"), TRUE},
	{IS(OP("*", REG(RBX) ",2"), "0"), TRUE},
	{IS(OP("+", "1,2,3,4,5"), "15"), TRUE},
	{IS("{\"-\":5}", "-5"), TRUE},

	/* division */
	{OP("/", "1,0"), FAULT},
	{OP("%", "1,0"), FAULT},
	{OP("/", "1," REG(RDX)), FAULT},
	{OP("%", REG(RAX) "," REG(RDX)), FAULT},
	{IS(OP("/", REG(RBX) "," REG(RCX)), MIN), TRUE},
	{OP("<", OP("/", REG(RBX) "," REG(RCX)) ",0"), TRUE},
	{IS(OP("%", REG(RBX) "," REG(RCX)), "0"), TRUE},
	{IS(OP("/", REG(RBX) ",-1"), MIN), TRUE},
	{IS(OP("%", REG(RBX) ",-1"), "0"), TRUE},
	{IS(OP("/", "-9223372036854775808,-1"), MIN), TRUE},
	{IS(OP("%", "-9223372036854775808,-1"), "0"), TRUE},
	{IS(OP("/", "7,-1"), "-7"), TRUE},
	{IS(OP("%", "7,-1"), "0"), TRUE},
	{IS(OP("/", REG(R8) ",-1"), "-8"), TRUE},
	{IS(OP("/", "-7,2"), "-3"), TRUE},
	{IS(OP("%", "-7,2"), "-1"), TRUE},
	{IS(OP("%", "7,-2"), "1"), TRUE},
	{IS(OP("/", OP("-", REG(R8)) ",3"), "-2"), TRUE},
	{IS(OP("%", OP("-", REG(R8)) ",3"), "-2"), TRUE},
	{IS(OP("/", OP("-", REG(R8)) "," OP("-", REG(R9))), "0"), TRUE},
	{IS(OP("/", REG(R15) "," OP("-", REG(R8))), "-1"), TRUE},
	{IS(OP("%", REG(R15) "," OP("-", REG(R8))), "7"), TRUE},
	{IS(OP("/", REG(RBX) "," REG(RBX)), "1"), TRUE},
	{IS(OP("/", REG(RBX) ",2"), "\"0xc000000000000000\""), TRUE},
	{IS(OP("/", REG(RSP) ",2"), "\"0x4000000000000000\""), TRUE},
	{IS(OP("/", REG(RSP) "," REG(RCX)), "0"), TRUE}, /* 2^63 / (2^64 - 1) */
	{IS(OP("%", REG(RSP) "," REG(RCX)), MIN), TRUE},
	{IS(OP("/", UMAX ",10"), "1844674407370955161"), TRUE},
	{IS(OP("%", UMAX ",10"), "5"), TRUE},
	{IS(OP("/", "-1,10"), "0"), TRUE},
	{IS(OP("/", REG(RSP) ",1000"), "9223372036854775"), TRUE},
	{IS(OP("%", REG(RSP) ",4096"), "0"), TRUE},

	/* shifts: counts modulo 64, >> arithmetic on signed values */
	{IS(OP("<<", REG(R8) ",0"), "8"), TRUE},
	{IS(OP("<<", REG(RCX) ",63"), MIN), TRUE},
	{IS(OP("<<", REG(R8) ",64"), "8"), TRUE},
	{IS(OP("<<", REG(RCX) ",255"), MIN), TRUE},
	{IS(OP("<<", REG(RCX) ",-1"), MIN), TRUE},
	{IS(OP(">>", REG(RBX) ",0"), MIN), TRUE},
	{IS(OP(">>", REG(RBX) ",63"), "-1"), TRUE},
	{IS(OP(">>", REG(RBX) ",64"), MIN), TRUE},
	{IS(OP(">>", REG(RBX) ",255"), "-1"), TRUE},
	{IS(OP(">>", REG(RSP) ",63"), "1"), TRUE},
	{IS(OP(">>", REG(RSP) ",255"), "1"), TRUE},
	{IS(OP(">>", "-8,1"), "-4"), TRUE},
	{IS(OP(">>", UMAX ",63"), "1"), TRUE},
	{IS(OP(">>", REG(RCX) "," AS("u64", REG(R8))), "\"0xffffffffffffff\""), TRUE},
	{IS(OP(">>", REG(RBX) "," OP("+", REG(R8) ",55")), "-1"), TRUE},
	{IS(OP("<<", "1," OP("+", REG(R8) ",56")), "1"), TRUE},

	/* bits */
	{IS(OP("~", REG(RDX)), "-1"), TRUE},
	{OP("<", OP("~", REG(RDX)) ",0"), TRUE},
	{OP("<", OP("~", AS("u64", REG(RDX))) ",0"), FALSE},
	{IS(OP("&", REG(RAX) ",255"), "209"), TRUE},
	{IS(OP("|", REG(RDX) ",1,2,4"), "7"), TRUE},
	{IS(OP("^", REG(RCX) "," REG(RCX)), "0"), TRUE},

	/* as */
#if MACHINE_X86
	{IS(AS("u8", REG("al")), "209"), TRUE},
#endif
	{IS(AS("s8", "255"), "-1"), TRUE},
#if MACHINE_X86
	{IS(AS("u32", REG("edi")), "4294967295"), TRUE},
#endif
	{OP("<", AS("u32", "-1") ",0"), FALSE},
	{OP(">", AS("u32", "-1") ",-1"), TRUE}, /* u32 is held by a signed 64-bit number */
	{OP(">", AS("u64", "-1") ",-1"), FALSE},
#if MACHINE_X86
	{OP("<", AS("s32", OP("+", OP("+", REG("edi") ",2147483647") ",2")) ",0"), TRUE},
#endif
	{IS(AS("s16", REG(RAX)), "-7471"), TRUE},
	{IS(AS("u16", REG(RAX)), "58065"), TRUE},
	{IS(AS("s64", UMAX), "-1"), TRUE},
	{OP("<", AS("s64", UMAX) ",0"), TRUE},

	/* comparison */
	{OP("<=", REG(RDX) ",0"), TRUE},
	{OP(">=", REG(RCX) ",0"), FALSE},
	{OP(">=", AS("u64", REG(RCX)) ",0"), TRUE},
	{OP(">", "5," REG(R8)), FALSE},
	{OP("<", "5," REG(R8)), TRUE},
	{OP(">=", "8," REG(R8)), TRUE},
	{OP("!=", REG(R8) ",8"), FALSE},

	/* and, or, ! : short-circuit keeps faults away */
	{OP("and", "0," OP("/", "1,0")), FALSE},
	{OP("and", "1," OP("/", "1,0")), FAULT},
	{OP("and", OP("/", "1,0") ",0"), FAULT},
	{OP("or", "1," OP("/", "1,0")), TRUE},
	{OP("or", "0," OP("/", "1,0")), FAULT},
	{OP("and", REG(RDX) "," LOAD("u8", "0")), FALSE},
	{OP("and", REG(RCX) "," LOAD("u8", "0")), FAULT},
	{OP("or", REG(RCX) "," LOAD("u8", "0")), TRUE},
	{OP("and", LOAD("u8", "0") ",0"), FAULT},
	{OP("or", LOAD("u8", "0") ",1"), FAULT},
	{OP("*", LOAD("u8", "0") ",0"), FAULT},
	{OP("&", LOAD("u8", "0") ",0"), FAULT},
	{OP("<", AS("u64", LOAD("u8", "0")) ",0"), FAULT},
	{OP("==", "1," LOAD("u8", "0")), FAULT},
	{OP("and", "2,4,8"), TRUE},
	{IS(OP("and", "2,4"), "1"), TRUE},
	{IS(OP("or", "0," REG(R8)), "1"), TRUE},
	{OP("!", REG(RDX)), TRUE},
	{"{\"!\":{\"reg\":\"" RCX "\"}}", FALSE},
	{IS(OP("!", OP("!", REG(R8))), "1"), TRUE},
	{OP("!", LOAD("u8", "0")), FAULT},

	/* if: only what is chosen; its type is that of both results */
	{OP("if", "1,2," LOAD("u8", "0")), TRUE},
	{OP("if", REG(RDX) "," LOAD("u8", "0") ",0"), FALSE},
	{OP("if", LOAD("u8", "0") ",1,1"), FAULT},
	{IS(OP("if", REG(RCX) ",7,9"), "7"), TRUE},
	{IS(OP("if", REG(RDX) ",7,9"), "9"), TRUE},
	{OP("<", OP("if", "1,-1," REG(RSP)) ",0"), FALSE},
	{OP("<", OP("if", "1,-1," REG(RBX)) ",0"), TRUE},

	/* in: one operation on three operands, all of which are asked for */
	{OP("in", REG(R8) ",8,8"), TRUE},
	{OP("in", REG(R8) ",7,9"), TRUE},
	{OP("in", REG(R8) ",9,7"), FALSE},
	{OP("in", REG(RCX) ",-2,0"), TRUE},
	{OP("in", REG(RCX) ",0," UMAX), TRUE}, /* u64 */
	{OP("in", REG(RCX) ",0,9223372036854775807"), FALSE},
	{OP("in", REG(RBX) ",-9223372036854775808,-1"), TRUE},
	{OP("in", REG(RIP) ",4198400,4202496"), TRUE},
	{OP("in", REG(R8) "," REG(RDX) "," REG(R9)), TRUE},
	{OP("in", REG(R10) "," REG(RDX) "," REG(R9)), FALSE},
	{OP("in", REG(RCX) "," REG(RDX) "," REG(R9)), FALSE},
	{OP("in", REG(R8) ",9," LOAD("u8", "0")), FAULT},
	{OP("in", LOAD("u8", "0") ",9,7"), FAULT},

	/* masked, registers */
	{OP("masked", REG(EFLAGS) ",64,64"), TRUE},
	{OP("masked", REG(EFLAGS) ",1,1"), FALSE},
	{OP("masked", REG(EFLAGS) ",1,0"), TRUE},
	{OP("masked", REG(RCX) "," UMAX ",-1"), TRUE},
#if MACHINE_X86
	{"{\"registers\":{\"" R8 "\":8,\"" RBX "\":{\"param\":\"limit\"},\"edi\":-1,\"cs\":51}}",
	 TRUE},
	{"{\"registers\":{\"" R8 "\":8,\"edi\":4294967295}}", FALSE},
#elif MACHINE_ARM64
	{"{\"registers\":{\"x8\":8,\"x1\":{\"param\":\"limit\"},\"w5\":4294967295,\"w7\":"
	 "4294967295}}",
	 TRUE},
	{"{\"registers\":{\"x8\":8,\"w5\":-1}}", FALSE},
#endif
	{"{\"registers\":{\"" RAX "\":\"0x8877665544f3e2d1\"}}", TRUE},
	{"{\"registers\":{\"" R8 "\":9,\"" R9 "\":" LOAD("u8", "0") "}}", FALSE},

	/* loads across a page end */
	{IS(LOAD("u8", LAST_BYTE), "0"), TRUE},
	{LOAD("u8", MISSING), FAULT},
	{LOAD("s16", LAST_BYTE), FAULT},
	{LOAD("u64", "\"0x200000001ff9\""), FAULT},
	{IS(LOAD("u32", GET_NUL), "5522759"), TRUE},
	{IS(OP("&", LOAD("u64", "\"0x200000001ff8\"") ",0"), "0"), TRUE},
	{LOAD("u32", GET_CUT), FAULT},
	{IS(LOAD("s8", GET_CUT), "71"), TRUE},
	{LOAD("u8", "0"), FAULT},
	{LOAD("u8", "-1"), FAULT},
	{LOAD("u64", "-4"), FAULT},
	{LOAD("u8", "\"0xffffffff81000000\""), FAULT},
	{LOAD("u8", "\"0xffffffffff600000\""), FAULT},

	/* strings at a page end */
	{STRING("string-equals", GET_NUL, "GET"), TRUE},
	{STRING("string-equals", GET_NUL, "GE"), FALSE},
	{STRING("string-equals", GET_NUL, "GETX"), FALSE},
	{STRING("string-equals", GET_NUL, "GET and much more than that"), FALSE},
	{STRING("string-equals", GET_NUL, "PUT"), FALSE},
	{STRING("string-equals", GET_NUL, ""), FALSE},
	{STRING("string-equals", LAST_BYTE, ""), TRUE},
	{STRING("string-equals", LAST_BYTE, "G"), FALSE},
	{STRING("string-equals", MISSING, ""), FAULT},
	{STRING("string-equals", MISSING, "G"), FAULT},
	{STRING("string-equals", GET_CUT, "GET"), FAULT},
	{STRING("string-equals", GET_CUT, "GE"), FALSE},
	{STRING("string-equals", GET_CUT, "GETX"), FAULT},
	{STRING("string-equals", GET_CUT, "GOT"), FALSE},
	{STRING("string-equals", GET_CUT, "GET a long text of several words"), FAULT},
	{STRING("string-equals", GET_CUT, "GOT a long text of several words"), FALSE},
	{STRING("string-equals", SIXTEEN, "sixteen bytes ok"), TRUE},
	{STRING("string-equals", SIXTEEN, "sixteen bytes OK"), FALSE},
	{STRING("string-equals", SIXTEEN, "sixteen bytes ok, and then"), FALSE},
	{STRING("string-equals", "0", "x"), FAULT},
	{STRING("string-starts", GET_NUL, "GET"), TRUE},
	{STRING("string-starts", GET_NUL, "G"), TRUE},
	{STRING("string-starts", GET_NUL, ""), TRUE},
	{STRING("string-starts", MISSING, ""), TRUE}, /* nothing needs to be read */
	{STRING("string-starts", LOAD("u64", "0"), ""), FAULT},
	{STRING("string-starts", GET_NUL, "GETX"), FALSE},
	{STRING("string-starts", GET_NUL, "GET /index"), FALSE},
	{STRING("string-starts", GET_CUT, "GET"), TRUE},
	{STRING("string-starts", GET_CUT, "GET /"), FAULT},
	{STRING("string-starts", GET_CUT, "PUT /"), FALSE},
	{STRING("string-starts", SIXTEEN, "sixteen"), TRUE},
	{STRING("string-starts", SIXTEEN, "sixteen bytes ok"), TRUE},
	{STRING("string-starts", MISSING, "G"), FAULT},
	{STRING("bytes-equal", GET_NUL, "47455400"), TRUE},
	{STRING("bytes-equal", GET_NUL, "47455401"), FALSE},
	{STRING("bytes-equal", GET_NUL, "474554"), TRUE},
	{STRING("bytes-equal", GET_NUL, "0000000000"), FAULT}, /* all must be readable */
	{STRING("bytes-equal", GET_NUL, ""), TRUE},
	{STRING("bytes-equal", GET_CUT, "474554"), TRUE},
	{STRING("bytes-equal", MISSING, "00"), FAULT},
	{IS(OP("+",
	       STRING("string-equals", GET_NUL, "GET") "," STRING(
		       "string-starts", GET_NUL, "GE") "," STRING("string-equals", GET_NUL, "GET")),
	    "3"),
	 TRUE},
};

const size_t table_n_cases = sizeof(table_cases) / sizeof(table_cases[0]);

void table_world(World *world)
{
	static const uint64_t special[BPCOND_REG_COUNT] = {
		[AT_RAX] = 0x8877665544f3e2d1,
		[AT_RBX] = INT64_MIN,
		[AT_RCX] = -1,
		[AT_RSI] = 0x80000000,
		[AT_RDI] = 0xffffffff,
		[AT_R8] = 8,
		[AT_R8 + 1] = 9,
		[AT_R8 + 2] = 10,
		[AT_R8 + 3] = 11,
		[AT_R8 + 4] = 12,
		[AT_R8 + 5] = 13,
		[AT_R8 + 6] = 14,
		[AT_R8 + 7] = 15,
		[BPCOND_REG_SP] = 0x8000000000000000,
		[BPCOND_REG_PC] = 0x401136,
		[AT_EFLAGS] = 0x246,
#if MACHINE_X86
		[BPCOND_REG_RBP] = 0x8000000000000000,
		[BPCOND_REG_CS] = 0xdead00010033,
		[BPCOND_REG_SS] = 0xbeef0002002b,
		[BPCOND_REG_ORIG_RAX] = -1,
		[BPCOND_REG_FS_BASE] = 0x7f0000001000,
		[BPCOND_REG_GS_BASE] = -1,
#elif MACHINE_ARM64
		[BPCOND_REG_X0 + 7] = -1,
		[BPCOND_REG_X0 + 16] = 16,
		[BPCOND_REG_X29] = 0x8000000000000000,
		[BPCOND_REG_X30] = 30,
#endif
	};
	Random random = {1};

	world_make(world, &random);
	memcpy(world->registers, special, sizeof(special));
	world->parameters[0] = INT64_MIN;
	world->parameters[1] = 10;
	world->parameters[2] = -1;
	world->world.tid = 4711;
	world->world.evaluated = 1;
	world->world.value = 200;
	world->world.previous = 201;
	world->world.value_unreadable = false;
}
