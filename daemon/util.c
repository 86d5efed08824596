/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "daemon/util.h"

#define SMALL_FILE_BYTES 65536

int close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
	return -EBADF;
}

int read_small_file(const char *path, char **ret)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	size_t have = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	text = malloc(SMALL_FILE_BYTES + 1);
	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, text + have, SMALL_FILE_BYTES + 1 - have);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		have += n;
		if (have > SMALL_FILE_BYTES)
			return -EFBIG;
	}
	text[have] = '\0';
	*ret = text;
	text = NULL;
	return 0;
}

unsigned long long now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

static unsigned long long slept;

unsigned long long cpu_usec(void)
{
	struct timespec busy;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &busy);
	return busy.tv_sec * 1000000ULL + busy.tv_nsec / 1000;
}

unsigned long long work_usec(void)
{
	return cpu_usec() + slept;
}

void sleep_usec(unsigned long long usec)
{
	const struct timespec pause = {.tv_sec = usec / 1000000, .tv_nsec = usec % 1000000 * 1000};
	unsigned long long before = now_usec();

	nanosleep(&pause, NULL);
	slept_usec(now_usec() - before);
}

void slept_usec(unsigned long long usec)
{
	slept += usec;
}
