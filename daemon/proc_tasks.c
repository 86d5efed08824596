/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /proc shows to everybody, without a right over the process: /proc/PID/task/TID/status and stat,
 * who owns them, and uid_map. What the BPF reader sees beyond that, and what becomes of it here:
 *
 * Which process, which threads. Ids are recycled. The process is held by its directory, each thread by
 * its open status file: both name a task and not a number, and once that is gone reading fails. All
 * status files are opened; then the kernel is asked how many threads the process has; then each file is
 * read. If all of them could be, each thread was there at the moment of the count, and if they are as
 * many as was counted, they were all there were. Whether the process is the one that is meant the
 * caller's pidfd tells (process.c).
 *
 * Credentials. `status` has the objective ones, which are those that ptrace(2) asks for. Subjective ones
 * that a thread borrows inside the kernel are not seen (TASK_OVERRIDDEN). No guard of ptrace's goes with
 * that: it does not ask for them either, and a borrower is inside a system call, where a breakpoint that
 * excludes the kernel never traps.
 *
 * Dumpable. The kernel gives the files of a thread whose memory is not dumpable to the root of that
 * memory's user namespace (task_dump_owner in fs/proc/base.c), and others to its effective user. So an
 * owner other than root proves it, where there are no user namespaces; a target of root's, or one that
 * could have been started in a namespace whose root is its user, leaves it unknown. The owner is read
 * before `status`: memory that is still there then was there.
 *
 * User namespace. /proc/PID/ns may be followed only by who may trace. A uid_map that differs from our own
 * proves another namespace. The same text proves nothing, since root can give a namespace the map of the
 * initial one; what is the only one is proven only where the kernel has none at all, and so no such file.
 *
 * Execs and events are not shown: process.c and bpf_attach_still.c do without. A thread that sleeps
 * interruptibly, or is stopped, is not inside that part of clone(2) in which its child is not yet visible
 * but has inherited (or not): the kernel waits there for memory and locks only, and is running, or in D.
 * (A program can have itself held there by a page fault of its own making; it loses nobody's hits but its
 * own.) Any other may be.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/proc_status.h"
#include "daemon/proc_tasks.h"
#include "daemon/util.h"

/* From the kernel's include/linux/sched.h: what `stat` says is told nowhere else. */
#define PF_EXITING 0x4
#define PF_KTHREAD 0x200000

/* A status file with 65536 groups has 720 KiB. */
#define MAX_FILE_BYTES (1024 * 1024)
/* A process whose threads come and go all the time is looked at for so long. */
#define GIVE_UP_USEC 100000

/* The tests have a daemon for which the same map is the same namespace, to run where there are some. */
#ifndef SAME_MAP_IS_SAME_NAMESPACE
#define SAME_MAP_IS_SAME_NAMESPACE false
#endif

struct ProcTasks {
	char *uid_map; /* our own; NULL: this kernel has no user namespaces */
	uint32_t userns, pidns;
	long ticks; /* a second */
};

/* One thread while it is looked at. */
typedef struct Thread {
	uint32_t tid;
	int status_fd;
} Thread;

typedef struct ThreadList {
	Thread *threads;
	size_t n_threads, room;
} ThreadList;

static void thread_list_clear(ThreadList *list)
{
	for (size_t i = 0; i < list->n_threads; i++)
		close_fd(list->threads[i].status_fd);
	free(list->threads);
}

/* What is gone, and what we are not shown, is not there. */
static int not_there(int error)
{
	return error == ENOENT || error == EPERM || error == EACCES ? -ESRCH : -error;
}

/* From the beginning to the end, NUL-terminated. Return: 0 and *ret (free()); -ESRCH when what it is of
 * has gone; another negative errno. */
static int read_fd(int fd, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t have = 0, room = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (room - have < 2) {
			char *grown;

			if (room >= MAX_FILE_BYTES)
				return -EFBIG;
			room = room ? room * 4 : 4096;
			grown = realloc(text, room);
			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		n = read(fd, text + have, room - have - 1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return not_there(errno);
		}
		if (n == 0)
			break;
		have += n;
	}
	text[have] = '\0';
	if (strlen(text) != have)
		return -EBADMSG;
	*ret = text;
	text = NULL;
	return 0;
}

static int read_at(int directory_fd, const char *name, char **ret)
{
	_cleanup_close_ int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? not_there(errno) : read_fd(fd, ret);
}

static int read_status_fd(int fd, ProcStatus *ret)
{
	_cleanup_free_ char *text = NULL;
	int r;

	r = read_fd(fd, &text);
	return r < 0 ? r : proc_status_parse(text, ret);
}

static int read_status(int directory_fd, const char *name, ProcStatus *ret)
{
	_cleanup_free_ char *text = NULL;
	int r;

	r = read_at(directory_fd, name, &text);
	return r < 0 ? r : proc_status_parse(text, ret);
}

/* Whether the text of `status` can be that of our own process, in our own pid namespace. */
static int check_own(void)
{
	ProcStatus status;
	int r;

	r = read_status(AT_FDCWD, "/proc/self/status", &status);
	if (r < 0)
		return r;
	return status.tgid == (uint32_t)getpid() && status.n_levels <= 1 ? 0 : -EBADMSG;
}

static int read_namespaces(ProcTasks *reader)
{
	_cleanup_close_ int self_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat file;
	int r;

	if (self_fd < 0)
		return -errno;
	/* Not shown is not the same as not there. */
	r = faccessat(self_fd, "uid_map", F_OK, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = read_at(self_fd, "uid_map", &reader->uid_map);
	else if (r == -ENOENT)
		r = 0;
	if (r < 0)
		return r;
	/* Any number but 0 will do where there is but one of them. */
	reader->userns = fstatat(self_fd, "ns/user", &file, 0) < 0 ? 1 : file.st_ino;
	reader->pidns = fstatat(self_fd, "ns/pid", &file, 0) < 0 ? 1 : file.st_ino;
	return 0;
}

int proc_tasks_new(ProcTasks **ret)
{
	ProcTasks *reader;
	int r;

	r = check_own();
	if (r < 0)
		return r;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->ticks = sysconf(_SC_CLK_TCK);
	r = read_namespaces(reader);
	if (r < 0) {
		proc_tasks_free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

ProcTasks *proc_tasks_free(ProcTasks *reader)
{
	if (!reader)
		return NULL;
	free(reader->uid_map);
	free(reader);
	return NULL;
}

static int thread_list_add(ThreadList *list, uint32_t tid, int status_fd)
{
	if (list->n_threads == list->room) {
		const size_t room = list->room ? list->room * 2 : 16;
		Thread *grown = reallocarray(list->threads, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->threads = grown;
		list->room = room;
	}
	list->threads[list->n_threads++] = (Thread){.tid = tid, .status_fd = status_fd};
	return 0;
}

/* Opens the status file of each thread that the directory shows, the leader's first. Return: 0; -EAGAIN
 * when the leader is not shown; another negative errno. */
static int hold_threads(int task_fd, uint32_t pid, ThreadList *list)
{
	const int fd = openat(task_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int r = directory ? 0 : not_there(errno);

	if (!directory)
		close_fd(fd);
	while (r == 0) {
		const struct dirent *entry;
		char name[32];
		int status_fd;

		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			r = -errno;
			break;
		}
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(name, sizeof(name), "%.15s/status", entry->d_name);
		status_fd = openat(task_fd, name, O_RDONLY | O_CLOEXEC);
		if (status_fd < 0) {
			r = not_there(errno);
			if (r == -ESRCH)
				r = 0; /* whether it counts the count will tell */
			continue;
		}
		r = thread_list_add(list, strtoul(entry->d_name, NULL, 10), status_fd);
		if (r < 0)
			close_fd(status_fd);
	}
	if (directory)
		closedir(directory);
	if (r < 0)
		return r;
	return list->n_threads > 0 && list->threads[0].tid == pid ? 0 : -EAGAIN;
}

/* The process of the tracing thread. Return: 0 and *ret, 0 where it is not shown; negative errno. */
static int find_tracer(const Thread *thread, uint32_t tracer, uint32_t *ret)
{
	ProcStatus status, again;
	char name[32];
	int r;

	*ret = 0;
	if (tracer == 0)
		return 0;
	snprintf(name, sizeof(name), "/proc/%u/status", tracer);
	r = read_status(AT_FDCWD, name, &status);
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return r;
	/* Traced still, so the number has been that thread's. */
	r = read_status_fd(thread->status_fd, &again);
	if (r == 0 && again.tracer == tracer)
		*ret = status.tgid;
	return r;
}

/* Which user namespace: 0, and TASK_USERNS_UNKNOWN or not, in *task. */
static int read_userns(const ProcTasks *reader, int task_fd, uint32_t tid, struct task_facts *task)
{
	_cleanup_free_ char *uid_map = NULL;
	char name[32];
	int r;

	task->userns = reader->userns;
	if (!reader->uid_map)
		return 0;
	snprintf(name, sizeof(name), "%u/uid_map", tid);
	r = read_at(task_fd, name, &uid_map);
	if (r == -EINVAL)
		return -ESRCH; /* what opening this file says of a thread that has just ended */
	if (r < 0)
		return r;
	if (strcmp(uid_map, reader->uid_map) != 0)
		task->userns = 0;
	else if (!SAME_MAP_IS_SAME_NAMESPACE)
		task->facts |= TASK_USERNS_UNKNOWN;
	return 0;
}

static void note_dumpable(const ProcTasks *reader, uid_t owner, struct task_facts *task)
{
	if (!(task->facts & TASK_HAS_MM) || owner != task->euid)
		return;
	if (owner == 0 || (reader->uid_map && !SAME_MAP_IS_SAME_NAMESPACE))
		task->facts |= TASK_DUMPABLE_UNKNOWN;
	else
		task->facts |= TASK_DUMPABLE;
}

static void note_state(const ProcStat *stat, struct task_facts *task)
{
	if (stat->flags & PF_EXITING || stat->state == 'Z' || stat->state == 'X')
		task->facts |= TASK_EXITING;
	else if (!strchr("STt", stat->state))
		task->facts |= TASK_STARTING_THREAD;
}

/* One thread. Return: 0; -ESRCH when it has gone; another negative errno. */
static int read_thread(const ProcTasks *reader, int task_fd, const Thread *thread,
		       struct task_facts *task)
{
	_cleanup_free_ char *text = NULL;
	ProcStatus status;
	struct stat file;
	ProcStat stat;
	char name[32];
	int r;

	*task = (struct task_facts){.tid = thread->tid, .facts = TASK_EVENTS_UNKNOWN};
	snprintf(name, sizeof(name), "%u/stat", thread->tid);
	r = read_at(task_fd, name, &text);
	if (r == 0)
		r = proc_stat_parse(text, &stat);
	if (r == 0 && fstatat(task_fd, name, &file, 0) < 0)
		r = not_there(errno);
	if (r == 0)
		r = read_userns(reader, task_fd, thread->tid, task);
	/* That it can be read says that what was read before by its number was its own. */
	if (r == 0)
		r = read_status_fd(thread->status_fd, &status);
	if (r == 0)
		r = find_tracer(thread, status.tracer, &task->tracer);
	if (r < 0)
		return r;
	if (status.pid != thread->tid)
		return -EAGAIN; /* an exec by another thread gave it another id */

	task->tgid = status.tgid;
	task->parent = status.parent;
	task->ruid = status.uids[0];
	task->euid = status.uids[1];
	task->suid = status.uids[2];
	task->fsuid = status.uids[3];
	task->rgid = status.gids[0];
	task->egid = status.gids[1];
	task->sgid = status.gids[2];
	task->fsgid = status.gids[3];
	task->caps_permitted = status.caps_permitted;
	task->caps_effective = status.caps_effective;
	task->pidns = status.n_levels <= 1 ? reader->pidns : 0;
	task->start_time = stat.start * (1000000000 / reader->ticks);
	task->run_time = stat.run_time * (1000000000 / reader->ticks);
	if (status.has_memory && !(stat.flags & PF_KTHREAD))
		task->facts |= TASK_HAS_MM;
	if (status.no_new_privs)
		task->facts |= TASK_NO_NEW_PRIVS;
	if (status.seccomp)
		task->facts |= TASK_SECCOMP;
	note_dumpable(reader, file.st_uid, task);
	note_state(&stat, task);
	return 0;
}

/* Return: as proc_tasks_read; -EAGAIN when the process changed while it was looked at. */
static int read_once(const ProcTasks *reader, int process_fd, uint32_t pid, TaskFactsList *ret)
{
	_cleanup_(thread_list_clear) ThreadList threads = {};
	_cleanup_(task_facts_clear) TaskFactsList list = {};
	_cleanup_close_ int task_fd = -EBADF;
	ProcStatus status;
	int r, shown;

	task_fd = openat(process_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (task_fd < 0)
		return not_there(errno);
	shown = hold_threads(task_fd, pid, &threads);
	if (shown < 0 && shown != -EAGAIN)
		return shown;
	r = read_status(process_fd, "status", &status);
	if (r < 0)
		return r;
	if (status.tgid != pid)
		return -ESRCH; /* a thread's number */
	if (shown < 0 || status.n_threads != threads.n_threads)
		return -EAGAIN;
	for (size_t i = 0; i < threads.n_threads; i++) {
		struct task_facts *task;

		r = task_facts_add(&list, &task);
		if (r == 0)
			r = read_thread(reader, task_fd, &threads.threads[i], task);
		if (r == -ESRCH || (r == 0 && task->tgid != pid))
			return -EAGAIN;
		if (r < 0)
			return r;
	}
	*ret = list;
	list = (TaskFactsList){};
	return 0;
}

int proc_tasks_read(ProcTasks *reader, pid_t pid, TaskFactsList *ret)
{
	const unsigned long long start = now_usec();
	_cleanup_close_ int process_fd = -EBADF;
	char path[32];
	int r;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	process_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process_fd < 0)
		return not_there(errno);
	do {
		r = read_once(reader, process_fd, pid, ret);
	} while (r == -EAGAIN && now_usec() - start < GIVE_UP_USEC);
	return r == -EAGAIN ? -EBUSY : r;
}

size_t proc_count_threads(pid_t pid)
{
	ProcStatus status;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return read_status(AT_FDCWD, path, &status) < 0 ? 0 : status.n_threads;
}

int proc_thread_hold(pid_t pid, pid_t tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? not_there(errno) : fd;
}

bool proc_thread_is_there(int held_fd)
{
	return faccessat(held_fd, "status", F_OK, 0) == 0;
}
