/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Giving up privileges, in child processes that are started with each kind of too much and too
 * little. What is left is read from /proc and tried out, not asked of the code under test. Needs
 * root with all capabilities: exit status 77 without, an error where BPCOND_MUST_WORK=1.
 */
#include "daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAP(number) (UINT64_C(1) << (number))
#define TWO         (CAP(CAP_BPF) | CAP(CAP_PERFMON))

enum {
	SOME_USER = 61234,
	SOME_GROUP = 61235,
};

/* In a child: says what is wrong, and makes the child fail. */
#define expect(condition)                                                                       \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __func__, __LINE__, #condition); \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

static void set_capabilities(uint64_t permitted, uint64_t effective, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			.permitted = (uint32_t)(permitted >> 32 * i),
			.effective = (uint32_t)(effective >> 32 * i),
			.inheritable = (uint32_t)(inheritable >> 32 * i),
		};
	expect(syscall(SYS_capset, &header, data) == 0);
}

/* The hexadecimal or decimal number behind NAME: in /proc/self/status. */
static uint64_t status_number(const char *name, int base)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[4096];

	expect(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
			fclose(file);
			return strtoull(line + strlen(name) + 1, NULL, base);
		}
	expect(!"the line is there");
	return 0;
}

static uint64_t all_capabilities(void)
{
	return status_number("CapPrm", 16);
}

/* As a service manager starts a daemon: a user, its group, supplementary groups, capabilities. */
static void become(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, uint64_t caps)
{
	expect(setgroups(n_groups, groups) == 0);
	expect(setresgid(gid, gid, gid) == 0);
	expect(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	expect(setresuid(uid, uid, uid) == 0);
	set_capabilities(caps, caps, caps);
	for (int number = 0; number < 64; number++)
		if ((caps & CAP(number)) != 0)
			expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) == 0);
}

static int map_create(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

/* What a program that this process runs would be given. */
static void expect_exec_gives_nothing(void)
{
	int status;
	pid_t child = fork();

	expect(child >= 0);
	if (child == 0) {
		execl("/bin/sh", "sh", "-c",
		      "test \"$(grep -c -E '^Cap(Inh|Prm|Eff|Amb):.0000000000000000$' "
		      "/proc/self/status)\" = 4",
		      NULL);
		_exit(2);
	}
	expect(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void expect_reduced(uid_t uid, gid_t gid, int n_groups)
{
	uid_t uids[3];
	gid_t gids[3];
	int fd;

	expect(getresuid(&uids[0], &uids[1], &uids[2]) == 0);
	expect(getresgid(&gids[0], &gids[1], &gids[2]) == 0);
	for (int i = 0; i < 3; i++) {
		expect(uids[i] == uid);
		expect(gids[i] == gid);
	}
	expect(getgroups(0, NULL) == n_groups);
	expect(status_number("CapPrm", 16) == TWO);
	expect(status_number("CapEff", 16) == TWO);
	expect(status_number("CapInh", 16) == 0);
	expect(status_number("CapAmb", 16) == 0);
	expect(status_number("NoNewPrivs", 10) == 1);
	expect(prctl(PR_GET_DUMPABLE) == 0);
	expect(setuid(0) < 0 && errno == EPERM);
	expect(setgid(0) < 0 && errno == EPERM);
	expect(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	expect_exec_gives_nothing();

	/* The two are really held, and what the daemon reads of itself stays readable. */
	fd = map_create();
	expect(fd >= 0);
	close(fd);
	fd = open("/proc/self/fdinfo/0", O_RDONLY | O_CLOEXEC);
	expect(fd >= 0);
	close(fd);
	fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect(fd >= 0);
	close(fd);
}

static void expect_error(const char *user, int error, const char *says)
{
	const char *message = NULL;
	int r = privileges_reduce(user, &message);

	if (r != error || message == NULL || strstr(message, says) == NULL) {
		fprintf(stderr, "%d (\"%s\"), and not %d saying \"%s\"\n", r, message, error, says);
		_exit(1);
	}
}

static void reduce(const char *user)
{
	const char *message = NULL;
	int r = privileges_reduce(user, &message);

	if (r < 0) {
		fprintf(stderr, "%d: %s\n", r, message);
		_exit(1);
	}
}

static void expect_nobody(void)
{
	struct passwd *nobody = getpwnam("nobody");

	expect(nobody != NULL);
	expect_reduced(nobody->pw_uid, nobody->pw_gid, 0);
	expect(status_number("CapBnd", 16) == TWO);
	expect((prctl(PR_GET_SECUREBITS) & (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)) ==
	       (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
	expect(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0);
}

static void test_root(void)
{
	static const gid_t groups[] = {0, 4, SOME_GROUP};

	expect(setgroups(3, groups) == 0);
	reduce("nobody");
	expect_nobody();
}

static void test_root_with_inheritable(void)
{
	uint64_t all = all_capabilities();

	set_capabilities(all, all, all);
	expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) == 0);
	reduce("nobody");
	expect_nobody();
}

/* The effective set is empty, the permitted one is not: as after a set-user-ID program's seteuid. */
static void test_effective_other(void)
{
	expect(seteuid(SOME_USER) == 0);
	reduce("nobody");
	expect_nobody();
}

static void test_saved_root(void)
{
	expect(setresuid(SOME_USER, SOME_USER, 0) == 0);
	reduce("nobody");
	expect_nobody();
}

/* Root in a container that lacks CAP_SETPCAP: the bounding set stays, all else goes. */
static void test_root_without_setpcap(void)
{
	uint64_t some = TWO | CAP(CAP_SETUID) | CAP(CAP_SETGID);
	struct passwd *nobody = getpwnam("nobody");

	expect(nobody != NULL);
	set_capabilities(some, some, 0);
	reduce("nobody");
	expect_reduced(nobody->pw_uid, nobody->pw_gid, 0);
	expect(prctl(PR_GET_KEEPCAPS) == 0);
}

static void test_root_without_setuid(void)
{
	set_capabilities(TWO, TWO, 0);
	expect_error("nobody", -EPERM, "setgroups");
}

static void test_twice(void)
{
	reduce("nobody");
	reduce("nobody");
	expect_nobody();
}

static void test_no_such_user(void)
{
	expect_error("no-such-user-here", -ESRCH, "no-such-user-here");
	expect(all_capabilities() != TWO && getuid() == 0);
	expect_error("", -ESRCH, "no user");
}

static void test_user_is_root(void)
{
	expect_error("root", -ESRCH, "unprivileged");
	expect(getuid() == 0);
}

static void test_missing_bpf(void)
{
	uint64_t some = all_capabilities() & ~CAP(CAP_BPF);

	set_capabilities(some, some, 0);
	expect_error("nobody", -EPERM, "CAP_BPF missing");
}

static void test_missing_perfmon(void)
{
	uint64_t some = all_capabilities() & ~CAP(CAP_PERFMON);

	set_capabilities(some, some, 0);
	expect_error("nobody", -EPERM, "CAP_PERFMON missing");
}

static void test_missing_both(void)
{
	become(SOME_USER, SOME_GROUP, NULL, 0, 0);
	expect_error("nobody", -EPERM, "CAP_BPF and CAP_PERFMON missing");
}

static void test_unprivileged_just_two(void)
{
	static const gid_t groups[] = {SOME_GROUP};

	become(SOME_USER, SOME_GROUP, groups, 1, TWO);
	reduce("nobody");
	expect_reduced(SOME_USER, SOME_GROUP, 1);
}

static void test_unprivileged_one_of_two(void)
{
	become(SOME_USER, SOME_GROUP, NULL, 0, CAP(CAP_PERFMON));
	expect_error("nobody", -EPERM, "CAP_BPF missing");
}

static void test_unprivileged_with_more(void)
{
	static const gid_t groups[] = {0, SOME_GROUP};

	become(SOME_USER, SOME_GROUP, groups, 2,
	       TWO | CAP(CAP_SYS_ADMIN) | CAP(CAP_SETPCAP) | CAP(CAP_SETGID) | CAP(CAP_KILL));
	reduce("nobody");
	expect_reduced(SOME_USER, SOME_GROUP, 0);
	expect(status_number("CapBnd", 16) == TWO);
}

static void test_unprivileged_with_sys_admin(void)
{
	become(SOME_USER, SOME_GROUP, NULL, 0, TWO | CAP(CAP_SYS_ADMIN));
	reduce("nobody");
	expect_reduced(SOME_USER, SOME_GROUP, 0);
}

static void test_unprivileged_in_roots_group(void)
{
	become(SOME_USER, 0, NULL, 0, TWO);
	expect_error("nobody", -EPERM, "root's group");
}

static void test_unprivileged_with_roots_group(void)
{
	static const gid_t groups[] = {SOME_GROUP, 0};

	become(SOME_USER, SOME_GROUP, groups, 2, TWO);
	expect_error("nobody", -EPERM, "supplementary groups");
}

static void test_unprivileged_mixed_ids(void)
{
	become(SOME_USER, SOME_GROUP, NULL, 0, TWO | CAP(CAP_SETUID) | CAP(CAP_SETGID));
	expect(setresuid(SOME_USER, SOME_USER + 1, SOME_USER + 2) == 0);
	expect(setresgid(SOME_GROUP, SOME_GROUP + 1, SOME_GROUP + 2) == 0);
	reduce("nobody");
	expect_reduced(SOME_USER, SOME_GROUP, 0);
}

/* glibc changes ids in every thread by a signal, which ends a pause. */
static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

/* The other thread would keep everything. */
static void test_second_thread(void)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, sleep_on, NULL) == 0);
	expect_error("nobody", -EPERM, "Threads");
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
#define TEST(name)          \
	{                   \
#name, name \
	}
	TEST(test_root),
	TEST(test_root_with_inheritable),
	TEST(test_effective_other),
	TEST(test_saved_root),
	TEST(test_root_without_setpcap),
	TEST(test_root_without_setuid),
	TEST(test_twice),
	TEST(test_no_such_user),
	TEST(test_user_is_root),
	TEST(test_missing_bpf),
	TEST(test_missing_perfmon),
	TEST(test_missing_both),
	TEST(test_unprivileged_just_two),
	TEST(test_unprivileged_one_of_two),
	TEST(test_unprivileged_with_more),
	TEST(test_unprivileged_with_sys_admin),
	TEST(test_unprivileged_in_roots_group),
	TEST(test_unprivileged_with_roots_group),
	TEST(test_unprivileged_mixed_ids),
	TEST(test_second_thread),
#undef TEST
};

static bool run_in_child(void (*run)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		run();
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static bool may_run(void)
{
	const uint64_t needed = TWO | CAP(CAP_SETPCAP) | CAP(CAP_SETUID) | CAP(CAP_SETGID) |
				CAP(CAP_SYS_ADMIN) | CAP(CAP_KILL);

	return geteuid() == 0 && (all_capabilities() & needed) == needed &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
}

int main(void)
{
	const char *must_work = getenv("BPCOND_MUST_WORK");
	size_t n_failed = 0;

	if (!may_run()) {
		fputs("skipped: needs to run as root, with all capabilities\n", stderr);
		return must_work != NULL && strcmp(must_work, "1") == 0 ? EXIT_FAILURE : 77;
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!run_in_child(tests[i].run)) {
			fprintf(stderr, "%s failed\n", tests[i].name);
			n_failed++;
		}
	printf("%zu of %zu failed\n", n_failed, sizeof(tests) / sizeof(tests[0]));
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
