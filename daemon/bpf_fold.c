/* SPDX-License-Identifier: GPL-2.0-or-later */
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
typedef struct Pointer {
	bool known;     /* an address in the content */
	int64_t offset; /* there */
} Pointer;

typedef struct Content {
	const char *bytes;
	size_t size;
} Content;

static void forget(Pointer pointers[static N_REGISTERS], int first, int last)
{
	for (int i = first; i <= last; i++)
		pointers[i].known = false;
}

static bool is_wide_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
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

static void fold_load(struct bpf_insn *insn, const Content *content, int64_t at)
{
	size_t bytes = load_bytes(insn);
	uint64_t value = 0;

	if (at < 0 || (uint64_t)at > content->size || bytes > content->size - (uint64_t)at)
		return;
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
}

/* One instruction, which is no wide load. */
static void step(struct bpf_insn *insn, const Content *content,
		 Pointer pointers[static N_REGISTERS])
{
	Pointer *dst = &pointers[insn->dst_reg];
	const Pointer *src = &pointers[insn->src_reg];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LDX:
		if (BPF_MODE(insn->code) == BPF_MEM && src->known)
			fold_load(insn, content, src->offset + insn->off);
		dst->known = false;
		return;
	case BPF_ALU64:
		if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->off == 0)
			*dst = *src;
		else if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K))
			dst->offset += insn->imm;
		else
			dst->known = false;
		return;
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_CALL)
			forget(pointers, BPF_REG_0, BPF_REG_5);
		else if (BPF_OP(insn->code) == BPF_EXIT || BPF_OP(insn->code) == BPF_JA)
			forget(pointers, BPF_REG_0, BPF_REG_9);
		return;
	case BPF_ST:
	case BPF_JMP32:
		return;
	default: /* also atomic stores, which may write any of three registers */
		if (insn->code == (BPF_STX | BPF_MEM | BPF_SIZE(insn->code)))
			return;
		dst->known = false;
		pointers[insn->src_reg].known = false;
		pointers[BPF_REG_0].known = false;
		return;
	}
}

void bpf_fold(struct bpf_insn *insns, size_t n_insns, int map_fd, const void *content, size_t size)
{
	const Content constants = {content, size};
	_cleanup_free_ bool *targets = calloc(n_insns + 1, sizeof(*targets));
	Pointer pointers[N_REGISTERS] = {};

	/* Without memory the code is slower, and as right. */
	if (!targets)
		return;
	mark_targets(insns, n_insns, targets);
	for (size_t i = 0; i < n_insns; i++) {
		struct bpf_insn *insn = &insns[i];

		if (targets[i])
			forget(pointers, BPF_REG_0, BPF_REG_9);
		if (insn->dst_reg >= N_REGISTERS || insn->src_reg >= N_REGISTERS)
			return;
		if (is_wide_load(insn) && i + 1 < n_insns) {
			pointers[insn->dst_reg] = (Pointer){insn->src_reg == BPF_PSEUDO_MAP_VALUE &&
								    insn->imm == map_fd,
							    insns[i + 1].imm};
			i++;
			continue;
		}
		step(insn, &constants, pointers);
	}
}
