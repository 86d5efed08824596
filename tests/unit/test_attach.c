/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For how long events are put on a process, and switched, whose threads are not seen to leave clone(2), and
 * one that changes while it is looked at. The process is a real one that sleeps, and so are its events; what
 * the reader sees of it is changed underway, as no process can be made to be seen by will. Needs CAP_BPF and
 * CAP_PERFMON, and a kernel with BTF: exit status 77 without, an error where BPCOND_MUST_WORK=1.
 */
#include <bpf/bpf.h>
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/bpf_adopt.h"
#include "daemon/bpf_attach.h"
#include "daemon/bpf_tasks.h"
#include "daemon/util.h"

enum {
	ALWAYS = -1,
	A_WHILE = 20, /* looks */
	LOOK_US = 100000,
	SLOW_LOOKS = 3,
	RUN_NSEC = 30000000, /* three ticks, as each of two parts is cut to whole ones */
};

static BpfTasks *bpf;
static uint64_t charged; /* events */
static Filter filter;
static Process target;
static Spec spec;

/* What the next looks see: */
static int starting_looks; /* its threads inside clone(2) */
static int unseen_looks;   /* a family that was missed */
static int slow_looks;     /* and that the daemon did not get on */
static uint64_t run_nsec;  /* CPU time that its threads had from one look to the next */
static bool sees_events;
static int looks;

/* In place of task_reader.c. */
bool task_reader_sees_all(const TaskReader *reader)
{
	return sees_events;
}

static bool take(int *n)
{
	if (*n == 0)
		return false;
	if (*n > 0)
		--*n;
	return true;
}

int task_reader_read(TaskReader *reader, pid_t pid, TaskFactsList *ret)
{
	const bool starting = take(&starting_looks), unseen = take(&unseen_looks);
	TaskFactsList list;
	int r;

	looks++;
	if (take(&slow_looks))
		usleep(LOOK_US);
	r = bpf_tasks_read(bpf, pid, &list);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n_tasks; i++) {
		struct task_facts *task = &list.tasks[i];

		task->run_time += looks * run_nsec;
		if (starting)
			task->facts |= TASK_STARTING_THREAD;
		for (size_t e = 0; unseen && e < task->n_events; e++)
			task->events[e].facts = 0;
	}
	*ret = list;
	return 0;
}

/* In place of charge.c. */
int charge_add(Charge *charge, QuotaResource resource, uint64_t amount, Refusal *refusal)
{
	charged += amount;
	return 0;
}

void charge_take_away(Charge *charge, QuotaResource resource, uint64_t amount)
{
	charged -= amount;
}

/* In place of bpf_adopt.c: nothing is restored here. */
int exec_watch_adopt(int fd, void **ret_memory)
{
	return -EBADF;
}

static int load_filter(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, "nothing", "GPL", insns, 2, NULL);
}

static void start(void)
{
	Refusal refusal;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ck_assert_int_eq(process_from_pid(pid, &target, &refusal), 0);
	spec = (Spec){.access = SPEC_EXECUTE, .address = (uintptr_t)load_filter};
	starting_looks = unseen_looks = slow_looks = looks = 0;
	run_nsec = 0;
	sees_events = true;
	charged = 0;
}

static void stop(void)
{
	kill(target.pid, SIGKILL);
	waitpid(target.pid, NULL, 0);
	process_clear(&target);
}

static int open_events(EventSet *ret, Refusal *refusal)
{
	return event_set_open(NULL, &target, &spec, &filter, NULL, ret, refusal);
}

static void expect_refused(const char *why)
{
	Refusal refusal;
	EventSet set;

	ck_assert_int_eq(open_events(&set, &refusal), REFUSED_NOT_SUPPORTED);
	ck_assert_msg(strstr(refusal.text, why) && strstr(refusal.text, "SIGSTOP"), "%s",
		      refusal.text);
	ck_assert_uint_eq(charged, 0);
}

static void expect_events(EventSet *ret)
{
	Refusal refusal;

	ck_assert_msg(open_events(ret, &refusal) == 0, "%s", refusal.text);
	ck_assert_uint_eq(ret->n_events, 1);
	ck_assert_uint_eq(charged, 1);
}

START_TEST(opening_ends_when_threads_leave_clone)
{
	EventSet set;

	starting_looks = A_WHILE;
	expect_events(&set);
	/* and was looked at once more after that */
	ck_assert_int_ge(looks, A_WHILE + 2);
	event_set_clear(&set);
	ck_assert_uint_eq(charged, 0);
}
END_TEST

START_TEST(opening_is_refused_when_they_do_not)
{
	starting_looks = ALWAYS;
	expect_refused("too long");
}
END_TEST

START_TEST(opening_ends_when_all_was_seen)
{
	EventSet set;

	unseen_looks = A_WHILE;
	expect_events(&set);
	ck_assert_int_gt(looks, A_WHILE);
	event_set_clear(&set);
}
END_TEST

START_TEST(opening_is_refused_when_it_never_is)
{
	unseen_looks = ALWAYS;
	expect_refused("too long");
}
END_TEST

/* Time in which the daemon did not look is no time in which the target did not get on. */
START_TEST(opening_waits_for_looks)
{
	EventSet set;

	slow_looks = SLOW_LOOKS;
	starting_looks = A_WHILE;
	expect_events(&set);
	event_set_clear(&set);
}
END_TEST

START_TEST(switching_ends_when_threads_leave_clone)
{
	EventSet set;

	expect_events(&set);
	looks = 0;
	starting_looks = A_WHILE;
	ck_assert_int_eq(event_set_switch(&set, NULL, target.pid, true), 0);
	ck_assert_int_ge(looks, A_WHILE + 2);
	event_set_clear(&set);
}
END_TEST

START_TEST(switching_fails_when_they_do_not)
{
	EventSet set;

	expect_events(&set);
	starting_looks = ALWAYS;
	ck_assert_int_eq(event_set_switch(&set, NULL, target.pid, true), -EBUSY);
	event_set_clear(&set);
}
END_TEST

START_TEST(switching_is_seen)
{
	TaskFactsList tasks;
	EventSet set;

	expect_events(&set);
	for (int on = 1; on >= 0; on--) {
		unseen_looks = A_WHILE;
		ck_assert_int_eq(event_set_switch(&set, NULL, target.pid, on), 0);
		ck_assert_int_eq(unseen_looks, 0);
		ck_assert_int_eq(bpf_tasks_read(bpf, target.pid, &tasks), 0);
		ck_assert_int_eq(event_set_state(&set, &tasks, on), EVENT_SET_IS);
		ck_assert_int_eq(event_set_state(&set, &tasks, !on), EVENT_SET_IS_NOT);
		tasks.tasks[0].events[0].facts = 0;
		ck_assert_int_eq(event_set_state(&set, &tasks, on), EVENT_SET_UNSEEN);
		task_facts_clear(&tasks);
	}
	event_set_clear(&set);
}
END_TEST

/* Where nobody sees events, one that may be inside clone(2) is taken to have left it when it slept, */
START_TEST(without_events_threads_that_sleep)
{
	EventSet set;

	sees_events = false;
	starting_looks = A_WHILE;
	expect_events(&set);
	ck_assert_int_gt(looks, A_WHILE);
	starting_looks = A_WHILE;
	ck_assert_int_eq(event_set_switch(&set, NULL, target.pid, true), 0);
	ck_assert_int_eq(starting_looks, 0);
	event_set_clear(&set);
}
END_TEST

/* or had more time than it takes, */
START_TEST(without_events_threads_that_run)
{
	EventSet set;

	sees_events = false;
	starting_looks = ALWAYS;
	run_nsec = 1000000;
	expect_events(&set);
	ck_assert_uint_ge(looks * run_nsec, RUN_NSEC);
	ck_assert_int_eq(event_set_switch(&set, NULL, target.pid, true), 0);
	event_set_clear(&set);
}
END_TEST

/* and not when it was given none. */
START_TEST(without_events_threads_that_do_not_get_on)
{
	EventSet set;

	sees_events = false;
	starting_looks = ALWAYS;
	expect_refused("to be followed");
	starting_looks = 0;
	expect_events(&set);
	starting_looks = ALWAYS;
	ck_assert_int_eq(event_set_switch(&set, NULL, target.pid, true), -EBUSY);
	event_set_clear(&set);
}
END_TEST

static bool can_attach(void)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0 || bpf_tasks_new(&bpf) < 0)
		return false;
	filter.program_fd = load_filter();
	return filter.program_fd >= 0;
}

int main(void)
{
	Suite *suite = suite_create("attach");
	TCase *tcase = tcase_create("attach");
	SRunner *runner;
	int failed;

	if (!can_attach()) {
		fprintf(stderr, "needs CAP_BPF and CAP_PERFMON, and a kernel with BTF\n");
		return getenv("BPCOND_MUST_WORK") ? EXIT_FAILURE : 77;
	}
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, opening_ends_when_threads_leave_clone);
	tcase_add_test(tcase, opening_is_refused_when_they_do_not);
	tcase_add_test(tcase, opening_ends_when_all_was_seen);
	tcase_add_test(tcase, opening_is_refused_when_it_never_is);
	tcase_add_test(tcase, opening_waits_for_looks);
	tcase_add_test(tcase, switching_ends_when_threads_leave_clone);
	tcase_add_test(tcase, switching_fails_when_they_do_not);
	tcase_add_test(tcase, switching_is_seen);
	tcase_add_test(tcase, without_events_threads_that_sleep);
	tcase_add_test(tcase, without_events_threads_that_run);
	tcase_add_test(tcase, without_events_threads_that_do_not_get_on);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	bpf_tasks_free(bpf);
	close_fd(filter.program_fd);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
