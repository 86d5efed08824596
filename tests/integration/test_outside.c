/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon in a pid namespace of its own, with its bus and its clients, and a process outside of it: one
 * that has no number there, so that only a descriptor can mean it. The client got one from before.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"

static int outside_pidfd;

START_TEST(pidfd_from_outside)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	sd_bus *bus = bus_connect();
	BusSession session;
	Objects before;

	/* a session on one's own process: from then on the daemon knows the connection */
	bus_open_session(bus, getpid(), &session);
	bus_close_session(&session);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	ck_assert_int_eq(bus_try_open_descriptor(bus, outside_pidfd, 0, &session, &error), 1);
	bus_expect_error(&error, "NoSuchTarget", "pid namespace");
	helper_expect_descriptors(daemon, &before);
	sd_bus_flush_close_unref(bus);
}
END_TEST

/* A process of the client's user, so that nothing but its namespace is against it. */
static pid_t start_outside(void)
{
	Identity who;
	pid_t pid;

	if (identity_by_name(ENVIRONMENT_USER_A, &who) < 0)
		return -1;
	pid = fork();
	if (pid != 0)
		return pid;
	if (identity_become(&who, 0) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		_exit(EXIT_FAILURE);
	pause();
	_exit(EXIT_SUCCESS);
}

static int run_inside(int argc, char *argv[])
{
	Suite *suite = suite_create("outside");

	integration_add(suite, "a pidfd from outside of the daemon's pid namespace",
			pidfd_from_outside);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
		perror("/proc of the pid namespace");
		return EXIT_FAILURE;
	}
	return integration_run(suite, argc, argv);
}

int main(int argc, char *argv[])
{
	pid_t outside, inside;
	int status;

	if (geteuid() != 0)
		return tap_skip_all("needs root, for a pid namespace; ./run test sees to it");
	outside = start_outside();
	outside_pidfd = outside > 0 ? (int)syscall(SYS_pidfd_open, outside, 0) : -1;
	if (outside_pidfd < 0 || unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
		perror("a process, and a pid namespace without it");
		return EXIT_FAILURE;
	}
	inside = fork();
	if (inside == 0)
		exit(run_inside(argc, argv));
	if (inside < 0 || waitpid(inside, &status, 0) != inside)
		return EXIT_FAILURE;
	kill(outside, SIGKILL);
	return process_exit_status(status);
}
