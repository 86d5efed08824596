/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands before every call: whoever calls too often, or has the daemon work too long, is refused at
 * once, cheaply, before the call is looked at. All users' calls come by one queue, so the time that one
 * user's calls take is the time that another's wait.
 *
 * What is refused must cost less than the bus takes to bring it, or a flood would fill the queue and nobody
 * would be heard. So several messages are taken at each turn of the event loop, and while many wait a
 * call beyond the limits is dropped: who sends so many does not wait for answers.
 *
 * A call is counted before it is handled, the reading of properties and Ping included. How long it took
 * is known when the event loop comes round: then its user pays. What ends something of the user's own
 * is never refused, so that it can always be cleaned up; there can be no more of it than there was
 * opened.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "daemon/bus.h"
#include "daemon/descriptors.h"
#include "daemon/lent_filter.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* How long messages are taken for at one turn, in which nothing else is looked at. */
#define TURN_USEC 5000

/* Two or three calls: who calls one after the other keeps nobody waiting, whatever it takes. */
#define WAITING_BYTES 1024

/* As much as waits when nobody waits for answers: a hundred calls. */
#define FLOOD_BYTES 32768

static void pay(Bus *bus)
{
	if (!bus->paying)
		return;
	bus->paying = false;
	rate_charge(bus->broker->rates, bus->payer, work_usec() - bus->work_before);
}

/* The message has been handled. */
static void conclude(Bus *bus)
{
	pay(bus);
	descriptors_for_bus();
}

/* After every turn of the event loop. */
static int on_loop_came_round(sd_event_source *source, void *userdata)
{
	const unsigned long long until = now_usec() + TURN_USEC;
	Bus *bus = userdata;
	int r = 1;

	conclude(bus);
	while (r > 0 && !bus->broken && now_usec() < until) {
		r = sd_bus_process(bus->bus, NULL);
		conclude(bus);
	}
	if (r < 0)
		bus_break(bus, r);
	return 0;
}

/* How many bytes of messages wait to be read. */
static int count_waiting(const Bus *bus)
{
	int fd = sd_bus_get_fd(bus->bus), waiting;

	return fd >= 0 && ioctl(fd, FIONREAD, &waiting) == 0 ? waiting : 0;
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
	RateCall call;
	int waiting, r;

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
	descriptors_for_clients();
	waiting = count_waiting(bus);
	call = (RateCall){
		.now = now_usec(),
		.never_refused = ends_own(bus, message, caller->uid),
		.others_wait = waiting > WAITING_BYTES,
	};
	r = rate_admit(bus->broker->rates, caller->uid, &call, &refusal);
	if (r == 0)
		return 0;
	if (r > 0)
		bus_log_refusal(caller, 0, &refusal);
	if (r > 0 && waiting > FLOOD_BYTES)
		return 1;
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
