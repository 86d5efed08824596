/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages that nobody should send: of wrong types, enormous, with descriptors that nobody wants, forged,
 * unread, without end. The daemon answers what is a call, keeps nothing of the rest, and goes on serving.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/support/target.h"

#define FILTER_INTERFACE "org.bpcond1.Filter"
#define DAEMON           "org.bpcond1"

enum {
#if defined(__SANITIZE_ADDRESS__)
	MOST_KIB = 524288, /* the sanitizer keeps what was freed */
#else
	MOST_KIB = 65536, /* of the daemon, with all that waits to be read */
#endif
	SESSIONS = 10000,
	CONNECTIONS = 150,
	UNREAD_CONNECTIONS = 8,
	UNREAD_CALLS = 1500, /* of each; in all some tens of MiB of answers */
	UNREAD_AT_ONCE = 100,
	FDS_A_MESSAGE = 16,
};

typedef struct Object {
	const char *path, *interface;
} Object;

static sd_bus_message *new_call(sd_bus *bus, const Object *object, const char *member)
{
	sd_bus_message *call = NULL;

	ck_assert_int_ge(sd_bus_message_new_method_call(bus, &call, DAEMON, object->path,
							object->interface, member),
			 0);
	return call;
}

/* The call is refused, in words. Frees the call. */
static void expect_error(sd_bus *bus, sd_bus_message *call, const char *what)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call(bus, call, 0, &error, NULL);
	ck_assert_msg(r < 0, "%s was let pass", what);
	ck_assert_msg(sd_bus_error_is_set(&error) && error.message && error.message[0], "%s: %s",
		      what, strerror(-r));
	sd_bus_error_free(&error);
	sd_bus_message_unref(call);
}

static int append_wrong(sd_bus_message *call, unsigned kind)
{
	static const char bytes[65536];
	int r = 0;

	switch (kind) {
	case 0:
		return sd_bus_message_append(call, "d", 1.5);
	case 1:
		return sd_bus_message_append(call, "ssssssss", "a", "b", "c", "d", "e", "f", "g",
					     "h");
	case 2:
		return sd_bus_message_append(call, "hhhh", 0, 0, 0, 0);
	case 3:
		return sd_bus_message_append_array(call, 'y', bytes, sizeof(bytes));
	case 4:
		return sd_bus_message_append(call, "(ss)", "a", "b");
	case 5:
		return sd_bus_message_append(call, "v", "v", "v", "v", "u", 1);
	case 6:
		return sd_bus_message_append(call, "a{uv}", 1, 1, "u", 1);
	case 7:
		return sd_bus_message_append(call, "ao", 1, "/");
	case 8: /* a variant in a variant, as deep as the bus lets it */
		for (int i = 0; i < 30 && r >= 0; i++)
			r = sd_bus_message_open_container(call, 'v', "v");
		r = r < 0 ? r : sd_bus_message_append(call, "v", "u", 1);
		for (int i = 0; i < 30 && r >= 0; i++)
			r = sd_bus_message_close_container(call);
		return r;
	default:
		return sd_bus_message_append(call, "tdbg", UINT64_C(1), 1.5, 1, "s");
	}
}

static void wrong_signatures(void)
{
	static const char *const members[4][8] = {
		{"OpenSession", "OpenSessionByPid", "LendFilter", "CheckSpec", "ListSessions"},
		{"AddBreakpoint", "TakeHits", "Forward", "Close"},
		{"Enable", "Disable", "Remove", "SetParameter", "TakeEvents"},
		{"Return"},
	};
	static const char *const types[] = {"s", "ssv", "u"};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	const char *filter;
	char path[128];

	bus_open_session(bus, getpid(), &session);
	bus_add(&session, &breakpoint, "{'address':'0x1000'}");
	ck_assert_int_ge(sd_bus_call_method(bus, DAEMON, MANAGER_PATH, MANAGER_INTERFACE,
					    "LendFilter", &error, &reply, "sa{sv}", "1", 0),
			 0);
	ck_assert_int_gt(sd_bus_message_read(reply, "o", &filter), 0);
	snprintf(path, sizeof(path), "%s", filter);
	sd_bus_message_unref(reply);
	const Object objects[] = {{MANAGER_PATH, MANAGER_INTERFACE},
				  {session.path, SESSION_INTERFACE},
				  {breakpoint.path, BREAKPOINT_INTERFACE},
				  {path, FILTER_INTERFACE}};

	for (size_t o = 0; o < 4; o++) {
		for (size_t m = 0; members[o][m]; m++) {
			for (unsigned kind = 0; kind < 10; kind++) {
				sd_bus_message *call = new_call(bus, &objects[o], members[o][m]);

				ck_assert_int_ge(append_wrong(call, kind), 0);
				expect_error(bus, call, members[o][m]);
			}
			/* another object's, and none's */
			expect_error(bus, new_call(bus, &objects[(o + 1) % 4], members[o][m]),
				     members[o][m]);
		}
	}
	/* the standard interfaces too */
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		const Object properties = {session.path, "org.freedesktop.DBus.Properties"};
		sd_bus_message *call = new_call(bus, &properties, "Set");

		ck_assert_int_ge(t == 0   ? sd_bus_message_append(call, "s", "x")
				 : t == 1 ? sd_bus_message_append(call, "ssv", SESSION_INTERFACE,
								  "Uid", "u", 0)
					  : sd_bus_message_append(call, "u", 1),
				 0);
		expect_error(bus, call, "Set");
	}
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Uid"), getuid());
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Breakpoints"), 1);
}

static void enormous(void)
{
	static const Object manager = {MANAGER_PATH, MANAGER_INTERFACE};
	const size_t size = 30 << 20;
	char *text = malloc(size + 1), path[4096] = "/org/bpcond1/session/";
	sd_bus_message *call;
	sd_bus *bus = bus_connect();
	BusSession session;
	int fds[1] = {open("/dev/null", O_RDONLY | O_CLOEXEC)};

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', size);
	text[size] = '\0';
	bus_open_session(bus, getpid(), &session);
	/* a spec, a condition, an option's name, its value, an array of options */
	call = new_call(bus, &(const Object){session.path, SESSION_INTERFACE}, "AddBreakpoint");
	ck_assert_int_ge(sd_bus_message_append(call, "s", text), 0);
	expect_error(bus, call, "a spec");
	call = new_call(bus, &manager, "LendFilter");
	ck_assert_int_ge(sd_bus_message_append(call, "sa{sv}", text, 0), 0);
	expect_error(bus, call, "a condition");
	memset(text, 'a', size);
	call = new_call(bus, &manager, "OpenSessionByPid");
	ck_assert_int_ge(sd_bus_message_append(call, "ua{sv}", getpid(), 1, text, "u", 1), 0);
	expect_error(bus, call, "an option's name");
	call = new_call(bus, &manager, "OpenSessionByPid");
	ck_assert_int_ge(sd_bus_message_append(call, "ua{sv}", getpid(), 1, "client", "s", text),
			 0);
	expect_error(bus, call, "a client's name");
	for (int known = 0; known < 2; known++) {
		call = new_call(bus, &manager, "OpenSessionByPid");
		ck_assert_int_ge(sd_bus_message_append(call, "u", getpid()), 0);
		ck_assert_int_ge(sd_bus_message_open_container(call, 'a', "{sv}"), 0);
		for (int i = 0; i < 100000; i++)
			ck_assert_int_ge(sd_bus_message_append(call, "{sv}",
							       known ? "client" : "nothing", "s",
							       "x"),
					 0);
		ck_assert_int_ge(sd_bus_message_close_container(call), 0);
		expect_error(bus, call, "100,000 options");
	}
	/* a path and a member as long as they may be */
	memset(path + strlen(path), '1', sizeof(path) - strlen(path) - 1);
	text[255] = '\0';
	expect_error(bus, new_call(bus, &(const Object){path, SESSION_INTERFACE}, text), "a path");
	close(fds[0]);
	free(text);
}

/* Sends what is no call, and calls in others' names. */
static void forged(void)
{
	sd_bus *bus = bus_connect(), *victim = bus_connect();
	const char *victims_name, *own_name;
	sd_bus_message *m = NULL;
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(victim, target.pid, &session);
	ck_assert_int_ge(sd_bus_get_unique_name(victim, &victims_name), 0);
	ck_assert_int_ge(sd_bus_get_unique_name(bus, &own_name), 0);
	for (int i = 0; i < 50; i++) {
		/* that the victim has left the bus, as if the bus said so */
		ck_assert_int_ge(sd_bus_message_new_signal(bus, &m, "/org/freedesktop/DBus",
							   "org.freedesktop.DBus",
							   "NameOwnerChanged"),
				 0);
		ck_assert_int_ge(sd_bus_message_append(m, "sss", victims_name, victims_name, ""),
				 0);
		ck_assert_int_ge(sd_bus_message_set_destination(m, DAEMON), 0);
		ck_assert_int_ge(sd_bus_send(bus, m, NULL), 0);
		m = sd_bus_message_unref(m);
		/* and that somebody else has lost the daemon's name */
		ck_assert_int_ge(sd_bus_message_new_signal(bus, &m, "/org/freedesktop/DBus",
							   "org.freedesktop.DBus", "NameLost"),
				 0);
		ck_assert_int_ge(sd_bus_message_append(m, "s", DAEMON), 0);
		ck_assert_int_ge(sd_bus_message_set_destination(m, DAEMON), 0);
		ck_assert_int_ge(sd_bus_send(bus, m, NULL), 0);
		m = sd_bus_message_unref(m);
		/* the daemon's own signals */
		ck_assert_int_ge(sd_bus_message_new_signal(bus, &m, MANAGER_PATH, MANAGER_INTERFACE,
							   "SessionClosed"),
				 0);
		ck_assert_int_ge(sd_bus_message_append(m, "os", session.path, "closed"), 0);
		ck_assert_int_ge(sd_bus_message_set_destination(m, DAEMON), 0);
		ck_assert_int_ge(sd_bus_send(bus, m, NULL), 0);
		m = sd_bus_message_unref(m);
		/* a call in another's name: the bus puts ours there */
		ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, DAEMON, session.path,
								SESSION_INTERFACE, "TakeHits"),
				 0);
		ck_assert_int_ge(sd_bus_message_set_sender(m, victims_name), 0);
		expect_error(bus, m, "a call in another's name");
		m = NULL;
	}
	ck_assert_int_ge(sd_bus_flush(bus), 0);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 1);
	bus_take_hits(&session);
	bus_close_session(&session);
	target_kill(&target);
}

/* ---- Answers that nobody reads ------------------------------------------------------------------- */

static void never_reads_its_replies(void)
{
	static const Object introspectable = {MANAGER_PATH, "org.freedesktop.DBus.Introspectable"};
	sd_bus *busses[UNREAD_CONNECTIONS];

	for (int i = 0; i < UNREAD_CONNECTIONS; i++)
		busses[i] = bus_connect();
	for (int sent = 0; sent < UNREAD_CALLS; sent++) {
		for (int i = 0; i < UNREAD_CONNECTIONS; i++) {
			sd_bus_message *call = new_call(busses[i], &introspectable, "Introspect");

			ck_assert_int_ge(sd_bus_message_seal(call, (uint64_t)sent + 1000, 0), 0);
			ck_assert_int_ge(sd_bus_send(busses[i], call, NULL), 0);
			sd_bus_message_unref(call);
		}
		/* the bus keeps only so many calls waiting */
		if (sent % UNREAD_AT_ONCE == 0)
			usleep(20000);
		if (sent == UNREAD_CALLS / 2)
			attack_expect_others_served();
	}
	attack_expect_others_served();
	ck_assert_int_lt(attack_daemon_status("VmRSS:"), MOST_KIB);
	/* and without a word more they are gone, with all that they were to read */
}

/* Calls that want no answer, and a connection that goes before it could have one. */
static void wants_no_replies(void)
{
	for (int i = 0; i < 100; i++) {
		sd_bus *bus = bus_connect();

		for (int k = 0; k < 20; k++) {
			sd_bus_message *call =
				new_call(bus, &(const Object){MANAGER_PATH, MANAGER_INTERFACE},
					 k % 2 ? "OpenSessionByPid" : "LendFilter");

			ck_assert_int_ge(k % 2 ? sd_bus_message_append(call, "ua{sv}", getpid(), 0)
					       : sd_bus_message_append(call, "sa{sv}", "1", 0),
					 0);
			ck_assert_int_ge(sd_bus_message_set_expect_reply(call, i % 2), 0);
			ck_assert_int_ge(sd_bus_message_seal(call, (uint64_t)k + 1000, 0), 0);
			ck_assert_int_ge(sd_bus_send(bus, call, NULL), 0);
			sd_bus_message_unref(call);
		}
		sd_bus_flush(bus);
		sd_bus_close_unref(bus);
	}
}

/* ---- As many as there can be --------------------------------------------------------------------- */

static void ten_thousand_sessions(void)
{
	unsigned opened = 0, refused = 0;
	sd_bus *bus = bus_connect();
	uint64_t limit = attack_limit(bus, "sessions");
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	for (unsigned i = 0; i < SESSIONS; i++) {
		const char *refusal = attack_open(bus, target.pid, &session);

		if (!refusal) {
			opened++;
			continue;
		}
		attack_expect_refusal(refusal, "QuotaExceeded", NULL);
		refused++;
		if (i == SESSIONS / 2)
			attack_expect_others_served();
	}
	ck_assert_uint_eq(opened, limit);
	ck_assert_uint_eq(opened + refused, SESSIONS);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), limit);
	attack_expect_others_served();
	target_kill(&target);
}

/* The number of one session that there is. */
static unsigned first_session(sd_bus *bus)
{
	sd_bus_message *reply = NULL;
	const char *path, *name;
	uint32_t uid, client, target;
	unsigned number;

	ck_assert_int_ge(sd_bus_call_method(bus, DAEMON, MANAGER_PATH, MANAGER_INTERFACE,
					    "ListSessions", NULL, &reply, ""),
			 0);
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "(ouuus)"), 0);
	ck_assert_int_gt(
		sd_bus_message_read(reply, "(ouuus)", &path, &uid, &client, &target, &name), 0);
	ck_assert_int_eq(sscanf(path, "/org/bpcond1/session/%u", &number), 1);
	sd_bus_message_unref(reply);
	return number;
}

/* Left behind, connection after connection: sessions that stay count, whoever opened them. */
static void lingering_sessions(void)
{
	sd_bus *bus = bus_connect();
	uint64_t limit = attack_limit(bus, "sessions");
	uint64_t left = 0;
	Target target;
	char path[64];

	target_start(&target, "loop", NULL, NULL);
	for (uint64_t i = 0; i < 2 * limit; i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		sd_bus *other = bus_connect();
		int r;

		r = sd_bus_call_method(other, DAEMON, MANAGER_PATH, MANAGER_INTERFACE,
				       "OpenSessionByPid", &error, NULL, "ua{sv}",
				       (uint32_t)target.pid, 1, "linger", "b", 1);
		if (r < 0)
			bus_expect_error(&error, "QuotaExceeded", "\"sessions\"");
		else
			left++;
		sd_bus_flush_close_unref(other);
	}
	ck_assert_uint_eq(left, limit);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), limit);
	attack_expect_others_served();
	/* he can end what he has left, and so can the end of the target */
	snprintf(path, sizeof(path), "/org/bpcond1/session/%u", first_session(bus));
	ck_assert_int_ge(
		sd_bus_call_method(bus, DAEMON, path, SESSION_INTERFACE, "Close", NULL, NULL, ""),
		0);
	target_kill(&target);
	while (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0)
		usleep(1000);
}

/* Of as many connections as the bus lets a user have, each with a call and what it wants to keep. */
static void many_connections(void)
{
	static sd_bus *busses[CONNECTIONS];
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	unsigned n;

	for (n = 0; n < CONNECTIONS; n++)
		if (sd_bus_open_system(&busses[n]) < 0)
			break;
	ck_assert_uint_gt(n, CONNECTIONS / 2);
	/* all of them wait when the daemon comes back */
	ck_assert_int_eq(helper_kill(daemon, SIGSTOP), 0);
	for (unsigned i = 0; i < n; i++) {
		sd_bus_message *call = new_call(
			busses[i], &(const Object){MANAGER_PATH, MANAGER_INTERFACE}, "LendFilter");

		ck_assert_int_ge(sd_bus_message_append(call, "sa{sv}", "1", 0), 0);
		ck_assert_int_ge(sd_bus_send(busses[i], call, NULL), 0);
		ck_assert_int_ge(sd_bus_flush(busses[i]), 0);
		sd_bus_message_unref(call);
	}
	ck_assert_int_eq(helper_kill(daemon, SIGCONT), 0);
	attack_expect_others_served();
	for (unsigned i = 0; i < n; i++) {
		int r = sd_bus_call_method(busses[i], DAEMON, MANAGER_PATH, MANAGER_INTERFACE,
					   "ListSessions", &error, NULL, "");

		ck_assert_msg(r >= 0 || strstr(error.name, "QuotaExceeded"), "%s: %s", error.name,
			      error.message);
		sd_bus_error_free(&error);
	}
}

/* Has a daemon that was stopped go on, until it has taken what the bus has kept for it: as long as that
 * is too much, the bus refuses everybody's calls. */
static void go_on(pid_t daemon)
{
	int64_t deadline = now_ms() + 20000;
	sd_bus *bus = bus_connect();

	ck_assert_int_eq(helper_kill(daemon, SIGCONT), 0);
	while (sd_bus_call_method(bus, DAEMON, MANAGER_PATH, "org.freedesktop.DBus.Peer", "Ping",
				  NULL, NULL, "") < 0) {
		ck_assert_msg(now_ms() < deadline, "the daemon does not answer");
		usleep(10000);
	}
	sd_bus_flush_close_unref(bus);
}

/* Messages full of descriptors, to members that want none, while the daemon cannot take them. */
static void descriptors_that_nobody_wants(void)
{
	pid_t daemon = helper_daemon_pid();
	sd_bus *busses[16];
	Objects before, after;
	int fds[2];

	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < 16; i++)
		busses[i] = bus_connect();
	for (int round = 0; round < 4; round++) {
		ck_assert_int_eq(helper_kill(daemon, SIGSTOP), 0);
		for (size_t i = 0; i < 16; i++) {
			for (int k = 0; k < 60; k++) {
				sd_bus_message *call = new_call(
					busses[i], &(const Object){MANAGER_PATH, MANAGER_INTERFACE},
					k % 2 ? "ListSessions" : "OpenSession");

				for (int f = 0; f < FDS_A_MESSAGE; f++)
					ck_assert_int_ge(
						sd_bus_message_append(call, "h", fds[f & 1]), 0);
				ck_assert_int_ge(sd_bus_message_seal(call, (uint64_t)k + 1000, 0),
						 0);
				/* the bus may have had enough of us */
				if (sd_bus_send(busses[i], call, NULL) < 0)
					k = 60;
				sd_bus_message_unref(call);
			}
		}
		go_on(daemon);
		attack_expect_others_served();
	}
	ck_assert_int_eq(helper_objects(daemon, &after), 0);
	/* a client's process each, and what is on its way */
	ck_assert_uint_lt(after.n_fds, before.n_fds + 16 + 64 * FDS_A_MESSAGE);
}

/* Opens a session and stays. */
static pid_t start_victim(pid_t target, char ret_name[static 64])
{
	int told[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	pid = check_fork();
	if (pid == 0) {
		sd_bus *bus = bus_connect();
		BusSession session;
		const char *name;
		char text[64] = "";

		bus_open_session(bus, target, &session);
		ck_assert_int_ge(sd_bus_get_unique_name(bus, &name), 0);
		snprintf(text, sizeof(text), "%s", name);
		ck_assert_int_eq(write(told[1], text, sizeof(text)), sizeof(text));
		pause();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(read(told[0], ret_name, 64), 64);
	close(told[0]);
	close(told[1]);
	return pid;
}

/* The bus keeps only so much for the daemon: then it drops even the news of a connection's end. */
static void end_that_is_not_told(void)
{
	static const Object manager = {MANAGER_PATH, MANAGER_INTERFACE};
	pid_t daemon = helper_daemon_pid(), victim;
	sd_bus *busses[16], *bus = bus_connect();
	int64_t deadline;
	char name[64];
	Target target;

	target_start(&target, "loop", NULL, NULL);
	victim = start_victim(target.pid, name);
	for (size_t i = 0; i < 16; i++)
		busses[i] = bus_connect();
	ck_assert_int_eq(helper_kill(daemon, SIGSTOP), 0);
	/* more than the socket has room for, and the bus besides */
	for (size_t i = 0; i < 16; i++) {
		for (int k = 0, r = 0; k < 60 && r >= 0; k++) {
			sd_bus_message *call = new_call(busses[i], &manager, "ListSessions");

			for (int f = 0; f < FDS_A_MESSAGE; f++)
				ck_assert_int_ge(sd_bus_message_append(call, "h", STDOUT_FILENO),
						 0);
			ck_assert_int_ge(sd_bus_message_seal(call, (uint64_t)k + 1000, 0), 0);
			r = sd_bus_send(busses[i], call, NULL);
			sd_bus_message_unref(call);
		}
	}
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	while (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
				  "org.freedesktop.DBus", "GetNameOwner", NULL, NULL, "s",
				  name) >= 0)
		usleep(1000);
	go_on(daemon);
	deadline = now_ms() + 10000;
	while (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0) {
		ck_assert_msg(now_ms() < deadline, "the session has outlived its connection");
		usleep(10000);
	}
	target_kill(&target);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"wrong signatures", wrong_signatures, NULL},
		{"enormous arguments", enormous, NULL},
		{"forged messages", forged, NULL},
		{"a client that never reads its replies", never_reads_its_replies, NULL},
		{"an end that is not told", end_that_is_not_told, NULL},
		{"clients that want no replies", wants_no_replies, NULL},
		{"10,000 sessions", ten_thousand_sessions, NULL},
		{"sessions left behind", lingering_sessions, NULL},
		{"as many connections as there can be", many_connections, NULL},
		{"descriptors that nobody wants", descriptors_that_nobody_wants, NULL},
	};

	return attack_run("attack-messages", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
