/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few helpers that every file of the daemon uses. */
#ifndef UTIL_H
#define UTIL_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_free_      _cleanup_(cleanup_free)
#define _cleanup_close_     _cleanup_(cleanup_close)

/* Closes what is open. Return: -EBADF, for the field. */
int close_fd(int fd);

/* The value, and the variable gives up its ownership of it. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -9; /* -EBADF */
	return taken;
}

/* Where two ids stand to each other, for qsort and bsearch. */
#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* The whole of a small file, mostly of /proc, NUL-terminated. Return: 0 and *ret (free());
 * -EFBIG above 64 KiB; another negative errno. */
int read_small_file(const char *path, char **ret);

/* CLOCK_MONOTONIC in microseconds. */
unsigned long long now_usec(void);

/* How long this process has worked, in microseconds: on a CPU, or asleep by sleep_usec. What others
 * have the machine do meanwhile does not count. */
unsigned long long work_usec(void);

/* And how long on a CPU. */
unsigned long long cpu_usec(void);

/* Sleeps, or says that the kernel was slept in for so long. */
void sleep_usec(unsigned long long usec);
void slept_usec(unsigned long long usec);

#endif
