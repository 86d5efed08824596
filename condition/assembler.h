/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing buffer of BPF instructions with labels. Jumps go forward only, and what cannot be reached
 * is never written (the verifier refuses it): after a jump or an exit, instructions are dropped until
 * a label is bound that some written jump goes to.
 *
 * Running out of memory is remembered, and reported once at the end.
 */
#ifndef CONDITION_ASSEMBLER_H
#define CONDITION_ASSEMBLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

typedef struct Assembler {
	struct bpf_insn *insns;
	int *targets; /* for each instruction, the label that it jumps to, or -1 */
	size_t n, n_allocated;

	int *labels; /* position, or -1: not bound yet */
	size_t n_labels, n_labels_allocated;

	bool reachable;
	int error; /* 0 or a negative errno */
} Assembler;

void assembler_start(Assembler *assembler);
void assembler_clear(Assembler *assembler);

/* Return: a new label, to be bound once. */
int assembler_label(Assembler *assembler);

/* The label is the next instruction. `used`: a written jump goes to it. */
void assembler_bind(Assembler *assembler, int label, bool used);

void assembler_emit(Assembler *assembler, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		    int32_t imm);

/* Loads a constant in the fewest instructions. */
void assembler_constant(Assembler *assembler, uint8_t dst, uint64_t constant);

/* `code` is BPF_JMP or BPF_JMP32 with an operation and a source. */
void assembler_jump(Assembler *assembler, uint8_t code, uint8_t dst, uint8_t src, int32_t imm,
		    int label);

/* r0 = constant; exit */
void assembler_return(Assembler *assembler, int32_t constant);

/*
 * Resolves the jumps and leaves out those to the next instruction.
 *
 * Return: 0, *ret (free()) and *ret_count; -ENOMEM; -E2BIG when a jump does not fit its 16 bits.
 */
int assembler_finish(Assembler *assembler, struct bpf_insn **ret, size_t *ret_count);

#endif
