/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes up what the daemon before this one left in the descriptor store, in two steps: the objects,
 * before anybody can call; then the word on those that have ended meanwhile or cannot be taken up, when
 * there is a name on the bus to say it under.
 *
 * What lies in the store was written by this service, and is read as if anybody had written it: all of
 * a session or nothing. What is not taken up is silenced first, filters by their revocation word,
 * events by disabling, then closed.
 */
#ifndef RESTORE_H
#define RESTORE_H

#include "daemon/broker.h"

typedef struct Restored Restored;

/* Makes `store` the broker's, which owns it from now on, and its sessions and lent filters too.
 * Return: 0 and *ret (restore_finish); -ENOMEM. */
int restore_begin(Broker *broker, Store *store, Restored **ret);

/* Ends what has ended, tells of what was not taken up, and has the rest go on. Frees it; takes NULL. */
void restore_finish(Broker *broker, Restored *restored);

#endif
