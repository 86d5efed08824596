/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench [--check] [--quick]: what a trap costs whose condition is false.
 *
 * Everything runs on one CPU, debuggers included. The rounds of all ways are interleaved, so that
 * whatever else the machine does falls on each of them alike, and each way is judged by its best
 * round: noise only ever adds. What is compared is the time of a call less that of a call without
 * any breakpoint.
 *
 * --check makes the promise an exit status: through the daemon at most 1.05 times a bare counting
 * breakpoint. --quick leaves the debuggers out.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/options.h"

enum {
	ROUNDS = 61,
	QUICK_ROUNDS = 15,
	DEBUGGER_ROUNDS = 3,
};

#define PROMISE 1.05

enum way_index {
	WAY_NONE,
	WAY_BARE,
	WAY_ONE_REGISTER,
	WAY_SIXTEEN,
	WAY_LOAD,
	WAY_PTRACE_DEBUG,
	WAY_PTRACE_INT3,
	WAY_GDBSERVER,
	WAY_GDB,
	WAY_GDB_HARDWARE,
	WAY_LLDB,
	N_WAYS,
};

static Way ways[N_WAYS] = {
	[WAY_NONE] = {.name = "no breakpoint",
		      .start = bare_start,
		      .round = bare_round,
		      .stop = bare_stop,
		      .calls = 2000,
		      .rounds = ROUNDS,
		      .variant = 0},
	[WAY_BARE] = {.name = "bare counting breakpoint, no condition",
		      .start = bare_start,
		      .round = bare_round,
		      .stop = bare_stop,
		      .calls = 2000,
		      .rounds = ROUNDS,
		      .variant = 1},
	[WAY_ONE_REGISTER] = {.name = "bpcond, one register",
			      .start = brokered_start,
			      .round = brokered_round,
			      .stop = brokered_stop,
			      .calls = 2000,
			      .rounds = ROUNDS,
			      .variant = BROKERED_ONE_REGISTER},
	[WAY_SIXTEEN] = {.name = "bpcond, sixteen registers",
			 .start = brokered_start,
			 .round = brokered_round,
			 .stop = brokered_stop,
			 .calls = 2000,
			 .rounds = ROUNDS,
			 .variant = BROKERED_SIXTEEN_REGISTERS},
	[WAY_LOAD] = {.name = "bpcond, one load from memory",
		      .start = brokered_start,
		      .round = brokered_round,
		      .stop = brokered_stop,
		      .calls = 2000,
		      .rounds = ROUNDS,
		      .variant = BROKERED_ONE_LOAD},
	[WAY_PTRACE_DEBUG] = {.name = "ptrace supervisor, debug register",
			      .start = ptrace_start,
			      .round = ptrace_round,
			      .stop = ptrace_stop,
			      .calls = 400,
			      .rounds = ROUNDS,
			      .variant = 1},
	[WAY_PTRACE_INT3] = {.name = "ptrace supervisor, int3",
			     .start = ptrace_start,
			     .round = ptrace_round,
			     .stop = ptrace_stop,
			     .calls = 400,
			     .rounds = ROUNDS,
			     .variant = 0},
	[WAY_GDBSERVER] = {.name = "gdbserver, condition in the target",
			   .start = debugger_start,
			   .round = debugger_round,
			   .stop = debugger_stop,
			   .calls = 500,
			   .rounds = DEBUGGER_ROUNDS,
			   .variant = DEBUGGER_GDBSERVER},
	[WAY_GDB] = {.name = "gdb, break if",
		     .start = debugger_start,
		     .round = debugger_round,
		     .stop = debugger_stop,
		     .calls = 300,
		     .rounds = DEBUGGER_ROUNDS,
		     .variant = DEBUGGER_GDB},
	[WAY_GDB_HARDWARE] = {.name = "gdb, hbreak if",
			      .start = debugger_start,
			      .round = debugger_round,
			      .stop = debugger_stop,
			      .calls = 300,
			      .rounds = DEBUGGER_ROUNDS,
			      .variant = DEBUGGER_GDB_HARDWARE},
	[WAY_LLDB] = {.name = "lldb, condition",
		      .start = debugger_start,
		      .round = debugger_round,
		      .stop = debugger_stop,
		      .calls = 100,
		      .rounds = DEBUGGER_ROUNDS,
		      .variant = DEBUGGER_LLDB},
};

/* The last CPU that we may use: the first one serves most interrupts. */
static void start_way(Way *way, Loop *loop, const char *build_dir)
{
	int r;

	way->loop = loop;
	r = way->start(way, build_dir);
	if (r < 0 && way->why[0] == '\0')
		snprintf(way->why, sizeof(way->why), "%s", strerror(-r));
}

static void run_round(Way *way)
{
	uint64_t ns;
	double each;
	int r;

	r = way->round(way, way->calls, &ns);
	if (r < 0) {
		if (way->why[0] == '\0')
			snprintf(way->why, sizeof(way->why), "%s", strerror(-r));
		return;
	}
	each = (double)ns / (double)way->calls;
	if (way->best == 0 || each < way->best)
		way->best = each;
}

static void run_rounds(int rounds, int n_ways)
{
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < n_ways; i++) {
			Way *way = &ways[i];

			/* the few rounds of the slow ones spread over the others' */
			if (way->why[0] == '\0' &&
			    round * way->rounds / rounds != (round + 1) * way->rounds / rounds)
				run_round(way);
		}
	}
}

/* Nanoseconds of a trap; 0 where it was not measured. */
static double trap_ns(enum way_index i)
{
	if (ways[i].why[0] || ways[i].best == 0)
		return 0;
	return ways[i].best - ways[WAY_NONE].best;
}

static void print_ratio(double ns, double base)
{
	if (ns > 0 && base > 0)
		printf("%12.*f", ns / base < 10 ? 3 : 1, ns / base);
	else
		printf("%12s", "-");
}

static void print_table(int n_ways, int cpu)
{
	printf("A trap whose condition is false; best of interleaved rounds, all on CPU %d.\n\n",
	       cpu);
	printf("%-40s%12s%12s%12s\n", "", "us a trap", "x bare", "x bpcond");
	for (int i = WAY_BARE; i < n_ways; i++) {
		double ns = trap_ns(i);

		printf("%-40s", ways[i].name);
		if (ns <= 0) {
			printf("not measured: %s\n", ways[i].why);
			continue;
		}
		printf("%12.3f", ns / 1000);
		print_ratio(ns, trap_ns(WAY_BARE));
		print_ratio(ns, trap_ns(WAY_ONE_REGISTER));
		printf("\n");
	}
	printf("\n(a call without any breakpoint: %.1f ns)\n", ways[WAY_NONE].best);
}

/* Without these there is nothing to compare. Return: an exit status. */
static int judge_measured(void)
{
	if (trap_ns(WAY_BARE) > 0 && trap_ns(WAY_ONE_REGISTER) > 0)
		return EXIT_SUCCESS;
	printf("FAILED: bpcond or the bare breakpoint could not be measured\n");
	return EXIT_FAILURE;
}

/* Return: an exit status. */
static int judge(void)
{
	double bare = trap_ns(WAY_BARE), brokered = trap_ns(WAY_ONE_REGISTER);

	printf("%s: a rejected trap costs %.3f times a bare counting breakpoint; promised: at most "
	       "%.2f\n",
	       brokered / bare <= PROMISE ? "ok" : "FAILED", brokered / bare, PROMISE);
	return brokered / bare <= PROMISE ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
	const char *build_dir = getenv("BPCOND_BUILD_DIR");
	BenchOptions options;
	char program[4096];
	int cpu, r, n_ways, status;
	Loop loop;

	r = bench_options(argc, argv, &options);
	if (r >= 0)
		return r;
	if (!build_dir) {
		fprintf(stderr, "bench: run it by ./run bench\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	cpu = bench_pin();
	snprintf(program, sizeof(program), "%s/bench/loop", build_dir);
	r = cpu < 0 ? cpu : loop_start(program, &loop);
	if (r < 0) {
		fprintf(stderr, "bench: cannot start %s: %s\n", program, strerror(-r));
		return EXIT_FAILURE;
	}

	n_ways = options.quick ? WAY_GDBSERVER : N_WAYS;
	for (int i = 0; i < n_ways; i++)
		start_way(&ways[i], &loop, build_dir);
	run_rounds(options.quick ? QUICK_ROUNDS : ROUNDS, n_ways);
	print_table(n_ways, cpu);
	status = judge_measured();
	if (options.check && status == EXIT_SUCCESS)
		status = judge();
	for (int i = 0; i < n_ways; i++)
		ways[i].stop(&ways[i]);
	loop_stop(&loop);
	return status;
}
