/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "daemon/breakpoint.h"
#include "daemon/broker.h"
#include "daemon/lent_filter.h"
#include "daemon/session.h"
#include "daemon/store.h"
#include "daemon/store_object.h"
#include "daemon/util.h"

/* The readers of all sessions together are waited for so long when the daemon ends: less than systemd
 * waits for it (TimeoutStopSec=). */
#define READERS_USEC 2000000

/* Those of one connection, when it has gone. */
#define LOST_READERS_USEC 20000

/* What others' events kept from being found out is looked at anew no sooner: a call waits for it. */
#define PROBE_AGAIN_USEC 1000000

int broker_new(sd_event *event, const Settings *settings, const BrokerHooks *hooks, Broker **ret)
{
	Broker *broker;
	int r;

	broker = calloc(1, sizeof(*broker));
	if (!broker)
		return -ENOMEM;
	broker->event = event;
	broker->hooks = *hooks;
	broker->pages = RELAY_PAGES_NONE;
	r = quota_new(settings->quotas, &broker->quota);
	if (r < 0)
		goto fail;
	r = relay_pages_init(&broker->pages);
	if (r < 0)
		goto fail;
	r = relay_keeper_new(event, broker->quota, &broker->relays);
	if (r < 0)
		goto fail;
	r = rate_new(settings->rates, &broker->rates);
	if (r < 0)
		goto fail;
	r = charge_book_new(event, broker->quota, &broker->charges);
	if (r < 0)
		goto fail;
	broker->probed_usec = now_usec();
	r = features_probe(&broker->features);
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

const Features *broker_features(Broker *broker)
{
	bool again = broker->features.slots_taken &&
		     now_usec() - broker->probed_usec >= PROBE_AGAIN_USEC;
	int paranoid;

	if (again || (read_perf_event_paranoid(&paranoid) == 0 &&
		      paranoid != broker->features.perf_event_paranoid)) {
		broker->probed_usec = now_usec();
		features_probe(&broker->features);
	}
	return &broker->features;
}

static void bound_waiting(Broker *broker, unsigned long long usec)
{
	if (broker->readers_until == 0)
		broker->readers_until = now_usec() + usec;
}

Broker *broker_free(Broker *broker)
{
	if (!broker)
		return NULL;
	bound_waiting(broker, READERS_USEC);
	while (broker->sessions)
		session_end(broker->sessions, SESSION_DAEMON_STOPPING);
	while (broker->lent_filters)
		lent_filter_end(broker->lent_filters, SESSION_DAEMON_STOPPING);
	sd_event_source_disable_unref(broker->limit_timer);
	task_reader_free(broker->reader);
	filter_engine_free(broker->engine);
	charge_book_free(broker->charges);
	rate_free(broker->rates);
	relay_keeper_free(broker->relays);
	relay_pages_clear(&broker->pages);
	quota_free(broker->quota);
	store_free(broker->store);
	free(broker);
	return NULL;
}

void broker_leave(Broker *broker, bool lingering)
{
	LentFilter *next_lent;
	Session *next;

	bound_waiting(broker, READERS_USEC);
	for (Session *session = broker->sessions; session; session = next) {
		next = session->next;
		if (lingering && !session->linger)
			continue;
		store_session_left(session);
		if (session->box)
			session_leave(session);
	}
	for (LentFilter *lent = broker->lent_filters; lent && !lingering; lent = next_lent) {
		next_lent = lent->next;
		if (lent->box)
			lent_filter_leave(lent);
	}
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
			lent_filter_end(lent, SESSION_CLIENT_GONE);
	}

	bound_waiting(broker, LOST_READERS_USEC);
	for (Session *session = broker->sessions; session; session = next) {
		next = session->next;
		if (session->owner.mark != mark)
			continue;
		if (session->linger)
			session_orphan(session);
		else
			session_end(session, SESSION_CLIENT_GONE);
	}
	broker->readers_until = 0;
}
