/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/sink.h"
#include "daemon/util.h"

#define WANTED "pass the write end of a pipe, or a connected UNIX socket"

int sink_relay_init(SinkRelay *ret)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	*ret = (SinkRelay){.read_fd = fds[0], .write_fd = fds[1]};
	return 0;
}

void sink_relay_clear(SinkRelay *relay)
{
	relay->read_fd = close_fd(relay->read_fd);
	relay->write_fd = close_fd(relay->write_fd);
}

/* What a descriptor is, for a person. */
static const char *describe(mode_t mode)
{
	switch (mode & S_IFMT) {
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

static int check_pipe(int flags, Sink *sink, Refusal *refusal)
{
	/* Whoever can read it too keeps it from ever being without a reader. */
	if ((flags & O_ACCMODE) != O_WRONLY)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The sink is %s of a pipe: pass its write end, open for writing only.",
			(flags & O_ACCMODE) == O_RDONLY ? "the read end" : "both ends");
	sink->kind = SINK_PIPE;
	return 0;
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

int sink_open(int fd, uid_t uid, Sink *ret, Refusal *refusal)
{
	Sink sink = SINK_NONE;
	struct stat status;
	int flags, r;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (flags & O_PATH)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The sink was opened with O_PATH, so nothing can be written to it: " WANTED
			".");
	if (S_ISFIFO(status.st_mode))
		r = check_pipe(flags, &sink, refusal);
	else if (S_ISSOCK(status.st_mode))
		r = check_socket(fd, uid, &sink, refusal);
	else
		r = refuse(refusal, REFUSED_INVALID_ARGUMENT, "The sink is %s: " WANTED ".",
			   describe(status.st_mode));
	if (r != 0)
		return r;
	sink.sink_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (sink.sink_fd < 0)
		return -errno;
	*ret = sink;
	return 0;
}

void sink_clear(Sink *sink)
{
	sink->sink_fd = close_fd(sink->sink_fd);
}

/* Empties the relay of what the pipe had no room for: the caller still has those bytes. */
static int take_back(const SinkRelay *relay, size_t size)
{
	char trash[4096];

	while (size > 0) {
		ssize_t n =
			read(relay->read_fd, trash, size < sizeof(trash) ? size : sizeof(trash));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		size -= (size_t)n;
	}
	return 0;
}

static ssize_t write_pipe(const Sink *sink, const SinkRelay *relay, const void *bytes, size_t size)
{
	ssize_t held, moved;
	int error, r;

	held = write(relay->write_fd, bytes, size);
	if (held < 0)
		return -errno == -EAGAIN ? -EIO : -errno;
	moved = splice(relay->read_fd, NULL, sink->sink_fd, NULL, (size_t)held, SPLICE_F_NONBLOCK);
	error = moved < 0 ? errno : EAGAIN;
	r = take_back(relay, (size_t)(held - (moved > 0 ? moved : 0)));
	if (r < 0)
		return r;
	if (moved > 0)
		return moved;
	return error == EAGAIN || error == EINTR ? -EAGAIN : -EPIPE;
}

static ssize_t write_socket(const Sink *sink, const void *bytes, size_t size)
{
	ssize_t n;

	n = send(sink->sink_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		return n;
	if (n == 0 || errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	if (errno == EMSGSIZE && sink->kind == SINK_MESSAGES)
		return -EMSGSIZE;
	return errno == ENOMEM || errno == ENOBUFS ? -errno : -EPIPE;
}

ssize_t sink_write(const Sink *sink, const SinkRelay *relay, const void *bytes, size_t size)
{
	if (sink->kind == SINK_PIPE)
		return write_pipe(sink, relay, bytes, size);
	return write_socket(sink, bytes, size);
}
