/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * org.bpcond1.Session on /org/bpcond1/session/N.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/bus_polkit.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* The number at the start of *at, which moves behind it. Decimal, without a leading zero. */
bool bus_parse_number(const char **at, uint32_t *ret)
{
	uint64_t number = 0;
	const char *digit = *at;

	if (*digit < '1' || *digit > '9')
		return false;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		number = number * 10 + (*digit - '0');
		if (number > UINT32_MAX)
			return false;
	}
	*at = digit;
	*ret = number;
	return true;
}

Session *bus_parse_session(Bus *bus, const char *path, const char **ret_rest)
{
	uint32_t number;

	if (strncmp(path, BUS_SESSION_PREFIX "/", strlen(BUS_SESSION_PREFIX "/")) != 0)
		return NULL;
	path += strlen(BUS_SESSION_PREFIX "/");
	if (!bus_parse_number(&path, &number))
		return NULL;
	*ret_rest = path;
	return broker_find_session(bus->broker, number);
}

static int find_session(sd_bus *sdbus, const char *path, const char *interface, void *userdata,
			void **ret_found, sd_bus_error *error)
{
	const char *rest;
	Session *session = bus_parse_session(userdata, path, &rest);

	if (!session || *rest)
		return 0;
	*ret_found = session;
	return 1;
}

/* The bus of the broker that a session belongs to: it is who the broker tells of ended sessions. */
static Bus *bus_of(const Session *session)
{
	return session->broker->hooks.userdata;
}

/* Adds the descriptors that a client of the breakpoint gets, as a{sh}. */
static int append_fds(sd_bus_message *reply, const Breakpoint *breakpoint)
{
	const Filter *filter = breakpoint->filter;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{sh}");
	if (r < 0)
		return r;
	r = sd_bus_message_append(reply, "{sh}", "counters", filter->counters_fd);
	if (r >= 0 && filter->parameters_fd >= 0)
		r = sd_bus_message_append(reply, "{sh}", "parameters", filter->parameters_fd);
	if (r < 0)
		return r;
	return sd_bus_message_close_container(reply);
}

/* Adds the ids of the threads that carry the breakpoint now, as au. */
static int append_threads(sd_bus_message *reply, const Breakpoint *breakpoint)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	const Session *session = breakpoint->session;
	const EventSet *set = &breakpoint->events;
	bool busy;
	int r;

	r = task_reader_read(session->broker->reader, session->target.pid, &tasks);
	if (r < 0 && r != -ESRCH && r != -EBUSY)
		return r;
	busy = r == -EBUSY;
	r = sd_bus_message_open_container(reply, 'a', "u");
	if (r < 0)
		return r;
	/* Too many come and go to be looked at: those that it was put on. */
	for (size_t i = 0; busy && i < set->n_events; i++) {
		r = sd_bus_message_append(reply, "u", (uint32_t)set->events[i].tid);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < tasks.n_tasks; i++) {
		if (!event_set_covers(&breakpoint->events, &tasks.tasks[i]))
			continue;
		r = sd_bus_message_append(reply, "u", tasks.tasks[i].tid);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(reply);
}

static int reply_breakpoint(sd_bus_message *message, const Breakpoint *breakpoint)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	char path[BUS_MAX_PATH];
	int r;

	bus_breakpoint_path(breakpoint, path);
	r = sd_bus_message_new_method_return(message, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_append(reply, "o", path);
	if (r < 0)
		return r;
	r = append_fds(reply, breakpoint);
	if (r < 0)
		return r;
	r = append_threads(reply, breakpoint);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

void bus_session_breakpoints_changed(const Session *session)
{
	char path[BUS_MAX_PATH];
	int r;

	bus_session_path(session, path);
	r = sd_bus_emit_properties_changed(bus_of(session)->bus, path, BUS_SESSION, "Breakpoints",
					   NULL);
	if (r < 0)
		log_error("cannot tell that the breakpoints of %s changed: %s", path, strerror(-r));
	bus_manager_changed(bus_of(session), "Breakpoints");
}

static int method_add_breakpoint(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Session *session = userdata;
	Breakpoint *breakpoint;
	SessionOwner actor;
	Refusal refusal;
	const char *spec;
	int r;

	r = bus_check_actor(bus_of(session), session, message, &actor, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "s", &spec);
	if (r < 0)
		return r;
	r = session_add_breakpoint(session, &actor, spec, strlen(spec), &breakpoint, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	r = reply_breakpoint(message, breakpoint);
	if (r < 0) {
		session_remove_breakpoint(breakpoint);
		return bus_fail(r, NULL, message, error);
	}
	bus_session_breakpoints_changed(session);
	return 1;
}

static int method_take_hits(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Session *session = userdata;
	SessionOwner actor;
	Refusal refusal;
	int r;

	r = bus_check_actor(bus_of(session), session, message, &actor, error);
	if (r < 0)
		return r;
	r = session_check_unclaimed(session, &refusal);
	if (r == 0)
		r = session_look(session, &actor, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	r = session_claim_ring(session);
	if (r < 0)
		return bus_fail(r, NULL, message, error);
	return sd_bus_reply_method_return(message, "h", session->ring_fd);
}

static int method_forward(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Session *session = userdata;
	SessionOwner actor;
	const char *format;
	Refusal refusal;
	int sink_fd, r;

	r = bus_check_actor(bus_of(session), session, message, &actor, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "hs", &sink_fd, &format);
	if (r < 0)
		return r;
	r = session_forward(session, &actor, sink_fd, format, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return sd_bus_reply_method_return(message, "");
}

static int close_session(const Caller *caller, Session *session, sd_bus_message *message)
{
	session_end(session,
		    caller->uid == session->owner.uid ? SESSION_CLOSED : SESSION_ADMINISTRATOR);
	return sd_bus_reply_method_return(message, "");
}

static int on_close_allowed(Caller *caller, sd_bus_message *message, void *userdata,
			    sd_bus_error *error)
{
	Session *session;
	const char *rest;

	session = bus_parse_session(caller->bus, sd_bus_message_get_path(message), &rest);
	if (!session || *rest)
		return bus_gone(message, error);
	return close_session(caller, session, message);
}

static int method_close(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Session *session = userdata;
	Bus *bus = bus_of(session);
	Caller *caller;
	int r;

	r = polkit_check_manager(bus, &session->owner, session->target.pid, message,
				 on_close_allowed, error);
	if (r != 0)
		return r;
	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	return close_session(caller, session, message);
}

static int property_target(sd_bus *sdbus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error)
{
	const Session *session = userdata;

	return sd_bus_message_append(reply, "u", (uint32_t)session->target.pid);
}

static int property_uid(sd_bus *sdbus, const char *path, const char *interface,
			const char *property, sd_bus_message *reply, void *userdata,
			sd_bus_error *error)
{
	const Session *session = userdata;

	return sd_bus_message_append(reply, "u", (uint32_t)session->owner.uid);
}

static int property_breakpoints(sd_bus *sdbus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	Session *session = userdata;
	int r;

	r = bus_check_reader(bus_of(session), session, error);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(reply, 'a', "o");
	if (r < 0)
		return r;
	for (const Breakpoint *at = session->breakpoints; at; at = at->next) {
		char breakpoint[BUS_MAX_PATH];

		bus_breakpoint_path(at, breakpoint);
		r = sd_bus_message_append(reply, "o", breakpoint);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(reply);
}

static int property_hits(sd_bus *sdbus, const char *path, const char *interface,
			 const char *property, sd_bus_message *reply, void *userdata,
			 sd_bus_error *error)
{
	Session *session = userdata;
	uint64_t hits, dropped;
	int r;

	r = bus_check_reader(bus_of(session), session, error);
	if (r < 0)
		return r;
	session_read_hits(session, &hits, &dropped);
	return sd_bus_message_append(reply, "t", strcmp(property, "Hits") == 0 ? hits : dropped);
}

/* Each method asks bus_check_actor or polkit_check_manager, each property that says more than a listing
 * bus_check_reader. */
static const sd_bus_vtable session_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("AddBreakpoint", SD_BUS_ARGS("s", spec),
				SD_BUS_RESULT("o", breakpoint, "a{sh}", fds, "au", threads),
				method_add_breakpoint, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("TakeHits", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", ring),
				method_take_hits, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Forward", SD_BUS_ARGS("h", sink, "s", format), SD_BUS_NO_RESULT,
				method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Close", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_close,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Target", "u", property_target, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Uid", "u", property_uid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Breakpoints", "ao", property_breakpoints, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
	SD_BUS_PROPERTY("Hits", "t", property_hits, 0, 0),
	SD_BUS_PROPERTY("Dropped", "t", property_hits, 0, 0),
	SD_BUS_SIGNAL_WITH_ARGS("Hit", SD_BUS_ARGS("t", breakpoint, "s", json), 0),
	SD_BUS_SIGNAL_WITH_ARGS("TargetExited", SD_BUS_NO_ARGS, 0),
	SD_BUS_VTABLE_END,
};

static int list_sessions(const Bus *bus, char ***ret_paths)
{
	size_t n = 0;

	for (const Session *session = bus->broker->sessions; session; session = session->next) {
		char path[BUS_MAX_PATH];

		bus_session_path(session, path);
		if (bus_paths_add(ret_paths, &n, path) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Of another user's session it is not told which breakpoints there are. */
static int list_breakpoints(Bus *bus, const Session *session, char ***ret_paths)
{
	sd_bus_error refusal = SD_BUS_ERROR_NULL;
	Caller *caller;
	size_t n = 0;
	int r;

	r = bus_check_user(bus, &session->owner, &caller, &refusal);
	sd_bus_error_free(&refusal);
	if (r < 0)
		return 0;
	for (const Breakpoint *at = session->breakpoints; at; at = at->next) {
		char path[BUS_MAX_PATH];

		bus_breakpoint_path(at, path);
		if (bus_paths_add(ret_paths, &n, path) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The children of /org/bpcond1/session, or of one of them, for introspection. */
static int enumerate(sd_bus *sdbus, const char *prefix, void *userdata, char ***ret,
		     sd_bus_error *error)
{
	Bus *bus = userdata;
	const Session *session;
	char **paths = NULL;
	const char *rest;
	int r;

	session = bus_parse_session(bus, prefix, &rest);
	if (session)
		r = *rest == '\0' ? list_breakpoints(bus, session, &paths) : 0;
	else
		r = list_sessions(bus, &paths);
	if (r < 0)
		return r;
	*ret = paths;
	return 0;
}

int bus_session_add(Bus *bus)
{
	int r;

	r = sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_SESSION_PREFIX, BUS_SESSION,
				       session_vtable, find_session, bus);
	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(bus->bus, NULL, BUS_SESSION_PREFIX, enumerate, bus);
}
