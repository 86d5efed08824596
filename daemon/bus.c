/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/bus_listen.h"
#include "daemon/bus_polkit.h"
#include "daemon/descriptors.h"
#include "daemon/lent_filter.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* Who calls without end, by our unique name, is not waited for when we leave. */
#define LEAVE_USEC 2000000

void bus_session_path(const Session *session, char ret[static BUS_MAX_PATH])
{
	snprintf(ret, BUS_MAX_PATH, BUS_SESSION_PREFIX "/%" PRIu32, session->number);
}

void bus_breakpoint_path(const Breakpoint *breakpoint, char ret[static BUS_MAX_PATH])
{
	snprintf(ret, BUS_MAX_PATH, BUS_SESSION_PREFIX "/%" PRIu32 "/breakpoint/%" PRIu32,
		 breakpoint->session->number, breakpoint->number);
}

int bus_paths_add(char ***paths, size_t *n_paths, const char *path)
{
	char **grown = reallocarray(*paths, *n_paths + 2, sizeof(*grown));

	if (grown) {
		*paths = grown;
		grown[*n_paths] = strdup(path);
		grown[*n_paths + 1] = NULL;
		if (grown[(*n_paths)++])
			return 0;
	}
	for (size_t i = 0; i < *n_paths; i++)
		free((*paths)[i]);
	free(*paths);
	*paths = NULL;
	*n_paths = 0;
	return -ENOMEM;
}

/* All users together have taken what there is. Logged once: whoever is refused may try again at once. */
static int fail_full(sd_bus_error *error)
{
	static bool logged;

	if (!logged)
		log_warning("bpcondd has as many descriptors as it may (%" PRIu64
			    "), and refuses what needs more: raise LimitNOFILE= of its unit, or "
			    "lower the limits of users; see bpcondd(8)",
			    descriptors_limit());
	logged = true;
	return sd_bus_error_setf(error, refusal_error_name(REFUSED_QUOTA_EXCEEDED),
				 "bpcondd has as many descriptors as it may for all users together "
				 "(%" PRIu64 "): close sessions and breakpoints, or have an "
				 "administrator raise LimitNOFILE= of bpcondd.service.",
				 descriptors_limit());
}

int bus_fail(int r, const Refusal *refusal, sd_bus_message *message, sd_bus_error *error)
{
	if (r > 0)
		return sd_bus_error_set(error, refusal_error_name(r), refusal->text);
	if (r == -EBUSY)
		return sd_bus_error_set(
			error, refusal_error_name(REFUSED_NOT_SUPPORTED),
			"The target starts and ends threads faster than they can be "
			"followed, or has been starting one for too long: stop it (SIGSTOP), "
			"call again, and continue it.");
	if (r == -EMFILE)
		return fail_full(error);
	log_message(LOG_ERR, &(LogContext){.message_id = LOG_ID_INSIDE, .uid = (uid_t)-1},
		    "%s from %s failed: %s", sd_bus_message_get_member(message),
		    sd_bus_message_get_sender(message), strerror(-r));
	if (r == -ENOMEM)
		return sd_bus_error_set_errno(error, r);
	return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
				 "bpcondd failed inside (%s); its log has more.", strerror(-r));
}

int bus_gone(sd_bus_message *message, sd_bus_error *error)
{
	return sd_bus_error_setf(
		error, SD_BUS_ERROR_UNKNOWN_OBJECT,
		"%s went while an administrator was asked: there is nothing left to "
		"do.",
		sd_bus_message_get_path(message));
}

void bus_log_refusal(const Caller *caller, pid_t target, const Refusal *refusal)
{
	/* Users come and go: of those refused last, who is refused again is no news. */
	static uid_t logged[64];
	static unsigned n_logged;
	const size_t room = sizeof(logged) / sizeof(logged[0]);
	const LogContext context = {
		.message_id = LOG_ID_REFUSED, .uid = caller->uid, .pid = target};

	for (unsigned i = 0; i < n_logged && i < room; i++)
		if (logged[i] == caller->uid)
			return;
	logged[n_logged % room] = caller->uid;
	n_logged++;
	log_message(LOG_NOTICE, &context, "refused user %u (its next refusals are not logged): %s",
		    caller->uid, refusal->text);
}

SessionOwner bus_owner(const Caller *caller)
{
	return (SessionOwner){.mark = caller,
			      .uid = caller->uid,
			      .process = &caller->process,
			      .name = caller->name,
			      .bus_id = caller->bus->bus_id};
}

static int refuse_other(const Caller *caller, const SessionOwner *owner, sd_bus_message *message,
			sd_bus_error *error)
{
	return sd_bus_error_setf(error, refusal_error_name(REFUSED_NOT_AUTHORIZED),
				 "%s belongs to %s: open one of your own.",
				 sd_bus_message_get_path(message),
				 caller->uid == owner->uid ? "another connection" : "another user");
}

int bus_check_actor(Bus *bus, Session *session, sd_bus_message *message, SessionOwner *ret,
		    sd_bus_error *error)
{
	Caller *caller;
	int r;

	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	if (session->owner.mark != caller &&
	    !(session->linger && caller->uid == session->owner.uid))
		return refuse_other(caller, &session->owner, message, error);
	bus_listen(caller, session);
	*ret = bus_owner(caller);
	return 0;
}

int bus_check_user(Bus *bus, const SessionOwner *owner, Caller **ret_caller, sd_bus_error *error)
{
	sd_bus_message *message = sd_bus_get_current_message(bus->bus);
	Caller *caller = NULL;
	int r;

	if (message) {
		r = bus_caller(bus, message, &caller, error);
		if (r < 0)
			return r;
		if (caller->uid != owner->uid && caller->uid != 0)
			return refuse_other(caller, owner, message, error);
	}
	if (ret_caller)
		*ret_caller = caller;
	return 0;
}

int bus_check_reader(Bus *bus, Session *session, sd_bus_error *error)
{
	Caller *caller;
	int r;

	r = bus_check_user(bus, &session->owner, &caller, error);
	if (r == 0 && caller)
		bus_listen(caller, session);
	return r;
}

static void on_session_end(Session *session, SessionEnd end, void *userdata)
{
	Bus *bus = userdata;
	char path[BUS_MAX_PATH];
	int r = 0;

	bus_note_end(bus, session->number, end);
	bus_session_path(session, path);
	if (end != SESSION_CLIENT_GONE) {
		for (const Breakpoint *at = session->breakpoints; at && r >= 0; at = at->next)
			r = bus_listen_last_word(bus, at);
	}
	bus_listen_forget_session(bus, session);
	if (r < 0)
		log_error("cannot tell the last counts of %s: %s", path, strerror(-r));
	r = 0;
	if (end == SESSION_TARGET_EXITED || end == SESSION_TARGET_EXEC)
		r = sd_bus_emit_signal(bus->bus, path, BUS_SESSION, "TargetExited", "");
	if (r >= 0)
		r = sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_MANAGER, "SessionClosed", "os", path,
				       session_end_name(end));
	if (r < 0)
		log_error("cannot tell that %s ended: %s", path, strerror(-r));
	bus_manager_changed(bus, "Sessions");
	if (session->breakpoints)
		bus_manager_changed(bus, "Breakpoints");
	log_message(LOG_INFO,
		    &(LogContext){.message_id = LOG_ID_SESSION_ENDED,
				  .session = session->number,
				  .uid = session->owner.uid,
				  .pid = session->target.pid},
		    "session %" PRIu32 " of user %u on process %d ended: %s", session->number,
		    session->owner.uid, session->target.pid, session_end_name(end));
}

void bus_breakpoint_changed(Bus *bus, const Breakpoint *breakpoint)
{
	char path[BUS_MAX_PATH];
	int r;

	bus_breakpoint_path(breakpoint, path);
	r = sd_bus_emit_properties_changed(bus->bus, path, BUS_BREAKPOINT, "Enabled", NULL);
	if (r < 0)
		log_error("cannot tell that %s has changed: %s", path, strerror(-r));
}

static void on_breakpoint_disabled(Breakpoint *breakpoint, void *userdata)
{
	bus_breakpoint_changed(userdata, breakpoint);
}

static void on_filter_returned(LentFilter *lent, SessionEnd end, void *userdata)
{
	int r = bus_lend_returned(userdata, lent->number, end);

	if (r < 0)
		log_error("cannot tell that lent filter %" PRIu32 " was called back: %s",
			  lent->number, strerror(-r));
}

static void on_not_restored(bool lent_filter, uint32_t number, void *userdata)
{
	const Session gone = {.number = number};
	Bus *bus = userdata;
	char path[BUS_MAX_PATH];
	int r;

	if (lent_filter) {
		r = bus_lend_returned(bus, number, SESSION_NOT_RESTORED);
	} else {
		bus_note_end(bus, number, SESSION_NOT_RESTORED);
		bus_session_path(&gone, path);
		r = sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_MANAGER, "SessionClosed", "os", path,
				       session_end_name(SESSION_NOT_RESTORED));
	}
	if (r < 0)
		log_error("cannot tell what was not taken up: %s", strerror(-r));
}

BrokerHooks bus_hooks(Bus *bus)
{
	return (BrokerHooks){
		.userdata = bus,
		.on_session_resumed = bus_listen_resume,
		.on_session_end = on_session_end,
		.on_breakpoint_disabled = on_breakpoint_disabled,
		.on_hit = bus_listen_on_hit,
		.on_filter_returned = on_filter_returned,
		.on_not_restored = on_not_restored,
		.find_owner = bus_find_owner,
	};
}

static int connect_bus(const char *address, bool descriptors, sd_bus **ret)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	r = sd_bus_set_address(bus, address);
	if (r < 0)
		return r;
	r = sd_bus_set_bus_client(bus, 1);
	if (r < 0)
		return r;
	r = sd_bus_negotiate_fds(bus, descriptors);
	if (r < 0)
		return r;
	r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret = bus;
	bus = NULL;
	return 0;
}

/* For Bus.asker, to where `bus` is connected. */
static int connect_asker(Bus *bus)
{
	bool descriptors = false;
	const char *address;
	int r;

	r = bus_tells_by_descriptor(bus->bus, &descriptors);
	if (r >= 0)
		r = sd_bus_get_address(bus->bus, &address);
	return r < 0 ? r : connect_bus(address, descriptors, &bus->asker);
}

static int read_bus_id(Bus *bus)
{
	sd_id128_t id;
	int r;

	r = sd_bus_get_bus_id(bus->bus, &id);
	if (r < 0)
		return r;
	sd_id128_to_string(id, bus->bus_id);
	return 0;
}

int bus_new(const char *address, Bus **ret)
{
	Bus *bus;
	int r;

	bus = calloc(1, sizeof(*bus));
	if (!bus)
		return -ENOMEM;
	r = address ? connect_bus(address, true, &bus->bus) : sd_bus_open_system(&bus->bus);
	if (r >= 0)
		r = connect_asker(bus);
	if (r >= 0)
		r = read_bus_id(bus);
	if (r < 0) {
		bus_free(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

int bus_serve(Bus *bus, Broker *broker, sd_event *event)
{
	int r;

	bus->broker = broker;
	r = bus_listen_start(bus);
	if (r < 0)
		return r;
	r = bus_manager_add(bus);
	if (r < 0)
		return r;
	r = bus_session_add(bus);
	if (r < 0)
		return r;
	r = bus_breakpoint_add(bus);
	if (r < 0)
		return r;
	r = bus_lend_add(bus);
	if (r < 0)
		return r;
	r = bus_absent_add(bus);
	if (r < 0)
		return r;
	r = bus_listing_add(bus);
	if (r < 0)
		return r;
	r = bus_admission_add(bus, event);
	if (r < 0)
		return r;
	r = sd_bus_add_match(bus->bus, NULL,
			     "type='signal',sender='org.freedesktop.DBus',"
			     "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
			     bus_on_name_lost, bus);
	if (r < 0)
		return r;
	r = sd_bus_set_exit_on_disconnect(bus->bus, 1);
	if (r < 0)
		return r;
	/* The loop's end comes before the sessions' end, which is told on the bus. */
	r = sd_bus_set_close_on_exit(bus->bus, 0);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(bus->bus, event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0)
		return r;
	/* Nobody has anything to send it, and what somebody sends all the same goes at once. */
	r = sd_bus_set_exit_on_disconnect(bus->asker, 1);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(bus->asker, event, SD_EVENT_PRIORITY_NORMAL);
	return r < 0 ? r : 0;
}

int bus_take_name(Bus *bus)
{
	int r = sd_bus_request_name(bus->bus, BUS_NAME, 0);

	return r < 0 ? r : 0;
}

int bus_leave_name(Bus *bus)
{
	const unsigned long long until = now_usec() + LEAVE_USEC;
	int r;

	r = sd_bus_release_name(bus->bus, BUS_NAME);
	if (r < 0)
		return r;
	do
		r = sd_bus_process(bus->bus, NULL);
	while (r > 0 && now_usec() < until);
	if (r >= 0)
		r = sd_bus_flush(bus->bus);
	return r < 0 ? r : 0;
}

void bus_break(Bus *bus, int error)
{
	int r;

	if (bus->broken)
		return;
	bus->broken = true;
	log_error("cannot read the bus any more: %s", strerror(-error));
	r = sd_event_exit(bus->broker->event, error);
	if (r < 0)
		log_error("cannot end the event loop: %s", strerror(-r));
}

void bus_stop(Bus *bus)
{
	polkit_withdraw(bus, NULL);
	bus_listen_stop(bus);
}

Bus *bus_free(Bus *bus)
{
	if (!bus)
		return NULL;
	bus_admission_stop(bus);
	bus_callers_free(bus);
	sd_bus_flush_close_unref(bus->bus);
	sd_bus_flush_close_unref(bus->asker);
	free(bus);
	return NULL;
}
