/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status: the daemon, what this kernel can do, and what a user may have.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "tools/bus.h"
#include "tools/output.h"

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static void print_table(const char *title, struct json_object *table)
{
	printf("%s\n", title);
	if (table == NULL || json_object_object_length(table) == 0) {
		printf("  (none)\n");
		return;
	}
	json_object_object_foreach(table, name, value)
	{
		const char *text = json_object_get_string(value);

		if (json_object_is_type(value, json_type_boolean))
			text = json_object_get_boolean(value) ? "yes" : "no";
		printf("  %-22s ", name);
		print_safe(stdout, text);
		fputc('\n', stdout);
	}
}

/* A kernel that refuses every perf event to the daemon: then there is not one slot to be had. */
static void print_paranoid(struct json_object *features)
{
	int paranoid = json_object_get_int(member(features, "perf-event-paranoid"));

	if (paranoid > 2 && json_object_get_int(member(features, "hardware-slots")) == 0)
		printf("No breakpoint can be set: kernel.perf_event_paranoid is %d. An "
		       "administrator can allow them with: sysctl kernel.perf_event_paranoid=2\n",
		       paranoid);
}

/* As man page and refusals say it, for who looks here first. */
static void print_types(struct json_object *features)
{
	if (json_object_get_boolean(member(features, "btf")))
		return;
	printf("Without BTF (CONFIG_DEBUG_INFO_BTF):\n"
	       "  No filter is lent (LendFilter, only-when-traced), and \"kernel-accesses\" is "
	       "refused.\n"
	       "  Where the kernel has user namespaces, or the target is root's, an administrator "
	       "decides\n"
	       "  about each session (org.bpcond1.attach-other).\n"
	       "  A process that starts threads all the time has to be stopped (SIGSTOP) while a "
	       "session "
	       "is\n"
	       "  opened or a breakpoint added or switched.\n");
}

static void print_status(const Tool *tool, struct json_object *properties)
{
	printf("bpcondd ");
	print_safe(stdout, json_object_get_string(member(properties, "Version")));
	printf(" answers on the %s%s\n", tool->bus != NULL ? "bus " : "system bus",
	       tool->bus != NULL ? tool->bus : "");
	print_table("This kernel:", member(properties, "Features"));
	print_paranoid(member(properties, "Features"));
	print_types(member(properties, "Features"));
	print_table("Limits for each user:", member(properties, "Limits"));
	printf("Open now: %d sessions, %d breakpoints\n",
	       json_object_get_int(member(properties, "Sessions")),
	       json_object_get_int(member(properties, "Breakpoints")));
}

/* The properties under the names that the rest of the JSON of this tool has: in lower case. */
static void print_json(struct json_object *properties)
{
	static const char *const keys[][2] = {
		{"version", "Version"},   {"features", "Features"},       {"limits", "Limits"},
		{"sessions", "Sessions"}, {"breakpoints", "Breakpoints"},
	};

	fputc('{', stdout);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		printf("%s\"%s\":%s", i == 0 ? "" : ",", keys[i][0],
		       json_object_to_json_string_ext(member(properties, keys[i][1]),
						      JSON_C_TO_STRING_PLAIN));
	puts("}");
}

static int ask(sd_bus *bus, sd_bus_error *error, struct json_object **ret)
{
	return bus_get_all(bus, BUS_ROOT, BUS_INTERFACE "Manager", error, ret);
}

static void show(const Tool *tool, struct json_object *properties)
{
	if (tool->json)
		print_json(properties);
	else
		print_status(tool, properties);
}

ExitStatus command_status(Tool *tool, int argc, char **argv)
{
	return bus_report(tool, argc, argv, ask, show);
}
