/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The D-Bus interface to the letter: names, types, properties, signals, and what each method does. */
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/process.h"
#include "tests/support/target.h"

typedef struct Changes {
	unsigned sessions, breakpoints;
} Changes;

static int on_manager_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Changes *changes = userdata;
	const char *name;

	ck_assert_int_ge(sd_bus_message_skip(message, "sa{sv}"), 0);
	ck_assert_int_ge(sd_bus_message_enter_container(message, 'a', "s"), 0);
	while (sd_bus_message_read(message, "s", &name) > 0) {
		changes->sessions += strcmp(name, "Sessions") == 0;
		changes->breakpoints += strcmp(name, "Breakpoints") == 0;
	}
	return 0;
}

static void expect_changes(sd_bus *bus, const Changes *changes, unsigned sessions,
			   unsigned breakpoints)
{
	int64_t deadline = now_ms() + 5000;

	while (changes->sessions != sessions || changes->breakpoints != breakpoints) {
		int r = sd_bus_process(bus, NULL);

		ck_assert_msg(now_ms() < deadline, "%u and %u changes", changes->sessions,
			      changes->breakpoints);
		if (r == 0)
			sd_bus_wait(bus, 20000);
	}
}

START_TEST(changes_of_the_manager)
{
	sd_bus *bus = bus_connect(), *listener = bus_connect();
	BusBreakpoint breakpoint;
	Changes changes = {0};
	BusSession session;
	Target target;

	/* of the test case before this one */
	while (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0)
		usleep(5000);
	ck_assert_int_ge(sd_bus_match_signal(listener, NULL, "org.bpcond1", MANAGER_PATH,
					     "org.freedesktop.DBus.Properties", "PropertiesChanged",
					     on_manager_changed, &changes),
			 0);
	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	expect_changes(listener, &changes, 1, 0);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	expect_changes(listener, &changes, 1, 1);
	bus_breakpoint_call(&breakpoint, "Remove");
	expect_changes(listener, &changes, 1, 2);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	bus_close_session(&session);
	expect_changes(listener, &changes, 2, 4);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 0);
}
END_TEST

static bool is_one_of(const char *const names[], size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

START_TEST(features_and_limits)
{
	static const char *const booleans[] = {
		"data-breakpoints",   "suppress-sample", "suppress-signal",
		"suppress-sigtrap",   "suppress-limit",  "inherit-thread",
		"send-signal-thread", "kernel-accesses", "btf",
	};
	sd_bus_message *reply = NULL;
	sd_bus *bus = bus_connect();
	const char *key, *contents;
	unsigned seen = 0, limits = 0;
	uint32_t slots = 0;
	uint64_t limit;
	int32_t paranoid;
	int value;
	char type;

	ck_assert_int_ge(sd_bus_get_property(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					     "Features", NULL, &reply, "a{sv}"),
			 0);
	ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "{sv}"), 0);
	while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		ck_assert_int_ge(sd_bus_message_read(reply, "s", &key), 0);
		ck_assert_int_ge(sd_bus_message_peek_type(reply, &type, &contents), 0);
		if (strcmp(key, "hardware-slots") == 0) {
			ck_assert_int_ge(sd_bus_message_read(reply, "v", "u", &slots), 0);
			ck_assert_uint_ge(slots, 1);
			seen++;
		} else if (strcmp(key, "perf-event-paranoid") == 0) {
			ck_assert_int_ge(sd_bus_message_read(reply, "v", "i", &paranoid), 0);
			ck_assert_int_le(paranoid, 2);
			seen++;
		} else {
			ck_assert_msg(
				is_one_of(booleans, sizeof(booleans) / sizeof(booleans[0]), key),
				"feature %s", key);
			ck_assert_str_eq(contents, "b");
			seen++;
			ck_assert_int_ge(sd_bus_message_read(reply, "v", "b", &value), 0);
		}
		sd_bus_message_exit_container(reply);
	}
	sd_bus_message_unref(reply);
	ck_assert_uint_eq(seen, 2 + sizeof(booleans) / sizeof(booleans[0]));

	ck_assert_int_ge(sd_bus_get_property(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					     "Limits", NULL, &reply, "a{st}"),
			 0);
	ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "{st}"), 0);
	while (sd_bus_message_read(reply, "{st}", &key, &limit) > 0) {
		ck_assert_uint_gt(limit, 0);
		limits++;
	}
	sd_bus_message_unref(reply);
	ck_assert_uint_ge(limits, 3);
}
END_TEST

START_TEST(listing)
{
	sd_bus_message *reply = NULL;
	sd_bus *bus = bus_connect();
	uint32_t uid, client, target_pid;
	const char *path, *name;
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "ListSessions", NULL, &reply, ""),
			 0);
	ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "(ouuus)"), 0);
	ck_assert_int_gt(
		sd_bus_message_read(reply, "(ouuus)", &path, &uid, &client, &target_pid, &name), 0);
	ck_assert_str_eq(path, session.path);
	ck_assert_uint_eq(uid, getuid());
	ck_assert_uint_eq(client, (uint32_t)getpid());
	ck_assert_uint_eq(target_pid, (uint32_t)target.pid);
	ck_assert_int_eq(
		sd_bus_message_read(reply, "(ouuus)", &path, &uid, &client, &target_pid, &name), 0);
	sd_bus_message_unref(reply);
}
END_TEST

static int count_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	++*(int *)userdata;
	return 0;
}

static void wait_for_signal(sd_bus *bus, const int *count)
{
	int64_t deadline = now_ms() + 5000;

	while (*count == 0 && now_ms() < deadline) {
		if (sd_bus_process(bus, NULL) == 0)
			sd_bus_wait(bus, 100000);
	}
	ck_assert_int_eq(*count, 1);
}

START_TEST(signals_of_a_session)
{
	sd_bus *bus = bus_connect(), *listener = bus_connect();
	int opened = 0, closed = 0, exited = 0;
	BusSession session;
	Target target;

	ck_assert_int_ge(sd_bus_match_signal(listener, NULL, "org.bpcond1", MANAGER_PATH,
					     MANAGER_INTERFACE, "SessionOpened", count_signal,
					     &opened),
			 0);
	ck_assert_int_ge(sd_bus_match_signal(listener, NULL, "org.bpcond1", MANAGER_PATH,
					     MANAGER_INTERFACE, "SessionClosed", count_signal,
					     &closed),
			 0);
	ck_assert_int_ge(sd_bus_match_signal(listener, NULL, "org.bpcond1", NULL, SESSION_INTERFACE,
					     "TargetExited", count_signal, &exited),
			 0);
	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	wait_for_signal(listener, &opened);
	target_kill(&target);
	wait_for_signal(listener, &exited);
	wait_for_signal(listener, &closed);
}
END_TEST

START_TEST(enable_disable_remove)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;
	int enabled;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx', 'enabled': false}",
		target_address_of(&target, "loop_work"));
	ck_assert_int_ge(sd_bus_get_property_trivial(bus, "org.bpcond1", breakpoint.path,
						     BREAKPOINT_INTERFACE, "Enabled", NULL, 'b',
						     &enabled),
			 0);
	ck_assert_int_eq(enabled, 0);
	ck_assert_uint_eq(bus_number(bus, breakpoint.path, BREAKPOINT_INTERFACE, "Address"),
			  target_address_of(&target, "loop_work"));
	target_ask(&target, "called", "call 10");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 0);

	bus_breakpoint_call(&breakpoint, "Enable");
	target_ask(&target, "called", "call 10");
	bus_breakpoint_call(&breakpoint, "Disable");
	target_ask(&target, "called", "call 10");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 10);

	bus_breakpoint_call(&breakpoint, "Remove");
	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", breakpoint.path,
					    BREAKPOINT_INTERFACE, "Enable", &error, NULL, ""),
			 0);
	sd_bus_error_free(&error);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Breakpoints"), 0);
}
END_TEST

/* By the page and by the method; the page holds them in the byte order of their names. */
static int on_breakpoint_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	unsigned *changes = userdata;

	++*changes;
	return 0;
}

/* What changes nothing is not told, as everybody who hears of it would ask anew. */
START_TEST(enabled_is_told_when_it_changes)
{
	static const struct {
		const char *method;
		unsigned changes; /* told by then */
	} steps[] = {
		{"Enable", 0}, {"Disable", 1}, {"Disable", 1}, {"Enable", 2}, {"Enable", 2},
	};
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	unsigned changes = 0;
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	ck_assert_int_ge(sd_bus_match_signal(bus, NULL, "org.bpcond1", breakpoint.path,
					     "org.freedesktop.DBus.Properties", "PropertiesChanged",
					     on_breakpoint_changed, &changes),
			 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int r;

		/* a signal comes before the answer, and is there with it */
		bus_breakpoint_call(&breakpoint, steps[i].method);
		do {
			r = sd_bus_process(bus, NULL);
			ck_assert_int_ge(r, 0);
		} while (r > 0);
		ck_assert_msg(changes == steps[i].changes, "%s (%zu): %u changes told",
			      steps[i].method, i, changes);
	}
}
END_TEST

START_TEST(parameters)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	volatile int64_t *page;
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint,
		"{'address': '0x%lx', 'parameters': {'b': -1, 'a': 5, 'B': 100},"
		" 'condition': {'or': [{'==': [{'reg': '" ARG1 "'}, {'param': 'a'}]},"
		" {'==': [{'reg': '" ARG1 "'}, {'param': 'b'}]}]}}",
		target_address_of(&target, "loop_work"));
	ck_assert_int_ge(breakpoint.parameters_fd, 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, breakpoint.parameters_fd, 0);
	ck_assert_ptr_ne((void *)page, MAP_FAILED);
	ck_assert_int_eq(page[0], 100);
	ck_assert_int_eq(page[1], 5);
	ck_assert_int_eq(page[2], -1);

	target_ask(&target, "called", "call 20");
	page[2] = 9;
	target_ask(&target, "called", "call 20");
	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", breakpoint.path,
					    BREAKPOINT_INTERFACE, "SetParameter", &error, NULL,
					    "st", "a", UINT64_MAX),
			 0);
	ck_assert_int_eq(page[1], -1);
	target_ask(&target, "called", "call 20");
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 1 + 2 + 1);

	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", breakpoint.path,
					    BREAKPOINT_INTERFACE, "SetParameter", &error, NULL,
					    "st", "none", UINT64_C(1)),
			 0);
	sd_bus_error_free(&error);
}
END_TEST

/* Counters are for looking at: the page cannot be written, by whatever way. */
START_TEST(counters_cannot_be_written)
{
	sd_bus *bus = bus_connect();
	struct bpcond_counters counters;
	BusBreakpoint breakpoint;
	BusSession session;
	char value[65536] = {0};
	uint32_t key = 0;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	ck_assert_ptr_eq(
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, breakpoint.counters_fd, 0),
		MAP_FAILED);
	ck_assert_int_lt(bpf_map_update_elem(breakpoint.counters_fd, &key, value, BPF_ANY), 0);
	target_ask(&target, "called", "call 10");
	hits_counters(breakpoint.counters_fd, &counters);
	ck_assert_uint_eq(counters.hits, 10);
}
END_TEST

START_TEST(ring_is_taken_once)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_take_hits(&session);
	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", session.path, SESSION_INTERFACE,
					    "TakeHits", &error, NULL, ""),
			 0);
	ck_assert_msg(strlen(error.message) > 10, "%s", error.message);
	sd_bus_error_free(&error);
}
END_TEST

START_TEST(events_only_where_asked_for)
{
	if (bus_signals_are_refused())
		return;

	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	BusBreakpoint without, with;
	sd_bus *bus = bus_connect();
	const uint32_t *threads;
	BusSession session;
	unsigned n_fds = 0;
	Target target;
	size_t size;
	int fd;

	target_start(&target, "threads", "18", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &without, "{'address': '0x%lx'}",
		target_address_of(&target, "threads_work"));
	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", without.path, BREAKPOINT_INTERFACE,
					    "TakeEvents", &error, NULL, "u", 0),
			 0);
	sd_bus_error_free(&error);

	/* leader, 18 workers, server: 20, of which 12 come at once */
	bus_add(&session, &with, "{'address': '0x%lx', 'events': true}",
		target_address_of(&target, "threads_work"));
	ck_assert_uint_eq(with.n_threads, 20);
	for (uint32_t first = 0; first < 20; first += 12) {
		ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", with.path,
						    BREAKPOINT_INTERFACE, "TakeEvents", &error,
						    &reply, "u", first),
				 0);
		ck_assert_int_ge(
			sd_bus_message_read_array(reply, 'u', (const void **)&threads, &size), 0);
		ck_assert_uint_eq(size / sizeof(uint32_t), first == 0 ? 12 : 8);
		for (size_t i = 0; i < size / sizeof(uint32_t); i++)
			ck_assert_uint_eq(threads[i], (uint32_t)with.threads[first + i]);
		ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "h"), 0);
		while (sd_bus_message_read(reply, "h", &fd) > 0)
			n_fds++;
		sd_bus_message_unref(reply);
	}
	ck_assert_uint_eq(n_fds, 20);
}
END_TEST

START_TEST(check_spec_reports)
{
	sd_bus_message *reply = NULL;
	sd_bus *bus = bus_connect();
	const char *report;

	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "CheckSpec", NULL, &reply, "s",
					    "{\"address\": 4198400, \"condition\": "
					    "{\"==\": [{\"reg\": \"" ARG1 "\"}, 5]}}"),
			 0);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &report), 0);
	ck_assert_msg(strstr(report, "\"instructions\"") && strstr(report, ARG1), "%s", report);
	sd_bus_message_unref(reply);
	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "CheckSpec", NULL, &reply, "s",
					    "{\"address\": 4198400, \"condition\": "
					    "{\"==\": [{\"reg\": \"rdx2\"}, 5]}}"),
			 0);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &report), 0);
	ck_assert_msg(strstr(report, "$.condition"), "%s", report);
	sd_bus_message_unref(reply);
}
END_TEST

START_TEST(unknown_objects_and_options)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();

	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", "/org/bpcond1/session/4000000000",
					    SESSION_INTERFACE, "Close", &error, NULL, ""),
			 0);
	sd_bus_error_free(&error);
	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "OpenSessionByPid", &error, NULL, "ua{sv}", UINT32_MAX,
					    0),
			 0);
	ck_assert_str_eq(error.name, "org.bpcond1.Error.NoSuchTarget");
	ck_assert_msg(strstr(error.message, "no process 4294967295:") != NULL, "%s",
		      error.message);
	sd_bus_error_free(&error);
	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "OpenSessionByPid", &error, NULL, "ua{sv}",
					    (uint32_t)getpid(), 1, "colour", "s", "blue"),
			 0);
	sd_bus_error_free(&error);
	ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "OpenSessionByPid", &error, NULL, "ua{sv}",
					    (uint32_t)getpid(), 1, "hits-bytes", "s", "4096"),
			 0);
	sd_bus_error_free(&error);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("interface");

	integration_add(suite, "changes of the manager's properties", changes_of_the_manager);
	integration_add(suite, "features and limits", features_and_limits);
	integration_add(suite, "listing", listing);
	integration_add(suite, "signals of a session", signals_of_a_session);
	integration_add(suite, "Enable, Disable, Remove", enable_disable_remove);
	integration_add(suite, "Enabled is told when it changes", enabled_is_told_when_it_changes);
	integration_add(suite, "parameters", parameters);
	integration_add(suite, "counters cannot be written", counters_cannot_be_written);
	integration_add(suite, "the ring is taken once", ring_is_taken_once);
	integration_add(suite, "events only where asked for", events_only_where_asked_for);
	integration_add(suite, "CheckSpec reports", check_spec_reports);
	integration_add(suite, "unknown objects and options", unknown_objects_and_options);
	return integration_run(suite, argc, argv);
}
