/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hits can be forwarded into, what not, and that a ring has one reader. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/target.h"

static void open_session(Target *target, BusSession *session)
{
	target_start(target, "loop", NULL, NULL);
	bus_open_session(bus_connect(), target->pid, session);
}

static void expect_invalid(sd_bus_error *error, const char *part)
{
	ck_assert_str_eq(error->name, SD_BUS_ERROR_INVALID_ARGS);
	ck_assert_msg(strstr(error->message, part) != NULL, "\"%s\" does not hold \"%s\"",
		      error->message, part);
	sd_bus_error_free(error);
}

static void expect_refused(const BusSession *session, int fd, const char *part)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bus_try_forward(session, fd, "json-lines", &error), 1);
	expect_invalid(&error, part);
	close(fd);
}

static int unix_socket(int type)
{
	return socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
}

static int listening_socket(void)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	int fd = unix_socket(SOCK_STREAM);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

/* A connection to what a process of root's listens on: the bus's user in these tests. */
static int foreign_connection(void)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	struct sockaddr_un peer = {.sun_family = AF_UNIX};
	int fd = unix_socket(SOCK_STREAM);

	ck_assert_int_eq(strncmp(address, "unix:path=", 10), 0);
	strncpy(peer.sun_path, address + 10, sizeof(peer.sun_path) - 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
	return fd;
}

static int connected_tcp(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	socklen_t size = sizeof(at);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(listener);
	return fd;
}

START_TEST(no_sinks)
{
	char path[] = "/tmp/sink-XXXXXX";
	Objects before;
	BusSession session;
	Target target;
	int fds[2], file_fd;

	open_session(&target, &session);
	ck_assert_int_eq(helper_objects(helper_daemon_pid(), &before), 0);

	file_fd = mkstemp(path);
	expect_refused(&session, file_fd, "a file");
	expect_refused(&session, open(path, O_PATH | O_CLOEXEC), "O_PATH");
	unlink(path);
	expect_refused(&session, open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "a directory");
	expect_refused(&session, open("/dev/null", O_WRONLY | O_CLOEXEC), "device");
	expect_refused(&session, posix_openpt(O_RDWR | O_NOCTTY), "terminal");
	expect_refused(&session, eventfd(0, EFD_CLOEXEC), "no pipe and no socket");
	expect_refused(&session, unix_socket(SOCK_STREAM), "not connected");
	expect_refused(&session, unix_socket(SOCK_DGRAM), "not connected");
	expect_refused(&session, listening_socket(), "listening");
	expect_refused(&session, connected_tcp(), "AF_UNIX");
	expect_refused(&session, foreign_connection(), "another user");

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	expect_refused(&session, fds[0], "read end");
	close(fds[1]);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refused(&session, open(path, O_RDWR | O_CLOEXEC), "both ends");
	unlink(path);

	/* nothing of it stays, and the ring is nobody's yet */
	helper_expect_descriptors(helper_daemon_pid(), &before);
	bus_take_hits(&session);
}
END_TEST

START_TEST(no_format)
{
	static const char *const wrong[] = {"", "json", "JSON-LINES", "binary "};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusSession session;
	Target target;
	int fds[2];

	open_session(&target, &session);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(bus_try_forward(&session, fds[1], wrong[i], &error), 1);
		expect_invalid(&error, "\"json-lines\" and \"binary\"");
	}
	bus_forward(&session, fds[1], "binary");
}
END_TEST

/* A named pipe is as good as any, and so is a socket connected to the user's own listener. */
START_TEST(other_sinks)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char path[] = "/tmp/sink-XXXXXX", byte;
	BusBreakpoint breakpoint;
	BusSession first, second;
	int read_fd, write_fd, listener;
	socklen_t size = sizeof(at);
	Target target;

	open_session(&target, &first);
	bus_open_session(first.bus, target.pid, &second);

	close(mkstemp(path));
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	read_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	write_fd = open(path, O_WRONLY | O_CLOEXEC);
	unlink(path);
	bus_forward(&first, write_fd, "json-lines");
	bus_add(&first, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	target_ask(&target, "called", "call 1");
	ck_assert_int_eq(fcntl(read_fd, F_SETFL, 0), 0);
	ck_assert_int_eq(read(read_fd, &byte, 1), 1);
	ck_assert_int_eq(byte, '{');
	bus_breakpoint_call(&breakpoint, "Remove");

	listener = listening_socket();
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	write_fd = unix_socket(SOCK_STREAM);
	ck_assert_int_eq(connect(write_fd, (struct sockaddr *)&at, size), 0);
	read_fd = accept(listener, NULL, NULL);
	bus_forward(&second, write_fd, "json-lines");
	bus_add(&second, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	target_ask(&target, "called", "call 1");
	ck_assert_int_eq(read(read_fd, &byte, 1), 1);
	ck_assert_int_eq(byte, '{');
}
END_TEST

START_TEST(one_reader)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusSession taken, forwarded;
	Target target;
	int fds[2], r;

	open_session(&target, &taken);
	bus_open_session(taken.bus, target.pid, &forwarded);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);

	bus_take_hits(&taken);
	ck_assert_int_eq(bus_try_forward(&taken, fds[1], "binary", &error), 1);
	expect_invalid(&error, "TakeHits");

	bus_forward(&forwarded, fds[1], "binary");
	r = sd_bus_call_method(forwarded.bus, "org.bpcond1", forwarded.path, SESSION_INTERFACE,
			       "TakeHits", &error, NULL, "");
	ck_assert_int_lt(r, 0);
	expect_invalid(&error, "Forward");
	ck_assert_int_eq(bus_try_forward(&forwarded, fds[1], "binary", &error), 1);
	expect_invalid(&error, "Forward");
}
END_TEST

/* Another connection, of the same user even, cannot have a session's hits. */
START_TEST(owners_only)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusSession session, other;
	Target target;
	int fds[2];

	open_session(&target, &session);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	other = session;
	other.bus = bus_connect();
	ck_assert_int_eq(bus_try_forward(&other, fds[1], "binary", &error), 1);
	bus_expect_error(&error, "NotAuthorized", "another connection");
}
END_TEST

/* The end of the session closes the sink, and leaves nothing in the daemon. */
START_TEST(nothing_stays)
{
	Objects before;
	BusSession session;
	Target target;
	int fds[2];
	char byte;

	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(helper_objects(helper_daemon_pid(), &before), 0);
	for (int i = 0; i < 10; i++) {
		sd_bus *bus = bus_connect();

		bus_open_session(bus, target.pid, &session);
		ck_assert_int_eq(i % 2 ? pipe2(fds, O_CLOEXEC)
				       : socketpair(AF_UNIX, SOCK_STREAM, 0, fds),
				 0);
		bus_forward(&session, fds[1], "json-lines");
		close(fds[1]);
		if (i % 3 == 0)
			sd_bus_flush_close_unref(bus);
		else
			bus_close_session(&session);
		ck_assert_int_eq(read(fds[0], &byte, 1), 0);
		close(fds[0]);
		if (i % 3)
			sd_bus_flush_close_unref(bus);
	}
	helper_expect_descriptors(helper_daemon_pid(), &before);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("forward_sinks");

	integration_add(suite, "what is no sink", no_sinks);
	integration_add(suite, "what is no format", no_format);
	integration_add(suite, "named pipes and connected sockets", other_sinks);
	integration_add(suite, "a ring has one reader", one_reader);
	integration_add(suite, "only the owner forwards", owners_only);
	integration_add(suite, "nothing stays", nothing_stays);
	return integration_run(suite, argc, argv);
}
