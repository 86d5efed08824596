/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/bus_restart.h"
#include "daemon/util.h"

#define SYSTEMD           "org.freedesktop.systemd1"
#define SYSTEMD_UNITS     "/org/freedesktop/systemd1/unit"
#define SYSTEMD_UNIT      SYSTEMD ".Unit"
#define SYSTEMD_SERVICE   SYSTEMD ".Service"
#define SYSTEMD_JOB       SYSTEMD ".Job"
#define CALL_TIMEOUT_USEC 1000000

/* Reads a property. Return: 0 and *ret, which stands in the variant (sd_bus_message_unref). */
static int get(sd_bus *bus, const char *path, const char *interface, const char *name,
	       const char *type, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, path,
					   "org.freedesktop.DBus.Properties", "Get");
	if (r < 0)
		return r;
	r = sd_bus_message_append(call, "ss", interface, name);
	if (r < 0)
		return r;
	r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC, NULL, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(reply, 'v', type);
	if (r < 0)
		return r;
	*ret = reply;
	reply = NULL;
	return 0;
}

static int get_number(sd_bus *bus, const char *path, const char *name, uint32_t *ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = get(bus, path, SYSTEMD_SERVICE, name, "u", &reply);
	return r < 0 ? r : sd_bus_message_read(reply, "u", ret);
}

/* Whether the job on the unit is a restart. */
static int is_restart_job(sd_bus *bus, const char *unit, bool *ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL, *job = NULL;
	const char *path, *type;
	uint32_t id;
	int r;

	r = get(bus, unit, SYSTEMD_UNIT, "Job", "(uo)", &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "(uo)", &id, &path);
	if (r < 0)
		return r;
	if (id == 0) {
		*ret = false;
		return 0;
	}
	r = get(bus, path, SYSTEMD_JOB, "JobType", "s", &job);
	if (r < 0)
		return r;
	r = sd_bus_message_read(job, "s", &type);
	if (r < 0)
		return r;
	*ret = strcmp(type, "restart") == 0;
	return 0;
}

bool bus_is_restarting(sd_bus *bus, uint32_t n_stored)
{
	_cleanup_free_ char *unit = NULL, *path = NULL;
	uint32_t main_pid = 0, n_held = 0;
	bool restarts = false;
	int r;

	r = sd_pid_get_unit(0, &unit);
	if (r >= 0)
		r = sd_bus_path_encode(SYSTEMD_UNITS, unit, &path);
	if (r >= 0)
		r = get_number(bus, path, "MainPID", &main_pid);
	if (r >= 0)
		r = get_number(bus, path, "NFileDescriptorStore", &n_held);
	if (r >= 0)
		r = is_restart_job(bus, path, &restarts);
	if (r < 0) {
		log_warning(
			"cannot ask systemd whether this is a restart, and so stop for good: %s",
			strerror(-r));
		return false;
	}
	if (main_pid != (uint32_t)getpid() || !restarts)
		return false;
	if (n_held < n_stored)
		log_warning(
			"systemd holds %u of %u descriptors, and so nothing is left to the next "
			"daemon; see FileDescriptorStoreMax= of %s",
			n_held, n_stored, unit);
	return n_held >= n_stored;
}
