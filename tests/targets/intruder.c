/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another user's caller: intruder PATH INTERFACE METHOD calls a method without arguments, intruder
 * PATH INTERFACE PROPERTY get reads a property (as text, of type s, t, u or b), intruder PATH INTERFACE
 * GetAll all names the properties that GetAll gives, each with a space behind it; intruder PID open
 * opens a session by pid, with `confined` after it once no_new_privs is set, with `as UID` (as root)
 * over a connection that is UID's, though the process is root's still. Says "done TEXT" or "error NAME
 * MESSAGE"; exit status 0 in both cases.
 */
#include <sys/prctl.h>
#include <unistd.h>
#include <systemd/sd-bus.h>

#include "tests/targets/target.h"

#define DESTINATION "org.bpcond1"

static int get_property(sd_bus *bus, char *argv[], sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *contents = "", *text = "";
	uint64_t number = 0;
	char type;
	int r;

	r = sd_bus_call_method(bus, DESTINATION, argv[1], "org.freedesktop.DBus.Properties", "Get",
			       error, &reply, "ss", argv[2], argv[3]);
	if (r < 0)
		return r;
	r = sd_bus_message_peek_type(reply, &type, &contents);
	if (r > 0)
		r = sd_bus_message_enter_container(reply, type, contents);
	if (r > 0)
		r = sd_bus_message_peek_type(reply, &type, &contents);
	if (r > 0 && type == 's') {
		r = sd_bus_message_read_basic(reply, type, &text);
		target_say("done %s", text);
	} else if (r > 0) {
		r = sd_bus_message_read_basic(reply, type, &number);
		target_say("done %lu", (unsigned long)number);
	}
	sd_bus_message_unref(reply);
	return r;
}

static int get_all(sd_bus *bus, char *argv[], sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	char names[256] = "";
	int r;

	r = sd_bus_call_method(bus, DESTINATION, argv[1], "org.freedesktop.DBus.Properties",
			       "GetAll", error, &reply, "s", argv[2]);
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r > 0 && sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		const char *name = "";

		r = sd_bus_message_read(reply, "s", &name);
		if (r > 0)
			r = sd_bus_message_skip(reply, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
		strncat(names, name, sizeof(names) - strlen(names) - 2);
		strcat(names, " ");
	}
	if (r >= 0)
		target_say("done %s", names);
	sd_bus_message_unref(reply);
	return r;
}

static int open_session(sd_bus *bus, char *argv[], sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *path = "";
	int r;

	r = sd_bus_call_method(bus, DESTINATION, "/org/bpcond1", "org.bpcond1.Manager",
			       "OpenSessionByPid", error, &reply, "ua{sv}", (uint32_t)atol(argv[1]),
			       0);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		target_say("done %s", path);
	sd_bus_message_unref(reply);
	return r;
}

int main(int argc, char *argv[])
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = NULL;
	int r;

	if (argc < 3)
		return 2;
	if (argc == 4 && strcmp(argv[3], "confined") == 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (argc == 5 && strcmp(argv[3], "as") == 0 && seteuid((uid_t)atol(argv[4])) < 0)
		return 2;
	r = sd_bus_open_system(&bus);
	if (r < 0)
		return 3;
	if (strcmp(argv[2], "open") == 0) {
		r = open_session(bus, argv, &error);
	} else if (argc == 5 && strcmp(argv[4], "all") == 0) {
		r = get_all(bus, argv, &error);
	} else if (argc == 5) {
		r = get_property(bus, argv, &error);
	} else if (argc == 4) {
		r = sd_bus_call_method(bus, DESTINATION, argv[1], argv[2], argv[3], &error, NULL,
				       "");
		if (r >= 0)
			target_say("done");
	} else {
		return 2;
	}
	if (r < 0)
		target_say("error %s %s", error.name ? error.name : "none",
			   error.message ? error.message : strerror(-r));
	sd_bus_error_free(&error);
	sd_bus_flush_close_unref(bus);
	return 0;
}
