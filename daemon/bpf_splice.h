/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts generated code into a loaded template program.
 *
 * The template (bpf/filter_body.h) marks the places of the generated code. Splicing puts the code
 * there, and exchanges the descriptors of the template's maps for those of one breakpoint. The result is
 * loaded by one bpf() call, without BTF: 70-80 us where opening and loading an object takes 10 ms.
 *
 * A condition comes to stand in place, below the template's own stack, its returns turned into jumps
 * to its end: where the kernel guards returns against speculation, a function takes longer to return
 * from than a condition of some registers takes. But one that calls helpers and uses much stack
 * becomes a function behind the program: Linux 6.13 and later give a function that uses 64 bytes or
 * more another stack, and then each helper call takes longer.
 *
 * Pure: instructions in, instructions out.
 */
#ifndef BPF_SPLICE_H
#define BPF_SPLICE_H

#include <stddef.h>

#include <linux/bpf.h>

#include "bpf/filter.h"

typedef struct SpliceCode {
	const struct bpf_insn *insns;
	size_t n_insns;
} SpliceCode;

typedef struct SpliceMap {
	int template_fd; /* as it stands in the template's instructions */
	int fd;          /* to stand there instead */
} SpliceMap;

/*
 * `places` has the code of each enum filter_place: a function of r1 to r5 that refers to no map, calls
 * helpers only, or functions that stand behind it in the same code, and reaches its stack by loads and
 * stores through r10, or by an address made of r10 by a move and, right behind it, the addition of a
 * constant.
 *
 * Return: 0, *ret (free()) and *ret_n_insns; -EINVAL when the template does not have each place once or
 * refers to a map that is not listed, or when the code is not as said; -E2BIG when a jump or the stack
 * would become too long; -ENOMEM.
 */
int bpf_splice(SpliceCode template, const SpliceCode places[static FILTER_PLACES],
	       const SpliceMap *maps, size_t n_maps, struct bpf_insn **ret, size_t *ret_n_insns);

#endif
