/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limit of this process's descriptors, a part of which is kept for what comes by the bus.
 *
 * A client's message may hold 16 descriptors, and where there is no room for them the message is lost, and
 * with it the connection to the bus: what follows in the stream cannot be told from messages any more. So
 * what the daemon opens for its clients ends earlier than that, with an error that one client is told.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdint.h>

/* Raises the limit as far as the system allows, and keeps a part of it. Once, before anything else here. */
void descriptors_begin(void);

/* How many the daemon may have for its clients; UINT64_MAX: no limit. */
uint64_t descriptors_limit(void);

/* What is opened from here on is for a client: -EMFILE where only the kept part is left. */
void descriptors_for_clients(void);

/* What comes from here on is the bus's, and the daemon's own. */
void descriptors_for_bus(void);

#endif
