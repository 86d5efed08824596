/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader's side of bpf/tasks.bpf.c. An iterator restricted to one process is made for each
 * read, so its cost is that of the process's threads and not of the machine's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "daemon/bpf_tasks.h"
#include "daemon/util.h"
#include "tasks.skel.h"

/* What the kernel gathers at the most before it hands it over (BPF iterators use 8 pages). */
#define READ_BYTES 32768
/* A walk over a process whose threads end all the time is cut short now and then. */
#define MAX_TRIES 1000

struct BpfTasks {
	struct tasks_bpf *skeleton;
};

int bpf_tasks_new(BpfTasks **ret)
{
	BpfTasks *reader;
	int r;

	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->skeleton = tasks_bpf__open();
	if (!reader->skeleton) {
		r = -errno;
		bpf_tasks_free(reader);
		return r;
	}
	r = tasks_bpf__load(reader->skeleton);
	if (r < 0) {
		bpf_tasks_free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

BpfTasks *bpf_tasks_free(BpfTasks *reader)
{
	if (!reader)
		return NULL;
	tasks_bpf__destroy(reader->skeleton);
	free(reader);
	return NULL;
}

/* Reads the file to its end. Return: 0, *ret (free()) and *ret_size; negative errno. */
static int read_all(int fd, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *buffer = NULL;
	size_t have = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (room - have < READ_BYTES) {
			char *grown = realloc(buffer, room + 2 * READ_BYTES);

			if (!grown)
				return -ENOMEM;
			buffer = grown;
			room += 2 * READ_BYTES;
		}
		n = read(fd, buffer + have, room - have);
		if (n < 0) {
			/* EAGAIN: the kernel gave up its CPU between two tasks, and goes on. */
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		have += n;
	}
	*ret = buffer;
	*ret_size = have;
	buffer = NULL;
	return 0;
}

/* Takes the records apart. Return: 0 and *ret; -EIO when they are not what the program writes. */
static int split_records(const char *buffer, size_t size, TaskFactsList *ret)
{
	const size_t head = offsetof(struct task_facts, events);
	TaskFactsList list = {};

	while (size > 0) {
		struct task_facts *task;
		size_t events;

		if (task_facts_add(&list, &task) < 0) {
			task_facts_clear(&list);
			return -ENOMEM;
		}
		if (size < head)
			goto broken;
		memcpy(task, buffer, head);
		events = task->n_events * sizeof(task->events[0]);
		if (task->n_events > TASK_MAX_EVENTS || size - head < events)
			goto broken;
		memcpy(task->events, buffer + head, events);
		buffer += head + events;
		size -= head + events;
	}
	*ret = list;
	return 0;
broken:
	task_facts_clear(&list);
	return -EIO;
}

static int read_once(BpfTasks *reader, pid_t pid, TaskFactsList *ret)
{
	union bpf_iter_link_info info = {.task.pid = pid};
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info,
			    .iter_info_len = sizeof(info));
	_cleanup_close_ int link_fd = -EBADF, iterator_fd = -EBADF;
	_cleanup_free_ char *buffer = NULL;
	size_t size = 0;
	int r;

	link_fd = bpf_link_create(bpf_program__fd(reader->skeleton->progs.read_task), 0,
				  BPF_TRACE_ITER, &options);
	if (link_fd < 0)
		return link_fd;
	iterator_fd = bpf_iter_create(link_fd);
	if (iterator_fd < 0)
		return iterator_fd;
	r = read_all(iterator_fd, &buffer, &size);
	if (r < 0)
		return r;
	return split_records(buffer, size, ret);
}

int bpf_tasks_read(BpfTasks *reader, pid_t pid, TaskFactsList *ret)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		TaskFactsList list;
		int r;

		r = read_once(reader, pid, &list);
		if (r < 0)
			return r;
		if (list.n_tasks == 0)
			return -ESRCH;
		/*
		 * The kernel finds the next thread by the id of the one before, and ends the walk
		 * early when that one has just ended. New threads are put last, so a walk that ended
		 * at the last thread has seen all that were there when it began.
		 */
		if (list.tasks[list.n_tasks - 1].facts & TASK_LAST) {
			*ret = list;
			return 0;
		}
		task_facts_clear(&list);
	}
	return -EBUSY;
}
