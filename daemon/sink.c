/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/sink.h"
#include "daemon/util.h"

#define WANTED "pass the write end of a pipe, or a connected UNIX socket"

/* What a descriptor is, for a person. */
static const char *describe(mode_t mode)
{
	switch (mode) {
	case S_IFREG:
		return "a file";
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
		return "a terminal or another device";
	case S_IFBLK:
		return "a block device";
	case S_IFLNK:
		return "a symbolic link";
	default:
		return "no pipe and no socket";
	}
}

static int open_pipe(int fd, int flags, Sink *sink, Refusal *refusal)
{
	int r;

	/* Whoever can read it too keeps it from ever being without a reader. */
	if ((flags & O_ACCMODE) != O_WRONLY)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The sink is %s of a pipe: pass its write end, open for writing only.",
			(flags & O_ACCMODE) == O_RDONLY ? "the read end" : "both ends");
	sink->kind = SINK_PIPE;
	r = pipe_relay_start(fd, &sink->relay);
	if (r == -EAGAIN)
		return refuse(refusal, REFUSED_QUOTA_EXCEEDED,
			      "bpcondd may have no more processes, and each pipe that hits are "
			      "forwarded into takes one: close other sessions, pass a UNIX socket, "
			      "or raise TasksMax= of bpcondd.service.");
	return r;
}

static int get_option(int fd, int option, int *ret)
{
	socklen_t size = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, option, ret, &size) < 0 ? -errno : 0;
}

static int check_socket(int fd, uid_t uid, Sink *sink, Refusal *refusal)
{
	struct sockaddr_un peer;
	socklen_t size = sizeof(peer);
	int domain = 0, type = 0, listens = 0, r;
	struct ucred reader;

	r = get_option(fd, SO_DOMAIN, &domain);
	if (r == 0)
		r = get_option(fd, SO_TYPE, &type);
	if (r == 0)
		r = get_option(fd, SO_ACCEPTCONN, &listens);
	if (r < 0)
		return r;
	if (domain != AF_UNIX)
		return refuse(refusal, REFUSED_INVALID_ARGUMENT,
			      "The sink is a socket of another family than AF_UNIX: " WANTED
			      ", with a program behind it that passes the hits on.");
	if (listens)
		return refuse(refusal, REFUSED_INVALID_ARGUMENT,
			      "The sink is a listening socket: pass a connection that it has "
			      "accepted, or the other end.");
	if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The sink is a socket that is not connected: connect it first, or use "
			"socketpair(2).");
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return refuse(refusal, REFUSED_INVALID_ARGUMENT,
			      "The sink is a socket of an unknown type: " WANTED ".");
	sink->kind = type == SOCK_STREAM ? SINK_STREAM : SINK_MESSAGES;

	/* The kernel does not know a datagram socket's peer, which can become another at any time. */
	if (type == SOCK_DGRAM)
		return 0;
	size = sizeof(reader);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &reader, &size) < 0)
		return -errno;
	if (reader.uid != uid)
		return refuse(refusal, REFUSED_INVALID_ARGUMENT,
			      "The sink is a connection to a program of another user: pass a pipe, "
			      "or a connection to a program of your own.");
	return 0;
}

/* Its kind as the kernel has it: fstat(2) would ask the file's file system, which on FUSE is a program of
 * the client's. Return: of a mode; 0 where it does not show. */
static mode_t kind_of(int fd)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
		return 0;
	return status.stx_mode & S_IFMT;
}

int sink_open(int fd, uid_t uid, Sink *ret, Refusal *refusal)
{
	Sink sink = SINK_NONE;
	mode_t kind;
	int flags, r;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	kind = kind_of(fd);
	if (flags & O_PATH)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The sink was opened with O_PATH, so nothing can be written to it: " WANTED
			".");
	if (S_ISFIFO(kind))
		r = open_pipe(fd, flags, &sink, refusal);
	else if (S_ISSOCK(kind))
		r = check_socket(fd, uid, &sink, refusal);
	else
		r = refuse(refusal, REFUSED_INVALID_ARGUMENT, "The sink is %s: " WANTED ".",
			   describe(kind));
	if (r != 0)
		return r;
	if (sink.kind != SINK_PIPE) {
		sink.socket_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (sink.socket_fd < 0)
			return -errno;
	}
	*ret = sink;
	return 0;
}

int sink_adopt(bool is_pipe, int *fds, uid_t uid, Sink *ret, Refusal *refusal)
{
	Sink sink = SINK_NONE;
	int r;

	if (is_pipe) {
		sink.kind = SINK_PIPE;
		r = pipe_relay_adopt(fds, &sink.relay);
		if (r == 0)
			*ret = sink;
		return r;
	}
	return S_ISSOCK(kind_of(fds[0])) ? sink_open(fds[0], uid, ret, refusal) : -EBADMSG;
}

size_t sink_descriptors(const Sink *sink, int ret[static SINK_MAX_DESCRIPTORS])
{
	if (sink->kind != SINK_PIPE) {
		ret[0] = sink->socket_fd;
		return 1;
	}
	ret[0] = sink->relay.socket_fd;
	ret[1] = sink->relay.queue_fd;
	ret[2] = sink->relay.process_fd;
	return 3;
}

void sink_clear(Sink *sink)
{
	sink->socket_fd = close_fd(sink->socket_fd);
	pipe_relay_clear(&sink->relay);
}

void sink_close(Sink *sink, unsigned long long usec)
{
	sink->socket_fd = close_fd(sink->socket_fd);
	if (sink->kind == SINK_PIPE)
		pipe_relay_close(&sink->relay, usec);
}

void sink_release(Sink *sink, RelayKeeper *keeper, uid_t uid)
{
	relay_keeper_release(keeper, &sink->relay, uid);
	sink_clear(sink);
}

bool sink_is_open(const Sink *sink)
{
	return sink_poll_fd(sink) >= 0;
}

int sink_poll_fd(const Sink *sink)
{
	return sink->socket_fd >= 0 ? sink->socket_fd : sink->relay.socket_fd;
}

uint32_t sink_poll_events(const Sink *sink, bool room)
{
	/* Of a pipe the reader's end is news too. */
	if (sink->kind == SINK_PIPE)
		return EPOLLIN;
	return room ? EPOLLOUT : 0;
}

int sink_process_fd(const Sink *sink)
{
	return sink->relay.process_fd;
}

int sink_heed(Sink *sink)
{
	return sink->kind == SINK_PIPE ? pipe_relay_heed(&sink->relay) : 0;
}

static ssize_t write_socket(const Sink *sink, const void *bytes, size_t size)
{
	ssize_t n;

	n = send(sink->socket_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		return n;
	if (n == 0 || errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	if (errno == EMSGSIZE && sink->kind == SINK_MESSAGES)
		return -EMSGSIZE;
	return errno == ENOMEM || errno == ENOBUFS ? -errno : -EPIPE;
}

ssize_t sink_write(Sink *sink, const RelayPages *pages, const void *bytes, size_t size)
{
	if (sink->kind == SINK_PIPE)
		return pipe_relay_write(&sink->relay, pages, bytes, size);
	return write_socket(sink, bytes, size);
}

bool sink_wait(const Sink *sink, unsigned long long usec)
{
	return sink->kind == SINK_PIPE && pipe_relay_wait(&sink->relay, usec);
}

size_t sink_in_flight(const Sink *sink)
{
	return sink->relay.in_flight;
}

void sink_set_in_flight(Sink *sink, size_t bytes)
{
	sink->relay.in_flight = bytes;
}

size_t sink_recall(Sink *sink)
{
	return sink->kind == SINK_PIPE ? pipe_relay_recall(&sink->relay) : 0;
}
