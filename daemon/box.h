/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A box: one descriptor in which many others lie, and which outlives the process that filled it when
 * somebody else holds it too. It is a datagram socket that is connected to itself: what is sent lies in
 * its own queue, and each message carries descriptors (SCM_RIGHTS). Two things of sockets make it
 * fit: a message is there in whole or not at all, whenever the sender dies; and a reader can look at
 * all messages without taking them out (SO_PEEK_OFF), so that a reader may die too.
 *
 * Nobody but the holders of the descriptor reaches the queue: a connected datagram socket takes
 * messages from its peer only, and that is itself.
 */
#ifndef BOX_H
#define BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands in every message. It is the same in all versions of what lies in boxes, so that each
 * version can tell what it has before it, and whose. */
typedef struct BoxLabel {
	uint32_t version; /* of the content */
	uint32_t kind;
	uint32_t number;     /* of the object */
	uint32_t generation; /* of two boxes of one object the higher one counts, if it is whole */
} BoxLabel;

/* The descriptors of all messages, in order; owned. */
typedef struct BoxContent {
	BoxLabel label; /* of the first message */
	bool has_label;
	bool mixed; /* other labels, or messages that nobody of ours has written */
	int *fds;   /* -EBADF: taken out by whoever has it now */
	size_t n_fds;
} BoxContent;

/* Return: the descriptor; negative errno. */
int box_new(void);

/* Whether a descriptor from elsewhere is a box: a socket that is connected to none but itself, so that what
 * is put there reaches nobody else. */
bool box_is_one(int fd);

/*
 * Adds descriptors, which stay the caller's too. Never waits.
 *
 * Return: 0; -EAGAIN when the box is full, another negative errno: some of them may lie in it then.
 */
int box_put(int box_fd, const BoxLabel *label, const int *fds, size_t n_fds);

/* Duplicates of all that lies in it, which stays there. Return: 0 and *ret (box_content_clear);
 * negative errno. */
int box_look(int box_fd, BoxContent *ret);
void box_content_clear(BoxContent *content);

/* Takes all out that lies in it, has it visited, one after the other, and closes it. It wants no more
 * descriptors at a time than one message has; where there is no room for them either, those are closed
 * unvisited. */
void box_take_apart(int box_fd, void (*visit)(int fd));

/* Closes all that lies in it. */
void box_empty(int box_fd);

#endif
