/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a little of everything that makes perf events fire, without end and without being asked: calls
 * a function, stores to a variable, faults pages in, sleeps, and calculates in between. With
 * --undumpable it cannot be looked at by its own user.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/targets/target.h"

void busy_work(long number);

volatile long busy_rounds;

enum {
	PAGES = 4,
	PAGE_BYTES = 4096,
};

TARGET_FUNCTION void busy_work(long number)
{
	busy_rounds = number;
}

static void fault_pages(void)
{
	char *memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	for (int i = 0; i < PAGES; i++)
		memory[(size_t)i * PAGE_BYTES] = 1;
	munmap(memory, PAGES * PAGE_BYTES);
}

int main(int argc, char *argv[])
{
	const struct timespec pause = {.tv_nsec = 500000};
	volatile long sum = 0;

	if (argc > 1 && strcmp(argv[1], "--undumpable") == 0)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	target_address("busy_work", (const void *)(uintptr_t)busy_work);
	target_say("ready");
	for (long round = 1;; round++) {
		busy_work(round);
		fault_pages();
		for (long i = 0; i < 200000; i++)
			sum = sum + i;
		nanosleep(&pause, NULL);
	}
}
