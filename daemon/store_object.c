/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/box.h"
#include "daemon/breakpoint.h"
#include "daemon/forward.h"
#include "daemon/lent_filter.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/store.h"
#include "daemon/store_object.h"
#include "daemon/stored_state.h"
#include "daemon/util.h"

/* ---- Records and descriptors, as they go into a box ------------------------------------------ */

typedef struct FdList {
	int *fds;
	size_t n_fds;
	int *records; /* those among them that are ours to close */
	size_t n_records;
} FdList;

static void fd_list_clear(FdList *list)
{
	for (size_t i = 0; i < list->n_records; i++)
		close(list->records[i]);
	free(list->records);
	free(list->fds);
}

static int add_fd(FdList *list, int fd)
{
	int *grown = reallocarray(list->fds, list->n_fds + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->fds = grown;
	list->fds[list->n_fds++] = fd;
	return 0;
}

static int add_all(FdList *list, const int *fds, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_fd(list, fds[i]);
	return r;
}

static int add_record(FdList *list, StoredHeader *record, size_t bytes, const void *more,
		      size_t more_bytes)
{
	int *grown = reallocarray(list->records, list->n_records + 1, sizeof(*grown));
	int fd;

	if (!grown)
		return -ENOMEM;
	list->records = grown;
	fd = stored_write(record, bytes, more, more_bytes);
	if (fd < 0)
		return fd;
	list->records[list->n_records++] = fd;
	return add_fd(list, fd);
}

static StoredOwner describe_owner(const SessionOwner *owner, pid_t pid)
{
	StoredOwner stored = {.uid = owner->uid, .pid = pid};

	if (!owner->mark)
		return stored;
	strncpy(stored.bus_id, owner->bus_id, STORED_BUS_ID);
	strncpy(stored.name, owner->name, STORED_MAX_NAME);
	return stored;
}

static StoredFilter describe_filter(const Filter *filter)
{
	return (StoredFilter){
		.flags = (filter->parameters_fd >= 0 ? STORED_HAS_PARAMETERS : 0) |
			 (filter->counter_fd >= 0 ? STORED_HAS_COUNTER : 0),
		.n_slots = filter->n_slots,
		.n_parameters = filter->n_parameters,
		.n_insns = filter->n_insns,
	};
}

static int add_filter(FdList *list, const Filter *filter)
{
	const int fds[] = {filter->program_fd, filter->control_fd, filter->counters_fd};
	int r;

	r = add_all(list, fds, 3);
	if (r == 0 && filter->parameters_fd >= 0)
		r = add_fd(list, filter->parameters_fd);
	if (r == 0 && filter->counter_fd >= 0)
		r = add_fd(list, filter->counter_fd);
	return r;
}

static uint32_t count_breakpoints(const Session *session)
{
	uint32_t n = 0;

	for (const Breakpoint *at = session->breakpoints; at; at = at->next)
		n++;
	return n;
}

static uint32_t session_flags(const Session *session)
{
	uint32_t flags = (session->approved ? STORED_APPROVED : 0) |
			 (session->linger ? STORED_LINGERS : 0) |
			 (session->target.exec_memory ? STORED_HAS_EXEC_WATCH : 0);

	if (session->hits_use == HITS_TAKEN)
		flags |= STORED_RING_TAKEN;
	if (session->hits_use != HITS_FORWARDED)
		return flags;
	flags |= STORED_FORWARDED;
	if (!forward_has_ended(session->forward))
		flags |= STORED_HAS_SINK;
	if (flags & STORED_HAS_SINK && forward_sink(session->forward)->kind == SINK_PIPE)
		flags |= STORED_SINK_IS_PIPE;
	if (forward_format(session->forward) == FORWARD_BINARY)
		flags |= STORED_BINARY;
	return flags;
}

/* What of a session's hits the daemon has in hand as it leaves. */
typedef struct Unsent {
	void *bytes;
	size_t n_bytes;
} Unsent;

static int add_session(FdList *list, const Session *session, const Unsent *unsent)
{
	StoredSession record = {
		.header = {.kind = STORED_SESSION, .n_fds = 2},
		.number = session->number,
		.flags = session_flags(session) | (unsent ? STORED_LEFT : 0),
		.target_pid = session->target.pid,
		.last_breakpoint = session->last_breakpoint,
		.n_breakpoints = count_breakpoints(session),
		.unsent_bytes = unsent ? unsent->n_bytes : 0,
		.target_exec_id = session->target.exec_id,
		.ring_bytes = session->ring_bytes,
		.removed_hits = session->removed_hits,
		.removed_dropped = session->removed_dropped,
		.removed_delivered = session->removed_delivered,
		.removed_undelivered = session->removed_undelivered,
		.owner = describe_owner(&session->owner, session->owner_pid),
	};
	const int fds[] = {session->target.pidfd, session->ring_fd};
	int sink_fds[SINK_MAX_DESCRIPTORS], r;
	size_t n_sink_fds = 0;

	static_assert(sizeof(record.client) == sizeof(session->client), "it is one name");
	memcpy(record.client, session->client, sizeof(record.client));
	if (record.flags & STORED_HAS_SINK)
		n_sink_fds = sink_descriptors(forward_sink(session->forward), sink_fds);
	record.header.n_fds += (session->owner.mark != NULL) +
			       (session->target.exec_memory != NULL) + n_sink_fds;
	r = add_record(list, &record.header, sizeof(record), unsent ? unsent->bytes : NULL,
		       record.unsent_bytes);
	if (r == 0)
		r = add_all(list, fds, 2);
	if (r == 0 && session->owner.mark)
		r = add_fd(list, session->owner.process->pidfd);
	if (r == 0 && session->target.exec_memory)
		r = add_fd(list, session->target.exec_fd);
	return r == 0 ? add_all(list, sink_fds, n_sink_fds) : r;
}

static int add_breakpoint(FdList *list, const Breakpoint *breakpoint)
{
	const EventSet *events = &breakpoint->events;
	const size_t spec_bytes = strlen(breakpoint->spec->text);
	const size_t events_bytes = events->n_events * sizeof(StoredEvent);
	StoredBreakpoint record = {
		.header = {.kind = STORED_BREAKPOINT},
		.number = breakpoint->number,
		.n_events = events->n_events,
		.spec_bytes = spec_bytes,
		.filter = describe_filter(breakpoint->filter),
	};
	_cleanup_free_ char *more = calloc(1, events_bytes + spec_bytes + 1);
	StoredEvent *stored = (StoredEvent *)more;
	int r;

	if (!more)
		return -ENOMEM;
	for (size_t i = 0; i < events->n_events; i++)
		stored[i] = (StoredEvent){.tid = events->events[i].tid, .id = events->events[i].id};
	memcpy(more + events_bytes, breakpoint->spec->text, spec_bytes);
	record.header.n_fds = stored_filter_fds(&record.filter) + events->n_events;
	r = add_record(list, &record.header, sizeof(record), more, events_bytes + spec_bytes);
	if (r == 0)
		r = add_filter(list, breakpoint->filter);
	for (size_t i = 0; i < events->n_events && r == 0; i++)
		r = add_fd(list, events->events[i].event_fd);
	return r;
}

static int add_lent_filter(FdList *list, const LentFilter *lent)
{
	StoredLentFilter record = {
		.header = {.kind = STORED_LENT_FILTER},
		.number = lent->number,
		.flags = lent->ring_fd >= 0 ? STORED_HAS_RING : 0,
		.ring_bytes = lent->ring_bytes,
		.filter = describe_filter(lent->filter),
		.owner = describe_owner(&lent->owner, lent->owner.process->pid),
	};
	int r;

	record.header.n_fds = 1 + stored_filter_fds(&record.filter) + (lent->ring_fd >= 0);
	r = add_record(list, &record.header, sizeof(record), NULL, 0);
	if (r == 0)
		r = add_fd(list, lent->owner.process->pidfd);
	if (r == 0)
		r = add_filter(list, lent->filter);
	if (r == 0 && lent->ring_fd >= 0)
		r = add_fd(list, lent->ring_fd);
	return r;
}

/* ---- Writing down ---------------------------------------------------------------------------- */

static int put_session(const Session *session, const StoreBox *box, uint32_t generation,
		       const FdList *list)
{
	const BoxLabel label = {.version = STORED_VERSION,
				.kind = STORED_SESSION,
				.number = session->number,
				.generation = generation};

	return box_put(box->fd, &label, list->fds, list->n_fds);
}

/* Writes the session down anew in another box: the old one counts until the new one is whole. */
static int rewrite(Session *session, const Unsent *unsent)
{
	_cleanup_(fd_list_clear) FdList list = {};
	Store *store = session->broker->store;
	StoreBox *box;
	int r;

	r = add_session(&list, session, unsent);
	for (const Breakpoint *at = session->breakpoints; at && r == 0; at = at->next)
		r = add_breakpoint(&list, at);
	if (r < 0)
		return r;
	/* One above the limit, for a moment. */
	r = store_take(store, UINT32_MAX, &box);
	if (r < 0)
		return r;
	r = put_session(session, box, session->generation + 1, &list);
	if (r < 0) {
		store_release(store, &box);
		return r;
	}
	session->generation++;
	store_release(store, &session->box);
	session->box = box;
	return 0;
}

/* Adds to the session's box. What is half there when it is full is not in the next one. */
static int append(Session *session, const FdList *list)
{
	int r;

	r = put_session(session, session->box, session->generation, list);
	return r < 0 ? rewrite(session, NULL) : 0;
}

static int refuse_full(Refusal *refusal)
{
	return refuse(refusal, REFUSED_QUOTA_EXCEEDED,
		      "All users together have %d sessions and lent filters, as many as bpcondd "
		      "can keep over a restart: wait until some of them end.",
		      STORE_MAX_BOXES);
}

int store_session(Session *session, Refusal *refusal)
{
	_cleanup_(fd_list_clear) FdList list = {};
	Store *store = session->broker->store;
	int r;

	if (!store)
		return 0;
	r = add_session(&list, session, NULL);
	if (r < 0)
		return r;
	r = store_take(store, STORE_MAX_BOXES, &session->box);
	if (r == -EDQUOT)
		return refuse_full(refusal);
	if (r < 0)
		return r;
	store->numbers->last_session = session->number;
	r = put_session(session, session->box, session->generation, &list);
	if (r < 0)
		store_release(store, &session->box);
	return r;
}

int store_session_changed(Session *session)
{
	_cleanup_(fd_list_clear) FdList list = {};
	int r;

	if (!session->box)
		return 0;
	r = add_session(&list, session, NULL);
	return r < 0 ? r : append(session, &list);
}

int store_breakpoint(const Breakpoint *breakpoint)
{
	_cleanup_(fd_list_clear) FdList list = {};
	int r;

	if (!breakpoint->session->box)
		return 0;
	r = add_breakpoint(&list, breakpoint);
	return r < 0 ? r : append(breakpoint->session, &list);
}

static void write_anew(Session *session, const Unsent *unsent)
{
	int r;

	r = rewrite(session, unsent);
	if (r == 0)
		return;
	log_error("session %" PRIu32 " cannot be written down, and will not outlive this "
		  "daemon: %s",
		  session->number, strerror(-r));
	store_release(session->broker->store, &session->box);
}

void store_session_anew(Session *session)
{
	if (session->box)
		write_anew(session, NULL);
}

void store_session_left(Session *session)
{
	Unsent unsent = {};

	if (!session->box)
		return;
	if (session->forward && !forward_has_ended(session->forward) &&
	    forward_leave(session->forward, &unsent.bytes, &unsent.n_bytes) < 0) {
		store_release(session->broker->store, &session->box);
		return;
	}
	if (session->hits_use != HITS_TAKEN)
		write_anew(session, &unsent);
	free(unsent.bytes);
}

int store_lent_filter(LentFilter *lent, Refusal *refusal)
{
	_cleanup_(fd_list_clear) FdList list = {};
	Store *store = lent->broker->store;
	const BoxLabel label = {
		.version = STORED_VERSION, .kind = STORED_LENT_FILTER, .number = lent->number};
	int r;

	if (!store)
		return 0;
	r = add_lent_filter(&list, lent);
	if (r < 0)
		return r;
	r = store_take(store, STORE_MAX_BOXES, &lent->box);
	if (r == -EDQUOT)
		return refuse_full(refusal);
	if (r < 0)
		return r;
	store->numbers->last_lent_filter = lent->number;
	r = box_put(lent->box->fd, &label, list.fds, list.n_fds);
	if (r < 0)
		store_release(store, &lent->box);
	return r;
}
