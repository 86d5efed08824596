/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/* What a condition and the filter around it agree on: included from C and from BPF C. */
#ifndef CONDITION_NEEDS_H
#define CONDITION_NEEDS_H

/*
 * What the generated function reads beside registers, memory and parameters: bits of
 * condition_needs(). The filter fills in those of struct condition_inputs (bpf/filter.h) only.
 */
enum {
	CONDITION_NEEDS_IDS = 1 << 0, /* tid, pid */
	CONDITION_NEEDS_CPU = 1 << 1,
	CONDITION_NEEDS_TIME = 1 << 2,
	CONDITION_NEEDS_EVALUATED = 1 << 3,
	CONDITION_NEEDS_VALUE = 1 << 4,
	CONDITION_NEEDS_PREVIOUS = 1 << 5,
	CONDITION_NEEDS_COUNTER = 1 << 6,
	CONDITION_NEEDS_BASES = 1 << 7,   /* fs_base, gs_base */
	CONDITION_NEEDS_SCRATCH = 1 << 8, /* long texts, or many: r5 is the scratch buffer */
};

/* What the generated function returns. */
enum {
	CONDITION_FALSE = 0,
	CONDITION_TRUE = 1,
	CONDITION_FAULT = 2,
};

#endif
