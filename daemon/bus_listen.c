/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bus_listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/hit_signals.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* Longer than a program needs that calls once and goes. */
#define SETTLE_USEC 200000

/* For so long they are looked at at one turn of the event loop. */
#define TURN_USEC 5000

/* A caller's interest in a session. */
struct Listener {
	Listener *next;     /* of the caller */
	Listener *next_all; /* of the bus */
	Caller *caller;
	uint32_t session;
	unsigned long long since_usec;
	bool settled; /* it is told of hits */
};

static Listener *find(const Caller *caller, const Session *session)
{
	for (Listener *at = caller->listens; at; at = at->next)
		if (at->session == session->number)
			return at;
	return NULL;
}

static bool is_heard(const Bus *bus, const Session *session)
{
	for (const Listener *at = bus->listeners; at; at = at->next_all)
		if (at->session == session->number && at->settled)
			return true;
	return false;
}

/* Takes it out of both lists and frees it. */
static void forget(Listener *listener)
{
	Listener **at;

	for (at = &listener->caller->listens; *at != listener; at = &(*at)->next)
		;
	*at = listener->next;
	for (at = &listener->caller->bus->listeners; *at != listener; at = &(*at)->next_all)
		;
	*at = listener->next_all;
	free(listener);
}

/* Has the session tell its hits, if they are still to be told. Return: 0; negative errno. */
static int tell_hits(Session *session)
{
	int r;

	if (session->hits_use != HITS_UNCLAIMED)
		return 0;
	if (!session->signals) {
		r = hit_signals_new(session, &session->signals);
		if (r < 0)
			return r;
	}
	return hit_signals_resume(session->signals);
}

static void settle(Listener *listener, Session *session)
{
	const Caller *caller = listener->caller;
	const SessionOwner actor = {
		.mark = caller, .uid = caller->uid, .process = &caller->process};
	Refusal refusal;
	int r;

	r = session_look(session, &actor, &refusal);
	if (r > 0) {
		/* It may ask, as any of its user's; but not be shown the target's memory. */
		forget(listener);
		return;
	}
	if (r == 0) {
		listener->settled = true;
		r = tell_hits(session);
	}
	if (r < 0)
		log_error("cannot tell %s the hits of session %u: %s", caller->name,
			  session->number, strerror(-r));
}

static int start_timer(Bus *bus, uint64_t usec)
{
	int enabled, r;

	r = sd_event_source_get_enabled(bus->listen_timer, &enabled);
	if (r < 0 || enabled != SD_EVENT_OFF)
		return r;
	r = sd_event_source_set_time_relative(bus->listen_timer, usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(bus->listen_timer, SD_EVENT_ONESHOT);
}

/* Whoever calls cheaply can have very much looked at here, so it is done by and by, and is its user's
 * time: a user who has none left waits. Return: when to go on; 0 when all have settled. */
static uint64_t settle_all(Bus *bus, unsigned long long now)
{
	RateTable *rates = bus->broker->rates;
	uint64_t again = 0;
	Listener *next;

	for (Listener *at = bus->listeners; at; at = next) {
		Session *session = broker_find_session(bus->broker, at->session);
		const unsigned long long before = work_usec();
		const uid_t uid = at->caller->uid;

		next = at->next_all;
		if (!session || at->settled)
			continue;
		if (now_usec() - now > TURN_USEC)
			return TURN_USEC;
		if (now - at->since_usec < SETTLE_USEC / 10 * 9 ||
		    rate_is_overdrawn(rates, uid, now)) {
			again = SETTLE_USEC;
			continue;
		}
		settle(at, session);
		rate_charge(rates, uid, work_usec() - before);
	}
	return again;
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	Bus *bus = userdata;
	uint64_t again = settle_all(bus, now_usec());
	int r;

	if (again == 0)
		return 0;
	r = start_timer(bus, again);
	if (r < 0)
		log_error("cannot wait for those who listen: %s", strerror(-r));
	return 0;
}

int bus_listen_start(Bus *bus)
{
	int r;

	r = sd_event_add_time(bus->broker->event, &bus->listen_timer, CLOCK_MONOTONIC, UINT64_MAX,
			      SETTLE_USEC / 10, on_settled, bus);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(bus->listen_timer, SD_EVENT_OFF);
}

void bus_listen_stop(Bus *bus)
{
	bus->listen_timer = sd_event_source_disable_unref(bus->listen_timer);
}

void bus_listen(Caller *caller, Session *session)
{
	Listener *listener;
	int r;

	if (!session->linger || session->hits_use != HITS_UNCLAIMED ||
	    caller->uid != session->owner.uid || find(caller, session))
		return;
	listener = calloc(1, sizeof(*listener));
	r = listener ? start_timer(caller->bus, SETTLE_USEC) : -ENOMEM;
	if (r < 0) {
		free(listener);
		log_error("cannot note that %s listens to session %u: %s", caller->name,
			  session->number, strerror(-r));
		return;
	}
	listener->session = session->number;
	listener->since_usec = now_usec();
	listener->caller = caller;
	listener->next = caller->listens;
	caller->listens = listener;
	listener->next_all = caller->bus->listeners;
	caller->bus->listeners = listener;
}

void bus_listen_resume(Session *session, void *userdata)
{
	Caller *owner = (Caller *)session->owner.mark;

	if (owner)
		bus_listen(owner, session);
}

void bus_listen_forget_caller(Caller *caller)
{
	Bus *bus = caller->bus;

	while (caller->listens) {
		Session *session = broker_find_session(bus->broker, caller->listens->session);

		forget(caller->listens);
		if (session && session->signals && !is_heard(bus, session))
			hit_signals_pause(session->signals);
	}
}

void bus_listen_forget_session(Bus *bus, Session *session)
{
	Listener *next;

	for (Listener *at = bus->listeners; at; at = next) {
		next = at->next_all;
		if (at->session == session->number)
			forget(at);
	}
}

static int send_hit(Bus *bus, const Session *session, const Caller *to, uint32_t breakpoint,
		    const char *json)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
	char path[BUS_MAX_PATH];
	int r;

	bus_session_path(session, path);
	r = sd_bus_message_new_signal(bus->bus, &signal, path, BUS_SESSION, "Hit");
	if (r < 0)
		return r;
	r = sd_bus_message_append(signal, "ts", (uint64_t)breakpoint, json);
	if (r < 0)
		return r;
	return sd_bus_send_to(bus->bus, signal, to->name, NULL);
}

bool bus_listen_on_hit(Session *session, uint32_t breakpoint, const char *json, void *userdata)
{
	Bus *bus = userdata;
	bool told = false;

	for (const Listener *at = bus->listeners; at; at = at->next_all) {
		int r;

		if (at->session != session->number || !at->settled)
			continue;
		r = send_hit(bus, session, at->caller, breakpoint, json);
		if (r < 0)
			log_error("cannot tell %s a hit of session %u: %s", at->caller->name,
				  session->number, strerror(-r));
		else
			told = true;
	}
	return told;
}

int bus_listen_last_word(Bus *bus, const Breakpoint *breakpoint)
{
	const Session *session = breakpoint->session;
	const Caller *owner = session->owner.mark;
	int r = 0;

	if (owner)
		r = bus_breakpoint_last_word(bus, breakpoint, owner->name);
	for (const Listener *at = bus->listeners; at && r >= 0; at = at->next_all)
		if (at->session == session->number && at->caller != owner)
			r = bus_breakpoint_last_word(bus, breakpoint, at->caller->name);
	return r;
}
