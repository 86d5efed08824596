/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two ways to put events on all threads of a process have in common: bpf_attach.c, which sees the
 * threads' events, and bpf_attach_still.c for kernels where nobody does. For these two only.
 */
#ifndef BPF_ATTACH_PARTS_H
#define BPF_ATTACH_PARTS_H

#include <linux/perf_event.h>

#include "daemon/bpf_attach.h"

/* Notes of each event whether a thread among `tasks` carries it, and what is so of its family. */
void event_set_note(EventSet *set, const TaskFactsList *tasks);

/* Whether any of `wrong` (enum task_event_fact) was noted of any family. */
bool event_set_any(const EventSet *set, uint32_t wrong);

/* Takes families of which nothing of `wrong` was noted for proven. Return: whether all that a thread carries
 * are, by this look or by one before. */
bool event_set_prove(EventSet *set, uint32_t wrong);
void event_set_forget(EventSet *set);

/* Makes room for so many more, and charges them. Return: 0; REFUSED_QUOTA_EXCEEDED; -ENOMEM. */
int event_set_reserve(EventSet *set, size_t n, Refusal *refusal);

/* Adds an event, which is charged already. Return: as event_set_open; -ESRCH when the thread has
 * ended. */
int event_set_add(EventSet *set, const struct perf_event_attr *attr, pid_t tid,
		  const Filter *filter, Refusal *refusal);

/* Whether the thread is to carry one: it lives, and the spec means it. */
bool attach_is_wanted(const Spec *spec, const struct task_facts *task);
int attach_check_named_threads(const Spec *spec, const TaskFactsList *tasks, pid_t pid,
			       Refusal *refusal);
int attach_refuse_too_fast(const Process *target, Refusal *refusal);

/* event_set_open, into a set that is empty but for its charge. Return: the same; on failure something may
 * be in it. */
int event_set_open_still(TaskReader *reader, const Process *target, const Spec *spec,
			 const Filter *filter, const struct perf_event_attr *attr, EventSet *set,
			 Refusal *refusal);

/* event_set_switch. */
int event_set_switch_still(EventSet *set, TaskReader *reader, pid_t pid, bool on);

#endif
