/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a ring of hits while hearing what the bus says: what sessions and lent filters have in
 * common.
 */
#ifndef CLIENT_HIT_READER_H
#define CLIENT_HIT_READER_H

#include <stddef.h>

#include "bpcond/bpcond.h"

struct ring_buffer;

typedef struct HitReader {
	bpcond_client *client;    /* borrowed: its bus, and where errors go */
	struct ring_buffer *ring; /* NULL: none */
	int ring_fd;
	int poll_fd; /* epoll of the ring, the client's poll_fd and end_fd */
	int end_fd;  /* an eventfd, readable when there is an end to report */
	void *hit;   /* a copy of the record that was delivered last */
	size_t hit_allocated;
	int hit_result; /* of the ring's callback: 1, or a negative errno */
} HitReader;

/* Makes the descriptors to wait on. Return: 0 (hit_reader_clear); a negative errno, told. */
int hit_reader_init(HitReader *reader, bpcond_client *client);

/* Reads the ring that fd is (borrowed; duplicated here) from now on. Return: 0; a negative errno,
 * told. */
int hit_reader_map(HitReader *reader, int fd);

/* Takes half-built and zeroed ones. */
void hit_reader_clear(HitReader *reader);

/* Makes poll_fd readable for the end of what writes the ring, and not so any more. */
void hit_reader_wake(HitReader *reader);
void hit_reader_calm(HitReader *reader);

/*
 * The next hit, as bpcond_session_wait() says. `end` is asked, once the ring is empty, whether what
 * writes it has ended: it returns 0 to go on, or a negative errno, told, for the caller.
 */
typedef int (*HitReaderEnd)(void *owner);
int hit_reader_wait(HitReader *reader, int timeout_ms, HitReaderEnd end, void *owner,
		    const struct bpcond_hit **ret);

#endif
