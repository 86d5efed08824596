/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where forwarded hits go: a pipe or a UNIX socket that a client passed, written to without ever waiting.
 *
 * The open file behind the descriptor is the client's too, who may clear O_NONBLOCK at any time; so
 * nothing here trusts that flag. A socket is written to with MSG_DONTWAIT. A pipe has no such thing:
 * the bytes go into a pipe of the daemon's own (SinkRelay, empty between two writes) and are moved
 * from there with SPLICE_F_NONBLOCK; what did not fit is taken back.
 *
 * UNIX sockets only: in other families a holder of the socket can keep it locked while the daemon
 * writes (a TLS layer, which the client may put on at any time, waits under its lock). And the reader
 * must be of the client's own user, where the kernel can tell: it may be shown who wrote, and that is the
 * daemon.
 */
#ifndef SINK_H
#define SINK_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/refusal.h"

typedef enum SinkKind {
	SINK_PIPE,
	SINK_STREAM,
	SINK_MESSAGES, /* a datagram or seqpacket socket: each write is one message */
} SinkKind;

typedef struct Sink {
	int sink_fd; /* owned */
	SinkKind kind;
} Sink;

#define SINK_NONE ((Sink){.sink_fd = -EBADF})

typedef struct SinkRelay {
	int read_fd, write_fd;
} SinkRelay;

#define SINK_RELAY_NONE ((SinkRelay){.read_fd = -EBADF, .write_fd = -EBADF})

/* Return: 0 and *ret (sink_relay_clear); negative errno. */
int sink_relay_init(SinkRelay *ret);
void sink_relay_clear(SinkRelay *relay);

/*
 * From a descriptor that a client of that user passed (borrowed; duplicated here).
 *
 * Return: 0 and *ret (sink_clear); REFUSED_INVALID_ARGUMENT and *refusal when it is not the write end of
 * a pipe, nor a connected UNIX socket; negative errno.
 */
int sink_open(int fd, uid_t uid, Sink *ret, Refusal *refusal);
void sink_clear(Sink *sink);

/*
 * Writes as much as the reader has room for, at once.
 *
 * Return: how many bytes, at least 1, and of messages all of them; -EAGAIN when there is no room;
 * -EMSGSIZE for a message that never fits into this socket; -EPIPE when the reader is gone, in whatever
 * way; another negative errno for a failure of ours.
 */
ssize_t sink_write(const Sink *sink, const SinkRelay *relay, const void *bytes, size_t size);

#endif
