/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/box.h"
#include "daemon/bpf_adopt.h"
#include "daemon/breakpoint.h"
#include "daemon/lent_filter.h"
#include "daemon/limit_watch.h"
#include "daemon/log.h"
#include "daemon/restore.h"
#include "daemon/restore_object.h"
#include "daemon/session.h"
#include "daemon/store.h"
#include "daemon/stored_state.h"
#include "daemon/util.h"

/* At a process whose threads change while they are looked at; nobody is served meanwhile. */
#define MORE_LOOKS 3

/* What lies in one box. */
typedef struct Found {
	StoreBox *box; /* owned until it is taken up or discarded */
	BoxContent content;
	int look; /* 0, or why it cannot be read: negative errno */
} Found;

typedef struct Lost {
	bool lent_filter;
	uint32_t number;
} Lost;

struct Restored {
	Lost *lost;
	size_t n_lost;
};

static void note_lost(Restored *restored, const BoxLabel *label)
{
	Lost *grown = reallocarray(restored->lost, restored->n_lost + 1, sizeof(*grown));

	if (!grown)
		return;
	restored->lost = grown;
	grown[restored->n_lost++] =
		(Lost){.lent_filter = label->kind == STORED_LENT_FILTER, .number = label->number};
}

static void log_failure(const Found *found, int r, const Refusal *refusal)
{
	const BoxLabel *label = &found->content.label;
	const bool lent_filter = label->kind == STORED_LENT_FILTER;
	const LogContext context = {
		.message_id = LOG_ID_NOT_RESTORED,
		.session = found->content.has_label && !lent_filter ? label->number : 0,
		.uid = (uid_t)-1,
	};
	const char *what = lent_filter ? "lent filter" : "session";

	if (found->look < 0)
		log_message(LOG_ERR, &context,
			    "a box in the descriptor store cannot be read, and what lies in it is "
			    "closed: %s",
			    strerror(-r));
	else if (!found->content.has_label)
		log_message(LOG_ERR, &context,
			    "a box in the descriptor store is not bpcondd's, and is closed");
	else if (label->version != STORED_VERSION)
		log_message(LOG_WARNING, &context,
			    "%s %" PRIu32
			    " was left by a bpcondd of another version (state %" PRIu32
			    ", not %d), and is closed",
			    what, label->number, label->version, STORED_VERSION);
	else
		log_message(
			LOG_ERR, &context, "%s %" PRIu32 " cannot be taken up, and is closed: %s",
			what, label->number,
			r > 0                            ? refusal->text
			: r == -EBADMSG || r == -ENODATA ? "what is written down of it is not whole"
							 : strerror(-r));
}

/* Silences and closes what nobody takes up. */
static void give_up(Broker *broker, Found *found)
{
	for (size_t i = 0; i < found->content.n_fds; i++)
		if (found->content.fds[i] >= 0)
			break_up(found->content.fds[i]);
	box_content_clear(&found->content);
	/* What cannot be looked at as a whole can in pieces. */
	if (found->look < 0)
		box_take_apart(found->box->fd, break_up);
	store_discard(broker->store, found->box);
	found->box = NULL;
}

static int adopt(Broker *broker, Found *found, Refusal *refusal)
{
	const BoxContent *content = &found->content;

	if (found->look < 0)
		return found->look;
	if (!content->has_label || content->mixed || content->label.version != STORED_VERSION)
		return -EBADMSG;
	switch (content->label.kind) {
	case STORED_SESSION:
		return restore_session(broker, &found->content, &found->box, refusal);
	case STORED_LENT_FILTER:
		return restore_lent_filter(broker, &found->content, &found->box);
	}
	return -EBADMSG;
}

/* Boxes of one object lie side by side, that of the highest generation first; older objects first. */
static int compare_found(const void *a, const void *b)
{
	const BoxLabel *x = &((const Found *)a)->content.label;
	const BoxLabel *y = &((const Found *)b)->content.label;
	int order = COMPARE(x->kind, y->kind);

	if (order == 0)
		order = COMPARE(x->number, y->number);
	return order ? order : COMPARE(y->generation, x->generation);
}

static bool same_object(const Found *a, const Found *b)
{
	const BoxLabel *x = &a->content.label, *y = &b->content.label;

	return a->content.has_label && b->content.has_label && x->kind == y->kind &&
	       x->number == y->number;
}

/* Takes up one object out of its boxes, of which the first that was written to its end counts. */
static void adopt_object(Broker *broker, Restored *restored, Found *found, size_t n)
{
	Refusal refusal = {};
	size_t taken = 0;
	int r;

	r = adopt(broker, &found[0], &refusal);
	while (r == -ENODATA && taken + 1 < n)
		r = adopt(broker, &found[++taken], &refusal);
	if (r != 0) {
		log_failure(&found[taken], r, &refusal);
		if (found[0].content.has_label)
			note_lost(restored, &found[0].content.label);
		for (size_t i = 0; i < n; i++)
			give_up(broker, &found[i]);
		return;
	}
	/* The others hold the same filters, or those of a breakpoint that is revoked by now. */
	for (size_t i = 0; i < n; i++) {
		if (i == taken) {
			for (size_t fd = 0; fd < found[i].content.n_fds; fd++)
				if (found[i].content.fds[fd] >= 0)
					break_up(found[i].content.fds[fd]);
			box_content_clear(&found[i].content);
			continue;
		}
		box_content_clear(&found[i].content);
		store_discard(broker->store, found[i].box);
	}
}

static size_t look_into_boxes(Store *store, Found *found)
{
	size_t n = 0;

	while (store->found) {
		StoreBox *box = store->found;
		Found *at = &found[n];
		int r;

		store->found = box->next;
		box->next = NULL;
		*at = (Found){.box = box};
		r = box_look(box->fd, &at->content);
		at->look = r;
		if (r == 0 && at->content.n_fds == 0 && !at->content.mixed) {
			/* empty: the object that was in it has ended */
			store_release(store, &at->box);
			continue;
		}
		n++;
	}
	return n;
}

int restore_begin(Broker *broker, Store *store, Restored **ret)
{
	Restored *restored = calloc(1, sizeof(*restored));
	Found *found = NULL;
	size_t n;
	int r;

	broker->store = store;
	if (!restored)
		return -ENOMEM;
	if (store) {
		broker->last_session = store->numbers->last_session;
		broker->last_lent_filter = store->numbers->last_lent_filter;
		found = calloc(store->n_boxes + 1, sizeof(*found));
		if (!found) {
			free(restored);
			return -ENOMEM;
		}
		n = look_into_boxes(store, found);
		qsort(found, n, sizeof(*found), compare_found);
		for (size_t first = 0, end; first < n; first = end) {
			for (end = first + 1; end < n && same_object(&found[first], &found[end]);)
				end++;
			adopt_object(broker, restored, found + first, end - first);
		}
		free(found);
		r = store_have_spare(store);
		if (r < 0) {
			free(restored->lost);
			free(restored);
			return r;
		}
	}
	*ret = restored;
	return 0;
}

/* Whether its switching was cut short, by what shows in `tasks`. Where that shows it, or does not show all,
 * it is looked at again; what was once seen holds until a look sees that all is as stored. */
static bool was_cut_short(Breakpoint *breakpoint, const TaskFactsList *tasks)
{
	const Session *session = breakpoint->session;
	EventSetState state = event_set_state(&breakpoint->events, tasks, breakpoint->enabled);
	bool cut_short = state == EVENT_SET_IS_NOT;

	for (int n = 0; state != EVENT_SET_IS && n < MORE_LOOKS; n++) {
		_cleanup_(task_facts_clear) TaskFactsList again = {};

		if (task_reader_read(session->broker->reader, session->target.pid, &again) < 0)
			break;
		state = event_set_state(&breakpoint->events, &again, breakpoint->enabled);
		cut_short = state == EVENT_SET_IS_NOT || (cut_short && state != EVENT_SET_IS);
	}
	return cut_short;
}

/* A breakpoint whose switching was cut short is off: who asked for it has not heard that it is on. */
static bool resume_breakpoints(Session *session)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	Broker *broker = session->broker;
	bool watched = false;

	if (task_reader_read(broker->reader, session->target.pid, &tasks) < 0)
		return false;
	for (Breakpoint *at = session->breakpoints; at; at = at->next) {
		/* Where nobody sees it, the switching is gone through with. */
		if (!task_reader_sees_all(broker->reader)) {
			if (!at->spec->events)
				event_set_ioctl(&at->events, at->enabled);
			/* What a client has taken it may have switched itself. */
		} else if (!at->spec->events && was_cut_short(at, &tasks)) {
			breakpoint_silence(at);
			broker->hooks.on_breakpoint_disabled(at, broker->hooks.userdata);
			watched = true;
		}
		watched = watched || (at->enabled && at->spec->limit);
	}
	return watched;
}

static size_t resume_sessions(Broker *broker)
{
	bool watched = false;
	Session *next;
	size_t n = 0;

	for (Session *session = broker->sessions; session; session = next) {
		SessionEnd end = SESSION_CLIENT_GONE;

		next = session->next;
		if (!session->owner.mark && !session->linger) {
			session_end(session, end);
			continue;
		}
		if (!session_resume(session, &end)) {
			if (end == SESSION_NOT_RESTORED)
				session_end(session, end);
			else
				session_target_ended(session, end);
			continue;
		}
		watched = resume_breakpoints(session) || watched;
		broker->hooks.on_session_resumed(session, broker->hooks.userdata);
		n++;
	}
	if (watched && limit_watch_start(broker) < 0)
		log_error("cannot watch for breakpoints that reach their limits");
	return n;
}

static size_t resume_lent_filters(Broker *broker)
{
	LentFilter *next;
	size_t n = 0;

	for (LentFilter *lent = broker->lent_filters; lent; lent = next) {
		next = lent->next;
		if (!lent->owner.mark)
			lent_filter_end(lent, SESSION_CLIENT_GONE);
		else if (filter_is_revoked(lent->filter))
			lent_filter_end(lent, SESSION_CLOSED);
		else
			n++;
	}
	return n;
}

void restore_finish(Broker *broker, Restored *restored)
{
	size_t n_sessions, n_lent;

	if (!restored)
		return;
	for (size_t i = 0; i < restored->n_lost; i++)
		broker->hooks.on_not_restored(restored->lost[i].lent_filter,
					      restored->lost[i].number, broker->hooks.userdata);
	n_sessions = resume_sessions(broker);
	n_lent = resume_lent_filters(broker);
	if (n_sessions + n_lent > 0)
		log_info("took up %zu sessions and %zu lent filters", n_sessions, n_lent);
	free(restored->lost);
	free(restored);
}
