/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop that every measurement breaks into: bench_work(number, pair) is called again and again.
 *
 *	loop			says the addresses, then for each line N of stdin makes N calls and
 *				says how many nanoseconds they took
 *	loop CALLS ROUNDS	makes CALLS calls ROUNDS times and says the nanoseconds of one call in
 *				the best round: for debuggers that start their program themselves
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct pair {
	uint64_t first;
	int32_t second;
};

void bench_work(long number, struct pair *pair);

static struct pair pair = {.first = 1, .second = 2};
static volatile long sink;

#ifdef __clang__
__attribute__((noinline, optnone))
#else
__attribute__((noinline, noipa))
#endif
void bench_work(long number, struct pair *argument)
{
	sink = number;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t call(long n)
{
	uint64_t start = now_ns();

	for (long i = 0; i < n; i++)
		bench_work(i, &pair);
	return now_ns() - start;
}

static void measure(long calls, long rounds)
{
	uint64_t best = UINT64_MAX;

	for (long i = 0; i < rounds; i++) {
		uint64_t time = call(calls);

		if (time < best)
			best = time;
	}
	printf("ns-per-call %.1f\n", (double)best / (double)calls);
}

int main(int argc, char *argv[])
{
	char line[64];

	if (argc == 3) {
		measure(atol(argv[1]), atol(argv[2]));
		return 0;
	}
	printf("address 0x%lx\n", (unsigned long)(uintptr_t)bench_work);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		printf("ns %llu\n", (unsigned long long)call(atol(line)));
		fflush(stdout);
	}
	return 0;
}
