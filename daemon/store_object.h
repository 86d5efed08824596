/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes sessions and lent filters down into their boxes (store.h), record by record. A session's box
 * is a log: what comes later is added, and of what is said twice the last counts; it is written anew,
 * into another box, when something is to go from it or it is full.
 *
 * Enabling, disabling and parameters are in maps that lie in the box, so they need no word here.
 */
#ifndef STORE_OBJECT_H
#define STORE_OBJECT_H

#include "daemon/broker.h"
#include "daemon/refusal.h"

/*
 * An object comes, and must not be answered for before this. Return: 0; REFUSED_QUOTA_EXCEEDED when
 * there are STORE_MAX_BOXES; negative errno.
 */
int store_session(Session *session, Refusal *refusal);
int store_lent_filter(LentFilter *lent, Refusal *refusal);

/* The session has one more breakpoint, which is in its list. Return: 0; negative errno. */
int store_breakpoint(const Breakpoint *breakpoint);

/* Something else about the session is to be written down. Return: 0; negative errno. */
int store_session_changed(Session *session);

/* Writes the session down anew, without what is no longer part of it. When this fails the session
 * lives, but will not outlive the daemon, which is logged. */
void store_session_anew(Session *session);

/* The daemon leaves in order: what it knows of hits that it has read is written down. After this it must
 * not read any more. */
void store_session_left(Session *session);

#endif
