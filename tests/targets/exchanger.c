/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Becomes a set-user-ID program while it is being looked at: `exchanger MICROSECONDS PROGRAM`, PROGRAM
 * being a set-user-ID copy of itself, calls exchanger_work(1) for so long and then executes PROGRAM, which
 * calls exchanger_work(2), and so does each of its threads, at the same address. Says "after CALLS" then.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tests/targets/target.h"

enum {
	CALLS = 200,
};

void exchanger_work(long who);

static volatile long sink;

TARGET_FUNCTION void exchanger_work(long who)
{
	sink = who;
}

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *call(void *argument)
{
	for (int i = 0; i < CALLS; i++)
		exchanger_work(2);
	return NULL;
}

int main(int argc, char *argv[])
{
	pthread_t thread;
	long end;

	if (geteuid() != getuid()) {
		call(NULL);
		pthread_create(&thread, NULL, call, NULL);
		pthread_join(thread, NULL);
		target_say("after %d", 2 * CALLS);
		return 0;
	}
	target_address("exchanger_work", (const void *)(uintptr_t)exchanger_work);
	target_say("ready");
	if (argc != 3)
		return 2;
	for (end = now_us() + strtol(argv[1], NULL, 10); now_us() < end;)
		exchanger_work(1);
	execl(argv[2], argv[2], NULL);
	return 1;
}
