/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of the client library: one place where D-Bus error names become errnos, and where a
 * bpcond_error is filled in.
 */
#ifndef CLIENT_ERROR_H
#define CLIENT_ERROR_H

#include "bpcond/bpcond.h"

/* What to do where no daemon answers; %s is what the bus says of it. */
#define CLIENT_NO_DAEMON_TEXT                                                                 \
	"no bpcondd answers on this bus (%s); start it with 'systemctl start bpcondd', see "  \
	"with 'systemctl status bpcondd' and 'journalctl -u bpcondd' why it does not start, " \
	"or name the bus that it is on"

#define CLIENT_ERROR_FAILED      "org.bpcond1.Client.Failed"
#define CLIENT_ERROR_UNREACHABLE "org.bpcond1.Client.Unreachable"
#define CLIENT_ERROR_DAEMON_LOST "org.bpcond1.Client.DaemonLost"
#define CLIENT_ERROR_NO_TARGET   "org.bpcond1.Error.NoSuchTarget"
#define CLIENT_ERROR_EXITED      "org.bpcond1.Error.TargetExited"
#define CLIENT_ERROR_SPEC        "org.bpcond1.Error.InvalidSpec"
#define CLIENT_ERROR_CONDITION   "org.bpcond1.Error.InvalidCondition"
#define CLIENT_ERROR_REFUSED     "org.bpcond1.Error.NotAuthorized"

/* The negative errno of a D-Bus error name, -EIO for one that is not known. */
int error_number_of(const char *name);

/* Fills in *error (NULL: nothing), cutting the message where it does not fit. Return: number, for
 * `return error_set(…)`. */
int error_set(bpcond_error *error, int number, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* -ENOMEM with its message. */
int error_no_memory(bpcond_error *error);

#endif
