/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes over the socket between a test case and the helper that stayed root: one request, one
 * answer, both of fixed size, descriptors beside them. One test case at a time, so there is nothing to
 * tell apart.
 */
#ifndef SUPPORT_HELPER_PROTOCOL_H
#define SUPPORT_HELPER_PROTOCOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/objects.h"

enum {
	MAX_ARGUMENTS = 16,
};

enum operation {
	OP_RESET,
	OP_SPAWN,
	OP_WAIT,
	OP_KILL,
	OP_DAEMON_PID,
	OP_END_DAEMON,
	OP_START_DAEMON,
	OP_OBJECTS,
	OP_ALIVE,
	OP_SET_USER_ID,
	OP_SET_PARANOID,
	OP_RESTART_WITH_SETTINGS,
	OP_MARK,
	OP_LEFT,
	OP_END_CHILDREN,
};

struct request {
	enum operation operation;
	pid_t pid;
	int number; /* signal, milliseconds or the setting's value */
	bool has_fd[2];
	char user[64];
	char arguments[MAX_ARGUMENTS][256];
	unsigned n_arguments;
	Objects objects, except;
	ObjectMarks marks;
};

struct answer {
	int result; /* of the operation, or negative errno */
	char text[256];
	Objects objects;
	ObjectMarks marks;
};

#endif
