/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bus and daemon for tests, for the demo and for `./run with-daemon`.
 *
 * The daemon is started as an init system would start it: as its own user, both capabilities in the
 * ambient set, nothing else in any set. The bus has the rules and limits of a system bus, so that
 * what works here does not fail there for want of 16 descriptors a message.
 */
#include "tests/support/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "tests/support/staging.h"

enum {
	START_TIMEOUT_MS = 10000,
	STOP_TIMEOUT_MS = 5000,
	PARANOID_WANTED = 2,
};

#define PARANOID_FILE "/proc/sys/kernel/perf_event_paranoid"

struct Environment {
	char directory[64];
	char address[128];
	char *build_dir;  /* as the caller named it */
	char *staged_dir; /* its copy; NULL where none was needed */
	Identity daemon_user;
	pid_t bus_pid;    /* 0: none */
	pid_t daemon_pid; /* 0: none */
	int paranoid;     /* to be set back; -1: left alone */
	char *config;     /* the file of the daemon's settings; NULL: none */
};

static int write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	int r;

	if (!file)
		return -errno;
	r = fputs(text, file) < 0 ? -EIO : 0;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

static int write_bus_config(const Environment *e, const char *path)
{
	char text[4096];
	int n;

	n = snprintf(text, sizeof(text),
		     "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration "
		     "1.0//EN\"\n"
		     " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
		     "<busconfig>\n"
		     "  <listen>%s</listen>\n"
		     "  <auth>EXTERNAL</auth>\n"
		     "  <policy context=\"default\">\n"
		     "    <allow user=\"*\"/>\n"
		     "    <deny own=\"*\"/>\n"
		     "    <deny send_type=\"method_call\"/>\n"
		     "    <allow send_type=\"signal\"/>\n"
		     "    <allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
		     "    <allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
		     "    <allow receive_type=\"method_call\"/>\n"
		     "    <allow receive_type=\"method_return\"/>\n"
		     "    <allow receive_type=\"error\"/>\n"
		     "    <allow receive_type=\"signal\"/>\n"
		     "    <allow send_destination=\"org.freedesktop.DBus\"/>\n"
		     "    <allow send_destination=\"org.bpcond1\"/>\n"
		     "  </policy>\n"
		     "  <policy user=\"%s\">\n"
		     "    <allow own=\"org.bpcond1\"/>\n"
		     "  </policy>\n"
		     "  <limit name=\"max_message_unix_fds\">16</limit>\n"
		     "</busconfig>\n",
		     e->address, e->daemon_user.name);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	return write_text(path, text);
}

static int start_bus(Environment *e)
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	char config[128], argument[160];
	const char *argv[] = {"dbus-daemon", argument,     "--nofork",
			      "--nopidfile", "--nosyslog", NULL};
	int r;

	/* by name of its directory: only the bus's user can make the socket there */
	snprintf(config, sizeof(config), "%s/bus", e->directory);
	if (mkdir(config, 0755) < 0)
		return -errno;
	if (chown(config, e->daemon_user.uid, e->daemon_user.gid) < 0)
		return -errno;
	snprintf(e->address, sizeof(e->address), "unix:path=%s/bus/socket", e->directory);
	snprintf(config, sizeof(config), "%s/bus.conf", e->directory);
	r = write_bus_config(e, config);
	if (r < 0)
		return r;

	snprintf(argument, sizeof(argument), "--config-file=%s", config);
	options.who = &e->daemon_user;
	options.own_session = true;
	options.dies_with_us = true;
	r = process_spawn(argv, &options, &e->bus_pid);
	if (r < 0)
		fprintf(stderr, "cannot start dbus-daemon (package dbus-daemon): %s\n",
			strerror(-r));
	return r;
}

/* Waits until the bus answers. Return: 0 and *ret, negative errno. */
static int connect_bus(Environment *e, int64_t deadline, sd_bus **ret)
{
	sd_bus *bus = NULL;
	int r;

	for (;;) {
		r = sd_bus_new(&bus);
		if (r < 0)
			return r;
		r = sd_bus_set_address(bus, e->address);
		if (r >= 0)
			r = sd_bus_set_bus_client(bus, 1);
		if (r >= 0)
			r = sd_bus_start(bus);
		if (r >= 0)
			r = sd_bus_get_unique_name(bus, &(const char *){NULL});
		if (r >= 0) {
			*ret = bus;
			return 0;
		}
		bus = sd_bus_close_unref(bus);
		if (now_ms() > deadline)
			return r;
		if (waitpid(e->bus_pid, NULL, WNOHANG) == e->bus_pid) {
			e->bus_pid = 0;
			return -ECONNREFUSED;
		}
		usleep(5000);
	}
}

static int wait_for_bus(Environment *e)
{
	sd_bus *bus = NULL;
	int r;

	r = connect_bus(e, now_ms() + START_TIMEOUT_MS, &bus);
	if (r < 0)
		fprintf(stderr, "the private bus does not answer: %s\n", strerror(-r));
	sd_bus_close_unref(bus);
	return r;
}

static bool name_is_owned(sd_bus *bus)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int owned = 0, r;

	r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "NameHasOwner", &error, &reply, "s",
			       "org.bpcond1");
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &owned);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return r >= 0 && owned;
}

static int wait_for_name(Environment *e)
{
	int64_t deadline = now_ms() + START_TIMEOUT_MS;
	sd_bus *bus = NULL;
	int r;

	r = connect_bus(e, deadline, &bus);
	if (r < 0)
		return r;
	for (;;) {
		if (name_is_owned(bus)) {
			r = 0;
			break;
		}
		if (!environment_daemon_lives(e)) {
			fprintf(stderr, "bpcondd ended before it owned org.bpcond1\n");
			r = -ECHILD;
			break;
		}
		if (now_ms() > deadline) {
			fprintf(stderr, "bpcondd did not own org.bpcond1 within %d s\n",
				START_TIMEOUT_MS / 1000);
			r = -ETIMEDOUT;
			break;
		}
		usleep(5000);
	}
	sd_bus_close_unref(bus);
	return r;
}

int environment_set_settings(Environment *e, const char *text)
{
	int r;

	free(e->config);
	e->config = NULL;
	if (!text)
		return 0;
	if (asprintf(&e->config, "%s/bpcondd.conf", e->directory) < 0) {
		e->config = NULL;
		return -ENOMEM;
	}
	r = write_text(e->config, text);
	if (r == 0 && chmod(e->config, 0644) < 0)
		r = -errno;
	return r;
}

bool environment_has_settings(const Environment *e)
{
	return e->config != NULL;
}

int environment_start_daemon(Environment *e)
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	char *original = NULL, *program = NULL, *log = NULL;
	int log_fd = -EBADF, r;

	/* Another build of it, as tests may choose. */
	const char *which = getenv("BPCOND_TEST_DAEMON");

	if (asprintf(&original, "%s/%s", e->build_dir, which ? which : "daemon/bpcondd") < 0)
		return -ENOMEM;
	r = environment_path(e, original, &program);
	free(original);
	if (r < 0)
		return r;
	if (asprintf(&log, "%s/daemon.log", e->directory) < 0) {
		free(program);
		return -ENOMEM;
	}

	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log_fd >= 0) {
		options.who = &e->daemon_user;
		options.capabilities = 1ULL << CAP_BPF | 1ULL << CAP_PERFMON;
		options.stdout_fd = log_fd;
		options.stderr_fd = log_fd;
		options.own_session = true;
		options.dies_with_us = true;
		r = process_spawn((const char *[]){program, "--bus", e->address,
						   e->config ? "--config" : NULL, e->config,
						   NULL},
				  &options, &e->daemon_pid);
		close(log_fd);
	} else {
		r = -errno;
	}
	if (r < 0)
		fprintf(stderr, "cannot start %s: %s\n", program, strerror(-r));
	free(program);
	free(log);
	if (r < 0)
		return r;

	r = wait_for_name(e);
	if (r < 0)
		environment_show_log(e);
	return r;
}

bool environment_daemon_lives(Environment *e)
{
	if (e->daemon_pid && waitpid(e->daemon_pid, NULL, WNOHANG) == e->daemon_pid)
		e->daemon_pid = 0;
	return e->daemon_pid != 0;
}

void environment_forget_daemon(Environment *e)
{
	e->daemon_pid = 0;
}

int environment_stop_daemon(Environment *e)
{
	int status, r;

	if (!environment_daemon_lives(e))
		return -EPROTO;
	r = process_end(e->daemon_pid, STOP_TIMEOUT_MS, &status);
	e->daemon_pid = 0;
	if (r < 0)
		return r;
	if (status != 0) {
		fprintf(stderr, "bpcondd did not end cleanly at SIGTERM: status %d\n",
			process_exit_status(status));
		return -EPROTO;
	}
	return 0;
}

static int read_paranoid(void)
{
	FILE *file = fopen(PARANOID_FILE, "re");
	int value;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static int lower_paranoid(Environment *e)
{
	char text[16];
	int value = read_paranoid(), r;

	if (value <= PARANOID_WANTED)
		return 0;
	snprintf(text, sizeof(text), "%d\n", PARANOID_WANTED);
	r = write_text(PARANOID_FILE, text);
	if (r < 0) {
		fprintf(stderr,
			"kernel.perf_event_paranoid is %d, where this kernel allows perf events to "
			"nobody, and cannot be set to %d: %s\n",
			value, PARANOID_WANTED, strerror(-r));
		return r;
	}
	fprintf(stderr, "kernel.perf_event_paranoid: %d, set to %d until this ends\n", value,
		PARANOID_WANTED);
	e->paranoid = value;
	return 0;
}

static void restore_paranoid(const Environment *e)
{
	char text[16];

	if (e->paranoid < 0)
		return;
	snprintf(text, sizeof(text), "%d\n", e->paranoid);
	if (write_text(PARANOID_FILE, text) < 0)
		fprintf(stderr, "set back yourself: sysctl kernel.perf_event_paranoid=%d\n",
			e->paranoid);
}

static int stage(Environment *e, const char *build_dir)
{
	char *daemon = NULL;
	Identity other;
	bool reachable;
	int r;

	e->build_dir = strdup(build_dir);
	if (!e->build_dir || asprintf(&daemon, "%s/daemon/bpcondd", build_dir) < 0)
		return -ENOMEM;
	if (access(daemon, X_OK) < 0) {
		r = -errno;
		fprintf(stderr, "%s: %s: run ./run build first\n", daemon, strerror(-r));
		free(daemon);
		return r;
	}
	r = identity_by_name("nobody", &other);
	reachable = staging_can_execute(r == 0 ? &other : &e->daemon_user, daemon);
	free(daemon);
	if (reachable)
		return 0;

	if (asprintf(&e->staged_dir, "%s/build", e->directory) < 0) {
		e->staged_dir = NULL;
		return -ENOMEM;
	}
	r = staging_copy(build_dir, e->staged_dir);
	if (r < 0)
		fprintf(stderr, "cannot copy %s for other users: %s\n", build_dir, strerror(-r));
	return r;
}

static int start(Environment *e, const char *build_dir)
{
	int r;

	r = identity_by_name(ENVIRONMENT_DAEMON_USER, &e->daemon_user);
	if (r < 0) {
		fprintf(stderr, "there is no user " ENVIRONMENT_DAEMON_USER
				": ./run with-daemon creates it, or: "
				"useradd --system --no-create-home " ENVIRONMENT_DAEMON_USER "\n");
		return r;
	}
	strcpy(e->directory, "/tmp/bpcond-XXXXXX");
	if (!mkdtemp(e->directory)) {
		r = -errno;
		e->directory[0] = '\0';
		return r;
	}
	if (chmod(e->directory, 0755) < 0)
		return -errno;
	r = stage(e, build_dir);
	if (r < 0)
		return r;
	r = lower_paranoid(e);
	if (r < 0)
		return r;
	r = start_bus(e);
	if (r < 0)
		return r;
	r = wait_for_bus(e);
	if (r < 0)
		return r;
	return environment_start_daemon(e);
}

int environment_start(const char *build_dir, Environment **ret)
{
	Environment *e = calloc(1, sizeof(*e));
	mode_t mask = umask(022); /* other users must read what is made here */
	int r;

	if (!e)
		return -ENOMEM;
	e->paranoid = -1;
	r = start(e, build_dir);
	umask(mask);
	if (r < 0) {
		environment_stop(e);
		return r;
	}
	*ret = e;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (remove(path) < 0)
		fprintf(stderr, "left behind: %s: %s\n", path, strerror(errno));
	return 0;
}

Environment *environment_stop(Environment *e)
{
	if (!e)
		return NULL;
	if (e->daemon_pid && environment_stop_daemon(e) < 0)
		environment_show_log(e);
	if (e->bus_pid)
		process_end(e->bus_pid, STOP_TIMEOUT_MS, NULL);
	restore_paranoid(e);
	if (e->directory[0])
		nftw(e->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(e->build_dir);
	free(e->staged_dir);
	free(e->config);
	free(e);
	return NULL;
}

const char *environment_build_dir(const Environment *e)
{
	return e->build_dir;
}

pid_t environment_daemon_pid(const Environment *e)
{
	return e->daemon_pid;
}

const char *environment_address(const Environment *e)
{
	return e->address;
}

const char *environment_directory(const Environment *e)
{
	return e->directory;
}

int environment_path(const Environment *e, const char *path, char **ret)
{
	size_t length = strlen(e->build_dir);
	char *copy = NULL;

	if (!e->staged_dir || strncmp(path, e->build_dir, length) != 0 ||
	    (path[length] != '/' && path[length] != '\0')) {
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
	} else if (asprintf(&copy, "%s%s", e->staged_dir, path + length) < 0) {
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

void environment_show_log(const Environment *e)
{
	char path[128], buffer[4096];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/daemon.log", e->directory);
	file = fopen(path, "re");
	if (!file)
		return;
	fprintf(stderr, "--- bpcondd's log:\n");
	for (n = fread(buffer, 1, sizeof(buffer), file); n > 0;
	     n = fread(buffer, 1, sizeof(buffer), file))
		fwrite(buffer, 1, n, stderr);
	fprintf(stderr, "--- end of log\n");
	fclose(file);
}
