/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breakpoints that are added while the target starts and ends threads without a pause: each thread must
 * carry exactly one event of each, so that each call counts exactly once, whether the thread was there
 * before, was started while AddBreakpoint looked, or came later. Very often, several breakpoints at a
 * time, against the target's own tally. What there was of a race is printed: how many threads began to
 * live while breakpoints were being added.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	ADDS = 300, /* BPCOND_RACE_TRIES says otherwise */
	AT_ONCE = 3,
	PHASES = 256, /* of the target; 0 is none */
	PHASE_US = 1500,
};

static unsigned adds(void)
{
	const char *text = getenv("BPCOND_RACE_TRIES");

	return text ? (unsigned)strtoul(text, NULL, 10) : ADDS;
}

typedef struct Race {
	Target target;
	bpcond_client *client;
	bpcond_session *session;
	uint64_t address;
	long tallies[PHASES]; /* up to the last round of that phase */
	uint64_t calls, traps, raced_threads, listed_threads;
	unsigned n_adds, n_raced;
	bool sees_all; /* the daemon, of threads that start */
} Race;

/* Without BTF the daemon asks for this. The target stops at some moment of what is called meanwhile. */
static void hold_still(const Race *race, bool still)
{
	if (!race->sees_all)
		ck_assert_int_eq(kill(race->target.pid, still ? SIGSTOP : SIGCONT), 0);
}

static bpcond_breakpoint *add(Race *race, long phase)
{
	bpcond_breakpoint *breakpoint;
	char spec[256];
	const pid_t *threads;
	long before, after;
	int r = -EOPNOTSUPP;

	snprintf(spec, sizeof(spec),
		 "{\"address\":\"0x%" PRIx64 "\",\"condition\":{\"==\":[{\"reg\":\"" ARG1
		 "\"},%ld]}}",
		 race->address, phase);
	before = target_ask(&race->target, "threads", "threads");
	/* now and then without: then it is refused, or as exact */
	if (!race->sees_all && race->n_adds % 10 == 0)
		r = bpcond_session_add(race->session, spec, &breakpoint);
	if (r < 0) {
		hold_still(race, true);
		ck_assert_msg(bpcond_session_add(race->session, spec, &breakpoint) == 0, "%s",
			      bpcond_client_error(race->client)->message);
		hold_still(race, false);
	}
	after = target_ask(&race->target, "threads", "threads");
	race->n_adds++;
	race->n_raced += after > before;
	race->raced_threads += (uint64_t)(after - before);
	race->listed_threads += bpcond_breakpoint_threads(breakpoint, &threads);
	return breakpoint;
}

static void expect_tally(Race *race, bpcond_breakpoint *breakpoint, long phase, long calls)
{
	bpcond_counts counts;

	hold_still(race, true);
	ck_assert_int_eq(bpcond_breakpoint_disable(breakpoint), 0);
	hold_still(race, false);
	ck_assert_msg(bpcond_breakpoint_counts(breakpoint, &counts) == 0, "%s",
		      bpcond_client_error(race->client)->message);
	ck_assert_uint_eq(counts.evaluated, counts.hits + counts.rejected + counts.withheld);
	ck_assert_uint_eq(counts.traps, counts.evaluated + counts.lost);
	ck_assert_msg(counts.hits + counts.lost >= (uint64_t)calls &&
			      counts.hits <= (uint64_t)calls,
		      "phase %ld: the target made %ld calls, %" PRIu64 " were hits, %" PRIu64
		      " traps were lost",
		      phase, calls, counts.hits, counts.lost);
	/* The kernel shows every trap where nothing else runs BPF programs of this kind. */
	ck_assert_uint_eq(counts.lost, 0);
	race->traps += counts.traps;
	ck_assert_int_eq(bpcond_breakpoint_remove(breakpoint), 0);
}

static void round_of(Race *race, long phase)
{
	bpcond_breakpoint *breakpoints[AT_ONCE];
	long tally;

	for (int i = 0; i < AT_ONCE; i++)
		breakpoints[i] = add(race, phase);
	/* from here on nobody's call may be missed, nor count twice */
	target_ask(&race->target, "phase", "phase %ld", phase);
	usleep(PHASE_US);
	target_ask(&race->target, "phase", "phase 0");
	tally = target_ask(&race->target, "tally", "tally %ld", phase);
	for (int i = 0; i < AT_ONCE; i++)
		expect_tally(race, breakpoints[i], phase, tally - race->tallies[phase]);
	race->calls += (uint64_t)(tally - race->tallies[phase]);
	race->tallies[phase] = tally;
}

static void race_against(const char *starters, const char *pairs)
{
	bpcond_session_options options = {.size = sizeof(options), .hits_bytes = 4096};
	unsigned wanted = adds();
	Race race = {0};

	target_start(&race.target, "churn", starters, pairs);
	race.address = target_address_of(&race.target, "churn_work");
	ck_assert_int_eq(bpcond_client_new(&race.client), 0);
	ck_assert_int_eq(bpcond_client_connect(race.client, NULL), 0);
	race.sees_all = bus_kernel_can("btf");
	hold_still(&race, true);
	ck_assert_int_eq(bpcond_session_open(race.client, race.target.pid, &options, &race.session),
			 0);
	hold_still(&race, false);
	for (long phase = 1; race.n_adds < wanted; phase = phase % (PHASES - 1) + 1)
		round_of(&race, phase);
	printf("# %u breakpoints added, %u of them while threads were being started: %" PRIu64
	       " threads began meanwhile, %" PRIu64 " were listed; %" PRIu64
	       " calls, each a trap of "
	       "%d breakpoints once, among %" PRIu64 " traps; counted wrongly: 0\n",
	       race.n_adds, race.n_raced, race.raced_threads, race.listed_threads, race.calls,
	       AT_ONCE, race.traps);
	fflush(stdout);
	ck_assert_uint_gt(race.n_raced, race.sees_all ? race.n_adds / 10 : 0);
	ck_assert_uint_gt(race.calls, race.n_adds / AT_ONCE);
	bpcond_client_free(race.client);
}

START_TEST(threads_that_start_meanwhile)
{
	race_against(NULL, NULL);
}
END_TEST

/* What a thread inherited the kernel may exchange for what the one that it gives way to inherited. */
START_TEST(threads_that_give_way_to_each_other)
{
	race_against("1", "pairs");
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("thread race");

	integration_add(suite, "threads that start meanwhile", threads_that_start_meanwhile);
	integration_add(suite, "threads that give way to each other",
			threads_that_give_way_to_each_other);
	return integration_run(suite, argc, argv);
}
