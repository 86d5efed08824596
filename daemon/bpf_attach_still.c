/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events on all threads of a process where nobody can see which thread carries which event (a kernel
 * without BTF). Then of a thread that appears while events are being opened nobody can say whether it
 * inherited one. So it is done only to a process that stands still: its threads are listed, and each is
 * given an event. None of them can have inherited any, since each was there before the first was
 * opened. They are listed again, and the lists must be the same, until each thread has been seen where it
 * cannot be in the middle of clone(2) that it was in then (asleep, or after more CPU time than that takes),
 * and once more after that. When anything moved, all events are closed, heirs included, and it is begun
 * anew; a process that never is still is refused.
 *
 * A thread is held while its event is opened, and must be there after: otherwise its id could have
 * come to be another process's.
 *
 * Switching is the same question: an heir takes its state from its parent before it joins the family that
 * is switched. If no thread appears from before the switch until each has been seen outside clone(2),
 * all have it. Until then it is repeated, which does no harm.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf_attach_parts.h"
#include "daemon/proc_tasks.h"
#include "daemon/util.h"

/* A reading of /proc costs some tens of microseconds a thread. */
#define PAUSE_USEC 500
/* No try is begun after so long, */
#define GIVE_UP_USEC 250000
/* and none waits for longer than this, which lets a few threads for each CPU run for RUN_TIME. */
#define SETTLE_USEC 250000
/* The middle of clone(2) takes microseconds. Run time is the sum of two that are cut to hundredths of a
 * second each: one that has grown by three has grown by one at least. */
#define RUN_TIME_NSEC 30000000

static bool lives(const struct task_facts *task)
{
	return !(task->facts & TASK_EXITING);
}

static int compare_tasks(const void *a, const void *b)
{
	const struct task_facts *x = a, *y = b;

	return COMPARE(x->tid, y->tid);
}

/* Leaves those that live, by their ids. */
static void keep_living(TaskFactsList *tasks)
{
	size_t kept = 0;

	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (lives(&tasks->tasks[i]))
			tasks->tasks[kept++] = tasks->tasks[i];
	tasks->n_tasks = kept;
	if (kept > 1)
		qsort(tasks->tasks, kept, sizeof(*tasks->tasks), compare_tasks);
}

static bool are_same(const TaskFactsList *a, const TaskFactsList *b)
{
	if (a->n_tasks != b->n_tasks)
		return false;
	for (size_t i = 0; i < a->n_tasks; i++)
		if (a->tasks[i].tid != b->tasks[i].tid ||
		    a->tasks[i].start_time != b->tasks[i].start_time)
			return false;
	return true;
}

/* How many of `tasks`, the same threads as those of `first`, may still be where they were then; notes which
 * may not. */
static size_t count_unsettled(const TaskFactsList *first, const TaskFactsList *tasks, bool *settled)
{
	size_t n = 0;

	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct task_facts *task = &tasks->tasks[i];

		if (!(task->facts & TASK_STARTING_THREAD) ||
		    task->run_time - first->tasks[i].run_time >= RUN_TIME_NSEC)
			settled[i] = true;
		if (!settled[i])
			n++;
	}
	return n;
}

/*
 * Waits until no thread of `before`, which are those that live, can be inside a clone(2) that began before
 * this call. Return: 0 when the threads were the same all the time; -EAGAIN when not, or when that cannot
 * be told; another negative errno.
 */
static int settle(TaskReader *reader, pid_t pid, const TaskFactsList *before)
{
	const unsigned long long start = now_usec();
	_cleanup_(task_facts_clear) TaskFactsList first = {};
	_cleanup_free_ bool *settled = calloc(before->n_tasks + 1, sizeof(*settled));
	bool all_settled = false;

	if (!settled)
		return -ENOMEM;
	for (;;) {
		_cleanup_(task_facts_clear) TaskFactsList tasks = {};
		int r;

		r = task_reader_read(reader, pid, &tasks);
		if (r == -EBUSY)
			return -EAGAIN;
		if (r < 0)
			return r;
		keep_living(&tasks);
		if (!are_same(before, &tasks))
			return -EAGAIN;
		/* Threads are listed before each is looked at, so what is seen then shows in the next
		 * list. */
		if (all_settled)
			return 0;
		all_settled = count_unsettled(first.tasks ? &first : &tasks, &tasks, settled) == 0;
		if (!all_settled && now_usec() - start > SETTLE_USEC)
			return -EAGAIN;
		if (!all_settled)
			sleep_usec(PAUSE_USEC);
		if (!first.tasks) {
			first = tasks;
			tasks = (TaskFactsList){};
		}
	}
}

static size_t count_wanted(const Spec *spec, const TaskFactsList *tasks)
{
	size_t n = 0;

	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (attach_is_wanted(spec, &tasks->tasks[i]))
			n++;
	return n;
}

/* Return: as event_set_add; -EAGAIN when the thread has ended. */
static int add_to(pid_t pid, pid_t tid, const Filter *filter, const struct perf_event_attr *attr,
		  EventSet *set, Refusal *refusal)
{
	_cleanup_close_ int held_fd = -EBADF;
	int r;

	held_fd = proc_thread_hold(pid, tid);
	if (held_fd == -ESRCH)
		return -EAGAIN;
	if (held_fd < 0)
		return held_fd;
	r = event_set_add(set, attr, tid, filter, refusal);
	if (r == -ESRCH || (r == 0 && !proc_thread_is_there(held_fd)))
		return -EAGAIN;
	return r;
}

/* Opens an event on each thread that is meant. Return: as event_set_open; -EAGAIN when one has ended. */
static int add_all(const Process *target, const Spec *spec, const Filter *filter,
		   const struct perf_event_attr *attr, const TaskFactsList *tasks, EventSet *set,
		   Refusal *refusal)
{
	const size_t wanted = count_wanted(spec, tasks);
	int r;

	r = event_set_reserve(set, wanted, refusal);
	if (r != 0)
		return r;
	for (size_t i = 0; i < tasks->n_tasks && r == 0; i++)
		if (attach_is_wanted(spec, &tasks->tasks[i]))
			r = add_to(target->pid, tasks->tasks[i].tid, filter, attr, set, refusal);
	charge_take_away(set->charge, QUOTA_EVENTS, wanted - set->n_events);
	return r;
}

/* Return: as event_set_open; -EAGAIN when it has to be begun anew. */
static int attach_once(TaskReader *reader, const Process *target, const Spec *spec,
		       const Filter *filter, const struct perf_event_attr *attr, EventSet *set,
		       Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	int r;

	r = process_look(target, reader, &tasks, refusal);
	if (r == 0)
		r = attach_check_named_threads(spec, &tasks, target->pid, refusal);
	if (r != 0)
		return r;
	keep_living(&tasks);
	r = add_all(target, spec, filter, attr, &tasks, set, refusal);
	if (r != 0 || !set->inherited)
		return r;
	r = settle(reader, target->pid, &tasks);
	/* Gone: looking again says how. */
	return r == -ESRCH ? -EAGAIN : r;
}

int event_set_open_still(TaskReader *reader, const Process *target, const Spec *spec,
			 const Filter *filter, const struct perf_event_attr *attr, EventSet *set,
			 Refusal *refusal)
{
	const unsigned long long start = now_usec();
	const EventSet empty = *set;
	int r;

	for (;;) {
		r = attach_once(reader, target, spec, filter, attr, set, refusal);
		if (r != -EAGAIN)
			return r;
		event_set_clear(set);
		*set = empty;
		if (now_usec() - start > GIVE_UP_USEC)
			return attach_refuse_too_fast(target, refusal);
	}
}

int event_set_switch_still(EventSet *set, TaskReader *reader, pid_t pid, bool on)
{
	const unsigned long long start = now_usec();
	int r;

	for (;;) {
		_cleanup_(task_facts_clear) TaskFactsList tasks = {};

		r = set->inherited ? task_reader_read(reader, pid, &tasks) : 0;
		if (r == -ESRCH)
			return 0;
		if (r < 0)
			return r;
		r = event_set_ioctl(set, on);
		if (r < 0 || !set->inherited)
			return r;
		keep_living(&tasks);
		r = settle(reader, pid, &tasks);
		if (r != -EAGAIN)
			return r == -ESRCH ? 0 : r;
		if (now_usec() - start > GIVE_UP_USEC)
			return -EBUSY;
	}
}

size_t event_set_count_unseen(const EventSet *set, pid_t pid)
{
	size_t n = 0;

	if (set->inherited)
		return proc_count_threads(pid);
	for (size_t i = 0; i < set->n_events; i++) {
		int held_fd = proc_thread_hold(pid, set->events[i].tid);

		if (held_fd >= 0)
			n++;
		close_fd(held_fd);
	}
	return n;
}
