/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening, adding, changing and closing: what is done to the daemon, by chance. */
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/soak/worker.h"
#include "tests/support/machine.h"

enum {
	SPEC_BYTES = 2048,
	SINK_BYTES = 1 << 20,
};

static Item *item_free(Item *item)
{
	if (!item)
		return NULL;
	free(item->seen);
	free(item);
	return NULL;
}

static Item *add_item(Worker *worker, Hold *hold)
{
	Item *item = calloc(1, sizeof(*item));

	if (item)
		item->seen = calloc(1, WORKER_SEQUENCES / 8);
	if (!item || !item->seen)
		worker_fail(worker, "out of memory");
	hold->items[hold->n_items++] = item;
	return item;
}

static void drop_item(Hold *hold, unsigned index)
{
	item_free(hold->items[index]);
	hold->items[index] = hold->items[--hold->n_items];
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int open_session(Worker *worker, Hold *hold)
{
	bpcond_session_options options = {.size = sizeof(options), .name = "soak"};
	int ends[2] = {-EBADF, -EBADF}, r;

	options.hits_bytes = 4096ULL << random_below(&worker->random, 5);
	if (hold->kind == HOLD_FORWARD) {
		if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
			return -errno;
		fcntl(ends[1], F_SETPIPE_SZ, random_one_in(&worker->random, 2) ? 4096 : SINK_BYTES);
		hold->sink_binary = random_one_in(&worker->random, 2);
		options.forward =
			hold->sink_binary ? BPCOND_FORWARD_BINARY : BPCOND_FORWARD_JSON_LINES;
		options.forward_fd = ends[1];
	}
	r = bpcond_session_open(worker->client, hold->prey->pid, &options, &hold->session);
	if (r < 0) {
		if (ends[0] >= 0)
			close(ends[0]);
	} else {
		hold->sink_fd = ends[0];
		strncpy(hold->path, bpcond_session_path(hold->session), sizeof(hold->path) - 1);
	}
	if (ends[1] >= 0)
		close(ends[1]);
	return r;
}

static int open_event(const Hold *hold, unsigned site)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = site == WATCH_SITE_VARIABLE ? HW_BREAKPOINT_W : HW_BREAKPOINT_X,
		.bp_addr = hold->prey->addresses[site],
		.bp_len = sizeof(long),
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.disabled = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, hold->prey->pid, -1, -1,
			      PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int lend(Worker *worker, Hold *hold)
{
	bpcond_parameter parameter = {.name = "max"};
	bpcond_filter_options options = {
		.size = sizeof(options),
		.capture = "{\"registers\":[\"" ARG1 "\"]}",
	};
	char condition[SPEC_BYTES];
	unsigned site = random_below(&worker->random, PACED_SITES);
	Watch watch;
	Item *item;
	int r;

	watch_choose_lent(&watch, &worker->random, site, hold->prey->pid);
	watch_condition(&watch, condition, sizeof(condition));
	options.hits_bytes = 4096ULL << random_below(&worker->random, 4);
	options.skip = watch.skip;
	options.every = watch.every;
	options.limit = watch.limit;
	options.fault_is_rejection = !watch.fault_is_hit;
	if (watch.kind == WATCH_BELOW_PARAMETER) {
		parameter.value = watch.parameter;
		options.parameters = &parameter;
		options.n_parameters = 1;
	}
	r = bpcond_filter_lend(worker->client, condition, &options, &hold->filter);
	if (r < 0)
		return r;
	strncpy(hold->path, bpcond_filter_path(hold->filter), sizeof(hold->path) - 1);
	item = add_item(worker, hold);
	item->watch = watch;
	item->number = bpcond_filter_number(hold->filter);
	hold->event_fd = open_event(hold, site);
	if (hold->event_fd < 0)
		worker_fail(worker, "an event of one's own: %s", strerror(-hold->event_fd));
	r = bpcond_filter_attach(hold->filter, hold->event_fd);
	if (r < 0)
		worker_fail(worker, "attaching a filter: %s",
			    bpcond_client_error(worker->client)->message);
	if (ioctl(hold->event_fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		worker_fail(worker, "enabling an event: %s", strerror(errno));
	return 0;
}

bool hold_open(Worker *worker, Hold *hold, enum hold_kind kind, Prey *prey)
{
	static const enum soak_tally tallies[HOLD_KINDS] = {SOAK_SESSIONS, SOAK_FORWARDS,
							    SOAK_LINGERING, SOAK_LENT};
	int r = -EINVAL;

	*hold = (Hold){.kind = kind, .prey = prey, .event_fd = -EBADF, .sink_fd = -EBADF};
	hold->seen_disturbances = worker->seen_disturbances;
	hold->seen_kills = worker->seen_kills;
	if (kind == HOLD_LENT)
		r = lend(worker, hold);
	else if (kind == HOLD_LINGERING)
		r = linger_open(worker, prey->pid, hold->path);
	else
		r = open_session(worker, hold);
	if (r < 0) {
		hold->prey = NULL;
		worker_excuses(worker, r, "opening");
		return false;
	}
	soak_count(worker->soak, tallies[kind], 1);
	return true;
}

/* ---- Adding and removing --------------------------------------------------------------------- */

void hold_add(Worker *worker, Hold *hold, bool full)
{
	unsigned site = random_below(&worker->random, PACED_SITES);
	char text[SPEC_BYTES];
	Item *item;
	int r;

	if (hold->kind == HOLD_LENT || hold->n_items == WORKER_SLOTS)
		return;
	item = add_item(worker, hold);
	watch_choose(&item->watch, &worker->random, site, hold->prey->addresses[site],
		     hold->prey->pid);
	watch_spec(&item->watch, text, sizeof(text));
	if (hold->kind == HOLD_LINGERING) {
		r = linger_add(worker, hold->path, text, item->path);
	} else {
		r = bpcond_session_add(hold->session, text, &item->breakpoint);
		if (r >= 0)
			item->number = bpcond_breakpoint_number(item->breakpoint);
	}
	/* what held the others may just have gone with a daemon */
	if (r >= 0 && full && !worker_is_disturbed(worker))
		worker_fail(worker, "%s: a fifth breakpoint was not refused", hold->path);
	if (r < 0) {
		drop_item(hold, hold->n_items - 1);
		if (r == -ENOSPC && full)
			soak_count(worker->soak, SOAK_NO_SLOT, 1);
		else
			worker_excuses(worker, r, "AddBreakpoint");
		return;
	}
	if (item->watch.kind == WATCH_BELOW_PARAMETER)
		item->watch.parameter = 50;
	soak_count(worker->soak, SOAK_ADDED, 1);
}

void hold_remove(Worker *worker, Hold *hold, unsigned index)
{
	Item *item = hold->items[index];
	int r;

	if (hold->kind == HOLD_LENT)
		return;
	if (hold->kind == HOLD_LINGERING) {
		r = linger_call(worker, item->path, "org.bpcond1.Breakpoint", "Remove");
		if (r < 0 && worker_excuses(worker, r, "Remove") && !worker_is_disturbed(worker))
			return; /* put off by the limits: it is there still */
	} else {
		r = bpcond_breakpoint_remove(item->breakpoint);
		if (r < 0) {
			/* For the library it is gone, for the daemon perhaps not. */
			worker_excuses(worker, r, "Remove");
			drop_item(hold, index);
			hold_close(worker, hold);
			return;
		}
	}
	drop_item(hold, index);
	soak_count(worker->soak, SOAK_REMOVED, 1);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static void change_parameter(Worker *worker, Hold *hold, Item *item)
{
	int64_t value = random_below(&worker->random, 120);
	int r;

	if (hold->kind == HOLD_LENT)
		r = bpcond_filter_set_parameter(hold->filter, "max", value);
	else if (hold->kind == HOLD_LINGERING)
		r = linger_set_parameter(worker, item->path, "max", (uint64_t)value);
	else
		r = bpcond_breakpoint_set_parameter(item->breakpoint, "max", value);
	if (r < 0) {
		worker_excuses(worker, r, "SetParameter");
		/* nobody knows which value is in force */
		hold_close(worker, hold);
		return;
	}
	item->watch.parameter = value;
	soak_count(worker->soak, SOAK_PARAMETERS, 1);
}

static void switch_item(Worker *worker, Hold *hold, Item *item, bool on)
{
	int r;

	if (hold->kind == HOLD_LINGERING)
		r = linger_call(worker, item->path, "org.bpcond1.Breakpoint",
				on ? "Enable" : "Disable");
	else if (on)
		r = bpcond_breakpoint_enable(item->breakpoint);
	else
		r = bpcond_breakpoint_disable(item->breakpoint);
	if (r < 0) {
		worker_excuses(worker, r, on ? "Enable" : "Disable");
		hold_close(worker, hold);
		return;
	}
	if (on)
		watch_enable(&item->watch);
	else
		item->watch.enabled = false;
	soak_count(worker->soak, SOAK_SWITCHED, 1);
}

void hold_change(Worker *worker, Hold *hold)
{
	Item *item;

	if (hold->n_items == 0)
		return;
	item = hold->items[random_below(&worker->random, hold->n_items)];
	if (item->watch.kind == WATCH_BELOW_PARAMETER && random_one_in(&worker->random, 2))
		change_parameter(worker, hold, item);
	else if (hold->kind != HOLD_LENT)
		switch_item(worker, hold, item, random_one_in(&worker->random, 2));
}

/* ---- Closing --------------------------------------------------------------------------------- */

void hold_close(Worker *worker, Hold *hold)
{
	if (!hold->prey)
		return;
	/* It may be gone, or go with its target; or still be there, when the daemon ended within the
	 * call. */
	if (hold->kind == HOLD_LINGERING && !hold->prey->killed &&
	    linger_call(worker, hold->path, "org.bpcond1.Session", "Close") < 0 &&
	    worker_is_disturbed(worker))
		worker->doubtful = true;
	bpcond_session_free(hold->session);
	if (hold->event_fd >= 0)
		close(hold->event_fd);
	bpcond_filter_free(hold->filter);
	if (hold->sink_fd >= 0)
		close(hold->sink_fd);
	free(hold->bytes);
	while (hold->n_items > 0)
		drop_item(hold, 0);
	*hold = (Hold){.event_fd = -EBADF, .sink_fd = -EBADF};
}
