/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that only io_uring has: registered files, which are in no process's table and not to be
 * seen in /proc. By system calls, as a program without a library would.
 */
#ifndef SUPPORT_URING_H
#define SUPPORT_URING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Uring {
	int fd; /* -EBADF: none */
	void *ring, *entries;
	size_t ring_bytes, entries_bytes;
} Uring;

/* Registers the files of these descriptors, which can be closed then. Return: whether this kernel, and its
 * settings, let one. */
bool uring_keep(const int fds[], unsigned n, Uring *ret);

/* A descriptor of the file of that number once more. Return: it, or negative errno: -EINVAL on a kernel that
 * does not know how (before 6.8). */
int uring_take(Uring *uring, unsigned number);

/* Lets go of all. */
void uring_close(Uring *uring);

#endif
