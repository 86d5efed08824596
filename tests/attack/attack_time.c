/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What takes the daemon long without being a call that could be refused: it must not add up to others'
 * waiting. A thread of the target calls clone3(2) without pause, so that it takes long to know that
 * none was missed when its breakpoints are switched off.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/support/process.h"
#include "tests/support/target.h"
#include "tests/targets/target.h"

enum {
	TARGETS = 16,
	EACH = 4, /* as many as a thread can have */
	BREAKPOINTS = TARGETS * EACH,
	SESSIONS = 60,
	CONNECTIONS = 8,
	THREADS = 2000,
	BOUND_MS = 1000, /* 100 ms for each would be 6,400 */
};

typedef struct Prey {
	pid_t pid;
	int command_fd, answer_fd;
} Prey;

void attack_work(long number);

static volatile long sink;

TARGET_FUNCTION void attack_work(long number)
{
	sink = number;
}

/* Whether such a call starts a thread nobody can see, and this one never does. */
static void *start_for_ever(void *userdata)
{
	const int *go_fd = userdata;
	char byte;

	if (read(*go_fd, &byte, 1) != 1)
		_exit(1);
	for (;;)
		syscall(SYS_clone3, NULL, 0);
	return NULL;
}

/* At each byte it does one thing: 'v' a thread calls clone3(2) from now on, 'c' it calls the function. */
static void be_prey(int command_fd, int answer_fd)
{
	pthread_t thread;
	int go[2];
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* it need not run to be in the way */
	setpriority(PRIO_PROCESS, 0, 19);
	if (pipe(go) < 0 || pthread_create(&thread, NULL, start_for_ever, &go[0]) != 0)
		_exit(1);
	while (read(command_fd, &byte, 1) == 1) {
		if (byte == 'v' && write(go[1], &byte, 1) != 1)
			_exit(1);
		if (byte == 'c')
			attack_work(1);
		if (write(answer_fd, &byte, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static void prey_start(Prey *prey)
{
	int command[2], answer[2];

	ck_assert_int_eq(pipe2(command, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(answer, O_CLOEXEC), 0);
	prey->pid = fork();
	ck_assert_int_ge(prey->pid, 0);
	if (prey->pid == 0)
		be_prey(command[0], answer[1]);
	close(command[0]);
	close(answer[1]);
	prey->command_fd = command[1];
	prey->answer_fd = answer[0];
}

static void prey_do(const Prey *prey, char what)
{
	char byte = 0;

	ck_assert_int_eq(write(prey->command_fd, &what, 1), 1);
	ck_assert_int_eq(read(prey->answer_fd, &byte, 1), 1);
	ck_assert_int_eq(byte, what);
}

static void prey_end(const Prey *prey)
{
	kill(prey->pid, SIGKILL);
	waitpid(prey->pid, NULL, 0);
	close(prey->command_fd);
	close(prey->answer_fd);
}

/* Breakpoints on all targets, with a limit, and a thread of each in clone3(2) after that. */
static void scene_start(sd_bus *bus, Prey prey[TARGETS], BusBreakpoint breakpoints[BREAKPOINTS])
{
	for (unsigned i = 0; i < TARGETS; i++) {
		BusSession session;

		prey_start(&prey[i]);
		bus_open_session_with_ring(bus, prey[i].pid, 4096, &session);
		for (unsigned k = 0; k < EACH; k++)
			bus_add(&session, &breakpoints[i * EACH + k],
				"{'address':'0x%lx','limit':1}",
				(unsigned long)(uintptr_t)attack_work);
		prey_do(&prey[i], 'v');
	}
	usleep(100000);
}

typedef struct Pinger {
	pid_t pid;
	int end_fd, longest_fd;
} Pinger;

/* Calls the daemon all the while, in a process of its own, and notes how long the longest call took. */
static void pinger_start(Pinger *pinger)
{
	int end[2], longest[2];

	ck_assert_int_eq(pipe2(end, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(pipe2(longest, O_CLOEXEC), 0);
	pinger->pid = check_fork();
	if (pinger->pid == 0) {
		sd_bus *bus = bus_connect();
		int64_t most = 0;
		char byte;

		while (read(end[0], &byte, 1) < 0) {
			int64_t before = now_ms(), took;

			bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions");
			took = now_ms() - before;
			most = took > most ? took : most;
			usleep(2000);
		}
		ck_assert_int_eq(write(longest[1], &most, sizeof(most)), sizeof(most));
		_exit(EXIT_SUCCESS);
	}
	close(longest[1]);
	pinger->end_fd = end[1];
	pinger->longest_fd = longest[0];
}

static void pinger_expect_no_delay(Pinger *pinger)
{
	int64_t longest = 0;

	ck_assert_int_eq(write(pinger->end_fd, "e", 1), 1);
	ck_assert_int_eq(read(pinger->longest_fd, &longest, sizeof(longest)), sizeof(longest));
	waitpid(pinger->pid, NULL, 0);
	fprintf(stderr, "the slowest call took %ld ms\n", (long)longest);
	ck_assert_msg(longest < BOUND_MS, "a call took %ld ms", (long)longest);
}

static bool is_enabled(const BusBreakpoint *breakpoint)
{
	int enabled = 0;

	ck_assert_int_ge(sd_bus_get_property_trivial(breakpoint->bus, "org.bpcond1",
						     breakpoint->path, BREAKPOINT_INTERFACE,
						     "Enabled", NULL, 'b', &enabled),
			 0);
	return enabled;
}

/* All reach their limits at the same time, so that the daemon has all of them to switch off. */
static void limits_reached_at_once(void)
{
	static BusBreakpoint breakpoints[BREAKPOINTS];
	int64_t deadline = now_ms() + 30000;
	sd_bus *bus = bus_connect();
	Prey prey[TARGETS];
	Pinger pinger;

	scene_start(bus, prey, breakpoints);
	pinger_start(&pinger);
	for (unsigned i = 0; i < TARGETS; i++)
		ck_assert_int_eq(write(prey[i].command_fd, "c", 1), 1);
	for (unsigned i = 0; i < BREAKPOINTS; i++) {
		while (is_enabled(&breakpoints[i])) {
			ck_assert_int_lt(now_ms(), deadline);
			usleep(10000);
		}
	}
	pinger_expect_no_delay(&pinger);
	for (unsigned i = 0; i < TARGETS; i++)
		prey_end(&prey[i]);
}

/* Remove is never refused; by another connection it takes the last counts along. */
static void removes_in_a_row(void)
{
	static BusBreakpoint breakpoints[BREAKPOINTS];
	sd_bus *bus = bus_connect(), *remover = bus_connect();
	Prey prey[TARGETS];
	Pinger pinger;

	scene_start(bus, prey, breakpoints);
	pinger_start(&pinger);
	for (unsigned i = 0; i < BREAKPOINTS; i++) {
		sd_bus_message *call = NULL;

		ck_assert_int_ge(sd_bus_message_new_method_call(remover, &call, "org.bpcond1",
								breakpoints[i].path,
								BREAKPOINT_INTERFACE, "Remove"),
				 0);
		ck_assert_int_ge(sd_bus_message_set_expect_reply(call, 0), 0);
		ck_assert_int_ge(sd_bus_send(remover, call, NULL), 0);
		sd_bus_message_unref(call);
	}
	ck_assert_int_ge(sd_bus_flush(remover), 0);
	while (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Breakpoints") > 0)
		usleep(10000);
	pinger_expect_no_delay(&pinger);
	for (unsigned i = 0; i < TARGETS; i++)
		prey_end(&prey[i]);
}

/* Connections that have called many lingering sessions, each of which is looked at before it is told of
 * hits: on a target of very many threads that takes long. */
static void listeners_in_a_row(void)
{
	sd_bus *buses[CONNECTIONS];
	char paths[SESSIONS][64], threads[16];
	Pinger pinger;
	Target target;

	snprintf(threads, sizeof(threads), "%d", THREADS);
	target_start(&target, "crowd", threads, NULL);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		buses[i] = bus_connect();
	for (unsigned i = 0; i < SESSIONS; i++) {
		sd_bus_message *reply = NULL;
		const char *path;

		ck_assert_int_ge(sd_bus_call_method(buses[0], "org.bpcond1", MANAGER_PATH,
						    MANAGER_INTERFACE, "OpenSessionByPid", NULL,
						    &reply, "ua{sv}", (uint32_t)target.pid, 2,
						    "linger", "b", 1, "hits-bytes", "t",
						    UINT64_C(4096)),
				 0);
		ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
		snprintf(paths[i], sizeof(paths[i]), "%s", path);
		sd_bus_message_unref(reply);
	}
	pinger_start(&pinger);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		for (unsigned k = 0; k < SESSIONS; k++)
			bus_number(buses[i], paths[k], SESSION_INTERFACE, "Hits");
	/* they are looked at after a fifth of a second */
	usleep(1000000);
	pinger_expect_no_delay(&pinger);
	target_kill(&target);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"limits reached at once", limits_reached_at_once, NULL},
		{"Removes in a row", removes_in_a_row, NULL},
		{"listeners in a row", listeners_in_a_row, "calls-per-second=100000\n"},
	};

	return attack_run("attack-time", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
