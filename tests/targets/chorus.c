/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `chorus N`: a process of N threads beside its first. "call N" makes each of these call chorus_work N times
 * and answers how many calls that were.
 */
#include <pthread.h>
#include <unistd.h>

#include "tests/targets/target.h"

void chorus_work(long number);

static pthread_barrier_t asked, done;
static long calls;
static volatile long sink;

TARGET_FUNCTION void chorus_work(long number)
{
	sink = number;
}

static void *member(void *argument)
{
	for (;;) {
		pthread_barrier_wait(&asked);
		for (long i = 0; i < calls; i++)
			chorus_work(i);
		pthread_barrier_wait(&done);
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 100, number;
	pthread_attr_t attributes;
	pthread_t thread;
	char command[64];

	pthread_barrier_init(&asked, NULL, (unsigned)n + 1);
	pthread_barrier_init(&done, NULL, (unsigned)n + 1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (long i = 0; i < n; i++) {
		if (pthread_create(&thread, &attributes, member, NULL) != 0)
			return 1;
	}
	target_address("chorus_work", (const void *)(uintptr_t)chorus_work);
	target_say("ready");
	while (target_command(command, &number)) {
		calls = number;
		pthread_barrier_wait(&asked);
		pthread_barrier_wait(&done);
		target_say("calls %ld", n * number);
	}
	_exit(0);
}
