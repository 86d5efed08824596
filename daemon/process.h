/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process held by its pidfd, so that its id cannot come to mean another process unnoticed; and, once
 * pinned, the program that it runs, so that the next one cannot be taken for it.
 *
 * The kernel counts a process's execs. Where the reader cannot see the count (no BTF), a perf event on the
 * process's first thread stands for it: the kernel takes it away at exec, before the new program's
 * credentials are in force, also at another thread's, which ends the first one and takes its id. As long as
 * it is there no exec has been. When it is gone either an exec or the first thread's own end took it: after
 * the latter that thread stays a zombie until the process ends or executes. An exec is missed so only when
 * the new program's first thread has ended, too, before anybody looked. Nothing of the old program's is
 * left by then, and whoever may debug the new one is asked anew each time; but an administrator's yes was
 * for the old one, so there the end of the first thread is the end (exec_strictly).
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/task_reader.h"
#include "daemon/refusal.h"

typedef struct Process {
	pid_t pid; /* in the daemon's pid namespace */
	int pidfd; /* owned */
	/* What the kernel counts up at each exec; 0 where nobody asked (a caller). */
	uint64_t exec_id;
	/* Where nobody sees that: PROCESS_PINNED above, and the event; without memory there is none, since
	 * the first thread had ended when it was pinned. */
	int exec_fd;
	void *exec_memory;
	bool exec_strictly;
} Process;

#define PROCESS_PINNED 1
#define PROCESS_NONE   ((Process){.pidfd = -EBADF, .exec_fd = -EBADF})

/*
 * From a descriptor that a client passed (borrowed; duplicated here).
 *
 * Return: 0 and *ret (process_clear); REFUSED_INVALID_ARGUMENT when it is no pidfd of a process,
 * REFUSED_NO_SUCH_TARGET when that process is not in our pid namespace, REFUSED_TARGET_EXITED when
 * it has exited; negative errno.
 */
int process_from_pidfd(int fd, Process *ret, Refusal *refusal);

/* From a process id. Return: 0 and *ret; REFUSED_NO_SUCH_TARGET; negative errno. */
int process_from_pid(uint32_t pid, Process *ret, Refusal *refusal);

/*
 * From a descriptor that an earlier daemon had, and the id that it stood for then; the process may have
 * exited. Takes *fd over on success. Return: 0 and *ret; -EBADMSG; another negative errno.
 */
int process_adopt(int *fd, pid_t pid, uint64_t exec_id, Process *ret);

void process_clear(Process *process);

/* Whether it has exited, all its threads included; a zombie has. */
bool process_has_exited(const Process *process);

/* The same for the event that stood for its exec. Takes *fd over on success. Return: as process_adopt. */
int process_adopt_exec(int *fd, Process *process);

/* Remembers the process's present exec, so that process_look refuses it after the next.
 * Return: 0; REFUSED_TARGET_EXITED, REFUSED_NOT_AUTHORIZED, REFUSED_NOT_SUPPORTED; negative errno. */
int process_pin_exec(Process *process, TaskReader *reader, Refusal *refusal);

/*
 * Every thread as it is now, certainly of this very process and, if it was pinned, this exec.
 *
 * Return: 0 and *ret (task_facts_clear); REFUSED_TARGET_EXITED; REFUSED_NOT_AUTHORIZED where the kernel
 * hides the process, or exec_strictly what runs may be another program; REFUSED_NOT_SUPPORTED where its
 * threads come and go too fast; negative errno.
 */
int process_look(const Process *process, TaskReader *reader, TaskFactsList *ret, Refusal *refusal);

#endif
