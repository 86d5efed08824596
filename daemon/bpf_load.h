/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads spliced programs. Most need nothing but their instructions; one whose condition brings a global
 * function (condition/condition.h) must tell the kernel of what type each function is, so that the
 * verifier looks at that one by itself.
 */
#ifndef BPF_LOAD_H
#define BPF_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

struct bpf_prog_load_opts;

/* The types that programs may name: a BTF object in the kernel, shared by all that are loaded. */
typedef struct FunctionTypes {
	int btf_fd;
	uint32_t local_id, global_id;
} FunctionTypes;

#define FUNCTION_TYPES_NONE ((FunctionTypes){.btf_fd = -EBADF})

/* Return: 0 and *ret (function_types_clear); negative errno. */
int function_types_new(FunctionTypes *ret);
void function_types_clear(FunctionTypes *types);

/*
 * As libbpf's bpf_prog_load, with the license "GPL"; `options` may have what is not about functions.
 *
 * Return: the program's descriptor; negative errno.
 */
int bpf_load(const FunctionTypes *types, enum bpf_prog_type type, const char *name,
	     const struct bpf_insn *insns, size_t n_insns,
	     const struct bpf_prog_load_opts *options);

#endif
