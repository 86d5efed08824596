/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that writes forwarded hits into one client's pipe, in the daemon's place.
 *
 * The kernel works on a pipe under a lock that cannot be interrupted, and holds it while it copies from
 * or to the memory of a process that uses the pipe. Whoever can delay that copy (a page that a FUSE file
 * or a userfaultfd is to fill) delays everybody who writes, reads or lets go of the pipe as its last
 * user, SIGKILL notwithstanding. So nobody of the daemon's does any of that but this process, and nothing
 * ever waits for it: one that hangs is left behind (relay_keeper.h).
 *
 * It is the daemon's own program, executed anew: without capabilities, the daemon's memory, or any
 * descriptor but its end of a socket pair and the pipe. What the daemon sends lies in the socket until it
 * is moved into the pipe, without a copy in between; the answers are words: how many bytes were moved,
 * RELAY_FULL, RELAY_GONE. The daemon sends pages (out of a pipe of its own, RelayPages, empty between two
 * writes), not bytes: a page becomes one buffer of the client's pipe, in whole or not at all. The daemon
 * keeps a descriptor of that end too, from which it takes back what was not moved: so it knows to the
 * byte what arrived, whatever state the process is in.
 *
 * It ends when the daemon's end of the socket is closed, and not before, so that its reference to the
 * pipe outlives those that the daemon has by the message that brought it. The descriptor store keeps that
 * end: the process goes on over a restart of the daemon (KillMode=process in its unit).
 */
#ifndef PIPE_RELAY_H
#define PIPE_RELAY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* argv[0] of the daemon's program when it is this process, and what its descriptors are. */
#define RELAY_PROGRAM "bpcondd-pipe"

enum {
	RELAY_SOCKET_FD = 0,
	RELAY_PIPE_FD = 1,
};

#define RELAY_FULL UINT32_C(0)
#define RELAY_GONE UINT32_MAX

typedef struct PipeRelay {
	int socket_fd;    /* the daemon's end; polls readable when there is news */
	int queue_fd;     /* the other one */
	int process_fd;   /* a pidfd; polls readable when the process has ended */
	size_t in_flight; /* bytes that were sent, and are not known to be in the pipe */
	size_t moved;     /* those that are, and were not returned yet */
	bool full;        /* it said last that the pipe has no room */
	bool gone;        /* it said that the pipe has no reader */
} PipeRelay;

#define PIPE_RELAY_NONE ((PipeRelay){.socket_fd = -EBADF, .queue_fd = -EBADF, .process_fd = -EBADF})

typedef struct RelayPages {
	int read_fd, write_fd;
} RelayPages;

#define RELAY_PAGES_NONE ((RelayPages){.read_fd = -EBADF, .write_fd = -EBADF})

/* Of all pipes. Return: 0 and *ret (relay_pages_clear); negative errno. */
int relay_pages_init(RelayPages *ret);
void relay_pages_clear(RelayPages *pages);

/* For the write end of a pipe (borrowed). Return: 0 and *ret (pipe_relay_clear, or
 * relay_keeper_release); negative errno, -EAGAIN when there may be no more processes. */
int pipe_relay_start(int pipe_fd, PipeRelay *ret);

/* Takes one up that an earlier daemon started: three descriptors in the order of the struct, taken over
 * on success. Return: 0 and *ret; -EBADMSG when they are something else. */
int pipe_relay_adopt(int *fds, PipeRelay *ret);

/* Closes our descriptors. */
void pipe_relay_clear(PipeRelay *relay);

/*
 * Sends what of these bytes is not in flight yet. The first in_flight ones are the same as last time.
 * What is sent in one call comes into the pipe as a whole or not at all, if it is no more than 4096
 * bytes.
 *
 * Return: how many of them have come into the pipe since the last call, at least 1; -EAGAIN when none
 * have; -EPIPE when the reader is gone; another negative errno for a failure of ours.
 */
ssize_t pipe_relay_write(PipeRelay *relay, const RelayPages *pages, const void *bytes, size_t size);

/* Whether it may have answered, within so many microseconds, with anything but that the pipe is full. */
bool pipe_relay_wait(const PipeRelay *relay, unsigned long long usec);

/* Hears the news. Return: 0; -EPIPE when the reader is gone; another negative errno. */
int pipe_relay_heed(PipeRelay *relay);

/* Takes back what is not in the pipe: nothing more comes into it. Return: how many bytes have since the
 * last pipe_relay_write. */
size_t pipe_relay_recall(PipeRelay *relay);

/* Has it end, and waits for that so many microseconds at most. process_fd stays open. */
void pipe_relay_close(PipeRelay *relay, unsigned long long usec);

/* The process itself. Return: its exit status. */
int pipe_relay_run(void);

#endif
