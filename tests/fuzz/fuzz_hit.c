/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record parser on any bytes. What bpcond_hit_check accepts, every accessor and the JSON form
 * must be able to read; what it refuses, the accessors still must not overread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpcond/bpcond.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void read_all(const struct bpcond_hit *hit)
{
	const uint64_t *stack;
	bpcond_piece piece;
	uint64_t value;
	size_t n;

	for (int id = 0; id < BPCOND_REG_COUNT; id++) {
		if (bpcond_hit_register(hit, (enum bpcond_register)id, &value) == 0)
			sink += value;
	}
	for (unsigned i = 0; i < 70 && bpcond_hit_memory(hit, i, &piece) == 0; i++) {
		for (uint32_t k = 0; k < piece.length; k++)
			sink += ((const unsigned char *)piece.bytes)[k];
	}
	n = bpcond_hit_stack(hit, &stack);
	for (size_t i = 0; i < n; i++)
		sink += stack[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A block of its own: aligned, and with ASan's fence right behind it. */
	struct bpcond_hit *hit = malloc(size > 0 ? size : 1);
	char *json = NULL;
	int r;

	if (hit == NULL)
		return 0;
	memcpy(hit, data, size);
	r = bpcond_hit_check(hit, size);
	if (r == 0) {
		read_all(hit);
		if (bpcond_hit_to_json(hit, &json) != 0 || json[0] != '{' ||
		    json[strlen(json) - 1] != '}')
			abort();
		free(json);
	} else if (size >= sizeof(*hit)) {
		/* The header alone is there: the accessors must see to the rest themselves. */
		hit->size = (uint32_t)size;
		read_all(hit);
	}
	free(hit);
	return 0;
}
