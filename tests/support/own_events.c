/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/own_events.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int own_event_try(struct perf_event_attr *attr, pid_t tid, int cpu)
{
	int fd;

	attr->size = sizeof(*attr);
	attr->disabled = 1;
	fd = (int)syscall(SYS_perf_event_open, attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int own_event(struct perf_event_attr *attr, pid_t tid, int cpu)
{
	int fd = own_event_try(attr, tid, cpu);

	ck_assert_msg(fd >= 0, "cannot open an event of type %u, config %llu, cpu %d: %s",
		      attr->type, (unsigned long long)attr->config, cpu, strerror(-fd));
	return fd;
}

int own_breakpoint(pid_t tid, const void *address)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = (uintptr_t)address,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return own_event(&attr, tid, -1);
}

void own_event_signal(int fd, pid_t tid, int signal_number)
{
	struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = tid};

	ck_assert_int_eq(fcntl(fd, F_SETOWN_EX, &owner), 0);
	ck_assert_int_eq(fcntl(fd, F_SETSIG, signal_number), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_ASYNC), 0);
}

void own_event_enable(int fd)
{
	ck_assert_int_eq(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), 0);
}

void own_event_disable(int fd)
{
	ck_assert_int_eq(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0), 0);
}

uint64_t own_event_count(int fd)
{
	uint64_t count;

	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}
