/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private bus with bpcondd on it, as on a real system but for the addresses: a dbus-daemon with
 * the system bus's rules and limits, and the daemon as an unprivileged user with its two
 * capabilities. Needs root. Everything lives below one directory that goes away with it.
 */
#ifndef SUPPORT_ENVIRONMENT_H
#define SUPPORT_ENVIRONMENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/process.h"

#define ENVIRONMENT_DAEMON_USER "bpcondd"
#define ENVIRONMENT_USER_A      "bpcond-test-a"
#define ENVIRONMENT_USER_B      "bpcond-test-b"

typedef struct Environment Environment;

/*
 * Starts bus and daemon; what `build_dir` holds (absolute) is copied to where other users can run
 * it, if they cannot where it is. Says on stderr what failed, the daemon's log included.
 *
 * Lowers kernel.perf_event_paranoid to 2 where it is higher, since Debian's 3 allows perf events to
 * nobody; environment_stop sets it back.
 *
 * Return: 0 and *ret (environment_stop), negative errno.
 */
int environment_start(const char *build_dir, Environment **ret);

/* Ends daemon and bus, whatever state they are in, and removes every trace. Return: NULL. */
Environment *environment_stop(Environment *environment);

/* The text of the settings file that daemons are started with from now on; NULL: with none. Return: 0
 * or negative errno. */
int environment_set_settings(Environment *environment, const char *text);
bool environment_has_settings(const Environment *environment);

/* Starts a daemon after the former one has ended. Return: 0 when it owns its name, negative errno. */
int environment_start_daemon(Environment *environment);

/*
 * Ends the daemon by SIGTERM. Return: 0 when it exited with status 0 within 5 s; -EPROTO when it
 * did not (it is gone all the same).
 */
int environment_stop_daemon(Environment *environment);

/* The daemon's process, a child of the caller of environment_start. */
pid_t environment_daemon_pid(const Environment *environment);

/* False when the daemon has ended by itself or was killed; it is reaped then. */
bool environment_daemon_lives(Environment *environment);

/* To be called by who has reaped the daemon. */
void environment_forget_daemon(Environment *environment);

/* The bus's D-Bus address. */
const char *environment_address(const Environment *environment);

/* As it was given to environment_start. */
const char *environment_build_dir(const Environment *environment);

/* A directory that everybody can enter, removed at the end. */
const char *environment_directory(const Environment *environment);

/* Where `path` is for other users: the copy if `path` was copied, else `path`. Return: 0 and *ret
 * (free()), -ENOMEM. */
int environment_path(const Environment *environment, const char *path, char **ret);

/*
 * The environment variables for a command of `who` on this bus: ours, with the bus's address, the
 * user's name and home, the built tools first in PATH, and BPCOND_BUILD_DIR and BPCOND_DAEMON_PID.
 *
 * Return: 0 and *ret (environment_variables_free), -ENOMEM.
 */
int environment_variables(const Environment *environment, const Identity *who, char ***ret);
char **environment_variables_free(char **variables);

/* Writes the daemon's log to our stderr. */
void environment_show_log(const Environment *environment);

#endif
