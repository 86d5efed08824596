/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may debug whom: one case that passes, and each rule broken by one fact of one thread, in
 * every thread and every id that the rule must look at. Also what must not be refused.
 */
#include "daemon/authority.h"

#include <check.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	UID = 1000,
	GID = 100,
	CALLER = 500,
	TARGET = 600,
	USERNS = 0xeffffffd,
	N_THREADS = 3,
};

#define CAP(number) (UINT64_C(1) << (number))

typedef struct Scene {
	struct task_facts caller_tasks[N_THREADS], target_tasks[N_THREADS];
	TaskFactsList caller, target;
	AuthorityQuestion question;
} Scene;

static struct task_facts ordinary(uint32_t tgid, uint32_t tid)
{
	return (struct task_facts){
		.tid = tid,
		.tgid = tgid,
		.ruid = UID,
		.euid = UID,
		.suid = UID,
		.fsuid = UID,
		.rgid = GID,
		.egid = GID,
		.sgid = GID,
		.fsgid = GID,
		.userns = USERNS,
		.facts = TASK_DUMPABLE | TASK_HAS_MM,
	};
}

static void scene_set(Scene *scene)
{
	for (uint32_t i = 0; i < N_THREADS; i++) {
		scene->caller_tasks[i] = ordinary(CALLER, CALLER + i);
		scene->target_tasks[i] = ordinary(TARGET, TARGET + i);
	}
	scene->caller = (TaskFactsList){scene->caller_tasks, N_THREADS};
	scene->target = (TaskFactsList){scene->target_tasks, N_THREADS};
	scene->question = (AuthorityQuestion){
		.connection_uid = UID,
		.caller = &scene->caller,
		.target = &scene->target,
		.daemon_userns = USERNS,
	};
}

static void expect_allowed(const Scene *scene)
{
	Refusal refusal = {.kind = REFUSED_NOT};
	int r = authority_judge(&scene->question, &refusal);

	ck_assert_msg(r == 0, "refused: %s", refusal.text);
}

/* What it says must name the thread or process, and the reason. */
static void expect_refused(const Scene *scene, RefusalKind kind, const char *who, const char *why)
{
	Refusal refusal = {.kind = REFUSED_NOT};
	int r = authority_judge(&scene->question, &refusal);

	ck_assert_msg(r == (int)kind, "%d, not %d (%s, %s)", r, (int)kind, who, why);
	ck_assert_int_eq(refusal.kind, kind);
	ck_assert_msg(strstr(refusal.text, who) != NULL, "\"%s\" does not name %s", refusal.text,
		      who);
	ck_assert_msg(strstr(refusal.text, why) != NULL, "\"%s\" does not say %s", refusal.text,
		      why);
	ck_assert_msg(strstr(refusal.text, "...") == NULL, "\"%s\" was cut", refusal.text);
}

START_TEST(test_same_user)
{
	Scene scene;

	scene_set(&scene);
	expect_allowed(&scene);
	scene.question.caller_label = "";
	expect_allowed(&scene);
	scene.question.caller_label = "unconfined";
	scene.question.target_label = "unconfined";
	expect_allowed(&scene);
}
END_TEST

static const struct {
	const char *name;
	size_t offset;
	bool is_gid;
} ids[] = {
	{"ruid", offsetof(struct task_facts, ruid), false},
	{"euid", offsetof(struct task_facts, euid), false},
	{"suid", offsetof(struct task_facts, suid), false},
	{"fsuid", offsetof(struct task_facts, fsuid), false},
	{"rgid", offsetof(struct task_facts, rgid), true},
	{"egid", offsetof(struct task_facts, egid), true},
	{"sgid", offsetof(struct task_facts, sgid), true},
	{"fsgid", offsetof(struct task_facts, fsgid), true},
};

/* Each id of each thread, on both sides, and root's no less than another user's. */
START_TEST(test_each_id)
{
	static const uint32_t others[] = {0, 1001, UINT32_MAX};

	for (size_t thread = 0; thread < N_THREADS; thread++)
		for (size_t other = 0; other < 3; other++) {
			struct task_facts *task;
			char who[32];
			Scene scene;

			scene_set(&scene);
			task = &scene.target_tasks[thread];
			memcpy((char *)task + ids[_i].offset, &others[other], 4);
			snprintf(who, sizeof(who), "thread %u of process %u", task->tid, TARGET);
			expect_refused(&scene, REFUSED_NOT_AUTHORIZED, who,
				       ids[_i].is_gid ? "group ids" : "user ids");

			scene_set(&scene);
			task = &scene.caller_tasks[thread];
			memcpy((char *)task + ids[_i].offset, &others[other], 4);
			expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "of the caller",
				       ids[_i].is_gid ? "group ids" : "user ids");
		}
}
END_TEST

/* What nobody could see counts as not so, of every thread on both sides, until an administrator says yes;
 * and a rule that names a better reason comes first. */
START_TEST(test_unknown)
{
	for (size_t thread = 0; thread < N_THREADS; thread++) {
		char who[32];
		Scene scene;

		scene_set(&scene);
		scene.target_tasks[thread].facts |= TASK_USERNS_UNKNOWN;
		snprintf(who, sizeof(who), "thread %u of the target", TARGET + (uint32_t)thread);
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, who, "user namespace");
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, who, "CONFIG_DEBUG_INFO_BTF");
		scene.question.approved = true;
		expect_allowed(&scene);

		scene_set(&scene);
		scene.caller_tasks[thread].facts |= TASK_USERNS_UNKNOWN;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "of the caller", "user namespace");
		scene.question.approved = true;
		expect_allowed(&scene);

		scene_set(&scene);
		scene.target_tasks[thread].facts &= ~(uint32_t)TASK_DUMPABLE;
		scene.target_tasks[thread].facts |= TASK_DUMPABLE_UNKNOWN;
		snprintf(who, sizeof(who), "seen at thread %u", TARGET + (uint32_t)thread);
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, who, "CONFIG_DEBUG_INFO_BTF");
		/* a thread that has no memory any more has nothing to be looked at */
		scene.target_tasks[thread].facts &= ~(uint32_t)TASK_HAS_MM;
		scene.target_tasks[thread].facts |= TASK_EXITING;
		expect_allowed(&scene);
		scene_set(&scene);
		scene.target_tasks[thread].facts |= TASK_DUMPABLE_UNKNOWN;
		scene.question.approved = true;
		expect_allowed(&scene);

		scene_set(&scene);
		scene.target_tasks[thread].facts |= TASK_USERNS_UNKNOWN | TASK_DUMPABLE_UNKNOWN;
		scene.target_tasks[thread].euid = 0;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "of process", "user ids");

		/* another namespace is known to be another, and what is not dumpable to be not */
		scene_set(&scene);
		scene.target_tasks[thread].userns = 0;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "target", "another user namespace");
		scene_set(&scene);
		scene.target_tasks[thread].facts &= ~(uint32_t)TASK_DUMPABLE;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread", "not dumpable");
	}
}
END_TEST

START_TEST(test_whole_other_user)
{
	Scene scene;

	scene_set(&scene);
	for (size_t i = 0; i < N_THREADS; i++) {
		scene.target_tasks[i] = ordinary(TARGET, TARGET + (uint32_t)i);
		scene.target_tasks[i].ruid = scene.target_tasks[i].euid = 1001;
		scene.target_tasks[i].suid = scene.target_tasks[i].fsuid = 1001;
	}
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "1001/1001/1001/1001");
	/* A connection that is not the process's user: a descriptor that was passed on. */
	scene_set(&scene);
	scene.question.connection_uid = 1001;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 500 of the caller", "user 1001's");
	scene.question.connection_uid = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 500 of the caller", "user 0's");
	/* Everything unknown alike must not count as equal. */
	scene_set(&scene);
	for (size_t i = 0; i < N_THREADS; i++)
		for (size_t id = 0; id < 4; id++) {
			memset((char *)&scene.caller_tasks[i] + ids[id].offset, 0xff, 4);
			memset((char *)&scene.target_tasks[i] + ids[id].offset, 0xff, 4);
		}
	scene.question.connection_uid = (uid_t)-1;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "bus", "which user");
}
END_TEST

START_TEST(test_user_namespace)
{
	for (size_t thread = 0; thread < N_THREADS; thread++) {
		char who[32];
		Scene scene;

		scene_set(&scene);
		scene.target_tasks[thread].userns = 0xf0000001;
		snprintf(who, sizeof(who), "thread %zu of the target", TARGET + thread);
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, who, "user namespace");
		scene_set(&scene);
		scene.caller_tasks[thread].userns = 0xf0000001;
		snprintf(who, sizeof(who), "thread %zu of the caller", CALLER + thread);
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, who, "user namespace");
	}
	/* Both in the same one is not the daemon's own. */
	Scene scene;

	scene_set(&scene);
	scene.question.daemon_userns = 0xf0000001;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "caller", "user namespace");
}
END_TEST

START_TEST(test_capabilities)
{
	Scene scene;

	for (size_t thread = 0; thread < N_THREADS; thread++) {
		scene_set(&scene);
		scene.target_tasks[thread].caps_permitted = CAP(CAP_NET_RAW);
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "0000000000002000");
		scene_set(&scene);
		scene.target_tasks[thread].caps_effective = CAP(CAP_NET_RAW);
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "capabilities");
	}
	/* A caller that has as much is allowed; every thread of it, and really effective. */
	scene_set(&scene);
	scene.target_tasks[1].caps_permitted = CAP(CAP_NET_RAW);
	for (size_t i = 0; i < N_THREADS; i++)
		scene.caller_tasks[i].caps_permitted = scene.caller_tasks[i].caps_effective =
			CAP(CAP_NET_RAW) | CAP(CAP_CHOWN);
	expect_allowed(&scene);
	scene.caller_tasks[2].caps_effective = CAP(CAP_CHOWN);
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 601", "capabilities");
	scene.caller_tasks[2].caps_effective = CAP(CAP_NET_RAW);
	scene.caller_tasks[2].caps_permitted = CAP(CAP_CHOWN);
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 601", "capabilities");
}
END_TEST

START_TEST(test_dumpable)
{
	Scene scene;

	for (size_t thread = 0; thread < N_THREADS; thread++) {
		scene_set(&scene);
		scene.target_tasks[thread].facts = TASK_HAS_MM;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "not dumpable");
		/* On its way out, but its memory is still there. */
		scene.target_tasks[thread].facts = TASK_HAS_MM | TASK_EXITING;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "not dumpable");
	}
	/* Whether the caller is dumpable is its own affair. */
	scene_set(&scene);
	scene.caller_tasks[0].facts = TASK_HAS_MM;
	expect_allowed(&scene);
}
END_TEST

START_TEST(test_exiting_threads)
{
	Scene scene;

	/* The leader has exited, or any other thread: the others are judged. */
	for (size_t thread = 0; thread < N_THREADS; thread++) {
		scene_set(&scene);
		scene.target_tasks[thread].facts = TASK_EXITING;
		expect_allowed(&scene);
		/* A dead thread's ids still say whose process this is. */
		scene.target_tasks[thread].euid = 0;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "user ids");
	}
	scene_set(&scene);
	scene.target_tasks[0].facts = TASK_EXITING;
	scene.target_tasks[1].facts = TASK_HAS_MM;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 601", "not dumpable");
	/* All of them. */
	for (size_t i = 0; i < N_THREADS; i++)
		scene.target_tasks[i].facts = TASK_EXITING;
	expect_refused(&scene, REFUSED_TARGET_EXITED, "process 600", "exiting");
	scene.target_tasks[1].facts = TASK_EXITING | TASK_HAS_MM | TASK_DUMPABLE;
	expect_refused(&scene, REFUSED_TARGET_EXITED, "process 600", "exiting");
	scene.target.n_tasks = 0;
	expect_refused(&scene, REFUSED_TARGET_EXITED, "target", "exited");
}
END_TEST

START_TEST(test_kernel_thread)
{
	Scene scene;

	scene_set(&scene);
	scene.target.n_tasks = 1;
	scene.target_tasks[0].facts = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "thread of the kernel");
	scene.target_tasks[0].facts = TASK_DUMPABLE;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "thread of the kernel");
}
END_TEST

START_TEST(test_caller_gone)
{
	Scene scene;

	scene_set(&scene);
	scene.caller.n_tasks = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "calling process", "exited");
}
END_TEST

START_TEST(test_borrowed_rights)
{
	Scene scene;

	for (size_t thread = 0; thread < N_THREADS; thread++) {
		scene_set(&scene);
		scene.caller_tasks[thread].facts |= TASK_OVERRIDDEN;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "caller", "borrowed");
		scene_set(&scene);
		scene.target_tasks[thread].facts |= TASK_OVERRIDDEN;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "borrowed");
	}
}
END_TEST

START_TEST(test_yama)
{
	static const int nobody[] = {2, 3, 4, -1};
	Scene scene;

	scene_set(&scene);
	scene.question.yama_scope = 1;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600",
		       "kernel.yama.ptrace_scope is 1");
	scene.question.caller_is_ancestor = true;
	expect_allowed(&scene);
	scene.question.caller_is_ancestor = false;
	for (size_t i = 0; i < N_THREADS; i++)
		scene.target_tasks[i].tracer = CALLER;
	expect_allowed(&scene);
	/* One thread is not traced, or by another; a dead one need not be. */
	scene.target_tasks[2].tracer = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 602", "ptrace_scope");
	scene.target_tasks[2].tracer = CALLER + 1;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread 602", "ptrace_scope");
	scene.target_tasks[2].facts = TASK_EXITING;
	expect_allowed(&scene);
	/* Ids that the reader's pid namespace does not have are 0, and equal to nothing. */
	scene_set(&scene);
	scene.question.yama_scope = 1;
	for (size_t i = 0; i < N_THREADS; i++)
		scene.caller_tasks[i].tgid = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", "ptrace_scope");

	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		char setting[48];

		scene_set(&scene);
		scene.question.yama_scope = nobody[i];
		scene.question.caller_is_ancestor = true;
		snprintf(setting, sizeof(setting), "kernel.yama.ptrace_scope is %d", nobody[i]);
		for (size_t t = 0; t < N_THREADS; t++)
			scene.target_tasks[t].tracer = CALLER;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 600", setting);
	}
}
END_TEST

START_TEST(test_confined_caller)
{
	Scene scene;

	for (size_t thread = 0; thread < N_THREADS; thread++) {
		scene_set(&scene);
		scene.caller_tasks[thread].facts |= TASK_NO_NEW_PRIVS;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "of the caller", "no_new_privs");
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "administrator", "LendFilter");
		scene_set(&scene);
		scene.caller_tasks[thread].facts |= TASK_SECCOMP;
		expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "of the caller", "seccomp");
	}
	/* A confined target is the safer one. */
	scene_set(&scene);
	scene.target_tasks[0].facts |= TASK_NO_NEW_PRIVS | TASK_SECCOMP;
	expect_allowed(&scene);
}
END_TEST

START_TEST(test_labels)
{
	Scene scene;

	scene_set(&scene);
	scene.question.caller_label = "editor (enforce)";
	scene.question.target_label = "unconfined";
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "editor (enforce)", "unconfined");
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "LendFilter", "label");
	scene.question.target_label = NULL;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "editor (enforce)", "label");
	scene.question.caller_label = NULL;
	scene.question.target_label = "x";
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process 500", "label");
}
END_TEST

/* What an administrator's yes stands for, and what it does not. */
START_TEST(test_approved)
{
	Scene scene;

	scene_set(&scene);
	scene.target_tasks[1].ruid = UID + 1;
	scene.target_tasks[0].rgid = GID + 1;
	scene.target_tasks[0].caps_permitted = UINT64_MAX;
	scene.target_tasks[0].facts &= ~TASK_DUMPABLE;
	scene.target_tasks[0].userns++;
	scene.caller_tasks[0].facts |= TASK_NO_NEW_PRIVS;
	scene.question.caller_label = "confined";
	scene.question.yama_scope = 2;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "thread", "user namespace");
	scene.question.approved = true;
	expect_allowed(&scene);

	scene.question.yama_scope = 3;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process", "only a reboot");
	scene.question.yama_scope = 0;
	scene.caller_tasks[0].euid = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "caller", "one user id only");
	scene.caller_tasks[0].euid = UID;
	expect_allowed(&scene);
	scene.target_tasks[1].facts &= ~TASK_HAS_MM;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "process", "thread of the kernel");
	scene.target_tasks[1].facts |= TASK_HAS_MM;
	scene.question.connection_uid = (uid_t)-1;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "bus", "EXTERNAL");
	scene.question.connection_uid = UID;
	scene.caller.n_tasks = 0;
	expect_refused(&scene, REFUSED_NOT_AUTHORIZED, "calling process", "exited");
}
END_TEST

START_TEST(test_yama_scope)
{
	int scope = authority_yama_scope();

	ck_assert_int_ge(scope, 0);
	ck_assert_int_le(scope, 3);
	if (access("/proc/sys/kernel/yama/ptrace_scope", F_OK) != 0)
		ck_assert_int_eq(scope, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("authority");
	TCase *tests = tcase_create("authority");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_same_user);
	tcase_add_loop_test(tests, test_each_id, 0, sizeof(ids) / sizeof(ids[0]));
	tcase_add_test(tests, test_unknown);
	tcase_add_test(tests, test_whole_other_user);
	tcase_add_test(tests, test_user_namespace);
	tcase_add_test(tests, test_capabilities);
	tcase_add_test(tests, test_dumpable);
	tcase_add_test(tests, test_exiting_threads);
	tcase_add_test(tests, test_kernel_thread);
	tcase_add_test(tests, test_caller_gone);
	tcase_add_test(tests, test_borrowed_rights);
	tcase_add_test(tests, test_yama);
	tcase_add_test(tests, test_confined_caller);
	tcase_add_test(tests, test_labels);
	tcase_add_test(tests, test_approved);
	tcase_add_test(tests, test_yama_scope);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
