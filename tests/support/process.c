/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of the harness. A spawned child reports the failure of any of its own steps through a
 * pipe that its exec closes, so that "started" means that the program runs.
 */
#include "tests/support/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int identity_by_name(const char *name, Identity *ret)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (!entry)
		return errno > 0 && errno != ENOENT ? -errno : -ESRCH;
	if (strlen(entry->pw_name) >= sizeof(ret->name) ||
	    strlen(entry->pw_dir) >= sizeof(ret->home))
		return -ENAMETOOLONG;

	*ret = (Identity){.uid = entry->pw_uid, .gid = entry->pw_gid};
	strcpy(ret->name, entry->pw_name);
	strcpy(ret->home, entry->pw_dir);
	return 0;
}

static int set_capabilities(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		uint32_t word = (uint32_t)(capabilities >> (32 * i));

		data[i] = (struct __user_cap_data_struct){word, word, word};
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return 0;
}

static int raise_ambient(uint64_t capabilities)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (!(capabilities >> cap & 1))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

static void lower_bounding_set(uint64_t capabilities)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (capabilities >> cap & 1)
			continue;
		/* EINVAL: past the last capability that this kernel knows */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return;
	}
}

int identity_become(const Identity *who, uint64_t capabilities)
{
	int r;

	if (capabilities)
		lower_bounding_set(capabilities);
	if (prctl(PR_SET_KEEPCAPS, capabilities ? 1UL : 0UL, 0, 0, 0) < 0)
		return -errno;
	if (setgroups(0, NULL) < 0)
		return -errno;
	if (setresgid(who->gid, who->gid, who->gid) < 0)
		return -errno;
	if (setresuid(who->uid, who->uid, who->uid) < 0)
		return -errno;
	if (who->uid == 0 && !capabilities)
		return 0;

	r = set_capabilities(capabilities);
	if (r < 0)
		return r;
	return raise_ambient(capabilities);
}

static int redirect(int fd, int onto)
{
	int source_fd = fd, r = 0;

	if (fd < 0)
		return 0;
	if (fd != onto)
		return dup2(fd, onto) < 0 ? -errno : 0;

	/* already in place: only CLOEXEC must go */
	r = fcntl(source_fd, F_SETFD, 0);
	return r < 0 ? -errno : 0;
}

static int redirect_all(const ProcessOptions *options)
{
	int fds[3] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};
	int null_fd, r;

	if (fds[0] < 0) {
		null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null_fd < 0)
			return -errno;
		fds[0] = null_fd;
	}
	/* out of the way of 0, 1 and 2, so that no dup2 overwrites what a later one needs */
	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0 || fds[i] > 2 || fds[i] == i)
			continue;
		r = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (r < 0)
			return -errno;
		fds[i] = r;
	}
	for (int i = 0; i < 3; i++) {
		r = redirect(fds[i], i);
		if (r < 0)
			return r;
	}
	return 0;
}

static int child_prepare(const ProcessOptions *options, pid_t parent)
{
	sigset_t none;
	int r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);

	if (options->own_session)
		setsid();
	r = redirect_all(options);
	if (r < 0)
		return r;
	if (options->who) {
		r = identity_become(options->who, options->capabilities);
		if (r < 0)
			return r;
	}
	if (options->dies_with_us) {
		/* after the change of ids, which clears it */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			return -errno;
		if (getppid() != parent)
			return -ESRCH;
	}
	return 0;
}

/* fork(2) that can say which pid the child is to have. */
static pid_t fork_as(pid_t wanted)
{
	struct clone_args arguments = {.exit_signal = SIGCHLD};

	if (wanted == 0)
		return fork();
	arguments.set_tid = (uintptr_t)&wanted;
	arguments.set_tid_size = 1;
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

int process_spawn(const char *const argv[], const ProcessOptions *options, pid_t *ret)
{
	pid_t parent = getpid(), pid;
	int report[2], r, failure = 0;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork_as(options->wanted_pid);
	if (pid < 0) {
		r = -errno;
		close(report[0]);
		close(report[1]);
		return r;
	}
	if (pid == 0) {
		r = child_prepare(options, parent);
		if (r == 0) {
			execvpe(argv[0], (char *const *)argv,
				options->environ ? options->environ : environ);
			r = -errno;
		}
		n = write(report[1], &r, sizeof(r));
		_exit(n == sizeof(r) ? 127 : 126);
	}

	close(report[1]);
	do
		n = read(report[0], &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == sizeof(failure)) {
		waitpid(pid, NULL, 0);
		return failure;
	}
	*ret = pid;
	return 0;
}

int process_wait(pid_t pid, int timeout_ms, int *ret_status)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct pollfd pollfd = {.events = POLLIN};
	int status, r;

	pollfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pollfd.fd < 0)
		return -errno;
	do {
		int64_t left = timeout_ms < 0 ? -1 : deadline - now_ms();

		r = poll(&pollfd, 1, timeout_ms >= 0 && left < 0 ? 0 : (int)left);
	} while (r < 0 && errno == EINTR);
	close(pollfd.fd);
	if (r == 0)
		return -ETIMEDOUT;
	if (r < 0)
		return -errno;

	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (ret_status)
		*ret_status = status;
	return 0;
}

int process_end(pid_t pid, int grace_ms, int *ret_status)
{
	int r;

	kill(pid, SIGTERM);
	r = process_wait(pid, grace_ms, ret_status);
	if (r != -ETIMEDOUT)
		return r;
	kill(pid, SIGKILL);
	return process_wait(pid, -1, ret_status);
}

/* The parent's pid by /proc/PID/stat, whose second field may hold anything, parentheses too. */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[512];
	const char *end;
	size_t n;
	FILE *file;
	int parent = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

static void kill_children(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	if (!proc)
		return;
	for (entry = readdir(proc); entry; entry = readdir(proc)) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && parent_of(pid) == getpid())
			kill(pid, SIGKILL);
	}
	closedir(proc);
}

void process_end_all_children(void)
{
	pid_t pid;

	for (;;) {
		kill_children();
		do
			pid = waitpid(-1, NULL, 0);
		while (pid < 0 && errno == EINTR);
		if (pid < 0)
			return;
	}
}

int process_exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
