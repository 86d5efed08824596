/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread that stores to a global int: "store N" stores N values of a fixed sequence between -200
 * and 199 and answers how many of them are above 100. "other" stores to the neighbour of the
 * watched int only.
 */
#include "tests/targets/target.h"

struct pair {
	volatile int32_t value;
	volatile int32_t neighbour;
} __attribute__((aligned(8)));

struct pair stores_pair;

static long store(long n)
{
	uint32_t state = 4711;
	long above = 0;

	for (long i = 0; i < n; i++) {
		int32_t value;

		state = state * 1664525 + 1013904223;
		value = (int32_t)((state >> 16) % 400) - 200;
		stores_pair.value = value;
		if (value > 100)
			above++;
	}
	return above;
}

int main(void)
{
	char command[64];
	long number;

	target_address("value", (const void *)(uintptr_t)&stores_pair.value);
	target_say("ready");
	while (target_command(command, &number)) {
		if (strcmp(command, "store") == 0) {
			target_say("above %ld", store(number));
		} else if (strcmp(command, "other") == 0) {
			for (long i = 0; i < number; i++)
				stores_pair.neighbour = 101;
			target_say("above 0");
		}
	}
	return 0;
}
