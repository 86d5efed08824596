/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus face: the three interfaces of org.bpcond1 over what session.c and breakpoint.c do. This
 * and bus_*.c are the only files that speak D-Bus.
 */
#ifndef BUS_H
#define BUS_H

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/breakpoint.h"
#include "daemon/session.h"

#define BUS_NAME           "org.bpcond1"
#define BUS_PATH           "/org/bpcond1"
#define BUS_SESSION_PREFIX BUS_PATH "/session"
#define BUS_FILTER_PREFIX  BUS_PATH "/filter"
#define BUS_MANAGER        "org.bpcond1.Manager"
#define BUS_SESSION        "org.bpcond1.Session"
#define BUS_BREAKPOINT     "org.bpcond1.Breakpoint"
#define BUS_MAX_PATH       64

/* Chains of callers by name: a bus allows some thousands of connections. */
#define BUS_CALLER_CHAINS 1024

/* Of so many sessions that ended last it is known why. */
#define BUS_REMEMBERED_ENDS 256

/* dbus-daemon disconnects a sender of more than 16 descriptors in a message. */
#define BUS_MAX_FDS 12

typedef struct Caller Caller;
typedef struct Listener Listener;
typedef struct PolkitQuestion PolkitQuestion;

typedef struct Bus {
	sd_bus *bus;
	/* For questions to the bus itself. Whoever waits for an answer takes up all that has been sent
	 * before it, with all descriptors: of what clients send that must be one message at a time.
	 * With descriptors only where the bus tells of processes by them. */
	sd_bus *asker;
	char bus_id[33]; /* of this run of the message bus */
	Broker *broker;            /* borrowed; NULL until bus_serve */
	Caller *callers[BUS_CALLER_CHAINS]; /* lists by Caller.next; own */
	PolkitQuestion *questions; /* list; owns; each has a caller */
	uint32_t last_question;
	bool polkit_silent; /* said in the log */
	bool broken;        /* bus_break */
	sd_event_source *listen_timer;
	Listener *listeners; /* list; their callers own them (bus_listen.c) */

	/* Of the message that is being handled (bus_admission.c): a number of its own, and, while its
	 * handling is to be paid for, by whom and since when. */
	uint64_t message_number;
	bool paying;
	uid_t payer;
	uint64_t work_before; /* work_usec() */
	sd_event_source *admission_source;

	struct EndedSession {
		uint32_t number; /* 0: none yet */
		SessionEnd end;
	} ended[BUS_REMEMBERED_ENDS];
	size_t n_ended;

	/* The last counts that were read, for the message of that number. */
	struct {
		uint64_t message_number;
		const Breakpoint *breakpoint;
		BreakpointCounts counts;
	} counts;
} Bus;

/* One connection that has called us: who it is, and the process behind it. Lives as long as the
 * connection. */
struct Caller {
	Bus *bus;
	Caller *next;
	char *name; /* unique name */
	uid_t uid;
	Process process; /* PROCESS_NONE where it cannot be seen from here */
	Listener *listens; /* list; owns: the sessions whose signals it hears (bus_listen.c) */
	sd_event_source *exit_source; /* its process has exited */
	sd_event_source *doubt_timer; /* to ask the bus whether the connection is there still */
	uint64_t doubt_usec;
};

/*
 * Connects to `address` (NULL: the system bus).
 *
 * Return: 0 and *ret (bus_free); negative errno.
 */
int bus_new(const char *address, Bus **ret);
Bus *bus_free(Bus *bus);

/* The hooks by which the broker tells the bus. */
BrokerHooks bus_hooks(Bus *bus);

/* Offers the objects of `broker` and is served by `event` from now on; both are borrowed for the
 * bus's life. From here on the end of connections is heard. Return: 0; negative errno. */
int bus_serve(Bus *bus, Broker *broker, sd_event *event);

/* Takes the name: calls come in. Return: 0; negative errno. */
int bus_take_name(Bus *bus);

/* Gives the name up and answers what has come in until then; later calls wait on the bus for the
 * next daemon. Return: 0; negative errno. */
int bus_leave_name(Bus *bus);

/*
 * Nothing more can be read of the bus: a part of its stream was lost, and what follows could be taken for
 * messages that nobody sent. Ends the event loop.
 */
void bus_break(Bus *bus, int error);

/* Withdraws what waits for an answer of others: call it before the broker goes. */
void bus_stop(Bus *bus);

/* The caller as an owner. */
SessionOwner bus_owner(const Caller *caller);

/* Whose connection the message is from, its process seen or not. Return: 0 and *ret, borrowed;
 * negative, and *error. */
int bus_sender(Bus *bus, sd_bus_message *message, Caller **ret, sd_bus_error *error);

/* The same with the process, which everything takes that is more than a look. */
int bus_caller(Bus *bus, sd_bus_message *message, Caller **ret, sd_bus_error *error);

/* A connection is gone, and so is its caller, with all that it owns. */
int bus_on_name_lost(sd_bus_message *message, void *userdata, sd_bus_error *error);

void bus_callers_free(Bus *bus);

/* Whether the bus gives a descriptor of a connection's process, by what it says of this one. Waits for its
 * answer. Return: 0 and *ret; negative errno. */
int bus_tells_by_descriptor(sd_bus *connection, bool *ret);

/* BrokerHooks.find_owner, with the Bus. */
int bus_find_owner(const OwnerDescription *description, SessionOwner *ret, void *userdata);

/*
 * The answer to a call that failed: `r` as the broker's functions return it. Ours is logged, once
 * and here.
 *
 * Return: negative, for sd-bus.
 */
int bus_fail(int r, const Refusal *refusal, sd_bus_message *message, sd_bus_error *error);

/* The error for an object that went while the call waited. Return: negative, and *error. */
int bus_gone(sd_bus_message *message, sd_bus_error *error);

/* Logs that somebody was not allowed something on the process `target` (0: on none): the first time of
 * each user. */
void bus_log_refusal(const Caller *caller, pid_t target, const Refusal *refusal);

/*
 * Whether the sender may act on a session: asked before every act. It is the owner's connection, or, of a
 * session that lingers, another of the same user, which hears the session's signals from then on.
 *
 * Return: 0 and *ret, who acts (its parts are borrowed); negative, and *error.
 */
int bus_check_actor(Bus *bus, Session *session, sd_bus_message *message, SessionOwner *ret,
		    sd_bus_error *error);

/*
 * Whether the sender of the message under way (getters of properties are not told it) may be told what
 * is the owner's: his user and root may, and signals of our own. *ret_caller (NULL: not wanted) is NULL
 * for those. Return: 0; negative, and *error.
 */
int bus_check_user(Bus *bus, const SessionOwner *owner, Caller **ret_caller, sd_bus_error *error);

/* The same for a session's properties. */
int bus_check_reader(Bus *bus, Session *session, sd_bus_error *error);

void bus_session_path(const Session *session, char ret[static BUS_MAX_PATH]);
void bus_breakpoint_path(const Breakpoint *breakpoint, char ret[static BUS_MAX_PATH]);

/* Reading object paths: the decimal number at *at, which moves behind it; and the session whose path
 * this is or begins with, with what follows, or NULL. */
bool bus_parse_number(const char **at, uint32_t *ret);
Session *bus_parse_session(Bus *bus, const char *path, const char **ret_rest);

/* Puts a copy of `path` behind *n_paths others, for a node enumerator. Return: 0; -ENOMEM, and all are
 * freed. */
int bus_paths_add(char ***paths, size_t *n_paths, const char *path);

/* Appends the count of that name (Traps, Evaluated …), as t. Return: negative errno on failure. */
int bus_append_count(sd_bus_message *reply, const char *name, const BreakpointCounts *counts);

/* Each adds its interface. Return: negative errno on failure. */
int bus_manager_add(Bus *bus);
int bus_session_add(Bus *bus);
int bus_breakpoint_add(Bus *bus);

/* Tells that it was enabled or disabled. */
void bus_breakpoint_changed(Bus *bus, const Breakpoint *breakpoint);

/* Tells the final counts to the connection `destination`. Return: negative errno on failure. */
int bus_breakpoint_last_word(Bus *bus, const Breakpoint *breakpoint, const char *destination);

/* Tells that the number of Sessions or Breakpoints is another now; failure is logged. */
void bus_manager_changed(Bus *bus, const char *property);

/* Tells that a session's breakpoints are others now; failure is logged. */
void bus_session_breakpoints_changed(const Session *session);
int bus_lend_add(Bus *bus);
int bus_listing_add(Bus *bus);

/* Has calls of objects that are not there told so, and of sessions that ended why: as far as that was
 * noted. */
int bus_absent_add(Bus *bus);
void bus_note_end(Bus *bus, uint32_t session, SessionEnd end);

/* Has each call counted before it is handled, and its time after (bus_admission.c). */
int bus_admission_add(Bus *bus, sd_event *event);
void bus_admission_stop(Bus *bus);

/* The filter whose path this is, or NULL. */
LentFilter *bus_parse_filter(const Bus *bus, const char *path);

/* Tells that a lent filter was called back. Return: negative errno on failure. */
int bus_lend_returned(Bus *bus, uint32_t number, SessionEnd end);

/* OpenSession and OpenSessionByPid of the Manager interface (bus_open.c). */
int bus_method_open_session(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_method_open_session_by_pid(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* LendFilter of the Manager interface (bus_lend.c). */
int bus_method_lend_filter(sd_bus_message *message, void *userdata, sd_bus_error *error);

#endif
