/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process held by its pidfd, so that its id cannot come to mean another process unnoticed.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/bpf_tasks.h"
#include "daemon/refusal.h"

typedef struct Process {
	pid_t pid; /* in the daemon's pid namespace */
	int pidfd; /* owned */
	/* What the kernel counts up at each exec; 0 where nobody asked (a caller). */
	uint64_t exec_id;
} Process;

#define PROCESS_NONE ((Process){.pidfd = -EBADF})

/*
 * From a descriptor that a client passed (borrowed; duplicated here).
 *
 * Return: 0 and *ret (process_clear); REFUSED_INVALID_ARGUMENT when it is no pidfd of a process,
 * REFUSED_NO_SUCH_TARGET when that process is not in our pid namespace, REFUSED_TARGET_EXITED when
 * it has exited; negative errno.
 */
int process_from_pidfd(int fd, Process *ret, Refusal *refusal);

/* From a process id. Return: 0 and *ret; REFUSED_NO_SUCH_TARGET; negative errno. */
int process_from_pid(pid_t pid, Process *ret, Refusal *refusal);

/*
 * From a descriptor that an earlier daemon had, and the id that it stood for then; the process may have
 * exited. Takes *fd over on success. Return: 0 and *ret; -EBADMSG; another negative errno.
 */
int process_adopt(int *fd, pid_t pid, uint64_t exec_id, Process *ret);

void process_clear(Process *process);

/* Whether it has exited, all its threads included; a zombie has. */
bool process_has_exited(const Process *process);

/* Remembers the process's present exec, so that process_look refuses it after the next.
 * Return: 0; REFUSED_TARGET_EXITED; negative errno. */
int process_pin_exec(Process *process, TaskReader *reader, Refusal *refusal);

/*
 * Every thread as it is now, certainly of this very process and, if it was pinned, this exec.
 *
 * Return: 0 and *ret (task_facts_clear); REFUSED_TARGET_EXITED; REFUSED_NOT_AUTHORIZED where the
 * kernel hides the process; negative errno.
 */
int process_look(const Process *process, TaskReader *reader, TaskFactsList *ret, Refusal *refusal);

#endif
