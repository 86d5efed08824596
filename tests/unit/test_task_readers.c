/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two readers of facts about threads on the same processes: what /proc is taken to say must be what
 * the kernel's own structures say, or not be said. Needs CAP_BPF and CAP_PERFMON, root to make processes of
 * other users, and a kernel with BTF: exit status 77 without, an error where BPCOND_MUST_WORK=1.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/bpf_tasks.h"
#include "daemon/proc_tasks.h"

enum {
	USER = 61234,
	GROUP = 61235,
	TICK_NS = 10000000,
};

static BpfTasks *bpf;
static ProcTasks *proc;

/* What both can see. */
#define SEEN (TASK_HAS_MM | TASK_EXITING | TASK_NO_NEW_PRIVS | TASK_SECCOMP)

static void compare_task(const struct task_facts *a, const struct task_facts *b,
			 uint32_t own_userns)
{
	ck_assert_uint_eq(a->tid, b->tid);
	ck_assert_uint_eq(a->tgid, b->tgid);
	ck_assert_mem_eq(&a->ruid, &b->ruid, 8 * sizeof(uint32_t));
	ck_assert_uint_eq(a->caps_permitted, b->caps_permitted);
	ck_assert_uint_eq(a->caps_effective, b->caps_effective);
	ck_assert_uint_eq(a->parent, b->parent);
	ck_assert_uint_eq(a->tracer, b->tracer);
	ck_assert_uint_eq(a->facts & SEEN, b->facts & SEEN);
	ck_assert_uint_eq(a->start_time / TICK_NS, b->start_time / TICK_NS);
	/* each of its two parts is cut to whole ticks */
	ck_assert_uint_le(b->run_time, a->run_time + TICK_NS);
	ck_assert_uint_le(a->run_time, b->run_time + 3 * TICK_NS);
	if (b->pidns != 0)
		ck_assert_uint_eq(a->pidns, b->pidns);
	/* never more than what is so */
	if (b->facts & TASK_DUMPABLE)
		ck_assert(a->facts & TASK_DUMPABLE);
	if (a->facts & TASK_DUMPABLE)
		ck_assert(b->facts & (TASK_DUMPABLE | TASK_DUMPABLE_UNKNOWN));
	if (b->userns == 0)
		ck_assert_uint_ne(a->userns, own_userns);
	else if (!(b->facts & TASK_USERNS_UNKNOWN))
		ck_assert_uint_eq(a->userns, own_userns);
	ck_assert(b->facts & TASK_EVENTS_UNKNOWN);
	ck_assert_uint_eq(b->exec_id, 0);
}

/* A process that does not change meanwhile. `ret` is what /proc said of its first thread. */
static void compare(pid_t pid, size_t n_threads, struct task_facts *ret)
{
	TaskFactsList a = {}, b = {}, own = {};

	ck_assert_int_eq(bpf_tasks_read(bpf, getpid(), &own), 0);
	ck_assert_int_eq(bpf_tasks_read(bpf, pid, &a), 0);
	ck_assert_int_eq(proc_tasks_read(proc, pid, &b), 0);
	ck_assert_uint_eq(a.n_tasks, n_threads);
	ck_assert_uint_eq(b.n_tasks, n_threads);
	for (size_t i = 0; i < n_threads; i++)
		compare_task(&a.tasks[i], &b.tasks[i], own.tasks[0].userns);
	*ret = b.tasks[0];
	task_facts_clear(&a);
	task_facts_clear(&b);
	task_facts_clear(&own);
}

/* A child that has done `change` and stays. */
static pid_t start(void (*change)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		change();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	/* asleep: what it does no more changes */
	for (int i = 0; i < 1000; i++) {
		TaskFactsList list;
		bool sleeps = false;

		if (proc_tasks_read(proc, pid, &list) == 0) {
			sleeps = !(list.tasks[0].facts & TASK_STARTING_THREAD);
			task_facts_clear(&list);
		}
		if (sleeps)
			return pid;
		usleep(1000);
	}
	ck_abort_msg("it does not sleep");
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void must(int r)
{
	if (r != 0)
		_exit(1);
}

static void become_user(void)
{
	must(setresgid(GROUP, GROUP, GROUP));
	must(setresuid(USER, USER, USER));
	must(prctl(PR_SET_DUMPABLE, 1));
}

static void become_user_undumpable(void)
{
	become_user();
	must(prctl(PR_SET_DUMPABLE, 0));
}

static void stay_root(void)
{
}

static void have_many_ids(void)
{
	must(setresgid(1, 2, 3));
	must(setresuid(4, 5, 6));
}

static void keep_a_capability(void)
{
	must(prctl(PR_SET_KEEPCAPS, 1));
	become_user();
}

static void confine(void)
{
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	become_user();
}

static void enter_user_namespace(void)
{
	become_user();
	must(unshare(CLONE_NEWUSER));
}

static void take_a_long_name(void)
{
	must(prctl(PR_SET_NAME, ") R 0\nUid:\t0"));
	become_user();
}

START_TEST(test_kinds)
{
	static const struct {
		void (*change)(void);
		bool dumpable; /* or not known to be not */
		bool user;
	} kinds[] = {
		{become_user, true, true},       {become_user_undumpable, false, true},
		{stay_root, true, false},        {have_many_ids, false, false},
		{keep_a_capability, true, true}, {confine, true, true},
		{take_a_long_name, true, true},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pid_t pid = start(kinds[i].change);
		struct task_facts facts;

		compare(pid, 1, &facts);
		ck_assert_int_eq(!!(facts.facts & (TASK_DUMPABLE | TASK_DUMPABLE_UNKNOWN)),
				 kinds[i].dumpable);
		if (kinds[i].user)
			ck_assert_uint_eq(facts.fsuid, USER);
		else if (kinds[i].change == stay_root)
			ck_assert(!(facts.facts & TASK_DUMPABLE)); /* root proves nothing */
		ck_assert_uint_eq(facts.parent, getpid());
		stop(pid);
	}
}
END_TEST

START_TEST(test_user_namespace)
{
	pid_t pid = start(enter_user_namespace);
	struct task_facts facts;

	compare(pid, 1, &facts);
	ck_assert_uint_eq(facts.userns, 0);
	stop(pid);
}
END_TEST

/* The number of the tracing thread becomes its process's, which is what the other reader says. */
static void *trace(void *argument)
{
	const pid_t pid = *(pid_t *)argument;
	struct task_facts facts;

	ck_assert_int_eq(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	compare(pid, 1, &facts);
	ck_assert_uint_eq(facts.tracer, getpid());
	ck_assert_int_ne(gettid(), getpid());
	stop(pid);
	return NULL;
}

START_TEST(test_traced)
{
	pid_t pid = start(become_user);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, trace, &pid), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void *sleep_on(void *argument)
{
	for (;;)
		pause();
	return NULL;
}

/* The library's own functions set the ids of all threads: the system call of one. */
static void *sleep_as_other(void *argument)
{
	syscall(SYS_setresuid, 7, 8, 9);
	return sleep_on(NULL);
}

static void have_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 40; i++)
		must(pthread_create(&thread, NULL, i == 30 ? sleep_as_other : sleep_on, NULL));
	usleep(50000);
}

static void *end_leader(void *argument)
{
	return sleep_on(NULL);
}

START_TEST(test_threads)
{
	pid_t pid = start(have_threads);
	struct task_facts facts;
	TaskFactsList list;
	size_t others = 0;

	compare(pid, 41, &facts);
	ck_assert_uint_eq(facts.tid, pid);
	ck_assert_int_eq(proc_tasks_read(proc, pid, &list), 0);
	for (size_t i = 0; i < list.n_tasks; i++)
		others += list.tasks[i].fsuid == 8;
	ck_assert_uint_eq(others, 1);
	/* a thread's number is no process's */
	ck_assert_int_eq(proc_tasks_read(proc, list.tasks[1].tid, &(TaskFactsList){}), -ESRCH);
	task_facts_clear(&list);
	stop(pid);
}
END_TEST

/* A process whose first thread has ended, and one that is a zombie altogether. */
START_TEST(test_ended)
{
	struct task_facts facts;
	pthread_t thread;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(pthread_create(&thread, NULL, end_leader, NULL));
		pthread_exit(NULL);
	}
	for (int i = 0; i < 1000; i++) {
		TaskFactsList list;
		bool ended;

		ck_assert_int_eq(proc_tasks_read(proc, pid, &list), 0);
		ended = list.n_tasks == 2 && list.tasks[0].facts & TASK_EXITING;
		task_facts_clear(&list);
		if (ended)
			break;
		usleep(1000);
	}
	compare(pid, 2, &facts);
	ck_assert(facts.facts & TASK_EXITING && !(facts.facts & TASK_HAS_MM));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, pid, &(siginfo_t){}, WEXITED | WNOWAIT), 0);
	compare(pid, 1, &facts);
	ck_assert(facts.facts & TASK_EXITING);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(proc_tasks_read(proc, pid, &(TaskFactsList){}), -ESRCH);
}
END_TEST

/* A thread of the kernel has no memory, for both. */
START_TEST(test_kernel_thread)
{
	TaskFactsList list;

	if (proc_tasks_read(proc, 2, &list) < 0)
		return; /* not in this pid namespace */
	if (list.tasks[0].parent == 0)
		ck_assert(!(list.tasks[0].facts & TASK_HAS_MM));
	task_facts_clear(&list);
}
END_TEST

/* Starts threads, which stay, and says nothing meanwhile. */
static void start_threads(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (int i = 0; i < 400; i++)
		pthread_create(&thread, &attributes, sleep_on, NULL);
}

static bool has(const TaskFactsList *list, uint32_t tid)
{
	for (size_t i = 0; i < list->n_tasks; i++)
		if (list->tasks[i].tid == tid)
			return true;
	return false;
}

/* While threads are being started each list is whole: nobody twice, and each that was there before. */
START_TEST(test_starting)
{
	TaskFactsList before = {};
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start_threads();
		for (;;)
			pause();
	}
	while (before.n_tasks < 401) {
		TaskFactsList list;
		int r = proc_tasks_read(proc, pid, &list);

		if (r == -EBUSY)
			continue;
		ck_assert_int_eq(r, 0);
		for (size_t i = 0; i < before.n_tasks; i++)
			ck_assert(has(&list, before.tasks[i].tid));
		for (size_t i = 1; i < list.n_tasks; i++)
			for (size_t other = 0; other < i; other++)
				ck_assert_uint_ne(list.tasks[i].tid, list.tasks[other].tid);
		task_facts_clear(&before);
		before = list;
	}
	task_facts_clear(&before);
	stop(pid);
}
END_TEST

/* Threads that tell of themselves, in memory that the test sees: each ends when its place is given away. */
enum {
	PLACES = 16,
};
typedef struct Place {
	atomic_uint number; /* counts up at each start */
	atomic_uint tid;    /* 0: not yet, or no more */
	atomic_bool end;
} Place;
static Place *places;

static void *live_for_a_while(void *argument)
{
	Place *place = argument;

	atomic_store(&place->tid, gettid());
	while (!atomic_load(&place->end))
		sched_yield();
	atomic_store(&place->tid, 0);
	return NULL;
}

static void keep_changing(void)
{
	pthread_t threads[PLACES] = {};

	for (unsigned i = 0;; i = (i + 1) % PLACES) {
		if (threads[i]) {
			atomic_store(&places[i].end, true);
			pthread_join(threads[i], NULL);
		}
		atomic_store(&places[i].end, false);
		atomic_fetch_add(&places[i].number, 1);
		must(pthread_create(&threads[i], NULL, live_for_a_while, &places[i]));
	}
}

/* While threads start and end each list has all of those that were there before it was made and after. */
START_TEST(test_changing)
{
	unsigned lists = 0, seen = 0;
	pid_t pid;

	places = mmap(NULL, PLACES * sizeof(Place), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(places, MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		keep_changing();
	}
	for (int tries = 0; lists < 300 && tries < 3000; tries++) {
		unsigned numbers[PLACES], tids[PLACES];
		TaskFactsList list;

		for (int i = 0; i < PLACES; i++) {
			tids[i] = atomic_load(&places[i].tid);
			numbers[i] = atomic_load(&places[i].number);
		}
		if (proc_tasks_read(proc, pid, &list) < 0)
			continue; /* too fast */
		lists++;
		for (int i = 0; i < PLACES; i++) {
			if (tids[i] == 0 || atomic_load(&places[i].tid) != tids[i] ||
			    atomic_load(&places[i].number) != numbers[i])
				continue;
			ck_assert_msg(has(&list, tids[i]), "thread %u of %d is not in the list",
				      tids[i], pid);
			seen++;
		}
		task_facts_clear(&list);
	}
	ck_assert_uint_gt(seen, 0);
	stop(pid);
	munmap(places, PLACES * sizeof(Place));
}
END_TEST

/* A thread that is held is no other when its number comes back. */
START_TEST(test_held)
{
	pid_t pid = start(become_user);
	int fd = proc_thread_hold(pid, pid);

	ck_assert_int_ge(fd, 0);
	ck_assert(proc_thread_is_there(fd));
	ck_assert_int_eq(proc_thread_hold(getpid(), pid), -ESRCH);
	stop(pid);
	ck_assert(!proc_thread_is_there(fd));
	close(fd);
	ck_assert_int_eq(proc_thread_hold(pid, pid), -ESRCH);
}
END_TEST

static bool can_read(void)
{
	return geteuid() == 0 && access("/sys/kernel/btf/vmlinux", R_OK) == 0 &&
	       bpf_tasks_new(&bpf) == 0;
}

int main(void)
{
	Suite *suite = suite_create("task readers");
	TCase *tcase = tcase_create("task readers");
	SRunner *runner;
	int failed;

	if (!can_read()) {
		fprintf(stderr, "needs root with CAP_BPF and CAP_PERFMON, and a kernel with BTF\n");
		return getenv("BPCOND_MUST_WORK") ? EXIT_FAILURE : 77;
	}
	if (proc_tasks_new(&proc) < 0)
		return EXIT_FAILURE;
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_kinds);
	tcase_add_test(tcase, test_user_namespace);
	tcase_add_test(tcase, test_traced);
	tcase_add_test(tcase, test_threads);
	tcase_add_test(tcase, test_ended);
	tcase_add_test(tcase, test_kernel_thread);
	tcase_add_test(tcase, test_starting);
	tcase_add_test(tcase, test_changing);
	tcase_add_test(tcase, test_held);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	proc_tasks_free(proc);
	bpf_tasks_free(bpf);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
