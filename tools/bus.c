/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls to the daemon, and D-Bus values as JSON.
 */
#include "tools/bus.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum {
	OPTION_BUS = 256,
	OPTION_JSON,
};

ExitStatus bus_options(Tool *tool, int argc, char **argv, int *ret_first)
{
	static const struct option long_options[] = {
		{"bus", required_argument, NULL, OPTION_BUS},
		{"json", no_argument, NULL, OPTION_JSON},
		{},
	};

	optind = 0;
	argv[0] = program_invocation_short_name;
	for (;;) {
		switch (getopt_long(argc, argv, "", long_options, NULL)) {
		case -1:
			*ret_first = optind;
			return STATUS_HITS;
		case OPTION_BUS:
			tool->bus = optarg;
			break;
		case OPTION_JSON:
			tool->json = true;
			break;
		default:
			fputs("Try 'bpcondctl --help'.\n", stderr);
			return STATUS_USAGE;
		}
	}
}

static int open_address(const char *address, sd_bus **ret)
{
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, 1);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		/* Starting does not wait: this does. */
		r = sd_bus_get_unique_name(bus, &(const char *){NULL});
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

ExitStatus bus_open(const Tool *tool, sd_bus **ret)
{
	int r;

	r = tool->bus != NULL ? open_address(tool->bus, ret) : sd_bus_open_system(ret);
	if (r >= 0)
		return STATUS_HITS;
	complain(
		"cannot connect to the %s%s: %s; start the message bus, or give the address of the "
		"one that bpcondd is on (--bus)",
		tool->bus != NULL ? "bus " : "system bus", tool->bus != NULL ? tool->bus : "",
		strerror(-r));
	return STATUS_NO_DAEMON;
}

static bool is_unreachable(const char *name)
{
	static const char prefix[] = "org.freedesktop.DBus.Error.";
	static const char systemd[] = "org.freedesktop.systemd1.";
	static const char *const names[] = {"ServiceUnknown", "NameHasNoOwner", "NoReply",
					    "Disconnected",   "NoServer",       "Timeout",
					    "TimedOut"};

	if (strncmp(name, systemd, sizeof(systemd) - 1) == 0)
		return true;
	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	name += sizeof(prefix) - 1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return strncmp(name, "Spawn.", 6) == 0;
}

ExitStatus bus_complain(int r, const sd_bus_error *error)
{
	if (error->name == NULL) {
		complain("the message bus failed: %s; see whether it still runs", strerror(-r));
		return STATUS_NO_DAEMON;
	}
	if (is_unreachable(error->name)) {
		complain("no bpcondd answers on this bus (%s); start it with 'systemctl start "
			 "bpcondd', see with 'systemctl status bpcondd' and 'journalctl -u "
			 "bpcondd' why it does not start, or name the bus that it is on (--bus)",
			 error->message);
		return STATUS_NO_DAEMON;
	}
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD)) {
		complain(
			"there is no such session or breakpoint (any more); 'bpcondctl list' shows "
			"those that there are");
		return STATUS_NO_TARGET;
	}
	complain("%s", error->message);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_INVALID_ARGS))
		return STATUS_USAGE;
	return STATUS_REFUSED;
}

/* ---- D-Bus values as JSON -------------------------------------------------------------------- */

static int read_value(sd_bus_message *m, struct json_object **ret);

static int read_basic(sd_bus_message *m, char type, struct json_object **ret)
{
	union {
		uint8_t y;
		int b;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		const char *s;
	} value = {};
	int r;

	r = sd_bus_message_read_basic(m, type, &value);
	if (r < 0)
		return r;
	switch (type) {
	case 'b':
		*ret = json_object_new_boolean(value.b);
		break;
	case 'i':
		*ret = json_object_new_int64(value.i);
		break;
	case 'u':
		*ret = json_object_new_int64(value.u);
		break;
	case 'x':
		*ret = json_object_new_int64(value.x);
		break;
	case 't':
		*ret = json_object_new_uint64(value.t);
		break;
	case 's':
	case 'o':
		*ret = json_object_new_string(value.s);
		break;
	default:
		return -EPROTO;
	}
	return *ret == NULL ? -ENOMEM : 0;
}

/* a{s?}: contents are "{s?}". */
static int read_dictionary(sd_bus_message *m, const char *contents, struct json_object **ret)
{
	struct json_object *object, *value;
	char entry[16];
	const char *key;
	int r;

	if (strlen(contents) >= sizeof(entry) + 2)
		return -EPROTO;
	snprintf(entry, sizeof(entry), "%.*s", (int)strlen(contents) - 2, contents + 1);
	object = json_object_new_object();
	if (object == NULL)
		return -ENOMEM;
	r = sd_bus_message_enter_container(m, 'a', contents);
	while (r >= 0) {
		r = sd_bus_message_enter_container(m, 'e', entry);
		if (r <= 0)
			break;
		r = sd_bus_message_read(m, "s", &key);
		if (r >= 0)
			r = read_value(m, &value);
		if (r >= 0 && json_object_object_add(object, key, value) < 0) {
			json_object_put(value);
			r = -ENOMEM;
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		json_object_put(object);
		return r;
	}
	*ret = object;
	return 0;
}

static int read_array(sd_bus_message *m, const char *contents, struct json_object **ret)
{
	struct json_object *array, *value;
	int r;

	array = json_object_new_array();
	if (array == NULL)
		return -ENOMEM;
	r = sd_bus_message_enter_container(m, 'a', contents);
	while (r >= 0) {
		r = sd_bus_message_at_end(m, 0);
		if (r != 0)
			break;
		r = read_value(m, &value);
		if (r >= 0 && json_object_array_add(array, value) < 0) {
			json_object_put(value);
			r = -ENOMEM;
		}
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		json_object_put(array);
		return r;
	}
	*ret = array;
	return 0;
}

static int read_value(sd_bus_message *m, struct json_object **ret)
{
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r <= 0)
		return r < 0 ? r : -EPROTO;
	switch (type) {
	case 'v':
		r = sd_bus_message_enter_container(m, 'v', contents);
		if (r >= 0)
			r = read_value(m, ret);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0) {
			json_object_put(*ret);
			return r;
		}
		return 0;
	case 'a':
		if (contents[0] == '{')
			return read_dictionary(m, contents, ret);
		return read_array(m, contents, ret);
	default:
		return read_basic(m, type, ret);
	}
}

int bus_get_all(sd_bus *bus, const char *path, const char *interface, sd_bus_error *error,
		struct json_object **ret)
{
	sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_call_method(bus, BUS_SERVICE, path, "org.freedesktop.DBus.Properties", "GetAll",
			       error, &reply, "s", interface);
	if (r < 0)
		return r;
	r = read_value(reply, ret);
	sd_bus_message_unref(reply);
	return r;
}

ExitStatus bus_report(Tool *tool, int argc, char **argv,
		      int (*ask)(sd_bus *bus, sd_bus_error *error, struct json_object **ret),
		      void (*show)(const Tool *tool, struct json_object *answer))
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	/* argv[0] is getopt's from bus_options on. */
	const char *command = argv[0];
	struct json_object *answer = NULL;
	ExitStatus status;
	sd_bus *bus = NULL;
	int first, r;

	status = bus_options(tool, argc, argv, &first);
	if (status != STATUS_HITS)
		return status;
	if (first != argc)
		return complain_usage("%s takes no argument", command);
	status = bus_open(tool, &bus);
	if (status != STATUS_HITS)
		return status;
	r = ask(bus, &error, &answer);
	if (r < 0)
		status = bus_complain(r, &error);
	else
		show(tool, answer);
	json_object_put(answer);
	sd_bus_error_free(&error);
	sd_bus_close_unref(bus);
	return status;
}
