/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only user of perf_event_open.
 *
 * Each thread must end up with exactly one event of the breakpoint: with two it would evaluate each
 * trap twice, with none its traps would be missed. A thread started by one that has an event
 * inherits it; one started before does not, and the kernel shows a new thread only some time after
 * it has decided about inheritance. So event_set_open works in rounds. Each round reads from the
 * kernel which thread carries which event (bpf_tasks.c) and
 *
 *   - opens an event on each thread that carries none;
 *   - closes events whose thread turned out to be another process's (a recycled id) or has ended
 *     without heirs;
 *   - closes events that were inherited in the moment between their opening and the attaching of
 *     the filter, heirs included, to begin with that thread anew;
 *
 * until a round finds nothing to do and no thread that was inside clone(2) when its event was
 * opened: such a thread may be starting one that did not inherit and cannot be seen yet.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>

#include "bpf/machine.h"
#include "daemon/bpf_attach_parts.h"
#include "daemon/supported.h"
#include "daemon/unsettled.h"
#include "daemon/util.h"

#define OPEN_WAIT_USEC    20000 /* for a target to leave execve(2) */
#define SETTLE_PAUSE_USEC 50
/* After so long without a round that found nothing to do, the target is refused. */
#define GIVE_UP_USEC 500000

static void on_alarm(int signal)
{
	/* Nothing to do: that it came ends the wait. */
}

/*
 * perf_event_open waits, interruptibly, while its target is in execve(2); and a hostile target can
 * stay there for as long as it likes. An alarm ends the wait: repeating, so that it cannot come too
 * early, and handled without SA_RESTART.
 *
 * Return: the descriptor; -EINTR when the target does not leave execve(2); negative errno.
 */
static int event_open(const struct perf_event_attr *attr, pid_t tid)
{
	const struct sigaction handle = {.sa_handler = on_alarm}, ignore = {.sa_handler = SIG_IGN};
	const struct itimerval every = {{0, OPEN_WAIT_USEC}, {0, OPEN_WAIT_USEC}}, never = {};
	int fd;

	sigaction(SIGALRM, &handle, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	fd = syscall(SYS_perf_event_open, attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	if (fd == -EINTR)
		slept_usec(OPEN_WAIT_USEC);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &ignore, NULL);
	return fd;
}

static struct perf_event_attr breakpoint_attr(const Spec *spec)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_addr = spec->address,
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = !spec->kernel_accesses,
		.exclude_hv = 1,
		.remove_on_exec = 1,
		.inherit = !spec->threads,
		.inherit_thread = !spec->threads,
	};

	switch (spec->access) {
	case SPEC_EXECUTE:
		attr.bp_type = HW_BREAKPOINT_X;
		attr.bp_len = MACHINE_EXECUTE_LENGTH;
		break;
	case SPEC_WRITE:
		attr.bp_type = HW_BREAKPOINT_W;
		attr.bp_len = spec->length;
		break;
	case SPEC_READ_WRITE:
		attr.bp_type = HW_BREAKPOINT_RW;
		attr.bp_len = spec->length;
		break;
	}
	return attr;
}

int refuse_executing(Refusal *refusal)
{
	return refuse(refusal, REFUSED_TARGET_EXITED,
		      "The target is executing another program: open a new session when it runs.");
}

int attach_refuse_too_fast(const Process *target, Refusal *refusal)
{
	return refuse(refusal, REFUSED_NOT_SUPPORTED,
		      "Process %d has too many threads, or starts and ends them too fast, to be "
		      "followed: stop it (SIGSTOP) while adding the breakpoint.",
		      target->pid);
}

/* Opens an event on one thread and attaches the filter. */
static int thread_event_open(const struct perf_event_attr *attr, pid_t tid, const Filter *filter,
			     ThreadEvent *ret)
{
	_cleanup_close_ int fd = -EBADF;
	uint64_t id;

	fd = event_open(attr, tid);
	if (fd < 0)
		return fd;
	/* An ioctl and not a link: when a link is closed the event lives on without its filter. */
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, filter->program_fd) < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_ID, &id) < 0)
		return -errno;
	*ret = (ThreadEvent){.tid = tid, .event_fd = take_fd(&fd), .id = id};
	return 0;
}

/* Closes an event that is about to leave the set. */
static void event_set_close(const EventSet *set, const ThreadEvent *event)
{
	close_fd(event->event_fd);
	if (!event->taken)
		charge_take_away(set->charge, QUOTA_EVENTS, 1);
}

int event_set_add(EventSet *set, const struct perf_event_attr *attr, pid_t tid,
		  const Filter *filter, Refusal *refusal)
{
	ThreadEvent event;
	int r;

	r = thread_event_open(attr, tid, filter, &event);
	if (r == -ENOSPC)
		return refuse(refusal, REFUSED_NO_FREE_SLOT,
			      "Thread %d has no free hardware breakpoint slot: remove another "
			      "breakpoint or watchpoint from it (a debugger's count too).",
			      tid);
	if (r == -EACCES || r == -EPERM)
		return refuse_perf(refusal, r);
	if (r == -EINTR)
		return refuse_executing(refusal);
	if (r < 0)
		return r;
	set->events[set->n_events++] = event;
	return 0;
}

int event_set_reserve(EventSet *set, size_t n, Refusal *refusal)
{
	ThreadEvent *grown;

	if (n == 0)
		return 0;
	grown = reallocarray(set->events, set->n_events + n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	set->events = grown;
	return charge_add(set->charge, QUOTA_EVENTS, n, refusal);
}

static int compare_events(const void *a, const void *b)
{
	const ThreadEvent *first = a, *second = b;

	return COMPARE(first->id, second->id);
}

/* The kernel numbers events as they are opened, and that order is kept. */
static ThreadEvent *event_set_find(const EventSet *set, uint64_t id)
{
	const ThreadEvent key = {.id = id};

	if (set->n_events == 0)
		return NULL;
	return bsearch(&key, set->events, set->n_events, sizeof(key), compare_events);
}

/* What its reader could not see is taken for what event_set_open has made sure of. */
static bool should_be_covered(const EventSet *set, const struct task_facts *task)
{
	if (task->facts & TASK_EXITING)
		return false;
	for (size_t i = 0; !set->inherited && i < set->n_events; i++)
		if (set->events[i].tid == (pid_t)task->tid)
			return true;
	return set->inherited;
}

bool event_set_covers(const EventSet *set, const struct task_facts *task)
{
	if (task->facts & TASK_EVENTS_UNKNOWN)
		return should_be_covered(set, task);
	for (size_t i = 0; i < task->n_events; i++)
		if (event_set_find(set, task->events[i].id))
			return true;
	return false;
}

size_t event_set_count_threads(const EventSet *set, const TaskFactsList *tasks)
{
	size_t n = 0;

	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (event_set_covers(set, &tasks->tasks[i]))
			n++;
	return n;
}

bool event_set_is(const EventSet *set, const TaskFactsList *tasks, bool on)
{
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct task_facts *task = &tasks->tasks[i];

		for (size_t e = 0; e < task->n_events; e++)
			if (event_set_find(set, task->events[e].id) &&
			    !!(task->events[e].facts & TASK_EVENT_ENABLED) != on)
				return false;
	}
	return true;
}

static const struct task_facts *find_task(const TaskFactsList *tasks, pid_t tid)
{
	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (tasks->tasks[i].tid == (uint32_t)tid)
			return &tasks->tasks[i];
	return NULL;
}

/* Notes of each event whether any thread carries it, and whether one carries it without its filter. */
static void note_carriers(EventSet *set, const TaskFactsList *tasks)
{
	for (size_t i = 0; i < set->n_events; i++) {
		set->events[i].carried = false;
		set->events[i].unfiltered = false;
	}
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct task_facts *task = &tasks->tasks[i];

		for (size_t e = 0; e < task->n_events; e++) {
			ThreadEvent *event = event_set_find(set, task->events[e].id);

			if (!event)
				continue;
			event->carried = true;
			if (!(task->events[e].facts & TASK_EVENT_HAS_PROGRAM))
				event->unfiltered = true;
		}
	}
}

/* Closes what must not stay. Return: whether anything was closed. */
static bool prune(EventSet *set, const TaskFactsList *tasks)
{
	size_t kept = 0, n = set->n_events;

	note_carriers(set, tasks);
	for (size_t i = 0; i < n; i++) {
		if (set->events[i].carried && !set->events[i].unfiltered)
			set->events[kept++] = set->events[i];
		else
			event_set_close(set, &set->events[i]);
	}
	set->n_events = kept;
	return kept < n;
}

bool attach_is_wanted(const Spec *spec, const struct task_facts *task)
{
	pid_t tid = task->tid;

	if (task->facts & TASK_EXITING)
		return false;
	if (!spec->threads)
		return true;
	for (size_t i = 0; i < spec->n_threads; i++)
		if (spec->threads[i] == tid)
			return true;
	return false;
}

int attach_check_named_threads(const Spec *spec, const TaskFactsList *tasks, pid_t pid,
			       Refusal *refusal)
{
	for (size_t i = 0; i < spec->n_threads; i++) {
		const struct task_facts *task = find_task(tasks, spec->threads[i]);

		if (!task || task->facts & TASK_EXITING)
			return refuse(refusal, REFUSED_NO_SUCH_TARGET,
				      "Process %d has no thread %d (any more): name threads of the "
				      "session's target, or \"all\".",
				      pid, spec->threads[i]);
	}
	return 0;
}

static size_t count_missing(const TaskFactsList *tasks, const Spec *spec, const EventSet *set)
{
	size_t n = 0;

	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (attach_is_wanted(spec, &tasks->tasks[i]) && !event_set_covers(set, &tasks->tasks[i]))
			n++;
	return n;
}

/* Opens an event on each thread that carries none; clears *done if there is any. Return: as
 * event_set_open. */
static int attach_missing(const TaskFactsList *tasks, const Process *target, const Spec *spec,
			  const Filter *filter, const struct perf_event_attr *attr,
			  unsigned long long start, EventSet *set, Unsettled *unsettled, bool *done,
			  Refusal *refusal)
{
	const size_t before = set->n_events, missing = count_missing(tasks, spec, set);
	int r;

	if (missing == 0)
		return 0;
	*done = false;
	if (now_usec() - start > GIVE_UP_USEC)
		return attach_refuse_too_fast(target, refusal);
	r = event_set_reserve(set, missing, refusal);
	if (r != 0)
		return r;
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct task_facts *task = &tasks->tasks[i];

		if (!attach_is_wanted(spec, task) || event_set_covers(set, task))
			continue;
		if (task->facts & TASK_EVENTS_CUT) {
			r = refuse(refusal, REFUSED_NOT_SUPPORTED,
				   "Thread %u carries too many perf events to tell which are "
				   "breakpoints; close some of them.",
				   task->tid);
			break;
		}
		r = event_set_add(set, attr, task->tid, filter, refusal);
		if (r == -ESRCH) {
			r = 0;
			continue;
		}
		if (r == 0 && !spec->threads)
			r = unsettled_add(unsettled, task->tid);
		if (r != 0)
			break;
	}
	charge_take_away(set->charge, QUOTA_EVENTS, missing - (set->n_events - before));
	return r;
}

/* One round. Return: 0, and *ret_done whether it found nothing to do; else as event_set_open. */
static int attach_round(TaskReader *reader, const Process *target, const Spec *spec,
			const Filter *filter, const struct perf_event_attr *attr,
			unsigned long long start, EventSet *set, Unsettled *unsettled,
			bool *ret_done, Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	bool done;
	int r;

	r = process_look(target, reader, &tasks, refusal);
	if (r != 0)
		return r;
	if (set->n_events == 0) {
		r = attach_check_named_threads(spec, &tasks, target->pid, refusal);
		if (r != 0)
			return r;
	}

	done = !prune(set, &tasks);
	unsettled_update(unsettled, &tasks);

	r = attach_missing(&tasks, target, spec, filter, attr, start, set, unsettled, &done,
			   refusal);
	if (r != 0)
		return r;
	*ret_done = done;
	return 0;
}

int event_set_open(TaskReader *reader, const Process *target, const Spec *spec,
		   const Filter *filter, Charge *charge, EventSet *ret, Refusal *refusal)
{
	const struct perf_event_attr attr = breakpoint_attr(spec);
	const unsigned long long start = now_usec();
	_cleanup_(unsettled_clear) Unsettled unsettled = {};
	_cleanup_(event_set_clear) EventSet set = {.charge = charge, .inherited = !spec->threads};

	if (!task_reader_sees_all(reader)) {
		int r = event_set_open_still(reader, target, spec, filter, &attr, &set, refusal);

		if (r != 0)
			return r;
		*ret = set;
		set = (EventSet){};
		return 0;
	}
	for (;;) {
		unsigned long long spent = now_usec() - start;
		bool done = false;
		int r;

		r = attach_round(reader, target, spec, filter, &attr, start, &set, &unsettled,
				 &done, refusal);
		if (r != 0)
			return r;
		if (done && (unsettled.n_tids == 0 || spent > ATTACH_SETTLE_USEC))
			break;
		if (!done && spent > GIVE_UP_USEC)
			return attach_refuse_too_fast(target, refusal);
		if (done)
			sleep_usec(SETTLE_PAUSE_USEC);
	}
	*ret = set;
	set = (EventSet){};
	return 0;
}

void event_set_clear(EventSet *set)
{
	for (size_t i = 0; i < set->n_events; i++)
		event_set_close(set, &set->events[i]);
	free(set->events);
	*set = (EventSet){};
}

int event_set_ioctl(EventSet *set, bool on)
{
	const unsigned long request = on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE;
	int result = 0;

	for (size_t i = 0; i < set->n_events; i++)
		if (ioctl(set->events[i].event_fd, request, 0) < 0 && result == 0)
			result = -errno;
	return result;
}

int event_set_switch_off(EventSet *set)
{
	return event_set_ioctl(set, false);
}

/*
 * The kernel switches an event and all its heirs; but a new heir takes its state from its immediate
 * parent, read before it joins the family. One that is switched in between is missed, and cannot be
 * seen before clone(2) is through. (The heir's context may also come to be its parent's: the kernel
 * exchanges the contexts of threads that it thinks alike.) So this looks until all is as it should
 * be and every thread has been seen outside clone(2).
 */
int event_set_switch(EventSet *set, TaskReader *reader, pid_t pid, bool on)
{
	const unsigned long long start = now_usec();
	_cleanup_(unsettled_clear) Unsettled unsettled = {};
	bool switched = false;
	int r;

	if (!task_reader_sees_all(reader))
		return event_set_switch_still(set, reader, pid, on);
	for (;;) {
		_cleanup_(task_facts_clear) TaskFactsList tasks = {};
		unsigned long long spent;

		if (!switched) {
			r = event_set_ioctl(set, on);
			if (r < 0)
				return r;
		}
		r = task_reader_read(reader, pid, &tasks);
		if (r == -ESRCH)
			return 0;
		if (r < 0)
			return r;
		spent = now_usec() - start;
		if (!event_set_is(set, &tasks, on)) {
			if (spent > GIVE_UP_USEC)
				return -EBUSY;
			switched = false;
			continue;
		}
		if (switched) {
			unsettled_update(&unsettled, &tasks);
		} else {
			switched = true;
			r = unsettled_gather(&unsettled, &tasks);
			if (r < 0)
				return r;
		}
		if (unsettled.n_tids == 0 || spent > ATTACH_SETTLE_USEC)
			return 0;
		sleep_usec(SETTLE_PAUSE_USEC);
	}
}

int event_set_read_traps(const EventSet *set, uint64_t *ret)
{
	uint64_t traps = 0;

	for (size_t i = 0; i < set->n_events; i++) {
		uint64_t count;
		ssize_t n = read(set->events[i].event_fd, &count, sizeof(count));

		if (n < 0)
			return -errno;
		/* The end of the file: the event could not be scheduled on its thread. */
		if (n == sizeof(count))
			traps += count;
	}
	*ret = traps;
	return 0;
}

int exec_watch_map(int fd, void **ret_memory)
{
	void *memory = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

int exec_watch_open(pid_t tid, void **ret_memory)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.remove_on_exec = 1,
	};
	_cleanup_close_ int fd = -EBADF;
	int r;

	fd = event_open(&attr, tid);
	if (fd < 0)
		return fd;
	r = exec_watch_map(fd, ret_memory);
	return r < 0 ? r : take_fd(&fd);
}

bool exec_watch_is_over(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return poll(&poll_fd, 1, 0) != 0;
}

void exec_watch_close(int fd, void *memory)
{
	if (memory)
		munmap(memory, sysconf(_SC_PAGESIZE));
	close_fd(fd);
}
