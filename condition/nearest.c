/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Edit distance (insertions, deletions, replacements and swapped neighbours), without regard to
 * case. A candidate is near if at most one letter in three differs. Names longer than any of ours
 * have no near candidate, which also bounds the work a hostile name can cause.
 */
#include <ctype.h>
#include <string.h>

#include "condition/nearest.h"

enum {
	LONGEST = 32,
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][LONGEST + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= n_b; j++)
		above[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);

			row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				row[j] = min(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[n_b];
}

void nearest_start(Nearest *nearest, const char *name)
{
	nearest->name = name;
	nearest->best = NULL;
	nearest->distance = strlen(name) / 3 + 1;
	if (strlen(name) < 2)
		nearest->distance = 0;
}

void nearest_offer(Nearest *nearest, const char *candidate)
{
	size_t n_name = strlen(nearest->name), n_candidate = strlen(candidate), found;

	if (n_name > LONGEST || n_candidate > LONGEST)
		return;
	found = distance(nearest->name, n_name, candidate, n_candidate);
	if (found < nearest->distance ||
	    (found == nearest->distance && !nearest->best && found > 0 && found < n_name)) {
		nearest->best = candidate;
		nearest->distance = found;
	}
}
