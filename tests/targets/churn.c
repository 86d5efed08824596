/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts and ends threads all the time, and counts its own calls exactly. Four starters (`churn N`: N) each keep
 * starting a thread that starts another one in turn; all of them call churn_work(phase). With `churn N pairs`
 * each starter keeps to one CPU, where it and the thread that it started give way to each other after each
 * call: then the kernel exchanges what they inherited all the time. "phase N"
 * makes N the phase of all later calls; "tally N", for a phase that is over, answers how many calls
 * with phase N there were, once none of them is under way any more. At "leave" the first thread ends, and the rest
 * goes on without anybody to tell.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/targets/target.h"

enum {
	STARTERS = 4,
	PHASES = 256,
	CALLS = 5,
	TURNS = 50,
	PAUSE_US = 300,
};

void churn_work(long phase);

static atomic_long phase;
static atomic_long begun[PHASES], ended[PHASES];
static atomic_long started_threads;
static volatile long sink;

TARGET_FUNCTION void churn_work(long argument)
{
	sink = argument;
}

/* Counts a call of the phase that now is. Whoever sees the phase change before it has counted takes
 * its count back, so that begun == ended after a change of phase is the end of the matter. */
static long begin_call(void)
{
	for (;;) {
		long now = atomic_load(&phase);

		atomic_fetch_add(&begun[now], 1);
		if (atomic_load(&phase) == now)
			return now;
		atomic_fetch_sub(&begun[now], 1);
	}
}

static void call(void)
{
	long now = begin_call();

	churn_work(now);
	atomic_fetch_add(&ended[now], 1);
}

static void work(void)
{
	for (int i = 0; i < CALLS; i++)
		call();
}

static void *grandchild(void *argument)
{
	work();
	return NULL;
}

static void *child(void *argument)
{
	pthread_t thread;

	work();
	if (pthread_create(&thread, NULL, grandchild, NULL) == 0) {
		work();
		pthread_join(thread, NULL);
	}
	atomic_fetch_add(&started_threads, 2);
	return NULL;
}

static void *starter(void *argument)
{
	pthread_t thread;

	for (;;) {
		if (pthread_create(&thread, NULL, child, NULL) == 0)
			pthread_join(thread, NULL);
		work();
	}
	return NULL;
}

typedef struct Pair {
	sem_t first, second;
} Pair;

static void take_turns(sem_t *own, sem_t *other)
{
	for (int i = 0; i < TURNS; i++) {
		while (sem_wait(own) < 0)
			continue;
		call();
		sem_post(other);
	}
}

static void *second_of_pair(void *argument)
{
	Pair *pair = argument;

	take_turns(&pair->second, &pair->first);
	atomic_fetch_add(&started_threads, 1);
	return NULL;
}

static void *first_of_pair(void *argument)
{
	pthread_t thread;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	for (;;) {
		Pair pair;

		sem_init(&pair.first, 0, 1);
		sem_init(&pair.second, 0, 0);
		if (pthread_create(&thread, NULL, second_of_pair, &pair) == 0) {
			take_turns(&pair.first, &pair.second);
			pthread_join(thread, NULL);
		}
		usleep(PAUSE_US);
	}
	return NULL;
}

static long settle(long number)
{
	while (atomic_load(&begun[number]) != atomic_load(&ended[number]))
		sched_yield();
	return atomic_load(&ended[number]);
}

int main(int argc, char *argv[])
{
	const long starters = argc > 1 ? atol(argv[1]) : STARTERS;
	const bool pairs = argc > 2 && strcmp(argv[2], "pairs") == 0;
	pthread_t thread;
	char command[64];
	long number;

	target_address("churn_work", (const void *)(uintptr_t)churn_work);
	for (long i = 0; i < starters; i++)
		pthread_create(&thread, NULL, pairs ? first_of_pair : starter, NULL);
	target_say("ready");
	while (target_command(command, &number)) {
		if (number < 0 || number >= PHASES) {
			target_say("no such phase");
		} else if (strcmp(command, "phase") == 0) {
			atomic_store(&phase, number);
			target_say("phase %ld", number);
		} else if (strcmp(command, "tally") == 0) {
			target_say("tally %ld", settle(number));
		} else if (strcmp(command, "threads") == 0) {
			target_say("threads %ld", atomic_load(&started_threads));
		} else if (strcmp(command, "leave") == 0) {
			target_say("gone");
			pthread_exit(NULL);
		}
	}
	return 0;
}
