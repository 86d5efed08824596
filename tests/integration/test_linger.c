/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions that outlive the connection that opened them: who may use them, who hears of their hits, and
 * that every hit is a signal, a record in the ring, or dropped.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/process.h"
#include "tests/support/target.h"

enum {
	A_SECOND = 10, /* signals, at the most */
	MAX_HEARD = 256,
	DEADLINE_MS = 10000,
};

static int try_open(sd_bus *bus, pid_t pid, BusSession *ret, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *path;
	int r;

	r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
			       "OpenSessionByPid", error, &reply, "ua{sv}", (uint32_t)pid, 1,
			       "linger", "b", 1);
	if (r < 0)
		return r;
	ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
	*ret = (BusSession){.bus = bus, .ring_fd = -EBADF};
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	sd_bus_message_unref(reply);
	return 0;
}

static void open_lingering(sd_bus *bus, pid_t pid, BusSession *ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	ck_assert_msg(try_open(bus, pid, ret, &error) == 0, "%s", error.message);
}

static void add(const BusSession *session, const Target *target, BusBreakpoint *ret)
{
	bus_add(session, ret, "{'address': '0x%lx', 'capture': {'registers': ['" ARG1 "']}}",
		target_address_of(target, "loop_work"));
}

static uint64_t session_number(const BusSession *session, const char *property)
{
	return bus_number(session->bus, session->path, SESSION_INTERFACE, property);
}

static void wait_sessions(sd_bus *bus, uint64_t wanted)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	while (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") != wanted) {
		ck_assert_int_lt(now_ms(), deadline);
		usleep(5000);
	}
}

/* ---- Hearing ------------------------------------------------------------------------------------ */

typedef struct Ear {
	sd_bus *bus;
	unsigned n;
	uint64_t breakpoint;
	char json[1024]; /* of the last */
	unsigned exits;
} Ear;

static int on_hit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *json, *name;
	Ear *ear = userdata;

	/* to this connection, and not to all */
	sd_bus_get_unique_name(ear->bus, &name);
	ck_assert_ptr_nonnull(sd_bus_message_get_destination(message));
	ck_assert_str_eq(sd_bus_message_get_destination(message), name);
	ck_assert_int_gt(sd_bus_message_read(message, "ts", &ear->breakpoint, &json), 0);
	ck_assert_uint_lt(ear->n, MAX_HEARD);
	ear->n++;
	snprintf(ear->json, sizeof(ear->json), "%s", json);
	return 0;
}

static int on_exit_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Ear *ear = userdata;

	ear->exits++;
	return 0;
}

static void ear_open(Ear *ear, sd_bus *bus)
{
	*ear = (Ear){.bus = bus};
	ck_assert_int_ge(sd_bus_match_signal(bus, NULL, "org.bpcond1", NULL, SESSION_INTERFACE,
					     "Hit", on_hit, ear),
			 0);
	ck_assert_int_ge(sd_bus_match_signal(bus, NULL, "org.bpcond1", NULL, SESSION_INTERFACE,
					     "TargetExited", on_exit_signal, ear),
			 0);
}

/* Listens until so many have come in all (0: only for that time). */
static void listen_for(Ear *ear, unsigned wanted, int64_t ms)
{
	int64_t deadline = now_ms() + ms;

	while (now_ms() < deadline && (wanted == 0 || ear->n < wanted)) {
		int r = sd_bus_process(ear->bus, NULL);

		ck_assert_int_ge(r, 0);
		if (r == 0)
			sd_bus_wait(ear->bus, 20000);
	}
}

/* Listens until every hit is one that was heard or dropped; what is dropped is told to others. */
static void listen_to_all(Ear *ear, const BusSession *session, uint64_t before)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	for (;;) {
		uint64_t hits = session_number(session, "Hits");

		listen_for(ear, 0, 50);
		if (before + ear->n + session_number(session, "Dropped") == hits)
			break;
		ck_assert_int_lt(now_ms(), deadline);
	}
}

/* ---- The tests ---------------------------------------------------------------------------------- */

START_TEST(outlives_its_connection)
{
	sd_bus *first = bus_connect(), *second = bus_connect();
	BusBreakpoint breakpoint, another;
	BusSession session;
	BusCounts counts;
	Objects before;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	/* what the daemon keeps of a connection and of its timers, it has after a first session */
	open_lingering(second, target.pid, &session);
	bus_close_session(&session);
	ck_assert_int_eq(helper_objects(helper_daemon_pid(), &before), 0);
	open_lingering(first, target.pid, &session);
	add(&session, &target, &breakpoint);
	bus_breakpoint_close(&breakpoint);
	target_ask(&target, "called", "call 10");
	sd_bus_flush_close_unref(first);
	target_ask(&target, "called", "call 10");

	/* another connection of the user's goes on with it */
	session.bus = breakpoint.bus = second;
	wait_sessions(second, 1);
	ck_assert_uint_eq(session_number(&session, "Hits"), 20);
	bus_breakpoint_call(&breakpoint, "Disable");
	target_ask(&target, "called", "call 10");
	bus_breakpoint_call(&breakpoint, "Enable");
	target_ask(&target, "called", "call 10");
	add(&session, &target, &another);
	bus_breakpoint_close(&another);
	target_ask(&target, "called", "call 5");
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 35);
	bus_close_session(&session);
	wait_sessions(second, 0);
	helper_expect_descriptors(helper_daemon_pid(), &before);
}
END_TEST

/* One that does not linger is nobody's but its connection's. */
START_TEST(others_do_not)
{
	sd_bus *first = bus_connect(), *second = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(bus_try_open_session_by_pid(first, target.pid, &session, &error), 0);
	session.bus = second;
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error, "{'address': '0x%lx'}",
				     target_address_of(&target, "loop_work")),
			 1);
	bus_expect_error(&error, "NotAuthorized", "another connection");
	sd_bus_flush_close_unref(first);
	wait_sessions(second, 0);
}
END_TEST

START_TEST(hits_are_signals)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	char expected[128];
	Target target;
	Ear ear;

	target_start(&target, "loop", NULL, NULL);
	ear_open(&ear, bus);
	open_lingering(bus, target.pid, &session);
	add(&session, &target, &breakpoint);
	for (unsigned i = 1; i <= 5; i++) {
		target_ask(&target, "called", "call 1");
		listen_for(&ear, i, DEADLINE_MS);
		ck_assert_uint_eq(ear.n, i);
		ck_assert_uint_eq(ear.breakpoint, 1);
		snprintf(expected, sizeof(expected),
			 "{\"breakpoint\":1,\"sequence\":%u,\"pid\":%d,\"tid\":%d,\"cpu\":", i - 1,
			 target.pid, target.pid);
		ck_assert_msg(strncmp(ear.json, expected, strlen(expected)) == 0, "%s", ear.json);
		ck_assert_ptr_nonnull(strstr(ear.json, "\"registers\":{\"" ARG1 "\":\"0x"));
	}
	ck_assert_uint_eq(session_number(&session, "Dropped"), 0);
}
END_TEST

/* At most ten in any second; the others are counted as dropped. */
START_TEST(ten_a_second)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	int64_t began_ms;
	Ear ear;

	target_start(&target, "loop", NULL, NULL);
	began_ms = now_ms();
	ear_open(&ear, bus);
	open_lingering(bus, target.pid, &session);
	add(&session, &target, &breakpoint);
	for (int i = 0; i < 30; i++) {
		target_ask(&target, "called", "call 500");
		listen_for(&ear, 0, 100);
	}
	listen_to_all(&ear, &session, 0);
	ck_assert_uint_eq(session_number(&session, "Hits"), 30 * 500);
	ck_assert_uint_gt(ear.n, A_SECOND);
	/* When each was heard depends on how busy the machine is; how many were is bounded all the same. */
	ck_assert_int_le(ear.n, A_SECOND * ((now_ms() - began_ms) / 1000 + 2));

	/* what nobody was told of stays counted */
	bus_breakpoint_call(&breakpoint, "Remove");
	ck_assert_uint_eq(session_number(&session, "Hits"), 30 * 500);
	ck_assert_uint_eq(session_number(&session, "Dropped"), 30 * 500 - ear.n);
}
END_TEST

/* Who has called the session hears of it, on any connection of the user's; who has not, does not. */
START_TEST(who_hears)
{
	sd_bus *owner = bus_connect(), *asks = bus_connect(), *silent = bus_connect();
	Ear owner_ear, asking_ear, silent_ear;
	BusBreakpoint breakpoint;
	BusSession session, seen;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	ear_open(&owner_ear, owner);
	ear_open(&asking_ear, asks);
	ear_open(&silent_ear, silent);
	open_lingering(owner, target.pid, &session);
	add(&session, &target, &breakpoint);
	seen = session;
	seen.bus = asks;
	session_number(&seen, "Hits");
	usleep(400000);
	target_ask(&target, "called", "call 3");
	listen_for(&owner_ear, 3, DEADLINE_MS);
	listen_for(&asking_ear, 3, DEADLINE_MS);
	listen_for(&silent_ear, 0, 200);
	ck_assert_uint_eq(owner_ear.n, 3);
	ck_assert_uint_eq(asking_ear.n, 3);
	ck_assert_uint_eq(silent_ear.n, 0);

	/* the owner goes, the other goes on hearing */
	sd_bus_flush_close_unref(owner);
	wait_sessions(asks, 1);
	target_ask(&target, "called", "call 2");
	listen_for(&asking_ear, 5, DEADLINE_MS);
	ck_assert_uint_eq(asking_ear.n, 5);
	ck_assert_uint_eq(session_number(&seen, "Dropped"), 0);
}
END_TEST

static int run_as(const char *user, const char *const argv[])
{
	return helper_wait(helper_spawn(user, argv, -EBADF, -EBADF), DEADLINE_MS);
}

static int get_hits_as(const char *user, const BusSession *session)
{
	return run_as(user, (const char *const[]){"busctl", "get-property", "org.bpcond1",
						  session->path, SESSION_INTERFACE, "Hits", NULL});
}

static int close_as(const char *user, const BusSession *session)
{
	return run_as(user, (const char *const[]){"busctl", "call", "org.bpcond1", session->path,
						  SESSION_INTERFACE, "Close", NULL});
}

static void wait_disconnected(sd_bus *bus, const char *name)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	int there = 1;

	while (there) {
		sd_bus_message *reply = NULL;

		ck_assert_int_lt(now_ms(), deadline);
		ck_assert_int_ge(sd_bus_call_method(bus, "org.freedesktop.DBus",
						    "/org/freedesktop/DBus", "org.freedesktop.DBus",
						    "NameHasOwner", NULL, &reply, "s", name),
				 0);
		ck_assert_int_gt(sd_bus_message_read(reply, "b", &there), 0);
		sd_bus_message_unref(reply);
	}
}

/* When the last who heard has gone the hits stay, and who listens next hears of them. */
START_TEST(heard_again)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	const char *name;
	char last[32];
	Target target;
	Ear ear;

	target_start(&target, "loop", NULL, NULL);
	open_lingering(bus, target.pid, &session);
	add(&session, &target, &breakpoint);
	for (int i = 0; i < 3; i++) {
		ear_open(&ear, session.bus);
		session_number(&session, "Hits");
		target_ask(&target, "called", "call 1");
		listen_for(&ear, i ? 3 : 1, DEADLINE_MS);
		ck_assert_uint_eq(ear.n, i ? 3 : 1);
		ck_assert_int_ge(sd_bus_get_unique_name(session.bus, &name), 0);
		snprintf(last, sizeof(last), "%s", name);
		sd_bus_flush_close_unref(session.bus);
		session.bus = bus_connect();
		wait_disconnected(session.bus, last);
		wait_sessions(session.bus, 1);
		target_ask(&target, "called", "call 2");
	}
	ck_assert_uint_eq(session_number(&session, "Dropped"), 0);
}
END_TEST

/* Programs that ask and go leave the hits where they are, for whoever takes the ring. */
START_TEST(nobody_hears)
{
	sd_bus *first = bus_connect(), *second = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	Hits *hits;

	target_start(&target, "loop", NULL, NULL);
	open_lingering(first, target.pid, &session);
	sd_bus_flush_close_unref(first);
	session.bus = second;
	wait_sessions(second, 1);
	add(&session, &target, &breakpoint);
	sd_bus_flush_close_unref(second);
	target_ask(&target, "called", "call 100");
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(get_hits_as(ENVIRONMENT_USER_A, &session), 0);

	session.bus = bus_connect();
	bus_take_hits(&session);
	hits = hits_new(session.ring_fd, NULL, NULL);
	ck_assert_uint_eq(hits_read(hits), 100);
	ck_assert_uint_eq(session_number(&session, "Dropped"), 0);
	hits_free(hits);
}
END_TEST

/* The ring, once taken, is its taker's: no signals any more. */
START_TEST(taken_ring)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	Hits *hits;
	Ear ear;

	target_start(&target, "loop", NULL, NULL);
	ear_open(&ear, bus);
	open_lingering(bus, target.pid, &session);
	add(&session, &target, &breakpoint);
	target_ask(&target, "called", "call 3");
	listen_for(&ear, 3, DEADLINE_MS);
	ck_assert_uint_eq(ear.n, 3);
	bus_take_hits(&session);
	hits = hits_new(session.ring_fd, NULL, NULL);
	target_ask(&target, "called", "call 20");
	hits_wait(hits, 20);
	listen_for(&ear, 0, 300);
	ck_assert_uint_eq(ear.n, 3);
	ck_assert_uint_eq(session_number(&session, "Hits"), 23);
	ck_assert_uint_eq(session_number(&session, "Dropped"), 0);
	hits_free(hits);
}
END_TEST

START_TEST(ends_with_its_target)
{
	sd_bus *first = bus_connect(), *second = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Objects before;
	Target target;
	Ear ear;

	target_start(&target, "loop", NULL, NULL);
	ear_open(&ear, second);
	open_lingering(second, target.pid, &session);
	bus_close_session(&session);
	ck_assert_int_eq(helper_objects(helper_daemon_pid(), &before), 0);
	open_lingering(first, target.pid, &session);
	add(&session, &target, &breakpoint);
	bus_breakpoint_close(&breakpoint);
	sd_bus_flush_close_unref(first);
	wait_sessions(second, 1);
	target_kill(&target);
	wait_sessions(second, 0);
	listen_for(&ear, 0, 200);
	ck_assert_uint_eq(ear.exits, 1);
	helper_expect_descriptors(helper_daemon_pid(), &before);
}
END_TEST

START_TEST(who_may_close)
{
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	open_lingering(bus, target.pid, &session);
	ck_assert_int_ne(close_as(ENVIRONMENT_USER_B, &session), 0);
	ck_assert_int_ne(get_hits_as(ENVIRONMENT_USER_B, &session), 0);
	wait_sessions(bus, 1);
	/* an administrator */
	ck_assert_int_eq(close_as("root", &session), 0);
	wait_sessions(bus, 0);
	/* the user, by another program */
	open_lingering(bus, target.pid, &session);
	sd_bus_flush_close_unref(bus);
	ck_assert_int_eq(close_as(ENVIRONMENT_USER_A, &session), 0);
	wait_sessions(bus_connect(), 0);
}
END_TEST

/* A program that is confined gets nothing by way of a session that another one opened. */
START_TEST(confined_caller)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	pid_t child;

	target_start(&target, "loop", NULL, NULL);
	open_lingering(bus, target.pid, &session);
	add(&session, &target, &breakpoint);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		Ear ear;

		ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
		session.bus = bus_connect();
		ear_open(&ear, session.bus);
		ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error, "{'address': '0x%lx'}",
					     target_address_of(&target, "loop_work")),
				 1);
		bus_expect_error(&error, "NotAuthorized", "no_new_privs");
		ck_assert_int_lt(sd_bus_call_method(session.bus, "org.bpcond1", session.path,
						    SESSION_INTERFACE, "TakeHits", &error, NULL,
						    ""),
				 0);
		bus_expect_error(&error, "NotAuthorized", "no_new_privs");
		session_number(&session, "Hits");
		usleep(400000);
		target_ask(&target, "called", "call 5");
		listen_for(&ear, 0, 500);
		ck_assert_uint_eq(ear.n, 0);
		_exit(0);
	}
	{
		int status;

		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

/* The number would mean another process there. */
START_TEST(other_pid_namespace)
{
	sd_bus *bus = bus_connect();
	char command[512], said[1024] = "";
	Target target;
	ssize_t n;
	int fds[2];
	pid_t pid;

	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(pipe(fds), 0);
	snprintf(command, sizeof(command),
		 "exec unshare --pid --fork setpriv --reuid %s --regid %s --clear-groups "
		 "busctl call org.bpcond1 " MANAGER_PATH " " MANAGER_INTERFACE
		 " OpenSessionByPid 'ua{sv}' %d 1 linger b true 2>&1",
		 ENVIRONMENT_USER_A, ENVIRONMENT_USER_A, target.pid);
	pid = helper_spawn("root", (const char *const[]){"sh", "-c", command, NULL}, -EBADF,
			   fds[1]);
	close(fds[1]);
	ck_assert_int_ne(helper_wait(pid, DEADLINE_MS), 0);
	n = read(fds[0], said, sizeof(said) - 1);
	ck_assert_int_gt(n, 0);
	ck_assert_msg(strstr(said, "another pid namespace") != NULL, "%s", said);
	ck_assert_ptr_nonnull(strstr(said, "use OpenSession with a pidfd"));
	wait_sessions(bus, 0);
	close(fds[0]);
}
END_TEST

static void expect_option(sd_bus *bus, const char *part, const char *method, const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *call = NULL;
	va_list arguments;

	ck_assert_int_ge(sd_bus_message_new_method_call(bus, &call, "org.bpcond1", MANAGER_PATH,
							MANAGER_INTERFACE, method),
			 0);
	va_start(arguments, types);
	ck_assert_int_ge(sd_bus_message_appendv(call, types, arguments), 0);
	va_end(arguments);
	ck_assert_int_lt(sd_bus_call(bus, call, 0, &error, NULL), 0);
	ck_assert_msg(strstr(error.message, part) != NULL, "%s", error.message);
	sd_bus_error_free(&error);
	sd_bus_message_unref(call);
}

START_TEST(the_option)
{
	sd_bus *bus = bus_connect();
	Target target;
	int pidfd;

	target_start(&target, "loop", NULL, NULL);
	pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);
	ck_assert_int_ge(pidfd, 0);
	expect_option(bus, "OpenSessionByPid", "OpenSession", "ha{sv}", pidfd, 1, "linger", "b", 1);
	expect_option(bus, "wrong type", "OpenSessionByPid", "ua{sv}", (uint32_t)target.pid, 1,
		      "linger", "s", "yes");
	expect_option(bus, "\"linger\" (b)", "OpenSessionByPid", "ua{sv}", (uint32_t)target.pid, 1,
		      "lingers", "b", 1);
	wait_sessions(bus, 0);
	close(pidfd);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("linger");

	integration_add(suite, "it outlives its connection", outlives_its_connection);
	integration_add(suite, "others do not", others_do_not);
	integration_add(suite, "hits are signals", hits_are_signals);
	integration_add(suite, "ten a second", ten_a_second);
	integration_add(suite, "who hears of hits", who_hears);
	integration_add(suite, "hits that nobody hears", nobody_hears);
	integration_add(suite, "hits that are heard again", heard_again);
	integration_add(suite, "a ring that was taken", taken_ring);
	integration_add(suite, "it ends with its target", ends_with_its_target);
	integration_add(suite, "who may close it", who_may_close);
	integration_add(suite, "a confined caller", confined_caller);
	integration_add(suite, "a caller in another pid namespace", other_pid_namespace);
	integration_add(suite, "the option", the_option);
	return integration_run(suite, argc, argv);
}
