/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf_fold.h"
#include "daemon/util.h"

enum {
	N_REGISTERS = 11,
};

/* What a register is known to hold. */
typedef struct Known {
	enum {
		NOTHING,
		POINTER, /* to `value` bytes into the content */
		NUMBER,
	} what;
	uint64_t value;
} Known;

typedef struct Content {
	const char *bytes;
	size_t size;
} Content;

static void forget(Known known[static N_REGISTERS], int first, int last)
{
	for (int i = first; i <= last; i++)
		known[i].what = NOTHING;
}

static bool is_wide_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static bool is_function_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static bool is_exit(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_EXIT);
}

static bool is_jump(const struct bpf_insn *insn)
{
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}

/* Where ways meet, nothing is known. */
static void mark_targets(const struct bpf_insn *insns, size_t n_insns, bool targets[])
{
	for (size_t i = 0; i < n_insns; i++) {
		size_t target = i + 1 + insns[i].off;

		if (is_wide_load(&insns[i]))
			i++;
		else if (is_jump(&insns[i]) && target < n_insns)
			targets[target] = true;
	}
}

static size_t load_bytes(const struct bpf_insn *insn)
{
	switch (BPF_SIZE(insn->code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	case BPF_W:
		return 4;
	default:
		return 8;
	}
}

/* Return: whether it was folded. */
static bool fold_load(struct bpf_insn *insn, const Content *content, uint64_t at)
{
	size_t bytes = load_bytes(insn);
	uint64_t value = 0;

	if (at > content->size || bytes > content->size - at)
		return false;
	memcpy(&value, content->bytes + at, bytes);
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		value >>= 64 - 8 * bytes;

	/* A 32-bit move clears the upper half, as a load of less than 8 bytes does. */
	if (value <= UINT32_MAX)
		*insn = (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_K,
					  .dst_reg = insn->dst_reg,
					  .imm = (int32_t)value};
	else if (value == (uint64_t)(int32_t)value)
		*insn = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K,
					  .dst_reg = insn->dst_reg,
					  .imm = (int32_t)value};
	else
		return false;
	return true;
}

/* A jump that a known number decides becomes one that is always, or never, taken. */
static void fold_jump(struct bpf_insn *insn, const Known *number)
{
	uint64_t left = number->value, right = (uint64_t)(int64_t)insn->imm;
	bool taken;

	if (number->what != NUMBER || BPF_SRC(insn->code) != BPF_K)
		return;
	if (BPF_CLASS(insn->code) == BPF_JMP32) {
		left = (uint32_t)left;
		right = (uint32_t)right;
	}
	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		taken = left == right;
		break;
	case BPF_JNE:
		taken = left != right;
		break;
	case BPF_JGT:
		taken = left > right;
		break;
	case BPF_JGE:
		taken = left >= right;
		break;
	case BPF_JLT:
		taken = left < right;
		break;
	case BPF_JLE:
		taken = left <= right;
		break;
	default:
		return;
	}
	*insn = (struct bpf_insn){.code = BPF_JMP | BPF_JA, .off = taken ? insn->off : 0};
}

static void step_alu(const struct bpf_insn *insn, Known known[static N_REGISTERS])
{
	bool is_wide = BPF_CLASS(insn->code) == BPF_ALU64;
	Known *dst = &known[insn->dst_reg];

	if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->off == 0) {
		*dst = known[insn->src_reg];
	} else if (BPF_SRC(insn->code) == BPF_K && BPF_OP(insn->code) == BPF_MOV) {
		*dst = (Known){NUMBER,
			       is_wide ? (uint64_t)(int64_t)insn->imm : (uint32_t)insn->imm};
	} else if (BPF_SRC(insn->code) == BPF_K && BPF_OP(insn->code) == BPF_AND &&
		   dst->what == NUMBER) {
		dst->value &= (uint64_t)(int64_t)insn->imm;
		if (!is_wide)
			dst->value = (uint32_t)dst->value;
	} else if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && dst->what == POINTER) {
		dst->value += (uint64_t)(int64_t)insn->imm;
	} else {
		dst->what = NOTHING;
	}
}

/* One instruction, which is no wide load. */
static void step(struct bpf_insn *insn, const Content *content, Known known[static N_REGISTERS])
{
	const Known *src = &known[insn->src_reg];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LDX:
		if (BPF_MODE(insn->code) == BPF_MEM && src->what == POINTER &&
		    fold_load(insn, content, src->value + (uint64_t)(int64_t)insn->off))
			step_alu(insn, known);
		else
			known[insn->dst_reg].what = NOTHING;
		return;
	case BPF_ALU:
	case BPF_ALU64:
		step_alu(insn, known);
		return;
	case BPF_JMP:
	case BPF_JMP32:
		if (insn->code == (BPF_JMP | BPF_CALL))
			forget(known, BPF_REG_0, BPF_REG_5);
		else if (is_exit(insn) || insn->code == (BPF_JMP | BPF_JA))
			forget(known, BPF_REG_0, BPF_REG_9);
		else
			fold_jump(insn, &known[insn->dst_reg]);
		return;
	case BPF_ST:
		return;
	default: /* also atomic stores, which may write any of three registers */
		if (insn->code == (BPF_STX | BPF_MEM | BPF_SIZE(insn->code)))
			return;
		known[insn->dst_reg].what = NOTHING;
		known[insn->src_reg].what = NOTHING;
		known[BPF_REG_0].what = NOTHING;
		return;
	}
}

static void fold(struct bpf_insn *insns, size_t n_insns, int map_fd, const Content *content,
		 bool targets[])
{
	Known known[N_REGISTERS] = {};

	memset(targets, 0, n_insns * sizeof(*targets));
	mark_targets(insns, n_insns, targets);
	for (size_t i = 0; i < n_insns; i++) {
		struct bpf_insn *insn = &insns[i];

		if (targets[i])
			forget(known, BPF_REG_0, BPF_REG_9);
		if (insn->dst_reg >= N_REGISTERS || insn->src_reg >= N_REGISTERS)
			return;
		if (!is_wide_load(insn) || i + 1 == n_insns) {
			step(insn, content, known);
			continue;
		}
		known[insn->dst_reg].what = NOTHING;
		if (insn->src_reg == BPF_PSEUDO_MAP_VALUE && insn->imm == map_fd)
			known[insn->dst_reg] = (Known){POINTER, (uint32_t)insns[i + 1].imm};
		i++;
	}
}

/* Where the jump or call of a function leads. */
static size_t target_of(const struct bpf_insn *insn, size_t at)
{
	return at + 1 + (is_jump(insn) ? insn->off : insn->imm);
}

/* Marks what can be reached. */
static void mark_reachable(const struct bpf_insn *insns, size_t n_insns, bool reachable[],
			   size_t *stack)
{
	size_t depth = 0;

	memset(reachable, 0, n_insns * sizeof(*reachable));
	reachable[0] = true;
	stack[depth++] = 0;
	while (depth > 0) {
		size_t at = stack[--depth], next[2], n = 0;
		const struct bpf_insn *insn = &insns[at];

		if (is_jump(insn) || is_function_call(insn))
			next[n++] = target_of(insn, at);
		if (insn->code != (BPF_JMP | BPF_JA) && !is_exit(insn))
			next[n++] = at + 1;
		for (size_t i = 0; i < n; i++) {
			if (next[i] >= n_insns || reachable[next[i]])
				continue;
			reachable[next[i]] = true;
			stack[depth++] = next[i];
		}
	}
}

/* Whether the instruction is of no use. The second half of a wide load, which follows the first, has
 * the code 0 and so is no jump. */
static bool is_idle(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_JA) && insn->off == 0;
}

/* Leaves out what cannot be reached. Return: how many instructions are left. */
static size_t compact(struct bpf_insn *insns, size_t n_insns, const bool reachable[],
		      size_t *positions)
{
	size_t n = 0;

	for (size_t i = 0; i < n_insns; i++) {
		positions[i] = n;
		n += reachable[i] && !is_idle(&insns[i]);
	}
	if (n == n_insns)
		return n;
	for (size_t i = 0; i < n_insns; i++) {
		struct bpf_insn *insn = &insns[positions[i]];

		if (!reachable[i] || is_idle(&insns[i]))
			continue;
		*insn = insns[i];
		if (is_jump(insn))
			insn->off = (int16_t)(positions[target_of(insn, i)] - positions[i] - 1);
		else if (is_function_call(insn))
			insn->imm = (int32_t)(positions[target_of(insn, i)] - positions[i] - 1);
	}
	return n;
}

int bpf_fold(struct bpf_insn *insns, size_t *n_insns, int map_fd, const void *content, size_t size)
{
	const Content constants = {content, size};
	_cleanup_free_ bool *marks = calloc(*n_insns + 1, sizeof(*marks));
	_cleanup_free_ size_t *positions = calloc(*n_insns + 1, sizeof(*positions));
	size_t before;

	if (!marks || !positions)
		return -ENOMEM;
	/* Where a jump is gone, more is known behind its target. */
	do {
		before = *n_insns;
		fold(insns, *n_insns, map_fd, &constants, marks);
		mark_reachable(insns, *n_insns, marks, positions);
		*n_insns = compact(insns, *n_insns, marks, positions);
	} while (*n_insns < before);
	return 0;
}
