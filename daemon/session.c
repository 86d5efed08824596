/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/access.h"
#include "daemon/bpf_attach.h"
#include "daemon/breakpoint.h"
#include "daemon/lent_filter.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/spec.h"
#include "daemon/util.h"

/* How often breakpoints with a limit are looked at, to disable those that have reached it. The
 * filter itself is exact; this only ends the cost of their traps. */
#define LIMIT_CHECK_USEC 250000

/* Between a thread's last sign and the kernel's counting up of the exec that may have ended it. */
#define EXEC_RECHECK_USEC 50000

const char *session_end_name(SessionEnd end)
{
	switch (end) {
	case SESSION_CLOSED:
		return "closed";
	case SESSION_CLIENT_GONE:
		return "client-gone";
	case SESSION_TARGET_EXITED:
		return "target-exited";
	case SESSION_TARGET_EXEC:
		return "target-exec";
	case SESSION_ADMINISTRATOR:
		return "administrator";
	case SESSION_DAEMON_STOPPING:
		return "daemon-stopping";
	}
	return "closed";
}

int broker_new(sd_event *event, const uint64_t limits[static QUOTA_RESOURCES],
	       const BrokerHooks *hooks, Broker **ret)
{
	Broker *broker;
	int r;

	broker = calloc(1, sizeof(*broker));
	if (!broker)
		return -ENOMEM;
	broker->event = event;
	broker->hooks = *hooks;
	r = quota_new(limits, &broker->quota);
	if (r < 0)
		goto fail;
	r = filter_engine_new(&broker->engine);
	if (r < 0)
		goto fail;
	r = task_reader_new(&broker->reader);
	if (r < 0)
		goto fail;
	*ret = broker;
	return 0;
fail:
	broker_free(broker);
	return r;
}

Broker *broker_free(Broker *broker)
{
	if (!broker)
		return NULL;
	while (broker->sessions)
		session_end(broker->sessions, SESSION_DAEMON_STOPPING);
	while (broker->lent_filters)
		lent_filter_return(broker->lent_filters);
	sd_event_source_disable_unref(broker->limit_timer);
	task_reader_free(broker->reader);
	filter_engine_free(broker->engine);
	quota_free(broker->quota);
	free(broker);
	return NULL;
}

Session *broker_find_session(const Broker *broker, uint32_t number)
{
	for (Session *session = broker->sessions; session; session = session->next)
		if (session->number == number)
			return session;
	return NULL;
}

size_t broker_count_sessions(const Broker *broker)
{
	size_t n = 0;

	for (const Session *session = broker->sessions; session; session = session->next)
		n++;
	return n;
}

size_t broker_count_breakpoints(const Broker *broker)
{
	size_t n = 0;

	for (const Session *session = broker->sessions; session; session = session->next)
		for (const Breakpoint *at = session->breakpoints; at; at = at->next)
			n++;
	return n;
}

void broker_end_owner(Broker *broker, const void *mark)
{
	LentFilter *next_lent;
	Session *next;

	for (LentFilter *lent = broker->lent_filters; lent; lent = next_lent) {
		next_lent = lent->next;
		if (lent->owner.mark == mark)
			lent_filter_return(lent);
	}

	for (Session *session = broker->sessions; session; session = next) {
		next = session->next;
		if (session->owner.mark == mark)
			session_end(session, SESSION_CLIENT_GONE);
	}
}

/* Disables what has reached its limit. Return: whether any breakpoint still may. */
static bool check_limits(Broker *broker)
{
	bool wanted = false;

	for (Session *session = broker->sessions; session; session = session->next) {
		for (Breakpoint *at = session->breakpoints; at; at = at->next) {
			if (!at->enabled || !at->spec->limit)
				continue;
			if (!breakpoint_has_reached_limit(at)) {
				wanted = true;
				continue;
			}
			breakpoint_disable(at);
			broker->hooks.on_breakpoint_disabled(at, broker->hooks.userdata);
		}
	}
	return wanted;
}

static int on_limit_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	Broker *broker = userdata;

	if (!check_limits(broker))
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return sd_event_source_set_time_relative(source, LIMIT_CHECK_USEC);
}

int broker_watch_limits(Broker *broker)
{
	int r;

	if (!broker->limit_timer)
		return sd_event_add_time_relative(broker->event, &broker->limit_timer,
						  CLOCK_MONOTONIC, LIMIT_CHECK_USEC,
						  LIMIT_CHECK_USEC / 10, on_limit_timer, broker);
	r = sd_event_source_set_time_relative(broker->limit_timer, LIMIT_CHECK_USEC);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(broker->limit_timer, SD_EVENT_ON);
}

static int on_target_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	session_end(userdata, SESSION_TARGET_EXITED);
	return 0;
}

static void exec_watch_stop(Session *session)
{
	session->exec_source = sd_event_source_disable_unref(session->exec_source);
	exec_watch_close(session->exec_watch_fd, session->exec_watch_memory);
	session->exec_watch_fd = -EBADF;
	session->exec_watch_memory = NULL;
}

static int on_exec_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata);

/* Watches one living thread for exec. Return: 0; -ESRCH when none lives; negative errno. */
static int exec_watch_start(Session *session, const TaskFactsList *tasks)
{
	int r = -ESRCH;

	for (size_t i = 0; i < tasks->n_tasks; i++) {
		if (tasks->tasks[i].facts & TASK_EXITING)
			continue;
		r = exec_watch_open(tasks->tasks[i].tid, &session->exec_watch_memory);
		if (r == -ESRCH)
			continue;
		if (r < 0)
			return r;
		session->exec_watch_fd = r;
		session->exec_watch_tid = tasks->tasks[i].tid;
		return sd_event_add_io(session->broker->event, &session->exec_source, r, 0,
				       on_exec_watch, session);
	}
	return r;
}

/*
 * The watched thread has ended, or has called exec, or was ended by another thread's exec. Of a
 * thread that lives it can only be an exec. Otherwise the watch moves to another thread; and
 * because the kernel counts an exec up only a moment after it drops the events, the target is
 * looked at once more after a while.
 */
static void exec_watch_move(Session *session)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	pid_t watched = session->exec_watch_tid;
	bool fired = session->exec_watch_fd < 0;
	Refusal refusal;
	int r;

	r = process_look(&session->target, session->broker->reader, &tasks, &refusal);
	if (r > 0) {
		session_end(session, process_has_exited(&session->target) ? SESSION_TARGET_EXITED
									  : SESSION_TARGET_EXEC);
		return;
	}
	if (r < 0) {
		log_error("session %u: cannot look at process %d, closing: %s", session->number,
			  session->target.pid, strerror(-r));
		session_end(session, SESSION_TARGET_EXITED);
		return;
	}
	if (!fired)
		return;
	for (size_t i = 0; i < tasks.n_tasks; i++) {
		if (tasks.tasks[i].tid == (uint32_t)watched &&
		    !(tasks.tasks[i].facts & TASK_EXITING)) {
			session_end(session, SESSION_TARGET_EXEC);
			return;
		}
	}
	r = exec_watch_start(session, &tasks);
	if (r < 0 && r != -ESRCH)
		log_error("session %u: cannot watch process %d for exec: %s", session->number,
			  session->target.pid, strerror(-r));
}

static int on_recheck(sd_event_source *source, uint64_t usec, void *userdata)
{
	Session *session = userdata;

	session->recheck_timer = sd_event_source_disable_unref(session->recheck_timer);
	exec_watch_move(session);
	return 0;
}

static int on_exec_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	Session *session = userdata;
	Broker *broker = session->broker;
	uint32_t number = session->number;

	exec_watch_stop(session);
	exec_watch_move(session);
	if (broker_find_session(broker, number) != session || session->recheck_timer)
		return 0;
	return sd_event_add_time_relative(broker->event, &session->recheck_timer, CLOCK_MONOTONIC,
					  EXEC_RECHECK_USEC, 0, on_recheck, session);
}

/* Frees what there is of a session that is in no list. */
static Session *session_free(Session *session)
{
	if (!session)
		return NULL;
	sd_event_source_disable_unref(session->exit_source);
	sd_event_source_disable_unref(session->recheck_timer);
	exec_watch_stop(session);
	process_clear(&session->target);
	close_fd(session->ring_fd);
	free(session);
	return NULL;
}

int session_check_ring_bytes(uint64_t bytes, Refusal *refusal)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	if (bytes < page || bytes & (bytes - 1) || bytes > UINT32_MAX / 2 + 1ULL)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"hits-bytes is %llu: it must be a power of two from %llu to 2147483648.",
			(unsigned long long)bytes, (unsigned long long)page);
	return 0;
}

/* Looks at caller and target as they are now. Return: as access_check. */
static int check_access(const Session *session, TaskFactsList *ret_target, Refusal *refusal)
{
	return access_check(session->broker->reader, session->owner.uid, session->owner.process,
			    &session->target, session->approved, ret_target, refusal);
}

/* Everything about a new session that can fail once the quota is taken. */
static int session_build(Session *session, Refusal *refusal)
{
	Broker *broker = session->broker;
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	int r;

	if (!session->target.exec_id) {
		r = process_pin_exec(&session->target, broker->reader, refusal);
		if (r != 0)
			return r;
	}
	r = check_access(session, &tasks, refusal);
	if (r != 0)
		return r;

	session->ring_fd = filter_ring_new(session->ring_bytes);
	if (session->ring_fd < 0)
		return session->ring_fd;
	r = exec_watch_start(session, &tasks);
	if (r == -ESRCH)
		return refuse(refusal, REFUSED_TARGET_EXITED, "Process %d has exited.",
			      session->target.pid);
	if (r == -EACCES || r == -EPERM)
		return refuse_perf(refusal, r);
	if (r < 0)
		return r;
	r = sd_event_add_io(broker->event, &session->exit_source, session->target.pidfd, EPOLLIN,
			    on_target_exit, session);
	if (r < 0)
		return r;
	/* The watch stands now: an exec before it shows here, a later one raises it. */
	return check_access(session, NULL, refusal);
}

int session_open(Broker *broker, const SessionOwner *owner, Process *target, bool approved,
		 uint64_t ring_bytes, const char *client, Session **ret, Refusal *refusal)
{
	Session *session;
	int r;

	r = session_check_ring_bytes(ring_bytes, refusal);
	if (r != 0)
		return r;
	r = quota_take(broker->quota, owner->uid, QUOTA_SESSIONS, 1, refusal);
	if (r != 0)
		return r;
	r = quota_take(broker->quota, owner->uid, QUOTA_RING_BYTES, ring_bytes, refusal);
	if (r != 0) {
		quota_give_back(broker->quota, owner->uid, QUOTA_SESSIONS, 1);
		return r;
	}

	session = calloc(1, sizeof(*session));
	if (!session) {
		r = -ENOMEM;
	} else {
		session->broker = broker;
		session->owner = *owner;
		session->ring_fd = -EBADF;
		session->ring_bytes = ring_bytes;
		session->exec_watch_fd = -EBADF;
		session->target = *target;
		session->approved = approved;
		if (client)
			strncpy(session->client, client, SESSION_MAX_CLIENT_NAME);
		r = session_build(session, refusal);
	}
	if (r != 0) {
		/* The caller keeps the target. */
		if (session) {
			target->exec_id = session->target.exec_id;
			session->target = PROCESS_NONE;
		}
		session_free(session);
		quota_give_back(broker->quota, owner->uid, QUOTA_RING_BYTES, ring_bytes);
		quota_give_back(broker->quota, owner->uid, QUOTA_SESSIONS, 1);
		return r;
	}

	session->number = ++broker->last_session;
	session->next = broker->sessions;
	broker->sessions = session;
	*target = PROCESS_NONE;
	*ret = session;
	return 0;
}

static void release_breakpoint(Session *session, Breakpoint *breakpoint)
{
	struct bpcond_counters counts;

	filter_read_counts(breakpoint->filter, &counts);
	session->removed_hits += counts.hits;
	session->removed_dropped += counts.dropped;
	breakpoint_free(breakpoint);
	quota_give_back(session->broker->quota, session->owner.uid, QUOTA_BREAKPOINTS, 1);
}

void session_end(Session *session, SessionEnd end)
{
	Broker *broker = session->broker;
	uid_t uid = session->owner.uid;
	Session **at;

	/* Silence before anything that takes time. */
	for (Breakpoint *b = session->breakpoints; b; b = b->next)
		filter_set_state(b->filter, FILTER_REVOKED);
	broker->hooks.on_session_end(session, end, broker->hooks.userdata);

	while (session->breakpoints) {
		Breakpoint *next = session->breakpoints->next;

		release_breakpoint(session, session->breakpoints);
		session->breakpoints = next;
	}
	for (at = &broker->sessions; *at != session; at = &(*at)->next)
		;
	*at = session->next;
	quota_give_back(broker->quota, uid, QUOTA_RING_BYTES, session->ring_bytes);
	quota_give_back(broker->quota, uid, QUOTA_SESSIONS, 1);
	session_free(session);
}

/* Looks, enables and looks again. */
static int arm(Session *session, Breakpoint *breakpoint, Refusal *refusal)
{
	int r;

	r = check_access(session, NULL, refusal);
	if (r != 0)
		return r;
	if (!breakpoint->spec->enabled)
		return 0;
	r = breakpoint_enable(breakpoint);
	if (r < 0)
		return r;
	r = check_access(session, NULL, refusal);
	if (r != 0 || !breakpoint->spec->limit)
		return r;
	return broker_watch_limits(session->broker);
}

int session_add_breakpoint(Session *session, const char *text, size_t length, Breakpoint **ret,
			   Refusal *refusal)
{
	Broker *broker = session->broker;
	Breakpoint *breakpoint;
	Spec *spec;
	int r;

	r = spec_parse(text, length, &spec, refusal);
	if (r != 0)
		return r;
	r = quota_take(broker->quota, session->owner.uid, QUOTA_BREAKPOINTS, 1, refusal);
	if (r != 0) {
		spec_free(spec);
		return r;
	}
	r = breakpoint_new(session, spec, session->last_breakpoint + 1, &breakpoint, refusal);
	if (r == 0) {
		r = arm(session, breakpoint, refusal);
		if (r != 0)
			breakpoint_free(breakpoint);
	}
	if (r != 0) {
		quota_give_back(broker->quota, session->owner.uid, QUOTA_BREAKPOINTS, 1);
		return r;
	}
	session->last_breakpoint++;
	breakpoint->next = session->breakpoints;
	session->breakpoints = breakpoint;
	*ret = breakpoint;
	return 0;
}

void session_remove_breakpoint(Breakpoint *breakpoint)
{
	Session *session = breakpoint->session;
	Breakpoint **at;

	for (at = &session->breakpoints; *at != breakpoint; at = &(*at)->next)
		;
	*at = breakpoint->next;
	release_breakpoint(session, breakpoint);
}

Breakpoint *session_find_breakpoint(const Session *session, uint32_t number)
{
	for (Breakpoint *at = session->breakpoints; at; at = at->next)
		if (at->number == number)
			return at;
	return NULL;
}

void session_read_hits(const Session *session, uint64_t *ret_hits, uint64_t *ret_dropped)
{
	uint64_t hits = session->removed_hits, dropped = session->removed_dropped;

	for (const Breakpoint *at = session->breakpoints; at; at = at->next) {
		struct bpcond_counters counts;

		filter_read_counts(at->filter, &counts);
		hits += counts.hits;
		dropped += counts.dropped;
	}
	*ret_hits = hits;
	*ret_dropped = dropped;
}
