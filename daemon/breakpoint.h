/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A breakpoint of a session: its spec, its filter and the events that carry the filter.
 */
#ifndef BREAKPOINT_H
#define BREAKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/bpf_attach.h"
#include "daemon/bpf_filter.h"
#include "daemon/session.h"
#include "daemon/spec.h"

struct Breakpoint {
	Session *session;
	Breakpoint *next;
	uint32_t number;
	Spec *spec;
	Filter *filter;
	EventSet events;
	Charge *charge; /* for it and its events */
	bool enabled;
	unsigned switch_off_again; /* so often, by limit_watch.c */
};

/* As the Breakpoint interface publishes them; lost is an upper bound while the target runs. */
typedef struct BreakpointCounts {
	uint64_t traps, evaluated, hits, rejected, withheld, faults, dropped, unsignalled, lost;
} BreakpointCounts;

/*
 * Loads the filter and opens the events, disabled. Takes `spec` over in any case, and `charge`, of which
 * the breakpoint itself is paid. The breakpoint is not in the session's list yet.
 *
 * Return: 0 and *ret (breakpoint_free); a refusal; negative errno.
 */
int breakpoint_new(Session *session, Spec *spec, uint32_t number, Charge *charge, Breakpoint **ret,
		   Refusal *refusal);

/* Has the charge last as long as what a client may be handed of the breakpoint. Return: 0; negative
 * errno. */
int breakpoint_name_charge(Breakpoint *breakpoint);

/* Revokes, closes and frees; releases the charge. Return: NULL. */
Breakpoint *breakpoint_free(Breakpoint *breakpoint);

/* Closes and frees, and leaves its kernel objects to the next daemon. Return: NULL. */
Breakpoint *breakpoint_leave(Breakpoint *breakpoint);

/* Starts the counting of skip, every and limit anew. Return: 0; negative errno, and then it is as after
 * breakpoint_silence. */
int breakpoint_enable(Breakpoint *breakpoint);
int breakpoint_disable(Breakpoint *breakpoint);

/* The same at once, for what nobody has asked for, or is not to wait for: no hit any more, but traps may
 * go on, and be counted, in a thread that is being started, until limit_watch_start has had it switched off
 * again. Return: 0; negative errno. */
int breakpoint_silence(Breakpoint *breakpoint);

/* Whether the filter has reported as many hits as the spec's limit. */
bool breakpoint_has_reached_limit(const Breakpoint *breakpoint);

/* Return: 0; REFUSED_INVALID_ARGUMENT when the spec declares no such parameter. */
int breakpoint_set_parameter(Breakpoint *breakpoint, const char *name, uint64_t value,
			     Refusal *refusal);

int breakpoint_read_counts(const Breakpoint *breakpoint, BreakpointCounts *ret);

#endif
