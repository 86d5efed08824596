/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the facts about threads from /proc, for a kernel that has no BTF. */
#ifndef PROC_TASKS_H
#define PROC_TASKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/task_facts.h"

typedef struct ProcTasks ProcTasks;

/* Return: 0 and *ret (proc_tasks_free); -EBADMSG when /proc is not of our own pid namespace or not as the
 * kernel writes it; another negative errno. */
int proc_tasks_new(ProcTasks **ret);
ProcTasks *proc_tasks_free(ProcTasks *reader);

/* Return: as task_reader_read. */
int proc_tasks_read(ProcTasks *reader, pid_t pid, TaskFactsList *ret);

/* How many threads the kernel counts of a process; 0 when it has gone or is not shown. */
size_t proc_count_threads(pid_t pid);

/* Holds a thread of that process, so that its id cannot come to mean another unnoticed. Return: a
 * descriptor; -ESRCH when there is no such thread of it; another negative errno. */
int proc_thread_hold(pid_t pid, pid_t tid);

/* Whether the kernel still has the thread that is held: as long as it has, the id is that thread's. */
bool proc_thread_is_there(int held_fd);

#endif
