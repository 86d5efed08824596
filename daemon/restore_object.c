/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/box.h"
#include "daemon/bpf_adopt.h"
#include "daemon/breakpoint.h"
#include "daemon/forward.h"
#include "daemon/lent_filter.h"
#include "daemon/restore_object.h"
#include "daemon/session.h"
#include "daemon/store.h"
#include "daemon/store_object.h"
#include "daemon/stored_state.h"
#include "daemon/util.h"

/* A session's records, of which the last that tells of the session counts. Pointers into `headers`. */
typedef struct Records {
	StoredHeader **headers; /* owned, each free() */
	size_t *at;             /* of each: the first of its descriptors in the box */
	size_t n;
	bool cut; /* what followed was not written to its end */
} Records;

static void records_clear(Records *records)
{
	for (size_t i = 0; i < records->n; i++)
		free(records->headers[i]);
	free(records->headers);
	free(records->at);
}

/* Return: 0; -EBADMSG; another negative errno. */
static int read_records(const BoxContent *content, Records *ret)
{
	ret->headers = calloc(content->n_fds + 1, sizeof(*ret->headers));
	ret->at = calloc(content->n_fds + 1, sizeof(*ret->at));
	if (!ret->headers || !ret->at)
		return -ENOMEM;
	for (size_t i = 0; i < content->n_fds;) {
		StoredHeader *header;
		int r;

		r = stored_read(content->fds[i], content->n_fds - i - 1, &header);
		if (r == -ENODATA) {
			ret->cut = true;
			return 0;
		}
		if (r < 0)
			return r;
		ret->headers[ret->n] = header;
		ret->at[ret->n] = i + 1;
		ret->n++;
		i += 1 + header->n_fds;
	}
	return 0;
}

/* Finds the owner again; one that is gone is no failure: then ret->mark is NULL. */
static int find_owner(Broker *broker, const StoredOwner *stored, int *pidfd, SessionOwner *ret)
{
	SessionOwner owner = {.uid = stored->uid};
	Process process = PROCESS_NONE;
	const OwnerDescription description = {
		.bus_id = stored->bus_id,
		.name = stored->name,
		.uid = stored->uid,
		.process = &process,
	};
	int r;

	r = process_adopt(pidfd, stored->pid, 0, &process);
	if (r < 0)
		return r;
	r = broker->hooks.find_owner(&description, &owner, broker->hooks.userdata);
	process_clear(&process);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = owner;
	return 0;
}

/* Events that are not adopted are not charged any more either. Which of those that a client may take it
 * has taken is not written down: each counts as taken, and so until the kernel has it no more. */
static int adopt_events(Breakpoint *breakpoint, const StoredBreakpoint *record, int *fds)
{
	int r;

	r = event_set_adopt(stored_events(record), fds, record->n_events, breakpoint->spec->events,
			    breakpoint->charge, &breakpoint->events);
	if (r < 0)
		charge_take_away(breakpoint->charge, QUOTA_EVENTS, record->n_events);
	else
		breakpoint->events.inherited = !breakpoint->spec->threads;
	return r;
}

/* Return: 0; a refusal; negative errno. */
static int adopt_breakpoint(Session *session, const StoredBreakpoint *record, int *fds,
			    Refusal *refusal)
{
	const size_t n_filter = stored_filter_fds(&record->filter);
	QuotaAmounts amounts = {};
	Breakpoint *breakpoint;
	int r;

	if (session_find_breakpoint(session, record->number))
		return -EBADMSG;
	breakpoint = calloc(1, sizeof(*breakpoint));
	if (!breakpoint)
		return -ENOMEM;
	breakpoint->session = session;
	breakpoint->number = record->number;
	r = spec_parse(stored_spec(record), record->spec_bytes, &breakpoint->spec, refusal);
	if (r == 0 && breakpoint->spec->n_parameters != record->filter.n_parameters)
		r = -EBADMSG;
	if (r == 0)
		r = filter_adopt(&record->filter, fds, &breakpoint->filter);
	amounts.of[QUOTA_BREAKPOINTS] = 1;
	amounts.of[QUOTA_EVENTS] = record->n_events;
	if (r == 0)
		r = charge_restore(session->broker->charges, session->owner.uid, &amounts,
				   &breakpoint->charge);
	if (r == 0)
		r = adopt_events(breakpoint, record, fds + n_filter);
	if (r == 0)
		r = breakpoint_name_charge(breakpoint);
	if (r != 0) {
		breakpoint_free(breakpoint);
		return r;
	}
	breakpoint->enabled = __atomic_load_n(&breakpoint->filter->control->state,
					      __ATOMIC_SEQ_CST) == FILTER_ENABLED;
	breakpoint->next = session->breakpoints;
	session->breakpoints = breakpoint;
	if (breakpoint->number > session->last_breakpoint)
		session->last_breakpoint = breakpoint->number;
	return 0;
}

static int compare_breakpoints(const void *a, const void *b)
{
	const StoredBreakpoint *const *x = a, *const *y = b;

	return COMPARE((*x)->number, (*y)->number);
}

/* In the order in which they were added. */
static int adopt_breakpoints(Session *session, const Records *records, BoxContent *content,
			     Refusal *refusal)
{
	const StoredHeader **sorted = calloc(records->n + 1, sizeof(*sorted));
	size_t n = 0;
	int r = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < records->n; i++)
		if (records->headers[i]->kind == STORED_BREAKPOINT)
			sorted[n++] = records->headers[i];
	qsort(sorted, n, sizeof(*sorted), compare_breakpoints);
	for (size_t i = 0; i < n && r == 0; i++) {
		size_t at = 0;

		while (records->headers[at] != sorted[i])
			at++;
		r = adopt_breakpoint(session, (const StoredBreakpoint *)sorted[i],
				     content->fds + records->at[at], refusal);
	}
	free(sorted);
	return r;
}

/* The last record of the session itself. Return: 0; -ENODATA when it was not written to its end;
 * -EBADMSG when it is none. */
static int find_session(const Records *records, const BoxContent *content,
			const StoredSession **ret, int **ret_fds)
{
	const StoredSession *session = NULL;
	size_t n_breakpoints = 0;

	for (size_t i = 0; i < records->n; i++) {
		switch (records->headers[i]->kind) {
		case STORED_SESSION:
			session = (const StoredSession *)records->headers[i];
			*ret_fds = content->fds + records->at[i];
			break;
		case STORED_BREAKPOINT:
			n_breakpoints++;
			break;
		default:
			return -EBADMSG;
		}
	}
	if (!session)
		return records->cut ? -ENODATA : -EBADMSG;
	if (session->number != content->label.number)
		return -EBADMSG;
	if (n_breakpoints < session->n_breakpoints)
		return -ENODATA;
	*ret = session;
	return 0;
}

/* Whose removal was under way: they are revoked already. */
static bool drop_revoked(Session *session)
{
	Breakpoint *next;
	bool dropped = false;

	for (Breakpoint *at = session->breakpoints; at; at = next) {
		next = at->next;
		if (!filter_is_revoked(at->filter))
			continue;
		session_remove_breakpoint(at);
		dropped = true;
	}
	return dropped;
}

/* The session's own facts, as they are written down; it has no descriptor yet. */
static Session *session_from_record(Broker *broker, const StoredSession *record)
{
	Session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->broker = broker;
	session->number = record->number;
	session->owner.uid = record->owner.uid;
	session->owner_pid = record->owner.pid;
	session->approved = record->flags & STORED_APPROVED;
	session->linger = record->flags & STORED_LINGERS;
	session->ring_bytes = record->ring_bytes;
	session->last_breakpoint = record->last_breakpoint;
	session->removed_hits = record->removed_hits;
	session->removed_dropped = record->removed_dropped;
	session->removed_delivered = record->removed_delivered;
	session->removed_undelivered = record->removed_undelivered;
	memcpy(session->client, record->client, sizeof(session->client));
	session->ring_fd = -EBADF;
	session->target = PROCESS_NONE;
	return session;
}

/* Charges it, and takes its target, ring and owner. `fds` follow its record. */
static int adopt_parts(Session *session, const StoredSession *record, int *fds)
{
	Broker *broker = session->broker;
	ChargeNames names = CHARGE_NAMES_NONE;
	QuotaAmounts amounts = {};
	int r;

	r = ring_check(fds[1], record->ring_bytes);
	if (r < 0)
		return r;
	r = process_adopt(&fds[0], record->target_pid, record->target_exec_id, &session->target);
	if (r < 0)
		return r;
	session->target.exec_strictly = session->approved;
	if (record->flags & STORED_HAS_EXEC_WATCH) {
		r = process_adopt_exec(&fds[2 + (record->owner.name[0] != '\0')],
				       &session->target);
		if (r < 0)
			return r;
	}
	amounts.of[QUOTA_SESSIONS] = 1;
	amounts.of[QUOTA_RING_BYTES] = record->ring_bytes;
	r = charge_restore(broker->charges, session->owner.uid, &amounts, &session->charge);
	if (r < 0)
		return r;
	session->ring_fd = take_fd(&fds[1]);
	names.map_fds[0] = session->ring_fd;
	r = charge_name(session->charge, &names);
	if (r < 0 || record->owner.name[0] == '\0')
		return r;
	return find_owner(broker, &record->owner, &fds[2], &session->owner);
}

/* Whoever read its hits goes on. Of what a daemon that was killed had in hand nobody knows how much was
 * delivered. */
static int adopt_hits(Session *session, const StoredSession *record, int *fds, Refusal *refusal)
{
	const bool is_pipe = record->flags & STORED_SINK_IS_PIPE;
	ForwardFormat format = record->flags & STORED_BINARY ? FORWARD_BINARY : FORWARD_JSON_LINES;
	Sink sink = SINK_NONE;
	int r;

	if (record->flags & STORED_RING_TAKEN)
		session->hits_use = HITS_TAKEN;
	if (!(record->flags & STORED_FORWARDED))
		return 0;
	if (!(record->flags & STORED_LEFT))
		return refuse(refusal, REFUSED_NOT_SUPPORTED,
			      "its hits were being forwarded when bpcondd was killed");
	if (record->flags & STORED_HAS_SINK) {
		r = sink_adopt(is_pipe,
			       fds + record->header.n_fds - (is_pipe ? SINK_MAX_DESCRIPTORS : 1),
			       session->owner.uid, &sink, refusal);
		if (r == 0)
			r = forward_new(session, &sink, format, &session->forward);
		sink_clear(&sink);
		if (r == 0 && record->unsent_bytes > 0)
			r = forward_go_on(session->forward, stored_unsent(record),
					  record->unsent_bytes);
	} else {
		r = forward_new_ended(session, &session->forward);
	}
	if (r == 0)
		session->hits_use = HITS_FORWARDED;
	return r;
}

int restore_session(Broker *broker, BoxContent *content, StoreBox **box, Refusal *refusal)
{
	_cleanup_(records_clear) Records records = {};
	const StoredSession *record;
	int *fds = NULL, r;
	Session *session;

	r = read_records(content, &records);
	if (r < 0)
		return r;
	r = find_session(&records, content, &record, &fds);
	if (r < 0)
		return r;
	if (broker_find_session(broker, record->number))
		return -EBADMSG;
	session = session_from_record(broker, record);
	if (!session)
		return -ENOMEM;
	r = adopt_parts(session, record, fds);
	if (r == 0)
		r = adopt_hits(session, record, fds, refusal);
	if (r == 0)
		r = adopt_breakpoints(session, &records, content, refusal);
	if (r != 0) {
		session_discard(session);
		return r;
	}

	session->generation = content->label.generation;
	session->box = *box;
	*box = NULL;
	session->next = broker->sessions;
	broker->sessions = session;
	if (session->number > broker->last_session)
		broker->last_session = session->number;
	/* That it was left in order is true until the first hit is read. */
	if (!drop_revoked(session) && (records.cut || record->flags & STORED_LEFT))
		store_session_anew(session);
	return 0;
}

int restore_lent_filter(Broker *broker, BoxContent *content, StoreBox **box)
{
	_cleanup_(records_clear) Records records = {};
	const StoredLentFilter *record;
	LentFilter *lent;
	size_t n_filter;
	int *fds, r;

	r = read_records(content, &records);
	if (r < 0)
		return r;
	if (records.n != 1 || records.cut || records.headers[0]->kind != STORED_LENT_FILTER)
		return -EBADMSG;
	record = (const StoredLentFilter *)records.headers[0];
	fds = content->fds + records.at[0];
	n_filter = stored_filter_fds(&record->filter);
	if (record->number != content->label.number || lent_filter_find(broker, record->number))
		return -EBADMSG;
	if (record->flags & STORED_HAS_RING) {
		r = ring_check(fds[1 + n_filter], record->ring_bytes);
		if (r < 0)
			return r;
	}

	lent = calloc(1, sizeof(*lent));
	if (!lent)
		return -ENOMEM;
	lent->broker = broker;
	lent->number = record->number;
	lent->ring_bytes = record->ring_bytes;
	lent->ring_fd = -EBADF;
	if (record->flags & STORED_HAS_RING)
		lent->ring_fd = take_fd(&fds[1 + n_filter]);
	r = find_owner(broker, &record->owner, &fds[0], &lent->owner);
	if (r == 0)
		r = filter_adopt(&record->filter, fds + 1, &lent->filter);
	if (r == 0)
		r = lent_filter_adopt(lent);
	if (r != 0) {
		lent_filter_discard(lent);
		return r;
	}
	lent->box = *box;
	*box = NULL;
	if (lent->number > broker->last_lent_filter)
		broker->last_lent_filter = lent->number;
	return 0;
}
