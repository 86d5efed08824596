/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions: one client's hold on one target, with one ring of hits and the breakpoints that write
 * into it. The broker is what all sessions share. Nothing here speaks D-Bus: the bus face calls
 * down, and hears of sessions that end by themselves through BrokerHooks.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/bpf_filter.h"
#include "daemon/bpf_tasks.h"
#include "daemon/process.h"
#include "daemon/quota.h"
#include "daemon/refusal.h"

typedef struct Breakpoint Breakpoint;
typedef struct Broker Broker;
typedef struct LentFilter LentFilter;
typedef struct Session Session;

enum {
	SESSION_DEFAULT_RING_BYTES = 256 * 1024,
	SESSION_MAX_CLIENT_NAME = 64,
};

/* Why a session ended, as SessionClosed says it. */
typedef enum SessionEnd {
	SESSION_CLOSED,
	SESSION_CLIENT_GONE,
	SESSION_TARGET_EXITED,
	SESSION_TARGET_EXEC,
	SESSION_ADMINISTRATOR,
	SESSION_DAEMON_STOPPING,
} SessionEnd;

const char *session_end_name(SessionEnd end);

typedef struct BrokerHooks {
	void *userdata;
	/* The session is still whole; it is freed when this returns. */
	void (*on_session_end)(Session *session, SessionEnd end, void *userdata);
	void (*on_breakpoint_disabled)(Breakpoint *breakpoint, void *userdata);
} BrokerHooks;

struct Broker {
	sd_event *event; /* borrowed */
	TaskReader *reader;
	FilterEngine *engine;
	QuotaTable *quota;
	BrokerHooks hooks;
	Session *sessions; /* list by Session.next, newest first; owns */
	uint32_t last_session;
	LentFilter *lent_filters; /* list by LentFilter.next, newest first; owns */
	uint32_t last_lent_filter;
	sd_event_source *limit_timer;
};

/* Who asked for the session, as the bus face knows it: an opaque mark of the connection, and the
 * process that opened it. Borrowed for the session's life. */
typedef struct SessionOwner {
	const void *mark;
	uid_t uid;
	const Process *process;
} SessionOwner;

struct Session {
	Broker *broker;
	Session *next;
	uint32_t number;
	SessionOwner owner;
	Process target; /* pinned to the exec at which the session was asked for */
	bool approved;  /* an administrator allowed it, for want of a rule that does */
	char client[SESSION_MAX_CLIENT_NAME + 1];

	int ring_fd;
	uint64_t ring_bytes;
	bool ring_taken;

	Breakpoint *breakpoints; /* list by Breakpoint.next, newest first; owns */
	uint32_t last_breakpoint;
	uint64_t removed_hits, removed_dropped; /* of breakpoints that are gone */

	sd_event_source *exit_source; /* the target's pidfd */
	sd_event_source *exec_source; /* the exec watch */
	sd_event_source *recheck_timer;
	int exec_watch_fd;
	void *exec_watch_memory;
	pid_t exec_watch_tid;
};

/*
 * `limits` in the order of QuotaResource. `event` is borrowed.
 * Return: 0 and *ret (broker_free); -EOPNOTSUPP on a kernel without BTF; negative errno.
 */
int broker_new(sd_event *event, const uint64_t limits[static QUOTA_RESOURCES],
	       const BrokerHooks *hooks, Broker **ret);

/* Ends all sessions (SESSION_DAEMON_STOPPING). Return: NULL. */
Broker *broker_free(Broker *broker);

Session *broker_find_session(const Broker *broker, uint32_t number);
size_t broker_count_sessions(const Broker *broker);
size_t broker_count_breakpoints(const Broker *broker);

/* Has breakpoints with a limit looked at until they reach it: call it when one is enabled.
 * Return: 0; negative errno. */
int broker_watch_limits(Broker *broker);

/* Ends every session of that owner (SESSION_CLIENT_GONE), and revokes what was lent to it. */
void broker_end_owner(Broker *broker, const void *mark);

/*
 * Opens a session. *target is taken over on success; else it is pinned to its present exec, so that
 * a second try is about the same program. `approved`: see access_check; *target must have been
 * pinned when the question was asked. `client` is a name for listings, or NULL.
 *
 * Return: 0 and *ret, owned by the broker; REFUSED_NOT_AUTHORIZED, _TARGET_EXITED, _QUOTA_EXCEEDED,
 * _INVALID_ARGUMENT, _NOT_SUPPORTED and *refusal; negative errno.
 */
int session_open(Broker *broker, const SessionOwner *owner, Process *target, bool approved,
		 uint64_t ring_bytes, const char *client, Session **ret, Refusal *refusal);

/* Whether a ring may have that size. Return: 0; REFUSED_INVALID_ARGUMENT. */
int session_check_ring_bytes(uint64_t bytes, Refusal *refusal);

/* Revokes and removes its breakpoints, tells the hook and frees it. */
void session_end(Session *session, SessionEnd end);

/*
 * The whole of AddBreakpoint, in the order that trust demands: open disabled, look, enable, look
 * again. The spec is `length` bytes of JSON.
 *
 * Return: 0 and *ret, owned by the session; a refusal; negative errno. Nothing stays open of what
 * was refused.
 */
int session_add_breakpoint(Session *session, const char *spec, size_t length, Breakpoint **ret,
			   Refusal *refusal);

/* Revokes and frees it. */
void session_remove_breakpoint(Breakpoint *breakpoint);

Breakpoint *session_find_breakpoint(const Session *session, uint32_t number);

/* Over all breakpoints the session ever had. */
void session_read_hits(const Session *session, uint64_t *ret_hits, uint64_t *ret_dropped);

#endif
