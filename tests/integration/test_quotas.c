/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits for each user: held at the limit, also by what a client keeps after it gave the object back,
 * given back when the kernel has it no more, and never at another user's cost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/helper.h"
#include "tests/support/integration.h"
#include "tests/support/target.h"

#define RING UINT64_C(1048576)

static void open_ring(sd_bus *bus, const Target *target, BusSession *ret)
{
	bus_open_session_with_ring(bus, target->pid, RING, ret);
	bus_take_hits(ret);
}

/* Closes the session and keeps its ring. */
static int close_and_keep(BusSession *session)
{
	int fd = session->ring_fd;

	session->ring_fd = -EBADF;
	bus_close_session(session);
	return fd;
}

static void expect_no_session(sd_bus *bus, const Target *target, const char *part)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusSession session;
	int pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);

	ck_assert_int_eq(bus_try_open_descriptor(bus, pidfd, RING, &session, &error), 1);
	bus_expect_error(&error, "QuotaExceeded", part);
	close(pidfd);
}

/* Whether this user's B may have a session at this moment; he runs a program of his own. */
static void expect_other_user_served(void)
{
	const char *argv[] = {integration_program("tools/bpcondctl"),
			      "run",
			      "--timeout",
			      "5",
			      "break",
			      "malloc",
			      "--",
			      "/bin/true",
			      NULL};
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC), status;

	status = helper_wait(helper_spawn(ENVIRONMENT_USER_B, argv, -EBADF, null_fd), 20000);
	ck_assert_msg(status == 0 || status == 1, "exit status %d", status);
	close(null_fd);
}

START_TEST(rings_kept_after_close)
{
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;
	int kept[2];

	helper_restart_with_settings("ring-bytes=2M\n");
	target_start(&target, "loop", NULL, NULL);
	for (int i = 0; i < 2; i++) {
		open_ring(bus, &target, &session);
		kept[i] = close_and_keep(&session);
	}
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 0);
	expect_no_session(bus, &target, "\"ring-bytes\"");
	expect_no_session(bus, &target, "2097152 of those in use are held by descriptors");
	expect_other_user_served();
	close(kept[0]);
	open_ring(bus, &target, &session);
	expect_no_session(bus, &target, "1048576 of those in use are held by descriptors");
	bus_close_session(&session);
	close(kept[1]);
}
END_TEST

START_TEST(rings_kept_by_a_mapping)
{
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;
	void *memory;

	helper_restart_with_settings("ring-bytes=1M\n");
	target_start(&target, "loop", NULL, NULL);
	open_ring(bus, &target, &session);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, session.ring_fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	bus_close_session(&session);
	expect_no_session(bus, &target, "held by descriptors that you kept");
	munmap(memory, 4096);
	open_ring(bus, &target, &session);
	bus_close_session(&session);
}
END_TEST

/* The connection's end gives back no more than Close does. */
START_TEST(rings_kept_after_disconnect)
{
	sd_bus *bus = bus_connect(), *other = bus_connect();
	BusSession session;
	Target target;
	int kept;

	helper_restart_with_settings("sessions=1\n");
	target_start(&target, "loop", NULL, NULL);
	open_ring(bus, &target, &session);
	kept = session.ring_fd;
	sd_bus_flush_close_unref(bus);
	while (bus_number(other, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0)
		usleep(1000);
	expect_no_session(other, &target, "1 of those in use are held by descriptors");
	close(kept);
	open_ring(other, &target, &session);
	bus_close_session(&session);
}
END_TEST

START_TEST(events_kept_after_remove)
{
	if (bus_signals_are_refused())
		return;

	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	uint64_t address;
	Target target;
	int kept;

	helper_restart_with_settings("events=1\nbreakpoints=2\n");
	target_start(&target, "loop", NULL, NULL);
	address = target_address_of(&target, "loop_work");
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx', 'events': true}", address);
	kept = bus_take_event(&breakpoint);
	bus_breakpoint_close(&breakpoint);
	bus_breakpoint_call(&breakpoint, "Remove");
	ck_assert_int_eq(
		bus_try_add(&session, &breakpoint, &error, "{'address': '0x%lx'}", address), 1);
	ck_assert_ptr_nonnull(strstr(error.message, "\"events\""));
	bus_expect_error(&error, "QuotaExceeded", "1 of those in use are held by descriptors");
	close(kept);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}", address);
	/* nothing kept: what is removed makes room at once */
	for (int i = 0; i < 20; i++) {
		bus_breakpoint_close(&breakpoint);
		bus_breakpoint_call(&breakpoint, "Remove");
		bus_add(&session, &breakpoint, "{'address': '0x%lx'}", address);
	}
	bus_close_session(&session);
}
END_TEST

/* Each of what comes with a breakpoint holds its place, whichever was kept. */
START_TEST(counters_kept_after_remove)
{
	static const char spec[] = "{'address': '0x%lx', 'parameters': {'a': 1}}";
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	uint64_t address;
	Target target;

	helper_restart_with_settings("breakpoints=1\n");
	target_start(&target, "loop", NULL, NULL);
	address = target_address_of(&target, "loop_work");
	bus_open_session(bus, target.pid, &session);
	for (int i = 0; i < 2; i++) {
		int kept;

		bus_add(&session, &breakpoint, spec, address);
		kept = i == 0 ? breakpoint.counters_fd : breakpoint.parameters_fd;
		close(i == 0 ? breakpoint.parameters_fd : breakpoint.counters_fd);
		bus_breakpoint_call(&breakpoint, "Remove");
		ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error, spec, address), 1);
		bus_expect_error(&error, "QuotaExceeded", "\"breakpoints\"");
		close(kept);
	}
	bus_add(&session, &breakpoint, spec, address);
	bus_close_session(&session);
}
END_TEST

/* Lends a filter that has all that there can be. Return: the descriptor of that name, and the path. */
static int lend(sd_bus *bus, const char *wanted, char path[static 64], sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *object, *name;
	int fd, kept_fd = -EBADF, r;

	r = sd_bus_call_method(
		bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE, "LendFilter", error, &reply,
		"sa{sv}", "{\"==\": [{\"var\": \"counter\"}, {\"param\": \"a\"}]}", 2, "hits-bytes",
		"t", (uint64_t)4096, "parameters", "a{sx}", 1, "a", (int64_t)1);
	if (r < 0)
		return -EBADF;
	ck_assert_int_gt(sd_bus_message_read(reply, "o", &object), 0);
	snprintf(path, 64, "%s", object);
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "{sh}"), 0);
	while (sd_bus_message_read(reply, "{sh}", &name, &fd) > 0)
		if (strcmp(name, wanted) == 0)
			kept_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	sd_bus_message_unref(reply);
	ck_assert_msg(kept_fd >= 0, "no %s", wanted);
	return kept_fd;
}

static void give_back(sd_bus *bus, const char *path)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", path, "org.bpcond1.Filter",
					    "Return", &error, NULL, ""),
			 0);
}

/* Whichever was kept of what comes with a lent filter. */
START_TEST(programs_kept_after_return)
{
	if (bus_signals_are_refused())
		return;

	static const char *const names[] = {"program", "counters", "parameters", "counter", "hits"};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	char path[64];
	int kept;

	helper_restart_with_settings("lent-filters=1\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		kept = lend(bus, names[i], path, &error);
		ck_assert_msg(kept >= 0, "%s", error.message);
		give_back(bus, path);
		ck_assert_msg(lend(bus, names[i], path, &error) < 0, "%s", names[i]);
		ck_assert_ptr_nonnull(strstr(error.message, "held by descriptors that you kept"));
		bus_expect_error(&error, "QuotaExceeded", "\"lent-filters\"");
		close(kept);
	}
	kept = lend(bus, "program", path, &error);
	ck_assert_int_ge(kept, 0);
	close(kept);
}
END_TEST

/* A breakpoint on more threads than there are events left is refused before one is opened. */
START_TEST(too_many_threads)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Objects before;
	Target target;

	helper_restart_with_settings("events=5\n");
	target_start(&target, "threads", "8", NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(helper_objects(helper_daemon_pid(), &before), 0);
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error, "{'address': '0x%lx'}",
				     target_address_of(&target, "threads_work")),
			 1);
	bus_expect_error(&error, "QuotaExceeded", "\"events\"");
	helper_expect_descriptors(helper_daemon_pid(), &before);
	bus_add(&session, &breakpoint, "{'address': '0x%lx', 'threads': [%d]}",
		target_address_of(&target, "threads_work"), target.pid);
	bus_close_session(&session);
}
END_TEST

START_TEST(calls_a_second)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect(), *other = bus_connect();
	BusSession session;
	Target target;
	int calls, r = 0;

	helper_restart_with_settings("calls-per-second=20\n");
	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	for (calls = 0; calls < 10000 && r >= 0; calls++)
		r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH,
				       "org.freedesktop.DBus.Peer", "Ping", &error, NULL, "");
	ck_assert_int_lt(r, 0);
	ck_assert_int_ge(calls, 15);
	ck_assert_ptr_nonnull(strstr(error.message, " is 20"));
	bus_expect_error(&error, "QuotaExceeded", "\"calls-per-second\"");
	/* it is the user's and not the connection's; and another user is not concerned */
	for (r = 0; r >= 0;)
		r = sd_bus_call_method(other, "org.bpcond1", MANAGER_PATH,
				       "org.freedesktop.DBus.Peer", "Ping", &error, NULL, "");
	bus_expect_error(&error, "QuotaExceeded", "\"calls-per-second\"");
	/* what is one's own can always be ended */
	bus_close_session(&session);
	expect_other_user_served();
	/* and with time there is room again */
	for (calls = 0, r = -1; calls < 1000 && r < 0; calls++) {
		usleep(10000);
		r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH,
				       "org.freedesktop.DBus.Peer", "Ping", &error, NULL, "");
		sd_bus_error_free(&error);
	}
	ck_assert_int_ge(r, 0);
}
END_TEST

typedef struct Answers {
	int n, refused;
} Answers;

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *refusal = sd_bus_message_get_error(reply);
	Answers *answers = userdata;

	answers->n++;
	if (refusal && strstr(refusal->message, "\"busy-milliseconds-per-second\""))
		answers->refused++;
	return 0;
}

/* Who has others wait pays for the time that the calls take. */
START_TEST(busy_time)
{
	enum {
		CALLS = 80, /* at a time: fewer than are taken for a flood, which gets no answers */
		MOST = 10000,
	};
	int64_t deadline = now_ms() + 20000;
	sd_bus *bus = bus_connect();
	Answers answers = {};

	helper_restart_with_settings("busy-milliseconds-per-second=1\ncalls-per-second=100000\n");
	while (answers.refused == 0 && answers.n < MOST) {
		const int wanted = answers.n + CALLS;

		for (int i = 0; i < CALLS; i++)
			ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, "org.bpcond1",
								  MANAGER_PATH, MANAGER_INTERFACE,
								  "CheckSpec", on_answer, &answers,
								  "s", "{\"address\": 4096}"),
					 0);
		while (answers.n < wanted) {
			ck_assert_int_lt(now_ms(), deadline);
			ck_assert_int_ge(sd_bus_process(bus, NULL), 0);
			ck_assert_int_ge(sd_bus_wait(bus, 1000), 0);
		}
	}
	ck_assert_int_gt(answers.refused, 0);
	expect_other_user_served();
}
END_TEST

START_TEST(limits_are_published)
{
	static const char *const names[] = {"sessions",         "breakpoints",
					    "events",           "ring-bytes",
					    "lent-filters",     "pending-questions",
					    "calls-per-second", "busy-milliseconds-per-second"};
	sd_bus *bus = bus_connect();
	sd_bus_message *reply = NULL;
	unsigned found = 0;
	const char *name;
	uint64_t value;

	helper_restart_with_settings("# few\nsessions = 3\nring-bytes=1G\n");
	ck_assert_int_ge(sd_bus_get_property(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					     "Limits", NULL, &reply, "a{st}"),
			 0);
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "{st}"), 0);
	while (sd_bus_message_read(reply, "{st}", &name, &value) > 0) {
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			found |= strcmp(name, names[i]) == 0 ? 1U << i : 0;
		if (strcmp(name, "sessions") == 0)
			ck_assert_uint_eq(value, 3);
		if (strcmp(name, "ring-bytes") == 0)
			ck_assert_uint_eq(value, 1U << 30);
	}
	ck_assert_uint_eq(found, (1U << sizeof(names) / sizeof(names[0])) - 1);
	sd_bus_message_unref(reply);
}
END_TEST

/* What the daemon says, started as root, and its exit status. */
static int start_with(const char *settings, char said[static 1024])
{
	char command[1024];
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	ssize_t n;
	int out[2], status;

	snprintf(command, sizeof(command),
		 "d=$(mktemp -d) && chmod 755 $d && printf '%s' >$d/conf && chmod 644 $d/conf &&"
		 " %s --bus unix:path=$d/none --config $d/conf 2>&1; s=$?; rm -r $d; exit $s",
		 settings, integration_program("daemon/bpcondd"));
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	status = helper_wait(helper_spawn("root", argv, -EBADF, out[1]), 10000);
	close(out[1]);
	n = read(out[0], said, 1023);
	ck_assert_int_ge(n, 0);
	said[n] = '\0';
	close(out[0]);
	return status;
}

START_TEST(bad_settings)
{
	char said[1024];

	ck_assert_int_eq(start_with("sessions=many\\n", said), 2);
	ck_assert_msg(strstr(said, "line 1: sessions is") != NULL, "%s", said);
	ck_assert_int_eq(start_with("sessions=1\\nsesions=2\\n", said), 2);
	ck_assert_msg(strstr(said, "line 2: there is no setting") != NULL, "%s", said);
	/* good ones come as far as the bus that is not there */
	ck_assert_int_eq(start_with("sessions=1\\n", said), 2);
	ck_assert_msg(strstr(said, "cannot connect") != NULL, "%s", said);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("quotas");

	integration_add(suite, "rings kept after Close", rings_kept_after_close);
	integration_add(suite, "rings kept by a mapping", rings_kept_by_a_mapping);
	integration_add(suite, "rings kept after the connection", rings_kept_after_disconnect);
	integration_add(suite, "events kept after Remove", events_kept_after_remove);
	integration_add(suite, "counters kept after Remove", counters_kept_after_remove);
	integration_add(suite, "programs kept after Return", programs_kept_after_return);
	integration_add(suite, "too many threads", too_many_threads);
	integration_add(suite, "calls a second", calls_a_second);
	integration_add(suite, "busy time", busy_time);
	integration_add(suite, "the limits are published", limits_are_published);
	integration_add(suite, "bad settings", bad_settings);
	return integration_run(suite, argc, argv);
}
