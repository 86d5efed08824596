/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that holds its pipe's lock in the kernel (tests/targets/pipe_holder.c) holds nobody but the
 * process that the daemon has for that pipe.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
	DEADLINE_MS = 20000,
	LAST_BYTE = 1, /* what the holder writes */
};

#define SPEC "{'address': '0x%lx', 'capture': {'registers': ['" ARG1 "']}}"

typedef struct Scene {
	sd_bus *bus;
	Target target;
	BusSession session;
	BusBreakpoint breakpoint;
	Reader reader;
	int holder_fd; /* -EBADF: nobody holds the pipe */
	pid_t relay;   /* the process of the pipe */
} Scene;

/* ---- Processes ---------------------------------------------------------------------------------- */

static bool read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(text, 1, size - 1, file);
	fclose(file);
	text[n] = '\0';
	return n > 0;
}

static bool has_ended(pid_t pid)
{
	char text[1024];

	return !read_proc(pid, "stat", text, sizeof(text)) || strstr(text, ") Z ") != NULL;
}

/* The daemon's children, of which the last is the youngest. */
static int find_children(pid_t *last)
{
	DIR *proc = opendir("/proc");
	int n = 0;

	*last = 0;
	for (struct dirent *at = readdir(proc); at; at = readdir(proc)) {
		pid_t pid = atoi(at->d_name), parent = 0;
		char text[1024];

		if (!isdigit(at->d_name[0]) || has_ended(pid) ||
		    !read_proc(pid, "stat", text, sizeof(text)) ||
		    sscanf(strrchr(text, ')'), ") %*c %d", &parent) != 1 ||
		    parent != helper_daemon_pid())
			continue;
		n++;
		if (pid > *last)
			*last = pid;
	}
	closedir(proc);
	return n;
}

static void wait_gone(pid_t pid)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	while (!has_ended(pid)) {
		ck_assert_msg(now_ms() < deadline, "process %d is still there", pid);
		usleep(1000);
	}
}

/* Hung in the kernel: it sleeps and cannot be interrupted. */
static void wait_hung(pid_t pid)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	char text[1024] = "";

	do {
		ck_assert_msg(now_ms() < deadline, "process %d does not hang: %s", pid, text);
		usleep(1000);
		ck_assert(read_proc(pid, "stat", text, sizeof(text)));
	} while (!strstr(text, ") D "));
}

/* ---- The scene ---------------------------------------------------------------------------------- */

static void hear(const Scene *scene, const char *word)
{
	struct pollfd socket = {.fd = scene->holder_fd, .events = POLLIN};
	char text[16] = "";

	ck_assert_int_eq(poll(&socket, 1, DEADLINE_MS), 1);
	ck_assert_int_gt(read(scene->holder_fd, text, sizeof(text) - 1), 0);
	ck_assert_msg(strncmp(text, word, strlen(word)) == 0, "\"%s\"", text);
}

static void hold(Scene *scene)
{
	const char *const argv[] = {integration_program("tests/targets/pipe_holder"), NULL};
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	helper_spawn("root", argv, ends[1], scene->reader.write_fd);
	close(ends[1]);
	scene->holder_fd = ends[0];
	hear(scene, "held");
}

static void release(Scene *scene)
{
	ck_assert_int_eq(write(scene->holder_fd, "r", 1), 1);
	hear(scene, "released");
	close(scene->holder_fd);
	scene->holder_fd = -EBADF;
}

static void start(Scene *scene)
{
	*scene = (Scene){.bus = bus_connect(), .holder_fd = -EBADF};
	target_start(&scene->target, "counter", NULL, NULL);
	bus_open_session(scene->bus, scene->target.pid, &scene->session);
	bus_add(&scene->session, &scene->breakpoint, SPEC,
		target_address_of(&scene->target, "instruction"));
	reader_open(&scene->reader, "pipe", "binary", (uint32_t)scene->target.pid);
}

static void forward(Scene *scene)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	bus_forward(&scene->session, scene->reader.write_fd, "binary");
	/* one of before may be about to go */
	while (find_children(&scene->relay) != 1) {
		ck_assert_int_lt(now_ms(), deadline);
		usleep(1000);
	}
}

static void call(Scene *scene, long n)
{
	ck_assert_int_eq(target_ask(&scene->target, "calls", "call %ld", n), n);
}

/* The daemon answers another connection, and forwards another session's hits. */
static void expect_service(void)
{
	Scene other;

	start(&other);
	bus_forward(&other.session, other.reader.write_fd, "binary");
	call(&other, 100);
	reader_wait(&other.reader, 100);
	bus_close_session(&other.session);
	reader_close_sink(&other.reader);
	reader_wait_end(&other.reader);
	reader_close(&other.reader);
	bus_breakpoint_close(&other.breakpoint);
	target_kill(&other.target);
	sd_bus_flush_close_unref(other.bus);
}

/* ---- The cases ---------------------------------------------------------------------------------- */

/* It has nothing but the pipe and its end of the socket, and no right. */
START_TEST(bare_process)
{
	char text[4096];
	Objects objects;
	Scene scene;

	start(&scene);
	forward(&scene);
	call(&scene, 10);
	reader_wait(&scene.reader, 10);
	ck_assert_int_eq(helper_objects(scene.relay, &objects), 0);
	ck_assert_uint_eq(objects.n_fds, 2);
	ck_assert_uint_eq(objects.n_maps, 0);
	ck_assert(read_proc(scene.relay, "status", text, sizeof(text)));
	ck_assert_ptr_nonnull(strstr(text, "CapPrm:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr(text, "CapEff:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr(text, "CapAmb:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr(text, "NoNewPrivs:\t1"));
	/* not dumpable: its files are not for its own user */
	ck_assert(!read_proc(scene.relay, "environ", text, sizeof(text)));
	bus_close_session(&scene.session);
	wait_gone(scene.relay);
}
END_TEST

/* While it hangs the hits wait in the ring; then all of them come, and the rest of the service never
 * knew. */
START_TEST(held_and_released)
{
	Scene scene;

	start(&scene);
	forward(&scene);
	call(&scene, 10);
	reader_wait(&scene.reader, 10);
	hold(&scene);
	call(&scene, 20);
	wait_hung(scene.relay);
	expect_service();
	ck_assert_uint_eq(bus_number(scene.bus, scene.session.path, SESSION_INTERFACE, "Hits"), 30);
	ck_assert_uint_eq(bus_number(scene.bus, scene.session.path, SESSION_INTERFACE, "Dropped"),
			  0);
	bus_close_session(&scene.session);
	expect_service();
	ck_assert(!has_ended(scene.relay));
	release(&scene);
	wait_gone(scene.relay);
	/* of what was in its way nothing came: the session had ended */
	reader_close_sink(&scene.reader);
	do
		reader_read(&scene.reader);
	while (!scene.reader.ended);
	ck_assert_uint_eq(scene.reader.records, 10);
	ck_assert_uint_eq(scene.reader.n_bytes, LAST_BYTE);
}
END_TEST

/* The client has let go of the pipe: the last reference to that open file is the process's. */
START_TEST(last_reference)
{
	Scene scene;

	start(&scene);
	hold(&scene);
	call(&scene, 10);
	forward(&scene);
	reader_close_sink(&scene.reader);
	wait_hung(scene.relay);
	expect_service();
	/* whose client goes at the end, without a word */
	sd_bus_flush_close_unref(scene.bus);
	expect_service();
	ck_assert(!has_ended(scene.relay));
	release(&scene);
	wait_gone(scene.relay);
}
END_TEST

/* The target's end is told, though the last hits cannot be delivered. */
START_TEST(end_of_target)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	Scene scene;

	start(&scene);
	forward(&scene);
	hold(&scene);
	call(&scene, 10);
	wait_hung(scene.relay);
	target_kill(&scene.target);
	while (bus_number(scene.bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0) {
		ck_assert_int_lt(now_ms(), deadline);
		usleep(20000);
	}
	expect_service();
	release(&scene);
	wait_gone(scene.relay);
}
END_TEST

/* The daemon ends, and the next one serves. */
START_TEST(end_of_daemon)
{
	Scene scene;

	start(&scene);
	forward(&scene);
	hold(&scene);
	call(&scene, 10);
	wait_hung(scene.relay);
	ck_assert_int_eq(helper_end_daemon(SIGTERM), 0);
	ck_assert(!has_ended(scene.relay));
	helper_start_daemon();
	expect_service();
	release(&scene);
	wait_gone(scene.relay);
}
END_TEST

/* Killed by an administrator, it ends the forwarding: what it had not written is dropped. */
START_TEST(killed_process)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	Scene scene;

	start(&scene);
	forward(&scene);
	call(&scene, 10);
	reader_wait(&scene.reader, 10);
	ck_assert_int_eq(helper_kill(scene.relay, SIGSTOP), 0);
	call(&scene, 20);
	ck_assert_int_eq(helper_kill(scene.relay, SIGKILL), 0);
	while (bus_number(scene.bus, scene.session.path, SESSION_INTERFACE, "Dropped") != 20) {
		ck_assert_int_lt(now_ms(), deadline);
		usleep(1000);
	}
	call(&scene, 5);
	ck_assert_uint_eq(bus_number(scene.bus, scene.session.path, SESSION_INTERFACE, "Dropped"),
			  25);
	wait_gone(scene.relay);
}
END_TEST

/* No user has more hung processes than there may be sessions; and gets the sessions back. */
START_TEST(quota)
{
	enum {
		SESSIONS = 4,
		MOST = 64, /* what may be dying in all, where the limit is lower */
	};
	int64_t deadline = now_ms() + DEADLINE_MS;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusSession session;
	int n = 0, r;
	pid_t last;
	Scene scene;

	helper_restart_with_settings("sessions = 4\ncalls-per-second = 100000\n");
	start(&scene);
	hold(&scene);
	bus_forward(&scene.session, scene.reader.write_fd, "binary");
	call(&scene, 1);
	for (;;) {
		r = bus_try_open_session(scene.bus, scene.target.pid, &session, &error);
		if (r != 0)
			break;
		bus_forward(&session, scene.reader.write_fd, "binary");
		bus_add(&session, &scene.breakpoint, SPEC,
			target_address_of(&scene.target, "instruction"));
		call(&scene, 1);
		find_children(&last);
		wait_hung(last);
		bus_close_session(&session);
		bus_breakpoint_close(&scene.breakpoint);
		n++;
		ck_assert_int_le(n, MOST + SESSIONS);
	}
	bus_expect_error(&error, "QuotaExceeded", "still freeing");
	ck_assert_int_ge(n, SESSIONS);
	ck_assert_int_le(find_children(&last), n + 1);
	bus_close_session(&scene.session);
	release(&scene);
	for (int opened = 0; opened < SESSIONS;) {
		if (find_children(&last) == 0 &&
		    bus_try_open_session(scene.bus, scene.target.pid, &session, &error) == 0) {
			opened++;
			continue;
		}
		sd_bus_error_free(&error);
		ck_assert_int_lt(now_ms(), deadline + DEADLINE_MS);
		usleep(10000);
	}
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("pipe_lock");

	integration_add(suite, "a process without rights", bare_process);
	integration_add(suite, "a pipe that is held, and released", held_and_released);
	integration_add(suite, "the last reference", last_reference);
	integration_add(suite, "the end of the target", end_of_target);
	integration_add(suite, "the end of the daemon", end_of_daemon);
	integration_add(suite, "a process that is killed", killed_process);
	integration_add(suite, "the quota of hung processes", quota);
	return integration_run(suite, argc, argv);
}
