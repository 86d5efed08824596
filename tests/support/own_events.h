/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Perf events that a test opens itself, as the borrower of a filter does. */
#ifndef SUPPORT_OWN_EVENTS_H
#define SUPPORT_OWN_EVENTS_H

#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/types.h>

/* perf_event_open(2), disabled, close-on-exec. Return: the descriptor or a negative errno. */
int own_event_try(struct perf_event_attr *attr, pid_t tid, int cpu);
/* The same; fails the test case when it cannot be opened. */
int own_event(struct perf_event_attr *attr, pid_t tid, int cpu);

/* An execution breakpoint on a thread (0: the caller), disabled, that overflows at each trap. */
int own_breakpoint(pid_t tid, const void *address);

/* Has the event signal the thread at each overflow that its filter lets through. */
void own_event_signal(int fd, pid_t tid, int signal_number);

void own_event_enable(int fd);
void own_event_disable(int fd);
uint64_t own_event_count(int fd);

#endif
