/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a call of an object is told that is not there, or not any more: a session ends by its target, its
 * connection, an administrator, between two calls of its client. That a session was there and why it
 * ended is no secret: SessionClosed said so to everybody. How many breakpoints another user's session had
 * is: whether one has ever been there is never said.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/lent_filter.h"

/* What is behind `prefix` and a slash; NULL where nothing is. */
static const char *below(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(path, prefix, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

void bus_note_end(Bus *bus, uint32_t session, SessionEnd end)
{
	bus->ended[bus->n_ended++ % BUS_REMEMBERED_ENDS] =
		(struct EndedSession){.number = session, .end = end};
}

/* Why it ended; NULL where that is not known any more. */
static const char *find_end(const Bus *bus, uint32_t session)
{
	for (size_t i = 0; i < BUS_REMEMBERED_ENDS; i++)
		if (bus->ended[i].number == session)
			return session_end_name(bus->ended[i].end);
	return NULL;
}

static int fail_unknown(const char *path, sd_bus_error *error)
{
	return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT,
				 "There is no object %s: ListSessions of " BUS_MANAGER
				 " tells which sessions there are.",
				 path);
}

static int fail_ended(const Bus *bus, uint32_t session, const char *path, sd_bus_error *error)
{
	const char *end = find_end(bus, session);

	if (end)
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT,
					 "Session %" PRIu32 " has ended (%s): open another.",
					 session, end);
	if (session <= bus->broker->last_session)
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT,
					 "Session %" PRIu32 " has ended: open another.", session);
	return fail_unknown(path, error);
}

static int on_session_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *path = sd_bus_message_get_path(message);
	const char *rest = below(path, BUS_SESSION_PREFIX), *at;
	uint32_t number, breakpoint;
	const Session *session;
	Bus *bus = userdata;

	if (!rest)
		return 0;
	if (!bus_parse_number(&rest, &number) || (*rest && *rest != '/'))
		return fail_unknown(path, error);
	session = broker_find_session(bus->broker, number);
	if (!session)
		return fail_ended(bus, number, path, error);
	/* The session itself, and the place of its breakpoints. */
	if (!*rest || strcmp(rest, "/breakpoint") == 0)
		return 0;
	at = below(rest, "/breakpoint");
	if (!at || !bus_parse_number(&at, &breakpoint) || *at)
		return fail_unknown(path, error);
	if (session_find_breakpoint(session, breakpoint))
		return 0;
	return sd_bus_error_setf(
		error, SD_BUS_ERROR_UNKNOWN_OBJECT,
		"Session %" PRIu32 " has no breakpoint %" PRIu32
		" (any more): its property Breakpoints has those that there are; add another.",
		number, breakpoint);
}

static int on_filter_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *path = sd_bus_message_get_path(message);
	const char *rest = below(path, BUS_FILTER_PREFIX);
	uint32_t number;
	Bus *bus = userdata;

	if (!rest || bus_parse_filter(bus, path))
		return 0;
	if (bus_parse_number(&rest, &number) && !*rest && number <= bus->broker->last_lent_filter)
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT,
					 "Lent filter %" PRIu32
					 " has been returned or called back: borrow another "
					 "(LendFilter).",
					 number);
	return sd_bus_error_setf(
		error, SD_BUS_ERROR_UNKNOWN_OBJECT,
		"There is no object %s: LendFilter of " BUS_MANAGER " lends filters.", path);
}

int bus_absent_add(Bus *bus)
{
	int r;

	r = sd_bus_add_fallback(bus->bus, NULL, BUS_SESSION_PREFIX, on_session_message, bus);
	if (r < 0)
		return r;
	return sd_bus_add_fallback(bus->bus, NULL, BUS_FILTER_PREFIX, on_filter_message, bus);
}
