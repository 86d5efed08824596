/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a session's ring as a client without our library would: by libbpf. */
#ifndef SUPPORT_HITS_H
#define SUPPORT_HITS_H

#include <stdint.h>

#include <bpcond/hit.h>

typedef struct Hits Hits;

typedef void (*HitsVisitor)(void *userdata, const struct bpcond_hit *hit);

/* A reader of the ring (the descriptor is borrowed). `visit` may be NULL: hits are only counted. */
Hits *hits_new(int ring_fd, HitsVisitor visit, void *userdata);
Hits *hits_free(Hits *hits);

/* Reads what is there. Return: how many records have been read so far, in all. */
uint64_t hits_read(Hits *hits);

/* Reads until `wanted` records have been read in all; fails the test case after 10 s. */
void hits_wait(Hits *hits, uint64_t wanted);

/* A register of a record; fails the test case when it was not captured. */
uint64_t hits_register(const struct bpcond_hit *hit, enum bpcond_register id);

/* The sum over all CPUs of a breakpoint's counters, from its page. */
void hits_counters(int counters_fd, struct bpcond_counters *ret);

#endif
