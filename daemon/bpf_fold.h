/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads from a map whose content never changes become constants. The verifier knows the content of a
 * frozen map and leaves out the branches that it decides, but it leaves the loads: two dozen at each
 * trap, from a page of their own.
 */
#ifndef BPF_FOLD_H
#define BPF_FOLD_H

#include <stddef.h>

#include <linux/bpf.h>

/*
 * Replaces, in place, loads from the one element of the array map that stands as `map_fd` in the code,
 * whose content is the `size` bytes at `content`. Only what is certain within a straight stretch of
 * code is replaced, and what fits an instruction's 32 bits: other loads stay as they are.
 */
void bpf_fold(struct bpf_insn *insns, size_t n_insns, int map_fd, const void *content, size_t size);

#endif
