/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the bus tells of the service's objects: members with their types and names, and which objects
 * there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/target.h"

static char *introspect(sd_bus *bus, const char *path)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *xml;
	char *copy;
	int r;

	r = sd_bus_call_method(bus, "org.bpcond1", path, "org.freedesktop.DBus.Introspectable",
			       "Introspect", &error, &reply, "");
	ck_assert_msg(r >= 0, "%s: %s", path, error.message);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &xml), 0);
	copy = strdup(xml);
	sd_bus_message_unref(reply);
	return copy;
}

/* That the member exists with these argument or property types, in order. */
static void expect_member(const char *xml, const char *kind, const char *name,
			  const char *const types[])
{
	char opening[128], type[64];
	const char *at, *end, *close;

	snprintf(opening, sizeof(opening), "<%s name=\"%s\"", kind, name);
	at = strstr(xml, opening);
	ck_assert_msg(at != NULL, "there is no %s %s", kind, name);
	snprintf(type, sizeof(type), "</%s>", kind);
	end = strstr(at, type);
	close = strchr(at, '>');
	/* an element without children ends at once */
	if (close[-1] == '/' || !end)
		end = close;
	for (size_t i = 0; types[i]; i++) {
		snprintf(type, sizeof(type), "type=\"%s\"", types[i]);
		at = strstr(at, type);
		ck_assert_msg(at && at < end, "%s %s: argument %zu is no %s", kind, name, i,
			      types[i]);
		at++;
	}
}

#define TYPES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_TYPES   ((const char *const[]){NULL})

START_TEST(members_and_types)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	char *xml;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));

	xml = introspect(bus, MANAGER_PATH);
	expect_member(xml, "method", "OpenSession", TYPES("h", "a{sv}", "o"));
	expect_member(xml, "method", "OpenSessionByPid", TYPES("u", "a{sv}", "o"));
	expect_member(xml, "method", "CheckSpec", TYPES("s", "s"));
	expect_member(xml, "method", "ListSessions", TYPES("a(ouuus)"));
	expect_member(xml, "property", "Version", TYPES("s"));
	expect_member(xml, "property", "Features", TYPES("a{sv}"));
	expect_member(xml, "property", "Limits", TYPES("a{st}"));
	expect_member(xml, "property", "Sessions", TYPES("u"));
	expect_member(xml, "property", "Breakpoints", TYPES("u"));
	expect_member(xml, "signal", "SessionOpened", TYPES("o"));
	expect_member(xml, "signal", "SessionClosed", TYPES("o", "s"));
	free(xml);

	xml = introspect(bus, session.path);
	expect_member(xml, "method", "AddBreakpoint", TYPES("s", "o", "a{sh}", "au"));
	expect_member(xml, "method", "TakeHits", TYPES("h"));
	expect_member(xml, "method", "Forward", TYPES("h", "s"));
	expect_member(xml, "method", "Close", NO_TYPES);
	expect_member(xml, "property", "Target", TYPES("u"));
	expect_member(xml, "property", "Uid", TYPES("u"));
	expect_member(xml, "property", "Breakpoints", TYPES("ao"));
	expect_member(xml, "property", "Hits", TYPES("t"));
	expect_member(xml, "property", "Dropped", TYPES("t"));
	expect_member(xml, "signal", "Hit", TYPES("t", "s"));
	expect_member(xml, "signal", "TargetExited", NO_TYPES);
	free(xml);

	xml = introspect(bus, breakpoint.path);
	expect_member(xml, "method", "Enable", NO_TYPES);
	expect_member(xml, "method", "Disable", NO_TYPES);
	expect_member(xml, "method", "Remove", NO_TYPES);
	expect_member(xml, "method", "SetParameter", TYPES("s", "t"));
	expect_member(xml, "method", "TakeEvents", TYPES("u", "au", "ah"));
	expect_member(xml, "property", "Spec", TYPES("s"));
	expect_member(xml, "property", "Address", TYPES("t"));
	expect_member(xml, "property", "Enabled", TYPES("b"));
	expect_member(xml, "property", "Threads", TYPES("u"));
	for (const char *const *count = TYPES("Traps", "Evaluated", "Hits", "Rejected", "Withheld",
					      "Faults", "Dropped", "Unsignalled", "Lost");
	     *count; count++)
		expect_member(xml, "property", *count, TYPES("t"));
	free(xml);
}
END_TEST

/* What introspection tells another user of a session, by busctl. Return: its output, free(). */
static char *introspect_as_another(const char *path)
{
	const char *argv[] = {"/bin/sh", "-c",
			      "exec busctl --address=\"$DBUS_SYSTEM_BUS_ADDRESS\" introspect "
			      "--xml-interface org.bpcond1 \"$0\"",
			      path, NULL};
	char *text = calloc(1, 65536);
	size_t have = 0;
	int out[2];
	ssize_t n;
	pid_t pid;

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = helper_spawn(ENVIRONMENT_USER_B, argv, -EBADF, out[1]);
	close(out[1]);
	do {
		n = read(out[0], text + have, 65535 - have);
		have += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	close(out[0]);
	ck_assert_int_eq(helper_wait(pid, 10000), 0);
	return text;
}

/* As `busctl tree` finds them; of which breakpoints there are another user hears nothing. */
START_TEST(children_can_be_found)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	char node[160], *xml;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));

	xml = introspect(bus, "/org/bpcond1/session");
	snprintf(node, sizeof(node), "<node name=\"%s\"",
		 session.path + strlen("/org/bpcond1/session/"));
	ck_assert_msg(strstr(xml, node) != NULL, "%s", xml);
	free(xml);

	snprintf(node, sizeof(node), "<node name=\"%s\"",
		 breakpoint.path + strlen(session.path) + 1);
	xml = introspect(bus, session.path);
	ck_assert_msg(strstr(xml, node) != NULL, "%s", xml);
	free(xml);
	xml = introspect_as_another(session.path);
	ck_assert_msg(strstr(xml, "AddBreakpoint") != NULL, "%s", xml);
	ck_assert_msg(strstr(xml, "<node name") == NULL, "%s", xml);
	free(xml);
}
END_TEST

START_TEST(arguments_have_names)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	for (const char *const *path = TYPES(MANAGER_PATH, session.path, breakpoint.path); *path;
	     path++) {
		char *xml = introspect(bus, *path), *ours = strstr(xml, "org.bpcond1.");
		unsigned n = 0;

		ck_assert_ptr_nonnull(ours);
		for (char *at = strstr(ours, "<arg "); at; at = strstr(at + 1, "<arg ")) {
			char *name = strstr(at, " name=\""), *end = strchr(at, '>');

			ck_assert_msg(name && name < end, "%s: %.*s", *path, (int)(end - at), at);
			n++;
		}
		ck_assert_uint_gt(n, 0);
		free(xml);
	}
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("introspection");

	integration_add(suite, "members and types", members_and_types);
	integration_add(suite, "children can be found", children_can_be_found);
	integration_add(suite, "arguments have names", arguments_have_names);
	return integration_run(suite, argc, argv);
}
