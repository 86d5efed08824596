/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF instructions as text, in the form that the kernel's verifier and bpftool print:
 *
 *   (79) r1 = *(u64 *)(r6 +112)
 *   (15) if r1 == 0x1f4 goto pc+2
 *   (85) call bpf_probe_read_user#112
 *
 * Pure; good for whatever the code generator makes, and for all else that has this form.
 */
#ifndef CONDITION_DISASSEMBLE_H
#define CONDITION_DISASSEMBLE_H

#include <stddef.h>

struct bpf_insn;

enum {
	DISASSEMBLE_MAX_LINE = 96, /* bytes of any line, the NUL included */
};

/*
 * The first of `n` instructions, n > 0, as one line without a line end. What is no instruction is
 * "(xx) unknown".
 *
 * Return: how many of the n it takes: 2 for a 64-bit constant, else 1.
 */
size_t disassemble(const struct bpf_insn *insns, size_t n, char *ret, size_t size);

#endif
