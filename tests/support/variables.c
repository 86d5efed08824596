/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The environment variables of a command on the private bus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/environment.h"

/* What of our variables the command does not get as it is. */
static bool is_replaced(const char *variable)
{
	static const char *const names[] = {"DBUS_SYSTEM_BUS_ADDRESS=",
					    "BPCOND_BUILD_DIR=",
					    "BPCOND_DAEMON_PID=",
					    "HOME=",
					    "LOGNAME=",
					    "PATH=",
					    "USER=",
					    "XDG_RUNTIME_DIR=",
					    "DBUS_SESSION_BUS_ADDRESS="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static int add_variable(char **variables, size_t *n, const char *name, const char *value)
{
	if (asprintf(&variables[*n], "%s=%s", name, value) < 0) {
		variables[*n] = NULL;
		return -ENOMEM;
	}
	(*n)++;
	return 0;
}

static int add_own_variables(const Environment *e, const Identity *who, char **variables, size_t *n)
{
	const char *path = getenv("PATH");
	char *build = NULL, *with_tools = NULL, daemon[16];
	int r;

	r = environment_path(e, environment_build_dir(e), &build);
	if (r < 0)
		return r;
	if (asprintf(&with_tools, "%s/tools:%s", build,
		     path ? path : "/usr/local/bin:/usr/bin:/bin") < 0) {
		free(build);
		return -ENOMEM;
	}
	r = add_variable(variables, n, "PATH", with_tools);
	if (r >= 0)
		r = add_variable(variables, n, "BPCOND_BUILD_DIR", build);
	snprintf(daemon, sizeof(daemon), "%d", environment_daemon_pid(e));
	if (r >= 0)
		r = add_variable(variables, n, "BPCOND_DAEMON_PID", daemon);
	if (r >= 0)
		r = add_variable(variables, n, "DBUS_SYSTEM_BUS_ADDRESS", environment_address(e));
	if (r >= 0)
		r = add_variable(variables, n, "HOME", who->home);
	if (r >= 0)
		r = add_variable(variables, n, "LOGNAME", who->name);
	if (r >= 0)
		r = add_variable(variables, n, "USER", who->name);
	free(build);
	free(with_tools);
	return r;
}

int environment_variables(const Environment *e, const Identity *who, char ***ret)
{
	size_t count = 0, n = 0;
	char **variables;
	int r;

	while (environ[count])
		count++;
	variables = calloc(count + 9, sizeof(*variables));
	if (!variables)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (is_replaced(environ[i]))
			continue;
		variables[n] = strdup(environ[i]);
		if (!variables[n]) {
			environment_variables_free(variables);
			return -ENOMEM;
		}
		n++;
	}
	r = add_own_variables(e, who, variables, &n);
	if (r < 0) {
		environment_variables_free(variables);
		return r;
	}
	*ret = variables;
	return 0;
}

char **environment_variables_free(char **variables)
{
	for (char **v = variables; v && *v; v++)
		free(*v);
	free(variables);
	return NULL;
}
