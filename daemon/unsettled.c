/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/unsettled.h"
#include "daemon/util.h"

void unsettled_clear(Unsettled *unsettled)
{
	free(unsettled->tids);
	free(unsettled->kept);
}

int unsettled_add(Unsettled *unsettled, pid_t tid)
{
	if (unsettled->n_tids == unsettled->room) {
		size_t room = unsettled->room ? unsettled->room * 2 : 64;
		pid_t *grown;

		grown = reallocarray(unsettled->tids, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		unsettled->tids = grown;
		grown = reallocarray(unsettled->kept, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		unsettled->kept = grown;
		unsettled->room = room;
	}
	unsettled->tids[unsettled->n_tids++] = tid;
	return 0;
}

static int compare_tids(const void *a, const void *b)
{
	const pid_t *first = a, *second = b;

	return COMPARE(*first, *second);
}

void unsettled_update(Unsettled *unsettled, const TaskFactsList *tasks)
{
	size_t kept = 0;

	if (unsettled->n_tids == 0)
		return;
	qsort(unsettled->tids, unsettled->n_tids, sizeof(pid_t), compare_tids);
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct task_facts *task = &tasks->tasks[i];
		const pid_t tid = task->tid;
		pid_t *found;

		if (!(task->facts & TASK_STARTING_THREAD) || task->facts & TASK_EXITING)
			continue;
		found = bsearch(&tid, unsettled->tids, unsettled->n_tids, sizeof(tid),
				compare_tids);
		if (found)
			unsettled->kept[kept++] = tid;
	}
	memcpy(unsettled->tids, unsettled->kept, kept * sizeof(pid_t));
	unsettled->n_tids = kept;
}

int unsettled_gather(Unsettled *unsettled, const TaskFactsList *tasks)
{
	unsettled->n_tids = 0;
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		int r;

		if (!(tasks->tasks[i].facts & TASK_STARTING_THREAD))
			continue;
		r = unsettled_add(unsettled, tasks->tasks[i].tid);
		if (r < 0)
			return r;
	}
	return 0;
}
