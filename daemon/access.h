/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gathers what authority.c judges: the caller and the target as they are at this moment.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/bpf_tasks.h"
#include "daemon/process.h"
#include "daemon/refusal.h"

/*
 * Whether the process `caller`, whose bus connection is `uid`'s, may debug `target` now. Whoever
 * acts on the answer opens first (disabled), asks then, and asks again after enabling. `approved`: an
 * administrator has said yes, so that only the rules count that nobody can answer for.
 *
 * Return: 0 and, unless NULL, *ret_target (task_facts_clear), the threads that were judged;
 * REFUSED_NOT_AUTHORIZED, REFUSED_TARGET_EXITED and *refusal; negative errno.
 */
int access_check(TaskReader *reader, uid_t uid, const Process *caller, const Process *target,
		 bool approved, TaskFactsList *ret_target, Refusal *refusal);

#endif
