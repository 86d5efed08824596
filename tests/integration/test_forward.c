/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding: what arrives is whole, comes once, and with what was dropped makes up the hits, whatever the
 * reader does. Readers that are slow, closed, or play with the descriptor that they share with the
 * daemon, cost nobody else anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/process.h"
#include "tests/support/reader.h"
#include "tests/support/target.h"

enum {
	SMALL_RING = 4096,
	TICKS_OF_REST = 10, /* of the daemon's CPU time, 0.1 s, where it should use none */
};

/* Hits of one thread: far more than ring and sink hold, and not so far where a hit takes long. */
#define FLOOD (integration_volume(2) < 2 ? 3000U : 5000U)

static const char *const kinds[] = {"pipe", "stream", "dgram", "seqpacket"};
static const char *const formats[] = {"json-lines", "binary"};

enum {
	N_KINDS = 4,
	N_FORMATS = 2,
};

typedef struct Scene {
	Target target;
	BusSession session;
	BusBreakpoint breakpoint;
	Reader reader;
} Scene;

#define PLAIN "{'address': '0x%lx', 'capture': {'registers': ['" ARG1 "']}}"
/* A record of more than a page, a line of three. */
#define LARGE                                                         \
	"{'address': '0x%lx', 'capture': {'registers': ['" ARG1 "']," \
	" 'memory': [{'at': {'reg': '" SP "'}, 'length': 1024},"      \
	" {'at': {'reg': '" SP "'}, 'length': 1024},"                 \
	" {'at': {'reg': '" SP "'}, 'length': 1024},"                 \
	" {'at': {'reg': '" SP "'}, 'length': 1000}]}}"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void scene_start(Scene *scene, const char *kind, const char *format, uint64_t ring,
			const char *spec)
{
	sd_bus *bus = bus_connect();

	target_start(&scene->target, "counter", NULL, NULL);
	if (ring)
		bus_open_session_with_ring(bus, scene->target.pid, ring, &scene->session);
	else
		bus_open_session(bus, scene->target.pid, &scene->session);
	bus_add(&scene->session, &scene->breakpoint, spec,
		target_address_of(&scene->target, "instruction"));
	reader_open(&scene->reader, kind, format, (uint32_t)scene->target.pid);
}
#pragma GCC diagnostic pop

static void scene_forward(Scene *scene)
{
	bus_forward(&scene->session, scene->reader.write_fd,
		    scene->reader.binary ? "binary" : "json-lines");
}

static void call(Scene *scene, long n)
{
	ck_assert_int_eq(target_ask(&scene->target, "calls", "call %ld", n), n);
}

static uint64_t dropped(const Scene *scene)
{
	BusCounts counts;

	bus_counts(&scene->breakpoint, &counts);
	ck_assert_uint_eq(
		bus_number(scene->session.bus, scene->session.path, SESSION_INTERFACE, "Dropped"),
		counts.dropped);
	return counts.dropped;
}

/* Disables and reads to the end: every hit was delivered or dropped, and the session says the same. */
static void expect_tally(Scene *scene, uint64_t hits)
{
	BusCounts counts;

	bus_breakpoint_call(&scene->breakpoint, "Disable");
	bus_counts(&scene->breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, hits);
	reader_wait(&scene->reader, hits - counts.dropped);
	ck_assert_uint_eq(scene->reader.records + dropped(scene), hits);
	ck_assert_uint_eq(scene->reader.n_bytes, 0);
}

/* The sink is closed with the session. */
static void scene_end(Scene *scene)
{
	bus_close_session(&scene->session);
	reader_close_sink(&scene->reader);
	if (!scene->reader.messages)
		reader_wait_end(&scene->reader);
	reader_close(&scene->reader);
	bus_breakpoint_close(&scene->breakpoint);
	target_kill(&scene->target);
}

/* Of the daemon, in clock ticks. */
static unsigned long cpu_time(void)
{
	unsigned long user, system;
	char path[64], text[1024];
	ssize_t n;
	char *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", helper_daemon_pid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	at = strrchr(text, ')');
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
		2);
	return user + system;
}

/* A reader that keeps up gets every hit, and then the end. */
START_TEST(every_hit_arrives)
{
	for (int kind = 0; kind < N_KINDS; kind++) {
		for (int format = 0; format < N_FORMATS; format++) {
			Scene scene;

			scene_start(&scene, kinds[kind], formats[format], 0, PLAIN);
			scene_forward(&scene);
			for (int i = 1; i <= 20; i++) {
				call(&scene, 50);
				reader_wait(&scene.reader, 50 * (uint64_t)i);
			}
			ck_assert_uint_eq(dropped(&scene), 0);
			expect_tally(&scene, 1000);
			scene_end(&scene);
		}
	}
}
END_TEST

/* What lay in the ring before is forwarded too. */
START_TEST(earlier_hits_arrive)
{
	Scene scene;

	scene_start(&scene, "pipe", "json-lines", 0, PLAIN);
	call(&scene, 100);
	scene_forward(&scene);
	reader_wait(&scene.reader, 100);
	call(&scene, 10);
	expect_tally(&scene, 110);
	scene_end(&scene);
}
END_TEST

/* A reader that does not read loses hits, counted; what it reads later is whole. Meanwhile the daemon
 * sleeps. */
START_TEST(slow_reader)
{
	for (int kind = 0; kind < N_KINDS; kind++) {
		for (int format = 0; format < N_FORMATS; format++) {
			unsigned long before;
			Scene scene;

			scene_start(&scene, kinds[kind], formats[format], SMALL_RING, PLAIN);
			scene_forward(&scene);
			call(&scene, FLOOD);
			ck_assert_uint_gt(dropped(&scene), 0);
			before = cpu_time();
			call(&scene, FLOOD);
			ck_assert_uint_le(cpu_time() - before, TICKS_OF_REST);
			reader_read(&scene.reader);
			/* it goes on once there is room */
			call(&scene, 1);
			expect_tally(&scene, 2 * FLOOD + 1);
			scene_end(&scene);
		}
	}
}
END_TEST

/* Records that are larger than what the sink has room for come in parts, none of them torn. */
START_TEST(small_sinks)
{
	for (int kind = 0; kind < N_KINDS; kind++) {
		for (int format = 0; format < N_FORMATS; format++) {
			int bytes = 1;
			Scene scene;

			scene_start(&scene, kinds[kind], formats[format], 16384, LARGE);
			if (kind == 0)
				ck_assert_int_ge(fcntl(scene.reader.write_fd, F_SETPIPE_SZ, 4096),
						 0);
			else if (!scene.reader.messages)
				ck_assert_int_eq(setsockopt(scene.reader.write_fd, SOL_SOCKET,
							    SO_SNDBUF, &bytes, sizeof(bytes)),
						 0);
			scene_forward(&scene);
			for (int i = 0; i < 50; i++) {
				call(&scene, 10);
				reader_read(&scene.reader);
			}
			/* how many of them are dropped is the machine's speed */
			expect_tally(&scene, 500);
			scene_end(&scene);
		}
	}
}
END_TEST

/* A hit that is no message of this socket is dropped, and the next ones are not. */
START_TEST(message_too_long)
{
	int bytes = 1;
	BusCounts counts;
	Scene scene;

	scene_start(&scene, "seqpacket", "json-lines", 0, LARGE);
	ck_assert_int_eq(
		setsockopt(scene.reader.write_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	scene_forward(&scene);
	call(&scene, 10);
	do {
		usleep(1000);
		bus_counts(&scene.breakpoint, &counts);
	} while (counts.dropped < 10);
	ck_assert_uint_eq(dropped(&scene), 10);
	bytes = 1 << 20;
	ck_assert_int_eq(
		setsockopt(scene.reader.write_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	call(&scene, 5);
	expect_tally(&scene, 15);
	ck_assert_uint_eq(scene.reader.records, 5);
	scene_end(&scene);
}
END_TEST

/* The flag belongs to both sides. Without it the daemon still does not wait. */
START_TEST(cleared_flag)
{
	for (int kind = 0; kind < N_KINDS; kind++) {
		sd_bus *other = bus_connect();
		Scene scene;

		scene_start(&scene, kinds[kind], "json-lines", SMALL_RING, PLAIN);
		ck_assert_int_eq(fcntl(scene.reader.write_fd, F_SETFL, O_NONBLOCK), 0);
		scene_forward(&scene);
		ck_assert_int_eq(fcntl(scene.reader.write_fd, F_SETFL, 0), 0);
		call(&scene, FLOOD);
		for (int i = 0; i < 100; i++)
			bus_number(other, MANAGER_PATH, MANAGER_INTERFACE, "Sessions");
		expect_tally(&scene, FLOOD);
		scene_end(&scene);
		sd_bus_flush_close_unref(other);
	}
}
END_TEST

/* Its reader's end is the forwarding's: every hit from then on is dropped, and the breakpoint goes on. */
START_TEST(closed_reader)
{
	for (int kind = 0; kind < N_KINDS; kind++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		Objects during, after;
		BusCounts counts;
		Scene scene;

		scene_start(&scene, kinds[kind], "binary", 0, PLAIN);
		scene_forward(&scene);
		call(&scene, 100);
		reader_wait(&scene.reader, 100);
		ck_assert_int_eq(helper_objects(helper_daemon_pid(), &during), 0);
		reader_close(&scene.reader);
		call(&scene, 500);
		do {
			usleep(1000);
			bus_counts(&scene.breakpoint, &counts);
		} while (counts.dropped < 500);
		ck_assert_uint_eq(counts.hits, 600);
		ck_assert_uint_eq(dropped(&scene), 500);
		/* the sink is closed, and nothing takes its place */
		ck_assert_int_eq(helper_objects(helper_daemon_pid(), &after), 0);
		ck_assert_uint_lt(after.n_fds, during.n_fds);
		reader_open(&scene.reader, "pipe", "binary", (uint32_t)scene.target.pid);
		ck_assert_int_eq(
			bus_try_forward(&scene.session, scene.reader.write_fd, "binary", &error),
			1);
		ck_assert_ptr_nonnull(strstr(error.message, "open another session"));
		sd_bus_error_free(&error);
		call(&scene, 100);
		ck_assert_uint_eq(dropped(&scene), 600);
		bus_breakpoint_call(&scene.breakpoint, "Remove");
		ck_assert_uint_eq(bus_number(scene.session.bus, scene.session.path,
					     SESSION_INTERFACE, "Dropped"),
				  600);
		scene_end(&scene);
	}
}
END_TEST

/* It goes while hits are waiting for it: those are dropped too. */
START_TEST(closed_slow_reader)
{
	Scene scene;
	uint64_t delivered;

	scene_start(&scene, "pipe", "json-lines", SMALL_RING, PLAIN);
	scene_forward(&scene);
	call(&scene, FLOOD);
	reader_wait_readable(&scene.reader);
	ck_assert_uint_lt(dropped(&scene), FLOOD);
	/* what the pipe holds, and what the daemon has begun, can be read no more */
	reader_close(&scene.reader);
	call(&scene, FLOOD);
	delivered = 2 * FLOOD - dropped(&scene);
	ck_assert_uint_gt(delivered, 0);
	call(&scene, 10);
	ck_assert_uint_eq(dropped(&scene), 2 * FLOOD + 10 - delivered);
	reader_open(&scene.reader, "pipe", "binary", (uint32_t)scene.target.pid);
	scene_end(&scene);
}
END_TEST

/* The sink has no room when the forwarding is ended, in order or by force: what is in it is whole. */
START_TEST(ended_with_a_full_sink)
{
	for (int kind = 0; kind < N_KINDS; kind++) {
		for (int format = 0; format < N_FORMATS; format++) {
			for (int killed = 0; killed < 2; killed++) {
				Scene scene;

				scene_start(&scene, kinds[kind], formats[format], 1 << 20, PLAIN);
				scene_forward(&scene);
				reader_close_sink(&scene.reader);
				call(&scene, FLOOD);
				reader_wait_readable(&scene.reader);
				if (killed)
					helper_end_daemon(SIGKILL);
				else
					bus_close_session(&scene.session);
				if (scene.reader.messages)
					reader_read(&scene.reader);
				else
					reader_wait_end(&scene.reader);
				ck_assert_uint_gt(scene.reader.records, 0);
				reader_close(&scene.reader);
				target_kill(&scene.target);
				if (killed)
					helper_start_daemon();
			}
		}
	}
}
END_TEST

/* All that was hit before the target's end comes, then the end; and the counts say so. */
START_TEST(end_of_target)
{
	for (int format = 0; format < N_FORMATS; format++) {
		Scene scene;

		scene_start(&scene, "pipe", formats[format], 1 << 20, PLAIN);
		scene_forward(&scene);
		reader_close_sink(&scene.reader);
		call(&scene, FLOOD);
		kill(scene.target.pid, SIGKILL);
		reader_wait_end(&scene.reader);
		ck_assert_uint_eq(scene.reader.records, FLOOD);
		reader_close(&scene.reader);
		target_kill(&scene.target);
	}
}
END_TEST

/* Also to a reader that takes long for it, but takes something now and then. */
START_TEST(end_of_target_with_a_slow_reader)
{
	Scene scene;

	scene_start(&scene, "pipe", "json-lines", 1 << 20, PLAIN);
	ck_assert_int_ge(fcntl(scene.reader.write_fd, F_SETPIPE_SZ, SMALL_RING), 0);
	scene_forward(&scene);
	reader_close_sink(&scene.reader);
	call(&scene, FLOOD);
	kill(scene.target.pid, SIGKILL);
	for (int i = 0; i < 10; i++) {
		usleep(150000);
		reader_wait(&scene.reader, scene.reader.records + 1);
	}
	ck_assert_uint_lt(scene.reader.records, FLOOD);
	reader_wait_end(&scene.reader);
	ck_assert_uint_eq(scene.reader.records, FLOOD);
	reader_close(&scene.reader);
	target_kill(&scene.target);
}
END_TEST

/* A reader that never reads does not keep the session of a dead target. */
START_TEST(end_of_target_with_a_stuck_reader)
{
	int64_t deadline = now_ms() + 10000;
	Scene scene;

	scene_start(&scene, "stream", "json-lines", 1 << 20, PLAIN);
	scene_forward(&scene);
	call(&scene, FLOOD);
	target_kill(&scene.target);
	while (bus_number(scene.session.bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0) {
		ck_assert_int_lt(now_ms(), deadline);
		usleep(20000);
	}
	reader_close_sink(&scene.reader);
	do
		reader_read(&scene.reader);
	while (!scene.reader.ended);
	ck_assert_uint_lt(scene.reader.records, FLOOD);
	ck_assert_uint_gt(scene.reader.records, 0);
	reader_close(&scene.reader);
}
END_TEST

/* One session's reader that does not read takes nothing from the others, nor do their floods. */
START_TEST(many_sessions)
{
	enum {
		N = 8,
	};
	static Scene scenes[N];
	const unsigned rounds = integration_volume(20);

	for (int i = 0; i < N; i++) {
		scene_start(&scenes[i], i % 2 ? "stream" : "pipe", formats[i / 2 % 2],
			    i == 0 ? SMALL_RING : 0, PLAIN);
		scene_forward(&scenes[i]);
	}
	for (unsigned round = 1; round <= rounds; round++) {
		for (int i = 0; i < N; i++)
			target_send(&scenes[i].target, "call %u", i == 0 ? FLOOD : 100);
		for (int i = 0; i < N; i++)
			target_answer(&scenes[i].target, "calls");
		for (int i = 1; i < N; i++)
			reader_wait(&scenes[i].reader, 100 * (uint64_t)round);
	}
	for (int i = 1; i < N; i++) {
		ck_assert_uint_eq(dropped(&scenes[i]), 0);
		expect_tally(&scenes[i], 100 * rounds);
	}
	ck_assert_uint_gt(dropped(&scenes[0]), 0);
	expect_tally(&scenes[0], rounds * FLOOD);
	for (int i = 0; i < N; i++)
		scene_end(&scenes[i]);
}
END_TEST

/* Eight threads that hit all the time: calls are answered meanwhile, and the tally is exact. */
START_TEST(flood_and_calls)
{
	const unsigned calls = integration_volume(2 * FLOOD);
	sd_bus *other = bus_connect();
	Scene scene;

	scene_start(&scene, "pipe", "binary", 0, PLAIN);
	scene_forward(&scene);
	target_send(&scene.target, "race %u", calls);
	for (int i = 0; i < 200; i++) {
		bus_number(other, MANAGER_PATH, MANAGER_INTERFACE, "Sessions");
		reader_read(&scene.reader);
	}
	while (true) {
		BusCounts counts;

		reader_read(&scene.reader);
		bus_counts(&scene.breakpoint, &counts);
		if (counts.evaluated == 8 * calls)
			break;
	}
	ck_assert_int_eq(target_answer(&scene.target, "calls"), 8 * calls);
	expect_tally(&scene, 8 * calls);
	scene_end(&scene);
	sd_bus_flush_close_unref(other);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("forward");

	integration_add(suite, "every hit arrives", every_hit_arrives);
	integration_add(suite, "earlier hits arrive", earlier_hits_arrive);
	integration_add(suite, "a slow reader", slow_reader);
	integration_add(suite, "small sinks", small_sinks);
	integration_add(suite, "a message that is too long", message_too_long);
	integration_add(suite, "a reader that clears O_NONBLOCK", cleared_flag);
	integration_add(suite, "a closed reader", closed_reader);
	integration_add(suite, "a slow reader that is closed", closed_slow_reader);
	integration_add(suite, "ended with a full sink", ended_with_a_full_sink);
	integration_add(suite, "the end of the target", end_of_target);
	integration_add(suite, "the end of the target with a slow reader",
			end_of_target_with_a_slow_reader);
	integration_add(suite, "the end of the target with a stuck reader",
			end_of_target_with_a_stuck_reader);
	integration_add(suite, "many sessions", many_sessions);
	integration_add(suite, "a flood of hits, and calls", flood_and_calls);
	return integration_run(suite, argc, argv);
}
