/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sinks for forwarded hits that their owner turns against the daemon: he shares the open file with it, with
 * all its flags, sizes and owners. Whatever he makes of it, the daemon neither waits nor ends, others are
 * served, and the session can be closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	CALLS = 3000, /* far more hits than a sink has room for */
	TURNS = 20,
};

typedef struct Scene {
	Target target;
	BusSession session;
	BusBreakpoint breakpoint;
	int fds[2]; /* his end, and the daemon's */
} Scene;

static void scene_start(Scene *scene)
{
	target_start(&scene->target, "loop", NULL, NULL);
	bus_open_session(bus_connect(), scene->target.pid, &scene->session);
	bus_add(&scene->session, &scene->breakpoint,
		"{'address':'0x%lx','capture':{'registers':['" ARG1 "']}}",
		target_address_of(&scene->target, "loop_work"));
}

/* Hits come all the while; every one is delivered or counted as dropped, and Close is answered. */
static void scene_end(Scene *scene)
{
	BusCounts counts;

	target_ask(&scene->target, "called", "call %d", CALLS);
	attack_expect_others_served();
	bus_breakpoint_call(&scene->breakpoint, "Disable");
	bus_counts(&scene->breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_ge(counts.hits, CALLS);
	ck_assert_uint_le(counts.dropped, counts.hits);
	bus_close_session(&scene->session);
	bus_breakpoint_close(&scene->breakpoint);
	close(scene->fds[0]);
	close(scene->fds[1]);
	target_kill(&scene->target);
}

static void make_pipe(Scene *scene, int flags)
{
	ck_assert_int_eq(pipe2(scene->fds, O_CLOEXEC | flags), 0);
}

static void make_socket(Scene *scene, int type)
{
	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, scene->fds), 0);
}

static void clear_nonblock(int fd)
{
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
}

/* Full before the first hit, waited for by its flags, and made smaller and larger all the time. */
static void pipe_that_changes(void)
{
	static const char bytes[65536];
	Scene scene;

	scene_start(&scene);
	make_pipe(&scene, O_NONBLOCK);
	while (write(scene.fds[1], bytes, sizeof(bytes)) > 0)
		;
	bus_forward(&scene.session, scene.fds[1], "binary");
	clear_nonblock(scene.fds[1]);
	for (int i = 0; i < TURNS; i++) {
		char taken[4096];

		target_ask(&scene.target, "called", "call 100");
		fcntl(scene.fds[1], F_SETPIPE_SZ, i % 2 ? 4096 : 1 << 20);
		fcntl(scene.fds[1], F_SETFL, i % 3 ? O_NONBLOCK : O_DIRECT);
		if (i % 4 == 0)
			ck_assert_int_gt(read(scene.fds[0], taken, sizeof(taken)), 0);
	}
	clear_nonblock(scene.fds[1]);
	scene_end(&scene);
}

/* One write, one packet: what a splice of many records becomes there is its owner's affair. */
static void pipe_of_packets(void)
{
	Scene scene;

	scene_start(&scene);
	make_pipe(&scene, O_DIRECT);
	bus_forward(&scene.session, scene.fds[1], "json-lines");
	scene_end(&scene);
}

/* Two sessions, one pipe that nobody reads. */
static void pipe_of_two(void)
{
	Scene first, second;

	scene_start(&first);
	scene_start(&second);
	make_pipe(&first, 0);
	second.fds[0] = fcntl(first.fds[0], F_DUPFD_CLOEXEC, 3);
	second.fds[1] = fcntl(first.fds[1], F_DUPFD_CLOEXEC, 3);
	bus_forward(&first.session, first.fds[1], "json-lines");
	bus_forward(&second.session, second.fds[1], "binary");
	scene_end(&first);
	scene_end(&second);
}

static void sockets_that_change(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct timeval long_time = {.tv_sec = 3600};
		const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
		int little = 1;
		Scene scene;

		scene_start(&scene);
		make_socket(&scene, types[i]);
		bus_forward(&scene.session, scene.fds[1], i % 2 ? "binary" : "json-lines");
		clear_nonblock(scene.fds[1]);
		setsockopt(scene.fds[1], SOL_SOCKET, SO_SNDTIMEO, &long_time, sizeof(long_time));
		setsockopt(scene.fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		setsockopt(scene.fds[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
		target_ask(&scene.target, "called", "call 100");
		/* neither end can be written to any more, by turns */
		shutdown(scene.fds[0], SHUT_RD);
		target_ask(&scene.target, "called", "call 100");
		shutdown(scene.fds[1], SHUT_WR);
		scene_end(&scene);
	}
}

/* The open file's owner is told of what happens there: by signals, to whom he likes. */
static void signals_to_the_daemon(void)
{
	static const int signals[] = {SIGKILL, SIGTERM, SIGSTOP, SIGSEGV, SIGIO};
	const pid_t daemon = helper_daemon_pid();

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = daemon};
		Scene scene;

		scene_start(&scene);
		if (i % 2)
			make_pipe(&scene, 0);
		else
			make_socket(&scene, SOCK_STREAM);
		for (int end = 0; end < 2; end++) {
			fcntl(scene.fds[end], F_SETOWN_EX, &owner);
			fcntl(scene.fds[end], F_SETSIG, signals[i]);
			fcntl(scene.fds[end], F_SETFL, O_ASYNC);
		}
		bus_forward(&scene.session, scene.fds[1], "json-lines");
		target_ask(&scene.target, "called", "call 10");
		ck_assert_int_eq(helper_daemon_pid(), daemon);
		scene_end(&scene);
	}
}

/* What belongs to others, or to the daemon. */
static void others_descriptors(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	Scene scene;
	int fds[8], n = 0;

	scene_start(&scene);
	make_pipe(&scene, 0);
	/* his own connection to the bus: what is behind it is the bus */
	fds[n++] = sd_bus_get_fd(scene.session.bus);
	fds[n++] = scene.breakpoint.counters_fd;
	fds[n++] = (int)syscall(SYS_pidfd_open, scene.target.pid, 0);
	fds[n++] = scene.fds[0];
	fds[n++] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	for (int i = 0; i < n; i++) {
		ck_assert_int_ge(fds[i], 0);
		ck_assert_msg(bus_try_forward(&scene.session, fds[i], "json-lines", &error) == 1,
			      "sink %d was taken", i);
		ck_assert_str_eq(error.name, SD_BUS_ERROR_INVALID_ARGS);
		sd_bus_error_free(&error);
	}
	scene_end(&scene);
}

/* A client that takes hits and then reads none, with a target that does nothing but hit. */
static void stops_reading_hits(void)
{
	uint64_t delivered;
	BusCounts counts;
	Scene scene;

	scene_start(&scene);
	make_pipe(&scene, 0);
	bus_forward(&scene.session, scene.fds[1], "binary");
	for (int i = 0; i < TURNS; i++) {
		target_ask(&scene.target, "called", "call %d", CALLS);
		if (i % 5 == 0)
			attack_expect_others_served();
	}
	bus_counts(&scene.breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, TURNS * CALLS);
	delivered = counts.hits - counts.dropped;
	/* the room of pipe, relay and ring, and no more: at the least 72 bytes a hit */
	ck_assert_uint_le(delivered, (65536 + 256 * 1024 + 2 * 65536) / 72);
	scene_end(&scene);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"a pipe whose flags and size change", pipe_that_changes, NULL},
		{"a pipe of packets", pipe_of_packets, NULL},
		{"one pipe for two sessions", pipe_of_two, NULL},
		{"sockets whose options change", sockets_that_change, NULL},
		{"signals to the daemon", signals_to_the_daemon, NULL},
		{"others' descriptors", others_descriptors, NULL},
		{"a client that stops reading hits", stops_reading_hits, NULL},
	};

	return attack_run("attack-sinks", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
