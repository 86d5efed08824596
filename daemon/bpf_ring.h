/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's own reading of a session's ring, for hits that it forwards or tells. Only of a ring that
 * never left the daemon: whoever maps a ring can write its reader's position, and libbpf follows it.
 */
#ifndef BPF_RING_H
#define BPF_RING_H

#include <bpcond/hit.h>

typedef struct HitRing HitRing;

/* Sees one record, which is as long as the call. */
typedef void (*HitVisitor)(const struct bpcond_hit *hit, void *userdata);

/* Maps the ring (the descriptor is borrowed). Return: 0 and *ret (hit_ring_free); negative errno. */
int hit_ring_new(int ring_fd, HitRing **ret);
HitRing *hit_ring_free(HitRing *ring);

/*
 * Takes the oldest record out of the ring. Its place is the kernel's again when this returns.
 *
 * Return: 1 after it was visited; 0 when there is none, or none yet that is whole; -EBADMSG for one that
 * makes no sense; another negative errno.
 */
int hit_ring_next(HitRing *ring, HitVisitor visit, void *userdata);

#endif
