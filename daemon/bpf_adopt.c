/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/perf_event.h>

#include "daemon/bpf_adopt.h"
#include "daemon/util.h"

/* Whether a descriptor is of that kind, as the kernel names it: asking a descriptor of another kind by
 * bpf(2) would give the facts of something else. */
static bool is_kind(int fd, const char *kind)
{
	char path[64], name[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return false;
	name[n] = '\0';
	return strcmp(name, kind) == 0;
}

static int read_map(int fd, struct bpf_map_info *ret)
{
	uint32_t length = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (!is_kind(fd, "anon_inode:bpf-map"))
		return -EBADMSG;
	return bpf_obj_get_info_by_fd(fd, ret, &length) < 0 ? -errno : 0;
}

/* An array of one element of `bytes`. */
static int check_array(int fd, uint64_t bytes)
{
	struct bpf_map_info info;
	int r;

	r = read_map(fd, &info);
	if (r < 0)
		return r;
	return info.type == BPF_MAP_TYPE_ARRAY && info.max_entries == 1 &&
			       info.value_size == bytes && info.map_flags & BPF_F_MMAPABLE
		       ? 0
		       : -EBADMSG;
}

static int check_counter(int fd)
{
	struct bpf_map_info info;
	int r;

	r = read_map(fd, &info);
	if (r < 0)
		return r;
	return info.type == BPF_MAP_TYPE_PERF_EVENT_ARRAY && info.max_entries == 1 ? 0 : -EBADMSG;
}

static int check_program(int fd)
{
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);

	if (!is_kind(fd, "anon_inode:bpf-prog"))
		return -EBADMSG;
	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
		return -errno;
	return info.type == BPF_PROG_TYPE_PERF_EVENT ? 0 : -EBADMSG;
}

int ring_check(int ring_fd, uint64_t bytes)
{
	struct bpf_map_info info;
	int r;

	r = read_map(ring_fd, &info);
	if (r < 0)
		return r;
	return info.type == BPF_MAP_TYPE_RINGBUF && info.max_entries == bytes ? 0 : -EBADMSG;
}

/* Return: the mapping; NULL and errno. */
static void *map_array(int fd, size_t bytes, int protection)
{
	void *memory = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Maps what is checked. Return: 0; negative errno, and some of it is mapped. */
static int map_filter(Filter *filter, uint64_t counters_bytes, uint64_t parameters_bytes)
{
	filter->counters = map_array(filter->counters_fd, counters_bytes, PROT_READ);
	if (!filter->counters)
		return -errno;
	if (filter->parameters_fd >= 0) {
		filter->parameters =
			map_array(filter->parameters_fd, parameters_bytes, PROT_READ | PROT_WRITE);
		if (!filter->parameters)
			return -errno;
	}
	filter->control =
		map_array(filter->control_fd, sizeof(*filter->control), PROT_READ | PROT_WRITE);
	return filter->control ? 0 : -errno;
}

int filter_adopt(const StoredFilter *record, int *fds, Filter **ret)
{
	const uint64_t counters_bytes = record->n_slots * (uint64_t)sizeof(struct bpcond_counters);
	const uint64_t parameters_bytes = record->n_parameters * (uint64_t)sizeof(uint64_t);
	const bool has_parameters = record->flags & STORED_HAS_PARAMETERS;
	const bool has_counter = record->flags & STORED_HAS_COUNTER;
	const int counter_at = 3 + has_parameters;
	Filter *filter;
	int r;

	r = check_program(fds[0]);
	if (r == 0)
		r = check_array(fds[1], sizeof(*filter->control));
	if (r == 0)
		r = check_array(fds[2], counters_bytes);
	if (r == 0 && has_parameters)
		r = check_array(fds[3], parameters_bytes);
	if (r == 0 && has_counter)
		r = check_counter(fds[counter_at]);
	if (r < 0)
		return r;

	filter = calloc(1, sizeof(*filter));
	if (!filter)
		return -ENOMEM;
	filter->n_slots = record->n_slots;
	filter->n_parameters = record->n_parameters;
	filter->n_insns = record->n_insns;
	filter->program_fd = take_fd(&fds[0]);
	filter->control_fd = take_fd(&fds[1]);
	filter->counters_fd = take_fd(&fds[2]);
	filter->parameters_fd = has_parameters ? take_fd(&fds[3]) : -EBADF;
	filter->counter_fd = has_counter ? take_fd(&fds[counter_at]) : -EBADF;
	r = map_filter(filter, counters_bytes, parameters_bytes);
	if (r < 0) {
		break_up(filter->control_fd);
		filter_free(filter);
		return r;
	}
	*ret = filter;
	return 0;
}

int event_set_adopt(const StoredEvent *records, int *fds, size_t n, bool lent, Charge *charge,
		    EventSet *ret)
{
	ThreadEvent *events;

	for (size_t i = 0; i < n; i++) {
		uint64_t id;

		if (!is_kind(fds[i], "anon_inode:[perf_event]") ||
		    ioctl(fds[i], PERF_EVENT_IOC_ID, &id) < 0 || id != records[i].id)
			return -EBADMSG;
	}
	events = calloc(n + 1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		events[i] = (ThreadEvent){.tid = records[i].tid,
					  .event_fd = take_fd(&fds[i]),
					  .id = records[i].id,
					  .taken = lent};
	*ret = (EventSet){.events = events, .n_events = n, .charge = charge};
	return 0;
}

int exec_watch_adopt(int fd, void **ret_memory)
{
	if (!is_kind(fd, "anon_inode:[perf_event]"))
		return -EBADMSG;
	return exec_watch_map(fd, ret_memory);
}

void break_up(int fd)
{
	struct bpf_map_info info;
	uint32_t first = 0;
	void *zeros;

	if (is_kind(fd, "anon_inode:[perf_event]")) {
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
		return;
	}
	if (read_map(fd, &info) < 0 || info.type != BPF_MAP_TYPE_ARRAY ||
	    strcmp(info.name, FILTER_CONTROL_NAME) != 0)
		return;
	zeros = calloc(1, info.value_size);
	if (zeros)
		bpf_map_update_elem(fd, &first, zeros, BPF_ANY);
	free(zeros);
}
