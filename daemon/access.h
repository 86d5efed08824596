/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gathers what authority.c judges: the caller and the target as they are at this moment.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/task_reader.h"
#include "daemon/process.h"
#include "daemon/refusal.h"

/* Whether an administrator has said yes, and to whom. */
typedef enum AccessApproval {
	ACCESS_BY_RULES,
	ACCESS_APPROVED,
	/* To another connection of the caller's user: it says that the target may be debugged, and
	 * nothing of whether this caller is confined. */
	ACCESS_APPROVED_FOR_ANOTHER,
} AccessApproval;

/*
 * Whether the process `caller`, whose bus connection is `uid`'s, may debug `target` now. Whoever
 * acts on the answer opens first (disabled), asks then, and asks again after enabling. With an
 * administrator's yes only the rules count that nobody can answer for.
 *
 * Return: 0 and, unless NULL, *ret_target (task_facts_clear), the threads that were judged;
 * REFUSED_NOT_AUTHORIZED, REFUSED_TARGET_EXITED and *refusal; negative errno.
 */
int access_check(TaskReader *reader, uid_t uid, const Process *caller, const Process *target,
		 AccessApproval approval, TaskFactsList *ret_target, Refusal *refusal);

#endif
