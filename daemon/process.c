/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/bpf_adopt.h"
#include "daemon/bpf_attach.h"
#include "daemon/process.h"
#include "daemon/supported.h"
#include "daemon/util.h"

/* The number behind a key at the start of a line of a /proc file. Return: 0, -ENODATA. */
static int find_number(const char *text, const char *key, long *ret)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, length) == 0) {
			char *end;
			long number = strtol(line + length, &end, 10);

			if (end == line + length)
				return -ENODATA;
			*ret = number;
			return 0;
		}
	}
	return -ENODATA;
}

/* What the kernel says a pidfd stands for: a process id, 0 (another pid namespace) or -1 (reaped).
 * Return: 0 and *ret; -ENODATA when it is no pidfd; negative errno. */
static int pidfd_read_pid(int fd, long *ret)
{
	_cleanup_free_ char *fdinfo = NULL;
	char path[64], kind[64];
	ssize_t n;
	int r;

	/* The name of the descriptor's kind: an anonymous inode until 6.9, pidfs since. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, kind, sizeof(kind) - 1);
	if (n < 0)
		return -errno;
	kind[n] = '\0';
	if (strcmp(kind, "anon_inode:[pidfd]") != 0 && strncmp(kind, "pidfd:[", 7) != 0)
		return -ENODATA;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	r = read_small_file(path, &fdinfo);
	if (r < 0)
		return r;
	return find_number(fdinfo, "Pid:", ret);
}

/* Whether a pidfd was opened for a thread, even its process's first: the kernel keeps that flag, O_EXCL
 * by another name (PIDFD_THREAD). Such a one tells of that thread's end and not of its process's. */
static int pidfd_is_of_thread(int fd, bool *ret)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	*ret = flags & O_EXCL;
	return 0;
}

/* Whether `pid` is a process and not one of the other threads of one. Return: 0 and *ret; -ESRCH. */
static int is_thread_group(pid_t pid, bool *ret)
{
	_cleanup_free_ char *status = NULL;
	char path[64];
	long tgid;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = read_small_file(path, &status);
	if (r == -ENOENT || r == -ESRCH)
		return -ESRCH;
	if (r < 0)
		return r;
	r = find_number(status, "Tgid:", &tgid);
	if (r < 0)
		return r;
	*ret = tgid == pid;
	return 0;
}

static int refuse_exited(Refusal *refusal)
{
	return refuse(refusal, REFUSED_TARGET_EXITED,
		      "The process has exited: start it again and open a new session.");
}

int process_from_pidfd(int fd, Process *ret, Refusal *refusal)
{
	Process process = PROCESS_NONE;
	bool is_group = false, is_thread = false;
	long pid;
	int r;

	r = pidfd_read_pid(fd, &pid);
	if (r == -ENODATA)
		return refuse(refusal, REFUSED_INVALID_ARGUMENT,
			      "The descriptor is no pidfd: pass what pidfd_open(2) returns for the "
			      "process to be debugged.");
	if (r < 0)
		return r;
	if (pid == 0)
		return refuse(
			refusal, REFUSED_NO_SUCH_TARGET,
			"The pidfd is of a process outside bpcondd's pid namespace: run a bpcondd "
			"in that namespace, or debug from this one.");
	if (pid < 0)
		return refuse_exited(refusal);
	r = is_thread_group(pid, &is_group);
	if (r == -ESRCH)
		return refuse_exited(refusal);
	if (r >= 0)
		r = pidfd_is_of_thread(fd, &is_thread);
	if (r < 0)
		return r;
	if (!is_group || is_thread)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"The pidfd is of a thread: pass the pidfd of its process, and name threads "
			"in a spec's \"threads\".");

	process.pid = pid;
	process.pidfd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (process.pidfd < 0)
		return -errno;
	*ret = process;
	return 0;
}

int process_from_pid(uint32_t pid, Process *ret, Refusal *refusal)
{
	Process process = PROCESS_NONE;

	if (pid > 0 && pid <= INT32_MAX)
		process.pidfd = syscall(SYS_pidfd_open, (pid_t)pid, 0);
	else
		errno = ESRCH;
	if (process.pidfd < 0) {
		/* EINVAL: the id of a thread that is not its process's first (ENOENT since 6.15). */
		if (errno == ESRCH || errno == EINVAL || errno == ENOENT)
			return refuse(refusal, REFUSED_NO_SUCH_TARGET,
				      "There is no process %" PRIu32
				      ": give the id of a running process (not of "
				      "one of its threads).",
				      pid);
		return -errno;
	}
	process.pid = (pid_t)pid;
	*ret = process;
	return 0;
}

int process_adopt(int *fd, pid_t pid, uint64_t exec_id, Process *ret)
{
	long now;
	int r;

	r = pidfd_read_pid(*fd, &now);
	if (r == -ENODATA || (r == 0 && now != pid && now != -1))
		return -EBADMSG;
	if (r < 0)
		return r;
	*ret = PROCESS_NONE;
	ret->pid = pid;
	ret->pidfd = take_fd(fd);
	ret->exec_id = exec_id;
	return 0;
}

int process_adopt_exec(int *fd, Process *process)
{
	int r;

	r = exec_watch_adopt(*fd, &process->exec_memory);
	if (r < 0)
		return r;
	process->exec_fd = take_fd(fd);
	return 0;
}

void process_clear(Process *process)
{
	process->pidfd = close_fd(process->pidfd);
	if (process->exec_memory)
		exec_watch_close(process->exec_fd, process->exec_memory);
	process->exec_memory = NULL;
	process->exec_fd = -EBADF;
}

bool process_has_exited(const Process *process)
{
	struct pollfd poll_fd = {.fd = process->pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0;
}

static int refuse_executed(const Process *process, Refusal *refusal)
{
	return refuse(refusal, REFUSED_TARGET_EXITED,
		      "Process %d has executed another program: open a new session.", process->pid);
}

/* Whether what was just read is of the program that was pinned, if one was. Return: 0; a refusal. */
static int check_exec(const Process *process, const TaskReader *reader, const TaskFactsList *tasks,
		      Refusal *refusal)
{
	const struct task_facts *first = &tasks->tasks[0];

	if (!process->exec_id)
		return 0;
	if (task_reader_sees_all(reader)) {
		for (size_t i = 0; i < tasks->n_tasks; i++)
			if (tasks->tasks[i].exec_id != process->exec_id)
				return refuse_executed(process, refusal);
		return 0;
	}
	if (process->exec_memory && !exec_watch_is_over(process->exec_fd))
		return 0;
	if (!(first->facts & TASK_EXITING))
		return refuse_executed(process, refusal);
	if (process->exec_strictly)
		return refuse(refusal, REFUSED_NOT_AUTHORIZED,
			      "an administrator cannot allow it either, since the first thread of "
			      "process %d has ended, and on a kernel without BTF nobody can tell "
			      "then whether it is still the program that was asked about; debug it "
			      "on a kernel built with CONFIG_DEBUG_INFO_BTF",
			      process->pid);
	return 0;
}

int process_look(const Process *process, TaskReader *reader, TaskFactsList *ret, Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	long pid;
	int looked, r;

	r = task_reader_read(reader, process->pid, &tasks);
	if (r == -EBUSY)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"Process %d starts and ends threads too fast to be looked at: stop it "
			"(SIGSTOP) meanwhile.",
			process->pid);
	if (r < 0 && r != -ESRCH)
		return r;
	looked = r;
	/* Asked after reading: as long as the pidfd still has its id, no other process had it. */
	r = pidfd_read_pid(process->pidfd, &pid);
	if (r < 0)
		return r;
	if (pid != process->pid)
		return refuse_exited(refusal);
	if (looked == -ESRCH)
		return refuse(
			refusal, REFUSED_NOT_AUTHORIZED,
			"The kernel does not show process %d to bpcondd, so that nobody can be "
			"allowed to debug it; only root can, by other means.",
			process->pid);

	r = check_exec(process, reader, &tasks, refusal);
	if (r != 0)
		return r;
	*ret = tasks;
	tasks = (TaskFactsList){};
	return 0;
}

/* Has an event on the first thread, if that lives, stand for the exec. Return: as process_pin_exec. */
static int pin_by_event(Process *process, Refusal *refusal)
{
	int r;

	r = exec_watch_open(process->pid, &process->exec_memory);
	if (r == -EACCES || r == -EPERM)
		return refuse_perf(refusal, r);
	if (r == -EINTR)
		return refuse_executing(refusal);
	if (r < 0 && r != -ESRCH)
		return r;
	process->exec_fd = r == -ESRCH ? -EBADF : r;
	process->exec_id = PROCESS_PINNED;
	return 0;
}

int process_pin_exec(Process *process, TaskReader *reader, Refusal *refusal)
{
	_cleanup_(task_facts_clear) TaskFactsList tasks = {};
	int r;

	/* The event first: then that it is on this very process is found by looking. */
	if (!task_reader_sees_all(reader)) {
		r = pin_by_event(process, refusal);
		if (r != 0)
			return r;
	}
	r = process_look(process, reader, &tasks, refusal);
	if (r != 0)
		return r;
	if (task_reader_sees_all(reader))
		process->exec_id = tasks.tasks[0].exec_id;
	return 0;
}
