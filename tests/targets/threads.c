/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that work and end on command. "start N" adds N threads, "work N" makes each of them call
 * threads_work(i) for i in 0…N-1 and answers how many calls that were, "end N" ends the N oldest. Answers
 * "threads N" with how many there are. Started as `threads N leader-ends`, its main thread ends at once
 * and the process goes on without; at "leave" it ends then. "exec" executes the program anew, by another
 * thread than the main one. "pass N" has the thread that answers start another that goes on instead, and
 * end, N times in a row.
 */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "tests/targets/target.h"

enum {
	MAX_THREADS = 64,
};

typedef struct Worker {
	pthread_t thread;
	long calls; /* asked for; -1: end */
	bool asked;
} Worker;

void threads_work(long number);

static Worker workers[MAX_THREADS];
static int first, count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static volatile long sink;
static sem_t leave;
static long passes; /* still to be made */

TARGET_FUNCTION void threads_work(long number)
{
	sink = number;
}

static void *worker_main(void *argument)
{
	Worker *worker = argument;
	long calls = 0;

	while (calls >= 0) {
		pthread_mutex_lock(&lock);
		while (!worker->asked)
			pthread_cond_wait(&changed, &lock);
		calls = worker->calls;
		pthread_mutex_unlock(&lock);

		for (long i = 0; i < calls; i++)
			threads_work(i);

		pthread_mutex_lock(&lock);
		worker->asked = false;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void ask(int from, int to, long calls)
{
	pthread_mutex_lock(&lock);
	for (int i = from; i < to; i++) {
		workers[i].calls = calls;
		workers[i].asked = true;
	}
	pthread_cond_broadcast(&changed);
	for (int i = from; i < to; i++) {
		while (workers[i].asked)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}

static void start(long n)
{
	for (long i = 0; i < n && count < MAX_THREADS; i++, count++)
		pthread_create(&workers[count].thread, NULL, worker_main, &workers[count]);
}

static void end(long n)
{
	int to = first + (int)n < count ? first + (int)n : count;

	ask(first, to, -1);
	for (; first < to; first++)
		pthread_join(workers[first].thread, NULL);
}

static void *serve(void *argument);

/* Return: whether another thread serves now, or will. */
static bool pass_on(void *argument)
{
	pthread_t next;

	if (passes == 0)
		return false;
	passes--;
	return pthread_create(&next, NULL, serve, argument) == 0 && pthread_detach(next) == 0;
}

static void *serve(void *argument)
{
	char **argv = argument, command[64];
	long number;

	if (pass_on(argument))
		return NULL;
	/* only now are there all the threads that a test counts with */
	target_say("ready");
	while (target_command(command, &number)) {
		if (strcmp(command, "start") == 0) {
			start(number);
		} else if (strcmp(command, "end") == 0) {
			end(number);
		} else if (strcmp(command, "leave") == 0) {
			sem_post(&leave);
		} else if (strcmp(command, "exec") == 0) {
			/* the main thread may have no memory any more */
			execv("/proc/thread-self/exe", argv);
			_exit(1);
		} else if (strcmp(command, "pass") == 0) {
			passes = number;
			if (pass_on(argument))
				return NULL;
		} else if (strcmp(command, "work") == 0) {
			ask(first, count, number);
			target_say("calls %ld", (count - first) * number);
			continue;
		}
		target_say("threads %d", count - first);
	}
	exit(0);
}

int main(int argc, char *argv[])
{
	pthread_t server;

	target_address("threads_work", (const void *)(uintptr_t)threads_work);
	start(argc > 1 ? atol(argv[1]) : 4);
	sem_init(&leave, 0, argc > 2 && strcmp(argv[2], "leader-ends") == 0);
	pthread_create(&server, NULL, serve, argv);
	sem_wait(&leave);
	pthread_exit(NULL);
}
