/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The templates of filters: bpf/filter*.bpf.c, opened and loaded by libbpf once, at start, which also
 * proves that this kernel takes them. Their relocated instructions are what bpf_filter.c splices
 * generated code into.
 */
#ifndef BPF_ENGINE_H
#define BPF_ENGINE_H

#include <stdint.h>

#include "daemon/bpf_load.h"
#include "daemon/bpf_splice.h"

/* One template as splicing needs it: instructions, and the maps that stand in them. */
typedef struct Template {
	SpliceCode code;
	int config_fd, control_fd, counters_fd, parameters_fd, ring_fd, scratch_fd;
	int counter_fd; /* -EBADF in those that are not lent */
} Template;

typedef struct FilterEngine {
	struct filter_bpf *user;
	struct filter_task_bpf *task; /* NULL on a kernel without BTF, and lent too */
	struct filter_lent_bpf *lent;
	Template user_template;
	Template task_template;
	Template lent_template;
	FunctionTypes types;
	uint32_t n_slots; /* of counters: a power of two, no less than there can be CPUs */
	uint64_t pidns_dev, pidns_ino; /* both 0: the initial one */
} FilterEngine;

/* Return: 0 and *ret (filter_engine_free); negative errno. */
int filter_engine_new(FilterEngine **ret);
FilterEngine *filter_engine_free(FilterEngine *engine);

#endif
