/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is true of a filter on the daemon's own events: they were opened on threads that the caller
 * may debug, at one address.
 */
#ifndef FILTER_OURS_H
#define FILTER_OURS_H

#include "bpf/filter.h"

extern const volatile struct filter_config config;

static __always_inline int is_admitted(void)
{
	return 1;
}

static __always_inline int is_kept_back(void)
{
	return 0;
}

/* Only lent filters have a counter of the client's. */
static __always_inline int read_counter(__u64 *ret)
{
	return -1;
}

#endif
