/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a look at the threads of a process says of the events of a set: who carries one, and what is so of
 * them.
 *
 * A look takes a while, and meanwhile threads start, end, and exchange the events that they inherited of
 * one another. Whether a thread carries an event of the set at all no exchange changes, and a list of threads
 * tells. Whether each event is on, or has its filter, is told of whole families, once each; where that
 * was missed, since the thread it stands with gave it away or ended meanwhile, nothing is known, and it is
 * for the caller to look again. Once all threads were seen outside clone(2), what is so of a family stays
 * so, and each may be proven by another look.
 */
#include <stdlib.h>

#include "daemon/bpf_attach_parts.h"
#include "daemon/util.h"

static int compare_events(const void *a, const void *b)
{
	const ThreadEvent *first = a, *second = b;

	return COMPARE(first->id, second->id);
}

/* The kernel numbers events as they are opened, and that order is kept. */
static ThreadEvent *event_set_find(const EventSet *set, uint64_t id)
{
	const ThreadEvent key = {.id = id};

	if (set->n_events == 0)
		return NULL;
	return bsearch(&key, set->events, set->n_events, sizeof(key), compare_events);
}

/* What its reader could not see is taken for what event_set_open has made sure of. */
static bool should_be_covered(const EventSet *set, const struct task_facts *task)
{
	if (task->facts & TASK_EXITING)
		return false;
	for (size_t i = 0; !set->inherited && i < set->n_events; i++)
		if (set->events[i].tid == (pid_t)task->tid)
			return true;
	return set->inherited;
}

bool event_set_covers(const EventSet *set, const struct task_facts *task)
{
	if (task->facts & TASK_EVENTS_UNKNOWN)
		return should_be_covered(set, task);
	for (size_t i = 0; i < task->n_events; i++)
		if (event_set_find(set, task->events[i].id))
			return true;
	return false;
}

size_t event_set_count_threads(const EventSet *set, const TaskFactsList *tasks)
{
	size_t n = 0;

	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (event_set_covers(set, &tasks->tasks[i]))
			n++;
	return n;
}

void event_set_note(EventSet *set, const TaskFactsList *tasks)
{
	for (size_t i = 0; i < set->n_events; i++) {
		set->events[i].carried = false;
		set->events[i].family = 0;
	}
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct task_facts *task = &tasks->tasks[i];

		for (size_t e = 0; e < task->n_events; e++) {
			ThreadEvent *event = event_set_find(set, task->events[e].id);

			if (!event)
				continue;
			event->carried = true;
			event->family |= task->events[e].facts;
		}
	}
}

void event_set_forget(EventSet *set)
{
	for (size_t i = 0; i < set->n_events; i++)
		set->events[i].proven = false;
}

bool event_set_prove(EventSet *set, uint32_t wrong)
{
	bool all = true;

	for (size_t i = 0; i < set->n_events; i++) {
		ThreadEvent *event = &set->events[i];

		if (event->family & TASK_EVENT_FAMILY && !(event->family & wrong))
			event->proven = true;
		all = all && (event->proven || !event->carried);
	}
	return all;
}

bool event_set_any(const EventSet *set, uint32_t wrong)
{
	for (size_t i = 0; i < set->n_events; i++)
		if (set->events[i].family & wrong)
			return true;
	return false;
}

EventSetState event_set_state(EventSet *set, const TaskFactsList *tasks, bool on)
{
	const uint32_t wrong = on ? TASK_EVENT_ANY_DISABLED : TASK_EVENT_ANY_ENABLED;

	event_set_note(set, tasks);
	event_set_forget(set);
	if (event_set_any(set, wrong))
		return EVENT_SET_IS_NOT;
	return event_set_prove(set, wrong) ? EVENT_SET_IS : EVENT_SET_UNSEEN;
}
