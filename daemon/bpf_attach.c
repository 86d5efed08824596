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
 * until each thread has been seen outside clone(2) after its event was opened, and a round that began
 * after that finds nothing to do: such a thread may be starting one that did not inherit and cannot be
 * seen yet. There is no telling how long that may take on a machine that is busy, or where a quota of
 * CPU time is used up inside clone(2); a target that is not seen to get on is refused.
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
/* After so long the target is refused. AddBreakpoint opens and switches, and shall not take twice that. */
#define GIVE_UP_USEC 250000
/* But on a busy machine it may be the daemon that did not get on. It has looked so many times, */
#define MIN_LOOKS 32
/* or, at a target of very many threads, so many times and for so long of CPU time. */
#define MIN_LONG_LOOKS 4
#define MIN_CPU_USEC   100000

typedef struct Patience {
	unsigned long long start, start_cpu;
	unsigned n_looks;
} Patience;

static Patience patience_new(void)
{
	return (Patience){.start = now_usec(), .start_cpu = cpu_usec()};
}

/* After each look. Return: whether it is over. */
static bool patience_ends(Patience *patience)
{
	patience->n_looks++;
	if (now_usec() - patience->start <= GIVE_UP_USEC || patience->n_looks < MIN_LONG_LOOKS)
		return false;
	return patience->n_looks >= MIN_LOOKS || cpu_usec() - patience->start_cpu > MIN_CPU_USEC;
}

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
		      "Process %d has too many threads, or starts and ends them too fast, or has one "
		      "that gets no further, to be followed: stop it (SIGSTOP) while adding the "
		      "breakpoint.",
		      target->pid);
}

static int refuse_stuck(const Process *target, Refusal *refusal)
{
	return refuse(refusal, REFUSED_NOT_SUPPORTED,
		      "Process %d has been starting a thread for too long to be followed (a busy "
		      "machine, or a quota of CPU time that is used up): try again, or stop it "
		      "(SIGSTOP) while adding the breakpoint.",
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

static const struct task_facts *find_task(const TaskFactsList *tasks, pid_t tid)
{
	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (tasks->tasks[i].tid == (uint32_t)tid)
			return &tasks->tasks[i];
	return NULL;
}

/* Closes what must not stay. Return: whether anything was closed. */
static bool prune(EventSet *set)
{
	size_t kept = 0, n = set->n_events;

	for (size_t i = 0; i < n; i++) {
		if (set->events[i].carried &&
		    !(set->events[i].family & TASK_EVENT_ANY_UNFILTERED))
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
static int attach_missing(const TaskFactsList *tasks, const Spec *spec, const Filter *filter,
			  const struct perf_event_attr *attr, EventSet *set, Unsettled *unsettled,
			  bool *done, Refusal *refusal)
{
	const size_t before = set->n_events, missing = count_missing(tasks, spec, set);
	int r;

	if (missing == 0)
		return 0;
	*done = false;
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
			const Filter *filter, const struct perf_event_attr *attr, EventSet *set,
			Unsettled *unsettled, bool *ret_done, Refusal *refusal)
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

	event_set_note(set, &tasks);
	done = !prune(set);
	unsettled_update(unsettled, &tasks);

	r = attach_missing(&tasks, spec, filter, attr, set, unsettled, &done, refusal);
	if (r != 0)
		return r;
	*ret_done = done;
	return 0;
}

int event_set_open(TaskReader *reader, const Process *target, const Spec *spec,
		   const Filter *filter, Charge *charge, EventSet *ret, Refusal *refusal)
{
	const struct perf_event_attr attr = breakpoint_attr(spec);
	Patience patience = patience_new();
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
		const bool settled = unsettled.n_tids == 0;
		bool done = false;
		int r;

		r = attach_round(reader, target, spec, filter, &attr, &set, &unsettled, &done,
				 refusal);
		if (r != 0)
			return r;
		if (settled && event_set_prove(&set, TASK_EVENT_ANY_UNFILTERED) && done)
			break;
		if (patience_ends(&patience))
			return done ? refuse_stuck(target, refusal) :
				      attach_refuse_too_fast(target, refusal);
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
 * seen before clone(2) is through. So this looks until every thread has been seen outside clone(2), and all
 * is as it should be after that.
 */
int event_set_switch(EventSet *set, TaskReader *reader, pid_t pid, bool on)
{
	const uint32_t wrong = on ? TASK_EVENT_ANY_DISABLED : TASK_EVENT_ANY_ENABLED;
	Patience patience = patience_new();
	_cleanup_(unsettled_clear) Unsettled unsettled = {};
	bool switched = false;
	int r;

	if (!task_reader_sees_all(reader))
		return event_set_switch_still(set, reader, pid, on);
	for (;;) {
		const bool settled = !set->inherited || (switched && unsettled.n_tids == 0);
		_cleanup_(task_facts_clear) TaskFactsList tasks = {};
		bool is_not;

		if (!switched) {
			event_set_forget(set);
			r = event_set_ioctl(set, on);
			if (r < 0)
				return r;
		}
		r = task_reader_read(reader, pid, &tasks);
		if (r == -ESRCH)
			return 0;
		if (r < 0)
			return r;
		event_set_note(set, &tasks);
		is_not = event_set_any(set, wrong);
		if (!is_not && settled && event_set_prove(set, wrong))
			return 0;
		if (patience_ends(&patience))
			return -EBUSY;
		if (is_not) {
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
