/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bpcond/bpcond.h"
#include "daemon/bpf_ring.h"
#include "daemon/hit_signals.h"
#include "daemon/log.h"
#include "daemon/util.h"

#define SECOND_USEC 1000000ULL

/* Behind calls, as what is forwarded. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

/* What one turn of the loop takes out of the ring at the most, and the pause between two. */
#define TURN_RECORDS 256
#define TURN_USEC    1000

/* The pause of a user who has no time left: very many connections may listen. */
#define OVERDRAWN_USEC 100000

struct HitSignals {
	Session *session; /* borrowed: the owner */
	HitRing *ring;
	sd_event_source *ring_source, *timer;
	/* When the last ten were sent, the oldest at `oldest`; 0: not so many yet. */
	uint64_t sent_usec[HIT_SIGNALS_A_SECOND];
	unsigned oldest;
	bool discards; /* the rest of what was there when the ten were sent */
};

/* Return: 0 when one more may be sent; else when, by now_usec(). */
static uint64_t next_usec(const HitSignals *signals)
{
	uint64_t oldest = signals->sent_usec[signals->oldest];

	if (oldest == 0 || now_usec() - oldest >= SECOND_USEC)
		return 0;
	return oldest + SECOND_USEC;
}

static void visit(const struct bpcond_hit *hit, void *userdata)
{
	_cleanup_free_ char *json = NULL;
	HitSignals *signals = userdata;
	Session *session = signals->session;
	const BrokerHooks *hooks = &session->broker->hooks;
	bool told = false;

	if (!signals->discards && bpcond_hit_to_json(hit, &json) == 0)
		told = hooks->on_hit(session, hit->breakpoint, json, hooks->userdata);
	session_count_hit(session, hit->breakpoint, told);
	if (!told)
		return;
	signals->sent_usec[signals->oldest] = now_usec();
	signals->oldest = (signals->oldest + 1) % HIT_SIGNALS_A_SECOND;
}

static int rest_until(HitSignals *signals, uint64_t usec)
{
	int r;

	r = sd_event_source_set_enabled(signals->ring_source, SD_EVENT_OFF);
	if (r < 0)
		return r;
	r = sd_event_source_set_time(signals->timer, usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(signals->timer, SD_EVENT_ONESHOT);
}

/* Return: 0; negative errno, and nothing more is told. */
static int turn(HitSignals *signals)
{
	uint64_t usec = 0;
	int r = 1;

	for (unsigned i = 0; i < TURN_RECORDS && r > 0; i++) {
		usec = next_usec(signals);
		/* What has come meanwhile is not kept for the next second, or signals would fall
		 * behind what they tell. */
		signals->discards = usec != 0;
		r = hit_ring_next(signals->ring, visit, signals);
	}
	if (r < 0)
		return r;
	if (r > 0)
		return rest_until(signals, now_usec() + TURN_USEC);
	usec = next_usec(signals);
	if (usec)
		return rest_until(signals, usec);
	return sd_event_source_set_enabled(signals->ring_source, SD_EVENT_ON);
}

static int go_on(HitSignals *signals)
{
	const unsigned long long before = work_usec(), now = now_usec();
	RateTable *rates = signals->session->broker->rates;
	const uid_t uid = signals->session->owner.uid;
	int r;

	if (rate_is_overdrawn(rates, uid, now))
		r = rest_until(signals, now + OVERDRAWN_USEC);
	else
		r = turn(signals);
	rate_charge(rates, uid, work_usec() - before);
	if (r < 0) {
		log_error("cannot tell the hits of session %u any more: %s",
			  signals->session->number, strerror(-r));
		hit_signals_pause(signals);
	}
	return 0;
}

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	return go_on(userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	return go_on(userdata);
}

int hit_signals_new(Session *session, HitSignals **ret)
{
	sd_event *event = session->broker->event;
	HitSignals *signals = calloc(1, sizeof(*signals));
	int r;

	if (!signals)
		return -ENOMEM;
	signals->session = session;
	r = hit_ring_new(session->ring_fd, &signals->ring);
	if (r >= 0)
		r = sd_event_add_io(event, &signals->ring_source, session->ring_fd, EPOLLIN,
				    on_ring, signals);
	if (r >= 0)
		r = sd_event_add_time(event, &signals->timer, CLOCK_MONOTONIC, UINT64_MAX, 10000,
				      on_timer, signals);
	if (r >= 0)
		r = sd_event_source_set_priority(signals->ring_source, PRIORITY);
	if (r >= 0)
		r = sd_event_source_set_priority(signals->timer, PRIORITY);
	if (r >= 0)
		r = hit_signals_pause(signals);
	if (r < 0) {
		hit_signals_free(signals);
		return r;
	}
	*ret = signals;
	return 0;
}

int hit_signals_resume(HitSignals *signals)
{
	return sd_event_source_set_enabled(signals->ring_source, SD_EVENT_ON);
}

int hit_signals_pause(HitSignals *signals)
{
	int r;

	r = sd_event_source_set_enabled(signals->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(signals->ring_source, SD_EVENT_OFF);
}

HitSignals *hit_signals_free(HitSignals *signals)
{
	if (!signals)
		return NULL;
	sd_event_source_disable_unref(signals->ring_source);
	sd_event_source_disable_unref(signals->timer);
	hit_ring_free(signals->ring);
	free(signals);
	return NULL;
}
