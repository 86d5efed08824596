/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OpenSession and OpenSessionByPid of org.bpcond1.Manager. What the rules refuse an administrator may
 * allow: then the call waits for polkit, and goes on from there with the same caller and the same
 * program, or not at all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/access.h"
#include "daemon/bus.h"
#include "daemon/bus_listen.h"
#include "daemon/bus_polkit.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* More than there are, so that one given twice is always noticed. */
#define MAX_OPTIONS 8

/* A call, from its options on. */
typedef struct Pending {
	Process target;
	SessionOptions options; /* its text is borrowed from the message, which lives as long */
} Pending;

static int read_option(sd_bus_message *message, const char *name, Pending *pending,
		       sd_bus_error *error)
{
	int linger, r;

	if (strcmp(name, "hits-bytes") == 0) {
		r = sd_bus_message_read(message, "v", "t", &pending->options.ring_bytes);
	} else if (strcmp(name, "client") == 0) {
		r = sd_bus_message_read(message, "v", "s", &pending->options.client);
	} else if (strcmp(name, "linger") == 0) {
		r = sd_bus_message_read(message, "v", "b", &linger);
		pending->options.linger = r >= 0 && linger;
	} else {
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "There is no option \"%s\": there are \"hits-bytes\" (t), "
					 "\"client\" (s) and, "
					 "of OpenSessionByPid, \"linger\" (b).",
					 name);
	}
	if (r == -ENXIO)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "Option \"%s\" has the wrong type: \"hits-bytes\" is a t, "
					 "\"client\" an s, \"linger\" a b.",
					 name);
	return r;
}

/* Return: 0; negative, and *error, when one of the names before is the last one. */
static int check_given_once(const char *const names[], size_t n_names, sd_bus_error *error)
{
	for (size_t i = 0; i + 1 < n_names; i++)
		if (strcmp(names[i], names[n_names - 1]) == 0)
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "Option \"%s\" is given twice: leave one out.",
						 names[i]);
	return 0;
}

static int read_options(sd_bus_message *message, Pending *pending, sd_bus_error *error)
{
	const char *names[MAX_OPTIONS];
	size_t n_names = 0;
	int r;

	pending->options.ring_bytes = SESSION_DEFAULT_RING_BYTES;
	r = sd_bus_message_enter_container(message, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		const char *name;

		r = sd_bus_message_read(message, "s", &name);
		if (r < 0)
			return r;
		/* Full only of known names, each once: what comes then is neither. */
		if (n_names < MAX_OPTIONS) {
			names[n_names++] = name;
			r = check_given_once(names, n_names, error);
			if (r < 0)
				return r;
		}
		r = read_option(message, name, pending, error);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (pending->options.linger &&
	    strcmp(sd_bus_message_get_member(message), "OpenSessionByPid"))
		return sd_bus_error_set(
			error, SD_BUS_ERROR_INVALID_ARGS,
			"Only a session of OpenSessionByPid can linger: call that, or "
			"leave \"linger\" out.");
	if (pending->options.client && strlen(pending->options.client) > SESSION_MAX_CLIENT_NAME)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "The client name is longer than %d bytes: shorten it.",
					 SESSION_MAX_CLIENT_NAME);
	return sd_bus_message_exit_container(message);
}

static Pending *pending_free(Pending *pending)
{
	if (!pending)
		return NULL;
	process_clear(&pending->target);
	free(pending);
	return NULL;
}

static void pending_free_userdata(void *userdata)
{
	pending_free(userdata);
}

/* Return: as session_open. */
static int try_open(Caller *caller, Pending *pending, bool approved, Session **ret,
		    Refusal *refusal)
{
	const SessionOwner owner = bus_owner(caller);

	return session_open(caller->bus->broker, &owner, &pending->target, approved,
			    &pending->options, ret, refusal);
}

static int reply_session(Caller *caller, Session *session, sd_bus_message *message)
{
	Bus *bus = session->broker->hooks.userdata;
	char path[BUS_MAX_PATH];
	int r;

	/* Its owner hears the hits, as who calls it later. */
	bus_listen(caller, session);
	bus_session_path(session, path);
	log_message(LOG_INFO,
		    &(LogContext){.message_id = LOG_ID_SESSION_OPENED,
				  .session = session->number,
				  .uid = session->owner.uid,
				  .pid = session->target.pid},
		    "session %" PRIu32 " of user %u on process %d opened", session->number,
		    session->owner.uid, session->target.pid);
	r = sd_bus_reply_method_return(message, "o", path);
	if (r < 0) {
		session_end(session, SESSION_CLOSED);
		return r;
	}
	bus_manager_changed(bus, "Sessions");
	return sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_MANAGER, "SessionOpened", "o", path);
}

/* An administrator has said yes: about this caller and that program, which session_open makes sure
 * of again. */
static int on_open_allowed(Caller *caller, sd_bus_message *message, void *userdata,
			   sd_bus_error *error)
{
	Session *session;
	Refusal refusal;
	int r;

	r = try_open(caller, userdata, true, &session, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return reply_session(caller, session, message);
}

/*
 * The rules have refused: whether polkit may be asked, and that it is. It may not where its yes
 * would change nothing.
 */
static int ask_to_open(Caller *caller, Pending *pending, const Refusal *rule,
		       sd_bus_message *message, sd_bus_error *error)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	TaskReader *reader = caller->bus->broker->reader;
	PolkitRequest request;
	Refusal refusal;
	int r = 0;

	/* Whoever is asked answers for the program that runs now. */
	pending->target.exec_strictly = true;
	if (!pending->target.exec_id)
		r = process_pin_exec(&pending->target, reader, &refusal);
	if (r == 0)
		r = access_check(reader, caller->uid, &caller->process, &pending->target,
				 ACCESS_APPROVED, &tasks, &refusal);
	if (r != 0) {
		if (r == REFUSED_NOT_AUTHORIZED)
			bus_log_refusal(caller, pending->target.pid, &refusal);
		pending_free(pending);
		return bus_fail(r, &refusal, message, error);
	}
	request = (PolkitRequest){
		.action = POLKIT_ATTACH_OTHER,
		.uid = tasks.tasks[0].ruid,
		.pid = pending->target.pid,
		.target = &pending->target,
		.refusal = rule,
		.proceed = on_open_allowed,
		.userdata = pending,
		.free_userdata = pending_free_userdata,
	};
	return polkit_ask(caller, message, &request, error);
}

/* What OpenSession and OpenSessionByPid have in common once the target is held. */
static int open_session(Caller *caller, Process *target, sd_bus_message *message,
			sd_bus_error *error)
{
	Pending *pending;
	Session *session;
	Refusal refusal;
	int r;

	pending = calloc(1, sizeof(*pending));
	if (!pending)
		return bus_fail(-ENOMEM, NULL, message, error);
	pending->target = *target;
	*target = PROCESS_NONE;
	r = read_options(message, pending, error);
	if (r < 0) {
		pending_free(pending);
		return r;
	}
	r = try_open(caller, pending, false, &session, &refusal);
	if (r == REFUSED_NOT_AUTHORIZED)
		return ask_to_open(caller, pending, &refusal, message, error);
	pending_free(pending);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return reply_session(caller, session, message);
}

int bus_method_open_session(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(process_clear) Process target = PROCESS_NONE;
	Bus *bus = userdata;
	Caller *caller;
	Refusal refusal;
	int fd, r;

	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "h", &fd);
	if (r < 0)
		return r;
	r = process_from_pidfd(fd, &target, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return open_session(caller, &target, message, error);
}

/* A caller in another pid namespace means another process by the number than we do. */
static int check_pid_namespace(Bus *bus, const Caller *caller, Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList theirs = {}, ours = {};
	int r;

	r = process_look(&caller->process, bus->broker->reader, &theirs, refusal);
	if (r == REFUSED_TARGET_EXITED)
		return refuse(
			refusal, REFUSED_NOT_AUTHORIZED,
			"The process that opened this bus connection has exited: connect anew.");
	if (r != 0)
		return r;
	r = task_reader_read(bus->broker->reader, getpid(), &ours);
	if (r < 0)
		return r;
	if (theirs.tasks[0].pidns != ours.tasks[0].pidns)
		return refuse(
			refusal, REFUSED_NO_SUCH_TARGET,
			"You are in another pid namespace than bpcondd, where the same number "
			"means another process: use OpenSession with a pidfd.");
	return 0;
}

int bus_method_open_session_by_pid(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(process_clear) Process target = PROCESS_NONE;
	Bus *bus = userdata;
	Caller *caller;
	Refusal refusal;
	uint32_t pid;
	int r;

	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "u", &pid);
	if (r < 0)
		return r;
	r = check_pid_namespace(bus, caller, &refusal);
	if (r == 0)
		r = process_from_pid(pid, &target, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	return open_session(caller, &target, message, error);
}
