/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small generator of numbers that are the same for the same seed, everywhere. */
#ifndef DIFFERENTIAL_RANDOM_H
#define DIFFERENTIAL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Random {
	uint64_t state;
} Random;

/* splitmix64 */
static inline uint64_t random_u64(Random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline unsigned int random_below(Random *random, unsigned int n)
{
	return random_u64(random) % n;
}

static inline bool random_one_in(Random *random, unsigned int n)
{
	return random_below(random, n) == 0;
}

#endif
