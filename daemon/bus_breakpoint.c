/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * org.bpcond1.Breakpoint on /org/bpcond1/session/N/breakpoint/M.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/bus_listen.h"
#include "daemon/bus_polkit.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* The breakpoint whose path this is, or NULL. */
static Breakpoint *parse_breakpoint(Bus *bus, const char *path)
{
	Session *session;
	const char *rest;
	uint32_t number;

	session = bus_parse_session(bus, path, &rest);
	if (!session || strncmp(rest, "/breakpoint/", strlen("/breakpoint/")) != 0)
		return NULL;
	rest += strlen("/breakpoint/");
	if (!bus_parse_number(&rest, &number) || *rest)
		return NULL;
	return session_find_breakpoint(session, number);
}

static int find_breakpoint(sd_bus *sdbus, const char *path, const char *interface, void *userdata,
			   void **ret_found, sd_bus_error *error)
{
	Breakpoint *breakpoint = parse_breakpoint(userdata, path);

	if (!breakpoint)
		return 0;
	*ret_found = breakpoint;
	return 1;
}

static Bus *bus_of(const Breakpoint *breakpoint)
{
	return breakpoint->session->broker->hooks.userdata;
}

static int check_actor(const Breakpoint *breakpoint, sd_bus_message *message, SessionOwner *ret,
		       sd_bus_error *error)
{
	return bus_check_actor(bus_of(breakpoint), breakpoint->session, message, ret, error);
}

static int method_enable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Breakpoint *breakpoint = userdata;
	SessionOwner actor;
	Refusal refusal;
	bool before;
	int r;

	r = check_actor(breakpoint, message, &actor, error);
	if (r < 0)
		return r;
	before = breakpoint->enabled;
	r = session_enable_breakpoint(breakpoint, &actor, &refusal);
	/* Also where it fails: what was enabled can be disabled then. */
	if (breakpoint->enabled != before)
		bus_breakpoint_changed(bus_of(breakpoint), breakpoint);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return sd_bus_reply_method_return(message, "");
}

static int method_disable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Breakpoint *breakpoint = userdata;
	SessionOwner actor;
	bool before;
	int r;

	r = check_actor(breakpoint, message, &actor, error);
	if (r < 0)
		return r;
	before = breakpoint->enabled;
	r = breakpoint_disable(breakpoint);
	if (breakpoint->enabled != before)
		bus_breakpoint_changed(bus_of(breakpoint), breakpoint);
	if (r < 0)
		return bus_fail(r, NULL, message, error);
	return sd_bus_reply_method_return(message, "");
}

/*
 * Removes the breakpoint, and tells that the session has one less. An owner who did not ask for
 * that hears the last counts first: with them it knows that this one is gone, and there is nothing
 * left to ask.
 */
static int remove_breakpoint(const Caller *caller, Breakpoint *breakpoint, sd_bus_message *message)
{
	const Session *session = breakpoint->session;
	int r;

	if (caller != session->owner.mark) {
		r = breakpoint_silence(breakpoint);
		if (r >= 0)
			r = bus_listen_last_word(caller->bus, breakpoint);
		if (r < 0)
			log_error("cannot tell the last counts of breakpoint %" PRIu32
				  " of session %" PRIu32 ": %s",
				  breakpoint->number, session->number, strerror(-r));
	}
	session_remove_breakpoint(breakpoint);
	bus_session_breakpoints_changed(session);
	return sd_bus_reply_method_return(message, "");
}

static int on_remove_allowed(Caller *caller, sd_bus_message *message, void *userdata,
			     sd_bus_error *error)
{
	Breakpoint *breakpoint = parse_breakpoint(caller->bus, sd_bus_message_get_path(message));

	if (!breakpoint)
		return bus_gone(message, error);
	return remove_breakpoint(caller, breakpoint, message);
}

static int method_remove(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Breakpoint *breakpoint = userdata;
	const Session *session = breakpoint->session;
	Bus *bus = bus_of(breakpoint);
	Caller *caller;
	int r;

	r = polkit_check_manager(bus, &session->owner, session->target.pid, message,
				 on_remove_allowed, error);
	if (r != 0)
		return r;
	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	return remove_breakpoint(caller, breakpoint, message);
}

static int method_set_parameter(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Breakpoint *breakpoint = userdata;
	SessionOwner actor;
	Refusal refusal;
	const char *name;
	uint64_t value;
	int r;

	r = check_actor(breakpoint, message, &actor, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "st", &name, &value);
	if (r < 0)
		return r;
	r = breakpoint_set_parameter(breakpoint, name, value, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return sd_bus_reply_method_return(message, "");
}

static int append_events(sd_bus_message *reply, const EventSet *events, size_t first, size_t last)
{
	int r;

	r = sd_bus_message_open_container(reply, 'a', "u");
	if (r < 0)
		return r;
	for (size_t i = first; i < last; i++) {
		r = sd_bus_message_append(reply, "u", (uint32_t)events->events[i].tid);
		if (r < 0)
			return r;
	}
	r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(reply, 'a', "h");
	if (r < 0)
		return r;
	for (size_t i = first; i < last; i++) {
		r = sd_bus_message_append(reply, "h", events->events[i].event_fd);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(reply);
}

static int method_take_events(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	Breakpoint *breakpoint = userdata;
	const EventSet *events = &breakpoint->events;
	SessionOwner actor;
	Refusal refusal;
	size_t last;
	uint32_t first;
	int r;

	r = check_actor(breakpoint, message, &actor, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "u", &first);
	if (r < 0)
		return r;
	if (!breakpoint->spec->events)
		return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
					"The breakpoint's events stay here: add it with "
					"\"events\": true in the spec to take them.");
	if (first > events->n_events)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "The breakpoint has %zu events, numbered from 0.",
					 events->n_events);
	r = session_look(breakpoint->session, &actor, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	last = events->n_events - first > BUS_MAX_FDS ? first + BUS_MAX_FDS : events->n_events;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r < 0)
		return r;
	r = append_events(reply, events, first, last);
	if (r < 0)
		return bus_fail(r, NULL, message, error);
	for (size_t i = first; i < last; i++)
		events->events[i].taken = true;
	return sd_bus_send(NULL, reply, NULL);
}

/* Spec, Address and Enabled. */
static int property_setting(sd_bus *sdbus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	const Breakpoint *breakpoint = userdata;
	int r;

	r = bus_check_reader(bus_of(breakpoint), breakpoint->session, error);
	if (r < 0)
		return r;
	if (strcmp(property, "Spec") == 0)
		return sd_bus_message_append(reply, "s", breakpoint->spec->text);
	if (strcmp(property, "Address") == 0)
		return sd_bus_message_append(reply, "t", breakpoint->spec->address);
	return sd_bus_message_append(reply, "b", breakpoint->enabled);
}

static int property_threads(sd_bus *sdbus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	const Breakpoint *breakpoint = userdata;
	Session *session = breakpoint->session;
	int r;

	r = bus_check_reader(bus_of(breakpoint), session, error);
	if (r < 0)
		return r;
	r = task_reader_read(session->broker->reader, session->target.pid, &tasks);
	/* Too many come and go to be looked at. */
	if (r == -EBUSY)
		return sd_bus_message_append(reply, "u",
					     (uint32_t)event_set_count_unseen(
						     &breakpoint->events, session->target.pid));
	if (r < 0 && r != -ESRCH)
		return r;
	return sd_bus_message_append(
		reply, "u", (uint32_t)event_set_count_threads(&breakpoint->events, &tasks));
}

/* The counts, read once for all properties that one GetAll asks for, so that they belong together. */
static int read_counts(Bus *bus, const Breakpoint *breakpoint, BreakpointCounts *ret)
{
	int r;

	if (bus->counts.message_number != bus->message_number ||
	    bus->counts.breakpoint != breakpoint) {
		r = breakpoint_read_counts(breakpoint, &bus->counts.counts);
		if (r < 0)
			return r;
		bus->counts.message_number = bus->message_number;
		bus->counts.breakpoint = breakpoint;
	}
	*ret = bus->counts.counts;
	return 0;
}

static const struct {
	const char *name;
	size_t offset;
} all_counts[] = {
	{"Traps", offsetof(BreakpointCounts, traps)},
	{"Evaluated", offsetof(BreakpointCounts, evaluated)},
	{"Hits", offsetof(BreakpointCounts, hits)},
	{"Rejected", offsetof(BreakpointCounts, rejected)},
	{"Withheld", offsetof(BreakpointCounts, withheld)},
	{"Faults", offsetof(BreakpointCounts, faults)},
	{"Dropped", offsetof(BreakpointCounts, dropped)},
	{"Unsignalled", offsetof(BreakpointCounts, unsignalled)},
	{"Lost", offsetof(BreakpointCounts, lost)},
};

enum {
	N_COUNTS = sizeof(all_counts) / sizeof(all_counts[0]),
};

static uint64_t count_at(const BreakpointCounts *counts, size_t i)
{
	return *(const uint64_t *)((const char *)counts + all_counts[i].offset);
}

int bus_append_count(sd_bus_message *reply, const char *name, const BreakpointCounts *counts)
{
	for (size_t i = 0; i < N_COUNTS; i++)
		if (strcmp(name, all_counts[i].name) == 0)
			return sd_bus_message_append(reply, "t", count_at(counts, i));
	return -EINVAL;
}

static int property_count(sd_bus *sdbus, const char *path, const char *interface,
			  const char *property, sd_bus_message *reply, void *userdata,
			  sd_bus_error *error)
{
	const Breakpoint *breakpoint = userdata;
	BreakpointCounts counts;
	int r;

	r = bus_check_reader(bus_of(breakpoint), breakpoint->session, error);
	if (r < 0)
		return r;
	r = read_counts(bus_of(breakpoint), breakpoint, &counts);
	if (r < 0)
		return r;
	return bus_append_count(reply, property, &counts);
}

/* The counts once more, to the session's owner only: a PropertiesChanged with all of them. After the
 * end of the session there is nothing left to ask, and traps and lost are told by nothing else. */
int bus_breakpoint_last_word(Bus *bus, const Breakpoint *breakpoint, const char *destination)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
	char path[BUS_MAX_PATH];
	BreakpointCounts counts;
	int r;

	r = breakpoint_read_counts(breakpoint, &counts);
	if (r < 0)
		return r;
	bus_breakpoint_path(breakpoint, path);
	r = sd_bus_message_new_signal(bus->bus, &signal, path, "org.freedesktop.DBus.Properties",
				      "PropertiesChanged");
	if (r >= 0)
		r = sd_bus_message_append(signal, "s", BUS_BREAKPOINT);
	if (r >= 0)
		r = sd_bus_message_open_container(signal, 'a', "{sv}");
	for (size_t i = 0; i < N_COUNTS && r >= 0; i++)
		r = sd_bus_message_append(signal, "{sv}", all_counts[i].name, "t",
					  count_at(&counts, i));
	if (r >= 0)
		r = sd_bus_message_close_container(signal);
	if (r >= 0)
		r = sd_bus_message_append(signal, "as", 0);
	return r < 0 ? r : sd_bus_send_to(bus->bus, signal, destination, NULL);
}

/* Each method asks check_actor or polkit_check_manager, each property bus_check_reader. */
static const sd_bus_vtable breakpoint_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Enable", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_enable,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Disable", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_disable,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_remove,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("SetParameter", SD_BUS_ARGS("s", name, "t", value),
				SD_BUS_NO_RESULT, method_set_parameter, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("TakeEvents", SD_BUS_ARGS("u", first),
				SD_BUS_RESULT("au", threads, "ah", events), method_take_events,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Spec", "s", property_setting, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Address", "t", property_setting, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Enabled", "b", property_setting, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Threads", "u", property_threads, 0, 0),
	SD_BUS_PROPERTY("Traps", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Evaluated", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Hits", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Rejected", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Withheld", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Faults", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Dropped", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Unsignalled", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Lost", "t", property_count, 0, 0),
	SD_BUS_VTABLE_END,
};

int bus_breakpoint_add(Bus *bus)
{
	return sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_SESSION_PREFIX, BUS_BREAKPOINT,
					  breakpoint_vtable, find_breakpoint, bus);
}
