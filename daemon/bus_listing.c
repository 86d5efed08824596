/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a session says of itself to who has no part in it: no more than ListSessions does. Its vtable
 * refuses each other property by name; but GetAll would then fail as a whole, so it is answered here.
 */
#include <string.h>

#include "daemon/bus.h"
#include "daemon/util.h"

static bool is_get_all(sd_bus_message *message)
{
	const char *interface;
	bool wanted;

	if (!sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "GetAll") ||
	    !sd_bus_message_has_signature(message, "s"))
		return false;
	wanted = sd_bus_message_read(message, "s", &interface) > 0 &&
		 strcmp(interface, BUS_SESSION) == 0;
	/* As it came, for the vtable. */
	sd_bus_message_rewind(message, true);
	return wanted;
}

static int on_session_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_error_free) sd_bus_error refusal = SD_BUS_ERROR_NULL;
	const Session *session;
	Bus *bus = userdata;
	const char *rest;

	if (!is_get_all(message))
		return 0;
	session = bus_parse_session(bus, sd_bus_message_get_path(message), &rest);
	if (!session || *rest || bus_check_user(bus, &session->owner, NULL, &refusal) >= 0)
		return 0;
	return sd_bus_reply_method_return(message, "a{sv}", 2, "Target", "u",
					  (uint32_t)session->target.pid, "Uid", "u",
					  (uint32_t)session->owner.uid);
}

int bus_listing_add(Bus *bus)
{
	return sd_bus_add_fallback(bus->bus, NULL, BUS_SESSION_PREFIX, on_session_message, bus);
}
