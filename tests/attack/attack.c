/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/attack/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/helper.h"

enum {
	SETTLE_MS = 10000,
	SERVED_MS = 10000,
	REST_MS = 100,      /* in which the daemon uses no more than a tick */
#if defined(__SANITIZE_ADDRESS__)
	GROWTH_KIB = 524288, /* the sanitizer keeps what was freed; for leaks it looks itself */
#else
	GROWTH_KIB = 16384, /* a case, whatever it does */
#endif
	SMALL_RING = 4096,
};

static const AttackCase *the_cases;

/* The daemon that has had its first clients, for all cases, each of which is a process. */
static pid_t *warm_daemon;

long attack_daemon_status(const char *key)
{
	char path[64], line[256];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", helper_daemon_pid());
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (value < 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	}
	fclose(file);
	ck_assert_int_ge(value, 0);
	return value;
}

/* In clock ticks. */
static unsigned long daemon_cpu_time(void)
{
	unsigned long user, system;
	char path[64], text[1024];
	FILE *file;
	char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", helper_daemon_pid());
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	at = strrchr(text, ')');
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
		2);
	return user + system;
}

static void expect_rest(void)
{
	int64_t deadline = now_ms() + SETTLE_MS;
	unsigned long before;

	do {
		ck_assert_msg(now_ms() < deadline, "the daemon does not come to rest");
		before = daemon_cpu_time();
		usleep(REST_MS * 1000);
	} while (daemon_cpu_time() > before + 1);
}

uint64_t attack_limit(sd_bus *bus, const char *wanted)
{
	sd_bus_message *reply = NULL;
	uint64_t value, found = 0;
	const char *name;

	ck_assert_int_ge(sd_bus_get_property(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					     "Limits", NULL, &reply, "a{st}"),
			 0);
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "{st}"), 0);
	while (sd_bus_message_read(reply, "{st}", &name, &value) > 0) {
		if (strcmp(name, wanted) == 0)
			found = value;
	}
	sd_bus_message_unref(reply);
	ck_assert_uint_gt(found, 0);
	return found;
}

/* A call that may be refused only for so long as what went before it has to pass. */
static void call_until_served(sd_bus *bus, const char *member, const char *types, ...)
{
	int64_t deadline = now_ms() + SETTLE_MS;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = -1;

	while (r < 0) {
		sd_bus_message *call = NULL;
		va_list arguments;

		sd_bus_error_free(&error);
		ck_assert_int_ge(sd_bus_message_new_method_call(bus, &call, "org.bpcond1",
								MANAGER_PATH, MANAGER_INTERFACE,
								member),
				 0);
		va_start(arguments, types);
		ck_assert_int_ge(sd_bus_message_appendv(call, types, arguments), 0);
		va_end(arguments);
		r = sd_bus_call(bus, call, 0, &error, NULL);
		sd_bus_message_unref(call);
		ck_assert_msg(r >= 0 || now_ms() < deadline, "afterwards %s: %s: %s", member,
			      error.name, error.message);
		if (r < 0)
			usleep(20000);
	}
}

/* The user who was attacking has every limit to himself again. */
static void expect_limits_given_back(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	sd_bus *bus = bus_connect();
	uint64_t rings = 1, n;

	ck_assert_int_ge(pidfd, 0);
	/* the greatest ring first, which takes all that there is */
	for (n = attack_limit(bus, "ring-bytes"); rings * 2 <= n; rings *= 2)
		;
	call_until_served(bus, "OpenSession", "ha{sv}", pidfd, 1, "hits-bytes", "t", rings);
	sd_bus_flush_close_unref(bus);

	bus = bus_connect();
	for (n = attack_limit(bus, "sessions"); n > 0; n--)
		call_until_served(bus, "OpenSession", "ha{sv}", pidfd, 1, "hits-bytes", "t",
				  (uint64_t)SMALL_RING);
	/* without BTF none is lent to anybody */
	n = bus_kernel_can("btf") ? attack_limit(bus, "lent-filters") : 0;
	for (; n > 0; n--)
		call_until_served(bus, "LendFilter", "sa{sv}", "1", 0);
	close(pidfd);
	sd_bus_flush_close_unref(bus);
}

void attack_expect_others_served(void)
{
	const char *argv[] = {"/bin/sh", "-c",
			      "exec \"$0\" run --limit 1 break malloc -- /bin/ls / 2>&1",
			      integration_program("tools/bpcondctl"), NULL};
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC), status;

	status = helper_wait(helper_spawn(ENVIRONMENT_USER_B, argv, -EBADF, null_fd), SERVED_MS);
	ck_assert_msg(status == 0, "another user's bpcondctl: exit status %d", status);
	close(null_fd);
}

void attack_in_child(void (*function)(void *userdata), void *userdata)
{
	int status = -1;
	pid_t pid;

	pid = check_fork();
	if (pid == 0) {
		function(userdata);
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* what failed there has been told by now, as this case's failure */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
		_exit(EXIT_FAILURE);
}

static void run_attack(void *userdata)
{
	const AttackCase *attack_case = userdata;

	attack_case->attack();
}

const char *attack_open(sd_bus *bus, pid_t pid, BusSession *ret)
{
	static char name[128];
	sd_bus_error error = SD_BUS_ERROR_NULL;
	const char *dot;

	if (bus_try_open_session(bus, pid, ret, &error) == 0)
		return NULL;
	dot = strrchr(error.name, '.');
	snprintf(name, sizeof(name), "%s", dot ? dot + 1 : error.name);
	sd_bus_error_free(&error);
	return name;
}

void attack_expect_refusal(const char *name, const char *first, const char *second)
{
	ck_assert_msg(name, "the daemon let it pass");
	ck_assert_msg(strcmp(name, first) == 0 || (second && strcmp(name, second) == 0),
		      "refused as %s, not as %s", name, first);
}

START_TEST(one_case)
{
	const AttackCase *attack_case = &the_cases[_i];
	ObjectMarks marks;
	long resident, grown;
	Objects before;
	pid_t daemon;
	int left;

	if (attack_case->settings)
		helper_restart_with_settings(attack_case->settings);
	daemon = helper_daemon_pid();
	/* what it keeps for good, for its first clients, it has then */
	if (*warm_daemon != daemon) {
		attack_expect_others_served();
		expect_limits_given_back();
		*warm_daemon = daemon;
	}
	expect_rest();
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	helper_mark_objects(&marks);
	resident = attack_daemon_status("VmRSS:");

	attack_in_child(run_attack, (void *)attack_case);
	helper_end_children();

	ck_assert_int_eq(helper_daemon_pid(), daemon);
	attack_expect_others_served();
	expect_limits_given_back();
	expect_rest();
	helper_expect_descriptors(daemon, &before);
	left = helper_wait_objects_left(&marks, SETTLE_MS);
	ck_assert_msg(left == 0, "%d programs and maps are left", left);
	grown = attack_daemon_status("VmRSS:") - resident;
	ck_assert_msg(grown <= GROWTH_KIB, "the daemon has grown by %ld KiB", grown);
	ck_assert_int_eq(helper_daemon_pid(), daemon);
}
END_TEST

int attack_run(const char *name, const AttackCase cases[], size_t n_cases, int argc, char *argv[])
{
	Suite *suite = suite_create(name);

	the_cases = cases;
	warm_daemon = mmap(NULL, sizeof(*warm_daemon), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (warm_daemon == MAP_FAILED)
		return EXIT_FAILURE;
	for (size_t i = 0; i < n_cases; i++)
		integration_add_loop(suite, cases[i].name, one_case, (int)i);
	return integration_run(suite, argc, argv);
}
