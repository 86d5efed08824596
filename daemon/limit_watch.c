/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/breakpoint.h"
#include "daemon/limit_watch.h"
#include "daemon/session.h"

/* How often breakpoints with a limit are looked at, to disable those that have reached it. The
 * filter itself is exact; this only ends the cost of their traps. */
#define CHECK_USEC 250000

/* Disables what has reached its limit. Return: whether any breakpoint still may. */
static bool check_limits(Broker *broker)
{
	bool wanted = false;

	for (Session *session = broker->sessions; session; session = session->next) {
		for (Breakpoint *at = session->breakpoints; at; at = at->next) {
			if (!at->enabled || !at->spec->limit)
				continue;
			if (!breakpoint_has_reached_limit(at)) {
				wanted = true;
				continue;
			}
			breakpoint_disable(at);
			broker->hooks.on_breakpoint_disabled(at, broker->hooks.userdata);
		}
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

	if (!broker->limit_timer)
		return sd_event_add_time_relative(broker->event, &broker->limit_timer,
						  CLOCK_MONOTONIC, CHECK_USEC, CHECK_USEC / 10,
						  on_limit_timer, broker);
	r = sd_event_source_set_time_relative(broker->limit_timer, CHECK_USEC);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(broker->limit_timer, SD_EVENT_ON);
}
