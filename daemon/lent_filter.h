/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lent filters: compiled and loaded here, attached by their borrower to perf events of his own. The
 * kernel checks what events he may open; the filter itself looks at no task but his
 * (bpf/filter_lent.bpf.c). It is called back by its revocation word when the borrower's connection
 * goes, when he returns it, and when the daemon stops.
 */
#ifndef LENT_FILTER_H
#define LENT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bpf_filter.h"
#include "daemon/session.h"

struct LentFilter {
	Broker *broker;
	LentFilter *next;
	uint32_t number;
	SessionOwner owner;
	Spec *spec; /* NULL of one that was taken up: it is compiled already */
	Filter *filter;
	Charge *charge; /* for it and its ring */
	int ring_fd; /* -EBADF without a ring */
	uint64_t ring_bytes;
	StoreBox *box; /* NULL: it does not outlive the daemon */
};

/*
 * Lends a filter. `text` is what spec_parse_lent takes; ring_bytes 0: no ring.
 *
 * Return: 0 and *ret, owned by the broker; REFUSED_INVALID_SPEC, _INVALID_CONDITION,
 * _NOT_AUTHORIZED, _NOT_SUPPORTED, _QUOTA_EXCEEDED, _INVALID_ARGUMENT and *refusal; negative errno.
 */
int lent_filter_new(Broker *broker, const SessionOwner *owner, const char *text, size_t length,
		    uint64_t ring_bytes, bool only_when_traced, LentFilter **ret, Refusal *refusal);

/* Revokes it, tells the hook, takes it out of the broker's list and frees it. */
void lent_filter_end(LentFilter *lent, SessionEnd end);

/* Frees it and leaves it to the daemon after this one. */
void lent_filter_leave(LentFilter *lent);

/*
 * A filter that the daemon before this one lent, as restore.c has put it together: charges it and puts it
 * into the broker's list. On failure it stays the caller's. Return: 0; negative errno.
 */
int lent_filter_adopt(LentFilter *lent);

/* One that is in no list. Return: NULL. */
LentFilter *lent_filter_discard(LentFilter *lent);

LentFilter *lent_filter_find(const Broker *broker, uint32_t number);

#endif
