/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the facts about every thread of a process from the kernel itself, by the BPF iterator of
 * bpf/tasks.bpf.c. Works on any process, whoever owns it: what is done with the answer is for
 * authority.c and bpf_attach.c to decide.
 */
#ifndef BPF_TASKS_H_DAEMON
#define BPF_TASKS_H_DAEMON

#include <sys/types.h>

#include "daemon/task_facts.h"

typedef struct TaskReader TaskReader;

/* Loads the iterator. Return: 0 and *ret (task_reader_free); -EOPNOTSUPP on a kernel without BTF;
 * another negative errno. */
int task_reader_new(TaskReader **ret);
TaskReader *task_reader_free(TaskReader *reader);

/*
 * Every thread of the process `pid` (in the daemon's pid namespace) as it is now.
 *
 * Return: 0 and *ret (task_facts_clear); -EOPNOTSUPP without a reader (NULL: the kernel has no BTF to make
 * one with); -ESRCH when there is no such process; -EBUSY when its
 * threads end so fast that they cannot be walked over; another negative errno.
 */
int task_reader_read(TaskReader *reader, pid_t pid, TaskFactsList *ret);

void task_facts_clear(TaskFactsList *list);

#endif
