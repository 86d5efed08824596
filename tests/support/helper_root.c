/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The side of the helper that stays root and does what a test case may not.
 */
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

#include "tests/support/helper.h"
#include "tests/support/helper_protocol.h"
#include "tests/support/staging.h"

enum {
	MAX_CHILDREN = 64,
	END_DAEMON_MS = 10000,
};

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
		answer->result =
			objects_left(&request->marks, environment_daemon_pid(helper->environment));
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
