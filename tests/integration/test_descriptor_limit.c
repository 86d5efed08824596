/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon that may have few descriptors, and a user whose limits let him take them all. He is told so,
 * and that is all: what comes by the bus has still room, and nobody loses what he has.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
	MAX_CONNECTIONS = 4,
	NAME_BYTES = 32,
	TURNS = 3,
	SIGNALS = 200,
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

/* Whose process a connection is; 0 when it has gone. */
static uint32_t pid_of(sd_bus *bus, const char *name)
{
	sd_bus_message *reply = NULL;
	uint32_t pid = 0;

	if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "GetConnectionUnixProcessID", NULL, &reply,
			       "s", name) >= 0)
		ck_assert_int_ge(sd_bus_message_read(reply, "u", &pid), 0);
	sd_bus_message_unref(reply);
	return pid;
}

/* The connections of the daemon's, by what anybody may ask of the bus. Return: how many. */
static size_t find_connections(sd_bus *bus, pid_t daemon, char names[][NAME_BYTES], size_t room)
{
	char **all = NULL;
	size_t n = 0;

	ck_assert_int_ge(sd_bus_list_names(bus, &all, NULL), 0);
	for (char **at = all; *at; at++) {
		if (**at == ':' && n < room && pid_of(bus, *at) == (uint32_t)daemon)
			snprintf(names[n++], NAME_BYTES, "%s", *at);
		free(*at);
	}
	free(all);
	return n;
}

/* A bus lets anybody send signals to a connection. Not all of them need arrive. */
static void send_signals_full_of_descriptors(sd_bus *bus, const char *name)
{
	for (unsigned k = 0; k < SIGNALS; k++) {
		sd_bus_message *signal = NULL;
		int r;

		ck_assert_int_ge(
			sd_bus_message_new_signal(bus, &signal, "/", "org.example", "Signal"), 0);
		ck_assert_int_ge(sd_bus_message_set_destination(signal, name), 0);
		for (int i = 0; i < FDS_A_MESSAGE; i++)
			ck_assert_int_ge(sd_bus_message_append(signal, "h", STDOUT_FILENO), 0);
		r = sd_bus_send(bus, signal, NULL);
		/* on the way a user may have as many as may be open */
		ck_assert(r >= 0 || r == -ETOOMANYREFS);
		sd_bus_message_unref(signal);
	}
}

/* A connection of its own, whose call waits. */
static sd_bus *send_call(void)
{
	sd_bus *bus = bus_connect();
	sd_bus_message *call = NULL;

	ck_assert_int_ge(sd_bus_message_new_method_call(bus, &call, "org.bpcond1", MANAGER_PATH,
							MANAGER_INTERFACE, "ListSessions"),
			 0);
	ck_assert_int_ge(sd_bus_send(bus, call, NULL), 0);
	ck_assert_int_ge(sd_bus_flush(bus), 0);
	sd_bus_message_unref(call);
	return bus;
}

/* Whoever waits for an answer takes up what came before it, whoever sent that, and with whatever is in it. */
START_TEST(signals_to_each_connection)
{
	sd_bus *bus = bus_connect(), *sender = bus_connect(), *caller;
	char names[MAX_CONNECTIONS][NAME_BYTES];
	size_t n_names;
	pid_t daemon;

	helper_restart_with_settings(SETTINGS);
	daemon = helper_daemon_pid();
	n_names = find_connections(bus, daemon, names, MAX_CONNECTIONS);
	ck_assert_uint_gt(n_names, 0);
	for (size_t i = 0; i < n_names * TURNS; i++) {
		ck_assert_int_eq(helper_kill(daemon, SIGSTOP), 0);
		send_signals_full_of_descriptors(sender, names[i % n_names]);
		caller = send_call();
		ck_assert_int_eq(helper_kill(daemon, SIGCONT), 0);
		bus_number(caller, MANAGER_PATH, MANAGER_INTERFACE, "Sessions");
		sd_bus_close_unref(caller);
	}
	ck_assert_int_eq(helper_daemon_pid(), daemon);
	sd_bus_close_unref(sender);
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
	integration_add(suite, "signals full of descriptors", signals_to_each_connection);
	return integration_run(suite, argc, argv);
}
