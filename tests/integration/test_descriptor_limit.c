/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon that may have few descriptors, and a user whose limits let him take them all. He is told so,
 * and that is all: what comes by the bus has still room, and nobody loses what he has.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/target.h"

enum {
	DESCRIPTORS = 2048,
	SMALL_RING = 4096,
	CONNECTIONS = 8,
	CALLS = 16,
	FDS_A_MESSAGE = 16,
};

#define SETTINGS "sessions=2000\nring-bytes=1G\n"

/* Sessions until the daemon has no room for one more. Return: how many. */
static unsigned open_until_full(sd_bus *bus, pid_t pid)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	unsigned n = 0;
	int r;

	do {
		r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
				       "OpenSessionByPid", &error, &reply, "ua{sv}", (uint32_t)pid,
				       1, "hits-bytes", "t", (uint64_t)SMALL_RING);
		reply = sd_bus_message_unref(reply);
		n += r >= 0;
	} while (r >= 0 && n < DESCRIPTORS);
	bus_expect_error(&error, "QuotaExceeded", "LimitNOFILE");
	return n;
}

static void send_full_of_descriptors(sd_bus *bus, uint64_t number)
{
	sd_bus_message *call = NULL;

	ck_assert_int_ge(sd_bus_message_new_method_call(bus, &call, "org.bpcond1", MANAGER_PATH,
							MANAGER_INTERFACE, "ListSessions"),
			 0);
	for (int i = 0; i < FDS_A_MESSAGE; i++)
		ck_assert_int_ge(sd_bus_message_append(call, "h", STDOUT_FILENO), 0);
	ck_assert_int_ge(sd_bus_message_seal(call, number, 0), 0);
	ck_assert_int_ge(sd_bus_send(bus, call, NULL), 0);
	sd_bus_message_unref(call);
}

START_TEST(at_the_limit)
{
	sd_bus *bus = bus_connect(), *buses[CONNECTIONS];
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	BusSession first, more;
	unsigned opened;
	Target target;
	pid_t daemon;

	helper_restart_with_settings(SETTINGS);
	daemon = helper_daemon_pid();
	target_start(&target, "loop", NULL, NULL);
	for (size_t i = 0; i < CONNECTIONS; i++)
		buses[i] = bus_connect();
	bus_open_session(bus, target.pid, &first);
	bus_add(&first, &breakpoint, "{'address':'0x%lx'}",
		target_address_of(&target, "loop_work"));
	opened = 1 + open_until_full(bus, target.pid);
	ck_assert_uint_gt(opened, DESCRIPTORS / 8);

	/* Twice what is kept, if it came at once. What needs none goes on, and what needs some is refused
	 * in words. */
	for (uint64_t i = 0; i < CALLS; i++)
		for (size_t k = 0; k < CONNECTIONS; k++)
			send_full_of_descriptors(buses[k], 1000 + i);
	ck_assert_int_eq(bus_try_open_session(bus, target.pid, &more, &error), 1);
	bus_expect_error(&error, "QuotaExceeded", "LimitNOFILE");
	ck_assert_int_eq(target_ask(&target, "called", "call 10"), 10);
	ck_assert_uint_eq(bus_number(bus, breakpoint.path, BREAKPOINT_INTERFACE, "Hits"), 10);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), opened);
	ck_assert_int_eq(helper_daemon_pid(), daemon);

	/* and there is room again */
	bus_close_session(&first);
	bus_breakpoint_close(&breakpoint);
	bus_open_session_with_ring(bus, target.pid, SMALL_RING, &more);
	bus_close_session(&more);
	for (size_t i = 0; i < CONNECTIONS; i++)
		sd_bus_close_unref(buses[i]);
	sd_bus_flush_close_unref(bus);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
	Suite *suite = suite_create("descriptor-limit");

	/* the daemon's, too */
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	integration_add(suite, "a daemon without descriptors", at_the_limit);
	return integration_run(suite, argc, argv);
}
