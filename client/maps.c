/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters and parameters as memory. The kernel writes and reads them while this process looks, so
 * every access is one aligned load or store of 8 bytes.
 */
#include "client/maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/spec_json.h"

/* Bytes of all values of an array map, as the kernel lays them out for mmap. */
static int map_bytes(int fd, size_t *ret)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);
	int r;

	r = bpf_obj_get_info_by_fd(fd, &info, &size);
	if (r < 0)
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.max_entries == 0 || info.value_size == 0 ||
	    info.value_size % 8 != 0)
		return -EPROTO;
	*ret = (size_t)info.value_size * info.max_entries;
	return 0;
}

static int map_fd(int fd, int protection, void **ret, size_t *ret_mapped, size_t *ret_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = 0, mapped;
	void *p;
	int r;

	r = map_bytes(fd, &bytes);
	if (r < 0)
		return r;
	mapped = (bytes + page - 1) / page * page;
	p = mmap(NULL, mapped, protection, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	*ret_mapped = mapped;
	*ret_bytes = bytes;
	return 0;
}

int counters_map(int fd, CountersMap *ret)
{
	size_t mapped = 0, bytes = 0;
	void *p;
	int r;

	r = map_fd(fd, PROT_READ, &p, &mapped, &bytes);
	if (r < 0)
		return r;
	if (bytes < sizeof(struct bpcond_counters)) {
		munmap(p, mapped);
		return -EPROTO;
	}
	*ret = (CountersMap){
		.slots = p,
		.n_slots = bytes / sizeof(struct bpcond_counters),
		.mapped = mapped,
	};
	return 0;
}

void counters_unmap(CountersMap *map)
{
	if (map->slots != NULL)
		munmap((void *)map->slots, map->mapped);
	*map = (CountersMap){};
}

static uint64_t load(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

void counters_sum(const CountersMap *map, struct bpcond_counters *ret)
{
	struct bpcond_counters sum = {};

	for (size_t i = 0; i < map->n_slots; i++) {
		const struct bpcond_counters *slot = &map->slots[i];

		sum.evaluated += load(&slot->evaluated);
		sum.hits += load(&slot->hits);
		sum.rejected += load(&slot->rejected);
		sum.withheld += load(&slot->withheld);
		sum.faults += load(&slot->faults);
		sum.dropped += load(&slot->dropped);
		sum.unsignalled += load(&slot->unsignalled);
	}
	*ret = sum;
}

int parameters_map_names(int fd, char **names, size_t n, ParametersMap *ret)
{
	ParametersMap map = {.names = names, .n = n};
	size_t bytes;
	void *p;
	int r;

	if (n == 0) {
		free(names);
		*ret = (ParametersMap){};
		return 0;
	}
	if (fd < 0) {
		r = -EPROTO;
		goto fail;
	}
	r = map_fd(fd, PROT_READ | PROT_WRITE, &p, &map.mapped, &bytes);
	if (r < 0)
		goto fail;
	map.values = p;
	if (bytes / sizeof(int64_t) < map.n) {
		r = -EPROTO;
		goto fail;
	}
	*ret = map;
	return 0;
fail:
	parameters_unmap(&map);
	return r;
}

int parameters_map(int fd, const char *spec, ParametersMap *ret)
{
	char **names;
	size_t n;
	int r;

	r = spec_parameter_names(spec, &names, &n);
	if (r < 0)
		return r;
	return parameters_map_names(fd, names, n, ret);
}

void parameters_unmap(ParametersMap *map)
{
	if (map->values != NULL)
		munmap((void *)map->values, map->mapped);
	spec_free_names(map->names, map->n);
	*map = (ParametersMap){};
}

volatile int64_t *parameters_find(const ParametersMap *map, const char *name)
{
	for (size_t i = 0; i < map->n; i++) {
		if (strcmp(map->names[i], name) == 0)
			return &map->values[i];
	}
	return NULL;
}

int event_array_put(int fd, int event_fd)
{
	const uint32_t index = 0;
	int r;

	r = bpf_map_update_elem(fd, &index, &event_fd, BPF_ANY);
	return r < 0 ? -errno : 0;
}
