/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpcond/hit.h"
#include "bpf/filter.h"
#include "daemon/bpf_engine.h"
#include "filter.skel.h"
#include "filter_lent.skel.h"
#include "filter_task.skel.h"

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

int filter_engine_new(FilterEngine **ret)
{
	FilterEngine *engine;
	struct stat pidns;
	int r;

	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return -ENOMEM;

	r = libbpf_num_possible_cpus();
	if (r < 0)
		goto fail;
	engine->n_cpus = r;
	if (stat("/proc/self/ns/pid", &pidns) < 0) {
		r = -errno;
		goto fail;
	}
	if (pidns.st_ino != INITIAL_PIDNS_INO) {
		engine->pidns_dev = pidns.st_dev;
		engine->pidns_ino = pidns.st_ino;
	}

	engine->user = filter_bpf__open_and_load();
	if (!engine->user) {
		r = -errno;
		goto fail;
	}
	engine->user_template = TEMPLATE_OF(engine->user, filter);

	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
		engine->task = filter_task_bpf__open_and_load();
		if (!engine->task) {
			r = -errno;
			goto fail;
		}
		engine->task_template = TEMPLATE_OF(engine->task, filter_task);
		engine->lent = filter_lent_bpf__open_and_load();
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
	filter_lent_bpf__destroy(engine->lent);
	filter_task_bpf__destroy(engine->task);
	filter_bpf__destroy(engine->user);
	free(engine);
	return NULL;
}
