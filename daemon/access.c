/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/authority.h"
#include "daemon/util.h"

/* Ancestors looked at: a chain of parents that is longer is not followed, and so not trusted. */
#define MAX_ANCESTORS 64

/* Whether `ancestor` is a parent of a parent … of the process that `tasks` are of. A child that
 * outlives its parent moves to another, so a stale link can only make this false. */
static int is_ancestor(TaskReader *reader, pid_t ancestor, const TaskFactsList *tasks, bool *ret)
{
	pid_t parent = tasks->tasks[0].parent;

	*ret = false;
	for (int i = 0; i < MAX_ANCESTORS && parent > 0; i++) {
		_cleanup_(task_facts_clear) TaskFactsList facts = {};
		int r;

		if (parent == ancestor) {
			*ret = true;
			return 0;
		}
		r = task_reader_read(reader, parent, &facts);
		if (r == -ESRCH)
			return 0;
		if (r < 0)
			return r;
		parent = facts.tasks[0].parent;
	}
	return 0;
}

/* The label that a security module (AppArmor, SELinux, Smack) gave the process; NULL without one. */
static int read_label(pid_t pid, char **ret)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/attr/current", pid);
	r = read_small_file(path, ret);
	if (r == -EINVAL || r == -ENOENT || r == -EOPNOTSUPP) {
		*ret = NULL;
		return 0;
	}
	if (r < 0)
		return r;
	(*ret)[strcspn(*ret, "\n")] = '\0';
	return 0;
}

static int read_own_userns(TaskReader *reader, uint32_t *ret)
{
	_cleanup_(task_facts_clear) TaskFactsList self = {};
	int r;

	r = task_reader_read(reader, getpid(), &self);
	if (r < 0)
		return r;
	*ret = self.tasks[0].userns;
	return 0;
}

int access_check(TaskReader *reader, uid_t uid, const Process *caller, const Process *target,
		 AccessApproval approval, TaskFactsList *ret_target, Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList caller_tasks = {}, target_tasks = {};
	_cleanup_free_ char *caller_label = NULL, *target_label = NULL;
	AuthorityQuestion question = {
		.connection_uid = uid,
		.approved = approval != ACCESS_BY_RULES,
		.approved_for_another = approval == ACCESS_APPROVED_FOR_ANOTHER,
	};
	int r;

	r = process_look(caller, reader, &caller_tasks, refusal);
	if (r == REFUSED_TARGET_EXITED)
		return refuse(
			refusal, REFUSED_NOT_AUTHORIZED,
			"The process that opened this bus connection has exited, so its rights "
			"cannot be told: connect anew.");
	if (r != 0)
		return r;
	r = process_look(target, reader, &target_tasks, refusal);
	if (r != 0)
		return r;

	r = read_own_userns(reader, &question.daemon_userns);
	if (r < 0)
		return r;
	r = authority_yama_scope();
	if (r < 0)
		return r;
	question.yama_scope = r;
	if (question.yama_scope == 1) {
		r = is_ancestor(reader, caller->pid, &target_tasks, &question.caller_is_ancestor);
		if (r < 0)
			return r;
	}
	r = read_label(caller->pid, &caller_label);
	if (r < 0)
		return r;
	r = read_label(target->pid, &target_label);
	if (r < 0)
		return r;
	question.caller = &caller_tasks;
	question.target = &target_tasks;
	question.caller_label = caller_label;
	question.target_label = target_label;

	r = authority_judge(&question, refusal);
	if (r != 0)
		return r;
	if (ret_target) {
		*ret_target = target_tasks;
		target_tasks = (TaskFactsList){};
	}
	return 0;
}
