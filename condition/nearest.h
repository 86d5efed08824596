/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": the candidate that differs least from a name somebody typed. */
#ifndef CONDITION_NEAREST_H
#define CONDITION_NEAREST_H

#include <stddef.h>

typedef struct Nearest {
	const char *name; /* as typed; borrowed */
	const char *best; /* NULL: nothing near enough was offered */
	size_t distance;
} Nearest;

void nearest_start(Nearest *nearest, const char *name);

/* Borrows the candidate for as long as `best` is looked at. */
void nearest_offer(Nearest *nearest, const char *candidate);

#endif
