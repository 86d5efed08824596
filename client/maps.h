/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two maps that come with a breakpoint or lent filter, mapped into this process: counters, which
 * the filter writes and nobody else can, and parameters, which this process writes and the filter
 * reads. And the array of events, of a lent filter only, which is not mapped.
 */
#ifndef CLIENT_MAPS_H
#define CLIENT_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "bpcond/hit.h"

typedef struct CountersMap {
	const struct bpcond_counters *slots; /* one a CPU; NULL: not mapped */
	size_t n_slots;
	size_t mapped; /* bytes */
} CountersMap;

typedef struct ParametersMap {
	char **names; /* in byte order, as the values lie */
	size_t n;
	volatile int64_t *values; /* NULL: none */
	size_t mapped;
} ParametersMap;

/* Maps the descriptor, which stays the caller's. Return: 0; -EPROTO when it is no such map; a
 * negative errno. */
int counters_map(int fd, CountersMap *ret);
void counters_unmap(CountersMap *map);

/* The sum over the CPUs, each number read once and whole. */
void counters_sum(const CountersMap *map, struct bpcond_counters *ret);

/*
 * Maps the descriptor for the parameters that a JSON spec declares. fd < 0: the spec must declare
 * none.
 *
 * Return: 0 (parameters_unmap); -EPROTO when map and spec do not fit; a negative errno.
 */
int parameters_map(int fd, const char *spec, ParametersMap *ret);

/* The same for `n` names in byte order, which are taken over (each and the array free()), also on
 * failure. */
int parameters_map_names(int fd, char **names, size_t n, ParametersMap *ret);

void parameters_unmap(ParametersMap *map);

/* Return: the place of the value; NULL when there is no such parameter. */
volatile int64_t *parameters_find(const ParametersMap *map, const char *name);

/* Puts an event at index 0 of the array, where it stays as long as the array's descriptor is open.
 * Return: 0; a negative errno. */
int event_array_put(int fd, int event_fd);

#endif
