/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lent filter is called back: by its borrower, by the end of the borrower's connection, and as the daemon
 * stops. The borrower keeps its event and the program, and nothing is a hit any more.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/integration/lending.h"
#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/own_events.h"
#include "tests/targets/target.h"

enum {
	GONE_WITHIN_MS = 5000,
};

void lend_work(long number);

volatile long lend_calls;

/* Where the breakpoints are. */
TARGET_FUNCTION void lend_work(long number)
{
	lend_calls = lend_calls + 1;
}

static volatile unsigned n_signals;

static void count_signal(int number)
{
	n_signals = n_signals + 1;
}

/* A handler counts signals; on arm64, where the instruction would trap again behind it, they stay blocked
 * and are taken after each call. */
static void prepare_signals(void)
{
	struct sigaction action = {.sa_handler = count_signal};
	sigset_t set;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	if (MACHINE_X86)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}

static void take_signal(void)
{
	const struct timespec now = {0, 0};
	sigset_t set;

	if (MACHINE_X86)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigtimedwait(&set, NULL, &now) == SIGUSR1)
		n_signals = n_signals + 1;
}

/* An event of ours with a signal and the filter's program, enabled. */
static int signalling_event(int program_fd)
{
	int event_fd = own_breakpoint(0, (const void *)(uintptr_t)lend_work);

	prepare_signals();
	own_event_signal(event_fd, getpid(), SIGUSR1);
	ck_assert_int_eq(ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, program_fd), 0);
	own_event_enable(event_fd);
	return event_fd;
}

static void expect_signals(long calls, unsigned signals)
{
	unsigned before = n_signals;

	for (long i = 0; i < calls; i++) {
		lend_work(1);
		take_signal();
	}
	ck_assert_uint_eq(n_signals - before, signals);
}

/* After it was called back: the event lives, and nothing is a hit. */
static void expect_silence(int event_fd)
{
	uint64_t before = own_event_count(event_fd);

	expect_signals(50, 0);
	ck_assert_uint_eq(own_event_count(event_fd), before + 50);
}

START_TEST(return_calls_it_back)
{
	if (bus_signals_are_refused())
		return;

	const bpcond_filter_options options = {.size = sizeof(options), .hits_bytes = 4096};
	bpcond_client *client = lending_connect();
	pid_t daemon = helper_daemon_pid();
	struct bpcond_counters counters;
	const struct bpcond_hit *hit;
	bpcond_filter *filter;
	Objects before;
	int event_fd;

	/* the daemon holds on to the client's process from the first call on */
	bpcond_filter_free(lending_lend(client, "1", &options));
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	filter = lending_lend(client, "1", &options);
	event_fd = signalling_event(bpcond_filter_program(filter));
	expect_signals(10, 10);
	ck_assert_int_eq(bpcond_filter_return(filter), 0);
	expect_silence(event_fd);
	/* what was counted and written before stays */
	bpcond_filter_counters(filter, &counters);
	ck_assert_uint_eq(counters.evaluated, 10);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(bpcond_filter_wait(filter, 1000, &hit), 1);
	ck_assert_int_eq(bpcond_filter_wait(filter, 1000, &hit), -ESHUTDOWN);
	ck_assert_int_eq(bpcond_filter_return(filter), 0);
	helper_expect_descriptors(daemon, &before);
	bpcond_filter_free(filter);
	expect_silence(event_fd);
	bpcond_client_free(client);
	close(event_fd);
}
END_TEST

/* LendFilter as a client without the library sees it. Return: the program, ours to close. */
static int lend_raw(sd_bus *bus, char ret_path[static 128])
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int program_fd = -EBADF, fd, r;
	const char *path, *name;

	r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE, "LendFilter",
			       &error, &reply, "sa{sv}", "1", 0);
	ck_assert_msg(r >= 0, "LendFilter: %s: %s", error.name, error.message);
	ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
	snprintf(ret_path, 128, "%s", path);
	ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "{sh}"), 0);
	while (sd_bus_message_read(reply, "{sh}", &name, &fd) > 0) {
		/* nothing was asked for beside these */
		ck_assert_msg(strcmp(name, "program") == 0 || strcmp(name, "counters") == 0,
			      "LendFilter passed a descriptor %s", name);
		if (strcmp(name, "program") == 0)
			program_fd = dup(fd);
	}
	sd_bus_message_unref(reply);
	ck_assert_int_ge(program_fd, 0);
	return program_fd;
}

START_TEST(connections_end_calls_it_back)
{
	if (bus_signals_are_refused())
		return;

	int64_t deadline = now_ms() + GONE_WITHIN_MS;
	pid_t daemon = helper_daemon_pid();
	sd_bus *bus = bus_connect();
	int program_fd, event_fd;
	char path[128];
	Objects before;
	unsigned last;

	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	program_fd = lend_raw(bus, path);
	event_fd = signalling_event(program_fd);
	expect_signals(10, 10);
	sd_bus_flush_close_unref(bus);
	do {
		ck_assert_msg(now_ms() < deadline, "hits go on");
		usleep(1000);
		last = n_signals;
		lend_work(1);
		take_signal();
	} while (n_signals != last);
	expect_silence(event_fd);
	helper_expect_descriptors(daemon, &before);
	close(program_fd);
	close(event_fd);
}
END_TEST

START_TEST(daemons_stop_calls_it_back)
{
	if (bus_signals_are_refused())
		return;

	const bpcond_filter_options options = {.size = sizeof(options), .hits_bytes = 4096};
	bpcond_client *client = lending_connect();
	bpcond_filter *filter = lending_lend(client, "1", &options);
	int event_fd = signalling_event(bpcond_filter_program(filter));
	const struct bpcond_hit *hit;

	expect_signals(2, 2);
	ck_assert_int_eq(helper_end_daemon(SIGTERM), 0);
	expect_silence(event_fd);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(bpcond_filter_wait(filter, 1000, &hit), 1);
	ck_assert_int_eq(bpcond_filter_wait(filter, 5000, &hit), -ECONNRESET);
	ck_assert_int_eq(bpcond_filter_wait(filter, 50, &hit), 0);
	ck_assert_int_eq(bpcond_filter_return(filter), 0);
	bpcond_client_free(client);
	close(event_fd);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("lend_revoked");

	integration_add(suite, "Return calls it back", return_calls_it_back);
	integration_add(suite, "the connection's end calls it back", connections_end_calls_it_back);
	integration_add(suite, "the daemon's stop calls it back", daemons_stop_calls_it_back);
	return integration_run(suite, argc, argv);
}
