/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands before every call: whoever calls too often, or has the daemon work too long, is refused at
 * once, cheaply, before the call is looked at. All users' calls come by one queue, so the time that one
 * user's calls take is the time that another's wait.
 *
 * A call is counted before it is handled, the reading of properties and Ping included. How long it took
 * is known when the event loop comes round: then its user pays. What ends something of the user's own
 * is never refused, so that it can always be cleaned up; there can be no more of it than there was
 * opened.
 */
#include <errno.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/lent_filter.h"
#include "daemon/log.h"
#include "daemon/util.h"

static void pay(Bus *bus)
{
	if (!bus->paying)
		return;
	bus->paying = false;
	rate_charge(bus->broker->rates, bus->payer, work_usec() - bus->work_before);
}

static int on_loop_came_round(sd_event_source *source, void *userdata)
{
	pay(userdata);
	return 0;
}

/* Whether the call ends something that is its sender's user's, and that is there. */
static bool ends_own(Bus *bus, sd_bus_message *message, uid_t uid)
{
	static const char *const members[] = {"Close", "Remove", "Return"};
	const char *member = sd_bus_message_get_member(message), *rest;
	const char *path = sd_bus_message_get_path(message);
	const LentFilter *lent;
	const Session *session;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (strcmp(member, members[i]) != 0)
			continue;
		session = bus_parse_session(bus, path, &rest);
		if (session)
			return session->owner.uid == uid;
		lent = bus_parse_filter(bus, path);
		return lent && lent->owner.uid == uid;
	}
	return false;
}

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Bus *bus = userdata;
	uint64_t before;
	Caller *caller;
	Refusal refusal;
	int r;

	bus->message_number++;
	if (!sd_bus_message_is_method_call(message, NULL, NULL))
		return 0;
	before = work_usec();
	r = bus_sender(bus, message, &caller, error);
	if (r < 0)
		return r;
	pay(bus);
	bus->paying = true;
	bus->payer = caller->uid;
	bus->work_before = before;
	r = rate_admit(bus->broker->rates, caller->uid, now_usec(),
		       ends_own(bus, message, caller->uid), &refusal);
	if (r == 0)
		return 0;
	if (r > 0)
		bus_log_refusal(caller, 0, &refusal);
	return bus_fail(r, &refusal, message, error);
}

int bus_admission_add(Bus *bus, sd_event *event)
{
	int r;

	r = sd_event_add_post(event, &bus->admission_source, on_loop_came_round, bus);
	if (r < 0)
		return r;
	return sd_bus_add_filter(bus->bus, NULL, on_message, bus);
}

void bus_admission_stop(Bus *bus)
{
	bus->admission_source = sd_event_source_disable_unref(bus->admission_source);
}
