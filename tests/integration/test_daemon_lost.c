/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon dies under its clients: what was hit before can be read, nothing that does not satisfy
 * the condition appears, the loss is told within a second, and whoever took the events goes on.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

static bpcond_client *client;
static bpcond_session *session;
static bpcond_breakpoint *breakpoint;

static void arm(const Target *target, int events)
{
	bpcond_request request = {
		.size = sizeof(request),
		.location = "loop_work",
		.condition = "$" ARG1 " % 100 == 42",
		.registers = ARG1,
		.events = events,
	};

	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_msg(bpcond_client_connect(client, NULL) == 0 &&
			      bpcond_session_open(client, target->pid, NULL, &session) == 0 &&
			      bpcond_session_break(session, &request, &breakpoint) == 0,
		      "%s", bpcond_client_error(client)->message);
}

static void check_hit(const struct bpcond_hit *hit)
{
	uint64_t number;

	ck_assert_int_eq(bpcond_hit_register(hit, REG_ARG1, &number), 0);
	ck_assert_uint_eq(number % 100, 42);
	ck_assert_uint_eq(hit->flags, 0);
}

START_TEST(loss_while_hits_stream)
{
	struct bpcond_counters counters;
	const struct bpcond_hit *hit;
	uint64_t records = 0;
	int64_t killed_at;
	Target target;
	int r;

	target_start(&target, "loop", NULL, NULL);
	arm(&target, 0);
	target_send(&target, "call 200000");
	while (records < 100) {
		r = bpcond_session_wait(session, 10000, &hit);
		ck_assert_int_eq(r, 1);
		check_hit(hit);
		records++;
	}
	ck_assert_int_eq(helper_end_daemon(SIGKILL), 128 + SIGKILL);
	killed_at = now_ms();
	for (;;) {
		r = bpcond_session_wait(session, 5000, &hit);
		if (r != 1)
			break;
		check_hit(hit);
		records++;
	}
	ck_assert_int_eq(r, -ECONNRESET);
	ck_assert_int_lt(now_ms() - killed_at, 1000);
	ck_assert_int_eq(bpcond_session_end(session), BPCOND_DAEMON_LOST);

	/* every hit that was counted was read */
	target_answer(&target, "called");
	while (bpcond_session_wait(session, 0, &hit) == 1)
		records++;
	bpcond_breakpoint_counters(breakpoint, &counters);
	ck_assert_uint_eq(counters.hits, records + counters.dropped);
	ck_assert_uint_eq(counters.evaluated, counters.hits + counters.rejected);
	bpcond_client_free(client);

	/* a new daemon serves the same client and target */
	helper_start_daemon();
	arm(&target, 0);
	target_ask(&target, "called", "call 100");
	ck_assert_int_eq(bpcond_session_wait(session, 5000, &hit), 1);
	check_hit(hit);
	bpcond_client_free(client);
}
END_TEST

START_TEST(taken_events_go_on)
{
	if (bus_signals_are_refused())
		return;

	const struct bpcond_hit *hit;
	bpcond_event *events = NULL;
	size_t n_events = 0;
	int hits = 0, losses = 0, r;
	int64_t killed_at;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	arm(&target, 1);
	ck_assert_msg(bpcond_breakpoint_take_events(breakpoint, &events, &n_events) == 0, "%s",
		      bpcond_client_error(client)->message);
	ck_assert_uint_eq(n_events, 1);
	ck_assert_int_eq(events[0].tid, target.pid);

	ck_assert_int_eq(helper_end_daemon(SIGKILL), 128 + SIGKILL);
	killed_at = now_ms();
	do
		r = bpcond_session_wait(session, 5000, &hit);
	while (r >= 0 && now_ms() - killed_at < 5000);
	ck_assert_int_eq(r, -ECONNRESET);
	ck_assert_int_lt(now_ms() - killed_at, 1000);

	/* still filtered, still delivered */
	target_ask(&target, "called", "call 1000");
	while (hits < 10) {
		r = bpcond_session_wait(session, 2000, &hit);
		if (r < 0 && losses++ == 0)
			continue;
		ck_assert_msg(r == 1, "after %d hits: %d", hits, r);
		check_hit(hit);
		hits++;
	}
	ck_assert_int_ne(bpcond_session_wait(session, 100, &hit), 1);

	/* the last descriptor ends it */
	close(events[0].fd);
	free(events);
	target_ask(&target, "called", "call 1000");
	ck_assert_int_ne(bpcond_session_wait(session, 100, &hit), 1);
	bpcond_client_free(client);
}
END_TEST

/* A stop in good order takes back what was lent: nothing is a hit any more, taken events or not. */
START_TEST(stop_revokes)
{
	if (bus_signals_are_refused())
		return;

	const struct bpcond_hit *hit;
	bpcond_event *events = NULL;
	size_t n_events = 0;
	Target target;
	int r;

	target_start(&target, "loop", NULL, NULL);
	arm(&target, 1);
	ck_assert_int_eq(bpcond_breakpoint_take_events(breakpoint, &events, &n_events), 0);
	ck_assert_int_eq(helper_end_daemon(SIGTERM), 0);
	do
		r = bpcond_session_wait(session, 2000, &hit);
	while (r == 0);
	ck_assert_int_lt(r, 0);
	target_ask(&target, "called", "call 1000");
	ck_assert_int_ne(bpcond_session_wait(session, 100, &hit), 1);
	close(events[0].fd);
	free(events);
	bpcond_client_free(client);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("daemon lost");

	integration_add(suite, "kill -9 of the daemon while hits stream", loss_while_hits_stream);
	integration_add(suite, "taken events go on without the daemon", taken_events_go_on);
	integration_add(suite, "a stop of the daemon revokes", stop_revokes);
	return integration_run(suite, argc, argv);
}
