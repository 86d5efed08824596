/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/breakpoint.h"
#include "daemon/bpf_attach.h"
#include "daemon/forward.h"
#include "daemon/hit_signals.h"
#include "daemon/limit_watch.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "daemon/store_object.h"
#include "daemon/supported.h"
#include "daemon/util.h"

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
	case SESSION_NOT_RESTORED:
		return "not-restored";
	}
	return "closed";
}

/* Frees what there is of a session that is in no list. */
static Session *session_free(Session *session)
{
	if (!session)
		return NULL;
	store_release(session->broker->store, &session->box);
	hit_signals_free(session->signals);
	forward_free(session->forward);
	target_watch_free(session->watch);
	process_clear(&session->target);
	close_fd(session->ring_fd);
	charge_release(session->charge);
	free(session);
	return NULL;
}

/* Looks at actor and target as they are now. Return: as access_check. */
static int check_access(const Session *session, const SessionOwner *actor,
			TaskFactsList *ret_target, Refusal *refusal)
{
	AccessApproval approval = ACCESS_BY_RULES;

	if (session->approved)
		approval = actor->mark == session->owner.mark ? ACCESS_APPROVED
							      : ACCESS_APPROVED_FOR_ANOTHER;
	return access_check(session->broker->reader, session->owner.uid, actor->process,
			    &session->target, approval, ret_target, refusal);
}

/* Silence, before anything that takes time. */
static void silence(Session *session)
{
	for (Breakpoint *b = session->breakpoints; b; b = b->next)
		filter_set_state(b->filter, FILTER_REVOKED);
}

static void on_forward_done(Session *session)
{
	const unsigned long long before = work_usec();
	const uid_t uid = session->owner.uid;
	RateTable *rates = session->broker->rates;

	session_end(session, session->ending);
	rate_charge(rates, uid, work_usec() - before);
}

void session_target_ended(Session *session, SessionEnd end)
{
	int r;

	if (!session->forward) {
		session_end(session, end);
		return;
	}
	/* A reader a little behind gets the last hits too. */
	silence(session);
	session->ending = end;
	r = forward_finish(session->forward, on_forward_done);
	if (r < 0) {
		log_error("cannot wait for the reader of session %u: %s", session->number,
			  strerror(-r));
		session_end(session, end);
	}
}

static void on_target_end(bool exited, void *userdata)
{
	session_target_ended(userdata, exited ? SESSION_TARGET_EXITED : SESSION_TARGET_EXEC);
}

/* Everything about a new session that can fail once the quota is taken. */
static int session_build(Session *session, Refusal *refusal)
{
	Broker *broker = session->broker;
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	ChargeNames names = CHARGE_NAMES_NONE;
	int r;

	if (!session->target.exec_id) {
		r = process_pin_exec(&session->target, broker->reader, refusal);
		if (r != 0)
			return r;
	}
	r = check_access(session, &session->owner, &tasks, refusal);
	if (r != 0)
		return r;

	session->ring_fd = filter_ring_new(session->ring_bytes);
	if (session->ring_fd < 0)
		return session->ring_fd;
	names.map_fds[0] = session->ring_fd;
	r = charge_name(session->charge, &names);
	if (r < 0)
		return r;
	r = target_watch_new(broker, session->owner.uid, &session->target, &tasks, on_target_end,
			     session, &session->watch);
	if (r == -ESRCH)
		return refuse(refusal, REFUSED_TARGET_EXITED, "Process %d has exited.",
			      session->target.pid);
	if (r == -EACCES || r == -EPERM)
		return refuse_perf(refusal, r);
	if (r == -EINTR)
		return refuse_executing(refusal);
	if (r < 0)
		return r;
	/* The watch stands now: an exec before it shows here, a later one raises it. */
	r = check_access(session, &session->owner, NULL, refusal);
	return r != 0 ? r : store_session(session, refusal);
}

int session_open(Broker *broker, const SessionOwner *owner, Process *target, bool approved,
		 const SessionOptions *options, Session **ret, Refusal *refusal)
{
	uint64_t ring_bytes = options->ring_bytes;
	QuotaAmounts amounts = {};
	Session *session;
	Charge *charge;
	int r;

	r = filter_check_ring_bytes(ring_bytes, refusal);
	if (r != 0)
		return r;
	amounts.of[QUOTA_SESSIONS] = 1;
	amounts.of[QUOTA_RING_BYTES] = ring_bytes;
	r = charge_new(broker->charges, owner->uid, &amounts, &charge, refusal);
	if (r != 0)
		return r;

	session = calloc(1, sizeof(*session));
	if (!session) {
		r = -ENOMEM;
	} else {
		session->broker = broker;
		session->owner = *owner;
		session->charge = charge;
		session->owner_pid = owner->process->pid;
		session->linger = options->linger;
		session->ring_fd = -EBADF;
		session->ring_bytes = ring_bytes;
		session->target = *target;
		session->approved = approved;
		session->number = broker->last_session + 1;
		if (options->client)
			strncpy(session->client, options->client, SESSION_MAX_CLIENT_NAME);
		r = session_build(session, refusal);
	}
	if (r != 0) {
		/* The caller keeps the target. */
		if (session) {
			*target = session->target;
			session->target = PROCESS_NONE;
		}
		if (session)
			session_free(session);
		else
			charge_release(charge);
		return r;
	}

	broker->last_session = session->number;
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
	session->removed_delivered += breakpoint->filter->control->delivered;
	session->removed_undelivered += breakpoint->filter->control->undelivered;
	breakpoint_free(breakpoint);
}

/* Takes it out of the broker's list. */
static void unlink_session(Session *session)
{
	Session **at;

	for (at = &session->broker->sessions; *at != session; at = &(*at)->next)
		;
	*at = session->next;
}

Session *session_discard(Session *session)
{
	while (session->breakpoints) {
		Breakpoint *next = session->breakpoints->next;

		release_breakpoint(session, session->breakpoints);
		session->breakpoints = next;
	}
	return session_free(session);
}

void session_end(Session *session, SessionEnd end)
{
	Broker *broker = session->broker;

	silence(session);
	/* Then the counts are the last ones, and say what did not reach the reader. */
	if (session->forward)
		forward_end(session->forward);
	broker->hooks.on_session_end(session, end, broker->hooks.userdata);

	unlink_session(session);
	session_discard(session);
}

void session_leave(Session *session)
{
	while (session->breakpoints) {
		Breakpoint *next = session->breakpoints->next;

		breakpoint_leave(session->breakpoints);
		session->breakpoints = next;
	}
	store_leave(&session->box);
	unlink_session(session);
	session_free(session);
}

bool session_resume(Session *session, SessionEnd *ret_end)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	Broker *broker = session->broker;
	Refusal refusal;
	int r;

	r = process_look(&session->target, broker->reader, &tasks, &refusal);
	if (r == 0)
		r = target_watch_new(broker, session->owner.uid, &session->target, &tasks,
				     on_target_end, session, &session->watch);
	/* As when it was opened: an exec before the watch stood shows now. */
	if (r == 0) {
		task_facts_clear(&tasks);
		tasks = (TaskFactsList){};
		r = process_look(&session->target, broker->reader, &tasks, &refusal);
	}
	if (r == 0)
		return true;
	if (process_has_exited(&session->target))
		*ret_end = SESSION_TARGET_EXITED;
	else
		*ret_end = r == REFUSED_TARGET_EXITED || r == -EINTR ? SESSION_TARGET_EXEC
								      : SESSION_NOT_RESTORED;
	return false;
}

void session_orphan(Session *session)
{
	session->owner.mark = NULL;
	session->owner.process = NULL;
	session->owner.name = NULL;
	/* Without its owner, whose descriptor went too. */
	store_session_anew(session);
}

int session_look(const Session *session, const SessionOwner *actor, Refusal *refusal)
{
	return check_access(session, actor, NULL, refusal);
}

int session_enable_breakpoint(Breakpoint *breakpoint, const SessionOwner *actor, Refusal *refusal)
{
	const Session *session = breakpoint->session;
	int r;

	r = session_look(session, actor, refusal);
	if (r != 0)
		return r;
	r = breakpoint_enable(breakpoint);
	if (r < 0) {
		limit_watch_start(session->broker);
		return r;
	}
	r = session_look(session, actor, refusal);
	if (r != 0) {
		breakpoint_disable(breakpoint);
		return r;
	}
	return breakpoint->spec->limit ? limit_watch_start(session->broker) : 0;
}

int session_add_breakpoint(Session *session, const SessionOwner *actor, const char *text,
			   size_t length, Breakpoint **ret, Refusal *refusal)
{
	Broker *broker = session->broker;
	QuotaAmounts amounts = {};
	Breakpoint *breakpoint;
	Charge *charge;
	Spec *spec;
	int r;

	r = spec_parse(text, length, &spec, refusal);
	if (r != 0)
		return r;
	amounts.of[QUOTA_BREAKPOINTS] = 1;
	r = supported_spec(broker_features(broker), spec, refusal);
	if (r == 0)
		r = charge_new(broker->charges, session->owner.uid, &amounts, &charge, refusal);
	if (r != 0) {
		spec_free(spec);
		return r;
	}
	r = breakpoint_new(session, spec, session->last_breakpoint + 1, charge, &breakpoint,
			   refusal);
	if (r != 0)
		return r;
	if (spec->enabled)
		r = session_enable_breakpoint(breakpoint, actor, refusal);
	else
		r = session_look(session, actor, refusal);
	/* From here on a client may come to hold what it is made of. */
	if (r == 0)
		r = breakpoint_name_charge(breakpoint);
	if (r != 0) {
		breakpoint_free(breakpoint);
		return r;
	}
	session->last_breakpoint++;
	breakpoint->next = session->breakpoints;
	session->breakpoints = breakpoint;
	r = store_breakpoint(breakpoint);
	if (r < 0) {
		session_remove_breakpoint(breakpoint);
		return r;
	}
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
	store_session_anew(session);
}

Breakpoint *session_find_breakpoint(const Session *session, uint32_t number)
{
	for (Breakpoint *at = session->breakpoints; at; at = at->next)
		if (at->number == number)
			return at;
	return NULL;
}
