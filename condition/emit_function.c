/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The function that compares texts for a condition that has many of them:
 *
 *   int compare(struct room *r1, u64 address r2, u64 length r3, u64 may_be_cut_short r4)
 *
 * Its caller has put the text into the room. It returns what a condition does, with the meaning that
 * emit_memory.c gives to a text that cannot be read to its end. The verifier looks at a global function
 * once, however often it is called: that is what it is for, since 85 comparisons in place would
 * take the daemon longer than any other condition.
 *
 * The words behind the text are compared with it: before each read the room's text is copied to
 * where is read, so that what a read leaves alone is equal. A text that is much shorter than the longest
 * leaves early.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/filter.h"
#include "condition/emitter.h"

enum {
	PAGE = 4096,
	WORD = sizeof(uint64_t),
	SHORT = 64, /* bytes */
	MIDDLING = 512,
};

_Static_assert(FUNCTION_FOUND + CONDITION_MAX_TEXT + WORD <= FILTER_SCRATCH_BYTES,
	       "scratch buffer too small");

static void set(Assembler *as, int reg, int32_t imm)
{
	assembler_emit(as, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, imm);
}

static void move(Assembler *as, int dst, int src)
{
	assembler_emit(as, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

/* Where a text in r8 that ends before there may leave. */
static void leave_early(Assembler *as, size_t at, int end)
{
	if (at == SHORT || at == MIDDLING)
		assembler_jump(as, BPF_JMP | BPF_JLE | BPF_K, BPF_REG_8, 0, (int32_t)at, end);
}

static void copy_text(Assembler *as, size_t bytes)
{
	int end = assembler_label(as);

	for (size_t at = 0; at < bytes; at += WORD) {
		leave_early(as, at, end);
		assembler_emit(as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_6,
			       FUNCTION_TEXT + (int)at, 0);
		assembler_emit(as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_0,
			       FUNCTION_FOUND + (int)at, 0);
	}
	assembler_bind(as, end, bytes > SHORT);
}

static void read_found(Assembler *as)
{
	move(as, BPF_REG_1, BPF_REG_6);
	assembler_emit(as, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, FUNCTION_FOUND);
	move(as, BPF_REG_3, BPF_REG_7);
	assembler_emit(as, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_user);
}

/* The differences of all words into r0. */
static void gather_differences(Assembler *as, size_t bytes)
{
	int end = assembler_label(as);

	set(as, BPF_REG_0, 0);
	for (size_t at = 0; at < bytes; at += WORD) {
		leave_early(as, at, end);
		assembler_emit(as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_6,
			       FUNCTION_TEXT + (int)at, 0);
		assembler_emit(as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, BPF_REG_6,
			       FUNCTION_FOUND + (int)at, 0);
		assembler_emit(as, BPF_ALU64 | BPF_XOR | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0);
		assembler_emit(as, BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_0, BPF_REG_1, 0, 0);
	}
	assembler_bind(as, end, bytes > SHORT);
}

static void write_function(Assembler *as, size_t longest)
{
	int fault = assembler_label(as), whole = assembler_label(as), other = assembler_label(as);
	size_t bytes = (longest + WORD - 1) / WORD * WORD;

	/* Of an argument that is a pointer the verifier knows no more than its size. */
	assembler_jump(as, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, fault);
	assembler_jump(as, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_3, 0, (int32_t)longest, fault);
	move(as, BPF_REG_6, BPF_REG_1);
	move(as, BPF_REG_7, BPF_REG_2);
	move(as, BPF_REG_8, BPF_REG_3);
	move(as, BPF_REG_9, BPF_REG_4);

	assembler_emit(as, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_6, 0, FUNCTION_CUT_SHORT, 0);
	copy_text(as, bytes);
	move(as, BPF_REG_2, BPF_REG_8);
	read_found(as);
	assembler_jump(as, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, whole);

	/* Up to the end of its first page, if that is not all of it. */
	assembler_jump(as, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_9, 0, 0, fault);
	assembler_emit(as, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_6, 0, FUNCTION_CUT_SHORT, 1);
	copy_text(as, bytes);
	move(as, BPF_REG_2, BPF_REG_7);
	assembler_emit(as, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, PAGE - 1);
	assembler_emit(as, BPF_ALU64 | BPF_XOR | BPF_K, BPF_REG_2, 0, 0, PAGE - 1);
	assembler_emit(as, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, 1);
	assembler_jump(as, BPF_JMP | BPF_JGE | BPF_X, BPF_REG_2, BPF_REG_8, 0, fault);
	/* Known already, but not to every verifier: that of 6.1 compares with constants only. */
	assembler_jump(as, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, (int32_t)longest, fault);
	read_found(as);
	assembler_jump(as, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, fault);

	assembler_bind(as, whole, true);
	gather_differences(as, bytes);
	assembler_jump(as, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, other);
	/* Kept in memory, so that the verifier does not walk the comparison twice. */
	assembler_emit(as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_6, FUNCTION_CUT_SHORT, 0);
	assembler_jump(as, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, fault);
	assembler_return(as, CONDITION_TRUE);
	assembler_bind(as, other, true);
	assembler_return(as, CONDITION_FALSE);
	assembler_bind(as, fault, true);
	assembler_return(as, CONDITION_FAULT);
}

/* The calls lead to what stands behind the code. Return: how many there are. */
static size_t resolve_calls(struct bpf_insn *insns, size_t n)
{
	size_t calls = 0;

	for (size_t i = 0; i < n; i++) {
		if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW))
			i++;
		else if (insns[i].code == (BPF_JMP | BPF_CALL) &&
			 insns[i].src_reg == BPF_PSEUDO_CALL) {
			insns[i].imm = (int32_t)(n - i - 1);
			calls++;
		}
	}
	return calls;
}

int append_function(size_t longest, struct bpf_insn **insns, size_t *n_insns)
{
	struct bpf_insn *function, *all;
	Assembler as = {0};
	size_t n;
	int r;

	/* All of them may be in what is never reached, and so was not written. */
	if (resolve_calls(*insns, *n_insns) == 0)
		return 0;
	assembler_start(&as);
	write_function(&as, longest);
	r = assembler_finish(&as, &function, &n);
	assembler_clear(&as);
	if (r < 0)
		return r;
	all = reallocarray(*insns, *n_insns + n, sizeof(*all));
	if (!all) {
		free(function);
		return -ENOMEM;
	}
	memcpy(all + *n_insns, function, n * sizeof(*all));
	free(function);
	*insns = all;
	*n_insns += n;
	return 0;
}
