/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts a filter on the threads of a process: one hardware breakpoint event a thread, inherited by
 * the threads that it starts later. Who may have this done is not asked here: events are opened
 * disabled, and whoever enables them has asked.
 */
#ifndef BPF_ATTACH_H
#define BPF_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/bpf_filter.h"
#include "daemon/task_reader.h"
#include "daemon/charge.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "daemon/spec.h"

/* One thread's event. Threads that it starts later share it. */
typedef struct ThreadEvent {
	pid_t tid;
	int event_fd;
	uint64_t id; /* PERF_EVENT_IOC_ID */
	bool taken;  /* a client has been handed it, and may keep it */
	/* At the last look: whether a thread carries it, and enum task_event_fact of its family. */
	bool carried;
	uint32_t family;
	bool proven; /* the family is as it should be, and stays so */
} ThreadEvent;

/* All events of one breakpoint. */
typedef struct EventSet {
	ThreadEvent *events;
	size_t n_events;
	Charge *charge; /* not owned; each event is counted */
	bool inherited; /* by threads that are started later */
} EventSet;

/*
 * Opens the events of a breakpoint, disabled, with the filter attached, such that each thread of the
 * process that the spec names carries exactly one: with "all", also each that is being started meanwhile.
 * May sleep for some tens of milliseconds where the target starts threads without pause, and for 0.25 s
 * where it is refused for that; where the reader does not see all, for twice as long, also where threads
 * run, and no thread may start meanwhile.
 *
 * `charge` is borrowed for the set's life.
 *
 * Return: 0 and *ret (event_set_clear); REFUSED_NO_FREE_SLOT, _NO_SUCH_TARGET (a thread that is not the
 * process's), _TARGET_EXITED, _QUOTA_EXCEEDED, _NOT_SUPPORTED (also a target that starts threads faster
 * than they can be followed, or has been starting one all the time) and *refusal; negative errno.
 */
int event_set_open(TaskReader *reader, const Process *target, const Spec *spec,
		   const Filter *filter, Charge *charge, EventSet *ret, Refusal *refusal);

/* Closes the events: traps end, but for those of events that were taken, which stay charged. */
void event_set_clear(EventSet *set);

/*
 * Enables or disables the events on every thread, those included that are being started meanwhile
 * and may copy the state of before; so it may sleep as event_set_open may.
 *
 * Return: 0, also when the target has exited; -EBUSY when the target starts threads faster than can
 * be followed, or has been starting one all the time; another negative errno.
 */
int event_set_switch(EventSet *set, TaskReader *reader, pid_t pid, bool on);

/* Switches the events that there are at once. One of a thread that is being started may be missed.
 * Return: 0; negative errno. */
int event_set_ioctl(EventSet *set, bool on);

/* Disables them so: the traps of one that is missed go on. Return: the same. */
int event_set_switch_off(EventSet *set);

typedef enum EventSetState {
	EVENT_SET_IS,
	EVENT_SET_IS_NOT,
	EVENT_SET_UNSEEN, /* it changed while it was looked at: look again */
} EventSetState;

/* Whether every event of the set that a thread carries, `tasks` being all of its process, is on, or off.
 * Not to be asked of what a reader read that does not see events. */
EventSetState event_set_state(EventSet *set, const TaskFactsList *tasks, bool on);

/* Threads among `tasks` that carry one of the set's events. */
size_t event_set_count_threads(const EventSet *set, const TaskFactsList *tasks);
/* The same, where they come and go too fast to be read: as many as the kernel counts. */
size_t event_set_count_unseen(const EventSet *set, pid_t pid);
bool event_set_covers(const EventSet *set, const struct task_facts *task);

/* Traps counted by all events, those of threads that have ended included.
 * Return: 0 and *ret; negative errno. */
int event_set_read_traps(const EventSet *set, uint64_t *ret);

/*
 * A descriptor that polls POLLHUP once the thread `tid` has ended or its process has called exec;
 * it counts nothing. `memory` keeps it pollable: unmap exec_watch_bytes() of it when closing.
 *
 * Return: the descriptor and *ret_memory; -ESRCH when the thread has ended; -EINTR when
 * it does not leave execve(2); negative errno.
 */
int exec_watch_open(pid_t tid, void **ret_memory);
void exec_watch_close(int fd, void *memory);

/* What makes it pollable: without a mapping a perf descriptor always polls POLLHUP. Return: 0 and
 * *ret_memory; negative errno. */
int exec_watch_map(int fd, void **ret_memory);

/* Whether the thread has ended or executed, as of now. */
bool exec_watch_is_over(int fd);

/* The text for a target that does not leave execve(2). */
int refuse_executing(Refusal *refusal);

#endif
