/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries everything that an object offers: `trespasser PATH` asks the object what it has, calls every
 * method of the interfaces org.bpcond1.* with arguments of the right types, and reads every property,
 * one by one and all at once. Says a line for each:
 * "method INTERFACE.NAME ERROR" or "property INTERFACE.NAME ERROR", with "done" where it was let. Then
 * "end NUMBER", with how many there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "tests/targets/target.h"

#define DESTINATION "org.bpcond1"
#define PROPERTIES  "org.freedesktop.DBus.Properties"

static sd_bus *bus;
static const char *path;
static int pipe_fds[2];
static long tried;

/* The value of an attribute of the element that starts at `element`. */
static bool attribute(const char *element, const char *name, char ret[static 64])
{
	char key[72];
	const char *end = strchr(element, '>'), *at;

	snprintf(key, sizeof(key), " %s=\"", name);
	at = strstr(element, key);
	if (!at || !end || at > end)
		return false;
	at += strlen(key);
	snprintf(ret, 64, "%.*s", (int)strcspn(at, "\""), at);
	return true;
}

static int append_argument(sd_bus_message *call, const char *type)
{
	if (strcmp(type, "s") == 0)
		return sd_bus_message_append(call, "s", "{\"address\":\"0x1000\"}");
	if (strcmp(type, "o") == 0)
		return sd_bus_message_append(call, "o", path);
	if (strcmp(type, "h") == 0)
		return sd_bus_message_append(call, "h", pipe_fds[1]);
	if (strcmp(type, "u") == 0)
		return sd_bus_message_append(call, "u", 0);
	if (strcmp(type, "t") == 0)
		return sd_bus_message_append(call, "t", UINT64_C(0));
	if (strcmp(type, "a{sv}") == 0)
		return sd_bus_message_append(call, "a{sv}", 0);
	return -EINVAL;
}

static void say(const char *kind, const char *interface, const char *name, int r,
		sd_bus_error *error)
{
	target_say("%s %s.%s %s", kind, interface, name,
		   r >= 0        ? "done"
		   : error->name ? error->name
				 : strerror(-r));
	sd_bus_error_free(error);
	tried++;
}

/* Return: where the method's element ends. */
static const char *try_method(const char *interface, const char *element)
{
	const char *end = strstr(element, "</method>"), *close = strstr(element, "/>");
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *call = NULL;
	char name[64], type[64], direction[64];
	int r;

	/* one without arguments may have no end of its own */
	if (!end || (close && close < strchr(element, '>')))
		end = strchr(element, '>');
	if (!attribute(element, "name", name))
		return end;
	r = sd_bus_message_new_method_call(bus, &call, DESTINATION, path, interface, name);
	for (const char *at = strstr(element, "<arg "); r >= 0 && at && at < end;
	     at = strstr(at + 1, "<arg ")) {
		if (!attribute(at, "type", type) ||
		    (attribute(at, "direction", direction) && strcmp(direction, "out") == 0))
			continue;
		r = append_argument(call, type);
	}
	if (r >= 0)
		r = sd_bus_call(bus, call, 0, &error, NULL);
	sd_bus_message_unref(call);
	say("method", interface, name, r, &error);
	return end;
}

static void try_property(const char *interface, const char *element)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char name[64];
	int r;

	if (!attribute(element, "name", name))
		return;
	r = sd_bus_call_method(bus, DESTINATION, path, PROPERTIES, "Get", &error, NULL, "ss",
			       interface, name);
	say("property", interface, name, r, &error);
	r = sd_bus_call_method(bus, DESTINATION, path, PROPERTIES, "Set", &error, NULL, "ssv",
			       interface, name, "t", UINT64_C(1));
	say("set", interface, name, r, &error);
}

/* All properties in one answer, as a line for each that it tells. */
static void try_all_properties(const char *interface)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *name;
	int r;

	r = sd_bus_call_method(bus, DESTINATION, path, PROPERTIES, "GetAll", &error, &reply, "s",
			       interface);
	if (r < 0) {
		say("all", interface, "*", r, &error);
		return;
	}
	r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r >= 0 && sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		r = sd_bus_message_read(reply, "s", &name);
		if (r >= 0)
			r = sd_bus_message_skip(reply, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
		say("property", interface, name, r, &error);
	}
	sd_bus_message_unref(reply);
}

static void try_interface(const char *element)
{
	const char *end = strstr(element, "</interface>"), *at;
	char name[64];

	if (!end || !attribute(element, "name", name) ||
	    strncmp(name, "org.bpcond1.", strlen("org.bpcond1.")) != 0)
		return;
	try_all_properties(name);
	/* what is asked comes before what is done */
	for (at = strstr(element, "<property "); at && at < end; at = strstr(at + 1, "<property "))
		try_property(name, at);
	for (at = strstr(element, "<method "); at && at < end; at = strstr(at + 1, "<method "))
		at = try_method(name, at);
}

int main(int argc, char *argv[])
{
	sd_bus_message *reply = NULL;
	const char *xml;

	if (argc != 2 || pipe2(pipe_fds, O_CLOEXEC) < 0 || sd_bus_open_system(&bus) < 0)
		return 2;
	path = argv[1];
	if (sd_bus_call_method(bus, DESTINATION, path, "org.freedesktop.DBus.Introspectable",
			       "Introspect", NULL, &reply, "") < 0 ||
	    sd_bus_message_read(reply, "s", &xml) < 0)
		return 3;
	for (const char *at = strstr(xml, "<interface "); at; at = strstr(at + 1, "<interface "))
		try_interface(at);
	target_say("end %ld", tried);
	sd_bus_message_unref(reply);
	sd_bus_flush_close_unref(bus);
	return 0;
}
