/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose processes the daemon refuses to look at, and whose sessions it keeps from whom. After each
 * refusal the daemon holds what it held before.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/target.h"

/* OpenSession and OpenSessionByPid are both refused as NotAuthorized, and leave nothing open. */
static void expect_refused(pid_t pid)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	sd_bus *bus = bus_connect();
	Objects before;
	BusSession session;

	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 0);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	ck_assert_int_eq(bus_try_open_session(bus, pid, &session, &error), 1);
	bus_expect_error(&error, "NotAuthorized", NULL);
	ck_assert_int_eq(bus_try_open_session_by_pid(bus, pid, &session, &error), 1);
	bus_expect_error(&error, "NotAuthorized", NULL);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 0);
	/* for a caller that is connected it may know who that is */
	sd_bus_flush_close_unref(bus);
	helper_expect_descriptors(daemon, &before);
}

START_TEST(own_process_is_allowed)
{
	sd_bus *bus = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Target"),
			  (uint64_t)target.pid);
	ck_assert_uint_eq(bus_number(bus, session.path, SESSION_INTERFACE, "Uid"), getuid());
	ck_assert_int_eq(bus_try_open_session_by_pid(bus, target.pid, &session, &error), 0);
}
END_TEST

START_TEST(another_users_process)
{
	Target target;

	target_start_as(&target, ENVIRONMENT_USER_B, integration_program("tests/targets/loop"),
			NULL);
	expect_refused(target.pid);
}
END_TEST

START_TEST(a_root_process)
{
	Target target;

	target_start_as(&target, "root", integration_program("tests/targets/loop"), NULL);
	expect_refused(target.pid);
	expect_refused(1);
}
END_TEST

START_TEST(the_daemon_itself)
{
	expect_refused(helper_daemon_pid());
}
END_TEST

START_TEST(a_set_user_id_program)
{
	char path[256];
	Target target;

	helper_make_set_user_id(integration_program("tests/targets/loop"), ENVIRONMENT_USER_B,
				path);
	target_start_path(&target, path);
	expect_refused(target.pid);
}
END_TEST

START_TEST(a_process_that_is_not_dumpable)
{
	Target target;

	target_start(&target, "loop", "--undumpable", NULL);
	expect_refused(target.pid);
}
END_TEST

/* Same ids, but it holds a capability that the caller has not. */
START_TEST(a_process_with_a_capability)
{
	const char *argv[] = {"setpriv",
			      "--reuid=" ENVIRONMENT_USER_A,
			      "--regid=" ENVIRONMENT_USER_A,
			      "--clear-groups",
			      "--inh-caps=+net_raw",
			      "--ambient-caps=+net_raw",
			      integration_program("tests/targets/loop"),
			      NULL};
	int in[2], out[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	pid = helper_spawn("root", argv, in[0], out[1]);
	ck_assert_int_eq(read(out[0], &byte, 1), 1); /* it runs */
	expect_refused(pid);
}
END_TEST

/* A process of the same ids, but in a user namespace of its own. */
START_TEST(a_process_in_another_user_namespace)
{
	int ready[2], idle[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(idle), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const char *argv[] = {integration_program("tests/targets/loop"), NULL};

		dup2(idle[0], STDIN_FILENO);
		dup2(ready[1], STDOUT_FILENO);
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(77);
		execv(argv[0], (char *const *)argv);
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		int status = 0;

		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			test_skip("this user may not make a user namespace");
		ck_abort_msg("the target did not start");
	}
	expect_refused(pid);
	kill(pid, SIGKILL);
}
END_TEST

/* The kernel could refuse such a caller for reasons that nobody sees from outside. */
START_TEST(a_confined_caller)
{
	char pid[32], line[512] = "";
	ssize_t length = 0, n;
	Target target;
	int out[2];
	pid_t caller;

	target_start(&target, "loop", NULL, NULL);
	snprintf(pid, sizeof(pid), "%d", target.pid);
	for (int confined = 0; confined < 2; confined++) {
		const char *argv[] = {integration_program("tests/targets/intruder"), pid, "open",
				      confined ? "confined" : NULL, NULL};

		ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
		caller = helper_spawn(ENVIRONMENT_USER_A, argv, -EBADF, out[1]);
		close(out[1]);
		ck_assert_int_eq(helper_wait(caller, 10000), 0);
		length = 0;
		do {
			n = read(out[0], line + length, sizeof(line) - 1 - (size_t)length);
			length += n > 0 ? n : 0;
		} while (n > 0);
		line[length] = '\0';
		close(out[0]);
		ck_assert_msg(strstr(line, confined ? "org.bpcond1.Error.NotAuthorized"
						    : "done /org/bpcond1/session/"),
			      "confined %d: %s", confined, line);
	}
}
END_TEST

/* Of a descriptor whose process has ended it can be said that it exited, or that there is none. */
static void expect_gone(sd_bus_error *error)
{
	if (strcmp(error->name, "org.bpcond1.Error.TargetExited") != 0)
		bus_expect_error(error, "NoSuchTarget", NULL);
	sd_bus_error_free(error);
}

/* The pid is another process's by now; the descriptor still means the old one. */
START_TEST(a_recycled_pid)
{
	const char *argv[] = {"sleep", "60", NULL};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	sd_bus *bus = bus_connect();
	Objects before;
	BusSession session;
	Target target;
	int pidfd, r;

	target_start(&target, "loop", NULL, NULL);
	pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);
	ck_assert_int_ge(pidfd, 0);
	target_kill(&target);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);

	/* before anybody else has the pid, and after */
	ck_assert_int_eq(bus_try_open_descriptor(bus, pidfd, 0, &session, &error), 1);
	expect_gone(&error);
	ck_assert_int_eq(bus_try_open_session_by_pid(bus, target.pid, &session, &error), 1);
	bus_expect_error(&error, "NoSuchTarget", NULL);
	r = helper_spawn_with_pid(ENVIRONMENT_USER_A, target.pid, argv);
	ck_assert_msg(r == 0, "a new process with pid %d: %s", target.pid, strerror(-r));
	ck_assert_int_eq(bus_try_open_descriptor(bus, pidfd, 0, &session, &error), 1);
	expect_gone(&error);
	sd_bus_flush_close_unref(bus);
	helper_expect_descriptors(daemon, &before);

	/* while the new process is as good as any */
	bus = bus_connect();
	ck_assert_int_eq(bus_try_open_session_by_pid(bus, target.pid, &session, &error), 0);
}
END_TEST

/* A pidfd of a thread (PIDFD_THREAD, where the kernel has it) is none of a process. */
START_TEST(a_threads_descriptor)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint all;
	BusSession session;
	Target target;
	int fd;

	target_start(&target, "threads", "2", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &all, "{'address': '0x%lx', 'enabled': false}",
		target_address_of(&target, "threads_work"));
	fd = (int)syscall(SYS_pidfd_open, all.threads[1], O_EXCL /* PIDFD_THREAD */);
	if (fd < 0) {
		/* Before Linux 6.9 there are none to pass. */
		ck_assert_int_eq(errno, EINVAL);
		return;
	}
	ck_assert_int_eq(bus_try_open_descriptor(bus, fd, 0, &session, &error), 1);
	ck_assert_msg(strlen(error.message) > 10, "%s", error.message);
	sd_bus_error_free(&error);
	close(fd);

	/* The first thread's, which has the process's number: it tells of that thread's end only. */
	fd = (int)syscall(SYS_pidfd_open, target.pid, O_EXCL);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bus_try_open_descriptor(bus, fd, 0, &session, &error), 1);
	ck_assert_msg(strstr(error.message, "thread") != NULL, "%s", error.message);
	sd_bus_error_free(&error);
	close(fd);
}
END_TEST

/* Runs intruder as another user; what it said is compared by its beginning. */
static void intrude_as(const char *path, const char *interface, const char *member,
		       const char *mode, char said[static 512])
{
	const char *argv[] = {
		integration_program("tests/targets/intruder"), path, interface, member, mode, NULL};
	ssize_t n;
	int out[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = helper_spawn(ENVIRONMENT_USER_B, argv, -EBADF, out[1]);
	close(out[1]);
	ck_assert_int_eq(helper_wait(pid, 10000), 0);
	n = read(out[0], said, 511);
	ck_assert_int_gt(n, 0);
	said[n] = '\0';
	close(out[0]);
}

static void intrude(const char *path, const char *interface, const char *member, bool property,
		    char said[static 512])
{
	intrude_as(path, interface, member, property ? "get" : NULL, said);
}

START_TEST(another_users_session)
{
	static const char *const session_methods[] = {"TakeHits", "Close"};
	static const char *const breakpoint_methods[] = {"Disable", "Enable", "Remove"};
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	char said[512];
	Target target;
	BusCounts counts;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "loop_work"));
	for (size_t i = 0; i < 2; i++) {
		intrude(session.path, SESSION_INTERFACE, session_methods[i], false, said);
		ck_assert_msg(strncmp(said, "error ", 6) == 0, "%s: %s", session_methods[i], said);
	}
	for (size_t i = 0; i < 3; i++) {
		intrude(breakpoint.path, BREAKPOINT_INTERFACE, breakpoint_methods[i], false, said);
		ck_assert_msg(strncmp(said, "error ", 6) == 0, "%s: %s", breakpoint_methods[i],
			      said);
	}
	/* neither the spec nor the address, which would tell the layout of the process */
	intrude(breakpoint.path, BREAKPOINT_INTERFACE, "Spec", true, said);
	ck_assert_msg(strncmp(said, "error ", 6) == 0 || strcmp(said, "done \n") == 0, "Spec: %s",
		      said);
	intrude(breakpoint.path, BREAKPOINT_INTERFACE, "Address", true, said);
	ck_assert_msg(strncmp(said, "error ", 6) == 0 || strcmp(said, "done 0\n") == 0,
		      "Address: %s", said);

	/* of the session what a listing says, of the breakpoint nothing */
	intrude_as(session.path, SESSION_INTERFACE, "GetAll", "all", said);
	ck_assert_str_eq(said, "done Target Uid \n");
	intrude_as(breakpoint.path, BREAKPOINT_INTERFACE, "GetAll", "all", said);
	ck_assert_msg(strncmp(said, "error ", 6) == 0, "%s", said);
	intrude(session.path, SESSION_INTERFACE, "Breakpoints", true, said);
	ck_assert_msg(strncmp(said, "error ", 6) == 0, "%s", said);

	target_ask(&target, "called", "call 10");
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 10);
}
END_TEST

/* Whoever is not the daemon cannot have its name. */
START_TEST(the_name_is_the_daemons)
{
	sd_bus *bus = bus_connect();

	ck_assert_int_lt(sd_bus_request_name(bus, "org.bpcond1", SD_BUS_NAME_REPLACE_EXISTING), 0);
}
END_TEST

/* Exactly the two capabilities, in no more sets than are needed, and no way back to others. */
START_TEST(the_daemons_privileges)
{
	char path[64], line[256];
	const char *argv[] = {"grep", "-E", "^(Cap|NoNewPrivs|Uid)", path, NULL};
	unsigned long long wanted = 1ULL << 38 | 1ULL << 39, value;
	int out[2], seen = 0;
	FILE *file;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/status", helper_daemon_pid());
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = helper_spawn("root", argv, -EBADF, out[1]);
	close(out[1]);
	ck_assert_int_eq(helper_wait(pid, 10000), 0);
	file = fdopen(out[0], "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "CapPrm: %llx", &value) == 1 ||
		    sscanf(line, "CapEff: %llx", &value) == 1) {
			ck_assert_msg(value == wanted, "%s", line);
			seen++;
		} else if (sscanf(line, "CapInh: %llx", &value) == 1 ||
			   sscanf(line, "CapAmb: %llx", &value) == 1) {
			ck_assert_msg((value & ~wanted) == 0, "%s", line);
			seen++;
		} else if (sscanf(line, "NoNewPrivs: %llx", &value) == 1) {
			ck_assert_msg(value == 1, "%s", line);
			seen++;
		} else if (strncmp(line, "Uid:", 4) == 0) {
			ck_assert_msg(!strstr(line, "\t0"), "%s", line);
			seen++;
		}
	}
	ck_assert_int_eq(seen, 6);
	fclose(file);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("authority");

	integration_add(suite, "one's own process is allowed", own_process_is_allowed);
	integration_add(suite, "another user's process", another_users_process);
	integration_add(suite, "a root process", a_root_process);
	integration_add(suite, "the daemon itself", the_daemon_itself);
	integration_add(suite, "a set-user-ID program", a_set_user_id_program);
	integration_add(suite, "a process that is not dumpable", a_process_that_is_not_dumpable);
	integration_add(suite, "a process with a capability", a_process_with_a_capability);
	integration_add(suite, "a process in another user namespace",
			a_process_in_another_user_namespace);
	integration_add(suite, "a confined caller", a_confined_caller);
	integration_add(suite, "a recycled pid", a_recycled_pid);
	integration_add(suite, "a thread's descriptor", a_threads_descriptor);
	integration_add(suite, "another user's session", another_users_session);
	integration_add(suite, "the name is the daemon's", the_name_is_the_daemons);
	integration_add(suite, "the daemon's privileges", the_daemons_privileges);
	return integration_run(suite, argc, argv);
}
