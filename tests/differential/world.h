/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a random condition looks at: registers, parameters, variables, and an arena of user memory at
 * a fixed address, pages of which are missing. The evaluator reads the arena by the same rule as the
 * kernel: all of a read, or nothing.
 */
#ifndef DIFFERENTIAL_WORLD_H
#define DIFFERENTIAL_WORLD_H

#include <stdint.h>

#include "bpcond/hit.h"
#include "condition/condition.h"
#include "tests/differential/random.h"

enum {
	WORLD_PARAMETERS = 3,
	WORLD_PHRASES = 8,
};

#define ARENA_START 0x200000000000ull
/* So much on either side of its start is the arena's, and nothing else comes to lie there. */
#define ARENA_GUARD (1ull << 28)

extern const char *const world_parameter_names[WORLD_PARAMETERS];
/* Strings that stand in the arena, several at page ends. */
extern const char *const world_phrases[WORLD_PHRASES];

typedef struct World {
	uint64_t registers[BPCOND_REG_COUNT];
	uint64_t parameters[WORLD_PARAMETERS];
	ConditionWorld world; /* points into this struct */
} World;

/* Maps and fills the arena. Return: 0 or a negative errno. */
int arena_map(Random *random);

/* An address at which something interesting lies, or near one. */
uint64_t arena_address(Random *random);

/* A number on which operators tend to differ. */
uint64_t interesting_number(Random *random);

void world_make(World *world, Random *random);
void world_print(const World *world);

#endif
