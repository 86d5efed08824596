/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/descriptors.h"

#include <sys/resource.h>

/* While the daemon waits for an answer of the bus's, it takes up all that somebody has sent there before:
 * as many messages as dbus-daemon's socket has room for, some 280 with 16 descriptors each. And what it
 * holds for a moment. Where there are few in all, a part of them. */
#define KEPT        6144
#define KEPT_OF_FEW 2

static struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
static rlim_t for_clients = RLIM_INFINITY;

void descriptors_begin(void)
{
	rlim_t kept;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
		return;
	kept = limit.rlim_max / KEPT_OF_FEW;
	for_clients = limit.rlim_max - (kept < KEPT ? kept : KEPT);
	descriptors_for_bus();
}

uint64_t descriptors_limit(void)
{
	return for_clients == RLIM_INFINITY ? UINT64_MAX : for_clients;
}

static void set(rlim_t soft)
{
	if (for_clients == RLIM_INFINITY || limit.rlim_cur == soft)
		return;
	limit.rlim_cur = soft;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void descriptors_for_clients(void)
{
	set(for_clients);
}

void descriptors_for_bus(void)
{
	set(limit.rlim_max);
}
