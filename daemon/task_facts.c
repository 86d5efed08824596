/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/task_facts.h"

int task_facts_add(TaskFactsList *list, struct task_facts **ret)
{
	/* Doubled each time that it is full: at 4 and its doubles. */
	const size_t n = list->n_tasks;
	const bool is_full = n == 0 || (n >= 4 && (n & (n - 1)) == 0);

	if (is_full) {
		void *grown = reallocarray(list->tasks, n ? n * 2 : 4, sizeof(*list->tasks));

		if (!grown)
			return -ENOMEM;
		list->tasks = grown;
	}
	*ret = &list->tasks[list->n_tasks++];
	return 0;
}

void task_facts_clear(TaskFactsList *list)
{
	free(list->tasks);
	*list = (TaskFactsList){};
}
