/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens a session, sets a breakpoint with a condition, and has its hits forwarded to where its own
 * standard output leads; says "ready" on standard error, and stays connected to the bus until the end of
 * stdin.
 *
 * usage: forwarder PID SPEC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define SERVICE "org.bpcond1"
#define OBJECT  "/org/bpcond1"

static void check(int r, const char *what, const sd_bus_error *error)
{
	if (r >= 0)
		return;
	fprintf(stderr, "forwarder: %s: %s\n", what,
		error->message ? error->message : strerror(-r));
	exit(1);
}

int main(int argc, char *argv[])
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *opened = NULL;
	const char *session;
	sd_bus *bus = NULL;
	char byte;
	int r;

	if (argc != 3)
		return 2;
	r = sd_bus_open_system(&bus);
	check(r, "cannot connect", &error);
	r = sd_bus_call_method(bus, SERVICE, OBJECT, "org.bpcond1.Manager", "OpenSessionByPid",
			       &error, &opened, "ua{sv}", (unsigned)atoi(argv[1]), 0);
	check(r, "OpenSessionByPid", &error);
	r = sd_bus_message_read(opened, "o", &session);
	check(r, "its answer", &error);
	r = sd_bus_call_method(bus, SERVICE, session, "org.bpcond1.Session", "Forward", &error,
			       NULL, "hs", STDOUT_FILENO, "json-lines");
	check(r, "Forward", &error);
	r = sd_bus_call_method(bus, SERVICE, session, "org.bpcond1.Session", "AddBreakpoint",
			       &error, NULL, "s", argv[2]);
	check(r, "AddBreakpoint", &error);
	/* The sink ends with the session, and not with us. */
	close(STDOUT_FILENO);
	fprintf(stderr, "ready\n");
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	sd_bus_message_unref(opened);
	sd_bus_flush_close_unref(bus);
	return 0;
}
