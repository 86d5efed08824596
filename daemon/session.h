/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions: one client's hold on one target, with one ring of hits and the breakpoints that write
 * into it. Nothing here speaks D-Bus: the bus face calls down, and hears of sessions that end by
 * themselves through BrokerHooks.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/broker.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "daemon/target_watch.h"

enum {
	SESSION_DEFAULT_RING_BYTES = 256 * 1024,
	SESSION_MAX_CLIENT_NAME = 64,
};

const char *session_end_name(SessionEnd end);

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

	Charge *charge; /* for the session and its ring */
	int ring_fd;
	uint64_t ring_bytes;
	bool ring_taken;

	Breakpoint *breakpoints; /* list by Breakpoint.next, newest first; owns */
	uint32_t last_breakpoint;
	uint64_t removed_hits, removed_dropped; /* of breakpoints that are gone */

	TargetWatch *watch;
};

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

/* Whether the owner may still debug the target: asked before anything is handed out.
 * Return: as access_check. */
int session_look(const Session *session, Refusal *refusal);

/* Looks, enables, and looks again. Return: 0; as access_check, and it is disabled; negative errno. */
int session_enable_breakpoint(Breakpoint *breakpoint, Refusal *refusal);

/* Revokes and frees it. */
void session_remove_breakpoint(Breakpoint *breakpoint);

Breakpoint *session_find_breakpoint(const Session *session, uint32_t number);

/* Over all breakpoints the session ever had. */
void session_read_hits(const Session *session, uint64_t *ret_hits, uint64_t *ret_dropped);

#endif
