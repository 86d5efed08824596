/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is different where the kernel has no BTF. By a daemon that finds none, these cases test what it
 * refuses and how it does without; by one that finds it, that the same is granted.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/target.h"

#define DESTINATION "org.bpcond1"

/* Until nobody has a session any more. */
static void wait_for_no_session(sd_bus *bus)
{
	for (int i = 0; i < 1000; i++) {
		if (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") == 0)
			return;
		usleep(10000);
	}
	ck_abort_msg("the session has not ended");
}

/* Until its first thread is a zombie, which stays as long as the process does. */
static void wait_for_zombie(pid_t pid)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 1000; i++) {
		FILE *file = fopen(path, "re");
		size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

		if (file)
			fclose(file);
		text[n] = '\0';
		if (strstr(text, ") Z "))
			return;
		usleep(10000);
	}
	ck_abort_msg("its first thread has not ended");
}

START_TEST(what_is_refused)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	const bool btf = bus_kernel_can("btf");
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;
	int r;

	target_start(&target, "counter", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	r = bus_try_add(&session, &breakpoint, &error,
			"{'address': '0x%lx', 'access': 'write', 'kernel-accesses': true}",
			target_address_of(&target, "counter"));
	if (!btf) {
		ck_assert_int_eq(r, 1);
		bus_expect_error(&error, "NotSupported", "CONFIG_DEBUG_INFO_BTF");
	} else {
		ck_assert_int_eq(r, !bus_kernel_can("kernel-accesses"));
		sd_bus_error_free(&error);
	}

	r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, "LendFilter",
			       &error, NULL, "sa{sv}", "1", 2, "only-when-traced", "b", 1,
			       "hits-bytes", "t", UINT64_C(4096));
	ck_assert_int_eq(r < 0, !btf);
	if (r < 0)
		bus_expect_error(&error, "NotSupported", "only-when-traced");
	ck_assert_int_eq(bus_lending_is_refused(), !btf);
}
END_TEST

/* By another thread than the first, which it ends. */
START_TEST(exec_by_another_thread)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;

	target_start(&target, "threads", "2", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "threads_work"));
	target_send(&target, "exec");
	target_wait_ready(&target);
	wait_for_no_session(bus);
	/* nobody is left with what was set on the program of before */
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(target_ask(&target, "calls", "work 10"), 20);
}
END_TEST

/* The first thread ends during the session, which goes on; then the next exec ends it all the same. */
START_TEST(first_thread_ends)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Target target;

	target_start(&target, "threads", "2", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "threads_work"));
	target_ask(&target, "threads", "leave");
	wait_for_zombie(target.pid);
	target_ask(&target, "threads", "start 1");
	ck_assert_int_eq(target_ask(&target, "calls", "work 10"), 30);
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 30);
	ck_assert_uint_eq(bus_number(bus, breakpoint.path, BREAKPOINT_INTERFACE, "Threads"), 4);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 1);
	target_send(&target, "exec");
	target_wait_ready(&target);
	wait_for_no_session(bus);
}
END_TEST

/* Whether every thread is stopped, or has ended. */
static bool is_stopped(pid_t pid)
{
	const struct dirent *entry;
	char path[300], text[512];
	bool stopped = true;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	directory = opendir(path);
	ck_assert_ptr_nonnull(directory);
	while (stopped && (entry = readdir(directory)) != NULL) {
		FILE *file;
		size_t n;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, entry->d_name);
		file = fopen(path, "re");
		n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
		if (file)
			fclose(file);
		text[n] = '\0';
		stopped = strstr(text, ") T ") || strstr(text, ") Z ");
	}
	closedir(directory);
	return stopped;
}

static void stop(const Target *target)
{
	ck_assert_int_eq(kill(target->pid, SIGSTOP), 0);
	for (int i = 0; i < 1000; i++) {
		if (is_stopped(target->pid))
			return;
		usleep(10000);
	}
	ck_abort_msg("it has not stopped");
}

/* The first thread ends, and the others start and end so fast that they cannot be looked at then: nobody knows, and
 * so it goes on. */
START_TEST(first_thread_ends_unseen)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Target target;

	target_start(&target, "churn", "64", NULL);
	stop(&target);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(kill(target.pid, SIGCONT), 0);
	target_ask(&target, "gone", "leave");
	wait_for_zombie(target.pid);
	/* until it has been tried, and tried again */
	for (int i = 0; i < 8; i++) {
		usleep(250000);
		ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 1);
	}
	stop(&target);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "churn_work"));
	target_kill(&target);
	wait_for_no_session(bus);
}
END_TEST

/* Of a breakpoint on all threads, and of one on a named one. */
START_TEST(threads_that_carry)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint all, one;
	BusSession session;
	Target target;

	target_start(&target, "threads", "3", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &all, "{'address': '0x%lx'}", target_address_of(&target, "threads_work"));
	ck_assert_uint_eq(all.n_threads, 5);
	bus_add(&session, &one, "{'address': '0x%lx', 'threads': [%d]}",
		target_address_of(&target, "threads_work"), all.threads[1]);
	ck_assert_uint_eq(one.n_threads, 1);
	ck_assert_int_eq(one.threads[0], all.threads[1]);
	target_ask(&target, "threads", "start 2");
	ck_assert_uint_eq(bus_number(bus, all.path, BREAKPOINT_INTERFACE, "Threads"), 7);
	target_ask(&target, "threads", "end 1"); /* the oldest, which is the named one */
	ck_assert_uint_eq(bus_number(bus, all.path, BREAKPOINT_INTERFACE, "Threads"), 6);
	ck_assert_uint_eq(bus_number(bus, one.path, BREAKPOINT_INTERFACE, "Threads"), 0);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("without BTF");

	integration_add(suite, "what is refused", what_is_refused);
	integration_add(suite, "an exec by another thread", exec_by_another_thread);
	integration_add(suite, "the first thread ends", first_thread_ends);
	integration_add(suite, "the first thread ends unseen", first_thread_ends_unseen);
	integration_add(suite, "the threads that carry a breakpoint", threads_that_carry);
	return integration_run(suite, argc, argv);
}
