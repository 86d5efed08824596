/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever ends, everything closes: after each end the daemon's descriptors are as many as before,
 * and the BPF programs and maps that it had made are gone from the kernel.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	GONE_WITHIN_MS = 5000,
	A_MOMENT_USEC = 200000,
	ROWS_OF_THREADS = 20,
	THREADS_IN_A_ROW = 2000,
};

typedef struct Ledger {
	pid_t daemon;
	Objects before, during;
} Ledger;

static void ledger_open(Ledger *ledger)
{
	ledger->daemon = helper_daemon_pid();
	ck_assert_int_eq(helper_objects(ledger->daemon, &ledger->before), 0);
	ledger->during = ledger->before;
}

/* Notes what the daemon, and `client` if not 0, hold now. */
static void ledger_note(Ledger *ledger, pid_t client)
{
	Objects objects;

	ck_assert_int_eq(helper_objects(ledger->daemon, &objects), 0);
	ck_assert_uint_gt(objects.n_fds, ledger->before.n_fds);
	objects_join(&ledger->during, &objects);
	if (client) {
		ck_assert_int_eq(helper_objects(client, &objects), 0);
		objects_join(&ledger->during, &objects);
	}
}

static void ledger_close(const Ledger *ledger)
{
	size_t alive;

	ck_assert_uint_gt(ledger->during.n_programs + ledger->during.n_maps,
			  ledger->before.n_programs + ledger->before.n_maps);
	helper_expect_descriptors(ledger->daemon, &ledger->before);
	alive = helper_wait_objects_gone(&ledger->during, &ledger->before, GONE_WITHIN_MS);
	ck_assert_msg(alive == 0, "%zu BPF programs and maps are still there", alive);
}

static bpcond_client *connect_client(void)
{
	bpcond_client *client = NULL;

	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_msg(bpcond_client_connect(client, NULL) == 0, "%s",
		      bpcond_client_error(client)->message);
	return client;
}

static bpcond_session *open_session(bpcond_client *client, const Target *target,
				    const char *location)
{
	bpcond_request request = {
		.size = sizeof(request), .location = location, .condition = "$" ARG1 " % 2 == 0"};
	bpcond_session *session = NULL;

	ck_assert_msg(bpcond_session_open(client, target->pid, NULL, &session) == 0, "%s",
		      bpcond_client_error(client)->message);
	ck_assert_msg(bpcond_session_break(session, &request, NULL) == 0, "%s",
		      bpcond_client_error(client)->message);
	return session;
}

/* Waits for the session's end, over whatever hits there are. Return: what wait said. */
static int wait_for_end(bpcond_session *session)
{
	int64_t deadline = now_ms() + GONE_WITHIN_MS;
	const struct bpcond_hit *hit;
	int r;

	do
		r = bpcond_session_wait(session, 1000, &hit);
	while (r >= 0 && now_ms() < deadline);
	return r;
}

START_TEST(close_ends_a_session)
{
	bpcond_client *client;
	Ledger ledger;
	Target target;

	ledger_open(&ledger);
	client = connect_client();
	target_start(&target, "loop", NULL, NULL);
	open_session(client, &target, "loop_work");
	ledger_note(&ledger, getpid());
	bpcond_client_free(client);
	ledger_close(&ledger);
	/* and the target lives on, untouched */
	ck_assert_int_eq(target_ask(&target, "called", "call 10"), 10);
}
END_TEST

START_TEST(killed_client_ends_its_sessions)
{
	Ledger ledger;
	Target target;
	int ready[2];
	pid_t client;
	char byte;

	ledger_open(&ledger);
	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(pipe(ready), 0);
	client = fork();
	ck_assert_int_ge(client, 0);
	if (client == 0) {
		open_session(connect_client(), &target, "loop_work");
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ledger_note(&ledger, client);
	kill(client, SIGKILL);
	ck_assert_int_eq(waitpid(client, NULL, 0), client);
	ledger_close(&ledger);
	ck_assert_int_eq(target_ask(&target, "called", "call 10"), 10);
}
END_TEST

START_TEST(killed_target_ends_its_sessions)
{
	bpcond_session *session;
	bpcond_client *client;
	Ledger ledger;
	Target target;

	ledger_open(&ledger);
	client = connect_client();
	target_start(&target, "loop", NULL, NULL);
	session = open_session(client, &target, "loop_work");
	target_ask(&target, "called", "call 10");
	ledger_note(&ledger, getpid());
	target_kill(&target);
	ck_assert_int_eq(wait_for_end(session), -ESRCH);
	ck_assert_int_eq(bpcond_session_end(session), BPCOND_TARGET_EXITED);
	bpcond_client_free(client);
	ledger_close(&ledger);
}
END_TEST

START_TEST(exec_ends_sessions)
{
	bpcond_session *session;
	bpcond_client *client;
	Ledger ledger;
	Target target;

	ledger_open(&ledger);
	client = connect_client();
	target_start(&target, "loop", NULL, NULL);
	session = open_session(client, &target, "loop_work");
	ledger_note(&ledger, getpid());
	target_send(&target, "exec");
	target_wait_ready(&target);
	ck_assert_int_eq(wait_for_end(session), -ESRCH);
	ck_assert_int_eq(bpcond_session_end(session), BPCOND_TARGET_EXEC);
	bpcond_client_free(client);
	ledger_close(&ledger);
	ck_assert_int_eq(target_ask(&target, "called", "call 10"), 10);
}
END_TEST

/* The thread that is watched for the exec ends, and so does each one that is about to be watched in its
 * stead, while the next one starts. */
START_TEST(exec_after_threads_in_a_row_ends_sessions)
{
	bpcond_client *client = connect_client();
	bpcond_session *session;
	Target target;

	/* Without BTF an exec is told by the main thread only, which then stays. */
	target_start(&target, "threads", "0", bus_kernel_can("btf") ? "leader-ends" : NULL);
	for (unsigned i = 0; i < integration_volume(ROWS_OF_THREADS); i++) {
		ck_assert_msg(bpcond_session_open(client, target.pid, NULL, &session) == 0, "%s",
			      bpcond_client_error(client)->message);
		target_send(&target, "pass %d", THREADS_IN_A_ROW);
		target_wait_ready(&target);
		/* The daemon has nothing left to look at because of those threads. */
		usleep(A_MOMENT_USEC);
		target_send(&target, "exec");
		target_wait_ready(&target);
		ck_assert_int_eq(wait_for_end(session), -ESRCH);
		ck_assert_int_eq(bpcond_session_end(session), BPCOND_TARGET_EXEC);
		bpcond_session_free(session);
	}
	bpcond_client_free(client);
	target_kill(&target);
}
END_TEST

/* The threads that a breakpoint was set on end; those that remain go on counting, and what the others
 * had counted stays. */
START_TEST(ended_threads_leave_nothing)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	BusCounts counts;
	Ledger ledger;
	Target target;

	ledger_open(&ledger);
	target_start(&target, "threads", "6", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address': '0x%lx'}",
		target_address_of(&target, "threads_work"));
	ck_assert_int_eq(target_ask(&target, "calls", "work 10"), 60);
	ck_assert_int_eq(target_ask(&target, "threads", "end 4"), 2);
	ck_assert_int_eq(target_ask(&target, "calls", "work 10"), 20);
	ck_assert_int_eq(target_ask(&target, "threads", "start 3"), 5);
	ck_assert_int_eq(target_ask(&target, "calls", "work 10"), 50);
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 60 + 20 + 50);
	ledger_note(&ledger, 0);
	close(breakpoint.counters_fd);
	bus_close_session(&session);
	sd_bus_flush_close_unref(bus);
	ledger_close(&ledger);
}
END_TEST

START_TEST(removed_breakpoints_leave_nothing)
{
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Ledger ledger;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	ledger_open(&ledger);
	for (int i = 0; i < 50; i++) {
		bus_add(&session, &breakpoint,
			"{'address': '0x%lx', 'parameters': {'a': 1},"
			" 'condition': {'==': [{'reg': '" ARG1 "'}, {'param': 'a'}]}}",
			target_address_of(&target, "loop_work"));
		if (i == 0)
			ledger_note(&ledger, 0);
		close(breakpoint.counters_fd);
		close(breakpoint.parameters_fd);
		bus_breakpoint_call(&breakpoint, "Remove");
	}
	ledger_close(&ledger);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Breakpoints"), 0);
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 1);
}
END_TEST

/* Many clients one after the other, so that a leak of one descriptor would add up. */
START_TEST(many_sessions_leave_nothing)
{
	Ledger ledger;
	Target target;

	ledger_open(&ledger);
	target_start(&target, "loop", NULL, NULL);
	for (int i = 0; i < 20; i++) {
		bpcond_client *client = connect_client();

		open_session(client, &target, "loop_work");
		if (i == 0)
			ledger_note(&ledger, getpid());
		bpcond_client_free(client);
	}
	ledger_close(&ledger);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("lifetime");

	integration_add(suite, "Close ends a session", close_ends_a_session);
	integration_add(suite, "a killed client ends its sessions",
			killed_client_ends_its_sessions);
	integration_add(suite, "a killed target ends its sessions",
			killed_target_ends_its_sessions);
	integration_add(suite, "exec ends sessions", exec_ends_sessions);
	integration_add(suite, "exec after threads in a row ends sessions",
			exec_after_threads_in_a_row_ends_sessions);
	integration_add(suite, "ended threads leave nothing", ended_threads_leave_nothing);
	integration_add(suite, "removed breakpoints leave nothing",
			removed_breakpoints_leave_nothing);
	integration_add(suite, "many sessions leave nothing", many_sessions_leave_nothing);
	return integration_run(suite, argc, argv);
}
