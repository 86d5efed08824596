/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objects of the client library as its own files see them. The tree of ownership is client ->
 * sessions -> breakpoints, and client -> lent filters; each list is owned by its parent.
 *
 * Layers, each using only those above it: error.c · hit.c, hit_json.c (pure) · maps.c (what the kernel
 * writes) · reply.c, connection.c, comeback.c (the bus) · hit_reader.c · session.c · breakpoint.c ·
 * filter.c · request.c (text to spec).
 */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "bpcond/bpcond.h"
#include "client/error.h"
#include "client/hit_reader.h"
#include "client/maps.h"

#define BPCOND_SERVICE              "org.bpcond1"
#define BPCOND_OBJECT               "/org/bpcond1"
#define BPCOND_MANAGER_INTERFACE    "org.bpcond1.Manager"
#define BPCOND_SESSION_INTERFACE    "org.bpcond1.Session"
#define BPCOND_BREAKPOINT_INTERFACE "org.bpcond1.Breakpoint"
#define BPCOND_FILTER_INTERFACE     "org.bpcond1.Filter"

enum {
	/* Long enough for a person to type a password for polkit. */
	CALL_TIMEOUT_SECONDS = 120,
};

struct bpcond_client {
	sd_bus *bus;
	char *daemon_version;
	char *daemon_owner; /* unique name; signals of anyone else are not believed */

	/* An epoll of the bus's descriptor and of a timer for what sd-bus wants to do later; it is
	 * part of each session's own epoll. */
	int poll_fd;
	int timer_fd;
	int bus_fd; /* borrowed from the bus */
	uint32_t bus_events;

	bpcond_session *sessions; /* owned */
	bpcond_filter *filters;   /* owned */
	bpcond_error error;
};

struct bpcond_session {
	bpcond_client *client; /* owner */
	bpcond_session *next;
	char *path;
	pid_t pid;
	int pid_fd;

	HitReader hits;

	sd_bus_slot *question; /* whether it goes on, put after the daemon left; or NULL */
	enum bpcond_end end;
	bool events_taken;
	bool end_reported;

	bpcond_breakpoint *breakpoints; /* owned */
};

struct bpcond_breakpoint {
	bpcond_session *session; /* owner */
	bpcond_breakpoint *next;
	char *path;
	uint32_t number;
	pid_t *threads;
	size_t n_threads;
	CountersMap counters;
	ParametersMap parameters;
	/* What the daemon said, without being asked, as the session ended or another program removed
	 * the breakpoint. */
	bpcond_counts last_word;
	bool has_last_word;
	bool removed; /* by another program, while the session goes on */
	bool removal_reported;
};

struct bpcond_filter {
	bpcond_client *client; /* owner */
	bpcond_filter *next;
	char *path; /* NULL until the daemon has lent it */
	uint32_t number;
	int program_fd;
	int counter_fd; /* of the array that `counter` is read from; -EBADF: not asked for */
	CountersMap counters;
	ParametersMap parameters;
	HitReader hits;
	bool has_ring;
	sd_bus_slot *question; /* as in a session */
	bool returned;
	bool lost;        /* the daemon is gone, or has called the filter back */
	bool called_back; /* the daemon said so: there will be no more hits */
	bool loss_reported;
};

/* connection.c */

/* Whether the client has its bus, as far as is known by now. Return: 0; -ENOTCONN before
 * bpcond_client_connect, -ECONNRESET once the connection is lost, with the client's error filled in. */
int client_check_connection(bpcond_client *client);

/*
 * Calls a method of the daemon and waits for the reply. `fill` appends the arguments (NULL: none).
 *
 * Return: 0 and, if ret_reply is not NULL, *ret_reply (sd_bus_message_unref); a negative errno with
 * the client's error filled in.
 */
typedef int (*FillMessage)(sd_bus_message *m, const void *userdata);
int client_call(bpcond_client *client, const char *path, const char *interface, const char *member,
		FillMessage fill, const void *userdata, sd_bus_message **ret_reply);

/*
 * Calls a method without arguments that takes its object away. When the daemon ends within the call,
 * nobody knows whether the object has gone, and the next daemon takes it up if it has not: that one is
 * asked again, which starts it where it can be started. Return: as client_call; 0 too when the next one
 * does not know the object.
 */
int client_call_away(bpcond_client *client, const char *path, const char *interface,
		     const char *member);

/* Handles what has come over the bus, without blocking; ends sessions as it tells. */
void client_dispatch(bpcond_client *client);

/* Makes the client's poll_fd wait for what sd-bus wants next. To be called after each use of the
 * bus. */
void client_rearm(bpcond_client *client);

/* Fills in the client's error for a reply that makes no sense. Return: -EPROTO. */
int client_bad_reply(bpcond_client *client, const char *member);

/* comeback.c */

/* The daemon has left the bus, in whatever way: finds out which sessions and lent filters, of those that
 * have not ended in good order, go on. */
void client_ask_for_all(bpcond_client *client);

/* session.c */

/* Marks the session as over, once: the first reason stays. */
void session_ended(bpcond_session *session, enum bpcond_end end);

/* Whether it goes on, as far as is known by now. Return: 0; the negative errno of its end, with the
 * client's error filled in. */
int session_check(bpcond_session *session);

/* client_call of an object of the session's. Where that is gone because the session has ended, the error
 * is the session's end, and why. */
int session_call(bpcond_session *session, const char *path, const char *interface,
		 const char *member, FillMessage fill, const void *userdata,
		 sd_bus_message **ret_reply);
int session_call_away(bpcond_session *session, const char *path, const char *interface,
		      const char *member);

/* The session's breakpoints are others now: those whose last word was said have been removed. */
void session_breakpoints_changed(bpcond_session *session);

/* filter.c */

/* Marks the filter as one whose daemon is gone, or has called it back. */
void filter_lost(bpcond_filter *filter);
void filter_called_back(bpcond_filter *filter);

/* breakpoint.c */

/* Return: NULL. Takes NULL and half-built breakpoints; tells the daemon nothing. */
bpcond_breakpoint *breakpoint_free(bpcond_breakpoint *breakpoint);

/* Takes the counts out of a{sv}, as GetAll and PropertiesChanged have it. Return: 0 and *ret; -ENODATA
 * when they are not all there; a negative errno. */
int breakpoint_read_counts(sd_bus_message *m, bpcond_counts *ret);

#endif
