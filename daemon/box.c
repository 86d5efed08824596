/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/box.h"
#include "daemon/util.h"

/* The kernel's own limit for a message (SCM_MAX_FD). */
#define MAX_MESSAGE_FDS 253

/* Asked for; the kernel gives as much of it as net.core.wmem_max allows, and with the default of that
 * a box has room for some five hundred messages. */
#define ROOM_BYTES (2 * 1024 * 1024)

static const char magic[8] = "bpcondbx";

typedef struct Message {
	char magic[8];
	BoxLabel label;
} Message;

typedef union Control {
	char room[CMSG_SPACE(MAX_MESSAGE_FDS * sizeof(int))];
	struct cmsghdr align;
} Control;

int box_new(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(address);
	_cleanup_close_ int fd = -EBADF;
	const int room = ROOM_BYTES;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* An address of no more than the family: the kernel finds an abstract name that is free. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, length) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) < 0)
		return -errno;
	return take_fd(&fd);
}

bool box_is_one(int fd)
{
	struct sockaddr_un own = {}, peer = {};
	socklen_t own_length = sizeof(own), peer_length = sizeof(peer), length = sizeof(int);
	int type;

	/* A name in the file system may have come to be another socket's; an abstract one is one
	 * socket's as long as that lives. */
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM &&
	       getsockname(fd, (struct sockaddr *)&own, &own_length) == 0 &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0 &&
	       own.sun_family == AF_UNIX && own_length > sizeof(sa_family_t) &&
	       own.sun_path[0] == '\0' && own_length == peer_length &&
	       memcmp(&own, &peer, own_length) == 0;
}

static int put_message(int box_fd, const BoxLabel *label, const int *fds, size_t n_fds)
{
	Message message = {.label = *label};
	struct iovec part = {&message, sizeof(message)};
	Control control = {};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n_fds * sizeof(int)),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

	memcpy(message.magic, magic, sizeof(magic));
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
	if (sendmsg(box_fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int box_put(int box_fd, const BoxLabel *label, const int *fds, size_t n_fds)
{
	while (n_fds > 0) {
		size_t n = n_fds < MAX_MESSAGE_FDS ? n_fds : MAX_MESSAGE_FDS;
		int r;

		r = put_message(box_fd, label, fds, n);
		if (r < 0)
			return r;
		fds += n;
		n_fds -= n;
	}
	return 0;
}

typedef struct Received {
	Message message;
	ssize_t length; /* of what was sent */
	int flags;
	int fds[MAX_MESSAGE_FDS]; /* the caller's */
	size_t n_fds;
} Received;

/* The next message. Return: 1 and *ret; 0 behind the last; negative errno. */
static int receive(int box_fd, int flags, Received *ret)
{
	struct iovec part = {&ret->message, sizeof(ret->message)};
	Control control = {};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	ret->n_fds = 0;
	ret->length = recvmsg(box_fd, &header, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (ret->length < 0)
		return errno == EAGAIN ? 0 : -errno;
	ret->flags = header.msg_flags;
	for (struct cmsghdr *rights = CMSG_FIRSTHDR(&header); rights;
	     rights = CMSG_NXTHDR(&header, rights)) {
		if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
			continue;
		/* There is one such part of a message, and the kernel's limit is its length. */
		ret->n_fds = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret->fds, CMSG_DATA(rights), ret->n_fds * sizeof(int));
	}
	return 1;
}

static int add_fds(BoxContent *content, const int *fds, size_t n)
{
	int *grown;

	if (n == 0)
		return 0;
	grown = reallocarray(content->fds, content->n_fds + n, sizeof(*grown));
	if (!grown) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return -ENOMEM;
	}
	content->fds = grown;
	memcpy(content->fds + content->n_fds, fds, n * sizeof(*fds));
	content->n_fds += n;
	return 0;
}

/* Looks at the next message. Return: 1; 0 behind the last; negative errno. */
static int look_at_message(int box_fd, BoxContent *content)
{
	Received received;
	int r;

	r = receive(box_fd, MSG_PEEK, &received);
	if (r <= 0)
		return r;
	r = add_fds(content, received.fds, received.n_fds);
	if (r < 0)
		return r;
	/* With no descriptor free the kernel gives fewer than there are. */
	if (received.flags & MSG_CTRUNC)
		return -EMFILE;
	if (received.length != sizeof(received.message) || received.flags & MSG_TRUNC ||
	    memcmp(received.message.magic, magic, sizeof(magic)) != 0) {
		content->mixed = true;
		return 1;
	}
	if (!content->has_label) {
		content->label = received.message.label;
		content->has_label = true;
	} else if (memcmp(&content->label, &received.message.label,
			  sizeof(received.message.label)) != 0) {
		content->mixed = true;
	}
	return 1;
}

int box_look(int box_fd, BoxContent *ret)
{
	_cleanup_(box_content_clear) BoxContent content = {};
	const int from_first = 0, never = -1;
	int r;

	if (setsockopt(box_fd, SOL_SOCKET, SO_PEEK_OFF, &from_first, sizeof(from_first)) < 0)
		return -errno;
	do
		r = look_at_message(box_fd, &content);
	while (r > 0);
	setsockopt(box_fd, SOL_SOCKET, SO_PEEK_OFF, &never, sizeof(never));
	if (r < 0)
		return r;
	*ret = content;
	content = (BoxContent){};
	return 0;
}

void box_content_clear(BoxContent *content)
{
	for (size_t i = 0; i < content->n_fds; i++)
		close_fd(content->fds[i]);
	free(content->fds);
	*content = (BoxContent){};
}

void box_take_apart(int box_fd, void (*visit)(int fd))
{
	Received received;

	while (receive(box_fd, 0, &received) > 0) {
		for (size_t i = 0; i < received.n_fds; i++) {
			visit(received.fds[i]);
			close(received.fds[i]);
		}
	}
}

void box_empty(int box_fd)
{
	char byte;

	/* Without room for descriptors the kernel closes them. */
	while (recv(box_fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
		;
}
