/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client: a step by chance, then the next. */
#include "tests/soak/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/process.h"

enum {
	SETTLE_MS = 60000,
	PAUSE_US = 20000,
	LONGEST_LIFE_US = 20000, /* of a target that is killed at work */
};

void worker_fail(const Worker *worker, const char *format, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "soak: client %u, seed %llu: %s\n", worker->number,
		(unsigned long long)worker->seed, text);
	atomic_fetch_add(&worker->soak->failures, 1);
	_exit(EXIT_FAILURE);
}

bool worker_is_disturbed(const Worker *worker)
{
	unsigned disturbances = atomic_load(&worker->soak->disturbances);

	return disturbances != atomic_load(&worker->soak->settled) ||
	       disturbances != worker->seen_disturbances;
}

void worker_see(Worker *worker)
{
	/* In this order: a kill in between is one that has not been seen. */
	worker->seen_kills = atomic_load(&worker->soak->kills);
	worker->seen_disturbances = atomic_load(&worker->soak->settled);
}

void worker_wait_settled(Worker *worker)
{
	int64_t deadline = now_ms() + SETTLE_MS;

	while (atomic_load(&worker->soak->disturbances) != atomic_load(&worker->soak->settled)) {
		if (now_ms() > deadline)
			worker_fail(worker, "no daemon serves any more");
		usleep(PAUSE_US / 4);
	}
}

bool worker_excuses(Worker *worker, int r, const char *what)
{
	if (r == -EDQUOT) {
		soak_count(worker->soak, SOAK_REFUSED, 1);
		usleep(PAUSE_US);
		return true;
	}
	if (!worker_is_disturbed(worker))
		worker_fail(worker, "%s: %s (%s, %s)", what, strerror(-r),
			    worker->client ? bpcond_client_error(worker->client)->name : "",
			    worker->client ? bpcond_client_error(worker->client)->message : "");
	soak_count(worker->soak, SOAK_DISTURBED, 1);
	worker->doubtful = true;
	return true;
}

static void connect_client(Worker *worker)
{
	int r;

	if (worker->client)
		return;
	while (!worker->client) {
		worker_see(worker);
		r = bpcond_client_new(&worker->client);
		if (r < 0)
			worker_fail(worker, "no client: %s", strerror(-r));
		r = bpcond_client_connect(worker->client, NULL);
		if (r >= 0)
			break;
		worker_excuses(worker, r, "connecting");
		worker->client = bpcond_client_free(worker->client);
		worker_wait_settled(worker);
	}
	soak_count(worker->soak, SOAK_CONNECTIONS, 1);
}

/* ---- What is there --------------------------------------------------------------------------- */

/* Which breakpoints there are on a target, in debug registers. */
static unsigned slots_taken(const Worker *worker, const Prey *prey)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WORKER_HOLDS; i++) {
		if (worker->holds[i].prey == prey)
			n += worker->holds[i].n_items;
	}
	return n;
}

static void compare_all(Worker *worker, const Prey *prey)
{
	for (unsigned i = 0; i < WORKER_HOLDS; i++) {
		if (worker->holds[i].prey == prey)
			hold_compare(worker, &worker->holds[i]);
	}
}

static void close_all(Worker *worker, const Prey *prey)
{
	for (unsigned i = 0; i < WORKER_HOLDS; i++) {
		if (worker->holds[i].prey == prey)
			hold_close(worker, &worker->holds[i]);
	}
}

/* Everything goes: first compared, then closed in good order or by leaving the bus. */
static void leave(Worker *worker, bool in_order)
{
	for (unsigned i = 0; i < WORKER_PREYS; i++) {
		if (!worker->preys[i].pid)
			continue;
		compare_all(worker, &worker->preys[i]);
		if (in_order)
			close_all(worker, &worker->preys[i]);
	}
	/* The objects go with the client; what is here of them must not be freed twice. */
	if (!in_order) {
		for (unsigned i = 0; i < WORKER_HOLDS; i++) {
			worker->holds[i].session = NULL;
			worker->holds[i].filter = NULL;
		}
	}
	linger_leave(worker);
	worker->client = bpcond_client_free(worker->client);
	/* A target's registers are free again only once the daemon has noticed, so another target. */
	for (unsigned i = 0; i < WORKER_PREYS; i++) {
		worker->preys[i].killed = true;
		close_all(worker, &worker->preys[i]);
		prey_kill(&worker->preys[i]);
	}
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static Prey *any_prey(Worker *worker)
{
	Prey *prey = &worker->preys[random_below(&worker->random, WORKER_PREYS)];

	if (!prey->pid)
		prey_start(worker, prey);
	return prey;
}

static Hold *any_hold(Worker *worker)
{
	Hold *hold = &worker->holds[random_below(&worker->random, WORKER_HOLDS)];

	return hold->prey ? hold : NULL;
}

static void step_open(Worker *worker)
{
	enum hold_kind kind = random_below(&worker->random, HOLD_KINDS);
	Prey *prey = any_prey(worker);

	for (unsigned i = 0; i < WORKER_HOLDS; i++) {
		if (worker->holds[i].prey)
			continue;
		if (kind == HOLD_LENT && slots_taken(worker, prey) == WORKER_SLOTS)
			return;
		hold_open(worker, &worker->holds[i], kind, prey);
		return;
	}
}

static void step_add(Worker *worker)
{
	Hold *hold = any_hold(worker);
	unsigned taken;

	if (!hold)
		return;
	taken = slots_taken(worker, hold->prey);
	if (taken < WORKER_SLOTS || random_one_in(&worker->random, 8))
		hold_add(worker, hold, taken == WORKER_SLOTS);
}

/* Has a target work, and looks what came of it. */
static void step_run(Worker *worker, bool kill)
{
	Prey *prey = any_prey(worker);
	long after = random_below(&worker->random, LONGEST_LIFE_US);

	prey_run(worker, prey, kill ? &after : NULL);
	for (unsigned i = 0; i < WORKER_HOLDS; i++) {
		if (worker->holds[i].prey == prey)
			hold_expect(&worker->holds[i], !kill);
	}
	compare_all(worker, prey);
	if (kill) {
		close_all(worker, prey);
		prey_kill(prey);
	}
}

static void step(Worker *worker)
{
	unsigned chance = random_below(&worker->random, 100);
	Hold *hold;

	if (chance < 12) {
		step_open(worker);
	} else if (chance < 36) {
		step_add(worker);
	} else if (chance < 76) {
		step_run(worker, false);
	} else if (chance < 86) {
		hold = any_hold(worker);
		if (hold)
			hold_compare(worker, hold);
		if (hold && hold->prey)
			hold_change(worker, hold);
	} else if (chance < 92) {
		hold = any_hold(worker);
		if (hold)
			hold_compare(worker, hold);
		if (hold && hold->prey && hold->n_items > 0)
			hold_remove(worker, hold, random_below(&worker->random, hold->n_items));
	} else if (chance < 95) {
		hold = any_hold(worker);
		if (hold)
			hold_compare(worker, hold);
		if (hold)
			hold_close(worker, hold);
	} else if (chance < 97) {
		step_run(worker, true);
	} else if (chance < 99) {
		linger_leave(worker);
	} else {
		leave(worker, random_one_in(&worker->random, 2));
	}
}

/* After a daemon's end: compares what there is still, and closes what went with it. Where a daemon takes
 * everything with it, that was all. */
static void take_stock(Worker *worker)
{
	worker_wait_settled(worker);
	if (!worker->soak->survives) {
		leave(worker, false);
		return;
	}
	for (unsigned i = 0; i < WORKER_PREYS; i++) {
		if (worker->preys[i].pid)
			compare_all(worker, &worker->preys[i]);
	}
}

/* Has nothing, says so, and waits for the order to go on. */
static void rest(Worker *worker, unsigned order)
{
	leave(worker, true);
	atomic_store(&worker->soak->rested[worker->number], order);
	while (atomic_load(&worker->soak->rest) == order && !atomic_load(&worker->soak->over))
		usleep(PAUSE_US);
}

void soak_worker(Soak *soak, unsigned number, uint64_t seed, const char *target)
{
	Worker worker = {
		.soak = soak,
		.number = number,
		.seed = seed,
		.target = target,
		.random = {.state = seed},
	};
	unsigned order;

	for (unsigned i = 0; i < WORKER_HOLDS; i++)
		worker.holds[i].event_fd = worker.holds[i].sink_fd = -EBADF;
	while (!atomic_load(&soak->over)) {
		order = atomic_load(&soak->rest);
		if (order % 2 == 1) {
			rest(&worker, order);
			continue;
		}
		/* Sometimes while no daemon is there. */
		if (random_one_in(&worker.random, 2))
			worker_wait_settled(&worker);
		if (worker.client && worker.seen_disturbances != atomic_load(&soak->disturbances))
			take_stock(&worker);
		worker_see(&worker);
		connect_client(&worker);
		worker.doubtful = false;
		step(&worker);
		if (worker.doubtful) {
			worker_wait_settled(&worker);
			leave(&worker, false);
		}
	}
	leave(&worker, true);
	exit(EXIT_SUCCESS);
}
