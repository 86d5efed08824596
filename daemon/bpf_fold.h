/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads from a map whose content never changes become constants, jumps that these decide are decided,
 * and what cannot be reached any more is left out.
 *
 * The verifier does the same with the content of a frozen map, but it leaves the loads, two dozen at
 * each trap from a page of their own; and each stretch that it leaves out makes it move the rest of the
 * program with all that it knows of it, which for a long condition takes longer than to verify it.
 *
 * Pure: instructions in, instructions out.
 */
#ifndef BPF_FOLD_H
#define BPF_FOLD_H

#include <stddef.h>

#include <linux/bpf.h>

/*
 * Folds, in place, what comes from the one element of the array map that stands as `map_fd` in the
 * code and whose content is the `size` bytes at `content`. Only what is certain within a straight
 * stretch of code is folded, and what fits an instruction's 32 bits: all else stays, and is as right.
 *
 * Return: 0 and *n_insns, how many instructions are left; -ENOMEM.
 */
int bpf_fold(struct bpf_insn *insns, size_t *n_insns, int map_fd, const void *content, size_t size);

#endif
