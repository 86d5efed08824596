/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/pipe_relay.h"
#include "daemon/util.h"

/* The program of this process, which may have been replaced since by a newer one. */
#define OWN_PROGRAM "/proc/self/exe"

static int spawn(int queue_fd, int pipe_fd, pid_t *ret)
{
	char name[] = RELAY_PROGRAM;
	char *const arguments[] = {name, NULL}, *const no_environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, queue_fd, RELAY_SOCKET_FD);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, pipe_fd, RELAY_PIPE_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, RELAY_PIPE_FD + 1);
	if (r == 0)
		r = posix_spawn(ret, OWN_PROGRAM, &actions, NULL, arguments, no_environment);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int relay_pages_init(RelayPages *ret)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	*ret = (RelayPages){.read_fd = fds[0], .write_fd = fds[1]};
	return 0;
}

void relay_pages_clear(RelayPages *pages)
{
	pages->read_fd = close_fd(pages->read_fd);
	pages->write_fd = close_fd(pages->write_fd);
}

int pipe_relay_start(int pipe_fd, PipeRelay *ret)
{
	PipeRelay relay = PIPE_RELAY_NONE;
	int ends[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	relay.socket_fd = ends[0];
	relay.queue_fd = ends[1];
	/* Ours alone: splice(2) knows no other way not to wait for a socket. */
	if (fcntl(relay.socket_fd, F_SETFL, O_NONBLOCK) < 0) {
		r = -errno;
		pipe_relay_clear(&relay);
		return r;
	}
	r = spawn(relay.queue_fd, pipe_fd, &pid);
	if (r == 0) {
		/* Not reaped yet, so it is that one. */
		relay.process_fd = pidfd_open(pid, 0);
		if (relay.process_fd < 0)
			r = -errno;
	}
	if (r < 0) {
		pipe_relay_clear(&relay);
		return r;
	}
	*ret = relay;
	return 0;
}

static bool is_stream(int fd)
{
	socklen_t size = sizeof(int);
	int domain, type;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int pipe_relay_adopt(int *fds, PipeRelay *ret)
{
	if (!is_stream(fds[0]) || !is_stream(fds[1]))
		return -EBADMSG;
	/* Who has ended meanwhile is found to have soon enough. */
	if (pidfd_send_signal(fds[2], 0, NULL, 0) < 0 && errno != ESRCH)
		return -EBADMSG;
	*ret = (PipeRelay){.socket_fd = take_fd(&fds[0]),
			   .queue_fd = take_fd(&fds[1]),
			   .process_fd = take_fd(&fds[2])};
	return 0;
}

void pipe_relay_clear(PipeRelay *relay)
{
	relay->socket_fd = close_fd(relay->socket_fd);
	relay->queue_fd = close_fd(relay->queue_fd);
	relay->process_fd = close_fd(relay->process_fd);
}

static int hear(PipeRelay *relay, uint32_t news)
{
	relay->full = news == RELAY_FULL;
	if (news == RELAY_GONE)
		relay->gone = true;
	else if (news > relay->in_flight)
		return -EIO;
	else
		relay->in_flight -= news;
	if (news != RELAY_GONE)
		relay->moved += news;
	return 0;
}

/* Return: 0; negative errno. */
static int read_news(PipeRelay *relay)
{
	uint32_t news[64];
	int r = 0;

	for (;;) {
		ssize_t n = recv(relay->socket_fd, news, sizeof(news), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		/* Each word was sent by itself. */
		if (n % sizeof(news[0]) != 0)
			return -EIO;
		for (size_t i = 0; i < n / sizeof(news[0]) && r == 0; i++)
			r = hear(relay, news[i]);
		if (r < 0)
			return r;
	}
}

/* Empties our pipe of what the socket had no room for: the caller still has those bytes. */
static int take_back(const RelayPages *pages, size_t size)
{
	char trash[4096];

	while (size > 0) {
		ssize_t n =
			read(pages->read_fd, trash, size < sizeof(trash) ? size : sizeof(trash));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		size -= (size_t)n;
	}
	return 0;
}

/* Return: 0, with what was sent in flight; negative errno. */
static int send_pages(PipeRelay *relay, const RelayPages *pages, const void *bytes, size_t size)
{
	size_t sent = 0;
	ssize_t held, n;
	int error = 0, r;

	held = write(pages->write_fd, bytes, size);
	if (held < 0)
		return errno == EAGAIN ? -EIO : -errno;
	while (sent < (size_t)held && error == 0) {
		n = splice(pages->read_fd, NULL, relay->socket_fd, NULL, (size_t)held - sent,
			   SPLICE_F_NONBLOCK);
		if (n > 0)
			sent += (size_t)n;
		else
			error = n < 0 ? errno : EIO;
	}
	relay->in_flight += sent;
	relay->full = relay->full && sent == 0;
	r = take_back(pages, (size_t)held - sent);
	if (r < 0)
		return r;
	return error == EAGAIN || error == EINTR ? 0 : -error;
}

ssize_t pipe_relay_write(PipeRelay *relay, const RelayPages *pages, const void *bytes, size_t size)
{
	size_t moved;
	int r;

	r = read_news(relay);
	moved = relay->moved;
	if (moved > 0) {
		relay->moved = 0;
		return (ssize_t)moved;
	}
	if (r < 0 || relay->gone)
		return r < 0 ? r : -EPIPE;
	if (size <= relay->in_flight)
		return -EAGAIN;
	r = send_pages(relay, pages, (const char *)bytes + relay->in_flight,
		       size - relay->in_flight);
	return r < 0 ? r : -EAGAIN;
}

/* Return: whether it polls readable within so many microseconds. */
static bool wait_for(int fd, unsigned long long usec)
{
	const struct timespec most = {.tv_sec = (time_t)(usec / 1000000),
				      .tv_nsec = (long)(usec % 1000000) * 1000};
	struct pollfd polled = {.fd = fd, .events = POLLIN};

	return ppoll(&polled, 1, &most, NULL) > 0;
}

bool pipe_relay_wait(const PipeRelay *relay, unsigned long long usec)
{
	return !relay->full && wait_for(relay->socket_fd, usec);
}

void pipe_relay_close(PipeRelay *relay, unsigned long long usec)
{
	relay->socket_fd = close_fd(relay->socket_fd);
	relay->queue_fd = close_fd(relay->queue_fd);
	wait_for(relay->process_fd, usec);
}

int pipe_relay_heed(PipeRelay *relay)
{
	int r;

	r = read_news(relay);
	return r == 0 && relay->gone ? -EPIPE : r;
}

size_t pipe_relay_recall(PipeRelay *relay)
{
	size_t back = 0, moved;
	char trash[4096];
	ssize_t n;

	while ((n = recv(relay->queue_fd, trash, sizeof(trash), MSG_DONTWAIT)) > 0)
		back += (size_t)n;
	moved = relay->moved + relay->in_flight -
		(back < relay->in_flight ? back : relay->in_flight);
	relay->in_flight = relay->moved = 0;
	return moved;
}
