/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring has one reader, this process. A record is copied out before its place is given back to
 * the kernel, so that a hit stays what it was while the caller looks at it.
 *
 * What was in the ring before the end is delivered before the end is: waiting looks at the ring
 * first, then at the bus, and before an end is told, at the ring again. The kernel puts a hit into
 * the ring before the thread that hit goes on, so the hits of a dead target, or of a daemon that was
 * killed, are all there by then.
 */
#include "client/hit_reader.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"

static int on_record(void *userdata, void *data, size_t size)
{
	HitReader *reader = userdata;

	if (bpcond_hit_check(data, size) < 0) {
		reader->hit_result = -EBADMSG;
		return -ECANCELED;
	}
	if (size > reader->hit_allocated) {
		void *p = realloc(reader->hit, size);

		if (p == NULL) {
			reader->hit_result = -ENOMEM;
			return -ECANCELED;
		}
		reader->hit = p;
		reader->hit_allocated = size;
	}
	memcpy(reader->hit, data, size);
	reader->hit_result = 1;
	/* One record at a time; libbpf counts this one as read. */
	return -ECANCELED;
}

/* Return: 1 and *ret; 0 when the ring is empty; a negative errno. */
static int next_hit(HitReader *reader, const struct bpcond_hit **ret)
{
	bpcond_error *error = &reader->client->error;
	int r;

	/* Somebody else reads it. */
	if (reader->ring == NULL)
		return 0;
	reader->hit_result = 0;
	r = ring_buffer__consume(reader->ring);
	if (reader->hit_result == 1) {
		*ret = reader->hit;
		return 1;
	}
	if (reader->hit_result == -EBADMSG)
		return error_set(error, -EBADMSG, CLIENT_ERROR_FAILED,
				 "a hit record that makes no sense was skipped; use a library and "
				 "a daemon of the same version");
	if (reader->hit_result == -ENOMEM)
		return error_no_memory(error);
	if (r < 0)
		return error_set(error, r, CLIENT_ERROR_FAILED, "cannot read the ring of hits: %s",
				 strerror(-r));
	return 0;
}

static int make_poll_fd(HitReader *reader)
{
	struct epoll_event event = {.events = EPOLLIN};

	reader->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reader->poll_fd < 0)
		return -errno;
	reader->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reader->end_fd < 0)
		return -errno;
	if (epoll_ctl(reader->poll_fd, EPOLL_CTL_ADD, reader->end_fd, &event) < 0 ||
	    epoll_ctl(reader->poll_fd, EPOLL_CTL_ADD, reader->client->poll_fd, &event) < 0)
		return -errno;
	return 0;
}

int hit_reader_init(HitReader *reader, bpcond_client *client)
{
	int r;

	*reader = (HitReader){
		.client = client,
		.ring_fd = -EBADF,
		.poll_fd = -EBADF,
		.end_fd = -EBADF,
	};
	r = make_poll_fd(reader);
	if (r < 0) {
		hit_reader_clear(reader);
		return error_set(&client->error, r, CLIENT_ERROR_FAILED,
				 "cannot make a descriptor to wait on: %s", strerror(-r));
	}
	return 0;
}

int hit_reader_map(HitReader *reader, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	bpcond_error *error = &reader->client->error;

	reader->ring_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (reader->ring_fd < 0)
		return error_set(
			error, -errno, CLIENT_ERROR_FAILED,
			"cannot keep the ring's descriptor: %s; raise the limit of open files",
			strerror(errno));
	reader->ring = ring_buffer__new(reader->ring_fd, on_record, reader, NULL);
	if (reader->ring == NULL)
		return error_set(error, -errno, CLIENT_ERROR_FAILED,
				 "cannot map the ring of hits: %s; ask for a smaller one "
				 "(hits_bytes)",
				 strerror(errno));
	if (epoll_ctl(reader->poll_fd, EPOLL_CTL_ADD, ring_buffer__epoll_fd(reader->ring), &event) <
	    0)
		return error_set(error, -errno, CLIENT_ERROR_FAILED,
				 "cannot wait on the ring of hits: %s", strerror(errno));
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void hit_reader_clear(HitReader *reader)
{
	/* One that was never begun holds nothing: its zeroes are no descriptors. */
	if (reader->client == NULL)
		return;
	ring_buffer__free(reader->ring);
	close_fd(reader->ring_fd);
	close_fd(reader->poll_fd);
	close_fd(reader->end_fd);
	free(reader->hit);
	*reader = (HitReader){};
}

void hit_reader_wake(HitReader *reader)
{
	const uint64_t one = 1;
	ssize_t n;

	/* An eventfd that stands at 0 takes a 1. */
	n = write(reader->end_fd, &one, sizeof(one));
	(void)n;
}

void hit_reader_calm(HitReader *reader)
{
	uint64_t count;
	ssize_t n;

	n = read(reader->end_fd, &count, sizeof(count));
	(void)n;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int hit_reader_wait(HitReader *reader, int timeout_ms, HitReaderEnd end, void *owner,
		    const struct bpcond_hit **ret)
{
	int64_t deadline = timeout_ms > 0 ? now_ms() + timeout_ms : 0;

	for (;;) {
		struct pollfd poll_fd = {.fd = reader->poll_fd, .events = POLLIN};
		int64_t left = timeout_ms;
		int r;

		r = next_hit(reader, ret);
		if (r != 0)
			return r;
		client_dispatch(reader->client);
		r = next_hit(reader, ret);
		if (r == 0)
			r = end(owner);
		if (r != 0)
			return r;

		if (timeout_ms > 0) {
			left = deadline - now_ms();
			if (left < 0)
				left = 0;
		}
		r = poll(&poll_fd, 1, left < 0 ? -1 : (int)left);
		if (r < 0)
			return error_set(&reader->client->error, -errno, CLIENT_ERROR_FAILED,
					 "waiting for hits was interrupted: %s", strerror(errno));
		/* With time left there is something to do; without, one more look at the ring: a
		 * hit may have come since. */
		if (r == 0 || timeout_ms == 0)
			return next_hit(reader, ret);
	}
}
