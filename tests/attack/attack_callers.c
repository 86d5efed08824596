/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Callers that are less, or more, than their bus connection says: confined, in other namespaces, of mixed
 * ids, or not the owner of what they call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/support/target.h"

typedef struct Confinement {
	pid_t target;
	uint64_t address;
	int (*confine)(void); /* 0; -ENOSYS: not on this kernel; other negative errno */
} Confinement;

static int no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* A filter that forbids nothing: that there is one is enough. */
static int with_seccomp(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};
	int r;

	r = no_new_privs();
	if (r < 0)
		return r;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

static int with_landlock(void)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};
	int fd, r;

	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return errno == EOPNOTSUPP ? -ENOSYS : -errno;
	r = no_new_privs();
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void *stay(void *argument)
{
	pthread_barrier_t *barrier = argument;

	no_new_privs();
	pthread_barrier_wait(barrier);
	pause();
	return NULL;
}

static void expect_confined(sd_bus *bus, const BusSession *session, const Confinement *confinement)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	BusSession another;
	int r;

	attack_expect_refusal(attack_open(bus, confinement->target, &another), "NotAuthorized",
			      NULL);
	if (session) {
		ck_assert_int_eq(bus_try_add(session, &breakpoint, &error, "{'address':'0x%lx'}",
					     confinement->address),
				 1);
		bus_expect_error(&error, "NotAuthorized", NULL);
		r = sd_bus_call_method(bus, "org.bpcond1", session->path, SESSION_INTERFACE,
				       "TakeHits", &error, NULL, "");
		ck_assert_int_lt(r, 0);
		bus_expect_error(&error, "NotAuthorized", NULL);
	}
	/* where the kernel itself asks, a confined caller may come */
	r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE, "LendFilter",
			       &error, NULL, "sa{sv}", "1", 0);
	ck_assert_msg(r >= 0, "LendFilter: %s", error.message);
}

/* Connects and opens while it is free; is then confined; connects anew, confined. */
static void be_confined(void *userdata)
{
	const Confinement *confinement = userdata;
	sd_bus *bus = bus_connect(), *other;
	BusSession session;
	int r;

	bus_open_session(bus, confinement->target, &session);
	r = confinement->confine();
	if (r == -ENOSYS)
		test_skip("this kernel has no Landlock");
	ck_assert_msg(r == 0, "cannot confine: %s", strerror(-r));
	expect_confined(bus, &session, confinement);
	other = bus_connect();
	expect_confined(other, NULL, confinement);
}

static void confined(int (*confine)(void))
{
	Confinement confinement = {.confine = confine};
	Target target;

	target_start(&target, "loop", NULL, NULL);
	confinement.target = target.pid;
	confinement.address = target_address_of(&target, "loop_work");
	attack_in_child(be_confined, &confinement);
	target_kill(&target);
}

static void confined_by_no_new_privs(void)
{
	confined(no_new_privs);
}

static void confined_by_seccomp(void)
{
	confined(with_seccomp);
}

static void confined_by_landlock(void)
{
	confined(with_landlock);
}

/* It is another thread than the one that calls. */
static void be_confined_in_a_thread(void *userdata)
{
	const Confinement *confinement = userdata;
	pthread_barrier_t barrier;
	pthread_t thread;
	sd_bus *bus = bus_connect();
	BusSession session;

	bus_open_session(bus, confinement->target, &session);
	pthread_barrier_init(&barrier, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, stay, &barrier), 0);
	pthread_barrier_wait(&barrier);
	expect_confined(bus, &session, confinement);
}

static void confined_in_a_thread(void)
{
	Confinement confinement = {0};
	Target target;

	target_start(&target, "loop", NULL, NULL);
	confinement.target = target.pid;
	confinement.address = target_address_of(&target, "loop_work");
	attack_in_child(be_confined_in_a_thread, &confinement);
	target_kill(&target);
}

/* Root in a user namespace of its own, over a connection from before. */
static void be_in_a_user_namespace(void *userdata)
{
	const Confinement *confinement = userdata;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session, another;
	sd_bus_error error = SD_BUS_ERROR_NULL;

	bus_open_session(bus, confinement->target, &session);
	if (unshare(CLONE_NEWUSER) < 0)
		test_skip("this user may not make a user namespace");
	attack_expect_refusal(attack_open(bus, confinement->target, &another), "NotAuthorized",
			      NULL);
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error, "{'address':'0x%lx'}",
				     confinement->address),
			 1);
	bus_expect_error(&error, "NotAuthorized", NULL);
}

static void caller_in_a_user_namespace(void)
{
	Confinement confinement = {0};
	Target target;

	target_start(&target, "loop", NULL, NULL);
	confinement.target = target.pid;
	confinement.address = target_address_of(&target, "loop_work");
	attack_in_child(be_in_a_user_namespace, &confinement);
	target_kill(&target);
}

/* What a program of root's that ends by itself says. */
static void run_as_root(const char *const argv[], char said[static 512])
{
	ssize_t n;
	int out[2];

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(helper_wait(helper_spawn("root", argv, -EBADF, out[1]), 10000), 0);
	close(out[1]);
	n = read(out[0], said, 511);
	ck_assert_int_gt(n, 0);
	said[n] = '\0';
	close(out[0]);
}

/* By a number that there means nobody, and to the daemon a process of the caller's user. */
static void caller_in_a_pid_namespace(void)
{
	char pid[16], said[512];
	const char *argv[] = {"unshare",
			      "--pid",
			      "--fork",
			      "setpriv",
			      "--reuid=" ENVIRONMENT_USER_A,
			      "--regid=" ENVIRONMENT_USER_A,
			      "--clear-groups",
			      integration_program("tests/targets/intruder"),
			      pid,
			      "open",
			      NULL};
	Target target;

	target_start(&target, "loop", NULL, NULL);
	snprintf(pid, sizeof(pid), "%d", target.pid);
	run_as_root(argv, said);
	ck_assert_msg(strncmp(said, "error org.bpcond1.Error.NoSuchTarget", 36) == 0 &&
			      strstr(said, "another pid namespace") != NULL,
		      "%s", said);
	target_kill(&target);
}

/* The connection is the target's user's; the process behind it is root's, but for one id. */
static void connection_of_another(void)
{
	char pid[16], uid[16], said[512];
	const char *argv[] = {
		integration_program("tests/targets/intruder"), pid, "open", "as", uid, NULL};
	Target target;

	target_start(&target, "loop", NULL, NULL);
	snprintf(pid, sizeof(pid), "%d", target.pid);
	snprintf(uid, sizeof(uid), "%u", getuid());
	run_as_root(argv, said);
	ck_assert_msg(strncmp(said, "error org.bpcond1.Error.NotAuthorized", 37) == 0, "%s", said);
	target_kill(&target);
}

/* ---- Others' objects ----------------------------------------------------------------------------- */

/* What a listing tells to everybody, and no more. */
static bool may_be_told(const char *line)
{
	return strstr(line, "property org.bpcond1.Session.Target ") ||
	       strstr(line, "property org.bpcond1.Session.Uid ");
}

static void trespass(const char *object, unsigned least)
{
	const char *argv[] = {integration_program("tests/targets/trespasser"), object, NULL};
	unsigned n = 0, ended = 0;
	char line[512];
	int out[2];
	FILE *file;
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = helper_spawn(ENVIRONMENT_USER_B, argv, -EBADF, out[1]);
	close(out[1]);
	file = fdopen(out[0], "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "end %u", &ended) == 1)
			break;
		n++;
		ck_assert_msg(strstr(line, " done") == NULL || may_be_told(line), "%s: %s", object,
			      line);
	}
	fclose(file);
	ck_assert_int_eq(helper_wait(pid, 20000), 0);
	ck_assert_uint_eq(n, ended);
	ck_assert_msg(n >= least, "%s: %u were tried", object, n);
}

static void others_objects(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	const char *filter;
	BusCounts counts;
	Target target;
	char path[128];

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint,
		"{'address':'0x%lx','events':true,'parameters':{'p':1},"
		"'condition':{'param':'p'}}",
		target_address_of(&target, "loop_work"));
	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "LendFilter", &error, &reply, "sa{sv}", "1", 0),
			 0);
	ck_assert_int_gt(sd_bus_message_read(reply, "o", &filter), 0);
	snprintf(path, sizeof(path), "%s", filter);
	sd_bus_message_unref(reply);

	trespass(session.path, 4 + 2 * 5);
	trespass(breakpoint.path, 5 + 2 * 13);
	trespass(path, 1 + 2 * 5);
	/* nothing was taken, changed or ended */
	target_ask(&target, "called", "call 10");
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 10);
	bus_take_hits(&session);
	ck_assert_uint_eq(bus_number(bus, path, "org.bpcond1.Filter", "Hits"), 0);
	bus_close_session(&session);
	target_kill(&target);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"confined by no_new_privs", confined_by_no_new_privs, NULL},
		{"confined by seccomp", confined_by_seccomp, NULL},
		{"confined by Landlock", confined_by_landlock, NULL},
		{"confined in one thread", confined_in_a_thread, NULL},
		{"a caller in a user namespace", caller_in_a_user_namespace, NULL},
		{"a caller in a pid namespace", caller_in_a_pid_namespace, NULL},
		{"a connection of another user's", connection_of_another, NULL},
		{"every member of others' objects", others_objects, NULL},
	};

	return attack_run("attack-callers", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
