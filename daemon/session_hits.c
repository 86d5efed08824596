/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a session's hits: who reads the ring, and what is counted of it.
 */
#include "daemon/breakpoint.h"
#include "daemon/forward.h"
#include "daemon/hit_signals.h"
#include "daemon/session.h"
#include "daemon/store_object.h"

int session_check_unclaimed(const Session *session, Refusal *refusal)
{
	if (session->hits_use == HITS_TAKEN)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The ring of session %u has been taken already (TakeHits), and has one "
			"reader: open another session.",
			session->number);
	if (session->hits_use == HITS_FORWARDED)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The hits of session %u %s forwarded (Forward), which is for good: open "
			"another session.",
			session->number, forward_has_ended(session->forward) ? "were" : "are");
	return 0;
}

int session_claim_ring(Session *session)
{
	int r;

	session->hits_use = HITS_TAKEN;
	r = store_session_changed(session);
	if (r < 0) {
		session->hits_use = HITS_UNCLAIMED;
		return r;
	}
	session->signals = hit_signals_free(session->signals);
	return 0;
}

int session_forward(Session *session, const SessionOwner *actor, int sink_fd, const char *format,
		    Refusal *refusal)
{
	Sink sink = SINK_NONE;
	ForwardFormat parsed;
	int r;

	r = session_check_unclaimed(session, refusal);
	if (r != 0)
		return r;
	r = forward_parse_format(format, &parsed, refusal);
	if (r != 0)
		return r;
	r = session_look(session, actor, refusal);
	if (r == 0)
		r = sink_open(sink_fd, actor->uid, &sink, refusal);
	if (r != 0)
		return r;
	/* One reader at a time. */
	session->signals = hit_signals_free(session->signals);
	r = forward_new(session, &sink, parsed, &session->forward);
	sink_release(&sink, session->broker->relays, session->owner.uid);
	if (r < 0)
		return r;
	session->hits_use = HITS_FORWARDED;
	r = store_session_changed(session);
	if (r < 0) {
		session->forward = forward_abandon(session->forward);
		session->hits_use = HITS_UNCLAIMED;
	}
	return r;
}

void session_count_hit(Session *session, uint32_t number, bool delivered)
{
	const Breakpoint *breakpoint = session_find_breakpoint(session, number);

	/* It may have been removed since. */
	if (breakpoint && delivered)
		breakpoint->filter->control->delivered++;
	else if (breakpoint)
		breakpoint->filter->control->undelivered++;
	else if (delivered)
		session->removed_delivered++;
	else
		session->removed_undelivered++;
}

uint64_t session_count_delivered(const Session *session)
{
	uint64_t delivered = session->removed_delivered;

	for (const Breakpoint *at = session->breakpoints; at; at = at->next)
		delivered += at->filter->control->delivered;
	return delivered;
}

bool session_has_stopped_forwarding(const Session *session)
{
	return session->forward && forward_has_ended(session->forward);
}

void session_read_hits(const Session *session, uint64_t *ret_hits, uint64_t *ret_dropped)
{
	uint64_t hits = session->removed_hits;
	uint64_t dropped = session->removed_dropped + session->removed_undelivered;

	for (const Breakpoint *at = session->breakpoints; at; at = at->next) {
		struct bpcond_counters counts;

		filter_read_counts(at->filter, &counts);
		hits += counts.hits;
		dropped += counts.dropped + at->filter->control->undelivered;
	}
	*ret_hits = hits;
	*ret_dropped = session_has_stopped_forwarding(session)
			       ? hits - session_count_delivered(session)
			       : dropped;
}
