/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts a session or a lent filter together again out of what lies in its box: all of it or nothing. On
 * failure what had been taken is revoked and closed; the rest is in the content still.
 */
#ifndef RESTORE_OBJECT_H
#define RESTORE_OBJECT_H

#include "daemon/box.h"
#include "daemon/broker.h"
#include "daemon/refusal.h"

/*
 * The object is the broker's then, *box its, and *box NULL. A session whose owner is gone, and does not
 * linger, has none.
 *
 * Return: 0; -ENODATA when it was not written to its end; -EBADMSG when it is not what it should be; a
 * refusal; another negative errno.
 */
int restore_session(Broker *broker, BoxContent *content, StoreBox **box, Refusal *refusal);
int restore_lent_filter(Broker *broker, BoxContent *content, StoreBox **box);

#endif
