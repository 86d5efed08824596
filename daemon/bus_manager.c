/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * org.bpcond1.Manager: checking specs, and what the service says of itself. Sessions are opened in
 * bus_open.c, filters lent in bus_lend.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/check_spec.h"
#include "daemon/log.h"
#include "daemon/util.h"

static int method_check_spec(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_free_ char *report = NULL;
	Bus *bus = userdata;
	const char *spec;
	int r;

	r = sd_bus_message_read(message, "s", &spec);
	if (r < 0)
		return r;
	r = check_spec(bus->broker->engine, spec, strlen(spec), &report);
	if (r < 0)
		return bus_fail(r, NULL, message, error);
	return sd_bus_reply_method_return(message, "s", report);
}

static int method_list_sessions(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	Bus *bus = userdata;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(reply, 'a', "(ouuus)");
	if (r < 0)
		return r;
	for (const Session *session = bus->broker->sessions; session; session = session->next) {
		char path[BUS_MAX_PATH];

		bus_session_path(session, path);
		r = sd_bus_message_append(reply, "(ouuus)", path, session->owner.uid,
					  (uint32_t)session->owner_pid, session->target.pid,
					  session->client);
		if (r < 0)
			return r;
	}
	r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(bus->bus, reply, NULL);
}

static int property_version(sd_bus *sdbus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", BPCOND_VERSION);
}

static int property_features(sd_bus *sdbus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	Bus *bus = userdata;
	const Features *features = broker_features(bus->broker);
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r < 0)
		return r;
	r = sd_bus_message_append(reply, "{sv}{sv}", "hardware-slots", "u",
				  features->hardware_slots, "perf-event-paranoid", "i",
				  features->perf_event_paranoid);
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_FEATURE_NAMES; i++) {
		r = sd_bus_message_append(reply, "{sv}", feature_names[i].name, "b",
					  feature_get(features, &feature_names[i]));
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(reply);
}

static int property_limits(sd_bus *sdbus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error)
{
	Bus *bus = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{st}");
	if (r < 0)
		return r;
	for (QuotaResource i = 0; i < QUOTA_RESOURCES; i++) {
		r = sd_bus_message_append(reply, "{st}", quota_name(i),
					  quota_limit(bus->broker->quota, i));
		if (r < 0)
			return r;
	}
	for (RateResource i = 0; i < RATE_RESOURCES; i++) {
		r = sd_bus_message_append(reply, "{st}", rate_name(i),
					  rate_limit(bus->broker->rates, i));
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(reply);
}

static int property_sessions(sd_bus *sdbus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	Bus *bus = userdata;

	return sd_bus_message_append(reply, "u", (uint32_t)broker_count_sessions(bus->broker));
}

static int property_breakpoints(sd_bus *sdbus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	Bus *bus = userdata;

	return sd_bus_message_append(reply, "u", (uint32_t)broker_count_breakpoints(bus->broker));
}

/* Open to everybody: whom OpenSession serves is asked of each call, in session_open. */
static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("OpenSession", SD_BUS_ARGS("h", target, "a{sv}", options),
				SD_BUS_RESULT("o", session), bus_method_open_session,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("OpenSessionByPid", SD_BUS_ARGS("u", pid, "a{sv}", options),
				SD_BUS_RESULT("o", session), bus_method_open_session_by_pid,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("LendFilter", SD_BUS_ARGS("s", condition, "a{sv}", options),
				SD_BUS_RESULT("o", filter, "a{sh}", fds), bus_method_lend_filter,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("CheckSpec", SD_BUS_ARGS("s", spec), SD_BUS_RESULT("s", report),
				method_check_spec, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ListSessions", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ouuus)", sessions),
				method_list_sessions, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", property_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Features", "a{sv}", property_features, 0, 0),
	SD_BUS_PROPERTY("Limits", "a{st}", property_limits, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Sessions", "u", property_sessions, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
	SD_BUS_PROPERTY("Breakpoints", "u", property_breakpoints, 0,
			SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
	SD_BUS_SIGNAL_WITH_ARGS("SessionOpened", SD_BUS_ARGS("o", session), 0),
	SD_BUS_SIGNAL_WITH_ARGS("SessionClosed", SD_BUS_ARGS("o", session, "s", reason), 0),
	SD_BUS_SIGNAL_WITH_ARGS("FilterReturned", SD_BUS_ARGS("o", filter, "s", reason), 0),
	SD_BUS_VTABLE_END,
};

/* A client that caches properties asks again; which number it finds depends on what others do anyway. */
void bus_manager_changed(Bus *bus, const char *property)
{
	int r;

	r = sd_bus_emit_properties_changed(bus->bus, BUS_PATH, BUS_MANAGER, property, NULL);
	if (r < 0)
		log_error("cannot tell that %s has changed: %s", property, strerror(-r));
}

int bus_manager_add(Bus *bus)
{
	return sd_bus_add_object_vtable(bus->bus, NULL, BUS_PATH, BUS_MANAGER, manager_vtable, bus);
}
