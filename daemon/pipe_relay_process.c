/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs in the process of a pipe: a loop that moves bytes from a socket into the pipe and may hang
 * in it for as long as the client likes. It has no buffer: a byte is in the socket or in the pipe.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "daemon/pipe_relay.h"

/* More than a pipe takes at once, as a rule. */
#define MOST_BYTES (1 << 20)

/* Return: whether the daemon is there. */
static bool tell(uint32_t news)
{
	return send(RELAY_SOCKET_FD, &news, sizeof(news), MSG_NOSIGNAL) == sizeof(news);
}

/* The pipe stays open until the daemon says so by closing its end. */
static int wait_for_end(void)
{
	struct pollfd socket = {.fd = RELAY_SOCKET_FD};

	while (poll(&socket, 1, -1) < 0 || !(socket.revents & (POLLHUP | POLLERR)))
		;
	return 0;
}

/* Moves what there is. Return: whether to go on; *ret_full says what to wait for. */
static bool move(bool *ret_full)
{
	ssize_t moved;

	/* The flag O_NONBLOCK of the pipe is the client's to change. */
	moved = splice(RELAY_SOCKET_FD, NULL, RELAY_PIPE_FD, NULL, MOST_BYTES, SPLICE_F_NONBLOCK);
	if (moved > 0) {
		*ret_full = false;
		return tell((uint32_t)moved);
	}
	if (moved < 0 && errno == EINTR)
		return true;
	if (moved < 0 && errno == EAGAIN) {
		*ret_full = true;
		return tell(RELAY_FULL);
	}
	if (moved < 0)
		tell(RELAY_GONE);
	return false;
}

int pipe_relay_run(void)
{
	bool full = false;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, RELAY_PROGRAM, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct pollfd polls[] = {
			{.fd = RELAY_SOCKET_FD, .events = full ? 0 : POLLIN},
			{.fd = RELAY_PIPE_FD, .events = full ? POLLOUT : 0},
		};

		if (poll(polls, 2, -1) < 0)
			continue;
		if (polls[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return 0;
		if (polls[1].revents & (POLLERR | POLLNVAL)) {
			tell(RELAY_GONE);
			return wait_for_end();
		}
		if ((polls[0].revents | polls[1].revents) && !move(&full))
			return wait_for_end();
	}
}
