/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does known work in several threads and keeps the tally in memory that outlives it: `paced FD RESIDENT`
 * maps a PacedPage (paced.h) from the descriptor and has RESIDENT threads. "run" makes page->resident of
 * them, and page->later new ones, each do page->rounds rounds: paced_work(i, word), paced_other(i,
 * word) and a store of i to paced_value (by a function, so that i is in the same register), i from 0. It
 * answers "ran" and the number of threads.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/targets/paced.h"
#include "tests/targets/target.h"

void paced_work(long number, const char *word);
void paced_other(long number, const char *word);
void paced_store(long number, const char *word);

volatile long paced_value;
static volatile long sink;
static const char words[PACED_WORDS][8] = PACED_WORD_LIST;
static PacedPage *page;
static sem_t wanted[PACED_THREADS], done;

TARGET_FUNCTION void paced_work(long number, const char *word)
{
	sink = number;
}

TARGET_FUNCTION void paced_other(long number, const char *word)
{
	sink = number + 1;
}

TARGET_FUNCTION void paced_store(long number, const char *word)
{
	paced_value = number;
}

static void (*const sites[PACED_SITES])(long, const char *) = {paced_work, paced_other,
							       paced_store};

static void work(uintptr_t thread)
{
	uint64_t rounds = __atomic_load_n(&page->rounds, __ATOMIC_SEQ_CST);

	for (uint64_t i = 0; i < rounds; i++) {
		for (int site = 0; site < PACED_SITES; site++) {
			__atomic_store_n(&page->begun[site][thread], i + 1, __ATOMIC_SEQ_CST);
			sites[site]((long)i, words[i % PACED_WORDS]);
			__atomic_store_n(&page->ended[site][thread], i + 1, __ATOMIC_SEQ_CST);
		}
	}
}

static void *resident_main(void *argument)
{
	uintptr_t thread = (uintptr_t)argument;

	for (;;) {
		while (sem_wait(&wanted[thread]) != 0)
			continue;
		work(thread);
		sem_post(&done);
	}
	return NULL;
}

static void *later_main(void *argument)
{
	work((uintptr_t)argument);
	return NULL;
}

static uint32_t run(void)
{
	uint32_t resident = page->resident, later = page->later;
	pthread_t threads[PACED_THREADS];

	for (uint32_t i = 1; i < resident; i++)
		sem_post(&wanted[i]);
	for (uint32_t i = 0; i < later; i++) {
		if (pthread_create(&threads[i], NULL, later_main,
				   (void *)(uintptr_t)(resident + i)) != 0)
			abort();
	}
	work(0);
	for (uint32_t i = 1; i < resident; i++) {
		while (sem_wait(&done) != 0)
			continue;
	}
	for (uint32_t i = 0; i < later; i++)
		pthread_join(threads[i], NULL);
	return resident + later;
}

int main(int argc, char *argv[])
{
	pthread_t thread;
	char command[64];
	long number;

	if (argc != 3)
		return 2;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]), 0);
	if (page == MAP_FAILED)
		return 1;
	sem_init(&done, 0, 0);
	for (long i = 1; i < atol(argv[2]) && i < PACED_THREADS; i++) {
		sem_init(&wanted[i], 0, 0);
		if (pthread_create(&thread, NULL, resident_main, (void *)i) != 0)
			return 1;
	}
	target_address("paced_work", (const void *)(uintptr_t)paced_work);
	target_address("paced_other", (const void *)(uintptr_t)paced_other);
	target_address("paced_value", (const void *)(uintptr_t)&paced_value);
	target_say("ready");
	while (target_command(command, &number)) {
		if (strcmp(command, "run") == 0)
			target_say("ran %u", run());
	}
	return 0;
}
