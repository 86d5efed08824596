/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpcond/hit.h"
#include "bpf/filter.h"
#include "condition/needs.h"
#include "daemon/bpf_engine.h"
#include "filter.skel.h"
#include "filter_lent.skel.h"
#include "filter_task.skel.h"
#include "kernel/types.h"

/* The inode number of the initial pid namespace (PROC_PID_INIT_INO in the kernel's sources). */
#define INITIAL_PIDNS_INO 0xEFFFFFFCU

#define TEMPLATE_OF(skeleton, program)                                                     \
	(Template)                                                                         \
	{                                                                                  \
		.code = {bpf_program__insns((skeleton)->progs.program),                    \
			 bpf_program__insn_cnt((skeleton)->progs.program)},                \
		.config_fd = bpf_map__fd((skeleton)->maps.rodata_config),                  \
		.control_fd = bpf_map__fd((skeleton)->maps.data_control),                  \
		.counters_fd = bpf_map__fd((skeleton)->maps.data_counters),                \
		.parameters_fd = bpf_map__fd((skeleton)->maps.data_parameters),            \
		.ring_fd = bpf_map__fd((skeleton)->maps.ring),                             \
		.scratch_fd = bpf_map__fd((skeleton)->maps.scratch), .counter_fd = -EBADF, \
	}

/*
 * What a template is loaded with: every feature in use, so that the verifier looks at all of the
 * program, and a kernel that does not take it is found out at start.
 */
static struct filter_config everything(uint32_t n_slots)
{
	struct filter_config config = {
		.cpu_mask = n_slots - 1,
		.value_length = 8,
		.needs = CONDITION_NEEDS_IDS | CONDITION_NEEDS_CPU | CONDITION_NEEDS_TIME |
			 CONDITION_NEEDS_EVALUATED | CONDITION_NEEDS_VALUE |
			 CONDITION_NEEDS_PREVIOUS | CONDITION_NEEDS_COUNTER |
			 CONDITION_NEEDS_BASES | CONDITION_NEEDS_SCRATCH,
		.signal = SIGUSR1,
		.skip = 1,
		.every = 2,
		.limit = 3,
		.registers = (1ULL << BPCOND_REG_COUNT) - 1,
		.stack = 1,
		.pieces = FILTER_MAX_PIECES,
		.only_when_traced = 1,
		.borrower_start = 1,
	};

	config.record_bytes = sizeof(struct bpcond_hit) + (BPCOND_REG_COUNT + 1) * sizeof(uint64_t);
	for (int i = 0; i < FILTER_MAX_PIECES; i++) {
		config.piece_bytes[i] = 8;
		config.record_bytes += sizeof(struct bpcond_memory) + 8;
	}
	return config;
}

/* Opens a template, gives it that configuration and loads it: its skeleton, or NULL and errno. */
#define LOAD_TEMPLATE(name, n_slots)                                                \
	({                                                                          \
		struct name##_bpf *skeleton = name##_bpf__open();                   \
                                                                                    \
		if (skeleton) {                                                     \
			skeleton->rodata_config->config = everything(n_slots);       \
			if (name##_bpf__load(skeleton) < 0) {                       \
				int error = errno;                                  \
                                                                                    \
				name##_bpf__destroy(skeleton);                      \
				skeleton = NULL;                                    \
				errno = error;                                      \
			}                                                           \
		}                                                                   \
		skeleton;                                                           \
	})

int filter_engine_new(FilterEngine **ret)
{
	FilterEngine *engine;
	struct stat pidns;
	int r;

	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return -ENOMEM;
	engine->types = FUNCTION_TYPES_NONE;

	r = libbpf_num_possible_cpus();
	if (r < 0)
		goto fail;
	engine->n_slots = 1;
	while (engine->n_slots < (uint32_t)r)
		engine->n_slots *= 2;
	if (stat("/proc/self/ns/pid", &pidns) < 0) {
		r = -errno;
		goto fail;
	}
	if (pidns.st_ino != INITIAL_PIDNS_INO) {
		engine->pidns_dev = pidns.st_dev;
		engine->pidns_ino = pidns.st_ino;
	}

	r = function_types_new(&engine->types);
	if (r < 0)
		goto fail;
	engine->user = LOAD_TEMPLATE(filter, engine->n_slots);
	if (!engine->user) {
		r = -errno;
		goto fail;
	}
	engine->user_template = TEMPLATE_OF(engine->user, filter);

	if (kernel_has_types()) {
		engine->task = LOAD_TEMPLATE(filter_task, engine->n_slots);
		if (!engine->task) {
			r = -errno;
			goto fail;
		}
		engine->task_template = TEMPLATE_OF(engine->task, filter_task);
		engine->lent = LOAD_TEMPLATE(filter_lent, engine->n_slots);
		if (!engine->lent) {
			r = -errno;
			goto fail;
		}
		engine->lent_template = TEMPLATE_OF(engine->lent, filter_lent);
		engine->lent_template.counter_fd = bpf_map__fd(engine->lent->maps.counter_event);
	}
	*ret = engine;
	return 0;
fail:
	filter_engine_free(engine);
	return r;
}

FilterEngine *filter_engine_free(FilterEngine *engine)
{
	if (!engine)
		return NULL;
	function_types_clear(&engine->types);
	filter_lent_bpf__destroy(engine->lent);
	filter_task_bpf__destroy(engine->task);
	filter_bpf__destroy(engine->user);
	free(engine);
	return NULL;
}
