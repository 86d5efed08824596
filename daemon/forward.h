/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding: the daemon reads a session's ring and writes each hit into a sink.
 *
 * A reader that is slow leaves hits in the ring, which the kernel's filter finds full sooner or later:
 * it counts what it drops, and the daemon sleeps until the sink has room. What has been taken out of
 * the ring is written to its end, so no record or line is ever torn, but for one that the end of the
 * sink cuts. So at any time
 *
 *	hits = records in the ring + taken, not yet delivered + delivered + dropped
 *
 * and when the forwarding has ended, whatever was not delivered is dropped: dropped = hits - delivered,
 * also for the hits that come later.
 *
 * Each turn of the loop takes a bounded number of records, behind everything else that is to be done:
 * no target that hits without end delays a call.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/session.h"
#include "daemon/sink.h"

typedef enum ForwardFormat {
	FORWARD_JSON_LINES,
	FORWARD_BINARY, /* records as in bpcond/hit.h */
} ForwardFormat;

/* By its name on the bus. Return: 0 and *ret; REFUSED_INVALID_ARGUMENT and *refusal. */
int forward_parse_format(const char *name, ForwardFormat *ret, Refusal *refusal);

/* Takes *sink over on success. The session's ring must never have left the daemon.
 * Return: 0 and *ret (forward_free); negative errno. */
int forward_new(Session *session, Sink *sink, ForwardFormat format, Forward **ret);

/* Leaves the sink to another process, or to nobody: whoever ends the forwarding has called forward_end
 * or forward_abandon before. Return: NULL. */
Forward *forward_free(Forward *forward);

/* Ends it, delivering nothing more, and frees it. Return: NULL. */
Forward *forward_abandon(Forward *forward);

/* One whose end has come before. Return: 0 and *ret (forward_free); -ENOMEM. */
int forward_new_ended(Session *session, Forward **ret);

/* Of a forwarding that has not ended: where to. */
const Sink *forward_sink(const Forward *forward);
ForwardFormat forward_format(const Forward *forward);

/*
 * Delivers what has been taken out of the ring as far as the reader has room, within a few milliseconds,
 * and takes nothing more; the rest is for forward_go_on. Return: 0 and *ret (free(); NULL where there is
 * no rest); -ENOMEM.
 */
int forward_leave(Forward *forward, void **ret, size_t *ret_bytes);

/* Has a new forwarding deliver what forward_leave left, before anything else. Return: 0; -EBADMSG; another
 * negative errno. */
int forward_go_on(Forward *forward, const void *left, size_t bytes);

/* Delivers what the reader has room for now, within a few milliseconds, and ends. */
void forward_end(Forward *forward);

/* Whether it has ended: there is no sink any more. */
bool forward_has_ended(const Forward *forward);

/*
 * Delivers what is left after the target's end, as long as the reader goes on reading, then calls
 * `done`, once and perhaps at once; the forwarding can be freed there.
 */
typedef void (*ForwardDone)(Session *session);
int forward_finish(Forward *forward, ForwardDone done);

#endif
