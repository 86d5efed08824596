/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random conditions, as JSON. */
#ifndef DIFFERENTIAL_GENERATOR_H
#define DIFFERENTIAL_GENERATOR_H

#include "condition/condition.h"
#include "tests/differential/random.h"

struct json_object;

/* A condition of at most `max_nodes` nodes (no fewer than 4), within all limits. `text`: with strings
 * and bytes. The caller's (json_object_put). */
struct json_object *generate_condition(Random *random, ConditionUse use, unsigned int max_nodes,
				       bool text);

#endif
