/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes for the harness: who they run as, with which capabilities, and how long to wait for
 * them. Works as root; nothing here is used by the daemon.
 */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Identity {
	uid_t uid;
	gid_t gid;
	char name[64];
	char home[256];
} Identity;

/* The user `name` of the user database. Return: 0, -ESRCH when there is none, negative errno. */
int identity_by_name(const char *name, Identity *ret);

/*
 * Becomes `who` for good, all ids and no supplementary groups, and keeps exactly `capabilities`
 * (1 << CAP_…), ambient, so that they survive the next exec; for uid 0 with capabilities 0 the
 * capabilities stay as they are. Return: 0 or negative errno.
 */
int identity_become(const Identity *who, uint64_t capabilities);

typedef struct ProcessOptions {
	const Identity *who;   /* NULL: as we are */
	uint64_t capabilities; /* see identity_become */
	int stdin_fd;          /* borrowed; -EBADF: /dev/null */
	int stdout_fd;         /* borrowed; -EBADF: as ours */
	int stderr_fd;         /* borrowed; -EBADF: as ours */
	bool own_session;      /* out of reach of the terminal's Ctrl-C */
	bool dies_with_us;     /* killed when the thread that spawned it ends */
	char *const *environ;  /* NULL: ours */
	pid_t wanted_pid;      /* exactly this one, which must be free; 0: any */
} ProcessOptions;

#define PROCESS_OPTIONS_INIT \
	((ProcessOptions){.stdin_fd = -EBADF, .stdout_fd = -EBADF, .stderr_fd = -EBADF})

/*
 * Starts argv[0] (looked up in PATH) and returns once its exec has succeeded.
 *
 * Return: 0 and *ret, a child of the caller to be waited for; the negative errno of whatever step
 * failed, the child's own steps included.
 */
int process_spawn(const char *const argv[], const ProcessOptions *options, pid_t *ret);

/* Waits for a child, at most timeout_ms (negative: for ever). Return: 0 and *ret_status as by
 * waitpid(2); -ETIMEDOUT; negative errno. */
int process_wait(pid_t pid, int timeout_ms, int *ret_status);

/* SIGTERM, after grace_ms SIGKILL; reaps the child. Return: as process_wait. */
int process_end(pid_t pid, int grace_ms, int *ret_status);

/* Kills and reaps all children, those that appear by re-parenting meanwhile included. For a
 * PR_SET_CHILD_SUBREAPER that wants nothing left. */
void process_end_all_children(void);

/* What a shell's $? is for a status of waitpid(2). */
int process_exit_status(int status);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t now_ms(void);

#endif
