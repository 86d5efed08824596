/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says about each thread of a process: the credentials that ptrace would look at, and
 * which of our events the thread carries. Plain data: produced by bpf_tasks.c or proc_tasks.c, judged by
 * authority.c, used by bpf_attach.c. What a reader cannot see it says so of, by a flag or a 0; it
 * never makes it up.
 */
#ifndef TASK_FACTS_H
#define TASK_FACTS_H

#include <stddef.h>

#include "bpf/tasks.h" /* struct task_facts */

typedef struct TaskFactsList {
	struct task_facts *tasks; /* a thread each, in the kernel's order: the leader first */
	size_t n_tasks;
} TaskFactsList;

/* Room for one more, not filled in; pointers to those before may become stale. Return: 0 and *ret;
 * -ENOMEM. */
int task_facts_add(TaskFactsList *list, struct task_facts **ret);

void task_facts_clear(TaskFactsList *list);

#endif
