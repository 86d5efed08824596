/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions are kept with symbolic targets until the end, so that one can still be left out. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "condition/assembler.h"

void assembler_start(Assembler *assembler)
{
	memset(assembler, 0, sizeof(*assembler));
	assembler->reachable = true;
}

void assembler_clear(Assembler *assembler)
{
	free(assembler->insns);
	free(assembler->targets);
	free(assembler->labels);
	memset(assembler, 0, sizeof(*assembler));
}

int assembler_label(Assembler *assembler)
{
	if (assembler->n_labels == assembler->n_labels_allocated) {
		size_t n = assembler->n_labels_allocated ? 2 * assembler->n_labels_allocated : 64;
		int *labels = reallocarray(assembler->labels, n, sizeof(*labels));

		if (!labels) {
			assembler->error = -ENOMEM;
			return 0;
		}
		assembler->labels = labels;
		assembler->n_labels_allocated = n;
	}
	assembler->labels[assembler->n_labels] = -1;
	return assembler->n_labels++;
}

void assembler_bind(Assembler *assembler, int label, bool used)
{
	if (assembler->error < 0)
		return;
	assembler->labels[label] = assembler->n;
	if (used)
		assembler->reachable = true;
}

static bool make_room(Assembler *assembler)
{
	size_t n = assembler->n_allocated ? 2 * assembler->n_allocated : 256;
	struct bpf_insn *insns;
	int *targets;

	if (assembler->n < assembler->n_allocated)
		return true;
	insns = reallocarray(assembler->insns, n, sizeof(*insns));
	if (insns)
		assembler->insns = insns;
	targets = reallocarray(assembler->targets, n, sizeof(*targets));
	if (targets)
		assembler->targets = targets;
	if (!insns || !targets) {
		assembler->error = -ENOMEM;
		return false;
	}
	assembler->n_allocated = n;
	return true;
}

static void append(Assembler *assembler, struct bpf_insn insn, int target)
{
	if (!assembler->reachable || assembler->error < 0 || !make_room(assembler))
		return;
	assembler->insns[assembler->n] = insn;
	assembler->targets[assembler->n] = target;
	assembler->n++;
}

void assembler_emit(Assembler *assembler, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		    int32_t imm)
{
	append(assembler,
	       (struct bpf_insn){
		       .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm},
	       -1);
}

void assembler_constant(Assembler *assembler, uint8_t dst, uint64_t constant)
{
	if (constant == (uint64_t)(int32_t)constant) {
		assembler_emit(assembler, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, constant);
	} else if (constant <= UINT32_MAX) {
		assembler_emit(assembler, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, constant);
	} else {
		assembler_emit(assembler, BPF_LD | BPF_IMM | BPF_DW, dst, 0, 0, constant);
		assembler_emit(assembler, 0, 0, 0, 0, constant >> 32);
	}
}

void assembler_jump(Assembler *assembler, uint8_t code, uint8_t dst, uint8_t src, int32_t imm,
		    int label)
{
	append(assembler,
	       (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .imm = imm}, label);
	if (code == (BPF_JMP | BPF_JA))
		assembler->reachable = false;
}

void assembler_return(Assembler *assembler, int32_t constant)
{
	assembler_emit(assembler, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, constant);
	assembler_emit(assembler, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	assembler->reachable = false;
}

/* Where each instruction ends up when jumps to the next one are left out: those too that only become
 * such when others are left out, which is why it is counted from the end. */
static size_t lay_out(const Assembler *assembler, size_t *positions)
{
	size_t n = 0;

	positions[assembler->n] = 0;
	for (size_t i = assembler->n; i-- > 0;) {
		bool idle = false;

		if (assembler->targets[i] >= 0) {
			int label = assembler->labels[assembler->targets[i]];

			assert(label > (int)i && (size_t)label < assembler->n);
			idle = positions[label] == positions[i + 1];
		}
		positions[i] = idle ? n : ++n;
	}
	for (size_t i = 0; i <= assembler->n; i++)
		positions[i] = n - positions[i];
	return n;
}

int assembler_finish(Assembler *assembler, struct bpf_insn **ret, size_t *ret_count)
{
	size_t *positions;
	struct bpf_insn *insns;
	size_t n;

	if (assembler->error < 0)
		return assembler->error;
	positions = calloc(assembler->n + 1, sizeof(*positions));
	insns = calloc(assembler->n, sizeof(*insns));
	if (!positions || !insns) {
		free(positions);
		free(insns);
		return -ENOMEM;
	}
	n = lay_out(assembler, positions);
	for (size_t i = 0; i < assembler->n; i++) {
		struct bpf_insn insn = assembler->insns[i];

		if (positions[i] == positions[i + 1])
			continue;
		if (assembler->targets[i] >= 0) {
			int label = assembler->labels[assembler->targets[i]];
			size_t distance = positions[label] - positions[i] - 1;

			if (distance > INT16_MAX) {
				free(positions);
				free(insns);
				return -E2BIG;
			}
			insn.off = distance;
		}
		insns[positions[i]] = insn;
	}
	free(positions);
	*ret = insns;
	*ret_count = n;
	return 0;
}
