/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who hears the signals of a lingering session. Hits hold memory and registers of the target, and what is
 * broadcast on a system bus everybody can read; so a Hit is sent to certain connections and no other:
 * those of the session's user that opened it or have called it since, and whose process may debug the
 * target by itself, as whoever takes the ring must.
 *
 * A connection listens from a moment after its call on: one that calls and leaves, as busctl does, takes
 * no hits out of the ring.
 */
#ifndef BUS_LISTEN_H
#define BUS_LISTEN_H

#include "daemon/bus.h"

/* Before the first call, with the broker's loop, and before the broker goes.
 * Return: negative errno on failure. */
int bus_listen_start(Bus *bus);
void bus_listen_stop(Bus *bus);

/* Notes that a connection has called a session, or something of it. Failure is logged. */
void bus_listen(Caller *caller, Session *session);

/* BrokerHooks.on_session_resumed: the connection that opened it goes on hearing it. Of the others who did,
 * the daemon before this one has left no word. */
void bus_listen_resume(Session *session, void *userdata);

/* Forgets what is noted: when a connection has left the bus, and when a session ends. */
void bus_listen_forget_caller(Caller *caller);
void bus_listen_forget_session(Bus *bus, Session *session);

/* BrokerHooks.on_hit, with the Bus. */
bool bus_listen_on_hit(Session *session, uint32_t breakpoint, const char *json, void *userdata);

/* The last counts of a session's breakpoints, to whoever listens, and its owner.
 * Return: negative errno on failure. */
int bus_listen_last_word(Bus *bus, const Breakpoint *breakpoint);

#endif
