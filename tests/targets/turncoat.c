/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `turncoat FD PATH` calls turncoat_work(TURNCOAT_INNOCENT) and stores it to turncoat_value, round after
 * round, until it is told to turn, and for as long after that as it was told; then it executes PATH, a
 * set-user-ID copy of itself. As that (`turncoat`) it does the same with TURNCOAT_SECRET for a while, and
 * exits: with 0 if it was another user then, else with 3.
 */
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/targets/target.h"
#include "tests/targets/turncoat.h"

enum {
	GUILTY_NS = 2000000, /* long enough for a client that is late */
};

void turncoat_work(long number);

volatile long turncoat_value;
static volatile long sink;

TARGET_FUNCTION void turncoat_work(long number)
{
	sink = number;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int be_guilty(void)
{
	uint64_t until = now_ns() + GUILTY_NS;

	while (now_ns() < until) {
		turncoat_work(TURNCOAT_SECRET);
		turncoat_value = TURNCOAT_SECRET;
	}
	return geteuid() != getuid() ? 0 : 3;
}

int main(int argc, char *argv[])
{
	uint64_t until = UINT64_MAX;
	TurncoatPage *page;

	if (argc == 1)
		return be_guilty();
	if (argc != 3)
		return 2;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]), 0);
	if (page == MAP_FAILED)
		return 1;
	page->value = (uintptr_t)&turncoat_value;
	__atomic_store_n(&page->work, (uintptr_t)turncoat_work, __ATOMIC_SEQ_CST);
	while (until == UINT64_MAX || now_ns() < until) {
		__atomic_fetch_add(&page->begun, 1, __ATOMIC_SEQ_CST);
		turncoat_work(TURNCOAT_INNOCENT);
		turncoat_value = TURNCOAT_INNOCENT;
		if (until == UINT64_MAX && __atomic_load_n(&page->turn, __ATOMIC_SEQ_CST))
			until = now_ns() + page->delay_ns;
	}
	execl(argv[2], argv[0], NULL);
	return 1;
}
