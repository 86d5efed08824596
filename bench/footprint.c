/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an idle session and an idle breakpoint cost: memory of the daemon, memory that the kernel accounts to
 * its maps and programs, descriptors; and how often the daemon runs while nothing happens: never.
 *
 * A client of an ordinary user opens sessions on as many processes, then adds breakpoints to all; this
 * process, as root, looks at the daemon before, between and after. The figures are differences divided
 * by the number, so what the allocator keeps in reserve shows in neither.
 *
 * usage: footprint BUILD-DIRECTORY [--quick] [--check]    as root; with --check an idle daemon that runs
 *        is an error
 */
#include <bpcond/bpcond.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/environment.h"
#include "tests/support/process.h"

enum {
	SESSIONS = 32,
	EACH = 4, /* breakpoints of a session: as many as a thread has registers */
	IDLE_S = 10,
	SETTLE_US = 500000,
	RING_BYTES = 4096,
};

typedef struct Footprint {
	uint64_t daemon;  /* bytes of memory of its own */
	uint64_t kernel;  /* bytes that maps and programs are charged for */
	unsigned n_fds;   /* descriptors */
	uint64_t ran;     /* nanoseconds on a CPU */
	uint64_t wakeups; /* times it was put on one */
} Footprint;

/* ---- The client ------------------------------------------------------------------------------ */

__attribute__((noinline)) static void watched(void)
{
	__asm__ volatile("");
}

static pid_t start_target(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;) {
			pause();
			watched();
		}
	}
	return pid;
}

static int open_all(bpcond_client *client, bpcond_session *sessions[SESSIONS])
{
	bpcond_session_options options = {.size = sizeof(options), .hits_bytes = RING_BYTES};
	int r = 0;

	for (int i = 0; i < SESSIONS && r == 0; i++)
		r = bpcond_session_open(client, start_target(), &options, &sessions[i]);
	return r;
}

static int add_all(bpcond_session *sessions[SESSIONS])
{
	char spec[256];
	int r = 0;

	snprintf(spec, sizeof(spec),
		 "{\"address\":\"0x%lx\",\"condition\":{\"==\":[{\"var\":\"tid\"},{\"param\":\"a\"}"
		 "]},"
		 "\"parameters\":{\"a\":1}}",
		 (unsigned long)(uintptr_t)watched);
	for (int i = 0; i < SESSIONS * EACH && r == 0; i++)
		r = bpcond_session_add(sessions[i % SESSIONS], spec, NULL);
	return r;
}

/* A step for each byte that comes, answered by one. */
static int be_client(int socket_fd, const char *address)
{
	bpcond_session *sessions[SESSIONS];
	bpcond_client *client = NULL;
	int r;
	char byte;

	r = bpcond_client_new(&client);
	if (r == 0)
		r = bpcond_client_connect(client, address);
	for (int step = 0; r == 0; step++) {
		if (write(socket_fd, "", 1) != 1 || read(socket_fd, &byte, 1) != 1)
			return 0;
		r = step == 0 ? open_all(client, sessions) : add_all(sessions);
	}
	fprintf(stderr, "footprint: %s\n",
		client ? bpcond_client_error(client)->message : "memory");
	return 1;
}

static int start_client(const char *address, int *ret_fd)
{
	Identity who;
	int sockets[2], r;
	pid_t pid;

	r = identity_by_name(ENVIRONMENT_USER_A, &who);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(sockets[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		/* a change of ids makes a process undumpable until its next exec */
		if (identity_become(&who, 0) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
			_exit(1);
		_exit(be_client(sockets[1], address));
	}
	close(sockets[1]);
	*ret_fd = sockets[0];
	return 0;
}

/* Waits until the client has done its step. Return: 0; -EPROTO when it has failed. */
static int step_done(int socket_fd)
{
	char byte;

	return read(socket_fd, &byte, 1) == 1 ? 0 : -EPROTO;
}

static int next_step(int socket_fd)
{
	return write(socket_fd, "", 1) == 1 ? step_done(socket_fd) : -EPROTO;
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* Adds up the numbers behind `key` in a file of /proc. Return: whether it can be read. */
static bool add_up(const char *path, const char *key, uint64_t *ret)
{
	size_t length = strlen(key);
	char line[256];
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, length) == 0)
			*ret += strtoull(line + length, NULL, 10);
	}
	fclose(file);
	return true;
}

static int look(pid_t pid, Footprint *ret)
{
	Footprint now = {0};
	struct dirent *entry;
	uint64_t kib = 0;
	char path[300];
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (!add_up(path, "Anonymous:", &kib))
		return -ESRCH;
	now.daemon = kib * 1024;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	for (entry = readdir(dir); entry; entry = readdir(dir)) {
		if (entry->d_name[0] == '.')
			continue;
		now.n_fds++;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, entry->d_name);
		add_up(path, "memlock:", &now.kernel);
	}
	closedir(dir);
	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%" SCNu64 " %*u %" SCNu64, &now.ran, &now.wakeups) != 2) {
		if (file)
			fclose(file);
		return -ENODATA;
	}
	fclose(file);
	*ret = now;
	return 0;
}

static void print_cost(const char *what, const Footprint *before, const Footprint *after,
		       unsigned n)
{
	printf("%-34s %8.1f KiB %10.1f KiB %8.1f\n", what,
	       (double)(int64_t)(after->daemon - before->daemon) / n / 1024,
	       (double)(int64_t)(after->kernel - before->kernel) / n / 1024,
	       (double)(after->n_fds - before->n_fds) / n);
}

static int measure(const Environment *environment, unsigned idle_s, bool *ret_idle)
{
	Footprint start, sessions, breakpoints, later;
	pid_t daemon = environment_daemon_pid(environment);
	int socket_fd = -EBADF, r;

	r = start_client(environment_address(environment), &socket_fd);
	if (r < 0)
		return r;
	r = step_done(socket_fd);
	if (r == 0)
		r = look(daemon, &start);
	if (r == 0)
		r = next_step(socket_fd);
	if (r == 0)
		r = look(daemon, &sessions);
	if (r == 0)
		r = next_step(socket_fd);
	if (r == 0) {
		/* what an answer's messages are freed by is still to come */
		usleep(SETTLE_US);
		r = look(daemon, &breakpoints);
	}
	if (r == 0) {
		sleep(idle_s);
		r = look(daemon, &later);
	}
	close(socket_fd);
	if (r < 0)
		return r;

	printf("%-34s %12s %14s %8s\n", "", "daemon", "maps, programs", "fds");
	print_cost("bpcondd with one connection", &(Footprint){0}, &start, 1);
	print_cost("an idle session, ring of 4 KiB", &start, &sessions, SESSIONS);
	print_cost("an idle breakpoint on one thread", &sessions, &breakpoints, SESSIONS * EACH);
	printf("with %d sessions and %d breakpoints, %u s without a call or a hit: the daemon ran "
	       "%" PRIu64 " times, %.3f ms\n",
	       SESSIONS, SESSIONS * EACH, idle_s, later.wakeups - breakpoints.wakeups,
	       (double)(later.ran - breakpoints.ran) / 1e6);
	*ret_idle = later.wakeups == breakpoints.wakeups && later.ran == breakpoints.ran;
	return 0;
}

int main(int argc, char *argv[])
{
	Environment *environment = NULL;
	bool check = false, quick = false, idle = false;
	int r;

	for (int i = 2; i < argc; i++) {
		check = check || strcmp(argv[i], "--check") == 0;
		quick = quick || strcmp(argv[i], "--quick") == 0;
	}
	if (argc < 2) {
		fprintf(stderr, "usage: %s BUILD-DIRECTORY [--quick] [--check]\n", argv[0]);
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	r = environment_start(argv[1], &environment);
	if (r == 0)
		r = measure(environment, quick ? 2 : IDLE_S, &idle);
	environment_stop(environment);
	process_end_all_children();
	if (r < 0) {
		fprintf(stderr, "footprint: %s\n", strerror(-r));
		return 1;
	}
	return check && !idle ? 1 : 0;
}
