/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disables breakpoints that have reported as many hits as their limit. The filter itself is exact;
 * this ends the cost of their traps, within a second. Idle while no enabled breakpoint has a limit.
 */
#ifndef LIMIT_WATCH_H
#define LIMIT_WATCH_H

#include "daemon/broker.h"

/* Call it when a breakpoint with a limit is enabled. Return: 0; negative errno. */
int limit_watch_start(Broker *broker);

#endif
