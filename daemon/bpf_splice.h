/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts generated code into a loaded template program.
 *
 * The template (bpf/filter_body.h) ends in two stand-in functions, `condition` and `addresses`.
 * Splicing cuts them off, appends the generated bodies, points the calls at these, and exchanges
 * the descriptors of the template's maps for those of one breakpoint. The result is loaded by one
 * bpf() call, without BTF: 70-80 us where opening and loading an object takes 10 ms.
 *
 * Pure: instructions in, instructions out.
 */
#ifndef BPF_SPLICE_H
#define BPF_SPLICE_H

#include <stddef.h>

#include <linux/bpf.h>

/* The generated functions, in the order in which the template first calls them. */
enum {
	SPLICE_CONDITION,
	SPLICE_ADDRESSES,
	SPLICE_FUNCTIONS,
};

typedef struct SpliceCode {
	const struct bpf_insn *insns;
	size_t n_insns;
} SpliceCode;

typedef struct SpliceMap {
	int template_fd; /* as it stands in the template's instructions */
	int fd;          /* to stand there instead */
} SpliceMap;

/*
 * Return: 0, *ret (free()) and *ret_n_insns; -EINVAL when the template does not end in exactly
 * SPLICE_FUNCTIONS functions or refers to a map that is not listed; -ENOMEM.
 */
int bpf_splice(SpliceCode template, const SpliceCode functions[static SPLICE_FUNCTIONS],
	       const SpliceMap *maps, size_t n_maps, struct bpf_insn **ret, size_t *ret_n_insns);

#endif
