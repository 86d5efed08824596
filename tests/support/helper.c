/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test case's side of the helper: each function is a request, and fails the case when it cannot be
 * carried out.
 */
#include "tests/support/helper.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/helper_protocol.h"

enum {
	DESCRIPTORS_MS = 2000,
};

static int helper_fd = -EBADF;
static struct request request;
static struct answer answer;

void helper_connect(int socket_fd)
{
	helper_fd = socket_fd;
}

static struct request *new_request(enum operation operation)
{
	memset(&request, 0, sizeof(request));
	request.operation = operation;
	return &request;
}

static int call(const int *fds, size_t n_fds)
{
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	ck_assert_msg(sendmsg(helper_fd, &message, MSG_NOSIGNAL) == sizeof(request),
		      "cannot reach the helper: %s", strerror(errno));
	ck_assert_msg(recv(helper_fd, &answer, sizeof(answer), 0) == sizeof(answer),
		      "no answer from the helper: %s", strerror(errno));
	return answer.result;
}

void helper_reset(void)
{
	int r;

	new_request(OP_RESET);
	r = call(NULL, 0);
	ck_assert_msg(r == 0, "cannot make a fresh start: %s", strerror(-r));
}

static struct request *new_spawn(const char *user, const char *const argv[])
{
	struct request *spawn = new_request(OP_SPAWN);

	snprintf(spawn->user, sizeof(spawn->user), "%s", user);
	for (; argv[spawn->n_arguments]; spawn->n_arguments++) {
		ck_assert_uint_lt(spawn->n_arguments, MAX_ARGUMENTS);
		snprintf(spawn->arguments[spawn->n_arguments], sizeof(spawn->arguments[0]), "%s",
			 argv[spawn->n_arguments]);
	}
	return spawn;
}

int helper_spawn_with_pid(const char *user, pid_t pid, const char *const argv[])
{
	struct request *spawn = new_spawn(user, argv);
	int r;

	spawn->pid = pid;
	r = call(NULL, 0);
	return r < 0 ? r : 0;
}

pid_t helper_spawn(const char *user, const char *const argv[], int stdin_fd, int stdout_fd)
{
	struct request *spawn = new_spawn(user, argv);
	int fds[2], n_fds = 0, r;

	spawn->has_fd[0] = stdin_fd >= 0;
	if (stdin_fd >= 0)
		fds[n_fds++] = stdin_fd;
	spawn->has_fd[1] = stdout_fd >= 0;
	if (stdout_fd >= 0)
		fds[n_fds++] = stdout_fd;
	r = call(fds, (size_t)n_fds);
	ck_assert_msg(r > 0, "cannot start %s as %s: %s", argv[0], user, strerror(-r));
	return r;
}

int helper_wait(pid_t pid, int timeout_ms)
{
	struct request *wait = new_request(OP_WAIT);
	int r;

	wait->pid = pid;
	wait->number = timeout_ms;
	r = call(NULL, 0);
	ck_assert_msg(r >= 0, "process %d: %s", pid, strerror(-r));
	return r;
}

int helper_kill(pid_t pid, int signal_number)
{
	struct request *kill_request = new_request(OP_KILL);

	kill_request->pid = pid;
	kill_request->number = signal_number;
	return call(NULL, 0);
}

pid_t helper_daemon_pid(void)
{
	int r;

	new_request(OP_DAEMON_PID);
	r = call(NULL, 0);
	ck_assert_msg(r > 0, "the daemon has ended");
	return r;
}

int helper_end_daemon(int signal_number)
{
	struct request *end = new_request(OP_END_DAEMON);
	int r;

	end->number = signal_number;
	r = call(NULL, 0);
	ck_assert_msg(r >= 0, "the daemon does not end: %s", strerror(-r));
	return r;
}

void helper_start_daemon(void)
{
	int r;

	new_request(OP_START_DAEMON);
	r = call(NULL, 0);
	ck_assert_msg(r == 0, "the daemon does not start: %s", strerror(-r));
}

void helper_restart_with_settings(const char *text)
{
	struct request *restart = new_request(OP_RESTART_WITH_SETTINGS);
	int r;

	snprintf(restart->arguments[0], sizeof(restart->arguments[0]), "%s", text);
	r = call(NULL, 0);
	ck_assert_msg(r == 0, "the daemon does not restart: %s", strerror(-r));
}

int helper_objects(pid_t pid, Objects *ret)
{
	struct request *objects = new_request(OP_OBJECTS);
	int r;

	objects->pid = pid;
	r = call(NULL, 0);
	if (r >= 0)
		*ret = answer.objects;
	return r;
}

void helper_expect_descriptors(pid_t pid, const Objects *before)
{
	int64_t deadline = now_ms() + DESCRIPTORS_MS;
	Objects now;

	for (;;) {
		ck_assert_int_eq(helper_objects(pid, &now), 0);
		if (now.n_fds <= before->n_fds && now.n_perf_events <= before->n_perf_events)
			return;
		ck_assert_msg(now_ms() < deadline,
			      "%u descriptors, of them %u perf events; before it were %u and %u",
			      now.n_fds, now.n_perf_events, before->n_fds, before->n_perf_events);
		usleep(5000);
	}
}

size_t helper_wait_objects_gone(const Objects *objects, const Objects *except, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct request *alive;
	int r;

	for (;;) {
		alive = new_request(OP_ALIVE);
		alive->objects = *objects;
		if (except)
			alive->except = *except;
		r = call(NULL, 0);
		ck_assert_int_ge(r, 0);
		if (r == 0 || now_ms() > deadline)
			return (size_t)r;
		usleep(20000);
	}
}

void helper_mark_objects(ObjectMarks *ret)
{
	int r;

	new_request(OP_MARK);
	r = call(NULL, 0);
	ck_assert_msg(r == 0, "cannot list the kernel's BPF objects: %s", strerror(-r));
	*ret = answer.marks;
}

int helper_wait_objects_left(const ObjectMarks *marks, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	int r;

	for (;;) {
		new_request(OP_LEFT)->marks = *marks;
		r = call(NULL, 0);
		ck_assert_int_ge(r, 0);
		if (r == 0 || now_ms() > deadline)
			return r;
		usleep(20000);
	}
}

void helper_end_children(void)
{
	new_request(OP_END_CHILDREN);
	call(NULL, 0);
}

void helper_set_paranoid(int value)
{
	struct request *set = new_request(OP_SET_PARANOID);
	int r;

	set->number = value;
	r = call(NULL, 0);
	ck_assert_msg(r == 0, "cannot set perf_event_paranoid to %d: %s", value, strerror(-r));
}

void helper_make_set_user_id(const char *program, const char *owner, char ret[static 256])
{
	struct request *make = new_request(OP_SET_USER_ID);
	int r;

	snprintf(make->user, sizeof(make->user), "%s", owner);
	snprintf(make->arguments[0], sizeof(make->arguments[0]), "%s", program);
	r = call(NULL, 0);
	ck_assert_msg(r == 0, "cannot make a set-user-ID copy of %s: %s", program, strerror(-r));
	memcpy(ret, answer.text, 256);
}
