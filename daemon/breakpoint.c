/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/breakpoint.h"
#include "daemon/util.h"

/* A thread that was being started has joined the others by then. */
#define SWITCH_OFF_AGAIN 2

int breakpoint_new(Session *session, Spec *spec, uint32_t number, Charge *charge, Breakpoint **ret,
		   Refusal *refusal)
{
	Broker *broker = session->broker;
	Breakpoint *breakpoint;
	int r;

	breakpoint = calloc(1, sizeof(*breakpoint));
	if (!breakpoint) {
		spec_free(spec);
		charge_release(charge);
		return -ENOMEM;
	}
	breakpoint->session = session;
	breakpoint->number = number;
	breakpoint->spec = spec;
	breakpoint->charge = charge;

	r = filter_new(broker->engine, spec, number, session->ring_fd, &breakpoint->filter,
		       refusal);
	if (r != 0)
		goto fail;
	r = event_set_open(broker->reader, &session->target, spec, breakpoint->filter, charge,
			   &breakpoint->events, refusal);
	if (r != 0)
		goto fail;
	*ret = breakpoint;
	return 0;
fail:
	breakpoint_free(breakpoint);
	return r;
}

Breakpoint *breakpoint_free(Breakpoint *breakpoint)
{
	if (!breakpoint)
		return NULL;
	/* Revoked before the events go: a client may hold some of them open. */
	if (breakpoint->filter)
		filter_set_state(breakpoint->filter, FILTER_REVOKED);
	return breakpoint_leave(breakpoint);
}

Breakpoint *breakpoint_leave(Breakpoint *breakpoint)
{
	event_set_clear(&breakpoint->events);
	filter_leave(breakpoint->filter);
	charge_release(breakpoint->charge);
	spec_free(breakpoint->spec);
	free(breakpoint);
	return NULL;
}

int breakpoint_name_charge(Breakpoint *breakpoint)
{
	const Filter *filter = breakpoint->filter;
	ChargeNames names = CHARGE_NAMES_NONE;

	names.program_fd = filter->program_fd;
	names.map_fds[0] = filter->counters_fd;
	names.map_fds[1] = filter->parameters_fd;
	names.shared_ring_fd = breakpoint->session->ring_fd;
	return charge_name(breakpoint->charge, &names);
}

static int switch_events(Breakpoint *breakpoint, bool on)
{
	const Session *session = breakpoint->session;

	return event_set_switch(&breakpoint->events, session->broker->reader, session->target.pid,
				on);
}

int breakpoint_enable(Breakpoint *breakpoint)
{
	int r;

	breakpoint->switch_off_again = 0;
	filter_restart_counting(breakpoint->filter);
	filter_set_state(breakpoint->filter, FILTER_ENABLED);
	r = switch_events(breakpoint, true);
	if (r < 0) {
		/* Whether the target gets on better now is not waited for once more. */
		breakpoint_silence(breakpoint);
		return r;
	}
	breakpoint->enabled = true;
	return 0;
}

int breakpoint_disable(Breakpoint *breakpoint)
{
	/* The word first: it holds at once, for all threads and for events that a client holds. */
	filter_set_state(breakpoint->filter, FILTER_DISABLED);
	breakpoint->enabled = false;
	return switch_events(breakpoint, false);
}

int breakpoint_silence(Breakpoint *breakpoint)
{
	filter_set_state(breakpoint->filter, FILTER_DISABLED);
	breakpoint->enabled = false;
	breakpoint->switch_off_again = SWITCH_OFF_AGAIN;
	return event_set_switch_off(&breakpoint->events);
}

bool breakpoint_has_reached_limit(const Breakpoint *breakpoint)
{
	uint64_t limit = breakpoint->spec->limit;

	return limit &&
	       __atomic_load_n(&breakpoint->filter->control->reported, __ATOMIC_SEQ_CST) >= limit;
}

int breakpoint_set_parameter(Breakpoint *breakpoint, const char *name, uint64_t value,
			     Refusal *refusal)
{
	const Spec *spec = breakpoint->spec;

	for (size_t i = 0; i < spec->n_parameters; i++) {
		if (strcmp(spec->parameters[i], name) != 0)
			continue;
		__atomic_store_n(&breakpoint->filter->parameters[i], value, __ATOMIC_SEQ_CST);
		return 0;
	}
	return refuse(
		refusal, REFUSED_INVALID_ARGUMENT,
		"This breakpoint has no parameter \"%s\": name one of its spec's \"parameters\".",
		name);
}

/* Hits that found the ring full, or were lost behind it. */
static uint64_t count_dropped(const Breakpoint *breakpoint, const struct bpcond_counters *counts)
{
	if (session_has_stopped_forwarding(breakpoint->session))
		return counts->hits - breakpoint->filter->control->delivered;
	return counts->dropped + breakpoint->filter->control->undelivered;
}

int breakpoint_read_counts(const Breakpoint *breakpoint, BreakpointCounts *ret)
{
	struct bpcond_counters counts;
	uint64_t traps;
	int r;

	/* Evaluations first: a trap between the two readings makes lost too large, never negative. */
	filter_read_counts(breakpoint->filter, &counts);
	r = event_set_read_traps(&breakpoint->events, &traps);
	if (r < 0)
		return r;
	*ret = (BreakpointCounts){
		.traps = traps,
		.evaluated = counts.evaluated,
		.hits = counts.hits,
		.rejected = counts.rejected,
		.withheld = counts.withheld,
		.faults = counts.faults,
		.dropped = count_dropped(breakpoint, &counts),
		.unsignalled = counts.unsignalled,
		.lost = traps > counts.evaluated ? traps - counts.evaluated : 0,
	};
	return 0;
}
