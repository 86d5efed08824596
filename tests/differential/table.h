/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conditions with their verdicts worked out by hand: C's corner cases, sub-registers, page ends. One
 * table for the evaluator (a unit test) and for the kernel, in one fixed world.
 */
#ifndef DIFFERENTIAL_TABLE_H
#define DIFFERENTIAL_TABLE_H

#include "tests/differential/world.h"

typedef struct TableCase {
	const char *condition; /* JSON */
	int verdict;
} TableCase;

extern const TableCase table_cases[];
extern const size_t table_n_cases;

/* The world that the verdicts are for; arena_map() comes first. The use is CONDITION_FOR_DATA. */
void table_world(World *world);

#endif
