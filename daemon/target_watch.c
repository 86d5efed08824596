/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "daemon/bpf_attach.h"
#include "daemon/log.h"
#include "daemon/rate.h"
#include "daemon/target_watch.h"
#include "daemon/util.h"

/* Between a thread's last sign and the kernel's counting up of the exec that may have ended it. */
#define RECHECK_USEC 50000

/* Where no thread can be watched it is tried ever more seldom, so often at least. */
#define MAX_RECHECK_USEC 800000

/* So also where threads come and go too fast to be looked at: a look in vain can take a tenth of a second. */
#define AGAIN_USEC     1000000
#define MAX_AGAIN_USEC 8000000

struct TargetWatch {
	Broker *broker;
	uid_t payer;
	const Process *target;
	TargetEnded on_end;
	void *userdata;

	sd_event_source *exit_source; /* the target's pidfd */
	sd_event_source *exec_source; /* the exec watch on one thread */
	sd_event_source *recheck_timer;
	int exec_watch_fd;
	void *exec_watch_memory;
	pid_t watched_tid;
	uint64_t recheck_usec; /* until the timer, when it was set last */
	bool recheck_again;    /* something came after that */
	uint64_t again_usec;   /* the same, where the last look was in vain; else 0 */
	bool complained;
};

static int on_target_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	TargetWatch *watch = userdata;

	/* It stays ready from now on, and the session may go on for a moment. */
	watch->exit_source = sd_event_source_disable_unref(watch->exit_source);
	watch->on_end(true, watch->userdata);
	return 0;
}

static void stop(TargetWatch *watch)
{
	watch->exec_source = sd_event_source_disable_unref(watch->exec_source);
	exec_watch_close(watch->exec_watch_fd, watch->exec_watch_memory);
	watch->exec_watch_fd = -EBADF;
	watch->exec_watch_memory = NULL;
}

static int on_exec_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata);

/* Watches one living thread for exec. Return: 0; -ESRCH when none lives; negative errno. */
static int start(TargetWatch *watch, const TaskFactsList *tasks)
{
	int r = -ESRCH;

	for (size_t i = 0; i < tasks->n_tasks; i++) {
		if (tasks->tasks[i].facts & TASK_EXITING)
			continue;
		r = exec_watch_open(tasks->tasks[i].tid, &watch->exec_watch_memory);
		if (r == -ESRCH)
			continue;
		if (r < 0)
			return r;
		watch->exec_watch_fd = r;
		watch->watched_tid = tasks->tasks[i].tid;
		return sd_event_add_io(watch->broker->event, &watch->exec_source, r, 0,
				       on_exec_watch, watch);
	}
	return r;
}

/* Whether the user has no time left for a look that takes long, as it does without the kernel's own structures. */
static bool is_put_off(const TargetWatch *watch)
{
	Broker *broker = watch->broker;

	return !task_reader_sees_all(broker->reader) &&
	       rate_is_overdrawn(broker->rates, watch->payer, now_usec());
}

/*
 * Looks at the target, at its user's expense. Return: 0 and *ret_tasks, its threads; 1 when it has ended, as far as
 * can be seen, which has been said, and the watch may be gone; -EAGAIN when nothing can be told (look_later).
 */
static int look(TargetWatch *watch, TaskFactsList *ret_tasks)
{
	Broker *broker = watch->broker;
	unsigned long long before;
	Refusal refusal;
	int r;

	if (is_put_off(watch)) {
		if (watch->again_usec == 0)
			watch->again_usec = AGAIN_USEC;
		return -EAGAIN;
	}
	before = work_usec();
	r = process_look(watch->target, broker->reader, ret_tasks, &refusal);
	rate_charge(broker->rates, watch->payer, work_usec() - before);
	if (r == 0) {
		/* What comes now is not to wait for as long. */
		if (watch->again_usec > 0)
			watch->recheck_timer = sd_event_source_disable_unref(watch->recheck_timer);
		watch->again_usec = 0;
		return 0;
	}
	/* What an administrator allowed ends with the first thread, and so nothing else is left to be told. */
	if (r == REFUSED_NOT_SUPPORTED && !watch->target->exec_strictly) {
		watch->again_usec = watch->again_usec ? watch->again_usec * 2 : AGAIN_USEC;
		if (watch->again_usec > MAX_AGAIN_USEC)
			watch->again_usec = MAX_AGAIN_USEC;
		return -EAGAIN;
	}
	if (r < 0)
		log_error("cannot look at process %d, which counts as exited: %s",
			  watch->target->pid, strerror(-r));
	watch->on_end(r < 0 || process_has_exited(watch->target), watch->userdata);
	return 1;
}

static bool lives(const TaskFactsList *tasks, pid_t tid)
{
	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (tasks->tasks[i].tid == (uint32_t)tid)
			return !(tasks->tasks[i].facts & TASK_EXITING);
	return false;
}

static int on_recheck(sd_event_source *source, uint64_t usec, void *userdata);

/* Watches a thread, if none is. Return: whether one is. */
static bool watch_a_thread(TargetWatch *watch, const TaskFactsList *tasks)
{
	int r;

	if (watch->exec_source)
		return true;
	stop(watch);
	r = start(watch, tasks);
	if (r < 0 && r != -ESRCH && !watch->complained) {
		log_error("cannot watch process %d for exec, which is tried again: %s",
			  watch->target->pid, strerror(-r));
		watch->complained = true;
	}
	return r >= 0;
}

/* Has the target looked at once more after a while: because the kernel counts an exec up only a moment
 * after it drops the events; and because where no thread could be watched, as when each had ended, one
 * may be then. */
static int go_on(TargetWatch *watch, const TaskFactsList *tasks)
{
	if (watch_a_thread(watch, tasks))
		watch->recheck_usec = RECHECK_USEC;
	else if (watch->recheck_usec < MAX_RECHECK_USEC)
		watch->recheck_usec *= 2;
	watch->recheck_again = watch->recheck_timer != NULL;
	if (watch->recheck_timer)
		return 0;
	return sd_event_add_time_relative(watch->broker->event, &watch->recheck_timer,
					  CLOCK_MONOTONIC, watch->recheck_usec, 0, on_recheck,
					  watch);
}

static int look_later(TargetWatch *watch)
{
	watch->recheck_again = true;
	if (watch->recheck_timer)
		return 0;
	return sd_event_add_time_relative(watch->broker->event, &watch->recheck_timer,
					  CLOCK_MONOTONIC, watch->again_usec, 0, on_recheck, watch);
}

static int on_recheck(sd_event_source *source, uint64_t usec, void *userdata)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	TargetWatch *watch = userdata;
	int r;

	watch->recheck_timer = sd_event_source_disable_unref(watch->recheck_timer);
	r = look(watch, &tasks);
	if (r != 0)
		return r > 0 ? 0 : look_later(watch);
	return watch->exec_source && !watch->recheck_again ? 0 : go_on(watch, &tasks);
}

/*
 * The watched thread has ended, or has called exec, or was ended by another thread's exec. Of a
 * thread that lives it can only be an exec. Otherwise the watch moves to another thread.
 */
static int on_exec_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	TargetWatch *watch = userdata;
	int r;

	stop(watch);
	r = look(watch, &tasks);
	if (r != 0)
		return r > 0 ? 0 : look_later(watch);
	if (lives(&tasks, watch->watched_tid)) {
		watch->on_end(false, watch->userdata);
		return 0;
	}
	return go_on(watch, &tasks);
}

int target_watch_new(Broker *broker, uid_t payer, const Process *target, const TaskFactsList *tasks,
		     TargetEnded on_end, void *userdata, TargetWatch **ret)
{
	TargetWatch *watch;
	int r;

	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->broker = broker;
	watch->payer = payer;
	watch->target = target;
	watch->on_end = on_end;
	watch->userdata = userdata;
	watch->exec_watch_fd = -EBADF;
	watch->recheck_usec = RECHECK_USEC;
	r = start(watch, tasks);
	if (r >= 0)
		r = sd_event_add_io(broker->event, &watch->exit_source, target->pidfd, EPOLLIN,
				    on_target_exit, watch);
	if (r < 0) {
		target_watch_free(watch);
		return r;
	}
	*ret = watch;
	return 0;
}

TargetWatch *target_watch_free(TargetWatch *watch)
{
	if (!watch)
		return NULL;
	sd_event_source_disable_unref(watch->exit_source);
	sd_event_source_disable_unref(watch->recheck_timer);
	stop(watch);
	free(watch);
	return NULL;
}
