/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters and events that another daemon made, taken over by their descriptors; and an end to those
 * that nobody can take over.
 */
#ifndef BPF_ADOPT_H
#define BPF_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/bpf_attach.h"
#include "daemon/bpf_filter.h"
#include "daemon/stored_state.h"

/*
 * Makes a filter of the descriptors that follow its record; those it takes become -EBADF in `fds`.
 * Its state is what it was.
 *
 * Return: 0 and *ret (filter_free); -EBADMSG when they are not what the record says; another negative
 * errno.
 */
int filter_adopt(const StoredFilter *record, int *fds, Filter **ret);

/*
 * The same for the events of a breakpoint, for which `charge` (borrowed) has been charged already, and
 * which a client may hold too if `lent`. On failure none is taken.
 *
 * Return: 0 and *ret (event_set_clear); -EBADMSG; another negative errno.
 */
int event_set_adopt(const StoredEvent *records, int *fds, size_t n, bool lent, Charge *charge,
		    EventSet *ret);

/* Makes an exec watch pollable again; the descriptor (borrowed) must be a perf event's. Return: 0 and
 * *ret_memory; -EBADMSG; another negative errno. */
int exec_watch_adopt(int fd, void **ret_memory);

/* A session's ring: whether it is one, of that size. Return: 0; -EBADMSG. */
int ring_check(int ring_fd, uint64_t bytes);

/* Silences what a descriptor of an unknown daemon's may stand for, by its kind alone: the control page
 * of a filter is cleared, which revokes it in every version; an event is disabled. */
void break_up(int fd);

#endif
