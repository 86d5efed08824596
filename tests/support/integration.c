/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main() of the integration tests: root stays outside as the helper, Check's runner is a child, and
 * each of its test cases drops to an ordinary user before its first line.
 */
#include "tests/support/integration.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CASE_TIMEOUT_SECONDS = 60,
};

/* Where sanitizers are built in, they look for leaks in the daemon and in commands, not in test cases, which
 * end as soon as something is wrong, and with everything they have. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void become_test_user(void)
{
	Identity who;
	int r;

	helper_reset();
	r = identity_by_name(ENVIRONMENT_USER_A, &who);
	ck_assert_int_eq(r, 0);
	r = identity_become(&who, 0);
	ck_assert_int_eq(r, 0);
	/* a change of ids makes a process undumpable until its next exec */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

void integration_add_loop(Suite *suite, const char *name, const TTest *function, int number)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, become_test_user, NULL);
	tcase_set_timeout(tcase, CASE_TIMEOUT_SECONDS);
	tcase_add_loop_test(tcase, function, number, number + 1);
	suite_add_tcase(suite, tcase);
}

void integration_add(Suite *suite, const char *name, const TTest *function)
{
	integration_add_loop(suite, name, function, 0);
}

unsigned integration_volume(unsigned n)
{
	const char *text = getenv("BPCOND_TEST_PART");
	unsigned long part = text ? strtoul(text, NULL, 10) : 1;

	if (part == 0)
		return n;
	/* Never none: what asserts nothing passes. */
	return n > part ? n / (unsigned)part : 1;
}

char *integration_program(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];
	const char *build_dir = getenv("BPCOND_BUILD_DIR");

	ck_assert_ptr_nonnull(build_dir);
	snprintf(path, PATH_MAX, "%s/%s", build_dir, name);
	return path;
}

static int export_environment(const Environment *environment, const char *build_dir)
{
	char *visible = NULL;
	int r;

	r = environment_path(environment, build_dir, &visible);
	if (r < 0)
		return r;
	r = setenv("BPCOND_BUILD_DIR", visible, 1) < 0 ||
			    setenv("DBUS_SYSTEM_BUS_ADDRESS", environment_address(environment), 1) <
				    0
		    ? -errno
		    : 0;
	free(visible);
	return r;
}

static int run_as_helper(Environment *environment, Suite *suite)
{
	int sockets[2], status = 0, r;
	pid_t runner;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	fflush(NULL);
	runner = fork();
	if (runner < 0)
		return -errno;
	if (runner == 0) {
		close(sockets[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		helper_connect(sockets[1]);
		exit(tap_run(suite));
	}
	close(sockets[1]);
	r = helper_serve(environment, sockets[0]);
	close(sockets[0]);
	if (r < 0)
		return r;
	r = process_wait(runner, -1, &status);
	return r < 0 ? r : process_exit_status(status);
}

static int run_with_environment(const char *build_dir, Suite *suite)
{
	Environment *environment = NULL;
	int status, r;

	r = environment_start(build_dir, &environment);
	if (r < 0) {
		printf("1..1\nnot ok 1 - bus and daemon start\n");
		return r;
	}
	r = export_environment(environment, build_dir);
	status = r < 0 ? r : run_as_helper(environment, suite);
	if (status != 0)
		environment_show_log(environment);
	if (environment_daemon_lives(environment)) {
		r = environment_stop_daemon(environment);
		if (r < 0 && status == 0)
			status = r;
	}
	environment_stop(environment);
	return status;
}

int integration_run(Suite *suite, int argc, char *argv[])
{
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: %s BUILD-DIRECTORY\n", argv[0]);
		return EXIT_FAILURE;
	}
	if (geteuid() != 0)
		return tap_skip_all("needs root, to be three users; ./run test sees to it");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	r = run_with_environment(argv[1], suite);
	process_end_all_children();
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-r));
		return EXIT_FAILURE;
	}
	return r;
}
