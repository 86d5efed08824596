/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May this caller debug that process? The daemon's CAP_PERFMON makes the kernel stop asking, so the
 * question is answered here, at least as strictly as ptrace(2) would answer it for the caller. Pure
 * decisions over facts that others have read.
 */
#ifndef AUTHORITY_H
#define AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/refusal.h"
#include "daemon/task_facts.h"

typedef struct AuthorityQuestion {
	uid_t connection_uid;        /* what the bus says of the caller's connection */
	const TaskFactsList *caller; /* every thread of the caller */
	const TaskFactsList *target; /* every thread of the target */
	uint32_t daemon_userns;
	int yama_scope;           /* kernel.yama.ptrace_scope; 0 where there is no Yama */
	bool caller_is_ancestor;  /* of the target, by real parents */
	const char *caller_label; /* MAC label; NULL or "" where there is none */
	const char *target_label;
	bool approved; /* an administrator's yes (polkit) stands for the rules that it may stand for */
	bool approved_for_another; /* with `approved`: not to this caller, so not for its confinement */
} AuthorityQuestion;

/*
 * Return: 0 allowed, without asking anyone unless `approved`; REFUSED_NOT_AUTHORIZED, and *refusal
 * says which rule (where the same question with `approved` is allowed, polkit may be asked);
 * REFUSED_TARGET_EXITED when the target has no thread left that lives.
 */
int authority_judge(const AuthorityQuestion *question, Refusal *refusal);

/* kernel.yama.ptrace_scope as it is now: 0 where there is no Yama; -errno when it cannot be read. */
int authority_yama_scope(void);

#endif
