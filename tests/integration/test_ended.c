/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is said of a session, a breakpoint or a lent filter that went between two calls: that it went, and
 * why, to the library's user as to whoever calls by D-Bus.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/process.h"
#include "tests/support/target.h"

/* Until the daemon goes on: time for a call to be on its way. */
enum {
	A_MOMENT_USEC = 300000,
};

/* ---- The library ------------------------------------------------------------------------------- */

typedef struct Held {
	bpcond_client *client;
	bpcond_session *session;
	bpcond_breakpoint *breakpoint;
	Target target;
} Held;

static void hold(Held *ret)
{
	bpcond_request request = {.size = sizeof(request), .location = "loop_work"};

	target_start(&ret->target, "loop", NULL, NULL);
	ck_assert_int_eq(bpcond_client_new(&ret->client), 0);
	ck_assert_msg(bpcond_client_connect(ret->client, NULL) == 0 &&
			      bpcond_session_open(ret->client, ret->target.pid, NULL,
						  &ret->session) == 0 &&
			      bpcond_session_break(ret->session, &request, &ret->breakpoint) == 0,
		      "%s", bpcond_client_error(ret->client)->message);
}

static void call_without_waiting(sd_bus *bus, const char *path, const char *interface,
				 const char *method)
{
	sd_bus_message *call = NULL;

	ck_assert_int_ge(
		sd_bus_message_new_method_call(bus, &call, "org.bpcond1", path, interface, method),
		0);
	ck_assert_int_ge(sd_bus_message_set_expect_reply(call, 0), 0);
	ck_assert_int_ge(sd_bus_send(bus, call, NULL), 0);
	ck_assert_int_ge(sd_bus_flush(bus), 0);
	sd_bus_message_unref(call);
}

/* The daemon stands still; what it is asked meanwhile it answers in order, once this is waited for. */
static pid_t pause_daemon(void)
{
	pid_t daemon = helper_daemon_pid(), child;

	ck_assert_int_eq(helper_kill(daemon, SIGSTOP), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		usleep(2 * A_MOMENT_USEC);
		helper_kill(daemon, SIGCONT);
		_exit(0);
	}
	return child;
}

static void expect_end(const Held *held, int r, int number, const char *text)
{
	const bpcond_error *error = bpcond_client_error(held->client);

	ck_assert_msg(r == number && strstr(error->message, text), "%d: %s", r, error->message);
}

START_TEST(closed_between_two_calls)
{
	sd_bus *other = bus_connect();
	pid_t child;
	Held held;
	int r;

	hold(&held);
	child = pause_daemon();
	call_without_waiting(other, bpcond_session_path(held.session), SESSION_INTERFACE, "Close");
	usleep(A_MOMENT_USEC);
	r = bpcond_session_add(held.session, "{\"address\": 4096}", NULL);
	expect_end(&held, r, -ESHUTDOWN, "the session was closed; open another");
	ck_assert_int_eq(bpcond_session_end(held.session), BPCOND_CLOSED);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	/* and at every further call */
	r = bpcond_breakpoint_disable(held.breakpoint);
	expect_end(&held, r, -ESHUTDOWN, "the session was closed; open another");
	bpcond_client_free(held.client);
	target_kill(&held.target);
}
END_TEST

START_TEST(closed_before_a_breakpoint_is_called)
{
	sd_bus *other = bus_connect();
	pid_t child;
	Held held;
	int r;

	hold(&held);
	child = pause_daemon();
	call_without_waiting(other, bpcond_session_path(held.session), SESSION_INTERFACE, "Close");
	usleep(A_MOMENT_USEC);
	r = bpcond_breakpoint_disable(held.breakpoint);
	expect_end(&held, r, -ESHUTDOWN, "the session was closed; open another");
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	bpcond_client_free(held.client);
	target_kill(&held.target);
}
END_TEST

START_TEST(target_gone_between_two_calls)
{
	pid_t child;
	Held held;
	int r;

	hold(&held);
	child = pause_daemon();
	target_kill(&held.target);
	r = bpcond_breakpoint_disable(held.breakpoint);
	/* The call may come before the news of the exit: then it is done, and the next one fails. */
	if (r == 0)
		while ((r = bpcond_breakpoint_disable(held.breakpoint)) == 0)
			usleep(1000);
	expect_end(&held, r, -ESRCH, "has exited");
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	bpcond_client_free(held.client);
}
END_TEST

START_TEST(daemon_gone_within_a_call)
{
	pid_t child;
	Held held;
	int r;

	hold(&held);
	ck_assert_int_eq(helper_kill(helper_daemon_pid(), SIGSTOP), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		usleep(A_MOMENT_USEC);
		helper_end_daemon(SIGKILL);
		_exit(0);
	}
	r = bpcond_breakpoint_disable(held.breakpoint);
	ck_assert_msg(r == -ETIMEDOUT || r == -ECONNRESET, "%d: %s", r,
		      bpcond_client_error(held.client)->message);
	ck_assert_msg(strstr(bpcond_client_error(held.client)->message,
			     "see why ('journalctl -u bpcondd'), then") != NULL,
		      "%s", bpcond_client_error(held.client)->message);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	bpcond_client_free(held.client);
	target_kill(&held.target);
}
END_TEST

/* What has gone by itself is gone: nothing failed, and what is told of the last failure stays. */
static void fail_once(const Held *held, bpcond_error *ret)
{
	ck_assert_int_eq(bpcond_session_add(held->session, "{", NULL), -EINVAL);
	*ret = *bpcond_client_error(held->client);
}

static void expect_error(const Held *held, const bpcond_error *error)
{
	ck_assert_mem_eq(bpcond_client_error(held->client), error, sizeof(*error));
}

/* With a ring, as a kernel before 6.10 lends none without. */
static bpcond_filter *lend(const Held *held)
{
	const bpcond_filter_options options = {.size = sizeof(options), .hits_bytes = 4096};
	bpcond_filter *filter;

	ck_assert_int_eq(bpcond_filter_lend(held->client, "1", &options, &filter), 0);
	return filter;
}

START_TEST(nothing_failed)
{
	sd_bus *other = bus_connect();
	bpcond_breakpoint *second;
	bpcond_counts counts;
	bpcond_filter *filter;
	bpcond_error error;
	pid_t child;
	Held held;

	hold(&held);
	ck_assert_int_eq(bpcond_session_add(held.session, "{\"address\": 4096}", &second), 0);
	filter = lend(&held);
	fail_once(&held, &error);

	child = pause_daemon();
	call_without_waiting(other, bpcond_breakpoint_path(held.breakpoint), BREAKPOINT_INTERFACE,
			     "Remove");
	usleep(A_MOMENT_USEC);
	ck_assert_int_eq(bpcond_breakpoint_counts(held.breakpoint, &counts), 0);
	expect_error(&held, &error);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);

	child = pause_daemon();
	call_without_waiting(other, bpcond_breakpoint_path(second), BREAKPOINT_INTERFACE, "Remove");
	usleep(A_MOMENT_USEC);
	ck_assert_int_eq(bpcond_breakpoint_remove(second), 0);
	expect_error(&held, &error);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);

	child = pause_daemon();
	call_without_waiting(other, bpcond_filter_path(filter), "org.bpcond1.Filter", "Return");
	usleep(A_MOMENT_USEC);
	ck_assert_int_eq(bpcond_filter_return(filter), 0);
	expect_error(&held, &error);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);

	child = pause_daemon();
	call_without_waiting(other, bpcond_session_path(held.session), SESSION_INTERFACE, "Close");
	usleep(A_MOMENT_USEC);
	ck_assert_int_eq(bpcond_session_close(held.session), 0);
	expect_error(&held, &error);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	bpcond_client_free(held.client);
	target_kill(&held.target);
}
END_TEST

/* Nobody is there to be told of what is freed, and that is no failure either. */
START_TEST(freed_without_a_daemon)
{
	bpcond_filter *filter;
	bpcond_error error;
	pid_t child;
	Held held;

	hold(&held);
	filter = lend(&held);
	fail_once(&held, &error);
	ck_assert_int_eq(helper_kill(helper_daemon_pid(), SIGSTOP), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		usleep(A_MOMENT_USEC);
		helper_end_daemon(SIGKILL);
		_exit(0);
	}
	bpcond_filter_free(filter);
	bpcond_session_free(held.session);
	expect_error(&held, &error);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	bpcond_client_free(held.client);
	target_kill(&held.target);
}
END_TEST

/* Of this process's sockets the bus's alone leads to one with a name. */
static void cut_bus(void)
{
	struct sockaddr_un peer;
	unsigned n = 0;

	for (int fd = 3; fd < 1024; fd++) {
		socklen_t size = sizeof(peer);

		if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
		    peer.sun_family == AF_UNIX && size > sizeof(peer.sun_family)) {
			ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
			n++;
		}
	}
	ck_assert_uint_eq(n, 1);
}

START_TEST(bus_gone)
{
	const struct bpcond_hit *hit;
	bpcond_session *session;
	bpcond_filter *filter;
	char *report;
	Held held;

	hold(&held);
	cut_bus();
	/* found out by the call itself, and known by the next ones */
	expect_end(&held, bpcond_client_check_spec(held.client, "{}", &report), -ECONNRESET,
		   "make another client");
	expect_end(&held, bpcond_client_check_spec(held.client, "{}", &report), -ECONNRESET,
		   "make another client");
	expect_end(&held, bpcond_session_open(held.client, held.target.pid, NULL, &session),
		   -ECONNRESET, "make another client");
	expect_end(&held, bpcond_filter_lend(held.client, "1", NULL, &filter), -ECONNRESET,
		   "make another client");
	expect_end(&held, bpcond_session_wait(held.session, -1, &hit), -ECONNRESET, "is lost");
	expect_end(&held, bpcond_client_connect(held.client, NULL), -EISCONN,
		   "make another client");
	bpcond_client_free(held.client);
	target_kill(&held.target);
}
END_TEST

/* ---- By D-Bus ---------------------------------------------------------------------------------- */

static void expect_unknown(sd_bus *bus, const char *path, const char *interface, const char *method,
			   const char *text)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	ck_assert_int_lt(
		sd_bus_call_method(bus, "org.bpcond1", path, interface, method, &error, NULL, ""),
		0);
	ck_assert_str_eq(error.name, SD_BUS_ERROR_UNKNOWN_OBJECT);
	ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
	sd_bus_error_free(&error);
}

static unsigned number_of(const char *path)
{
	unsigned number;

	ck_assert_int_eq(sscanf(strrchr(path, '/'), "/%u", &number), 1);
	return number;
}

static void wait_no_sessions(sd_bus *bus)
{
	int64_t deadline = now_ms() + 10000;

	while (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") != 0) {
		ck_assert_int_lt(now_ms(), deadline);
		usleep(5000);
	}
}

START_TEST(sessions)
{
	sd_bus *bus = bus_connect(), *owner = bus_connect();
	BusSession session;
	char text[128];
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_close_session(&session);
	snprintf(text, sizeof(text), "Session %u has ended (closed): open another.",
		 number_of(session.path));
	expect_unknown(bus, session.path, SESSION_INTERFACE, "TakeHits", text);

	bus_open_session(owner, target.pid, &session);
	sd_bus_flush_close_unref(owner);
	wait_no_sessions(bus);
	snprintf(text, sizeof(text), "Session %u has ended (client-gone): open another.",
		 number_of(session.path));
	expect_unknown(bus, session.path, SESSION_INTERFACE, "Close", text);

	bus_open_session(bus, target.pid, &session);
	target_kill(&target);
	wait_no_sessions(bus);
	snprintf(text, sizeof(text), "Session %u has ended (target-exited): open another.",
		 number_of(session.path));
	expect_unknown(bus, session.path, SESSION_INTERFACE, "TakeHits", text);
	/* what was of it too */
	strcat(session.path, "/breakpoint/1");
	expect_unknown(bus, session.path, BREAKPOINT_INTERFACE, "Enable", text);
}
END_TEST

/* Whose end was too long ago to be remembered; and the last that is. */
START_TEST(sessions_of_long_ago)
{
	sd_bus *bus = bus_connect();
	BusSession first, second = {}, session;
	char text[128];
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &first);
	bus_close_session(&first);
	for (int i = 0; i < 256; i++) {
		bus_open_session(bus, target.pid, &session);
		bus_close_session(&session);
		if (i == 0)
			second = session;
	}
	snprintf(text, sizeof(text), "Session %u has ended: open another.", number_of(first.path));
	expect_unknown(bus, first.path, SESSION_INTERFACE, "Close", text);
	snprintf(text, sizeof(text), "Session %u has ended (closed): open another.",
		 number_of(second.path));
	expect_unknown(bus, second.path, SESSION_INTERFACE, "Close", text);
	target_kill(&target);
}
END_TEST

START_TEST(breakpoints)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	char text[128];
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	bus_breakpoint_close(&breakpoint);
	bus_breakpoint_call(&breakpoint, "Remove");
	snprintf(text, sizeof(text), "Session %u has no breakpoint 1 (any more)",
		 number_of(session.path));
	expect_unknown(bus, breakpoint.path, BREAKPOINT_INTERFACE, "Enable", text);
	/* of one that never was the same is said */
	breakpoint.path[strlen(breakpoint.path) - 1] = '2';
	snprintf(text, sizeof(text), "Session %u has no breakpoint 2 (any more)",
		 number_of(session.path));
	expect_unknown(bus, breakpoint.path, BREAKPOINT_INTERFACE, "Enable", text);
	bus_close_session(&session);
	target_kill(&target);
}
END_TEST

START_TEST(filters)
{
	sd_bus *bus = bus_connect();
	sd_bus_message *reply = NULL;
	const char *path;

	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "LendFilter", NULL, &reply, "sa{sv}", "1", 1,
					    "hits-bytes", "t", (uint64_t)4096),
			 0);
	ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", path, "org.bpcond1.Filter",
					    "Return", NULL, NULL, ""),
			 0);
	expect_unknown(bus, path, "org.bpcond1.Filter", "Return",
		       "has been returned or called back: borrow another (LendFilter)");
	sd_bus_message_unref(reply);
	expect_unknown(bus, "/org/bpcond1/filter/4000000000", "org.bpcond1.Filter", "Return",
		       "There is no object /org/bpcond1/filter/4000000000");
}
END_TEST

START_TEST(what_never_was)
{
	static const char *const paths[] = {
		"/org/bpcond1/session/4000000000",  "/org/bpcond1/session/0",
		"/org/bpcond1/session/01",          "/org/bpcond1/session/1_",
		"/org/bpcond1/session/99999999999", "/org/bpcond1/session/x/breakpoint/1",
	};
	sd_bus *bus = bus_connect();
	char text[128];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(text, sizeof(text), "There is no object %s: ListSessions", paths[i]);
		expect_unknown(bus, paths[i], SESSION_INTERFACE, "Close", text);
	}
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("ended");

	integration_add(suite, "the library: closed between two calls", closed_between_two_calls);
	integration_add(suite, "the library: closed before a breakpoint is called",
			closed_before_a_breakpoint_is_called);
	integration_add(suite, "the library: the target gone between two calls",
			target_gone_between_two_calls);
	integration_add(suite, "the library: the daemon gone within a call",
			daemon_gone_within_a_call);
	integration_add(suite, "the library: what has gone by itself is no failure",
			nothing_failed);
	integration_add(suite, "the library: freed without a daemon", freed_without_a_daemon);
	integration_add(suite, "the library: the bus gone", bus_gone);
	integration_add(suite, "sessions", sessions);
	integration_add(suite, "sessions of long ago", sessions_of_long_ago);
	integration_add(suite, "breakpoints", breakpoints);
	integration_add(suite, "lent filters", filters);
	integration_add(suite, "what never was", what_never_was);
	return integration_run(suite, argc, argv);
}
