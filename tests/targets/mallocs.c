/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mallocs CALLS: eight threads that call malloc so often each, four of which start only at "late". Each
 * keeps its own exact tally of the calls with size 4096; "report" ends them and gives the sum. Nothing
 * else in the program allocates 4096 bytes once it is ready.
 */
#include <pthread.h>
#include <unistd.h>

#include "tests/targets/target.h"

enum {
	THREADS = 8,
	EARLY = 4,
	WANTED = 4096,
};

static pthread_t threads[THREADS];
static long tallies[THREADS];
static pthread_barrier_t start;
static long calls;

static void *allocate(void *argument)
{
	long index = (long)(intptr_t)argument;
	uint32_t state = 12345 + (uint32_t)index * 977;

	pthread_barrier_wait(&start);
	for (long i = 0; i < calls; i++) {
		size_t size;
		char *volatile memory;

		state = state * 1664525 + 1013904223;
		/* one in 64 is wanted; its neighbours are there to be told apart */
		size = WANTED - 32 + (state >> 20) % 64;
		memory = malloc(size);
		if (size == WANTED)
			tallies[index]++;
		free(memory);
	}
	return NULL;
}

static void launch(long from, long to)
{
	pthread_barrier_init(&start, NULL, (unsigned)(to - from) + 1);
	for (long i = from; i < to; i++)
		pthread_create(&threads[i], NULL, allocate, (void *)(intptr_t)i);
}

static void join(long from, long to)
{
	for (long i = from; i < to; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
}

int main(int argc, char *argv[])
{
	static char output[BUFSIZ], input[BUFSIZ];
	char command[64];
	long number, sum = 0;

	calls = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	/* no allocation by stdio */
	setvbuf(stdout, output, _IOLBF, sizeof(output));
	setvbuf(stdin, input, _IOLBF, sizeof(input));
	launch(0, EARLY);
	target_say("ready");
	while (target_command(command, &number)) {
		if (strcmp(command, "early") == 0) {
			pthread_barrier_wait(&start);
			join(0, EARLY);
			target_say("early done");
		} else if (strcmp(command, "late") == 0) {
			launch(EARLY, THREADS);
			pthread_barrier_wait(&start);
			join(EARLY, THREADS);
			target_say("late done");
		} else if (strcmp(command, "report") == 0) {
			for (int i = 0; i < THREADS; i++)
				sum += tallies[i];
			target_say("tally %ld", sum);
		}
	}
	return 0;
}
