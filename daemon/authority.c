/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may debug whom, without asking anyone: a rule, a function. A caller passes only if every rule lets
 * it, and each rule is at least as strict as what ptrace(2) asks for the same thing (kernel/ptrace.c:
 * __ptrace_may_access; security/yama; security/commoncap.c). The rules that have no counterpart there
 * close what the kernel would have checked and no fact here shows.
 *
 * The facts are a snapshot of each thread, taken after the event was opened; the one who asks looks again
 * after acting. Some rules an administrator can answer for, through polkit, for one session; the rest
 * hold whoever says what: they are about who is who, and what exists. A refusal names the rule and the
 * thread that failed it. It says nothing about the target that ps(1) does not show to everybody.
 *
 * Threads that are on their way out: exit takes a thread's memory (its mm) away before it takes its
 * credentials. ptrace skips the question of dumpability for a task without an mm, since there is nothing
 * left to look at; the mm, and with it the answer, is shared by all threads that still have one. So ids
 * and capabilities are asked of every thread, dumpability of every one with memory, and a process in
 * which no thread lives has exited.
 */
#include "daemon/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* linux/capability.h has the numbers; a refusal shows the set, as /proc/PID/status does. */
#define CAPABILITIES "%016" PRIx64

static const char ask_administrator[] =
	"an administrator can debug it, or run bpcondctl as the target's user";

typedef int (*AuthorityRule)(const AuthorityQuestion *question, Refusal *refusal);

static bool task_lives(const struct task_facts *task)
{
	return (task->facts & TASK_EXITING) == 0;
}

static bool task_has_memory(const struct task_facts *task)
{
	return (task->facts & TASK_HAS_MM) != 0;
}

static const struct task_facts *leader(const TaskFactsList *list)
{
	return &list->tasks[0];
}

static bool all_uids_are(const struct task_facts *task, uid_t uid)
{
	return task->ruid == uid && task->euid == uid && task->suid == uid && task->fsuid == uid;
}

static bool all_gids_are(const struct task_facts *task, gid_t gid)
{
	return task->rgid == gid && task->egid == gid && task->sgid == gid && task->fsgid == gid;
}

static bool is_overridden(const struct task_facts *task)
{
	return (task->facts & TASK_OVERRIDDEN) != 0;
}

/* A process of which nothing is left cannot be looked at, nor judged. */
static int rule_target_lives(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *target = question->target;

	for (size_t i = 0; i < target->n_tasks; i++)
		if (task_lives(&target->tasks[i]))
			return 0;
	if (target->n_tasks == 0)
		return refuse(refusal, REFUSED_TARGET_EXITED,
			      "the target has exited; start it again and open a new session");
	return refuse(refusal, REFUSED_TARGET_EXITED,
		      "process %u is exiting, no thread of it runs any more; start it again and "
		      "open a new session",
		      leader(target)->tgid);
}

/* Nobody can answer for a caller that is not known. */
static int rule_caller_is_known(const AuthorityQuestion *question, Refusal *refusal)
{
	if (question->caller->n_tasks == 0)
		return refuse(refusal, REFUSED_NOT_AUTHORIZED,
			      "the calling process has exited or cannot be seen from here, so "
			      "that its rights are unknown; call from a process that stays");
	if (question->connection_uid == (uid_t)-1)
		return refuse(refusal, REFUSED_NOT_AUTHORIZED,
			      "the bus does not say which user is calling; connect to the bus "
			      "with EXTERNAL authentication");
	return 0;
}

/* Who asks must be one user to the last thread: any of them may have sent the call, and all of them
 * can use what it gives. polkit would judge the connection's user, so its yes does not help here. */
static int rule_caller_is_connection(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *caller = question->caller;

	for (size_t i = 0; i < caller->n_tasks; i++) {
		const struct task_facts *task = &caller->tasks[i];

		if (is_overridden(task))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of the caller (process %u) acts with borrowed "
				      "rights at the moment; try again",
				      task->tid, task->tgid);
		if (!all_uids_are(task, question->connection_uid))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of the caller (process %u) has the user ids "
				      "%u/%u/%u/%u (real, effective, saved, file system), but its "
				      "bus connection is user %u's; call from a process that has "
				      "one user id only",
				      task->tid, task->tgid, task->ruid, task->euid, task->suid,
				      task->fsuid, question->connection_uid);
	}
	return 0;
}

static int rule_caller_has_one_group(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *caller = question->caller;

	for (size_t i = 0; i < caller->n_tasks; i++) {
		const struct task_facts *task = &caller->tasks[i];

		if (!all_gids_are(task, leader(caller)->rgid))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of the caller (process %u) has the group ids "
				      "%u/%u/%u/%u (real, effective, saved, file system) beside "
				      "%u; call from a process that has one group id only",
				      task->tid, task->tgid, task->rgid, task->egid, task->sgid,
				      task->fsgid, leader(caller)->rgid);
	}
	return 0;
}

/* Ids and capabilities mean what they mean here only in the daemon's own user namespace: the kernel
 * compares namespaces too, and a parent namespace's owner has rights that no id shows. */
static int rule_same_user_namespace(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *const lists[] = {question->caller, question->target};

	for (size_t l = 0; l < 2; l++)
		for (size_t i = 0; i < lists[l]->n_tasks; i++) {
			const struct task_facts *task = &lists[l]->tasks[i];

			if (task->userns == question->daemon_userns)
				continue;
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of the %s (process %u) is in another user "
				      "namespace than bpcondd (a container or sandbox); debug it "
				      "from inside, or have an administrator do it",
				      task->tid, l == 0 ? "caller" : "target", task->tgid);
		}
	return 0;
}

/* ptrace compares the target's real, effective and saved ids with the caller's; the file system
 * ids, and every thread, come on top. */
static int rule_same_ids(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *target = question->target;
	gid_t gid = leader(question->caller)->rgid;

	for (size_t i = 0; i < target->n_tasks; i++) {
		const struct task_facts *task = &target->tasks[i];

		if (!all_uids_are(task, question->connection_uid))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of process %u has the user ids %u/%u/%u/%u (real, "
				      "effective, saved, file system), the caller has %u; %s",
				      task->tid, task->tgid, task->ruid, task->euid, task->suid,
				      task->fsuid, question->connection_uid, ask_administrator);
		if (!all_gids_are(task, gid))
			return refuse(
				refusal, REFUSED_NOT_AUTHORIZED,
				"thread %u of process %u has the group ids %u/%u/%u/%u (real, "
				"effective, saved, file system), the caller has %u; %s",
				task->tid, task->tgid, task->rgid, task->egid, task->sgid,
				task->fsgid, gid, ask_administrator);
	}
	return 0;
}

/* commoncap compares the target's permitted set with the caller's; what is effective is permitted,
 * but nothing here rests on that. */
static int rule_no_more_capabilities(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *caller = question->caller;
	const TaskFactsList *target = question->target;
	uint64_t held = UINT64_MAX;

	for (size_t i = 0; i < caller->n_tasks; i++)
		held &= caller->tasks[i].caps_permitted & caller->tasks[i].caps_effective;
	for (size_t i = 0; i < target->n_tasks; i++) {
		const struct task_facts *task = &target->tasks[i];
		uint64_t more = (task->caps_permitted | task->caps_effective) & ~held;

		if (more != 0)
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of process %u holds capabilities that the caller "
				      "lacks (mask " CAPABILITIES "); an administrator can debug "
				      "it, or start it without file capabilities",
				      task->tid, task->tgid, more);
	}
	return 0;
}

static int rule_target_has_memory(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *target = question->target;

	for (size_t i = 0; i < target->n_tasks; i++) {
		const struct task_facts *task = &target->tasks[i];

		if (task_lives(task) && !task_has_memory(task))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "process %u is a thread of the kernel, which has no user "
				      "memory to watch; choose an ordinary process",
				      task->tgid);
	}
	return 0;
}

static int rule_dumpable(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *target = question->target;

	for (size_t i = 0; i < target->n_tasks; i++) {
		const struct task_facts *task = &target->tasks[i];

		if (task_has_memory(task) &&
		    (task->facts & (TASK_DUMPABLE | TASK_DUMPABLE_UNKNOWN)) == 0)
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "process %u (seen at thread %u) is not dumpable: it was set-"
				      "user-ID, its program file is unreadable, or it asked for it "
				      "by prctl(PR_SET_DUMPABLE); an administrator can debug it",
				      task->tgid, task->tid);
	}
	return 0;
}

static const char without_btf[] =
	"on a kernel without BTF (CONFIG_DEBUG_INFO_BTF); an administrator can allow it";

/* What could not be seen counts as not so: asked after those rules that name a better reason. */
static int rule_facts_are_known(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *const lists[] = {question->caller, question->target};

	for (size_t l = 0; l < 2; l++)
		for (size_t i = 0; i < lists[l]->n_tasks; i++) {
			const struct task_facts *task = &lists[l]->tasks[i];

			if (task->facts & TASK_USERNS_UNKNOWN)
				return refuse(
					refusal, REFUSED_NOT_AUTHORIZED,
					"nobody can tell whether thread %u of the %s (process %u) "
					"is in bpcondd's own user namespace or in a sandbox, %s",
					task->tid, l == 0 ? "caller" : "target", task->tgid,
					without_btf);
		}
	for (size_t i = 0; i < question->target->n_tasks; i++) {
		const struct task_facts *task = &question->target->tasks[i];

		if (task_has_memory(task) && task->facts & TASK_DUMPABLE_UNKNOWN)
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "nobody can tell whether process %u (seen at thread %u), "
				      "which is root's, is dumpable, %s",
				      task->tgid, task->tid, without_btf);
	}
	return 0;
}

/* Nobody borrows rights while its memory is looked at: what it would run as is not known. */
static int rule_target_not_overridden(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *target = question->target;

	for (size_t i = 0; i < target->n_tasks; i++)
		if (is_overridden(&target->tasks[i]))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "thread %u of process %u acts with borrowed rights at the "
				      "moment; try again",
				      target->tasks[i].tid, target->tasks[i].tgid);
	return 0;
}

static int refuse_yama(const AuthorityQuestion *question, const struct task_facts *task,
		       Refusal *refusal)
{
	if (question->yama_scope == 1)
		return refuse(
			refusal, REFUSED_NOT_AUTHORIZED,
			"kernel.yama.ptrace_scope is 1, and the caller (process %u) is "
			"neither an ancestor of process %u nor traces its thread %u: start the "
			"target from the debugger, attach the debugger first, or have an "
			"administrator run \"sysctl kernel.yama.ptrace_scope=0\"",
			leader(question->caller)->tgid, task->tgid, task->tid);
	return refuse(
		refusal, REFUSED_NOT_AUTHORIZED,
		"kernel.yama.ptrace_scope is %d, which lets no ordinary user debug process %u "
		"or any other; %s",
		question->yama_scope, task->tgid,
		question->yama_scope == 2
			? "an administrator can run \"sysctl kernel.yama.ptrace_scope=1\""
			: "once it is 3 only a reboot, with another value set, changes that");
}

/* At 3 (and at what may come after it) the kernel lets nobody trace, root included. */
static int rule_yama_allows_any(const AuthorityQuestion *question, Refusal *refusal)
{
	if (question->yama_scope <= 2)
		return 0;
	return refuse_yama(question, leader(question->target), refusal);
}

/* Yama's exceptions by prctl(PR_SET_PTRACER) cannot be read from outside: they do not count. */
static int rule_yama(const AuthorityQuestion *question, Refusal *refusal)
{
	uint32_t caller = leader(question->caller)->tgid;

	if (question->yama_scope == 0)
		return 0;
	if (question->yama_scope != 1)
		return refuse_yama(question, leader(question->target), refusal);
	if (question->caller_is_ancestor)
		return 0;
	for (size_t i = 0; i < question->target->n_tasks; i++) {
		const struct task_facts *task = &question->target->tasks[i];

		/* A thread without memory runs no more code that could be looked at. */
		if (!task_lives(task) && !task_has_memory(task))
			continue;
		if (caller == 0 || task->tracer != caller)
			return refuse_yama(question, task, refusal);
	}
	return 0;
}

static const char *confinement(const struct task_facts *task)
{
	if ((task->facts & TASK_NO_NEW_PRIVS) != 0)
		return "no_new_privs";
	if ((task->facts & TASK_SECCOMP) != 0)
		return "seccomp";
	return NULL;
}

/* To a confined caller the kernel itself may refuse ptrace for reasons that no fact shows: a
 * seccomp filter, a Landlock domain (which takes no_new_privs to enter), a label's policy. */
static int rule_caller_unconfined(const AuthorityQuestion *question, Refusal *refusal)
{
	const TaskFactsList *caller = question->caller;
	const char *caller_label = question->caller_label != NULL ? question->caller_label : "";
	const char *target_label = question->target_label != NULL ? question->target_label : "";

	for (size_t i = 0; i < caller->n_tasks; i++) {
		const struct task_facts *task = &caller->tasks[i];
		const char *by = confinement(task);

		if (by != NULL)
			return refuse(
				refusal, REFUSED_NOT_AUTHORIZED,
				"thread %u of the caller (process %u) is confined by %s, and "
				"the kernel might keep it from debugging; call from outside of "
				"the sandbox, ask an administrator, or use LendFilter, where "
				"the kernel itself checks",
				task->tid, task->tgid, by);
	}
	if (strcmp(caller_label, target_label) != 0)
		return refuse(refusal, REFUSED_NOT_AUTHORIZED,
			      "the caller (process %u) has the security label \"%.100s\", the "
			      "target (process %u) \"%.100s\", and the kernel's policy might keep "
			      "them apart; call with the target's label, ask an administrator, or "
			      "use LendFilter, where the kernel itself checks",
			      leader(caller)->tgid, caller_label, leader(question->target)->tgid,
			      target_label);
	return 0;
}

int authority_judge(const AuthorityQuestion *question, Refusal *refusal)
{
	/* Those that an administrator's yes stands for, and those that hold whoever says what. */
	static const struct {
		AuthorityRule rule;
		bool can_be_approved;
	} rules[] = {
		{rule_target_lives, false},
		{rule_caller_is_known, false},
		{rule_caller_is_connection, false},
		{rule_caller_has_one_group, true},
		{rule_same_user_namespace, true},
		{rule_same_ids, true},
		{rule_no_more_capabilities, true},
		{rule_target_has_memory, false},
		{rule_dumpable, true},
		{rule_target_not_overridden, true},
		{rule_yama_allows_any, false},
		{rule_yama, true},
		{rule_facts_are_known, true},
		{rule_caller_unconfined, true},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		int r;

		if (question->approved && rules[i].can_be_approved &&
		    !(question->approved_for_another && rules[i].rule == rule_caller_unconfined))
			continue;
		r = rules[i].rule(question, refusal);
		if (r != 0)
			return r;
	}
	return 0;
}

int authority_yama_scope(void)
{
	/* Where /proc/sys is hidden the file's absence says nothing about Yama. */
	int kernel_fd = open("/proc/sys/kernel", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int scope_fd, r;
	ssize_t length;
	char text[16];

	if (kernel_fd < 0)
		return -errno;
	scope_fd = openat(kernel_fd, "yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	r = scope_fd < 0 ? -errno : 0;
	close(kernel_fd);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	length = read(scope_fd, text, sizeof(text));
	r = length < 0 ? -errno : 0;
	close(scope_fd);
	if (r < 0)
		return r;
	if (length != 2 || text[0] < '0' || text[0] > '9' || text[1] != '\n')
		return -EBADMSG;
	return text[0] - '0';
}
