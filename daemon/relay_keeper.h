/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of pipes (pipe_relay.h) whose work is done and which are not gone yet: for a moment, or for as
 * long as a client keeps them in the kernel. Each counts as a dying session of its user (quota.h) until
 * it is gone, so that as many can hang as one may have sessions. Nobody waits for them, and what hangs when
 * the daemon ends is the kernel's.
 */
#ifndef RELAY_KEEPER_H
#define RELAY_KEEPER_H

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/pipe_relay.h"
#include "daemon/quota.h"

typedef struct RelayKeeper RelayKeeper;

/* Both are borrowed. Return: 0 and *ret (relay_keeper_free); -ENOMEM. */
int relay_keeper_new(sd_event *event, QuotaTable *quota, RelayKeeper **ret);
RelayKeeper *relay_keeper_free(RelayKeeper *keeper);

/*
 * Has it end: in a later turn of the event loop, when the message is gone that brought the pipe. What is
 * in flight should have been taken back.
 */
void relay_keeper_release(RelayKeeper *keeper, PipeRelay *relay, uid_t uid);

#endif
