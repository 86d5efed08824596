/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel itself says about each thread of a process, read by a BPF iterator in one pass
 * (bpf/tasks.bpf.c): the credentials that ptrace would look at, and which of our events the thread
 * carries. Plain data: produced by bpf_tasks.c, judged by authority.c, used by bpf_attach.c.
 */
#ifndef TASK_FACTS_H
#define TASK_FACTS_H

#include <stddef.h>

#include "bpf/tasks.h" /* struct task_facts */

typedef struct TaskFactsList {
	struct task_facts *tasks; /* a thread each, in the kernel's order: the leader first */
	size_t n_tasks;
} TaskFactsList;

#endif
