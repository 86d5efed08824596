/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#include "bpcond/bpcond.h"
#include "daemon/bpf_ring.h"

struct HitRing {
	struct ring_buffer *ring;
	HitVisitor visit; /* of the reading under way */
	void *userdata;
	int result;
};

static int on_record(void *userdata, void *data, size_t size)
{
	HitRing *ring = userdata;

	if (bpcond_hit_check(data, size) < 0) {
		ring->result = -EBADMSG;
	} else {
		ring->visit(data, ring->userdata);
		ring->result = 1;
	}
	/* One record at a time, or a target that hits without end would hold the loop; libbpf counts
	 * this one as read. */
	return -ECANCELED;
}

int hit_ring_new(int ring_fd, HitRing **ret)
{
	HitRing *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	ring->ring = ring_buffer__new(ring_fd, on_record, ring, NULL);
	if (!ring->ring) {
		int r = errno ? -errno : -ENOMEM;

		free(ring);
		return r;
	}
	*ret = ring;
	return 0;
}

HitRing *hit_ring_free(HitRing *ring)
{
	if (!ring)
		return NULL;
	ring_buffer__free(ring->ring);
	free(ring);
	return NULL;
}

int hit_ring_next(HitRing *ring, HitVisitor visit, void *userdata)
{
	int r;

	ring->visit = visit;
	ring->userdata = userdata;
	ring->result = 0;
	r = ring_buffer__consume(ring->ring);
	if (ring->result != 0)
		return ring->result;
	return r < 0 ? r : 0;
}
