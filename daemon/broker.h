/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker: what all sessions and lent filters share, and the lists of them.
 */
#ifndef BROKER_H
#define BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/bpf_engine.h"
#include "daemon/bpf_tasks.h"
#include "daemon/charge.h"
#include "daemon/quota.h"
#include "daemon/settings.h"
#include "daemon/sink.h"
#include "kernel/features.h"

typedef struct Breakpoint Breakpoint;
typedef struct Broker Broker;
typedef struct LentFilter LentFilter;
typedef struct Session Session;

/* Why a session ended, as SessionClosed says it. */
typedef enum SessionEnd {
	SESSION_CLOSED,
	SESSION_CLIENT_GONE,
	SESSION_TARGET_EXITED,
	SESSION_TARGET_EXEC,
	SESSION_ADMINISTRATOR,
	SESSION_DAEMON_STOPPING,
} SessionEnd;

typedef struct BrokerHooks {
	void *userdata;
	/* The session is still whole; it is freed when this returns. */
	void (*on_session_end)(Session *session, SessionEnd end, void *userdata);
	void (*on_breakpoint_disabled)(Breakpoint *breakpoint, void *userdata);
	/* A hit of a lingering session, as JSON. Return: whether anybody was told. */
	bool (*on_hit)(Session *session, uint32_t breakpoint, const char *json, void *userdata);
} BrokerHooks;

struct Broker {
	sd_event *event; /* borrowed */
	TaskReader *reader;
	FilterEngine *engine;
	Features features; /* see broker_features */
	QuotaTable *quota;
	RateTable *rates;
	ChargeBook *charges;
	BrokerHooks hooks;
	Session *sessions; /* list by Session.next, newest first; owns */
	uint32_t last_session;
	LentFilter *lent_filters; /* list by LentFilter.next, newest first; owns */
	uint32_t last_lent_filter;
	sd_event_source *limit_timer;
	SinkRelay relay; /* of all that is forwarded into pipes */
};

/*
 * `event` is borrowed.
 * Return: 0 and *ret (broker_free); -EOPNOTSUPP on a kernel without BTF; negative errno.
 */
int broker_new(sd_event *event, const Settings *settings, const BrokerHooks *hooks, Broker **ret);

/*
 * What the kernel can do. Found out at start, and anew when kernel.perf_event_paranoid has another value
 * than it had then: on it depends whether the daemon may try at all. Where that cannot be done, what
 * is known stays.
 */
const Features *broker_features(Broker *broker);

/* Ends all sessions (SESSION_DAEMON_STOPPING). Return: NULL. */
Broker *broker_free(Broker *broker);

Session *broker_find_session(const Broker *broker, uint32_t number);
size_t broker_count_sessions(const Broker *broker);
size_t broker_count_breakpoints(const Broker *broker);

/* Ends every session of that owner (SESSION_CLIENT_GONE) that does not linger, and revokes what was lent
 * to it. */
void broker_end_owner(Broker *broker, const void *mark);

#endif
