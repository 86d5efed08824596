/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals of the hits of a lingering session whose ring nobody claimed: at most ten in any second, so
 * that a target cannot flood the bus. The daemon reads the ring only while somebody listens; until then
 * the hits wait there. A record that is taken out and told to nobody, because the second's ten were told,
 * is counted as dropped.
 *
 * After ten the ring is left alone until the first of them is a second old, so a target that hits all
 * the time wakes the daemon a few times a second.
 */
#ifndef HIT_SIGNALS_H
#define HIT_SIGNALS_H

#include "daemon/session.h"

enum {
	HIT_SIGNALS_A_SECOND = 10,
};

/* Each signal goes to BrokerHooks.on_hit. It begins paused. Return: 0 and *ret (hit_signals_free);
 * negative errno. */
int hit_signals_new(Session *session, HitSignals **ret);

/* Return: 0; negative errno. */
int hit_signals_resume(HitSignals *signals);
int hit_signals_pause(HitSignals *signals);

/* Ends it. What is in the ring stays there. Return: NULL. */
HitSignals *hit_signals_free(HitSignals *signals);

#endif
