/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of the client library. The table is the only place where D-Bus names become errnos.
 */
#include "client/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int number;
} error_table[] = {
	{CLIENT_ERROR_SPEC, -EINVAL},
	{CLIENT_ERROR_CONDITION, -EINVAL},
	{CLIENT_ERROR_NO_TARGET, -ESRCH},
	{CLIENT_ERROR_EXITED, -ESRCH},
	{CLIENT_ERROR_REFUSED, -EACCES},
	{"org.bpcond1.Error.NoFreeSlot", -ENOSPC},
	{"org.bpcond1.Error.QuotaExceeded", -EDQUOT},
	{"org.bpcond1.Error.NotSupported", -EOPNOTSUPP},
	{"org.freedesktop.DBus.Error.InvalidArgs", -EINVAL},
	{"org.freedesktop.DBus.Error.UnknownObject", -ENOENT},
	{"org.freedesktop.DBus.Error.UnknownMethod", -ENOENT},
	{"org.freedesktop.DBus.Error.AccessDenied", -EACCES},
	{"org.freedesktop.DBus.Error.LimitsExceeded", -EDQUOT},
	{"org.freedesktop.DBus.Error.NoMemory", -ENOMEM},
	{"org.freedesktop.DBus.Error.ServiceUnknown", -EHOSTUNREACH},
	{"org.freedesktop.DBus.Error.NameHasNoOwner", -EHOSTUNREACH},
	{"org.freedesktop.DBus.Error.NoServer", -EHOSTUNREACH},
	{"org.freedesktop.DBus.Error.Disconnected", -ECONNRESET},
	{"org.freedesktop.DBus.Error.NoReply", -ETIMEDOUT},
	{"org.freedesktop.DBus.Error.Timeout", -ETIMEDOUT},
	/* The bus has waited in vain for the daemon that it started. */
	{"org.freedesktop.DBus.Error.TimedOut", -EHOSTUNREACH},
};

int error_number_of(const char *name)
{
	/* The bus tried to start the daemon and could not, or had systemd try. */
	static const char *const starting[] = {
		"org.freedesktop.DBus.Error.Spawn.",
		"org.freedesktop.systemd1.",
	};

	for (size_t i = 0; i < sizeof(error_table) / sizeof(error_table[0]); i++) {
		if (strcmp(error_table[i].name, name) == 0)
			return error_table[i].number;
	}
	for (size_t i = 0; i < sizeof(starting) / sizeof(starting[0]); i++) {
		if (strncmp(name, starting[i], strlen(starting[i])) == 0)
			return -EHOSTUNREACH;
	}
	return -EIO;
}

int error_set(bpcond_error *error, int number, const char *name, const char *format, ...)
{
	va_list ap;

	if (error == NULL)
		return number;

	*error = (bpcond_error){.number = number};
	snprintf(error->name, sizeof(error->name), "%s", name);
	va_start(ap, format);
	vsnprintf(error->message, sizeof(error->message), format, ap);
	va_end(ap);
	return number;
}

int error_no_memory(bpcond_error *error)
{
	return error_set(error, -ENOMEM, CLIENT_ERROR_FAILED,
			 "this process is out of memory; raise its limit or free some");
}
