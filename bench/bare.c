/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floor: no breakpoint at all, and a hardware breakpoint event that merely counts, opened by an
 * ordinary user on a process of its own. It has no sample period, so the kernel does nothing for a
 * trap but add one.
 */
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/bench.h"

typedef struct Bare {
	int event_fd;
	uint64_t expected;
} Bare;

int bare_start(Way *way, const char *build_dir)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = way->loop->address,
		.bp_len = sizeof(long),
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	Bare *bare = calloc(1, sizeof(*bare));

	if (!bare)
		return -ENOMEM;
	way->state = bare;
	bare->event_fd = -EBADF;
	if (way->variant == 0)
		return 0;
	bare->event_fd = (int)syscall(SYS_perf_event_open, &attr, way->loop->pid, -1, -1,
				      PERF_FLAG_FD_CLOEXEC);
	if (bare->event_fd < 0) {
		snprintf(way->why, sizeof(way->why), "perf_event_open: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static int check_count(Bare *bare, long n)
{
	uint64_t count;

	bare->expected += (uint64_t)n;
	if (read(bare->event_fd, &count, sizeof(count)) != sizeof(count))
		return -EIO;
	return count == bare->expected ? 0 : -EPROTO;
}

int bare_round(Way *way, long n, uint64_t *ret_ns)
{
	Bare *bare = way->state;
	int r;

	if (bare->event_fd >= 0 && ioctl(bare->event_fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	r = loop_begin(way->loop, n);
	if (r >= 0)
		r = loop_finish(way->loop, ret_ns);
	if (bare->event_fd >= 0 && ioctl(bare->event_fd, PERF_EVENT_IOC_DISABLE, 0) < 0)
		return -errno;
	if (r < 0 || bare->event_fd < 0)
		return r;
	return check_count(bare, n);
}

void bare_stop(Way *way)
{
	Bare *bare = way->state;

	if (bare && bare->event_fd >= 0)
		close(bare->event_fd);
	free(bare);
	way->state = NULL;
}
