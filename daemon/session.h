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

/* Who asked for the session, or for something of it, as the bus face knows it: an opaque mark of the
 * connection, and the process that opened it. Borrowed: until session_orphan. */
typedef struct SessionOwner {
	const void *mark; /* NULL: it is gone */
	uid_t uid;
	const Process *process;
	const char *name;   /* unique, of the connection */
	const char *bus_id; /* of the run of the bus that it is on */
} SessionOwner;

typedef struct Forward Forward;
typedef struct HitSignals HitSignals;

/* What becomes of the records in a session's ring: the first who asks decides, for good. */
typedef enum HitsUse {
	HITS_UNCLAIMED, /* they stay there; of a lingering session signals are made of some */
	HITS_TAKEN,     /* the client reads them, and the daemon never again */
	HITS_FORWARDED,
} HitsUse;

/* What a client asks of a session. */
typedef struct SessionOptions {
	uint64_t ring_bytes;
	const char *client; /* a name for listings; NULL: none */
	bool linger;        /* outlives its owner's connection */
} SessionOptions;

struct Session {
	Broker *broker;
	Session *next;
	uint32_t number;
	SessionOwner owner; /* mark and process are NULL when it has outlived them */
	pid_t owner_pid;
	bool linger;
	Process target; /* pinned to the exec at which the session was asked for */
	bool approved;  /* an administrator allowed it, for want of a rule that does */
	char client[SESSION_MAX_CLIENT_NAME + 1];

	Charge *charge; /* for the session and its ring */
	int ring_fd;
	uint64_t ring_bytes;
	HitsUse hits_use;
	Forward *forward;    /* with HITS_FORWARDED */
	HitSignals *signals; /* while somebody listens and the ring is unclaimed */

	Breakpoint *breakpoints; /* list by Breakpoint.next, newest first; owns */
	uint32_t last_breakpoint;
	/* Of breakpoints that are gone; the last two as filter_control has them of the others. */
	uint64_t removed_hits, removed_dropped;
	uint64_t removed_delivered, removed_undelivered;

	TargetWatch *watch;
	SessionEnd ending; /* with HITS_FORWARDED: why it ends once the last hits are delivered */

	StoreBox *box;       /* NULL: it does not outlive the daemon */
	uint32_t generation; /* of what lies there */
};

/*
 * Opens a session. *target is taken over on success; else it is pinned to its present exec, so that
 * a second try is about the same program. `approved`: see access_check; *target must have been
 * pinned when the question was asked.
 *
 * Return: 0 and *ret, owned by the broker; REFUSED_NOT_AUTHORIZED, _TARGET_EXITED, _QUOTA_EXCEEDED,
 * _INVALID_ARGUMENT, _NOT_SUPPORTED and *refusal; negative errno.
 */
int session_open(Broker *broker, const SessionOwner *owner, Process *target, bool approved,
		 const SessionOptions *options, Session **ret, Refusal *refusal);

/* Revokes and removes its breakpoints, tells the hook and frees it. */
void session_end(Session *session, SessionEnd end);

/* The same for the end of its target (`end`): hits that are being forwarded are waited for, as long as
 * their reader takes some. */
void session_target_ended(Session *session, SessionEnd end);

/* Frees it and leaves all that it has to the daemon after this one: nothing is revoked, disabled or
 * told. */
void session_leave(Session *session);

/* What there is of a session that is in no list: revokes, frees. Return: NULL. */
Session *session_discard(Session *session);

/*
 * Watches the target of a session that was taken up, and which may have ended meanwhile: then *ret_end
 * says how, and the session is to be ended.
 *
 * Return: whether it goes on.
 */
bool session_resume(Session *session, SessionEnd *ret_end);

/* Its owner's connection is gone, and it lingers. */
void session_orphan(Session *session);

/*
 * The functions below are called for an `actor`: the owner, or with a lingering session another
 * connection of the owner's user, whose own rights then count. An administrator's yes was given to the
 * owner: to another connection of the same user it says no more than that the target may be debugged.
 */

/*
 * The whole of AddBreakpoint, in the order that trust demands: open disabled, look, enable, look
 * again. The spec is `length` bytes of JSON.
 *
 * Return: 0 and *ret, owned by the session; a refusal; negative errno. Nothing stays open of what
 * was refused.
 */
int session_add_breakpoint(Session *session, const SessionOwner *actor, const char *spec,
			   size_t length, Breakpoint **ret, Refusal *refusal);

/* Whether the actor may still debug the target: asked before anything is handed out.
 * Return: as access_check. */
int session_look(const Session *session, const SessionOwner *actor, Refusal *refusal);

/* Looks, enables, and looks again. Return: 0; as access_check, and it is disabled; negative errno. */
int session_enable_breakpoint(Breakpoint *breakpoint, const SessionOwner *actor, Refusal *refusal);

/*
 * Claim the ring: for a client, who then is its only reader (the descriptor stays the session's; claim it
 * before it is given away: that holds for the next daemon too), or for `sink` (borrowed), into which the
 * daemon writes every hit from now on, those included that are in the ring already.
 *
 * Return: 0; REFUSED_INVALID_ARGUMENT when it is claimed already, or the sink is none; as access_check;
 * REFUSED_QUOTA_EXCEEDED when there may be no process for a pipe; negative errno.
 */
int session_check_unclaimed(const Session *session, Refusal *refusal);
int session_claim_ring(Session *session);
int session_forward(Session *session, const SessionOwner *actor, int sink_fd, const char *format,
		    Refusal *refusal);

/* Notes a record that was taken out of the ring by the daemon: whether it reached somebody. */
void session_count_hit(Session *session, uint32_t breakpoint, bool delivered);

/* How many have. */
uint64_t session_count_delivered(const Session *session);

/* Revokes and frees it. */
void session_remove_breakpoint(Breakpoint *breakpoint);

Breakpoint *session_find_breakpoint(const Session *session, uint32_t number);

/* Whether all hits that did not reach a reader are dropped by now, whatever the filters' own counts say. */
bool session_has_stopped_forwarding(const Session *session);

/* Over all breakpoints the session ever had. */
void session_read_hits(const Session *session, uint64_t *ret_hits, uint64_t *ret_dropped);

#endif
