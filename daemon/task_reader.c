/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "daemon/bpf_tasks.h"
#include "daemon/proc_tasks.h"
#include "daemon/task_reader.h"
#include "kernel/types.h"

/* One of the two. */
struct TaskReader {
	BpfTasks *bpf;
	ProcTasks *proc;
};

int task_reader_new(TaskReader **ret)
{
	TaskReader *reader;
	int r;

	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	if (kernel_has_types())
		r = bpf_tasks_new(&reader->bpf);
	else
		r = proc_tasks_new(&reader->proc);
	if (r < 0) {
		task_reader_free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

TaskReader *task_reader_free(TaskReader *reader)
{
	if (!reader)
		return NULL;
	bpf_tasks_free(reader->bpf);
	proc_tasks_free(reader->proc);
	free(reader);
	return NULL;
}

bool task_reader_sees_all(const TaskReader *reader)
{
	return reader->bpf != NULL;
}

int task_reader_read(TaskReader *reader, pid_t pid, TaskFactsList *ret)
{
	return reader->bpf ? bpf_tasks_read(reader->bpf, pid, ret)
			   : proc_tasks_read(reader->proc, pid, ret);
}
