/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two tallies side by side: what the daemon and the kernel say, and what the target did by its own
 * account (watch.c). Nobody works while they are compared, so all counts must be exact; of a target that
 * was killed, to the round that it was in. Only what a daemon took with it when it ended is compared as
 * far as it went.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/worker.h"
#include "tests/support/process.h"

enum {
	STEP_US = 2000,
};

void hold_expect(Hold *hold, bool complete)
{
	PacedPage page;

	if (hold->kind == HOLD_LENT)
		prey_first_thread(hold->prey, &page);
	else
		page = *hold->prey->page;
	for (unsigned i = 0; i < hold->n_items; i++)
		watch_ran(&hold->items[i]->watch, &page, complete);
}

static void from_counters(const struct bpcond_counters *counters, WatchCounts *ret)
{
	*ret = (WatchCounts){
		.traps = counters->evaluated,
		.evaluated = counters->evaluated,
		.hits = counters->hits,
		.rejected = counters->rejected,
		.withheld = counters->withheld,
		.faults = counters->faults,
		.dropped = counters->dropped,
	};
}

/* As the kernel's page has them, which no daemon is needed for. */
static void read_page(const Hold *hold, const Item *item, WatchCounts *ret)
{
	struct bpcond_counters counters;

	if (hold->kind == HOLD_LENT)
		bpcond_filter_counters(hold->filter, &counters);
	else
		bpcond_breakpoint_counters(item->breakpoint, &counters);
	from_counters(&counters, ret);
}

static int read_counts(Worker *worker, const Hold *hold, const Item *item, WatchCounts *ret)
{
	bpcond_counts counts;
	uint64_t traps;
	int r;

	if (hold->kind == HOLD_LINGERING)
		return linger_counts(worker, item->path, ret);
	if (hold->kind == HOLD_LENT) {
		if (read(hold->event_fd, &traps, sizeof(traps)) != sizeof(traps))
			worker_fail(worker, "reading an event: %s", strerror(errno));
		read_page(hold, item, ret);
		ret->lost = traps - ret->evaluated;
		ret->traps = traps;
		return 0;
	}
	r = bpcond_breakpoint_counts(item->breakpoint, &counts);
	if (r < 0)
		return r;
	*ret = (WatchCounts){counts.traps,    counts.evaluated,   counts.hits,
			     counts.rejected, counts.withheld,    counts.faults,
			     counts.dropped,  counts.unsignalled, counts.lost};
	return 0;
}

/* What was read and what was dropped is what was hit. A sink fills a moment later. */
static void compare_records(Worker *worker, Hold *hold, Item *item, WatchCounts *counts)
{
	int64_t deadline = now_ms() + WORKER_PATIENCE_MS;

	if (hold->kind == HOLD_LINGERING)
		return;
	while (item->records + counts->dropped != counts->hits) {
		if (now_ms() > deadline || item->records + counts->dropped > counts->hits)
			worker_fail(worker,
				    "%s, breakpoint %u: %" PRIu64 " records and %" PRIu64
				    " dropped are not %" PRIu64 " hits (kind %u, %s)",
				    hold->path, item->number, item->records, counts->dropped,
				    counts->hits, hold->kind,
				    hold->prey->killed ? "target killed" : "target lives");
		usleep(STEP_US);
		hold_read(worker, hold);
		if (read_counts(worker, hold, item, counts) < 0)
			return; /* an end came in between: the next comparison sees it */
		hold_read(worker, hold);
	}
}

static void compare_item(Worker *worker, Hold *hold, Item *item, WatchCounts *counts, bool exact)
{
	uint64_t lost = counts->lost - item->watch.lost;
	const char *wrong;

	wrong = watch_compare(&item->watch, counts, exact);
	if (wrong)
		worker_fail(worker, "%s, breakpoint %u (kind %u, %s): %s", hold->path, item->number,
			    hold->kind, hold->prey->killed ? "target killed" : "target lives",
			    wrong);
	soak_count(worker->soak, exact ? SOAK_EXACT : SOAK_BOUNDED, 1);
	soak_count(worker->soak, SOAK_LOST, lost);
}

/* Waits for the end that is due, and reads what there was before it. Return: whether the daemon has given
 * its last word, and so the last counts. */
static bool wait_end(Worker *worker, Hold *hold)
{
	int64_t deadline = now_ms() + WORKER_PATIENCE_MS;

	while (bpcond_session_end(hold->session) == BPCOND_RUNNING) {
		hold_read(worker, hold);
		if (now_ms() > deadline)
			worker_fail(worker, "%s: nobody tells that its target was killed",
				    hold->path);
		usleep(STEP_US);
	}
	while (hold->kind == HOLD_FORWARD && !hold->sink_ended) {
		hold_read(worker, hold);
		if (now_ms() > deadline)
			worker_fail(worker, "%s: its sink is not closed", hold->path);
		usleep(STEP_US);
	}
	hold_read(worker, hold);
	return bpcond_session_end(hold->session) == BPCOND_TARGET_EXITED;
}

/* The last comparison of what ended without a last word of the daemon. */
static void compare_remains(Worker *worker, Hold *hold)
{
	WatchCounts counts;

	if (hold->kind == HOLD_LINGERING)
		return;
	hold_read(worker, hold);
	for (unsigned i = 0; i < hold->n_items; i++) {
		Item *item = hold->items[i];

		read_page(hold, item, &counts);
		compare_item(worker, hold, item, &counts, false);
		/* what was under way to a sink is nowhere */
		if (hold->kind == HOLD_FORWARD ? item->records + counts.dropped > counts.hits
					       : item->records + counts.dropped != counts.hits)
			worker_fail(worker,
				    "%s, breakpoint %u: %" PRIu64 " records and %" PRIu64
				    " dropped of %" PRIu64 " hits, after the daemon's end",
				    hold->path, item->number, item->records, counts.dropped,
				    counts.hits);
	}
}

/* Whether a daemon has ended since it was last seen well, so that it may be gone. */
static bool may_be_gone(const Worker *worker, const Hold *hold)
{
	return atomic_load(&worker->soak->disturbances) != hold->seen_disturbances;
}

/* Whether it outlives what has happened to the daemon. Nobody knows how much a daemon that was killed had
 * delivered of what it had in hand, so what it forwarded is closed. */
static bool outlives(const Worker *worker, const Hold *hold)
{
	if (!worker->soak->survives)
		return false;
	return hold->kind != HOLD_FORWARD || atomic_load(&worker->soak->kills) == hold->seen_kills;
}

/* Compares the items. Return: 0; the negative errno of what is gone. */
static int compare_items(Worker *worker, Hold *hold)
{
	WatchCounts counts;
	int r;

	for (unsigned i = 0; i < hold->n_items; i++) {
		Item *item = hold->items[i];

		hold_read(worker, hold);
		r = read_counts(worker, hold, item, &counts);
		while (r == -EDQUOT && worker_excuses(worker, r, "reading counts"))
			r = read_counts(worker, hold, item, &counts);
		if (r < 0)
			return r;
		hold_read(worker, hold);
		compare_records(worker, hold, item, &counts);
		soak_count(worker->soak, SOAK_EVALUATED,
			   counts.evaluated - item->watch.compared.evaluated);
		soak_count(worker->soak, SOAK_HITS, counts.hits - item->watch.compared.hits);
		soak_count(worker->soak, SOAK_DROPPED,
			   counts.dropped - item->watch.compared.dropped);
		compare_item(worker, hold, item, &counts, true);
	}
	return 0;
}

/* Of a session that has ended, or of what its daemon took with it. */
static void compare_and_close(Worker *worker, Hold *hold)
{
	compare_remains(worker, hold);
	hold_close(worker, hold);
}

static bool has_ended(const Hold *hold)
{
	return hold->session && bpcond_session_end(hold->session) != BPCOND_RUNNING;
}

void hold_compare(Worker *worker, Hold *hold)
{
	int r;

	if (hold->prey->killed && hold->session) {
		if (!wait_end(worker, hold)) {
			if (!may_be_gone(worker, hold))
				worker_fail(worker, "%s: it ended otherwise than by its target",
					    hold->path);
			compare_and_close(worker, hold);
			return;
		}
	} else if (may_be_gone(worker, hold)) {
		/* Who looks while the daemon is away sees what it cannot do, not what it has kept. */
		worker_wait_settled(worker);
		hold_read(worker, hold);
		if (!outlives(worker, hold) && hold->kind == HOLD_LENT) {
			compare_and_close(worker, hold);
			return;
		}
	}
	if (has_ended(hold) && !hold->prey->killed) {
		if (outlives(worker, hold) || !may_be_gone(worker, hold))
			worker_fail(worker, "%s has ended (%d), and its target has not", hold->path,
				    bpcond_session_end(hold->session));
		compare_and_close(worker, hold);
		return;
	}
	if (hold->kind == HOLD_LINGERING && hold->prey->killed) {
		hold_close(worker, hold);
		return;
	}
	r = compare_items(worker, hold);
	for (int i = 0; r < 0 && may_be_gone(worker, hold) && outlives(worker, hold) && i < 3;
	     i++) {
		worker_excuses(worker, r, "reading counts");
		worker_wait_settled(worker);
		r = compare_items(worker, hold);
	}
	if (r < 0) {
		/* A target that ended while no daemon was there has nobody to say the last word. */
		if (!may_be_gone(worker, hold) || (outlives(worker, hold) && !hold->prey->killed))
			worker_fail(worker, "%s: reading counts: %s (%s)", hold->path, strerror(-r),
				    bpcond_client_error(worker->client)->message);
		compare_and_close(worker, hold);
		return;
	}
	if (may_be_gone(worker, hold)) {
		soak_count(worker->soak, SOAK_SURVIVED, outlives(worker, hold));
		hold->seen_kills = worker->seen_kills;
		hold->seen_disturbances = worker->seen_disturbances;
	}
	if (hold->prey->killed)
		hold_close(worker, hold);
}
