/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A walk visits each program and each map of the machine, in the order of their ids. It is no snapshot:
 * but what is asked about was made before the walk and is never made again, so what is not seen is
 * gone, and what is seen was there.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "alive.skel.h"
#include "bpf/alive.h"
#include "daemon/bpf_alive.h"
#include "daemon/util.h"
#include "kernel/types.h"

#define READ_BYTES 32768

struct AliveReader {
	struct alive_bpf *skeleton;
};

struct AliveList {
	struct alive_map *maps; /* ascending ids, both */
	size_t n_maps;
	struct alive_program *programs;
	size_t n_programs;
};

int alive_reader_new(AliveReader **ret)
{
	AliveReader *reader;

	if (!kernel_has_types())
		return -EOPNOTSUPP;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->skeleton = alive_bpf__open_and_load();
	if (!reader->skeleton) {
		int r = -errno;

		free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

AliveReader *alive_reader_free(AliveReader *reader)
{
	if (reader)
		alive_bpf__destroy(reader->skeleton);
	free(reader);
	return NULL;
}

/* All that one iterator says. Return: 0, *ret (free()) and *ret_size; negative errno. */
static int walk(const struct bpf_program *program, void **ret, size_t *ret_size)
{
	_cleanup_close_ int link_fd = -EBADF, iterator_fd = -EBADF;
	_cleanup_free_ char *buffer = NULL;
	size_t have = 0, room = 0;

	link_fd = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, NULL);
	if (link_fd < 0)
		return link_fd;
	iterator_fd = bpf_iter_create(link_fd);
	if (iterator_fd < 0)
		return iterator_fd;
	for (;;) {
		ssize_t n;

		if (room - have < READ_BYTES) {
			char *grown = realloc(buffer, room * 2 + READ_BYTES);

			if (!grown)
				return -ENOMEM;
			buffer = grown;
			room = room * 2 + READ_BYTES;
		}
		n = read(iterator_fd, buffer + have, room - have);
		if (n < 0) {
			/* EAGAIN: the kernel gave up its CPU between two objects, and goes on. */
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret = buffer;
	*ret_size = have;
	buffer = NULL;
	return 0;
}

/* Both records begin with the id. */
static int compare_ids(const void *a, const void *b)
{
	const uint32_t *first = a, *second = b;

	return COMPARE(*first, *second);
}

int alive_reader_read(AliveReader *reader, AliveList **ret)
{
	AliveList *list = calloc(1, sizeof(*list));
	void *records;
	size_t size;
	int r;

	if (!list)
		return -ENOMEM;
	r = walk(reader->skeleton->progs.read_program, &records, &size);
	if (r < 0)
		goto fail;
	list->programs = records;
	list->n_programs = size / sizeof(*list->programs);
	r = walk(reader->skeleton->progs.read_map, &records, &size);
	if (r < 0)
		goto fail;
	list->maps = records;
	list->n_maps = size / sizeof(*list->maps);
	*ret = list;
	return 0;
fail:
	alive_list_free(list);
	return r;
}

AliveList *alive_list_free(AliveList *list)
{
	if (!list)
		return NULL;
	free(list->maps);
	free(list->programs);
	free(list);
	return NULL;
}

static bool has_program(const AliveList *list, uint32_t id)
{
	return id &&
	       bsearch(&id, list->programs, list->n_programs, sizeof(*list->programs), compare_ids);
}

static struct alive_map *find_map(const AliveList *list, uint32_t id)
{
	if (!id)
		return NULL;
	return bsearch(&id, list->maps, list->n_maps, sizeof(*list->maps), compare_ids);
}

void alive_list_hold_shared(AliveList *list, const KernelObjects *objects)
{
	struct alive_map *ring = find_map(list, objects->shared_ring);

	if (ring && has_program(list, objects->program))
		ring->held = true;
}

KernelState alive_list_state(const AliveList *list, const KernelObjects *objects)
{
	bool dying = false;

	if (has_program(list, objects->program))
		return KERNEL_HELD;
	for (size_t i = 0; i < sizeof(objects->maps) / sizeof(objects->maps[0]); i++) {
		const struct alive_map *map = find_map(list, objects->maps[i]);

		if (map && map->held)
			return KERNEL_HELD;
		if (map)
			dying = true;
	}
	return dying ? KERNEL_DYING : KERNEL_GONE;
}

int alive_program_id(int program_fd, uint32_t *ret)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);
	int r;

	r = bpf_obj_get_info_by_fd(program_fd, &info, &size);
	if (r < 0)
		return r;
	*ret = info.id;
	return 0;
}

int alive_map_id(int map_fd, uint32_t *ret)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);
	int r;

	r = bpf_obj_get_info_by_fd(map_fd, &info, &size);
	if (r < 0)
		return r;
	*ret = info.id;
	return 0;
}
