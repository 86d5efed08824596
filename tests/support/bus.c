/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls to the daemon by sd-bus alone. */
#include "tests/support/bus.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/target.h"

enum {
	EVENTS_A_MESSAGE = 12,
};

#define DESTINATION  "org.bpcond1"
#define ERROR_PREFIX "org.bpcond1.Error."

sd_bus *bus_connect(void)
{
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_open_system(&bus);
	ck_assert_msg(r >= 0, "cannot connect to the private bus: %s", strerror(-r));
	return bus;
}

/* Takes a refusal of the daemon for what it is, and anything else for a failure of the test. */
static int refused(int r, const char *method, const sd_bus_error *error)
{
	if (r >= 0)
		return 0;
	ck_assert_msg(sd_bus_error_is_set(error), "%s: %s", method, strerror(-r));
	return 1;
}

static void expect_success(int r, const sd_bus_error *error, const char *what)
{
	ck_assert_msg(r == 0, "%s: %s: %s", what, error->name, error->message);
}

static int read_session(sd_bus_message *reply, sd_bus *bus, BusSession *ret)
{
	const char *path;

	ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
	*ret = (BusSession){.bus = bus, .ring_fd = -EBADF};
	ck_assert_uint_lt(strlen(path), sizeof(ret->path));
	strcpy(ret->path, path);
	return 0;
}

int bus_try_open_descriptor(sd_bus *bus, int fd, uint64_t hits_bytes, BusSession *ret,
			    sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	int r;

	if (hits_bytes)
		r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE,
				       "OpenSession", error, &reply, "ha{sv}", fd, 1, "hits-bytes",
				       "t", hits_bytes);
	else
		r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE,
				       "OpenSession", error, &reply, "ha{sv}", fd, 0);
	r = refused(r, "OpenSession", error);
	if (r == 0)
		r = read_session(reply, bus, ret);
	sd_bus_message_unref(reply);
	return r;
}

static int try_open(sd_bus *bus, pid_t pid, uint64_t hits_bytes, BusSession *ret,
		    sd_bus_error *error)
{
	int pidfd, r;

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(pidfd, 0);
	r = bus_try_open_descriptor(bus, pidfd, hits_bytes, ret, error);
	close(pidfd);
	return r;
}

int bus_try_open_session(sd_bus *bus, pid_t pid, BusSession *ret, sd_bus_error *error)
{
	return try_open(bus, pid, 0, ret, error);
}

void bus_open_session_with_ring(sd_bus *bus, pid_t pid, uint64_t bytes, BusSession *ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	expect_success(try_open(bus, pid, bytes, ret, &error), &error, "OpenSession");
}

void bus_open_session(sd_bus *bus, pid_t pid, BusSession *ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	expect_success(bus_try_open_session(bus, pid, ret, &error), &error, "OpenSession");
}

int bus_try_open_session_by_pid(sd_bus *bus, pid_t pid, BusSession *ret, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE,
			       "OpenSessionByPid", error, &reply, "ua{sv}", (uint32_t)pid, 0);
	r = refused(r, "OpenSessionByPid", error);
	if (r == 0)
		r = read_session(reply, bus, ret);
	sd_bus_message_unref(reply);
	return r;
}

static void call_plain(sd_bus *bus, const char *path, const char *interface, const char *method)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call_method(bus, DESTINATION, path, interface, method, &error, NULL, "");
	ck_assert_msg(r >= 0, "%s: %s: %s", method, error.name, error.message);
}

void bus_close_session(BusSession *session)
{
	call_plain(session->bus, session->path, SESSION_INTERFACE, "Close");
	if (session->ring_fd >= 0)
		close(session->ring_fd);
	session->ring_fd = -EBADF;
}

static int duplicate(int fd)
{
	int copy_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	ck_assert_int_ge(copy_fd, 0);
	return copy_fd;
}

void bus_take_hits(BusSession *session)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int fd, r;

	r = sd_bus_call_method(session->bus, DESTINATION, session->path, SESSION_INTERFACE,
			       "TakeHits", &error, &reply, "");
	ck_assert_msg(r >= 0, "TakeHits: %s: %s", error.name, error.message);
	ck_assert_int_ge(sd_bus_message_read(reply, "h", &fd), 0);
	session->ring_fd = duplicate(fd);
	sd_bus_message_unref(reply);
}

int bus_try_forward(const BusSession *session, int sink_fd, const char *format,
		    sd_bus_error *error)
{
	int r;

	r = sd_bus_call_method(session->bus, DESTINATION, session->path, SESSION_INTERFACE,
			       "Forward", error, NULL, "hs", sink_fd, format);
	return refused(r, "Forward", error);
}

void bus_forward(const BusSession *session, int sink_fd, const char *format)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	expect_success(bus_try_forward(session, sink_fd, format, &error), &error, "Forward");
}

static void read_descriptors(sd_bus_message *reply, BusBreakpoint *ret)
{
	const char *name;
	int fd;

	ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "{sh}"), 0);
	while (sd_bus_message_read(reply, "{sh}", &name, &fd) > 0) {
		if (strcmp(name, "counters") == 0)
			ret->counters_fd = duplicate(fd);
		else if (strcmp(name, "parameters") == 0)
			ret->parameters_fd = duplicate(fd);
		else
			ck_abort_msg("AddBreakpoint passed a descriptor %s", name);
	}
	ck_assert_int_ge(sd_bus_message_exit_container(reply), 0);
}

int bus_try_add_text(const BusSession *session, BusBreakpoint *ret, sd_bus_error *error,
		     const char *spec)
{
	sd_bus_message *reply = NULL;
	const uint32_t *threads;
	const char *path;
	size_t size;
	int r;

	r = sd_bus_call_method(session->bus, DESTINATION, session->path, SESSION_INTERFACE,
			       "AddBreakpoint", error, &reply, "s", spec);
	r = refused(r, "AddBreakpoint", error);
	if (r != 0)
		return r;
	*ret = (BusBreakpoint){.bus = session->bus, .counters_fd = -EBADF, .parameters_fd = -EBADF};
	ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
	ck_assert_uint_lt(strlen(path), sizeof(ret->path));
	strcpy(ret->path, path);
	read_descriptors(reply, ret);
	ck_assert_int_ge(sd_bus_message_read_array(reply, 'u', (const void **)&threads, &size), 0);
	ret->n_threads = (unsigned)(size / sizeof(uint32_t));
	for (unsigned i = 0; i < ret->n_threads && i < 128; i++)
		ret->threads[i] = (pid_t)threads[i];
	sd_bus_message_unref(reply);
	return 0;
}

static char *format_spec(const char *format, va_list arguments)
{
	char *quoted = strdup(format), *spec = NULL;

	ck_assert_ptr_nonnull(quoted);
	for (char *c = quoted; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	ck_assert_int_ge(vasprintf(&spec, quoted, arguments), 0);
#pragma GCC diagnostic pop
	free(quoted);
	return spec;
}

int bus_try_add(const BusSession *session, BusBreakpoint *ret, sd_bus_error *error,
		const char *format, ...)
{
	va_list arguments;
	char *spec;
	int r;

	va_start(arguments, format);
	spec = format_spec(format, arguments);
	va_end(arguments);
	r = bus_try_add_text(session, ret, error, spec);
	free(spec);
	return r;
}

void bus_add(const BusSession *session, BusBreakpoint *ret, const char *format, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	va_list arguments;
	char *spec;
	int r;

	va_start(arguments, format);
	spec = format_spec(format, arguments);
	va_end(arguments);
	r = bus_try_add_text(session, ret, &error, spec);
	free(spec);
	expect_success(r, &error, "AddBreakpoint");
}

void bus_breakpoint_close(BusBreakpoint *breakpoint)
{
	if (breakpoint->counters_fd >= 0)
		close(breakpoint->counters_fd);
	if (breakpoint->parameters_fd >= 0)
		close(breakpoint->parameters_fd);
	breakpoint->counters_fd = -EBADF;
	breakpoint->parameters_fd = -EBADF;
}

void bus_breakpoint_call(const BusBreakpoint *breakpoint, const char *method)
{
	call_plain(breakpoint->bus, breakpoint->path, BREAKPOINT_INTERFACE, method);
}

uint64_t bus_number(sd_bus *bus, const char *path, const char *interface, const char *name)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	uint32_t small = 0;
	uint64_t value = 0;
	const char *contents;
	char type;
	int r;

	r = sd_bus_call_method(bus, DESTINATION, path, "org.freedesktop.DBus.Properties", "Get",
			       &error, &reply, "ss", interface, name);
	ck_assert_msg(r >= 0, "property %s: %s: %s", name, error.name, error.message);
	ck_assert_int_gt(sd_bus_message_peek_type(reply, &type, &contents), 0);
	if (strcmp(contents, "u") == 0) {
		r = sd_bus_message_read(reply, "v", "u", &small);
		value = small;
	} else {
		r = sd_bus_message_read(reply, "v", "t", &value);
	}
	ck_assert_msg(r >= 0, "property %s is a %s", name, contents);
	sd_bus_message_unref(reply);
	return value;
}

unsigned bus_take_events(const BusBreakpoint *breakpoint, int ret_fds[], unsigned most)
{
	unsigned n = 0, before;

	do {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		sd_bus_message *reply = NULL;
		const uint32_t *threads;
		size_t size;
		int fd;

		before = n;
		ck_assert_msg(sd_bus_call_method(breakpoint->bus, "org.bpcond1", breakpoint->path,
						 BREAKPOINT_INTERFACE, "TakeEvents", &error, &reply,
						 "u", n) >= 0,
			      "%s", error.message);
		ck_assert_int_ge(
			sd_bus_message_read_array(reply, 'u', (const void **)&threads, &size), 0);
		ck_assert_uint_le(size / sizeof(uint32_t), EVENTS_A_MESSAGE);
		ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "h"), 0);
		while (sd_bus_message_read(reply, "h", &fd) > 0) {
			ck_assert_uint_lt(n, most);
			ret_fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
			ck_assert_int_ge(ret_fds[n++], 0);
		}
		sd_bus_message_unref(reply);
		/* as many events as threads that they are on */
		ck_assert_uint_eq(n - before, size / sizeof(uint32_t));
	} while (n > before);
	return n;
}

int bus_take_event(const BusBreakpoint *breakpoint)
{
	int fd;

	ck_assert_uint_eq(bus_take_events(breakpoint, &fd, 1), 1);
	return fd;
}

void bus_counts(const BusBreakpoint *breakpoint, BusCounts *ret)
{
	static const struct {
		const char *name;
		size_t offset;
	} properties[] = {
		/* evaluated before traps, so that what happens in between is never a negative loss */
		{"Evaluated", offsetof(BusCounts, evaluated)},
		{"Traps", offsetof(BusCounts, traps)},
		{"Hits", offsetof(BusCounts, hits)},
		{"Rejected", offsetof(BusCounts, rejected)},
		{"Withheld", offsetof(BusCounts, withheld)},
		{"Faults", offsetof(BusCounts, faults)},
		{"Dropped", offsetof(BusCounts, dropped)},
		{"Unsignalled", offsetof(BusCounts, unsignalled)},
		{"Lost", offsetof(BusCounts, lost)},
	};

	for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
		uint64_t value = bus_number(breakpoint->bus, breakpoint->path, BREAKPOINT_INTERFACE,
					    properties[i].name);

		memcpy((char *)ret + properties[i].offset, &value, sizeof(value));
	}
}

void bus_counts_check(const BusCounts *counts)
{
	ck_assert_uint_eq(counts->hits + counts->rejected + counts->withheld, counts->evaluated);
	ck_assert_uint_eq(counts->evaluated + counts->lost, counts->traps);
}

void bus_expect_error(sd_bus_error *error, const char *name, const char *part)
{
	ck_assert_msg(strncmp(error->name, ERROR_PREFIX, strlen(ERROR_PREFIX)) == 0 &&
			      strcmp(error->name + strlen(ERROR_PREFIX), name) == 0,
		      "expected %s, got %s: %s", name, error->name, error->message);
	ck_assert_msg(!part || strstr(error->message, part), "\"%s\" does not hold \"%s\"",
		      error->message, part);
	sd_bus_error_free(error);
}

bool bus_kernel_can(const char *feature)
{
	sd_bus_message *reply = NULL;
	sd_bus *bus = bus_connect();
	int value = -1;
	const char *name;

	ck_assert_int_ge(sd_bus_get_property(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE,
					     "Features", NULL, &reply, "a{sv}"),
			 0);
	ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "{sv}"), 0);
	while (value < 0 && sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		ck_assert_int_gt(sd_bus_message_read(reply, "s", &name), 0);
		if (strcmp(name, feature) == 0)
			ck_assert_int_gt(sd_bus_message_read(reply, "v", "b", &value), 0);
		else
			ck_assert_int_ge(sd_bus_message_skip(reply, "v"), 0);
		ck_assert_int_ge(sd_bus_message_exit_container(reply), 0);
	}
	ck_assert_msg(value >= 0, "no feature %s", feature);
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
	return value;
}

bool bus_lending_is_refused(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus;

	if (bus_kernel_can("btf"))
		return false;
	bus = bus_connect();
	ck_assert_int_lt(sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE,
					    "LendFilter", &error, NULL, "sa{sv}", "1", 0),
			 0);
	bus_expect_error(&error, "NotSupported", "CONFIG_DEBUG_INFO_BTF");
	sd_bus_flush_close_unref(bus);
	return true;
}

bool bus_signals_are_refused(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	sd_bus *bus;

	if (bus_kernel_can("suppress-signal"))
		return false;
	bus = bus_connect();
	ck_assert_int_lt(sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE,
					    "LendFilter", &error, NULL, "sa{sv}", "1", 0),
			 0);
	bus_expect_error(&error, "NotSupported", "Linux 6.10");
	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error,
				     "{'address': '0x%lx', 'events': true}",
				     target_address_of(&target, "loop_work")),
			 1);
	bus_expect_error(&error, "NotSupported", "Linux 6.10");
	bus_close_session(&session);
	sd_bus_close_unref(bus);
	target_kill(&target);
	return true;
}
