/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs generated code in the kernel: in a BPF_PROG_TYPE_SYSCALL program, which can be run by a system
 * call, takes a context of the caller's making and has the helpers of a perf_event program. A short
 * frame in the filter's place hands over the arguments.
 */
#ifndef DIFFERENTIAL_KERNEL_H
#define DIFFERENTIAL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condition/condition.h"

struct bpf_insn;

enum {
	KERNEL_MAX_VALUES = 8,
};

typedef struct Kernel Kernel;

/* Creates the maps. Return: 0 and *ret (kernel_free); a negative errno. -EPERM: not allowed here. */
int kernel_new(Kernel **ret);
Kernel *kernel_free(Kernel *kernel);

/*
 * Loads a condition's code (n_values 0), or code that stores so many values.
 *
 * Return: the program's descriptor, the caller's; a negative errno. With ret_processed, *ret_processed
 * is the number of instructions that the verifier walked.
 */
int kernel_load(Kernel *kernel, const struct bpf_insn *code, size_t n_code, size_t n_values,
		unsigned int *ret_processed);

/* Loads the same and has the verifier write down into kernel_log() what it walks, instruction by
 * instruction. Return: 0; a negative errno. */
int kernel_trace(Kernel *kernel, const struct bpf_insn *code, size_t n_code, size_t n_values);

/* Instructions of the frame before the code: what kernel_log() counts from. */
size_t kernel_frame_length(const Kernel *kernel, size_t n_values);

/* Why the last kernel_load() failed, as the verifier's log has it. */
const char *kernel_log(const Kernel *kernel);

/* Runs it. Return: 0 and *ret, what the code returned, and its values; a negative errno. */
int kernel_run(Kernel *kernel, int program_fd, const ConditionWorld *world, size_t n_parameters,
	       uint64_t *ret, uint64_t ret_values[KERNEL_MAX_VALUES]);

#endif
