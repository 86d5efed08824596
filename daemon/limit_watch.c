/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/breakpoint.h"
#include "daemon/limit_watch.h"
#include "daemon/session.h"
#include "daemon/util.h"

/* How often breakpoints with a limit are looked at, to disable those that have reached it. The
 * filter itself is exact; this only ends the cost of their traps. So nothing waits here: threads that were
 * being started, and may have been missed, are switched off the next times. */
#define CHECK_USEC 250000

/* Return: whether it is to be looked at again. */
static bool check_limit(Breakpoint *breakpoint)
{
	const BrokerHooks *hooks = &breakpoint->session->broker->hooks;

	if (!breakpoint->enabled) {
		if (breakpoint->switch_off_again == 0)
			return false;
		event_set_switch_off(&breakpoint->events);
		return --breakpoint->switch_off_again > 0;
	}
	if (!breakpoint_has_reached_limit(breakpoint))
		return breakpoint->spec->limit > 0;
	breakpoint_silence(breakpoint);
	hooks->on_breakpoint_disabled(breakpoint, hooks->userdata);
	return true;
}

/* Return: whether any breakpoint still may reach its limit. It is their users' time. */
static bool check_limits(Broker *broker)
{
	bool wanted = false;

	for (Session *session = broker->sessions; session; session = session->next) {
		unsigned long long before = work_usec();

		for (Breakpoint *at = session->breakpoints; at; at = at->next)
			wanted |= check_limit(at);
		rate_charge(broker->rates, session->owner.uid, work_usec() - before);
	}
	return wanted;
}

static int on_limit_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	Broker *broker = userdata;

	if (!check_limits(broker))
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return sd_event_source_set_time_relative(source, CHECK_USEC);
}

int limit_watch_start(Broker *broker)
{
	int r;

	/* One that runs is not put off, or whoever enables and enables would keep it from everybody. */
	if (!broker->limit_timer)
		r = sd_event_add_time_relative(broker->event, &broker->limit_timer, CLOCK_MONOTONIC,
					       CHECK_USEC, CHECK_USEC / 10, on_limit_timer, broker);
	else if (sd_event_source_get_enabled(broker->limit_timer, NULL) > 0)
		return 0;
	else
		r = sd_event_source_set_time_relative(broker->limit_timer, CHECK_USEC);
	if (r < 0)
		return r;
	/* A new timer is for one time only. */
	return sd_event_source_set_enabled(broker->limit_timer, SD_EVENT_ON);
}
