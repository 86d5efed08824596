/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list and rm: everybody's sessions, with the breakpoints of those that this user may look into.
 */
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bus.h"
#include "tools/options.h"
#include "tools/output.h"

#define SESSION_PREFIX BUS_ROOT "/session/"

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

/* ---- Gathering ------------------------------------------------------------------------------- */

/* The spec as an object instead of as text. Takes properties over. */
static struct json_object *breakpoint_object(const char *path, struct json_object *properties)
{
	static const char *const counts[][2] = {
		{"traps", "Traps"},       {"evaluated", "Evaluated"},     {"hits", "Hits"},
		{"rejected", "Rejected"}, {"withheld", "Withheld"},       {"faults", "Faults"},
		{"dropped", "Dropped"},   {"unsignalled", "Unsignalled"}, {"lost", "Lost"},
	};
	struct json_object *object = json_object_new_object(), *value;
	struct json_object *numbers = json_object_new_object();
	char address[32];

	json_object_object_add(object, "object", json_object_new_string(path));
	value = member(properties, "Address");
	if (value != NULL) {
		snprintf(address, sizeof(address), "0x%llx",
			 (unsigned long long)json_object_get_uint64(value));
		json_object_object_add(object, "address", json_object_new_string(address));
	}
	json_object_object_add(object, "enabled", json_object_get(member(properties, "Enabled")));
	json_object_object_add(object, "threads", json_object_get(member(properties, "Threads")));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_object_object_add(numbers, counts[i][0],
				       json_object_get(member(properties, counts[i][1])));
	json_object_object_add(object, "counts", numbers);
	value = member(properties, "Spec");
	if (value != NULL)
		json_object_object_add(object, "spec",
				       json_tokener_parse(json_object_get_string(value)));
	json_object_put(properties);
	return object;
}

/* The breakpoints of a session; NULL when it is not ours to look into, or gone meanwhile. */
static struct json_object *session_breakpoints(sd_bus *bus, const char *path)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	struct json_object *session = NULL, *paths, *array = NULL;

	if (bus_get_all(bus, path, BUS_INTERFACE "Session", &error, &session) < 0)
		goto finish;
	paths = member(session, "Breakpoints");
	if (!json_object_is_type(paths, json_type_array))
		goto finish;
	array = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(paths); i++) {
		const char *each = json_object_get_string(json_object_array_get_idx(paths, i));
		struct json_object *properties;

		sd_bus_error_free(&error);
		if (bus_get_all(bus, each, BUS_INTERFACE "Breakpoint", &error, &properties) < 0)
			continue;
		json_object_array_add(array, breakpoint_object(each, properties));
	}
finish:
	json_object_put(session);
	sd_bus_error_free(&error);
	return array;
}

static int compare_sessions(const void *a, const void *b)
{
	const char *pa = json_object_get_string(member(*(struct json_object *const *)a, "object"));
	const char *pb = json_object_get_string(member(*(struct json_object *const *)b, "object"));

	/* By number: the shorter path has the smaller. */
	if (strlen(pa) != strlen(pb))
		return strlen(pa) < strlen(pb) ? -1 : 1;
	return strcmp(pa, pb);
}

static int gather(sd_bus *bus, sd_bus_error *error, struct json_object **ret)
{
	struct json_object *sessions = json_object_new_array();
	sd_bus_message *reply = NULL;
	const char *path, *name;
	uint32_t uid, client_pid, target;
	int r;

	r = sd_bus_call_method(bus, BUS_SERVICE, BUS_ROOT, BUS_INTERFACE "Manager", "ListSessions",
			       error, &reply, "");
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(ouuus)");
	while (r >= 0) {
		struct json_object *session;

		r = sd_bus_message_read(reply, "(ouuus)", &path, &uid, &client_pid, &target, &name);
		if (r <= 0)
			break;
		session = json_object_new_object();
		json_object_object_add(session, "object", json_object_new_string(path));
		json_object_object_add(session, "uid", json_object_new_int64(uid));
		json_object_object_add(session, "client-pid", json_object_new_int64(client_pid));
		json_object_object_add(session, "target-pid", json_object_new_int64(target));
		json_object_object_add(session, "client", json_object_new_string(name));
		json_object_object_add(session, "breakpoints", session_breakpoints(bus, path));
		json_object_array_add(sessions, session);
	}
	sd_bus_message_unref(reply);
	if (r < 0) {
		json_object_put(sessions);
		return r;
	}
	json_object_array_sort(sessions, compare_sessions);
	*ret = sessions;
	return 0;
}

/* ---- Printing -------------------------------------------------------------------------------- */

/* N of …/session/N, N/M of …/session/N/breakpoint/M: what rm takes as well. */
static void short_name(const char *path, char *ret, size_t size)
{
	const char *rest = strncmp(path, SESSION_PREFIX, strlen(SESSION_PREFIX)) == 0
				   ? path + strlen(SESSION_PREFIX)
				   : path;
	const char *breakpoint = strstr(rest, "/breakpoint/");

	if (breakpoint == NULL)
		snprintf(ret, size, "%s", rest);
	else
		snprintf(ret, size, "%.*s/%s", (int)(breakpoint - rest), rest,
			 breakpoint + strlen("/breakpoint/"));
}

static const char *text(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	return value == NULL ? "?" : json_object_get_string(value);
}

static void print_breakpoint(struct json_object *breakpoint)
{
	struct json_object *spec = member(breakpoint, "spec"), *counts, *condition = NULL;
	char name[64], *condition_text = NULL;

	counts = member(breakpoint, "counts");
	short_name(text(breakpoint, "object"), name, sizeof(name));
	printf("  %-8s %-10s %s, %s threads, %s: %s evaluated, %s hits\n", name,
	       spec == NULL || member(spec, "access") == NULL ? "execute" : text(spec, "access"),
	       text(breakpoint, "address"), text(breakpoint, "threads"),
	       json_object_get_boolean(member(breakpoint, "enabled")) ? "enabled" : "disabled",
	       text(counts, "evaluated"), text(counts, "hits"));
	condition = member(spec, "condition");
	if (condition == NULL)
		return;
	if (bpcond_condition_to_text(json_object_to_json_string(condition), &condition_text) < 0)
		condition_text = NULL;
	printf("           if ");
	print_safe(stdout,
		   condition_text != NULL ? condition_text : json_object_to_json_string(condition));
	fputc('\n', stdout);
	free(condition_text);
}

static void print_list(struct json_object *sessions)
{
	if (json_object_array_length(sessions) == 0) {
		puts("There are no sessions.");
		return;
	}
	printf("%-10s %-8s %-8s %-8s %s\n", "OBJECT", "UID", "CLIENT", "TARGET", "NAME");
	for (size_t i = 0; i < json_object_array_length(sessions); i++) {
		struct json_object *session = json_object_array_get_idx(sessions, i);
		struct json_object *breakpoints = member(session, "breakpoints");
		char name[64];

		short_name(text(session, "object"), name, sizeof(name));
		printf("%-10s %-8s %-8s %-8s ", name, text(session, "uid"),
		       text(session, "client-pid"), text(session, "target-pid"));
		print_safe_name(stdout, text(session, "client"));
		fputc('\n', stdout);
		if (breakpoints == NULL)
			continue;
		for (size_t k = 0; k < json_object_array_length(breakpoints); k++)
			print_breakpoint(json_object_array_get_idx(breakpoints, k));
	}
}

static void show(const Tool *tool, struct json_object *sessions)
{
	if (tool->json)
		puts(json_object_to_json_string_ext(
			sessions, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_list(sessions);
}

ExitStatus command_list(Tool *tool, int argc, char **argv)
{
	return bus_report(tool, argc, argv, gather, show);
}

/* ---- rm -------------------------------------------------------------------------------------- */

/* The path that N, N/M or a path means. */
static bool object_path(const char *object, char *ret, size_t size)
{
	const char *slash = strchr(object, '/');
	char first[32];
	uint64_t number;

	if (*object == '/')
		return strncmp(object, SESSION_PREFIX, strlen(SESSION_PREFIX)) == 0 &&
		       sd_bus_object_path_is_valid(object) > 0 &&
		       snprintf(ret, size, "%s", object) < (int)size;
	if (slash == NULL) {
		if (!parse_number(object, 1, UINT32_MAX, &number))
			return false;
		return snprintf(ret, size, SESSION_PREFIX "%s", object) < (int)size;
	}
	if ((size_t)(slash - object) >= sizeof(first))
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)(slash - object), object);
	if (!parse_number(first, 1, UINT32_MAX, &number) ||
	    !parse_number(slash + 1, 1, UINT32_MAX, &number))
		return false;
	return snprintf(ret, size, SESSION_PREFIX "%s/breakpoint/%s", first, slash + 1) < (int)size;
}

ExitStatus command_rm(Tool *tool, int argc, char **argv)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char path[256];
	ExitStatus status;
	sd_bus *bus = NULL;
	bool breakpoint;
	int first, r;

	status = bus_options(tool, argc, argv, &first);
	if (status != STATUS_HITS)
		return status;
	if (first + 1 != argc)
		return complain_usage("rm takes one object, as 'bpcondctl list' shows them");
	if (!object_path(argv[first], path, sizeof(path)))
		return complain_usage(
			"'%s' is no object; give a session N, a breakpoint N/M, or the "
			"path of one, as 'bpcondctl list' shows them",
			argv[first]);
	status = bus_open(tool, &bus);
	if (status != STATUS_HITS)
		return status;
	breakpoint = strstr(path, "/breakpoint/") != NULL;
	/* For what is another user's an administrator is asked, who has to find the password. */
	r = sd_bus_set_allow_interactive_authorization(bus, 1);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, 120 * 1000000ULL);
	if (r >= 0)
		r = sd_bus_call_method(bus, BUS_SERVICE, path,
				       breakpoint ? BUS_INTERFACE "Breakpoint"
						  : BUS_INTERFACE "Session",
				       breakpoint ? "Remove" : "Close", &error, NULL, "");
	if (r < 0)
		status = bus_complain(r, &error);
	else if (tool->json)
		printf("{\"removed\":\"%s\"}\n", path);
	sd_bus_error_free(&error);
	sd_bus_close_unref(bus);
	return status;
}
