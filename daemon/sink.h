/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where forwarded hits go: a pipe or a UNIX socket that a client passed, written to without ever waiting.
 *
 * The open file behind the descriptor is the client's too, who may clear O_NONBLOCK at any time; so
 * nothing here trusts that flag. A socket is written to with MSG_DONTWAIT. A pipe has a process of its own
 * that writes into it (pipe_relay.h): its lock can be held by others, and the daemon keeps no
 * descriptor of it.
 *
 * UNIX sockets only: in other families a holder of the socket can keep it locked while the daemon
 * writes (a TLS layer, which the client may put on at any time, waits under its lock). And the reader
 * must be of the client's own user, where the kernel can tell: it may be shown who wrote, and that is the
 * daemon.
 */
#ifndef SINK_H
#define SINK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/pipe_relay.h"
#include "daemon/refusal.h"
#include "daemon/relay_keeper.h"

enum {
	SINK_MAX_DESCRIPTORS = 3, /* as many as that of a pipe has */
};

typedef enum SinkKind {
	SINK_PIPE,
	SINK_STREAM,
	SINK_MESSAGES, /* a datagram or seqpacket socket: each write is one message */
} SinkKind;

typedef struct Sink {
	SinkKind kind;
	int socket_fd;   /* owned; -EBADF for a pipe */
	PipeRelay relay; /* of a pipe */
} Sink;

#define SINK_NONE ((Sink){.socket_fd = -EBADF, .relay = PIPE_RELAY_NONE})

/*
 * From a descriptor that a client of that user passed (borrowed; duplicated here).
 *
 * Return: 0 and *ret (sink_clear or sink_release); REFUSED_INVALID_ARGUMENT and *refusal when it is not the
 * write end of a pipe, nor a connected UNIX socket; REFUSED_QUOTA_EXCEEDED when there may be no more
 * processes; negative errno.
 */
int sink_open(int fd, uid_t uid, Sink *ret, Refusal *refusal);

/* What sink_descriptors gave, in another process later. Those that are taken over become -EBADF.
 * Return: as sink_open; -EBADMSG when they are something else. */
int sink_adopt(bool is_pipe, int *fds, uid_t uid, Sink *ret, Refusal *refusal);

/* The descriptors by which it goes on elsewhere, borrowed. Return: how many. */
size_t sink_descriptors(const Sink *sink, int ret[static SINK_MAX_DESCRIPTORS]);

/* Closes it here: another process goes on with it, or nobody. */
void sink_clear(Sink *sink);

/* Closes it, and waits for so many microseconds at most until the reader has its end; sink_release must
 * follow. For a sink whose message is gone. */
void sink_close(Sink *sink, unsigned long long usec);

/* It has ended: nothing more is written, and what writes into a pipe ends too. Safe while the message
 * that brought the descriptor is still there, and when it is none any more. */
void sink_release(Sink *sink, RelayKeeper *keeper, uid_t uid);

bool sink_is_open(const Sink *sink);

/*
 * What to poll for news of the sink, and whether only `room` is waited for; EPOLLERR and EPOLLHUP are
 * its end. And the process whose end is its end too, -EBADF: none.
 */
int sink_poll_fd(const Sink *sink);
uint32_t sink_poll_events(const Sink *sink, bool room);
int sink_process_fd(const Sink *sink);

/* Once it has polled. Return: 0; -EPIPE when the reader is gone; another negative errno. */
int sink_heed(Sink *sink);

/*
 * Writes as much as the reader has room for, at once. After -EAGAIN the next call begins with the same
 * bytes: some of them may be on their way.
 *
 * Return: how many bytes were written, at least 1, and of messages all of them; -EAGAIN when there is no
 * room; -EMSGSIZE for a message that never fits into this socket; -EPIPE when the reader is gone, in
 * whatever way; another negative errno for a failure of ours.
 */
ssize_t sink_write(Sink *sink, const RelayPages *pages, const void *bytes, size_t size);

/* After -EAGAIN: whether it is worth while to write again, after so many microseconds at most. */
bool sink_wait(const Sink *sink, unsigned long long usec);

/* How many of the bytes of the last sink_write are on their way; another process's sink goes on from
 * there. */
size_t sink_in_flight(const Sink *sink);
void sink_set_in_flight(Sink *sink, size_t bytes);

/* Takes back what is on its way. Return: how many bytes have been written since the last sink_write. */
size_t sink_recall(Sink *sink);

#endif
