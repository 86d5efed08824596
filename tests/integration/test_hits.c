/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which traps are hits, exactly: changes of a value, skip, every and limit with threads that hit at
 * once, signals, parameters, and what a condition knows of the thread it looks at.
 */
#include <linux/hw_breakpoint.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/own_events.h"
#include "tests/support/process.h"
#include "tests/support/target.h"

enum {
	WRITES = 100000, /* of which every hundredth is a change */
	MAX_SEQUENCES = 4096,
	MAX_CPUS = 256,
};

typedef struct Seen {
	uint64_t records;
	uint64_t wrong;
	bool sequences[MAX_SEQUENCES];
	uint64_t last_time[MAX_CPUS];
	uint64_t unsignalled;
	uint32_t pid;
	uint64_t address;
} Seen;

/* The header of every record. */
static void see(void *userdata, const struct bpcond_hit *hit)
{
	Seen *seen = userdata;

	seen->records++;
	if (hit->sequence >= MAX_SEQUENCES || seen->sequences[hit->sequence]) {
		seen->wrong++;
		return;
	}
	seen->sequences[hit->sequence] = true;
	if (hit->cpu >= MAX_CPUS || hit->time <= seen->last_time[hit->cpu])
		seen->wrong++;
	else
		seen->last_time[hit->cpu] = hit->time;
	if (hit->pid != seen->pid || hit->address != seen->address || hit->breakpoint != 1)
		seen->wrong++;
	seen->unsignalled += !!(hit->flags & BPCOND_HIT_UNSIGNALLED);
}

typedef struct Scene {
	Target target;
	BusSession session;
	Hits *hits;
	Seen seen;
} Scene;

static void scene_start(Scene *scene, const char *address)
{
	memset(scene, 0, sizeof(*scene));
	target_start(&scene->target, "counter", NULL, NULL);
	bus_open_session(bus_connect(), scene->target.pid, &scene->session);
	bus_take_hits(&scene->session);
	scene->hits = hits_new(scene->session.ring_fd, see, &scene->seen);
	scene->seen.pid = (uint32_t)scene->target.pid;
	scene->seen.address = target_address_of(&scene->target, address);
}

/* Disables and reads to the end; all that was hit has come, each once, with no gap in its numbers. */
static void scene_end(Scene *scene, const BusBreakpoint *breakpoint, BusCounts *ret)
{
	bus_breakpoint_call(breakpoint, "Disable");
	hits_read(scene->hits);
	bus_counts(breakpoint, ret);
	bus_counts_check(ret);
	ck_assert_uint_eq(ret->lost, 0);
	ck_assert_uint_eq(ret->dropped, 0);
	ck_assert_uint_eq(scene->seen.records, ret->hits);
	ck_assert_uint_eq(scene->seen.wrong, 0);
	for (uint64_t i = 0; i < ret->hits && i < MAX_SEQUENCES; i++)
		ck_assert(scene->seen.sequences[i]);
}

/* `how`: who writes; `previous`: as it stands in the spec. */
static void expect_changes(const char *how, const char *previous)
{
	const unsigned writes = integration_volume(WRITES), changes = writes / 100;
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "counter");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'access': 'write',%s"
		" 'condition': {'!=': [{'var': 'value'}, {'var': 'previous'}]}}",
		target_address_of(&scene.target, "counter"), previous);
	ck_assert_int_eq(target_ask(&scene.target, "changed", "%s %u", how, writes), changes);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.traps, writes);
	/* Where they are reported before the access, the last write's change shows at none. */
	ck_assert_uint_eq(counts.hits, changes - MACHINE_ARM64);
	ck_assert_uint_eq(counts.rejected, writes - counts.hits);
	ck_assert_uint_eq(counts.faults, 0);
	hits_free(scene.hits);
}

START_TEST(changes_by_one_thread)
{
	expect_changes("write", "");
}
END_TEST

START_TEST(changes_by_eight_threads)
{
	expect_changes("locked", "");
}
END_TEST

START_TEST(changes_from_a_given_value)
{
	expect_changes("write", " \"previous\": 0,");
}
END_TEST

START_TEST(changes_by_eight_threads_from_a_given_value)
{
	expect_changes("locked", " \"previous\": \"0x0\",");
}
END_TEST

/* `previous`: as it stands in the spec. Return: how many of ten writes that change nothing were hits. */
static uint64_t hits_of_no_change(const char *previous)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "counter");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'access': 'write', 'length': 8,%s"
		" 'condition': {'!=': [{'var': 'value'}, {'var': 'previous'}]}}",
		target_address_of(&scene.target, "counter"), previous);
	ck_assert_int_eq(target_ask(&scene.target, "changed", "write 10"), 0);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.traps, 10);
	hits_free(scene.hits);
	return counts.hits;
}

/* What was there before counts from the first write on; without it the first write shows nothing. */
START_TEST(first_change)
{
	ck_assert_uint_eq(hits_of_no_change(" \"previous\": 77,"), 1);
	ck_assert_uint_eq(hits_of_no_change(""), 0);
}
END_TEST

/* `previous` moves on at an evaluation that is decided without it. */
START_TEST(previous_moves_unused)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "counter");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'access': 'write', 'previous': 0, 'parameters': {'on': 0},"
		" 'condition': {'and': [{'param': 'on'},"
		" {'!=': [{'var': 'value'}, {'var': 'previous'}]}]}}",
		target_address_of(&scene.target, "counter"));
	ck_assert_int_eq(target_ask(&scene.target, "changed", "write 1000"), 10);
	ck_assert_int_eq(sd_bus_call_method(scene.session.bus, "org.bpcond1", breakpoint.path,
					    BREAKPOINT_INTERFACE, "SetParameter", NULL, NULL, "st",
					    "on", (uint64_t)1) < 0,
			 0);
	ck_assert_int_eq(target_ask(&scene.target, "changed", "write 500"), 5);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 5);
	hits_free(scene.hits);
}
END_TEST

/* 8 threads at once: after the first 500 every seventh, and no more than 100. */
START_TEST(skip_every_limit)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'skip': 500, 'every': 7, 'limit': 100}",
		target_address_of(&scene.target, "instruction"));
	ck_assert_int_eq(target_ask(&scene.target, "calls", "race 500"), 4000);
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 100);

	/* a new start skips and counts from the beginning */
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_breakpoint_call(&breakpoint, "Enable");
	ck_assert_int_eq(target_ask(&scene.target, "calls", "race 100"), 800);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 100 + (800 - 500 + 6) / 7);
	ck_assert_uint_eq(counts.rejected, 0);
	hits_free(scene.hits);
}
END_TEST

static void wait_disabled(const BusBreakpoint *breakpoint)
{
	int64_t deadline = now_ms() + 1000;
	int enabled = 1;

	while (enabled) {
		sd_bus_error error = SD_BUS_ERROR_NULL;

		ck_assert_msg(now_ms() < deadline, "still enabled a second after its limit");
		ck_assert_int_ge(sd_bus_get_property_trivial(breakpoint->bus, "org.bpcond1",
							     breakpoint->path, BREAKPOINT_INTERFACE,
							     "Enabled", &error, 'b', &enabled),
				 0);
		usleep(20000);
	}
}

/* The daemon's first limit of all, reached when it has been looked at for a while already. */
START_TEST(limit_reached_late)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint, "{'address': '0x%lx', 'limit': 10}",
		target_address_of(&scene.target, "instruction"));
	usleep(700000);
	target_ask(&scene.target, "calls", "race 10");
	wait_disabled(&breakpoint);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 10);
	hits_free(scene.hits);
}
END_TEST

/* Who enables one again and again does not keep another from being disabled. */
START_TEST(limit_beside_one_that_is_enabled)
{
	BusBreakpoint breakpoint, other;
	int64_t deadline;
	BusCounts counts;
	int enabled = 1;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint, "{'address': '0x%lx', 'limit': 10}",
		target_address_of(&scene.target, "instruction"));
	bus_add(&scene.session, &other, "{'address': '0x%lx', 'condition': 0, 'limit': 1}",
		target_address_of(&scene.target, "instruction"));
	target_ask(&scene.target, "calls", "race 10");
	deadline = now_ms() + 1000;
	while (enabled) {
		sd_bus_error error = SD_BUS_ERROR_NULL;

		ck_assert_msg(now_ms() < deadline, "still enabled a second after its limit");
		bus_breakpoint_call(&other, "Enable");
		ck_assert_int_ge(sd_bus_get_property_trivial(breakpoint.bus, "org.bpcond1",
							     breakpoint.path, BREAKPOINT_INTERFACE,
							     "Enabled", &error, 'b', &enabled),
				 0);
		usleep(20000);
	}
	bus_breakpoint_call(&other, "Remove");
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 10);
	hits_free(scene.hits);
}
END_TEST

/* Ten hits and no more, however many threads hit at once; then the traps themselves end. */
START_TEST(limit_with_eight_threads)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint, "{'address': '0x%lx', 'limit': 10}",
		target_address_of(&scene.target, "instruction"));
	for (uint64_t round = 1; round <= 5; round++) {
		uint64_t traps;

		target_ask(&scene.target, "calls", "race 1000");
		wait_disabled(&breakpoint);
		bus_counts(&breakpoint, &counts);
		bus_counts_check(&counts);
		ck_assert_uint_eq(counts.hits, 10 * round);
		traps = counts.traps;
		target_ask(&scene.target, "calls", "race 100");
		bus_counts(&breakpoint, &counts);
		ck_assert_uint_eq(counts.traps, traps);
		if (round < 5)
			bus_breakpoint_call(&breakpoint, "Enable");
	}
	scene_end(&scene, &breakpoint, &counts);
	hits_free(scene.hits);
}
END_TEST

/* Every hit's signal comes at the instruction, in the thread that hit, or is counted as not sent. */
START_TEST(signals_come_at_the_instruction)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;
	long signals;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'signal': 'SIGUSR1',"
		" 'condition': {'==': [{'%%': [{'reg': '" ARG1 "'}, 5]}, 2]}}",
		target_address_of(&scene.target, "instruction"));
	ck_assert_int_eq(target_ask(&scene.target, "calls", "race 1000"), 8000);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 1600);
	ck_assert_uint_eq(scene.seen.unsignalled, counts.unsignalled);
	signals = target_ask(&scene.target, "signals", "signals");
	ck_assert_uint_eq((uint64_t)signals + counts.unsignalled, counts.hits);
	/* Where a handler would have the instruction trap again, it is never called. */
	if (MACHINE_ARM64)
		ck_assert_int_eq(signals, 0);
	else
		ck_assert_int_gt(signals, 0);
	ck_assert_int_eq(target_ask(&scene.target, "strays", "strays"), 0);
	hits_free(scene.hits);
}
END_TEST

/* The whole process stops at the hit, and goes on behind it. */
START_TEST(sigstop_stops_at_the_hit)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;
	siginfo_t info = {0};

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'signal': 'SIGSTOP',"
		" 'condition': {'==': [{'reg': '" ARG1 "'}, 3]}}",
		target_address_of(&scene.target, "instruction"));
	target_send(&scene.target, "call 5");
	ck_assert_int_eq(waitid(P_PID, (id_t)scene.target.pid, &info, WSTOPPED), 0);
	ck_assert_int_eq(info.si_code, CLD_STOPPED);
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 1);
	ck_assert_uint_eq(counts.evaluated, 4);
	kill(scene.target.pid, SIGCONT);
	ck_assert_int_eq(target_answer(&scene.target, "calls"), 5);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.evaluated, 5);
	hits_free(scene.hits);
}
END_TEST

/* A store into the mapped parameters holds from the next trap on. */
START_TEST(parameters_by_memory)
{
	BusBreakpoint breakpoint;
	volatile int64_t *parameters;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'parameters': {'wanted': -1, 'b': 5},"
		" 'condition': {'==': [{'reg': '" ARG1 "'}, {'param': 'wanted'}]}}",
		target_address_of(&scene.target, "instruction"));
	parameters =
		mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, breakpoint.parameters_fd, 0);
	ck_assert_ptr_ne((void *)parameters, MAP_FAILED);
	/* in the byte order of their names */
	ck_assert_int_eq(parameters[0], 5);
	ck_assert_int_eq(parameters[1], -1);
	for (int64_t i = 0; i < 50; i++) {
		parameters[1] = i;
		target_ask(&scene.target, "calls", "call 50");
	}
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 50);
	ck_assert_uint_eq(counts.evaluated, 2500);
	hits_free(scene.hits);
}
END_TEST

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What the variables say is so, or the condition is false. */
START_TEST(variables)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint,
		"{'address': '0x%lx', 'condition': {'and': ["
		" {'==': [{'var': 'tid'}, %d]}, {'==': [{'var': 'pid'}, %d]},"
		" {'>=': [{'var': 'cpu'}, 0]}, {'<': [{'var': 'cpu'}, %ld]},"
		" {'>=': [{'var': 'time'}, %lu]}, {'<': [{'var': 'time'}, %lu]},"
		" {'==': [{'var': 'evaluated'}, {'+': [{'reg': '" ARG1 "'}, 1]}]}]}}",
		target_address_of(&scene.target, "instruction"), scene.target.pid, scene.target.pid,
		sysconf(_SC_NPROCESSORS_CONF), now_ns(), now_ns() + 60000000000UL);
	ck_assert_int_eq(target_ask(&scene.target, "calls", "call 100"), 100);
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 100);
	hits_free(scene.hits);
}
END_TEST

/* Nothing traps before it is enabled. */
START_TEST(disabled_at_first)
{
	BusBreakpoint breakpoint;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &breakpoint, "{'address': '0x%lx', 'enabled': false}",
		target_address_of(&scene.target, "instruction"));
	target_ask(&scene.target, "calls", "race 10");
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.traps, 0);
	bus_breakpoint_call(&breakpoint, "Enable");
	target_ask(&scene.target, "calls", "race 10");
	scene_end(&scene, &breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 80);
	hits_free(scene.hits);
}
END_TEST

/* Two breakpoints at one address judge each trap for themselves. */
START_TEST(two_at_one_address)
{
	BusBreakpoint even, small;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "instruction");
	bus_add(&scene.session, &even,
		"{'address': '0x%lx', 'condition': {'==': [{'&': [{'reg': '" ARG1 "'}, 1]}, 0]}}",
		target_address_of(&scene.target, "instruction"));
	bus_add(&scene.session, &small,
		"{'address': '0x%lx', 'condition': {'<': [{'reg': '" ARG1 "'}, 10]}}",
		target_address_of(&scene.target, "instruction"));
	target_ask(&scene.target, "calls", "race 100");
	bus_breakpoint_call(&even, "Disable");
	bus_breakpoint_call(&small, "Disable");
	bus_counts(&even, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 400);
	ck_assert_uint_eq(counts.traps, 800);
	bus_counts(&small, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 80);
	ck_assert_uint_eq(counts.traps, 800);
	hits_free(scene.hits);
}
END_TEST

/* An event without a filter, enabled, which counts the writes. Return: its descriptor. */
static int bare_event(const Scene *scene)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = target_address_of(&scene->target, "counter"),
		.bp_len = HW_BREAKPOINT_LEN_8,
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int fd = own_event(&attr, scene->target.pid, -1);

	own_event_enable(fd);
	return fd;
}

/* Each of two watchpoints on one address gets what the processor says of it: of a write that both watch some
 * (QEMU's x86-64, not its arm64) report the first alone, which events without a filter tell. */
START_TEST(two_watchpoints_at_one_address)
{
	uint64_t told = 0, traps = 0;
	BusBreakpoint two[2];
	int events[2];
	Scene scene;

	scene_start(&scene, "counter");
	for (int i = 0; i < 2; i++)
		events[i] = bare_event(&scene);
	target_ask(&scene.target, "changed", "write 1000");
	for (int i = 0; i < 2; i++) {
		told += own_event_count(events[i]);
		close(events[i]);
	}
	ck_assert(told == 1000 || told == 2000);

	for (int i = 0; i < 2; i++)
		bus_add(&scene.session, &two[i],
			"{'address': '0x%lx', 'access': 'write', 'length': 8,"
			" 'condition': {'==': [{'var': 'tid'}, %d]}}",
			target_address_of(&scene.target, "counter"), scene.target.pid * i);
	target_ask(&scene.target, "changed", "write 1000");
	for (int i = 0; i < 2; i++) {
		BusCounts counts;

		bus_breakpoint_call(&two[i], "Disable");
		bus_counts(&two[i], &counts);
		bus_counts_check(&counts);
		ck_assert_uint_eq(counts.lost, 0);
		ck_assert_uint_eq(counts.hits, i ? counts.traps : 0);
		traps += counts.traps;
	}
	ck_assert_uint_eq(traps, told);
	hits_free(scene.hits);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("hits");

	integration_add(suite, "changes by one thread", changes_by_one_thread);
	integration_add(suite, "changes by eight threads", changes_by_eight_threads);
	integration_add(suite, "changes from a given value", changes_from_a_given_value);
	integration_add(suite, "changes by eight threads from a given value",
			changes_by_eight_threads_from_a_given_value);
	integration_add(suite, "the first change", first_change);
	integration_add(suite, "previous moves unused", previous_moves_unused);
	/* before any other with a limit */
	integration_add(suite, "a limit that is reached late", limit_reached_late);
	integration_add(suite, "skip, every and limit with eight threads", skip_every_limit);
	integration_add(suite, "a limit with eight threads", limit_with_eight_threads);
	integration_add(suite, "a limit beside one that is enabled again and again",
			limit_beside_one_that_is_enabled);
	integration_add(suite, "signals come at the instruction", signals_come_at_the_instruction);
	integration_add(suite, "SIGSTOP stops at the hit", sigstop_stops_at_the_hit);
	integration_add(suite, "parameters by memory", parameters_by_memory);
	integration_add(suite, "variables", variables);
	integration_add(suite, "disabled at first", disabled_at_first);
	integration_add(suite, "two at one address", two_at_one_address);
	integration_add(suite, "two watchpoints at one address", two_watchpoints_at_one_address);
	return integration_run(suite, argc, argv);
}
