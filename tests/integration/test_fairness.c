/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nobody delays another: very many threads in one call, and very many calls from very many connections.
 * The times are said, and bounded only far above what is promised: ./run test is no measurement.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/helper.h"
#include "tests/support/integration.h"
#include "tests/support/process.h"
#include "tests/support/target.h"

enum {
	CROWD = 4000,
	TARGETS = 16,
	FORWARDINGS = 4 * TARGETS,
	RING_BYTES = 1 << 20,
	CALLS = 5000,
	BOUND_MS = 5000,
};

static int64_t began;

static void begin(void)
{
	began = now_ms();
}

static void end(const char *what)
{
	int64_t took = now_ms() - began;

	fprintf(stderr, "%s: %ld ms\n", what, (long)took);
	ck_assert_msg(took < BOUND_MS, "%s took %ld ms", what, (long)took);
}

/* One GetAll of all nine counts. */
static void get_all(const BusBreakpoint *breakpoint)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call_method(breakpoint->bus, "org.bpcond1", breakpoint->path,
			       "org.freedesktop.DBus.Properties", "GetAll", &error, NULL, "s",
			       BREAKPOINT_INTERFACE);
	ck_assert_msg(r >= 0, "%s", error.message);
}

START_TEST(a_crowd_of_threads)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	char number[16];
	BusCounts counts;
	Target target;

	snprintf(number, sizeof(number), "%d", CROWD);
	target_start(&target, "crowd", number, NULL);
	begin();
	bus_open_session(bus, target.pid, &session);
	end("OpenSession");
	begin();
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "crowd_work"));
	end("AddBreakpoint");
	ck_assert_uint_eq(breakpoint.n_threads, CROWD);
	target_ask(&target, "calls", "work 1000");
	begin();
	get_all(&breakpoint);
	end("GetAll");
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 1000);
	begin();
	bus_breakpoint_call(&breakpoint, "Disable");
	end("Disable");
	begin();
	bus_breakpoint_call(&breakpoint, "Enable");
	end("Enable");
	begin();
	bus_breakpoint_call(&breakpoint, "Remove");
	end("Remove");
	bus_breakpoint_close(&breakpoint);
	bus_close_session(&session);
}
END_TEST

/* Calls of this user while another one floods the daemon: how long the longest takes. */
static int64_t longest_call(sd_bus *bus, const Target *target, int64_t for_ms, unsigned *ret_calls)
{
	int64_t until = now_ms() + for_ms, longest = 0;
	unsigned calls = 0;

	while (now_ms() < until) {
		int64_t before = now_ms(), took;
		BusBreakpoint breakpoint;
		BusSession session;

		bus_open_session(bus, target->pid, &session);
		bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
			target_address_of(target, "loop_work"));
		bus_breakpoint_close(&breakpoint);
		bus_close_session(&session);
		took = (now_ms() - before) / 3;
		if (took > longest)
			longest = took;
		calls += 3;
		usleep(10000);
	}
	*ret_calls = calls;
	return longest;
}

START_TEST(a_flood_of_calls)
{
	const char *argv[] = {integration_program("tests/targets/flood"), "200", NULL};
	sd_bus *bus = bus_connect();
	int in[2], out[2];
	unsigned calls;
	char said[6];
	Target target;
	int64_t took;
	pid_t flood;

	target_start(&target, "loop", NULL, NULL);
	took = longest_call(bus, &target, 2000, &calls);
	fprintf(stderr, "alone: %u calls, the slowest three took %ld ms each\n", calls, (long)took);

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	flood = helper_spawn(ENVIRONMENT_USER_B, argv, in[0], out[1]);
	ck_assert_int_eq(read(out[0], said, sizeof(said)), sizeof(said));
	took = longest_call(bus, &target, 8000, &calls);
	fprintf(stderr, "in a flood: %u calls, the slowest three took %ld ms each\n", calls,
		(long)took);
	ck_assert_msg(took < BOUND_MS, "%ld ms", (long)took);
	close(in[1]);
	helper_wait(flood, 10000);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}
END_TEST

static void read_for_ever(const int fds[FORWARDINGS])
{
	static char bytes[1 << 20];

	for (;;) {
		bool any = false;

		for (int i = 0; i < FORWARDINGS; i++)
			while (read(fds[i], bytes, sizeof(bytes)) > 0)
				any = true;
		if (!any)
			usleep(100);
	}
}

/* Forwards the hits of a target into pipes; the reading ends are the caller's. */
static void forward_into_pipes(sd_bus *bus, const Target *target, int ret[static 4])
{
	for (int i = 0; i < 4; i++) {
		BusBreakpoint breakpoint;
		BusSession session;
		int ends[2];

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
		bus_open_session_with_ring(bus, target->pid, RING_BYTES, &session);
		bus_forward(&session, ends[1], "json-lines");
		bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
			target_address_of(target, "loop_work"));
		bus_breakpoint_close(&breakpoint);
		close(ends[1]);
		ret[i] = ends[0];
	}
}

/* A connection that goes leaves full rings behind, and readers who would go on reading. */
START_TEST(many_forwardings_that_end)
{
	sd_bus *bus = bus_connect(), *other = bus_connect();
	int fds[FORWARDINGS], bus_fd = sd_bus_get_fd(bus);
	int64_t longest = 0;
	uint64_t left;
	pid_t reader;

	for (int i = 0; i < TARGETS; i++) {
		Target target;

		target_start(&target, "loop", NULL, NULL);
		forward_into_pipes(bus, &target, fds + 4 * i);
		target_ask(&target, "called", "call %d", CALLS);
	}
	reader = check_fork();
	if (reader == 0) {
		close(bus_fd);
		read_for_ever(fds);
	}
	/* they are at it */
	usleep(20000);
	sd_bus_flush_close_unref(bus);
	do {
		int64_t before = now_ms(), took;

		left = bus_number(other, MANAGER_PATH, MANAGER_INTERFACE, "Sessions");
		took = now_ms() - before;
		if (took > longest)
			longest = took;
		/* within the limit of calls */
		usleep(1000);
	} while (left > 0);
	fprintf(stderr, "while %d forwardings end: the slowest call took %ld ms\n", FORWARDINGS,
		(long)longest);
	ck_assert_msg(longest < BOUND_MS, "%ld ms", (long)longest);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	for (int i = 0; i < FORWARDINGS; i++)
		close(fds[i]);
	sd_bus_flush_close_unref(other);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("fairness");

	integration_add(suite, "a crowd of threads", a_crowd_of_threads);
	integration_add(suite, "a flood of calls", a_flood_of_calls);
	integration_add(suite, "many forwardings that end", many_forwardings_that_end);
	return integration_run(suite, argc, argv);
}
