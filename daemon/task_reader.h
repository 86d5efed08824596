/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the facts about every thread of a process: from the kernel itself by a BPF iterator
 * (bpf_tasks.c), or, where the kernel has no BTF to make one with, from /proc (proc_tasks.c), which shows
 * less. Works on any process, whoever owns it: what is done with the answer is for authority.c and
 * bpf_attach.c to decide.
 */
#ifndef TASK_READER_H
#define TASK_READER_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/task_facts.h"

typedef struct TaskReader TaskReader;

/* Return: 0 and *ret (task_reader_free); negative errno. */
int task_reader_new(TaskReader **ret);
TaskReader *task_reader_free(TaskReader *reader);

/* Whether it tells of execs, of events, and of threads that are being started. */
bool task_reader_sees_all(const TaskReader *reader);

/*
 * Every thread of the process `pid` (in the daemon's pid namespace) as it is now.
 *
 * Return: 0 and *ret (task_facts_clear); -ESRCH when there is no such process, or none that is shown to
 * us; -EBUSY when its threads start or end so fast that they cannot be walked over; another negative
 * errno.
 */
int task_reader_read(TaskReader *reader, pid_t pid, TaskFactsList *ret);

#endif
