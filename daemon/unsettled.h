/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads whose clone(2) has to be waited for: each may be starting a thread that nobody can see
 * yet.
 */
#ifndef UNSETTLED_H
#define UNSETTLED_H

#include <stddef.h>
#include <sys/types.h>

#include "daemon/task_facts.h"

typedef struct Unsettled {
	pid_t *tids;
	pid_t *kept; /* room for as many */
	size_t n_tids;
	size_t room;
} Unsettled;

void unsettled_clear(Unsettled *unsettled);

/* Return: 0; -ENOMEM. */
int unsettled_add(Unsettled *unsettled, pid_t tid);

/* Instead of those before: the threads that are inside clone(2) now. Return: 0; -ENOMEM. */
int unsettled_gather(Unsettled *unsettled, const TaskFactsList *tasks);

/* Drops the threads that are outside clone(2) now, or gone. */
void unsettled_update(Unsettled *unsettled, const TaskFactsList *tasks);

#endif
