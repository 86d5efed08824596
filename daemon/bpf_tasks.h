/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the facts about threads by the BPF iterator of bpf/tasks.bpf.c. */
#ifndef BPF_TASKS_H_DAEMON
#define BPF_TASKS_H_DAEMON

#include <sys/types.h>

#include "daemon/task_facts.h"

typedef struct BpfTasks BpfTasks;

/* Loads the iterator, which takes the kernel's BTF. Return: 0 and *ret (bpf_tasks_free); negative errno. */
int bpf_tasks_new(BpfTasks **ret);
BpfTasks *bpf_tasks_free(BpfTasks *tasks);

/* Return: as task_reader_read. */
int bpf_tasks_read(BpfTasks *tasks, pid_t pid, TaskFactsList *ret);

#endif
