/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filters [--check] [--quick]: the filter's own time, by the kernel's statistics of BPF programs.
 *
 * Each condition is compiled, spliced and loaded by the daemon's own code; beside it stands a program
 * written by hand that does no more than compare. All of them run on the same breakpoint in a loop of
 * this process, in interleaved rounds, and each is judged by its best round: noise only ever adds.
 * What is compared is the time above that of an empty program, since the statistics themselves take
 * longer than a short filter.
 *
 * --check makes the promises an exit status. Needs root: the statistics are root's.
 */
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/filters.h"
#include "bench/options.h"
#include "bench_filters.skel.h"
#include "daemon/bpf_filter.h"
#include "daemon/spec.h"

enum {
	ROUNDS = 41,
	QUICK_ROUNDS = 15,
	CALLS = 2000,
	RING_BYTES = 4096,
};

#define MOST_FOR_ONE_REGISTER      10.0 /* nanoseconds */
#define MOST_FOR_SIXTEEN_REGISTERS 20.0
#define MOST_TIMES_BY_HAND         1.2

/* The loop: `instruction` runs `calls` times with the patterns in their registers, rsi and rdx as given,
 * and the number of calls left in rdi. */
extern char loop_instruction[];
void loop(long calls, const void *pair, const char *text);

asm(".text\n"
    ".globl loop, loop_instruction\n"
    ".type loop, @function\n"
    "loop:\n"
    "	push %rbx\n"
    "	push %rbp\n"
    "	push %r12\n"
    "	push %r13\n"
    "	push %r14\n"
    "	push %r15\n"
    "	movabs $0x5ca1ab1e00000000, %rax\n"
    "	lea 1(%rax), %rbx\n"
    "	lea 2(%rax), %rcx\n"
    "	lea 3(%rax), %rbp\n"
    "	lea 8(%rax), %r8\n"
    "	lea 9(%rax), %r9\n"
    "	lea 10(%rax), %r10\n"
    "	lea 11(%rax), %r11\n"
    "	lea 12(%rax), %r12\n"
    "	lea 13(%rax), %r13\n"
    "	lea 14(%rax), %r14\n"
    "	lea 15(%rax), %r15\n"
    "1:\n"
    "loop_instruction:\n"
    "	dec %rdi\n"
    "	jnz 1b\n"
    "	pop %r15\n"
    "	pop %r14\n"
    "	pop %r13\n"
    "	pop %r12\n"
    "	pop %rbp\n"
    "	pop %rbx\n"
    "	ret\n"
    ".size loop, . - loop\n");

static const int64_t pair[5] = {1, 2, 3, 4, 5};
static const char text[] = "GET /index.htmL";

typedef struct Candidate {
	int program_fd; /* the filter's, or the skeleton's */
	Filter *filter; /* NULL: written by hand */
	double best;    /* nanoseconds a run; 0: no round yet */
} Candidate;

enum condition_index {
	ONE_REGISTER,
	SIXTEEN_REGISTERS,
	ONE_LOAD,
	FOUR_LOADS,
	ONE_STRING,
	N_CONDITIONS,
};

static const struct {
	const char *name;
	const char *condition; /* %lx: the loop's instruction */
} conditions[N_CONDITIONS] = {
	[ONE_REGISTER] = {"one register", "{\"==\":[{\"reg\":\"rdi\"},-1]}"},
	[SIXTEEN_REGISTERS] =
		{"sixteen registers",
		 "{\"registers\":{"
		 "\"rax\":\"0x5ca1ab1e00000000\",\"rbx\":\"0x5ca1ab1e00000001\","
		 "\"rcx\":\"0x5ca1ab1e00000002\",\"rbp\":\"0x5ca1ab1e00000003\","
		 "\"r8\":\"0x5ca1ab1e00000008\",\"r9\":\"0x5ca1ab1e00000009\","
		 "\"r10\":\"0x5ca1ab1e0000000a\",\"r11\":\"0x5ca1ab1e0000000b\","
		 "\"r12\":\"0x5ca1ab1e0000000c\",\"r13\":\"0x5ca1ab1e0000000d\","
		 "\"r14\":\"0x5ca1ab1e0000000e\",\"r15\":\"0x5ca1ab1e0000000f\","
		 "\"rip\":\"0x%lx\",\"rsi\":\"0x%lx\",\"rdx\":\"0x%lx\",\"rdi\":-1}}"},
	[ONE_LOAD] = {"one load", "{\"==\":[{\"load\":\"s32\",\"at\":{\"+\":[{\"reg\":\"rsi\"},8]}"
				  "},-1]}"},
	[FOUR_LOADS] = {"four loads",
			"{\"==\":[{\"+\":["
			"{\"load\":\"s64\",\"at\":{\"+\":[{\"reg\":\"rsi\"},8]}},"
			"{\"load\":\"s64\",\"at\":{\"+\":[{\"reg\":\"rsi\"},16]}},"
			"{\"load\":\"s64\",\"at\":{\"+\":[{\"reg\":\"rsi\"},24]}},"
			"{\"load\":\"s64\",\"at\":{\"+\":[{\"reg\":\"rsi\"},32]}}]},-1]}"},
	[ONE_STRING] = {"one string", "{\"string-equals\":[{\"reg\":\"rdx\"},\"" TEXT "\"]}"},
};

typedef struct Bench {
	FilterEngine *engine;
	struct bench_filters_bpf *by_hand;
	int ring_fd;
	Candidate empty;
	Candidate generated[N_CONDITIONS];
	Candidate written[N_CONDITIONS];
} Bench;

static int fail(int r, const char *what)
{
	fprintf(stderr, "filters: %s: %s\n", what, strerror(-r));
	return r;
}

/* An event with the program, for a round: there are no more than four at a time. Return: its
 * descriptor; negative errno. */
static int event_open(const Candidate *candidate)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = (uintptr_t)loop_instruction,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int fd, r;

	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return fail(-errno, "perf_event_open");
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, candidate->program_fd) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		r = fail(-errno, "attaching a filter");
		close(fd);
		return r;
	}
	return fd;
}

static int generate(Bench *bench, enum condition_index i)
{
	Candidate *candidate = &bench->generated[i];
	char condition[2048], spec_text[4096];
	Refusal refusal;
	Spec *spec;
	int r;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
	snprintf(condition, sizeof(condition), conditions[i].condition,
		 (unsigned long)(uintptr_t)loop_instruction, (unsigned long)(uintptr_t)pair,
		 (unsigned long)(uintptr_t)text);
#pragma GCC diagnostic pop
	snprintf(spec_text, sizeof(spec_text), "{\"address\":\"0x%lx\",\"condition\":%s}",
		 (unsigned long)(uintptr_t)loop_instruction, condition);
	r = spec_parse(spec_text, strlen(spec_text), &spec, &refusal);
	if (r > 0) {
		fprintf(stderr, "filters: %s: %s\n", conditions[i].name, refusal.text);
		return -EINVAL;
	}
	if (r == 0) {
		r = filter_new(bench->engine, spec, 1, bench->ring_fd, &candidate->filter,
			       &refusal);
		spec_free(spec);
	}
	if (r != 0)
		return fail(r < 0 ? r : -EOPNOTSUPP, conditions[i].name);
	filter_set_state(candidate->filter, FILTER_ENABLED);
	candidate->program_fd = candidate->filter->program_fd;
	return 0;
}

static int open_by_hand(Bench *bench)
{
	struct bench_filters_bpf *by_hand = bench_filters_bpf__open();
	int r;

	if (!by_hand)
		return fail(-errno, "the filters written by hand");
	bench->by_hand = by_hand;
	by_hand->rodata->instruction = (uintptr_t)loop_instruction;
	r = bench_filters_bpf__load(by_hand);
	if (r < 0)
		return fail(r, "the filters written by hand");

	const int program_fds[N_CONDITIONS] = {
		[ONE_REGISTER] = bpf_program__fd(by_hand->progs.one_register),
		[SIXTEEN_REGISTERS] = bpf_program__fd(by_hand->progs.sixteen_registers),
		[ONE_LOAD] = bpf_program__fd(by_hand->progs.one_load),
		[FOUR_LOADS] = bpf_program__fd(by_hand->progs.four_loads),
		[ONE_STRING] = bpf_program__fd(by_hand->progs.one_string),
	};

	bench->empty.program_fd = bpf_program__fd(by_hand->progs.empty);
	for (int i = 0; i < N_CONDITIONS; i++)
		bench->written[i].program_fd = program_fds[i];
	return 0;
}

static int bench_open(Bench *bench)
{
	int r;

	r = filter_engine_new(&bench->engine);
	if (r < 0)
		return fail(r, "loading the templates (this needs root)");
	bench->ring_fd = filter_ring_new(RING_BYTES);
	if (bench->ring_fd < 0)
		return fail(bench->ring_fd, "creating a ring");
	r = open_by_hand(bench);
	for (int i = 0; i < N_CONDITIONS && r == 0; i++)
		r = generate(bench, i);
	return r;
}

static void bench_close(Bench *bench)
{
	for (int i = 0; i < N_CONDITIONS; i++)
		filter_free(bench->generated[i].filter);
	bench_filters_bpf__destroy(bench->by_hand);
	if (bench->ring_fd >= 0)
		close(bench->ring_fd);
	filter_engine_free(bench->engine);
}

static int read_stats(int program_fd, uint64_t *ret_runs, uint64_t *ret_ns)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int r;

	r = bpf_obj_get_info_by_fd(program_fd, &info, &size);
	if (r < 0)
		return fail(r, "reading a program's statistics");
	*ret_runs = info.run_cnt;
	*ret_ns = info.run_time_ns;
	return 0;
}

static int run_round(Candidate *candidate)
{
	uint64_t runs[2], ns[2];
	double each;
	int event_fd, r;

	r = read_stats(candidate->program_fd, &runs[0], &ns[0]);
	if (r < 0)
		return r;
	event_fd = event_open(candidate);
	if (event_fd < 0)
		return event_fd;
	loop(CALLS, pair, text);
	close(event_fd);
	r = read_stats(candidate->program_fd, &runs[1], &ns[1]);
	if (r < 0)
		return r;
	/* The kernel leaves out a filter that traps inside another program. */
	if (runs[1] - runs[0] < CALLS * 9 / 10) {
		fprintf(stderr, "filters: %lu runs of %d\n", (unsigned long)(runs[1] - runs[0]),
			CALLS);
		return -EPROTO;
	}
	each = (double)(ns[1] - ns[0]) / (double)(runs[1] - runs[0]);
	if (candidate->best == 0 || each < candidate->best)
		candidate->best = each;
	return 0;
}

static int run_rounds(Bench *bench, int rounds)
{
	int stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME), r = 0;

	if (stats_fd < 0)
		return fail(stats_fd, "turning the kernel's statistics on (this needs root)");
	for (int round = 0; round < rounds && r == 0; round++) {
		r = run_round(&bench->empty);
		for (int i = 0; i < N_CONDITIONS && r == 0; i++) {
			r = run_round(&bench->generated[i]);
			if (r == 0)
				r = run_round(&bench->written[i]);
		}
	}
	close(stats_fd);
	return r;
}

/* A filter that does not evaluate, or lets something through, is not what is to be measured. */
static int check_counts(const Bench *bench)
{
	for (int i = 0; i < N_CONDITIONS; i++) {
		struct bpcond_counters counts;

		filter_read_counts(bench->generated[i].filter, &counts);
		if (counts.evaluated == 0 || counts.rejected != counts.evaluated ||
		    counts.faults != 0) {
			fprintf(stderr, "filters: %s: %llu evaluated, %llu rejected\n",
				conditions[i].name, counts.evaluated, counts.rejected);
			return -EPROTO;
		}
	}
	return 0;
}

static void print_table(const Bench *bench)
{
	printf("The filter's own time, by the kernel's statistics; nanoseconds above an empty "
	       "program (%.1f),\nbest of interleaved rounds.\n\n",
	       bench->empty.best);
	printf("%-24s%12s%12s%12s\n", "", "bpcond", "by hand", "ratio");
	for (int i = 0; i < N_CONDITIONS; i++) {
		double ours = bench->generated[i].best - bench->empty.best;
		double theirs = bench->written[i].best - bench->empty.best;

		printf("%-24s%12.1f%12.1f%12.2f\n", conditions[i].name, ours, theirs,
		       theirs > 0 ? ours / theirs : 0);
	}
}

static bool judge_promise(const char *what, double value, double most, const char *unit)
{
	/* What takes no time has not been measured. */
	bool ok = value > 0 && value <= most;

	printf("%s: %s %.2f%s; promised: at most %.1f\n", ok ? "ok" : "FAILED", what, value, unit,
	       most);
	return ok;
}

/* Return: an exit status. */
static int judge(const Bench *bench)
{
	bool ok = true;

	ok &= judge_promise("one register takes",
			    bench->generated[ONE_REGISTER].best - bench->empty.best,
			    MOST_FOR_ONE_REGISTER, " ns");
	ok &= judge_promise("sixteen registers take",
			    bench->generated[SIXTEEN_REGISTERS].best - bench->empty.best,
			    MOST_FOR_SIXTEEN_REGISTERS, " ns");
	for (int i = ONE_LOAD; i < N_CONDITIONS; i++)
		ok &= judge_promise(conditions[i].name,
				    (bench->generated[i].best - bench->empty.best) /
					    (bench->written[i].best - bench->empty.best),
				    MOST_TIMES_BY_HAND, " times the filter written by hand");
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The last CPU that we may use: the first one serves most interrupts. */
int main(int argc, char *argv[])
{
	Bench bench = {.ring_fd = -EBADF};
	BenchOptions options;
	int r, status;

	r = bench_options(argc, argv, &options);
	if (r >= 0)
		return r;
	r = bench_pin();
	if (r >= 0)
		r = bench_open(&bench);
	if (r == 0)
		r = run_rounds(&bench, options.quick ? QUICK_ROUNDS : ROUNDS);
	if (r == 0)
		r = check_counts(&bench);
	status = r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (r == 0) {
		print_table(&bench);
		if (options.check)
			status = judge(&bench);
	}
	bench_close(&bench);
	return status;
}
