/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals by their names, as <signal.h> has them: SIGSTOP, SIGRTMIN+3, SIGRTMAX-1. */
#ifndef SIGNAL_NAMES_H
#define SIGNAL_NAMES_H

enum {
	SIGNAL_NAME_SIZE = 16,
};

/* Return: the number; 0 when there is no such signal. Case and the SIG prefix count. */
int signal_from_name(const char *name);

/* The one name of a signal that signal_from_name gave; real-time signals count from SIGRTMIN. */
void signal_to_name(int number, char ret[static SIGNAL_NAME_SIZE]);

#endif
