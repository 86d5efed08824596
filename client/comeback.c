/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon that leaves the bus may come back and take its sessions up again (systemd keeps them for it).
 * So each session and each lent filter is asked for on the bus then, which starts a daemon where it can,
 * and keeps the question for it: those that nobody knows any more are over, and the others go on. On a
 * bus that cannot start one the answer comes at once.
 */
#include <errno.h>

#include "client/internal.h"

static void ask_for_session(bpcond_session *session);
static void ask_for_filter(bpcond_filter *filter);

typedef enum Found {
	FOUND,
	FOUND_LATER, /* the daemon that was asked is gone too */
	FOUND_GONE,
} Found;

static Found read_answer(sd_bus_message *m)
{
	if (!sd_bus_message_is_method_error(m, NULL))
		return FOUND;
	if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY))
		return FOUND_LATER;
	/* It has not looked; and what it did not take up it has told. */
	if (sd_bus_message_is_method_error(m, "org.bpcond1.Error.QuotaExceeded"))
		return FOUND;
	return FOUND_GONE;
}

static int on_found_session(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_session *session = userdata;
	Found found = read_answer(m);

	session->question = sd_bus_slot_unref(session->question);
	if (found == FOUND_GONE)
		session_ended(session, BPCOND_DAEMON_LOST);
	else if (found == FOUND_LATER)
		ask_for_session(session);
	return 0;
}

static int on_found_filter(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_filter *filter = userdata;
	Found found = read_answer(m);

	filter->question = sd_bus_slot_unref(filter->question);
	if (found == FOUND_GONE)
		filter_lost(filter);
	else if (found == FOUND_LATER)
		ask_for_filter(filter);
	return 0;
}

/* Asks for a property of an object, which only a daemon that knows it can answer. Return: 0;
 * negative errno. */
static int ask_for(bpcond_client *client, sd_bus_slot **slot, const char *path,
		   const char *interface, const char *property, sd_bus_message_handler_t on_answer,
		   void *userdata)
{
	sd_bus_message *call = NULL;
	int r;

	r = sd_bus_message_new_method_call(client->bus, &call, BPCOND_SERVICE, path,
					   "org.freedesktop.DBus.Properties", "Get");
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", interface, property);
	if (r >= 0)
		r = sd_bus_call_async(client->bus, slot, call, on_answer, userdata,
				      CALL_TIMEOUT_SECONDS * UINT64_C(1000000));
	sd_bus_message_unref(call);
	return r;
}

static void ask_for_session(bpcond_session *session)
{
	if (session->end != BPCOND_RUNNING || session->question != NULL)
		return;
	if (ask_for(session->client, &session->question, session->path, BPCOND_SESSION_INTERFACE,
		    "Uid", on_found_session, session) < 0)
		session_ended(session, BPCOND_DAEMON_LOST);
}

static void ask_for_filter(bpcond_filter *filter)
{
	if (filter->path == NULL || filter->returned || filter->lost || filter->question != NULL)
		return;
	if (ask_for(filter->client, &filter->question, filter->path, BPCOND_FILTER_INTERFACE,
		    "Hits", on_found_filter, filter) < 0)
		filter_lost(filter);
}

void client_ask_for_all(bpcond_client *client)
{
	for (bpcond_session *s = client->sessions; s != NULL; s = s->next)
		ask_for_session(s);
	for (bpcond_filter *f = client->filters; f != NULL; f = f->next)
		ask_for_filter(f);
}
