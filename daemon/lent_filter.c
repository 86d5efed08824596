/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "daemon/authority.h"
#include "daemon/lent_filter.h"
#include "daemon/process.h"
#include "daemon/store.h"
#include "daemon/store_object.h"
#include "daemon/supported.h"
#include "daemon/util.h"

static bool has_one_identity(const struct task_facts *task, uid_t uid,
			     const struct task_facts *first)
{
	return task->ruid == uid && task->euid == uid && task->suid == uid &&
	       task->rgid == first->rgid && task->egid == first->rgid &&
	       task->sgid == first->rgid && task->userns == first->userns;
}

/* Whose tasks the filter may look at: the borrower's own, by the ids of all his threads, and with no
 * capability that one of them lacks. */
static int describe_borrower(Broker *broker, const SessionOwner *owner, bool only_when_traced,
			     FilterLoan *ret, Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	uint64_t caps = UINT64_MAX;
	int scope, r;

	/* The kernel asks the borrower's events for less than ptrace would, and nothing of Yama. */
	scope = authority_yama_scope();
	if (scope < 0)
		return scope;
	if (scope > 1)
		return refuse(refusal, REFUSED_NOT_AUTHORIZED,
			      "kernel.yama.ptrace_scope is %d, which leaves debugging to "
			      "administrators: have one set it to 1 or 0.",
			      scope);
	r = process_look(owner->process, broker->reader, &tasks, refusal);
	if (r == REFUSED_TARGET_EXITED)
		return refuse(
			refusal, REFUSED_NOT_AUTHORIZED,
			"The process that opened this bus connection has exited, so its rights "
			"cannot be told: connect anew.");
	if (r != 0)
		return r;
	for (size_t i = 0; i < tasks.n_tasks; i++) {
		const struct task_facts *task = &tasks.tasks[i];

		if (!has_one_identity(task, owner->uid, &tasks.tasks[0]))
			return refuse(refusal, REFUSED_NOT_AUTHORIZED,
				      "Thread %u of the borrower has other user or group ids than "
				      "its bus connection: borrow from a process with one user id "
				      "and one group id.",
				      task->tid);
		caps &= task->caps_permitted;
	}
	*ret = (FilterLoan){
		.borrower_uid = owner->uid,
		.borrower_gid = tasks.tasks[0].rgid,
		.borrower_userns = tasks.tasks[0].userns,
		.borrower_caps = caps,
		.borrower_start = scope == 1 ? tasks.tasks[0].start_time : 0,
		.only_when_traced = only_when_traced,
	};
	return 0;
}

static int check_capture(const Spec *spec, uint64_t ring_bytes, Refusal *refusal)
{
	if (ring_bytes || (!spec->capture_registers && !spec->n_pieces && !spec->capture_stack))
		return 0;
	return refuse(
		refusal, REFUSED_INVALID_SPEC,
		"$.capture: what is captured goes into a ring of hits, and none is asked for; "
		"add \"hits-bytes\", or leave this out");
}

LentFilter *lent_filter_discard(LentFilter *lent)
{
	if (!lent)
		return NULL;
	store_release(lent->broker->store, &lent->box);
	filter_free(lent->filter);
	spec_free(lent->spec);
	close_fd(lent->ring_fd);
	charge_release(lent->charge);
	free(lent);
	return NULL;
}

/* Return: as charge_new. */
static int take_charge(Broker *broker, uid_t uid, uint64_t ring_bytes, Charge **ret,
		       Refusal *refusal)
{
	QuotaAmounts amounts = {};

	amounts.of[QUOTA_LENT_FILTERS] = 1;
	amounts.of[QUOTA_RING_BYTES] = ring_bytes;
	return charge_new(broker->charges, uid, &amounts, ret, refusal);
}

/* Whatever the borrower is handed he may keep. */
static int name_charge(const LentFilter *lent)
{
	const Filter *filter = lent->filter;
	const ChargeNames names = {
		.program_fd = filter->program_fd,
		.map_fds = {filter->counters_fd, filter->parameters_fd, filter->counter_fd,
			    lent->ring_fd},
		.shared_ring_fd = -EBADF,
	};

	return charge_name(lent->charge, &names);
}

static int build(LentFilter *lent, const FilterLoan *loan, Refusal *refusal)
{
	Broker *broker = lent->broker;
	int r;

	if (lent->ring_bytes) {
		lent->ring_fd = filter_ring_new(lent->ring_bytes);
		if (lent->ring_fd < 0)
			return lent->ring_fd;
	}
	r = filter_new_lent(broker->engine, lent->spec, loan, lent->number, lent->ring_fd,
			    &lent->filter, refusal);
	if (r != 0)
		return r;
	r = name_charge(lent);
	if (r < 0)
		return r;
	filter_set_state(lent->filter, FILTER_ENABLED);
	return store_lent_filter(lent, refusal);
}

int lent_filter_new(Broker *broker, const SessionOwner *owner, const char *text, size_t length,
		    uint64_t ring_bytes, bool only_when_traced, LentFilter **ret, Refusal *refusal)
{
	FilterLoan loan = {};
	LentFilter *lent;
	Charge *charge;
	Spec *spec;
	int r;

	if (ring_bytes) {
		r = filter_check_ring_bytes(ring_bytes, refusal);
		if (r != 0)
			return r;
	}
	r = supported_lent(broker_features(broker), ring_bytes != 0, only_when_traced, refusal);
	if (r != 0)
		return r;
	r = describe_borrower(broker, owner, only_when_traced, &loan, refusal);
	if (r != 0)
		return r;
	r = spec_parse_lent(text, length, &spec, refusal);
	if (r != 0)
		return r;
	r = check_capture(spec, ring_bytes, refusal);
	if (r == 0)
		r = take_charge(broker, owner->uid, ring_bytes, &charge, refusal);
	if (r != 0) {
		spec_free(spec);
		return r;
	}
	lent = calloc(1, sizeof(*lent));
	if (lent) {
		lent->broker = broker;
		lent->owner = *owner;
		lent->spec = spec;
		lent->ring_fd = -EBADF;
		lent->ring_bytes = ring_bytes;
		lent->charge = charge;
		lent->number = ++broker->last_lent_filter;
		r = build(lent, &loan, refusal);
	} else {
		spec_free(spec);
		charge_release(charge);
		r = -ENOMEM;
	}
	if (r != 0) {
		lent_filter_discard(lent);
		return r;
	}
	lent->next = broker->lent_filters;
	broker->lent_filters = lent;
	*ret = lent;
	return 0;
}

/* Out of the broker's list. */
static void take_out(LentFilter *lent)
{
	LentFilter **at;

	for (at = &lent->broker->lent_filters; *at != lent; at = &(*at)->next)
		;
	*at = lent->next;
}

void lent_filter_end(LentFilter *lent, SessionEnd end)
{
	BrokerHooks *hooks = &lent->broker->hooks;

	filter_set_state(lent->filter, FILTER_REVOKED);
	hooks->on_filter_returned(lent, end, hooks->userdata);
	take_out(lent);
	lent_filter_discard(lent);
}

void lent_filter_leave(LentFilter *lent)
{
	take_out(lent);
	store_leave(&lent->box);
	lent->filter = filter_leave(lent->filter);
	lent_filter_discard(lent);
}

int lent_filter_adopt(LentFilter *lent)
{
	Broker *broker = lent->broker;
	QuotaAmounts amounts = {};
	int r;

	amounts.of[QUOTA_LENT_FILTERS] = 1;
	amounts.of[QUOTA_RING_BYTES] = lent->ring_bytes;
	r = charge_restore(broker->charges, lent->owner.uid, &amounts, &lent->charge);
	if (r == 0)
		r = name_charge(lent);
	if (r < 0)
		return r;
	lent->next = broker->lent_filters;
	broker->lent_filters = lent;
	return 0;
}

LentFilter *lent_filter_find(const Broker *broker, uint32_t number)
{
	for (LentFilter *at = broker->lent_filters; at; at = at->next)
		if (at->number == number)
			return at;
	return NULL;
}
