/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was taken back gives nothing more, whoever still holds its events: not after Remove, Close, an end
 * by another connection or the end of the connection, also when the holder enables the event again or
 * moves it. The counters, which the holder keeps as well, tell of no evaluation; the event itself shows
 * that it still traps. A kernel before 6.10 gives no events away: there it is ring and counters alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/helper.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	CALLS = 100,
};

typedef struct Held {
	Target target;
	sd_bus *bus;
	BusSession session;
	BusBreakpoint breakpoint;
	Hits *hits;
	uint64_t last_address; /* of a hit */
	int event_fd;          /* -EBADF: this kernel gives none */
} Held;

static void keep_address(void *userdata, const struct bpcond_hit *hit)
{
	Held *held = userdata;

	held->last_address = hit->address;
}

/* A breakpoint that hits at "instruction", with all of it that a client may hold. */
static Held *held_new(void)
{
	const bool with_events = bus_kernel_can("suppress-signal");
	Held *held = calloc(1, sizeof(*held));

	ck_assert_ptr_nonnull(held);
	target_start(&held->target, "counter", NULL, NULL);
	held->bus = bus_connect();
	bus_open_session(held->bus, held->target.pid, &held->session);
	bus_take_hits(&held->session);
	held->hits = hits_new(held->session.ring_fd, keep_address, held);
	bus_add(&held->session, &held->breakpoint, "{'address': '0x%lx', 'events': %s}",
		target_address_of(&held->target, "instruction"), with_events ? "true" : "false");
	held->event_fd = with_events ? bus_take_event(&held->breakpoint) : -EBADF;
	target_ask(&held->target, "calls", "call %d", CALLS);
	hits_wait(held->hits, CALLS);
	return held;
}

static void held_free(Held *held)
{
	if (held->event_fd >= 0)
		close(held->event_fd);
	close(held->session.ring_fd);
	bus_breakpoint_close(&held->breakpoint);
	hits_free(held->hits);
	free(held);
}

static void enable_event(const Held *held)
{
	ck_assert_int_eq(ioctl(held->event_fd, PERF_EVENT_IOC_ENABLE, 0), 0);
}

/* To the instruction behind, by who holds the event. The rest must be as it was opened. */
static void move_event(const Held *held)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr =
			target_address_of(&held->target, "instruction") + MACHINE_INSTRUCTION_SIZE,
		.bp_len = MACHINE_EXECUTE_LENGTH,
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.remove_on_exec = 1,
		.inherit = 1,
		.inherit_thread = 1,
	};

	ck_assert_msg(ioctl(held->event_fd, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &attr) == 0, "%s",
		      strerror(errno));
	enable_event(held);
}

static uint64_t count_traps(const Held *held)
{
	uint64_t traps;

	ck_assert_int_eq(read(held->event_fd, &traps, sizeof(traps)), sizeof(traps));
	return traps;
}

/* Neither ring nor counters tell of these calls. */
static void expect_unnoticed(Held *held)
{
	const uint64_t records = hits_read(held->hits);
	struct bpcond_counters before, after;

	hits_counters(held->breakpoint.counters_fd, &before);
	target_ask(&held->target, "calls", "call %d", CALLS);
	hits_counters(held->breakpoint.counters_fd, &after);
	ck_assert_mem_eq(&after, &before, sizeof(after));
	ck_assert_uint_eq(hits_read(held->hits), records);
}

static void expect_silence(Held *held)
{
	expect_unnoticed(held);
	for (int moved = 0; moved < 2 && held->event_fd >= 0; moved++) {
		uint64_t traps;

		if (moved)
			move_event(held);
		else
			enable_event(held);
		traps = count_traps(held);
		expect_unnoticed(held);
		ck_assert_uint_eq(count_traps(held), traps + CALLS);
	}
}

START_TEST(by_remove)
{
	Held *held = held_new();

	bus_breakpoint_call(&held->breakpoint, "Remove");
	expect_silence(held);
	held_free(held);
}
END_TEST

START_TEST(by_close)
{
	Held *held = held_new();
	sd_bus_error error = SD_BUS_ERROR_NULL;

	ck_assert_int_ge(sd_bus_call_method(held->bus, "org.bpcond1", held->session.path,
					    SESSION_INTERFACE, "Close", &error, NULL, ""),
			 0);
	expect_silence(held);
	held_free(held);
}
END_TEST

/* By another connection: root's, as an administrator where polkit does not run. */
static void by_root(bool session)
{
	Held *held = held_new();
	const char *argv[] = {integration_program("tools/bpcondctl"), "rm",
			      session ? held->session.path : held->breakpoint.path, NULL};

	ck_assert_int_eq(helper_wait(helper_spawn("root", argv, -EBADF, -EBADF), 40000), 0);
	expect_silence(held);
	held_free(held);
}

START_TEST(by_an_administrator)
{
	by_root(false);
	by_root(true);
}
END_TEST

START_TEST(by_the_connections_end)
{
	Held *held = held_new();
	sd_bus *other = bus_connect();

	sd_bus_flush_close_unref(held->bus);
	while (bus_number(other, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0)
		usleep(1000);
	expect_silence(held);
	held_free(held);
}
END_TEST

/* Disabled is no revocation: it is counted, but nothing is a hit. */
START_TEST(disabled_is_withheld)
{
	if (bus_signals_are_refused())
		return;

	Held *held = held_new();
	struct bpcond_counters counts;

	bus_breakpoint_call(&held->breakpoint, "Disable");
	enable_event(held);
	target_ask(&held->target, "calls", "call %d", CALLS);
	hits_counters(held->breakpoint.counters_fd, &counts);
	ck_assert_uint_eq(counts.hits, CALLS);
	ck_assert_uint_eq(counts.withheld, CALLS);
	held_free(held);
}
END_TEST

/* Before it is taken back, a moved event's hits name the place where they were. */
START_TEST(a_moved_event_names_its_place)
{
	if (bus_signals_are_refused())
		return;

	Held *held = held_new();
	const uint64_t address = target_address_of(&held->target, "instruction");

	ck_assert_uint_eq(held->last_address, address);
	move_event(held);
	target_ask(&held->target, "calls", "call 1");
	hits_wait(held->hits, CALLS + 1);
	ck_assert_uint_eq(held->last_address, address + MACHINE_INSTRUCTION_SIZE);
	held_free(held);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("revocation");

	integration_add(suite, "by Remove", by_remove);
	integration_add(suite, "by Close", by_close);
	integration_add(suite, "by an administrator", by_an_administrator);
	integration_add(suite, "by the connection's end", by_the_connections_end);
	integration_add(suite, "disabled is withheld", disabled_is_withheld);
	integration_add(suite, "a moved event names its place", a_moved_event_names_its_place);
	return integration_run(suite, argc, argv);
}
