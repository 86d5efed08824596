/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that are not what they were, or not what they seem: changed between check and use, of mixed
 * credentials, in other namespaces, without a leader.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/support/hits.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"
#include "tests/targets/target.h"

enum {
	EXCHANGES = 240,
};

/* ---- A pid that comes to mean another process ---------------------------------------------------- */

/* Holds the daemon while the calls queue, so that the target goes after the call and before its use. */
static void recycled_between_call_and_use(void)
{
	const char *argv[] = {"sleep", "60", NULL};
	sd_bus_message *call = NULL, *reply = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	sd_bus *bus = bus_connect();
	BusSession session;
	uint64_t address;
	Target target;
	char spec[64];

	target_start(&target, "loop", NULL, NULL);
	address = target_address_of(&target, "loop_work");
	bus_open_session(bus, target.pid, &session);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(helper_kill(daemon, SIGSTOP), 0);
		snprintf(spec, sizeof(spec), "{\"address\":\"0x%lx\"}", (unsigned long)address);
		ck_assert_int_ge(sd_bus_message_new_method_call(
					 bus, &call, "org.bpcond1", session.path, SESSION_INTERFACE,
					 i == 1 ? "TakeHits" : "AddBreakpoint"),
				 0);
		if (i != 1)
			ck_assert_int_ge(sd_bus_message_append(call, "s", spec), 0);
		ck_assert_int_ge(sd_bus_send(bus, call, NULL), 0);
		ck_assert_int_ge(sd_bus_flush(bus), 0);
		call = sd_bus_message_unref(call);
		if (i == 0) {
			int r;

			target_kill(&target);
			r = helper_spawn_with_pid(ENVIRONMENT_USER_B, target.pid, argv);
			ck_assert_msg(r == 0, "a new process with the pid: %s", strerror(-r));
		}
		ck_assert_int_eq(helper_kill(daemon, SIGCONT), 0);
		/* and now that it knows: the session has gone with its target */
		if (i == 1)
			ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", session.path,
							    SESSION_INTERFACE, "TakeHits", &error,
							    &reply, ""),
					 0);
		else
			ck_assert_int_eq(
				bus_try_add_text(&session, &(BusBreakpoint){0}, &error, spec), 1);
		sd_bus_error_free(&error);
	}
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Breakpoints"), 0);
	/* the news of the target's end has a way of its own */
	for (int i = 0; i < 500; i++) {
		if (bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") == 0)
			break;
		usleep(10000);
	}
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 0);
	/* nor is the new process, another user's, anything to us */
	attack_expect_refusal(attack_open(bus, target.pid, &session), "NotAuthorized", NULL);
}

/* ---- A set-user-ID program between check and use ------------------------------------------------- */

/* Until the process is of several user ids, or the time is up. */
static void wait_until_set_user_id(pid_t pid)
{
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (int i = 0; i < 5000; i++) {
		FILE *file = fopen(path, "re");
		unsigned real = 0, effective = 0;

		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "Uid: %u %u", &real, &effective) == 2)
				break;
		if (file)
			fclose(file);
		if (real != effective)
			return;
		usleep(1000);
	}
}

/* One try; `settle`: after the exec. Return: how far the daemon let us come: 0 no session, 1 no
 * breakpoint, 2 armed. */
static int exchange(sd_bus *bus, const char *set_user_id, unsigned delay_us, bool settle)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	struct bpcond_counters counters;
	Target target = {.in_fd = -EBADF};
	BusSession session;
	char delay[16];
	int out[2], reached = 0;

	snprintf(delay, sizeof(delay), "%u", delay_us);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	target.pid = fork();
	ck_assert_int_ge(target.pid, 0);
	if (target.pid == 0) {
		const char *program = integration_program("tests/targets/exchanger");

		dup2(out[1], STDOUT_FILENO);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		execl(program, program, delay, set_user_id, NULL);
		_exit(1);
	}
	close(out[1]);
	target.out_fd = out[0];
	target_wait_ready(&target);
	if (settle)
		wait_until_set_user_id(target.pid);
	if (attack_open(bus, target.pid, &session) == NULL) {
		reached = 1;
		if (bus_try_add(&session, &breakpoint, &error,
				"{'address':'0x%lx','events':true,"
				"'condition':{'==':[{'reg':'" ARG1 "'},2]}}",
				target_address_of(&target, "exchanger_work")) == 0) {
			reached = 2;
			/* may be refused by now */
			sd_bus_call_method(bus, "org.bpcond1", breakpoint.path,
					   BREAKPOINT_INTERFACE, "Enable", &error, NULL, "");
			sd_bus_error_free(&error);
		}
		sd_bus_error_free(&error);
	}
	ck_assert_int_eq(target_answer(&target, "after"), 400);
	ck_assert_int_eq(waitpid(target.pid, NULL, 0), target.pid);
	close(target.out_fd);
	if (reached == 2) {
		hits_counters(breakpoint.counters_fd, &counters);
		ck_assert_msg(counters.hits == 0,
			      "%lu hits in the set-user-ID program, armed %u us",
			      (unsigned long)counters.hits, delay_us);
		bus_breakpoint_close(&breakpoint);
	}
	return reached;
}

static void set_user_id_between_check_and_use(void)
{
	unsigned outcomes[3] = {0};
	sd_bus *bus = bus_connect();
	char copies[2][256];

	helper_make_set_user_id(integration_program("tests/targets/exchanger"), ENVIRONMENT_USER_B,
				copies[0]);
	helper_make_set_user_id(integration_program("tests/targets/exchanger"), "root", copies[1]);
	for (unsigned i = 0; i < EXCHANGES; i++)
		outcomes[exchange(bus, copies[i & 1], (i * 37) % 3000, false)]++;
	/* the two ends of it, whatever the machine's speed */
	ck_assert_int_lt(exchange(bus, copies[0], 1, true), 2);
	ck_assert_int_eq(exchange(bus, copies[0], 1000000, false), 2);
	ck_assert_uint_eq(outcomes[0] + outcomes[1] + outcomes[2], EXCHANGES);
	sd_bus_flush_close_unref(bus);
}

/* ---- Mixed credentials --------------------------------------------------------------------------- */

/* Whether the kernel would let us trace each of the threads, by asking it. */
static bool kernel_lets_trace(const pid_t *threads, unsigned n_threads)
{
	for (unsigned i = 0; i < n_threads; i++) {
		if (ptrace(PTRACE_SEIZE, threads[i], NULL, NULL) < 0)
			return false;
		ck_assert_int_ge(ptrace(PTRACE_INTERRUPT, threads[i], NULL, NULL), 0);
		ck_assert_int_eq(waitpid(threads[i], NULL, __WALL), threads[i]);
		ck_assert_int_ge(ptrace(PTRACE_DETACH, threads[i], NULL, NULL), 0);
	}
	return true;
}

static unsigned threads_of(pid_t pid, pid_t threads[], unsigned most)
{
	unsigned n = 0;
	char path[64];

	/* the ids lie close together: the process was just started */
	for (pid_t tid = pid; tid < pid + 4096 && n < most; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
		if (access(path, F_OK) == 0)
			threads[n++] = tid;
	}
	return n;
}

static void shift(sd_bus *bus, const char *where, const char *kind, bool may_pass)
{
	const char *program = integration_program("tests/targets/shifter");
	char uid[16], gid[16], line[128] = "";
	BusBreakpoint breakpoint;
	BusSession session;
	pid_t pid, threads[4];
	unsigned n_threads, first;
	Target target = {0};
	const char *refusal;
	int in[2], out[2];

	snprintf(uid, sizeof(uid), "%u", getuid());
	snprintf(gid, sizeof(gid), "%u", getgid());
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = helper_spawn("root", (const char *[]){program, uid, gid, where, kind, NULL}, in[0],
			   out[1]);
	close(in[0]);
	close(out[1]);
	target = (Target){.pid = pid, .in_fd = in[1], .out_fd = out[0], .by_helper = true};
	target_wait_ready(&target);
	n_threads = threads_of(pid, threads, 4);
	ck_assert_uint_eq(n_threads, 2);

	refusal = attack_open(bus, pid, &session);
	snprintf(line, sizeof(line), "%s of the %s", kind, where);
	if (may_pass && !refusal) {
		/* what is let pass works, and is let pass by the kernel too */
		bus_add(&session, &breakpoint, "{'address':'0x%lx'}",
			target_address_of(&target, "shifter_work"));
		ck_assert_int_eq(target_ask(&target, "called", "call 5"), 5);
		ck_assert_uint_eq(bus_number(bus, breakpoint.path, BREAKPOINT_INTERFACE, "Hits"),
				  5);
		bus_breakpoint_close(&breakpoint);
		bus_close_session(&session);
		/* nobody traces a dead leader, nor is there anything of it to be seen */
		first = strcmp(where, "leader-gone") == 0;
		ck_assert_msg(kernel_lets_trace(threads + first, n_threads - first),
			      "%s: ptrace is stricter", line);
	} else {
		ck_assert_msg(refusal && strcmp(refusal, "NotAuthorized") == 0, "%s: %s", line,
			      refusal ? refusal : "let pass");
		ck_assert_msg(!may_pass, "%s: refused", line);
	}
	target_kill(&target);
	close(target.in_fd);
	close(target.out_fd);
}

static void mixed_credentials(void)
{
	static const char *const places[] = {"leader", "thread", "leader-gone"};
	static const char *const kinds[] = {"ruid", "suid",  "fsuid", "rgid",
					    "sgid", "fsgid", "caps"};
	sd_bus *bus = bus_connect();

	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			shift(bus, places[p], kinds[k], false);
		/* the control, and what ptrace(2) does not ask for either */
		shift(bus, places[p], "none", true);
		shift(bus, places[p], "groups", true);
	}
	sd_bus_flush_close_unref(bus);
}

/* ---- A target that changes while it is looked at ------------------------------------------------- */

static void call_and_expect(sd_bus *bus, const char *path, const char *interface,
			    const char *member, const char *types, const char *text)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	if (text)
		r = sd_bus_call_method(bus, "org.bpcond1", path, interface, member, &error, NULL,
				       types, text);
	else if (strcmp(types, "u") == 0)
		r = sd_bus_call_method(bus, "org.bpcond1", path, interface, member, &error, NULL,
				       types, 0);
	else
		r = sd_bus_call_method(bus, "org.bpcond1", path, interface, member, &error, NULL,
				       "");
	ck_assert_msg(r < 0, "%s was let pass", member);
	bus_expect_error(&error, "NotAuthorized", NULL);
}

/* Whatever gives more of a target is refused once the target is not the caller's to look at. */
static void expect_nothing_more(sd_bus *bus, const BusSession *session,
				const BusBreakpoint *breakpoint, uint64_t address)
{
	char spec[64];

	snprintf(spec, sizeof(spec), "{\"address\":\"0x%lx\"}", (unsigned long)address);
	call_and_expect(bus, session->path, SESSION_INTERFACE, "AddBreakpoint", "s", spec);
	call_and_expect(bus, session->path, SESSION_INTERFACE, "TakeHits", "", NULL);
	call_and_expect(bus, breakpoint->path, BREAKPOINT_INTERFACE, "Enable", "", NULL);
	call_and_expect(bus, breakpoint->path, BREAKPOINT_INTERFACE, "TakeEvents", "u", NULL);
}

typedef struct Change {
	int command_fd, answer_fd; /* of the target's end */
	bool dumpable;             /* it gives up, instead of its user namespace */
} Change;

void attack_work(long number);

static volatile long sink;

TARGET_FUNCTION void attack_work(long number)
{
	sink = number;
}

static void change_when_told(const Change *change)
{
	char byte;

	if (read(change->command_fd, &byte, 1) != 1)
		_exit(1);
	byte = 'n';
	if (change->dumpable ? prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
			     : unshare(CLONE_NEWUSER) == 0)
		byte = 'y';
	if (write(change->answer_fd, &byte, 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

static void change_while_looked_at(bool dumpable)
{
	sd_bus *bus = bus_connect();
	int command[2], answer[2];
	BusBreakpoint breakpoint;
	BusSession session;
	char byte = 'g';
	pid_t pid;

	ck_assert_int_eq(pipe2(command, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(answer, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		change_when_told(&(Change){
			.command_fd = command[0], .answer_fd = answer[1], .dumpable = dumpable});
	}
	bus_open_session(bus, pid, &session);
	bus_add(&session, &breakpoint, "{'address':'0x%lx','events':true}",
		(unsigned long)(uintptr_t)attack_work);
	ck_assert_int_eq(write(command[1], &byte, 1), 1);
	ck_assert_int_eq(read(answer[0], &byte, 1), 1);
	if (byte != 'y') {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		test_skip("this user may not make a user namespace");
	}
	expect_nothing_more(bus, &session, &breakpoint, (uint64_t)(uintptr_t)attack_work);
	attack_expect_refusal(attack_open(bus, pid, &session), "NotAuthorized", NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void undumpable_while_looked_at(void)
{
	change_while_looked_at(true);
}

static void new_user_namespace_while_looked_at(void)
{
	change_while_looked_at(false);
}

/* ---- Descriptors of targets ---------------------------------------------------------------------- */

/* Processes of ours in namespaces of their own: the first there, which is 1 to itself, and its maker. */
static void own_namespaces(void)
{
	sd_bus *bus = bus_connect();
	pid_t maker, pids[2] = {0};
	BusSession session;
	int told[2], status;

	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	maker = fork();
	ck_assert_int_ge(maker, 0);
	if (maker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
			_exit(77);
		pids[0] = getpid();
		pids[1] = fork();
		if (pids[1] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
			pause();
		}
		if (write(told[1], pids, sizeof(pids)) != sizeof(pids))
			_exit(1);
		waitpid(pids[1], NULL, 0);
		_exit(0);
	}
	close(told[1]);
	if (read(told[0], pids, sizeof(pids)) != sizeof(pids)) {
		waitpid(maker, &status, 0);
		ck_assert_int_eq(WEXITSTATUS(status), 77);
		test_skip("this user may not make namespaces");
	}
	for (int i = 0; i < 2; i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;

		attack_expect_refusal(attack_open(bus, pids[i], &session), "NotAuthorized", NULL);
		ck_assert_int_eq(bus_try_open_session_by_pid(bus, pids[i], &session, &error), 1);
		bus_expect_error(&error, "NotAuthorized", NULL);
	}
	kill(maker, SIGKILL);
	waitpid(maker, NULL, 0);
}

/* A descriptor of every kind that an ordinary user can get hold of, none of them a pidfd. */
static void no_pidfd(void)
{
	int fds[64], pair[2], n = 0;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	sigset_t none;

	sigemptyset(&none);
	fds[n++] = open("/dev/null", O_RDWR);
	fds[n++] = open("/", O_PATH | O_DIRECTORY);
	fds[n++] = open("/proc/self", O_RDONLY | O_DIRECTORY);
	fds[n++] = open("/proc/self/status", O_RDONLY);
	fds[n++] = open("/proc/self/mem", O_RDWR);
	fds[n++] = open("/proc/self/ns/pid", O_RDONLY);
	fds[n++] = open("/proc/self/ns/user", O_RDONLY);
	fds[n++] = open("/proc/self/exe", O_RDONLY);
	fds[n++] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	fds[n++] = memfd_create("anon_inode:[pidfd]", MFD_CLOEXEC);
	fds[n++] = eventfd(0, 0);
	fds[n++] = signalfd(-1, &none, 0);
	fds[n++] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[n++] = epoll_create1(0);
	fds[n++] = inotify_init1(0);
	fds[n++] = socket(AF_UNIX, SOCK_STREAM, 0);
	fds[n++] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[n++] = socket(AF_NETLINK, SOCK_RAW, 0);
	ck_assert_int_eq(pipe(pair), 0);
	fds[n++] = pair[0];
	fds[n++] = pair[1];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fds[n++] = pair[0];
	fds[n++] = posix_openpt(O_RDWR | O_NOCTTY);
	fds[n++] = sd_bus_get_fd(bus);
	/* and what the daemon hands out itself */
	bus_open_session(bus, getpid(), &session);
	bus_take_hits(&session);
	bus_add(&session, &breakpoint,
		"{'address':'0x%lx','parameters':{'p':1},'condition':{'param':'p'}}",
		(unsigned long)(uintptr_t)attack_work);
	fds[n++] = session.ring_fd;
	fds[n++] = breakpoint.counters_fd;
	fds[n++] = breakpoint.parameters_fd;
	for (int i = 0; i < n; i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		BusSession none_opened;
		char path[64], kind[128] = "";

		ck_assert_msg(fds[i] >= 0, "descriptor %d of the list", i);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		ck_assert_int_gt(readlink(path, kind, sizeof(kind) - 1), 0);
		ck_assert_msg(bus_try_open_descriptor(bus, fds[i], 0, &none_opened, &error) == 1,
			      "%s was taken for a pidfd", kind);
		ck_assert_msg(strcmp(error.name, SD_BUS_ERROR_INVALID_ARGS) == 0 &&
				      strstr(error.message, "pidfd"),
			      "%s: %s: %s", kind, error.name, error.message);
		sd_bus_error_free(&error);
	}
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"a pid recycled between call and use", recycled_between_call_and_use, NULL},
		{"set-user-ID between check and use", set_user_id_between_check_and_use, NULL},
		{"mixed credentials: never laxer than ptrace", mixed_credentials, NULL},
		{"undumpable while it is looked at", undumpable_while_looked_at, NULL},
		{"another user namespace while it is looked at", new_user_namespace_while_looked_at,
		 NULL},
		{"targets in own user and pid namespaces", own_namespaces, NULL},
		{"descriptors that are no pidfd", no_pidfd, NULL},
	};

	return attack_run("attack-targets", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
