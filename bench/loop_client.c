/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of bench/loop's pipes. */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/process.h"

static int read_line(int fd, char *line, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length + 1 < size) {
		n = read(fd, line + length, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		if (line[length] == '\n')
			break;
		length++;
	}
	line[length] = '\0';
	return 0;
}

int loop_start(const char *program, Loop *ret)
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	int in[2], out[2], r;
	char line[64];

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = -errno;
		close(in[0]);
		close(in[1]);
		return r;
	}
	options.stdin_fd = in[0];
	options.stdout_fd = out[1];
	options.dies_with_us = true;
	r = process_spawn((const char *[]){program, NULL}, &options, &ret->pid);
	close(in[0]);
	close(out[1]);
	ret->in_fd = in[1];
	ret->out_fd = out[0];
	if (r >= 0)
		r = read_line(ret->out_fd, line, sizeof(line));
	if (r >= 0 && sscanf(line, "address %lx", &ret->address) != 1)
		r = -EBADMSG;
	if (r < 0) {
		close(ret->in_fd);
		close(ret->out_fd);
	}
	return r;
}

void loop_stop(Loop *loop)
{
	close(loop->in_fd);
	close(loop->out_fd);
	process_end(loop->pid, 1000, NULL);
}

int loop_begin(Loop *loop, long n)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "%ld\n", n);

	if (write(loop->in_fd, line, (size_t)length) != length)
		return -EPIPE;
	return 0;
}

int loop_finish(Loop *loop, uint64_t *ret_ns)
{
	char line[64];
	int r;

	r = read_line(loop->out_fd, line, sizeof(line));
	if (r < 0)
		return r;
	if (sscanf(line, "ns %lu", ret_ns) != 1)
		return -EBADMSG;
	return 0;
}
