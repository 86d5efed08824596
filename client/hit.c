/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading hit records. Records come from the kernel's filter, but also out of pipes and files of
 * anyone, so every length is checked against the record's size before it is followed, by each
 * accessor anew: no record, however wrong, makes one read outside its `size` bytes. Pure: no
 * allocation, no I/O.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "bpcond/bpcond.h"
#include "client/machine.h"

enum {
	/* Far above what a spec can ask for; keeps the walk over a hostile record short. */
	MAX_PIECES = 64,
};

const char *bpcond_register_name(enum bpcond_register id)
{
	if ((unsigned)id >= BPCOND_REG_COUNT)
		return NULL;
	return machine_register_names[id];
}

int bpcond_register_by_name(const char *name)
{
	for (int i = 0; i < BPCOND_REG_COUNT; i++) {
		if (strcmp(machine_register_names[i], name) == 0)
			return i;
	}
	return -ENOENT;
}

static size_t registers_size(const struct bpcond_hit *hit)
{
	return (size_t)__builtin_popcountll(hit->register_mask) * sizeof(uint64_t);
}

/*
 * Walks over the pieces of memory, from behind the registers: to the end of the index-th piece, or
 * with index = memory_count over all of them.
 *
 * Return: false when the record is too short; else true, *ret_offset is where that piece's head (or
 * the stack) begins.
 */
static bool walk(const struct bpcond_hit *hit, unsigned index, size_t *ret_offset)
{
	size_t offset = sizeof(*hit) + registers_size(hit);

	for (unsigned i = 0; i < index; i++) {
		struct bpcond_memory piece;
		size_t bytes;

		if (offset > hit->size || hit->size - offset < sizeof(piece))
			return false;
		memcpy(&piece, (const char *)hit + offset, sizeof(piece));
		if (piece.read > piece.length)
			return false;
		offset += sizeof(piece);
		bytes = ((size_t)piece.length + 7) & ~(size_t)7;
		if (hit->size - offset < bytes)
			return false;
		offset += bytes;
	}
	if (offset > hit->size)
		return false;
	*ret_offset = offset;
	return true;
}

int bpcond_hit_check(const void *record, size_t size)
{
	const struct bpcond_hit *hit = record;
	const uint16_t known = BPCOND_HIT_FAULT | BPCOND_HIT_FROM_KERNEL | BPCOND_HIT_UNSIGNALLED |
			       BPCOND_HIT_BEFORE_ACCESS;
	size_t offset;

	if (size < sizeof(*hit) || hit->size != size || size % 8 != 0)
		return -EBADMSG;
	if (hit->version != BPCOND_LAYOUT_VERSION || (hit->flags & ~known) != 0 ||
	    hit->register_mask >> BPCOND_REG_COUNT != 0)
		return -EBADMSG;
	if (hit->memory_count > MAX_PIECES || !walk(hit, hit->memory_count, &offset))
		return -EBADMSG;
	/* The filter makes room for as many addresses as were asked for before it knows how many
	 * there are. */
	if (size - offset < (size_t)hit->stack_count * sizeof(uint64_t))
		return -EBADMSG;
	return 0;
}

int bpcond_hit_register(const struct bpcond_hit *hit, enum bpcond_register id, uint64_t *ret)
{
	size_t offset = sizeof(*hit);
	uint64_t bit;

	if ((unsigned)id >= BPCOND_REG_COUNT)
		return -ENODATA;
	bit = UINT64_C(1) << id;
	if ((hit->register_mask & bit) == 0)
		return -ENODATA;
	offset += (size_t)__builtin_popcountll(hit->register_mask & (bit - 1)) * sizeof(uint64_t);
	if (hit->size < offset || hit->size - offset < sizeof(*ret))
		return -ENODATA;
	memcpy(ret, (const char *)hit + offset, sizeof(*ret));
	return 0;
}

int bpcond_hit_register_by_name(const struct bpcond_hit *hit, const char *name, uint64_t *ret)
{
	int id = bpcond_register_by_name(name);

	return id < 0 ? -ENODATA : bpcond_hit_register(hit, (enum bpcond_register)id, ret);
}

int bpcond_hit_memory(const struct bpcond_hit *hit, unsigned index, bpcond_piece *ret)
{
	struct bpcond_memory piece;
	size_t offset, behind;

	/* The end of the piece is walked to as well: its bytes are then known to be there. */
	if (index >= hit->memory_count || !walk(hit, index + 1, &behind) ||
	    !walk(hit, index, &offset))
		return -ENODATA;
	memcpy(&piece, (const char *)hit + offset, sizeof(piece));
	*ret = (bpcond_piece){
		.at = piece.at,
		.length = piece.length,
		.read = piece.read,
		.bytes = (const char *)hit + offset + sizeof(piece),
	};
	return 0;
}

size_t bpcond_hit_stack(const struct bpcond_hit *hit, const uint64_t **ret)
{
	size_t offset, n = hit->stack_count;
	const uint64_t *stack;

	if (n == 0 || !walk(hit, hit->memory_count, &offset) ||
	    hit->size - offset < n * sizeof(uint64_t))
		return 0;
	stack = (const uint64_t *)(const void *)((const char *)hit + offset);
	while (n > 0 && stack[n - 1] == 0)
		n--;
	*ret = stack;
	return n;
}
