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
#include "daemon/task_reader.h"
#include "daemon/charge.h"
#include "daemon/process.h"
#include "daemon/quota.h"
#include "daemon/settings.h"
#include "daemon/relay_keeper.h"
#include "kernel/features.h"

typedef struct Breakpoint Breakpoint;
typedef struct Broker Broker;
typedef struct LentFilter LentFilter;
typedef struct Session Session;
typedef struct SessionOwner SessionOwner;
typedef struct Store Store;
typedef struct StoreBox StoreBox;

/* Why a session ended, as SessionClosed says it. */
typedef enum SessionEnd {
	SESSION_CLOSED,
	SESSION_CLIENT_GONE,
	SESSION_TARGET_EXITED,
	SESSION_TARGET_EXEC,
	SESSION_ADMINISTRATOR,
	SESSION_DAEMON_STOPPING,
	SESSION_NOT_RESTORED, /* after a restart of the daemon */
} SessionEnd;

/* Whose an object was that is taken up, as it is written down. The process's descriptor is the hook's
 * on success. */
typedef struct OwnerDescription {
	const char *bus_id;
	const char *name;
	uid_t uid;
	Process *process;
} OwnerDescription;

typedef struct BrokerHooks {
	void *userdata;
	/* The session is still whole; it is freed when this returns. */
	void (*on_session_end)(Session *session, SessionEnd end, void *userdata);
	void (*on_breakpoint_disabled)(Breakpoint *breakpoint, void *userdata);
	/* A hit of a lingering session, as JSON. Return: whether anybody was told. */
	bool (*on_hit)(Session *session, uint32_t breakpoint, const char *json, void *userdata);
	/* A lent filter has been called back, and is freed when this returns. */
	void (*on_filter_returned)(LentFilter *lent, SessionEnd end, void *userdata);
	/* It goes on, after a restart of the daemon. */
	void (*on_session_resumed)(Session *session, void *userdata);
	/* What the daemon before this one left under that number could not be taken up, and is closed. */
	void (*on_not_restored)(bool lent_filter, uint32_t number, void *userdata);
	/* Finds the connection of an owner again. Return: 0 and *ret; -ENOENT when it is gone. */
	int (*find_owner)(const OwnerDescription *description, SessionOwner *ret, void *userdata);
} BrokerHooks;

struct Broker {
	sd_event *event;    /* borrowed */
	TaskReader *reader;
	FilterEngine *engine;
	Features features; /* see broker_features */
	unsigned long long probed_usec;
	QuotaTable *quota;
	RateTable *rates;
	ChargeBook *charges;
	BrokerHooks hooks;
	Session *sessions; /* list by Session.next, newest first; owns */
	uint32_t last_session;
	LentFilter *lent_filters; /* list by LentFilter.next, newest first; owns */
	uint32_t last_lent_filter;
	sd_event_source *limit_timer;
	RelayPages pages;    /* for what is forwarded into pipes */
	RelayKeeper *relays; /* of pipes that nothing is forwarded into any more */
	/* CLOCK_MONOTONIC, while several forwardings end: how long forward.c waits for all their readers. */
	unsigned long long readers_until;
	Store *store; /* NULL: nothing outlives the daemon */
};

/*
 * `event` is borrowed.
 * Return: 0 and *ret (broker_free); negative errno.
 */
int broker_new(sd_event *event, const Settings *settings, const BrokerHooks *hooks, Broker **ret);

/*
 * What the kernel can do. Found out at start, and anew when kernel.perf_event_paranoid has another value
 * than it had then: on it depends whether the daemon may try at all; and, at most once a second, as long as
 * others hold all debug registers. Where that cannot be done, what is known stays.
 */
const Features *broker_features(Broker *broker);

/* Ends all sessions and calls all lent filters back (SESSION_DAEMON_STOPPING). Return: NULL. */
Broker *broker_free(Broker *broker);

/* Leaves what is written down to the daemon after this one; with `lingering` only what needs no
 * connection to the bus. */
void broker_leave(Broker *broker, bool lingering);

Session *broker_find_session(const Broker *broker, uint32_t number);
size_t broker_count_sessions(const Broker *broker);
size_t broker_count_breakpoints(const Broker *broker);

/* Ends every session of that owner (SESSION_CLIENT_GONE) that does not linger, and revokes what was lent
 * to it. */
void broker_end_owner(Broker *broker, const void *mark);

#endif
