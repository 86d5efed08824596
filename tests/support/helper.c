/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket between a test case and the helper that stayed root: one request, one answer, both of
 * fixed size, descriptors beside them. One test case at a time, so there is nothing to tell apart.
 */
#include "tests/support/helper.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/staging.h"

enum {
	MAX_ARGUMENTS = 16,
	MAX_CHILDREN = 64,
	END_DAEMON_MS = 10000,
	DESCRIPTORS_MS = 2000,
};

enum operation {
	OP_RESET,
	OP_SPAWN,
	OP_WAIT,
	OP_KILL,
	OP_DAEMON_PID,
	OP_END_DAEMON,
	OP_START_DAEMON,
	OP_OBJECTS,
	OP_ALIVE,
	OP_SET_USER_ID,
	OP_SET_PARANOID,
	OP_RESTART_WITH_SETTINGS,
	OP_MARK,
	OP_LEFT,
	OP_END_CHILDREN,
};

struct request {
	enum operation operation;
	pid_t pid;
	int number; /* signal, milliseconds or the setting's value */
	bool has_fd[2];
	char user[64];
	char arguments[MAX_ARGUMENTS][256];
	unsigned n_arguments;
	Objects objects, except;
	ObjectMarks marks;
};

struct answer {
	int result; /* of the operation, or negative errno */
	char text[256];
	Objects objects;
	ObjectMarks marks;
};

/* ---- the root side --------------------------------------------------------------------------- */

typedef struct Helper {
	Environment *environment;
	pid_t children[MAX_CHILDREN];
	size_t n_children;
	unsigned n_copies;
	int paranoid; /* to be set back; PARANOID_LEFT_ALONE */
} Helper;

#define PARANOID_FILE       "/proc/sys/kernel/perf_event_paranoid"
#define PARANOID_LEFT_ALONE INT_MIN

static int write_paranoid(int value)
{
	FILE *file = fopen(PARANOID_FILE, "we");
	int r;

	if (!file)
		return -errno;
	r = fprintf(file, "%d\n", value) < 0 ? -EIO : 0;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

static int do_set_paranoid(Helper *helper, int value)
{
	int before, r;
	FILE *file;

	file = fopen(PARANOID_FILE, "re");
	if (!file)
		return -errno;
	r = fscanf(file, "%d", &before) == 1 ? 0 : -EIO;
	fclose(file);
	if (r == 0)
		r = write_paranoid(value);
	if (r == 0 && helper->paranoid == PARANOID_LEFT_ALONE)
		helper->paranoid = before;
	return r;
}

static void restore_paranoid(Helper *helper)
{
	if (helper->paranoid == PARANOID_LEFT_ALONE)
		return;
	if (write_paranoid(helper->paranoid) < 0)
		fprintf(stderr, "set back yourself: sysctl kernel.perf_event_paranoid=%d\n",
			helper->paranoid);
	helper->paranoid = PARANOID_LEFT_ALONE;
}

static void forget_child(Helper *helper, pid_t pid)
{
	for (size_t i = 0; i < helper->n_children; i++) {
		if (helper->children[i] == pid) {
			helper->children[i] = helper->children[--helper->n_children];
			return;
		}
	}
}

static int do_restart(Helper *helper, const char *settings)
{
	int r;

	environment_stop_daemon(helper->environment);
	r = environment_set_settings(helper->environment, settings);
	return r < 0 ? r : environment_start_daemon(helper->environment);
}

static void end_children(Helper *helper)
{
	while (helper->n_children > 0) {
		pid_t pid = helper->children[--helper->n_children];

		kill(pid, SIGKILL);
		process_wait(pid, -1, NULL);
	}
}

static int do_reset(Helper *helper)
{
	restore_paranoid(helper);
	end_children(helper);
	if (environment_has_settings(helper->environment))
		return do_restart(helper, NULL);
	if (environment_daemon_lives(helper->environment))
		return 0;
	return environment_start_daemon(helper->environment);
}

static int do_spawn(Helper *helper, const struct request *request, const int fds[2])
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	const char *argv[MAX_ARGUMENTS + 1] = {NULL};
	char **variables = NULL;
	Identity who;
	pid_t pid;
	int r;

	if (helper->n_children == MAX_CHILDREN)
		return -EAGAIN;
	r = identity_by_name(request->user, &who);
	if (r < 0)
		return r;
	r = environment_variables(helper->environment, &who, &variables);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < request->n_arguments; i++)
		argv[i] = request->arguments[i];
	options.who = &who;
	options.environ = variables;
	options.stdin_fd = fds[0];
	options.stdout_fd = fds[1];
	options.dies_with_us = true;
	options.wanted_pid = request->pid;
	r = process_spawn(argv, &options, &pid);
	environment_variables_free(variables);
	if (r < 0)
		return r;
	helper->children[helper->n_children++] = pid;
	return pid;
}

static int do_wait(Helper *helper, const struct request *request)
{
	int status, r;

	r = process_wait(request->pid, request->number, &status);
	if (r < 0)
		return r;
	forget_child(helper, request->pid);
	return process_exit_status(status);
}

static int do_end_daemon(Helper *helper, int signal_number)
{
	pid_t pid = environment_daemon_pid(helper->environment);
	int status, r;

	if (pid == 0)
		return -ESRCH;
	kill(pid, signal_number);
	r = process_wait(pid, END_DAEMON_MS, &status);
	if (r < 0)
		return r;
	environment_forget_daemon(helper->environment);
	return process_exit_status(status);
}

static int do_set_user_id(Helper *helper, const struct request *request, char text[static 256])
{
	Identity owner;
	int r;

	r = identity_by_name(request->user, &owner);
	if (r < 0)
		return r;
	snprintf(text, 256, "%s/set-user-id-%u", environment_directory(helper->environment),
		 helper->n_copies++);
	r = staging_copy_file(request->arguments[0], text);
	if (r < 0)
		return r;
	if (chown(text, owner.uid, owner.gid) < 0 || chmod(text, 04755) < 0)
		return -errno;
	return 0;
}

static void handle(Helper *helper, const struct request *request, const int fds[2],
		   struct answer *answer)
{
	switch (request->operation) {
	case OP_RESET:
		answer->result = do_reset(helper);
		return;
	case OP_SPAWN:
		answer->result = do_spawn(helper, request, fds);
		return;
	case OP_WAIT:
		answer->result = do_wait(helper, request);
		return;
	case OP_KILL:
		answer->result = kill(request->pid, request->number) < 0 ? -errno : 0;
		return;
	case OP_DAEMON_PID:
		answer->result = environment_daemon_lives(helper->environment)
					 ? environment_daemon_pid(helper->environment)
					 : -ESRCH;
		return;
	case OP_END_DAEMON:
		answer->result = do_end_daemon(helper, request->number);
		return;
	case OP_START_DAEMON:
		answer->result = environment_start_daemon(helper->environment);
		return;
	case OP_OBJECTS:
		answer->result = objects_of(request->pid, &answer->objects);
		return;
	case OP_ALIVE:
		answer->result = (int)objects_alive(&request->objects, &request->except);
		return;
	case OP_SET_USER_ID:
		answer->result = do_set_user_id(helper, request, answer->text);
		return;
	case OP_RESTART_WITH_SETTINGS:
		answer->result = do_restart(helper, request->arguments[0]);
		return;
	case OP_SET_PARANOID:
		answer->result = do_set_paranoid(helper, request->number);
		return;
	case OP_MARK:
		answer->result = objects_mark(&answer->marks);
		return;
	case OP_LEFT:
		answer->result = objects_left(&request->marks,
					      environment_daemon_pid(helper->environment));
		return;
	case OP_END_CHILDREN:
		end_children(helper);
		return;
	}
	answer->result = -EINVAL;
}

/* Return: 1 with *ret and its descriptors (-EBADF: none), 0 at the end, negative errno. */
static int receive(int socket_fd, struct request *ret, int ret_fds[2])
{
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *cmsg;
	int fds[2] = {-EBADF, -EBADF}, next = 0;
	ssize_t n;

	n = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	if (n != sizeof(*ret))
		return -EBADMSG;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	for (int i = 0; i < 2; i++)
		ret_fds[i] = ret->has_fd[i] ? fds[next++] : -EBADF;
	return 1;
}

int helper_serve(Environment *environment, int socket_fd)
{
	Helper helper = {.environment = environment, .paranoid = PARANOID_LEFT_ALONE};
	struct request *request = malloc(sizeof(*request));
	struct answer *answer = malloc(sizeof(*answer));
	int fds[2] = {-EBADF, -EBADF}, r = request && answer ? 1 : -ENOMEM;

	while (r > 0) {
		r = receive(socket_fd, request, fds);
		if (r <= 0)
			break;
		memset(answer, 0, sizeof(*answer));
		handle(&helper, request, fds, answer);
		for (int i = 0; i < 2; i++) {
			if (fds[i] >= 0)
				close(fds[i]);
		}
		if (send(socket_fd, answer, sizeof(*answer), MSG_NOSIGNAL) != sizeof(*answer))
			r = -errno;
	}
	restore_paranoid(&helper);
	free(request);
	free(answer);
	return r == -ECONNRESET || r == -EPIPE ? 0 : r;
}

/* ---- the test's side ------------------------------------------------------------------------- */

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
