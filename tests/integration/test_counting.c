/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nothing is lost without being counted: what a target really did, told by itself, against the hits,
 * the rejections and the drops that came out. By the bare D-Bus interface and libbpf.
 */
#include <signal.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

typedef struct Seen {
	uint64_t records;
	uint64_t last_sequence;
	uint64_t wrong;
	uint64_t sum;
} Seen;

static void see_loop_hit(void *userdata, const struct bpcond_hit *hit)
{
	Seen *seen = userdata;
	uint64_t number = hits_register(hit, REG_ARG1);

	if (number % 10 != 3)
		seen->wrong++;
	if (seen->records > 0 && hit->sequence <= seen->last_sequence)
		seen->wrong++;
	seen->last_sequence = hit->sequence;
	seen->records++;
	seen->sum += number;
}

/* Every tenth of 10,000 calls, with its registers, on a ring that is read. */
START_TEST(hits_are_exactly_the_calls_that_match)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	struct bpcond_counters counters;
	BusCounts counts;
	Seen seen = {0};
	Target target;
	Hits *hits;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_take_hits(&session);
	hits = hits_new(session.ring_fd, see_loop_hit, &seen);
	bus_add(&session, &breakpoint,
		"{'address': '0x%lx', 'condition': {'==': [{'%%': [{'reg': '" ARG1 "'}, 10]}, 3]},"
		" 'capture': {'registers': ['" PC "', '" ARG1 "']}}",
		target_address_of(&target, "loop_work"));
	ck_assert_uint_eq(breakpoint.n_threads, 1);
	ck_assert_int_eq(breakpoint.threads[0], target.pid);

	target_ask(&target, "called", "call 10000");
	bus_breakpoint_call(&breakpoint, "Disable");
	hits_read(hits);
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.traps, 10000);
	ck_assert_uint_eq(counts.lost, 0);
	ck_assert_uint_eq(counts.hits, 1000);
	ck_assert_uint_eq(counts.dropped, 0);
	ck_assert_uint_eq(seen.records, 1000);
	ck_assert_uint_eq(seen.wrong, 0);
	ck_assert_uint_eq(seen.sum, 1000 * (3 + 9993) / 2);

	/* the page that the kernel writes says the same */
	hits_counters(breakpoint.counters_fd, &counters);
	ck_assert_uint_eq(counters.evaluated, counts.evaluated);
	ck_assert_uint_eq(counters.hits, counts.hits);
	ck_assert_uint_eq(counters.rejected, counts.rejected);
	hits_free(hits);
}
END_TEST

static void see_any_hit(void *userdata, const struct bpcond_hit *hit)
{
	Seen *seen = userdata;

	seen->records++;
}

/* A ring of one page that nobody reads while 5,000 hits come. */
START_TEST(unread_hits_are_counted_as_dropped)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Seen seen = {0};
	Target target;
	Hits *hits;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session_with_ring(bus, target.pid, 4096, &session);
	bus_take_hits(&session);
	hits = hits_new(session.ring_fd, see_any_hit, &seen);
	bus_add(&session, &breakpoint,
		"{'address': '0x%lx', 'condition': {'!=': [{'%%': [{'reg': '" ARG1 "'}, 5]}, 0]}}",
		target_address_of(&target, "loop_work"));

	target_ask(&target, "called", "call 6250");
	bus_breakpoint_call(&breakpoint, "Disable");
	hits_read(hits);
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits + counts.lost, 5000);
	ck_assert_uint_gt(counts.dropped, 0);
	ck_assert_uint_gt(seen.records, 0);
	ck_assert_uint_eq(seen.records + counts.dropped, counts.hits);
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Hits"), counts.hits);
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Dropped"),
			  counts.dropped);

	/* and the ring works on */
	bus_breakpoint_call(&breakpoint, "Enable");
	target_ask(&target, "called", "call 10");
	hits_wait(hits, seen.records + 8);
	hits_free(hits);

	/* and the session counts on what was removed */
	bus_counts(&breakpoint, &counts);
	bus_breakpoint_call(&breakpoint, "Remove");
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Hits"), counts.hits);
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Dropped"),
			  counts.dropped);
}
END_TEST

/* Threads that exist and threads that come later, each call once. */
START_TEST(present_and_later_threads_count_once)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "threads", "4", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint,
		"{'address': '0x%lx', 'condition': {'==': [{'reg': '" ARG1 "'}, 7]}}",
		target_address_of(&target, "threads_work"));
	/* the leader, four workers, and the one that serves commands */
	ck_assert_uint_eq(breakpoint.n_threads, 6);

	ck_assert_int_eq(target_ask(&target, "calls", "work 100"), 400);
	ck_assert_int_eq(target_ask(&target, "threads", "start 4"), 8);
	ck_assert_int_eq(target_ask(&target, "calls", "work 100"), 800);
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.traps, 1200);
	ck_assert_uint_eq(counts.lost, 0);
	ck_assert_uint_eq(counts.hits, 4 + 8);
}
END_TEST

START_TEST(listed_threads_only)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint, all;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "threads", "3", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &all, "{'address': '0x%lx', 'enabled': false}",
		target_address_of(&target, "threads_work"));
	/* in the kernel's order: leader, workers 1 to 3, server */
	ck_assert_uint_eq(all.n_threads, 5);
	bus_add(&session, &breakpoint, "{'address': '0x%lx', 'threads': [%d, %d]}",
		target_address_of(&target, "threads_work"), all.threads[1], all.threads[3]);
	ck_assert_uint_eq(breakpoint.n_threads, 2);

	target_ask(&target, "calls", "work 50");
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 100);
}
END_TEST

/* Threads come and go all the time while breakpoints do, too. */
/* Without BTF a process is looked at, and a breakpoint put on it, only while no thread starts: as the
 * daemon says then, it is stopped meanwhile. */
static void hold_still(const Target *target, bool still)
{
	if (!bus_kernel_can("btf"))
		ck_assert_int_eq(kill(target->pid, still ? SIGSTOP : SIGCONT), 0);
}

START_TEST(thread_churn_misses_nothing)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "churn", NULL, NULL);
	hold_still(&target, true);
	bus_open_session(bus, target.pid, &session);
	hold_still(&target, false);
	for (long phase = 1; phase <= 40; phase++) {
		long tally;

		hold_still(&target, true);
		bus_add(&session, &breakpoint,
			"{'address': '0x%lx', 'condition': {'==': [{'reg': '" ARG1 "'}, %ld]}}",
			target_address_of(&target, "churn_work"), phase);
		hold_still(&target, false);
		/* from here on nobody's call may be missed */
		target_ask(&target, "phase", "phase %ld", phase);
		do
			usleep(20000);
		while (target_ask(&target, "tally", "tally %ld", phase) == 0);
		target_ask(&target, "phase", "phase 0");
		tally = target_ask(&target, "tally", "tally %ld", phase);
		hold_still(&target, true);
		bus_breakpoint_call(&breakpoint, "Disable");
		hold_still(&target, false);
		bus_counts(&breakpoint, &counts);
		bus_counts_check(&counts);
		ck_assert_int_gt(tally, 0);
		ck_assert_uint_eq(counts.lost, 0);
		ck_assert_msg(counts.hits == (uint64_t)tally,
			      "phase %ld: the target made %ld calls, %lu were hits", phase, tally,
			      (unsigned long)counts.hits);
		bus_breakpoint_call(&breakpoint, "Remove");
	}
	ck_assert_int_gt(target_ask(&target, "threads", "threads"), 100);
}
END_TEST

/* The main thread has ended, the process has not. */
START_TEST(process_without_its_leader)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "threads", "2", "leader-ends");
	target_ask(&target, "threads", "start 1");
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "threads_work"));
	ck_assert_int_eq(target_ask(&target, "calls", "work 10"), 30);
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 30);
}
END_TEST

START_TEST(data_breakpoint_sees_the_new_value)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;
	long above;

	target_start(&target, "stores", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint,
		"{'address': '0x%lx', 'access': 'write', 'length': 4,"
		" 'condition': {'>': [{'load': 's32', 'at': '0x%lx'}, 100]}}",
		target_address_of(&target, "value"), target_address_of(&target, "value"));
	target_ask(&target, "above", "other 1000");
	above = target_ask(&target, "above", "store 10000");
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.traps, 10000);
	ck_assert_uint_eq(counts.lost, 0);
	ck_assert_uint_eq(counts.hits, above);
}
END_TEST

/* An address that cannot be read is a fault, and a hit or not by "on-fault". */
START_TEST(faults_are_counted)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint hit, reject;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &hit,
		"{'address': '0x%lx', 'condition': {'==': [{'load': 'u8', 'at': 16}, 1]}}",
		target_address_of(&target, "loop_work"));
	bus_add(&session, &reject,
		"{'address': '0x%lx', 'on-fault': 'reject',"
		" 'condition': {'==': [{'/': [1, {'reg': '" ARG1 "'}]}, 1]}}",
		target_address_of(&target, "loop_work"));
	target_ask(&target, "called", "call 100");
	bus_breakpoint_call(&hit, "Disable");
	bus_breakpoint_call(&reject, "Disable");

	bus_counts(&hit, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.faults, 100);
	ck_assert_uint_eq(counts.hits, 100);
	bus_counts(&reject, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.faults, 1);
	ck_assert_uint_eq(counts.hits, 1);
	ck_assert_uint_eq(counts.rejected, 99);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("counting");

	integration_add(suite, "hits are exactly the calls that match",
			hits_are_exactly_the_calls_that_match);
	integration_add(suite, "unread hits are counted as dropped",
			unread_hits_are_counted_as_dropped);
	integration_add(suite, "present and later threads count once",
			present_and_later_threads_count_once);
	integration_add(suite, "listed threads only", listed_threads_only);
	integration_add(suite, "thread churn misses nothing", thread_churn_misses_nothing);
	integration_add(suite, "a process without its leader", process_without_its_leader);
	integration_add(suite, "a data breakpoint sees the new value",
			data_breakpoint_sees_the_new_value);
	integration_add(suite, "faults are counted", faults_are_counted);
	return integration_run(suite, argc, argv);
}
