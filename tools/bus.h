/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's objects over D-Bus, for the commands that look at more than a session of their own.
 */
#ifndef TOOLS_BUS_H
#define TOOLS_BUS_H

#include <systemd/sd-bus.h>

#include "tools/bpcondctl.h"

#define BUS_SERVICE   "org.bpcond1"
#define BUS_ROOT      "/org/bpcond1"
#define BUS_INTERFACE "org.bpcond1."

/* Options --bus and --json behind the name of a command that has no others. Return: STATUS_HITS and
 * the index of the first argument in *ret_first; STATUS_USAGE. */
ExitStatus bus_options(Tool *tool, int argc, char **argv, int *ret_first);

/* Return: STATUS_HITS and *ret (sd_bus_close_unref); STATUS_NO_DAEMON, which has been said. */
ExitStatus bus_open(const Tool *tool, sd_bus **ret);

/* Says what a failed call is about. Return: the exit status. */
ExitStatus bus_complain(int r, const sd_bus_error *error);

struct json_object;

/*
 * All properties of an interface as a JSON object, in the daemon's order. Those that this user
 * may not read are left out by the daemon's error: then it is NULL.
 *
 * Return: 0 and *ret (json_object_put); a negative errno with *error.
 */
int bus_get_all(sd_bus *bus, const char *path, const char *interface, sd_bus_error *error,
		struct json_object **ret);

/* A command that takes no argument: asks (0 and *ret, json_object_put; a negative errno with *error) and has
 * the answer shown. Return: the exit status. */
ExitStatus bus_report(Tool *tool, int argc, char **argv,
		      int (*ask)(sd_bus *bus, sd_bus_error *error, struct json_object **ret),
		      void (*show)(const Tool *tool, struct json_object *answer));

#endif
