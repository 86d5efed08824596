/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bus_polkit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/descriptors.h"
#include "daemon/log.h"
#include "daemon/util.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define ALLOW_USER_INTERACTION 1

/* Time for polkit to be started and to look up its rules; for a person to find the password. */
#define ANSWER_USEC UINT64_C(25000000)
#define PERSON_USEC UINT64_C(120000000)

#define MAX_CANCELLATION_ID 32

struct PolkitQuestion {
	Caller *caller;
	PolkitQuestion *next;
	sd_bus_message *message; /* the call that waits */
	sd_bus_slot *slot;       /* polkit's reply */
	sd_event_source *exit_source;
	uint32_t number;
	const char *action;
	pid_t pid;
	bool root_may; /* where polkit says nothing */
	bool quota_taken;
	Refusal refusal;
	PolkitContinue proceed;
	void *userdata;
	void (*free_userdata)(void *userdata);
};

typedef enum PolkitAnswer {
	POLKIT_YES,
	POLKIT_NO,
	POLKIT_NOBODY_TO_ASK, /* yes, if an administrator authenticated, but there is no agent */
	POLKIT_SILENT,        /* not there, or failed */
} PolkitAnswer;

static PolkitQuestion *question_free(PolkitQuestion *question)
{
	if (!question)
		return NULL;
	if (question->quota_taken)
		quota_give_back(question->caller->bus->broker->quota, question->caller->uid,
				QUOTA_QUESTIONS, 1);
	sd_bus_slot_unref(question->slot);
	sd_event_source_disable_unref(question->exit_source);
	sd_bus_message_unref(question->message);
	if (question->free_userdata)
		question->free_userdata(question->userdata);
	free(question);
	return NULL;
}

static void question_unlink(PolkitQuestion *question)
{
	PolkitQuestion **at;

	for (at = &question->caller->bus->questions; *at != question; at = &(*at)->next)
		;
	*at = question->next;
}

static void format_cancellation_id(const PolkitQuestion *question,
				   char ret[static MAX_CANCELLATION_ID])
{
	snprintf(ret, MAX_CANCELLATION_ID, "bpcond-%" PRIu32, question->number);
}

/* So that nobody is asked for a password any more. */
static void question_cancel(PolkitQuestion *question)
{
	char id[MAX_CANCELLATION_ID];
	int r;

	format_cancellation_id(question, id);
	r = sd_bus_call_method_async(question->caller->bus->bus, NULL, POLKIT_NAME, POLKIT_PATH,
				     POLKIT_INTERFACE, "CancelCheckAuthorization", NULL, NULL, "s",
				     id);
	if (r < 0)
		log_warning("cannot withdraw a question from polkit: %s", strerror(-r));
}

/* Answers the call with an error, ours or the caller's. */
static void reply_error(const PolkitQuestion *question, int r, const sd_bus_error *error)
{
	r = sd_bus_reply_method_errno(question->message, r, error);
	if (r < 0)
		log_error("cannot answer a call: %s", strerror(-r));
}

static void reply_refusal(const PolkitQuestion *question, const Refusal *refusal)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = bus_fail((int)refusal->kind, refusal, question->message, &error);

	if (refusal->kind == REFUSED_NOT_AUTHORIZED)
		bus_log_refusal(question->caller, question->pid, refusal);
	reply_error(question, r, &error);
}

static void refuse_for(const PolkitQuestion *question, PolkitAnswer answer)
{
	const char *rule = question->refusal.text;
	Refusal refusal;

	switch (answer) {
	case POLKIT_NOBODY_TO_ASK:
		refuse(&refusal, REFUSED_NOT_AUTHORIZED,
		       "%s; polkit (action %s) would have asked for it, but can ask nobody: run an "
		       "agent, such as pkttyagent, and if the call does not allow interaction "
		       "(bpcondctl's do), let it",
		       rule, question->action);
		break;
	case POLKIT_SILENT:
		refuse(&refusal, REFUSED_NOT_AUTHORIZED,
		       "%s; an administrator can allow it (polkit action %s) where polkit runs, "
		       "but none answers on this bus",
		       rule, question->action);
		break;
	default:
		refuse(&refusal, REFUSED_NOT_AUTHORIZED,
		       "%s; polkit has not allowed it either, which an administrator can, by a "
		       "rule for %s in /etc/polkit-1/rules.d",
		       rule, question->action);
	}
	reply_refusal(question, &refusal);
}

/* Return: what polkit said; silence is logged once, until it says something. */
static PolkitAnswer read_answer(Bus *bus, sd_bus_message *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	int authorized = 0, challenge = 0, r;

	if (!error) {
		r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
		if (r >= 0)
			r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
		if (r >= 0) {
			bus->polkit_silent = false;
			if (authorized)
				return POLKIT_YES;
			return challenge ? POLKIT_NOBODY_TO_ASK : POLKIT_NO;
		}
	}
	if (!bus->polkit_silent)
		log_info("polkit does not answer, so nobody gets more than the rules allow: %s",
			 error ? error->message : strerror(-r));
	bus->polkit_silent = true;
	return POLKIT_SILENT;
}

static void go_on(PolkitQuestion *question)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	Caller *caller = question->caller;
	const LogContext context = {
		.message_id = LOG_ID_APPROVED, .uid = caller->uid, .pid = question->pid};
	int r;

	/* What goes on may want to watch the target by the same descriptor. */
	question->exit_source = sd_event_source_disable_unref(question->exit_source);
	log_message(LOG_NOTICE, &context, "user %u was allowed %s, for %s of %s", caller->uid,
		    question->action, sd_bus_message_get_member(question->message),
		    sd_bus_message_get_path(question->message));
	descriptors_for_clients();
	r = question->proceed(caller, question->message, question->userdata, &error);
	if (r < 0)
		reply_error(question, r, &error);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	PolkitQuestion *question = userdata;
	PolkitAnswer answer = read_answer(question->caller->bus, reply);

	question_unlink(question);
	/* Of one that we gave up waiting for: polkit may still be asking. */
	if (answer == POLKIT_SILENT)
		question_cancel(question);
	if (answer == POLKIT_YES || (answer == POLKIT_SILENT && question->root_may))
		go_on(question);
	else
		refuse_for(question, answer);
	question_free(question);
	return 1;
}

static int on_target_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	PolkitQuestion *question = userdata;
	Refusal refusal;

	refuse(&refusal, REFUSED_TARGET_EXITED,
	       "Process %d has exited while an administrator was asked: start it again and open a "
	       "new session.",
	       question->pid);
	question_unlink(question);
	question_cancel(question);
	reply_refusal(question, &refusal);
	question_free(question);
	return 0;
}

/* What a rule of polkit's can decide by, and what the dialog shows. */
static int append_details(sd_bus_message *check, const PolkitRequest *request, const char *path)
{
	char uid[16], pid[16];
	int r;

	snprintf(uid, sizeof(uid), "%u", request->uid);
	snprintf(pid, sizeof(pid), "%d", request->pid);
	r = sd_bus_message_open_container(check, 'a', "{ss}");
	if (r < 0)
		return r;
	r = sd_bus_message_append(check, "{ss}{ss}", "uid", uid, "object", path);
	if (r < 0)
		return r;
	if (request->pid) {
		r = sd_bus_message_append(check, "{ss}", "pid", pid);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(check);
}

static int send_question(PolkitQuestion *question, const PolkitRequest *request)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *check = NULL;
	Bus *bus = question->caller->bus;
	char id[MAX_CANCELLATION_ID];
	bool interactive;
	int r;

	r = sd_bus_message_get_allow_interactive_authorization(question->message);
	if (r < 0)
		return r;
	interactive = r > 0;
	format_cancellation_id(question, id);

	r = sd_bus_message_new_method_call(bus->bus, &check, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CheckAuthorization");
	if (r < 0)
		return r;
	r = sd_bus_message_append(check, "(sa{sv})s", "system-bus-name", 1, "name", "s",
				  question->caller->name, request->action);
	if (r < 0)
		return r;
	r = append_details(check, request, sd_bus_message_get_path(question->message));
	if (r < 0)
		return r;
	r = sd_bus_message_append(check, "us", interactive ? ALLOW_USER_INTERACTION : 0, id);
	if (r < 0)
		return r;
	return sd_bus_call_async(bus->bus, &question->slot, check, on_reply, question,
				 interactive ? PERSON_USEC : ANSWER_USEC);
}

/* Return: 0; REFUSED_QUOTA_EXCEEDED; negative errno. */
static int question_put(PolkitQuestion *question, const PolkitRequest *request, Refusal *refusal)
{
	Broker *broker = question->caller->bus->broker;
	int r;

	r = quota_take(broker->quota, question->caller->uid, QUOTA_QUESTIONS, 1, refusal);
	if (r != 0)
		return r;
	question->quota_taken = true;
	if (request->target) {
		r = sd_event_add_io(broker->event, &question->exit_source, request->target->pidfd,
				    EPOLLIN, on_target_exit, question);
		if (r < 0)
			return r;
	}
	r = send_question(question, request);
	return r < 0 ? r : 0;
}

int polkit_ask(Caller *caller, sd_bus_message *message, const PolkitRequest *request,
	       sd_bus_error *error)
{
	PolkitQuestion *question = calloc(1, sizeof(*question));
	Bus *bus = caller->bus;
	Refusal refusal;
	int r;

	if (!question) {
		if (request->free_userdata)
			request->free_userdata(request->userdata);
		return bus_fail(-ENOMEM, NULL, message, error);
	}
	question->caller = caller;
	question->message = sd_bus_message_ref(message);
	question->number = ++bus->last_question;
	question->action = request->action;
	question->pid = request->pid;
	question->root_may = request->root_may && caller->uid == 0;
	question->refusal = *request->refusal;
	question->proceed = request->proceed;
	question->userdata = request->userdata;
	question->free_userdata = request->free_userdata;

	r = question_put(question, request, &refusal);
	if (r != 0) {
		question_free(question);
		return bus_fail(r, &refusal, message, error);
	}
	question->next = bus->questions;
	bus->questions = question;
	return 1;
}

int polkit_check_manager(Bus *bus, const SessionOwner *owner, pid_t target, sd_bus_message *message,
			 PolkitContinue proceed, sd_bus_error *error)
{
	PolkitRequest request = {
		.action = POLKIT_MANAGE,
		.uid = owner->uid,
		.pid = target,
		.root_may = true,
		.proceed = proceed,
	};
	Refusal refusal;
	Caller *caller;
	int r;

	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	if (caller->uid == owner->uid)
		return 0;
	refuse(&refusal, REFUSED_NOT_AUTHORIZED, "%s belongs to another user: end your own",
	       sd_bus_message_get_path(message));
	request.refusal = &refusal;
	return polkit_ask(caller, message, &request, error);
}

/* Nobody will be there to go on when polkit has answered. */
static void reply_leaving(const PolkitQuestion *question)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_error_set(&error, SD_BUS_ERROR_NO_REPLY,
				 "bpcondd is stopped or restarted while an administrator is asked: "
				 "call again.");

	reply_error(question, r, &error);
}

void polkit_withdraw(Bus *bus, const Caller *caller)
{
	const bool answers = !caller && sd_bus_is_open(bus->bus) > 0;
	PolkitQuestion *next;

	for (PolkitQuestion *question = bus->questions; question; question = next) {
		next = question->next;
		if (caller && question->caller != caller)
			continue;
		question_unlink(question);
		question_cancel(question);
		if (answers)
			reply_leaving(question);
		question_free(question);
	}
}
