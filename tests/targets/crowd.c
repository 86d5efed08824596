/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Very many threads, as many as the argument says, which sleep. "work N" has the first thread call
 * crowd_work N times and answers "calls N".
 */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "tests/targets/target.h"

void crowd_work(long number);

static sem_t started;
static volatile long sink;

TARGET_FUNCTION void crowd_work(long number)
{
	sink = number;
}

static void *sleep_on(void *argument)
{
	sem_post(&started);
	for (;;)
		pause();
	return NULL;
}

int main(int argc, char *argv[])
{
	long n = argc > 1 ? atol(argv[1]) : 1000, number;
	pthread_attr_t attributes;
	char command[64];

	sem_init(&started, 0, 0);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (long i = 1; i < n; i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attributes, sleep_on, NULL) != 0)
			return 1;
	}
	for (long i = 1; i < n; i++)
		sem_wait(&started);
	target_address("crowd_work", (const void *)(uintptr_t)crowd_work);
	target_say("ready");
	while (target_command(command, &number)) {
		for (long i = 0; i < number; i++)
			crowd_work(i);
		target_say("calls %ld", number);
	}
	/* the others need not be waited for */
	_exit(0);
}
