/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arena is eight pages, of which the third, the sixth and the last are missing, inside a stretch
 * of address space where nothing else can come to lie.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sys/mman.h>

#include "tests/differential/world.h"

enum {
	PAGE = 4096,
	ARENA_PAGES = 8,
};

const char *const world_parameter_names[WORLD_PARAMETERS] = {"limit", "max", "rbx"};

const char *const world_phrases[WORLD_PHRASES] = {
	"",
	"G",
	"GET",
	"GET /",
	"POST /index",
	"sixteen bytes ok",
	"a phrase that is somewhat longer than the others",
	"\xc3\xa4\xc3\xb6\xc3\xbc\xff",
};

static bool page_missing(uint64_t address)
{
	uint64_t page = (address - ARENA_START) / PAGE;

	return address < ARENA_START || page >= ARENA_PAGES - 1 || page == 2 || page == 5;
}

static int read_arena(void *userdata, uint64_t address, void *buffer, size_t length)
{
	if (address + length < address || page_missing(address) ||
	    page_missing(address + length - 1))
		return -EFAULT;
	/* No read is longer than a page and a byte: none spans three pages. */
	memcpy(buffer, (const void *)address, length);
	return 0;
}

static const struct {
	unsigned int page, offset; /* offset from the page's end where negative pages are meant */
} anchors[] = {
	{0, 0},    {0, 64},   {0, 128},  {0, 256},  {0, 1000}, {0, 4088}, {1, 8},
	{1, 4092}, {1, 4093}, {1, 4080}, {1, 4095}, {3, 4000}, {3, 4090}, {4, 4085},
	{4, 4092}, {4, 4048}, {6, 4095}, {6, 4079}, {6, 4093},
};

uint64_t arena_address(Random *random)
{
	size_t i = random_below(random, sizeof(anchors) / sizeof(anchors[0]));
	uint64_t address = ARENA_START + anchors[i].page * PAGE + anchors[i].offset;

	if (random_one_in(random, 3))
		address += (int64_t)random_below(random, 32) - 16;
	if (random_one_in(random, 12))
		address = ARENA_START + random_below(random, ARENA_PAGES * PAGE);
	return address;
}

uint64_t interesting_number(Random *random)
{
	static const uint64_t numbers[] = {
		0,
		1,
		2,
		3,
		5,
		7,
		8,
		10,
		63,
		64,
		65,
		127,
		128,
		255,
		256,
		500,
		4095,
		4096,
		32767,
		32768,
		65535,
		65536,
		INT32_MAX,
		0x80000000,
		UINT32_MAX,
		0x100000000,
		INT64_MAX,
		0x8000000000000000,
		0x8000000000000001,
		UINT64_MAX,
		UINT64_MAX - 1,
		0xffffffff80000000,
		0xffffffff7fffffff,
		0x123456789abcdef0,
	};

	switch (random_below(random, 5)) {
	case 0:
		return random_u64(random) >> random_below(random, 64);
	case 1:
		return -(random_u64(random) >> random_below(random, 64));
	case 2:
		return arena_address(random);
	default:
		return numbers[random_below(random, sizeof(numbers) / sizeof(numbers[0]))];
	}
}

static void fill(uint8_t *page, Random *random)
{
	for (unsigned int i = 0; i < PAGE; i += 8) {
		uint64_t number = interesting_number(random);

		memcpy(page + i, &number, 8);
	}
}

int arena_map(Random *random)
{
	void *guard =
		mmap((void *)(ARENA_START - ARENA_GUARD), 2 * ARENA_GUARD, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

	if (guard == MAP_FAILED)
		return -errno;
	for (unsigned int i = 0; i < ARENA_PAGES; i++) {
		uint8_t *page = (uint8_t *)ARENA_START + i * PAGE;

		if (page_missing((uint64_t)page))
			continue;
		if (mmap(page, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1,
			 0) == MAP_FAILED)
			return -errno;
		if (mlock(page, PAGE) < 0 && errno != EPERM && errno != ENOMEM)
			return -errno;
		fill(page, random);
	}
	for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++) {
		const char *phrase = world_phrases[i % WORLD_PHRASES];
		size_t n = strlen(phrase) + 1, room = PAGE - anchors[i].offset;
		uint8_t *at = (uint8_t *)ARENA_START + anchors[i].page * PAGE + anchors[i].offset;

		if (!page_missing((uint64_t)at))
			memcpy(at, phrase, n < room ? n : room);
	}
	/* Strings that end exactly at a page end, with their NUL and without. */
	memcpy((uint8_t *)ARENA_START + 1 * PAGE + 4092, "GET", 4);
	memcpy((uint8_t *)ARENA_START + 4 * PAGE + 4093, "GET", 3);
	memcpy((uint8_t *)ARENA_START + 6 * PAGE + 4079, "sixteen bytes ok", 17);
	return 0;
}

void world_make(World *world, Random *random)
{
	ConditionWorld *w = &world->world;

	for (int i = 0; i < BPCOND_REG_COUNT; i++)
		world->registers[i] = random_one_in(random, 2) ? interesting_number(random)
							       : random_below(random, 4);
	/* Some registers are pointers, as in programs. */
	for (int i = 4; i <= 7; i++) /* rsi to rsp, x4 to x7 */
		if (!random_one_in(random, 5))
			world->registers[i] = arena_address(random);
	for (int i = 0; i < WORLD_PARAMETERS; i++)
		world->parameters[i] = interesting_number(random);
	*w = (ConditionWorld){
		.registers = world->registers,
		.parameters = world->parameters,
		.tid = random_below(random, 100000),
		.pid = random_below(random, 100000),
		.cpu = random_below(random, 8),
		.time = random_u64(random) >> random_below(random, 40),
		.evaluated = 1 + random_below(random, 1000),
		.value = interesting_number(random),
		.previous = random_one_in(random, 2) ? interesting_number(random) : 1,
		.counter = interesting_number(random),
		.value_unreadable = random_one_in(random, 8),
		.counter_unreadable = random_one_in(random, 8),
		.read_memory = read_arena,
	};
}

void world_print(const World *world)
{
	const ConditionWorld *w = &world->world;

	for (int i = 0; i < BPCOND_REG_COUNT; i++)
		printf("  register %d = 0x%" PRIx64 "\n", i, world->registers[i]);
	for (int i = 0; i < WORLD_PARAMETERS; i++)
		printf("  %s = 0x%" PRIx64 "\n", world_parameter_names[i], world->parameters[i]);
	printf("  tid %" PRIu64 " pid %" PRIu64 " cpu %" PRIu64 " time %" PRIu64
	       " evaluated %" PRIu64 "\n",
	       w->tid, w->pid, w->cpu, w->time, w->evaluated);
	printf("  value 0x%" PRIx64 " previous 0x%" PRIx64 "%s counter 0x%" PRIx64 "%s\n", w->value,
	       w->previous, w->value_unreadable ? " (unreadable)" : "", w->counter,
	       w->counter_unreadable ? " (unreadable)" : "");
}
