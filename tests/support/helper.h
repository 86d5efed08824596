/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two sides of an integration test. A test case runs as an ordinary user, since that is whom
 * the daemon serves; what takes more (processes of other users, a look into the daemon, its end by
 * SIGKILL) a helper does that has stayed root: the parent of the test runner, over a socket.
 *
 * The functions of the test's side end the test case as failed when the helper cannot do what it is
 * asked, so they return no errors unless said.
 */
#ifndef SUPPORT_HELPER_H
#define SUPPORT_HELPER_H

#include <sys/types.h>

#include "tests/support/environment.h"
#include "tests/support/objects.h"

/* ---- the root side --------------------------------------------------------------------------- */

/* Serves until the other side has closed the socket. Return: 0 or negative errno. */
int helper_serve(Environment *environment, int socket_fd);

/* ---- the test's side ------------------------------------------------------------------------- */

/* Says which socket leads to the helper; once, before anything else. */
void helper_connect(int socket_fd);

/* Between test cases: ends what the former one left, and sees that a daemon runs. */
void helper_reset(void);

/* Starts a program as `user` with that stdout (borrowed; -EBADF: ours) and stdin (-EBADF:
 * /dev/null). Return: its pid. It is killed at the test case's end at the latest. */
pid_t helper_spawn(const char *user, const char *const argv[], int stdin_fd, int stdout_fd);

/* The same with a given pid, that of a process that has ended. Return: 0 or negative errno. */
int helper_spawn_with_pid(const char *user, pid_t pid, const char *const argv[]);

/* Waits for a spawned program. Return: its exit status as $? would be; 128 + signal. */
int helper_wait(pid_t pid, int timeout_ms);

/* Signals any process, as root. Return: 0 or negative errno. */
int helper_kill(pid_t pid, int signal_number);

pid_t helper_daemon_pid(void);
/* Ends the daemon with a signal and reaps it. Return: its exit status as $? would be. */
int helper_end_daemon(int signal_number);
void helper_start_daemon(void);
/* Ends the daemon in good order, and starts one with that settings file until the next test case. */
void helper_restart_with_settings(const char *text);

/* objects_of() as root. Return: 0 or negative errno. */
int helper_objects(pid_t pid, Objects *ret);

/* Fails the test case unless the process has, within 2 s, no more descriptors than it had: a
 * daemon lets go of a message, and of the descriptors in it, only after its answer. */
void helper_expect_descriptors(pid_t pid, const Objects *before);

/* objects_alive() as root, until it is 0 or the time is up. Return: what is alive at the end. */
size_t helper_wait_objects_gone(const Objects *objects, const Objects *except, int timeout_ms);

/* objects_mark() as root. */
void helper_mark_objects(ObjectMarks *ret);

/* Waits until objects_left() is 0, for the daemon that runs, or the time is up. Return: what is left. */
int helper_wait_objects_left(const ObjectMarks *marks, int timeout_ms);

/* Kills and reaps all that was spawned and not waited for. */
void helper_end_children(void);

/* Sets kernel.perf_event_paranoid until the next test case. */
void helper_set_paranoid(int value);

/* Copies a built program with mode 4755 for `owner`. `ret` receives its path. */
void helper_make_set_user_id(const char *program, const char *owner, char ret[static 256]);

#endif
