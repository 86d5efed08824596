/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring and the counters by the public header and libbpf alone. */
#include "tests/support/hits.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/integration.h"
#include "tests/support/process.h"

struct Hits {
	struct ring_buffer *ring;
	HitsVisitor visit;
	void *userdata;
	uint64_t count;
};

static int on_record(void *userdata, void *data, size_t size)
{
	const struct bpcond_hit *hit = data;
	Hits *hits = userdata;

	check_often(size >= sizeof(*hit) && hit->size == size, "%zu bytes of a record", size);
	check_often(hit->version == BPCOND_LAYOUT_VERSION && hit->reserved == 0,
		    "the head of a record is wrong");
	hits->count++;
	if (hits->visit)
		hits->visit(hits->userdata, hit);
	return 0;
}

Hits *hits_new(int ring_fd, HitsVisitor visit, void *userdata)
{
	Hits *hits = calloc(1, sizeof(*hits));

	ck_assert_ptr_nonnull(hits);
	hits->visit = visit;
	hits->userdata = userdata;
	hits->ring = ring_buffer__new(ring_fd, on_record, hits, NULL);
	ck_assert_msg(hits->ring != NULL, "cannot map the ring");
	return hits;
}

Hits *hits_free(Hits *hits)
{
	ring_buffer__free(hits->ring);
	free(hits);
	return NULL;
}

uint64_t hits_read(Hits *hits)
{
	ck_assert_int_ge(ring_buffer__consume(hits->ring), 0);
	return hits->count;
}

void hits_wait(Hits *hits, uint64_t wanted)
{
	int64_t deadline = now_ms() + 10000;

	while (hits_read(hits) < wanted) {
		ck_assert_msg(now_ms() < deadline, "%lu hits of %lu after 10 s",
			      (unsigned long)hits->count, (unsigned long)wanted);
		ring_buffer__poll(hits->ring, 50);
	}
}

uint64_t hits_register(const struct bpcond_hit *hit, enum bpcond_register id)
{
	uint64_t below = hit->register_mask & ((1ULL << id) - 1), value;

	check_often(hit->register_mask >> id & 1, "register %d was not captured", id);
	memcpy(&value, (const char *)(hit + 1) + 8 * __builtin_popcountll(below), sizeof(value));
	return value;
}

void hits_counters(int counters_fd, struct bpcond_counters *ret)
{
	struct bpcond_counters sum = {0};
	const struct bpcond_counters *slots;
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	size_t length;
	void *page;

	ck_assert_int_eq(bpf_obj_get_info_by_fd(counters_fd, &info, &size), 0);
	ck_assert_uint_eq(info.value_size % sizeof(*slots), 0);
	length = (size_t)info.value_size;
	length = (length + 4095) & ~4095UL;
	page = mmap(NULL, length, PROT_READ, MAP_SHARED, counters_fd, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	slots = page;
	for (size_t i = 0; i < info.value_size / sizeof(*slots); i++) {
		sum.evaluated += slots[i].evaluated;
		sum.hits += slots[i].hits;
		sum.rejected += slots[i].rejected;
		sum.withheld += slots[i].withheld;
		sum.faults += slots[i].faults;
		sum.dropped += slots[i].dropped;
		sum.unsignalled += slots[i].unsignalled;
	}
	munmap(page, length);
	*ret = sum;
}
