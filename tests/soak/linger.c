/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lingering sessions, which the client library has not: they are for callers that come and go. */
#include <errno.h>
#include <string.h>

#include "tests/soak/worker.h"

#define DESTINATION          "org.bpcond1"
#define BREAKPOINT_INTERFACE "org.bpcond1.Breakpoint"

/* Return: 0 and worker->bus, negative errno. */
static int connect_bus(Worker *worker)
{
	if (worker->bus)
		return 0;
	return sd_bus_open_system(&worker->bus);
}

void linger_leave(Worker *worker)
{
	worker->bus = sd_bus_flush_close_unref(worker->bus);
}

/* Our errno for a D-Bus error. */
static int number_of(const sd_bus_error *error, int r)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{"org.bpcond1.Error.TargetExited", -ESRCH},
		{"org.bpcond1.Error.NoSuchTarget", -ESRCH},
		{"org.bpcond1.Error.NoFreeSlot", -ENOSPC},
		{"org.bpcond1.Error.QuotaExceeded", -EDQUOT},
		{SD_BUS_ERROR_UNKNOWN_OBJECT, -ENOENT},
		{SD_BUS_ERROR_UNKNOWN_METHOD, -ENOENT},
		{SD_BUS_ERROR_UNKNOWN_INTERFACE, -ENOENT},
		{SD_BUS_ERROR_UNKNOWN_PROPERTY, -ENOENT},
	};

	for (size_t i = 0; error->name && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(error->name, names[i].name) == 0)
			return names[i].number;
	}
	return r;
}

/* A call; `reply` may be NULL. */
static int call(Worker *worker, sd_bus_message *message, sd_bus_message **reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call(worker->bus, message, 0, &error, reply);
	if (r < 0)
		r = number_of(&error, r);
	sd_bus_error_free(&error);
	sd_bus_message_unref(message);
	return r < 0 ? r : 0;
}

static int new_call(Worker *worker, const char *path, const char *interface, const char *method,
		    sd_bus_message **ret)
{
	int r;

	r = connect_bus(worker);
	if (r < 0)
		return r;
	return sd_bus_message_new_method_call(worker->bus, ret, DESTINATION, path, interface,
					      method);
}

int linger_open(Worker *worker, pid_t pid, char path[static 128])
{
	sd_bus_message *message = NULL, *reply = NULL;
	const char *object;
	int r;

	r = new_call(worker, "/org/bpcond1", "org.bpcond1.Manager", "OpenSessionByPid", &message);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "ua{sv}", (uint32_t)pid, 1, "linger", "b", 1);
	if (r < 0)
		worker_fail(worker, "OpenSessionByPid: %s", strerror(-r));
	r = call(worker, message, &reply);
	if (r == 0)
		r = sd_bus_message_read(reply, "o", &object);
	if (r >= 0)
		strncpy(path, object, 127);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 0;
}

int linger_add(Worker *worker, const char *session, const char *spec, char path[static 160])
{
	sd_bus_message *message = NULL, *reply = NULL;
	const char *object;
	int r;

	r = new_call(worker, session, "org.bpcond1.Session", "AddBreakpoint", &message);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "s", spec);
	if (r < 0)
		worker_fail(worker, "AddBreakpoint: %s", strerror(-r));
	r = call(worker, message, &reply);
	if (r == 0)
		r = sd_bus_message_read(reply, "o", &object);
	if (r >= 0)
		strncpy(path, object, 159);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 0;
}

int linger_call(Worker *worker, const char *path, const char *interface, const char *method)
{
	sd_bus_message *message = NULL;
	int r;

	r = new_call(worker, path, interface, method, &message);
	return r < 0 ? r : call(worker, message, NULL);
}

int linger_set_parameter(Worker *worker, const char *path, const char *name, uint64_t value)
{
	sd_bus_message *message = NULL;
	int r;

	r = new_call(worker, path, BREAKPOINT_INTERFACE, "SetParameter", &message);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "st", name, value);
	if (r < 0)
		worker_fail(worker, "SetParameter: %s", strerror(-r));
	return call(worker, message, NULL);
}

static int read_counts(sd_bus_message *reply, WatchCounts *ret)
{
	const struct {
		const char *name;
		uint64_t *value;
	} counts[] = {
		{"Traps", &ret->traps},       {"Evaluated", &ret->evaluated},
		{"Hits", &ret->hits},         {"Rejected", &ret->rejected},
		{"Withheld", &ret->withheld}, {"Faults", &ret->faults},
		{"Dropped", &ret->dropped},   {"Unsignalled", &ret->unsignalled},
		{"Lost", &ret->lost},
	};
	size_t found = 0;
	const char *name;
	int r;

	r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r >= 0) {
		size_t i = 0;

		r = sd_bus_message_enter_container(reply, 'e', "sv");
		if (r <= 0)
			break;
		r = sd_bus_message_read(reply, "s", &name);
		while (r >= 0 && i < sizeof(counts) / sizeof(counts[0]) &&
		       strcmp(name, counts[i].name) != 0)
			i++;
		if (r >= 0 && i < sizeof(counts) / sizeof(counts[0])) {
			r = sd_bus_message_read(reply, "v", "t", counts[i].value);
			found++;
		} else if (r >= 0) {
			r = sd_bus_message_skip(reply, "v");
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	if (r < 0)
		return r;
	return found == sizeof(counts) / sizeof(counts[0]) ? 0 : -EBADMSG;
}

int linger_counts(Worker *worker, const char *path, WatchCounts *ret)
{
	sd_bus_message *message = NULL, *reply = NULL;
	int r;

	r = new_call(worker, path, "org.freedesktop.DBus.Properties", "GetAll", &message);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "s", BREAKPOINT_INTERFACE);
	if (r < 0)
		worker_fail(worker, "GetAll: %s", strerror(-r));
	r = call(worker, message, &reply);
	if (r == 0)
		r = read_counts(reply, ret);
	sd_bus_message_unref(reply);
	return r;
}
