/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A counter that is written more often than it changes. "write N" lets one thread write it N times,
 * "locked N" eight threads N times in all, each write and what it looks at under one lock; every
 * hundredth write changes it. Both answer "changed M".
 *
 * "race N" lets eight threads call counter_work N times each at once and answers "calls M". SIGUSR1,
 * when it comes, is looked at by its handler: "signals" answers how many came, "strays" how many of
 * them interrupted another instruction or a thread that was not about to run it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

#include "tests/support/machine.h"
#include "tests/targets/target.h"

enum {
	THREADS = 8,
	WRITES_A_CHANGE = 100,
};

void counter_work(long number);
extern char counter_instruction[];

static volatile uint64_t counter;
static long writes, changes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static atomic_long signals, strays;
static _Thread_local volatile sig_atomic_t about_to;

/* The instruction, and nothing else between the two marks. */
TARGET_FUNCTION void counter_work(long number)
{
	register long argument __asm__(ARG1) = number;

	about_to = 1;
	__asm__ volatile(".globl counter_instruction\n"
			 "counter_instruction: nop\n" ::"r"(argument));
	about_to = 0;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *state = context;

	atomic_fetch_add(&signals, 1);
	if (!about_to ||
	    CONTEXT_PC(state) != (uintptr_t)counter_instruction)
		atomic_fetch_add(&strays, 1);
}

/* Under the lock, or alone. */
static void write_once(void)
{
	writes++;
	if (writes % WRITES_A_CHANGE == 0) {
		changes++;
		counter = counter + 1;
	} else {
		counter = counter;
	}
}

static void *write_locked(void *argument)
{
	long n = (long)(intptr_t)argument;

	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&lock);
		write_once();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *race(void *argument)
{
	long n = (long)(intptr_t)argument;

	pthread_barrier_wait(&barrier);
	for (long i = 0; i < n; i++)
		counter_work(i);
	return NULL;
}

static void run_threads(void *(*function)(void *), long n)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, function, (void *)(intptr_t)n);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	char command[64];
	long number;

	sigaction(SIGUSR1, &action, NULL);
	pthread_barrier_init(&barrier, NULL, THREADS);
	target_address("counter", (const void *)(uintptr_t)&counter);
	target_address("instruction", counter_instruction);
	target_say("ready");
	while (target_command(command, &number)) {
		changes = 0;
		if (strcmp(command, "write") == 0) {
			for (long i = 0; i < number; i++)
				write_once();
			target_say("changed %ld", changes);
		} else if (strcmp(command, "locked") == 0) {
			run_threads(write_locked, number / THREADS);
			target_say("changed %ld", changes);
		} else if (strcmp(command, "race") == 0) {
			run_threads(race, number);
			target_say("calls %ld", number * THREADS);
		} else if (strcmp(command, "call") == 0) {
			for (long i = 0; i < number; i++)
				counter_work(i);
			target_say("calls %ld", number);
		} else if (strcmp(command, "signals") == 0) {
			target_say("signals %ld", atomic_load(&signals));
		} else if (strcmp(command, "strays") == 0) {
			target_say("strays %ld", atomic_load(&strays));
		}
	}
	return 0;
}
