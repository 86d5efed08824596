/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting a program so that it stands still before its own code runs, without any privilege: as
 * our own child, traced by ptrace until it is let go.
 */
#ifndef TOOLS_LAUNCH_H
#define TOOLS_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts argv[0] (looked for in PATH) with our own standard input, output and error, and stops it at
 * its exec: the program is mapped, the dynamic linker has not begun. Until launch_detach the
 * program dies with us.
 *
 * With own_session it has a session of its own (setsid(2)): it can stay stopped when we have ended, but
 * the terminal, from which it can still read, sends it no signals.
 *
 * Return: its pid; a negative errno, that of the exec if it is the exec that failed.
 */
pid_t launch(char **argv, bool own_session);

/*
 * Lets a program that stands at its exec run to its entry point: the dynamic linker has loaded and
 * initialised the shared libraries, main has not begun.
 *
 * Return: 0; -ESRCH when it ended on the way; a negative errno.
 */
int launch_run_to_entry(pid_t pid);

/* Lets the program go on, no longer traced. Return: 0; -ESRCH when it has been killed. */
int launch_detach(pid_t pid);

/* Kills and reaps a program that has not been let go. */
void launch_kill(pid_t pid);

#endif
