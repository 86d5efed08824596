/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session: the hold on one target, its ring of hits (hit_reader.c), and its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/internal.h"

/* ---- The end --------------------------------------------------------------------------------- */

/* Fills in the client's error for a session that is over. Return: its number. */
static int tell_end(bpcond_session *session)
{
	bpcond_error *error = &session->client->error;

	switch (session->end) {
	case BPCOND_TARGET_EXITED:
		return error_set(error, -ESRCH, CLIENT_ERROR_EXITED,
				 "process %d has exited, and the session with it",
				 (int)session->pid);
	case BPCOND_TARGET_EXEC:
		return error_set(error, -ESRCH, CLIENT_ERROR_EXITED,
				 "process %d runs another program now, and the session has ended; "
				 "open another session",
				 (int)session->pid);
	case BPCOND_DAEMON_LOST:
		return error_set(error, -ECONNRESET, CLIENT_ERROR_DAEMON_LOST,
				 "the connection to bpcondd is lost, and the session with it; see "
				 "why ('journalctl -u bpcondd'), then connect again");
	case BPCOND_DAEMON_STOPPED:
		return error_set(error, -ESHUTDOWN, CLIENT_ERROR_DAEMON_LOST,
				 "bpcondd was stopped, and the session with it; start it "
				 "('systemctl start bpcondd') and connect again");
	case BPCOND_CLOSED_BY_ADMINISTRATOR:
		return error_set(error, -ESHUTDOWN, CLIENT_ERROR_FAILED,
				 "an administrator closed the session; ask why before opening "
				 "another");
	case BPCOND_CLOSED:
	case BPCOND_RUNNING:
		break;
	}
	return error_set(error, -ESHUTDOWN, CLIENT_ERROR_FAILED,
			 "the session was closed; open another");
}

int session_check(bpcond_session *session)
{
	client_dispatch(session->client);
	return session->end == BPCOND_RUNNING ? 0 : tell_end(session);
}

/* Errors of a call that has found nobody. */
static bool found_nobody(int r)
{
	return r == -ENOENT || r == -ETIMEDOUT || r == -ECONNRESET || r == -EHOSTUNREACH;
}

/* What the call came to: `r`, or why the session has ended. */
static int outcome(bpcond_session *session, const char *path, int r)
{
	if (r >= 0 || !found_nobody(r))
		return r;
	/* What the daemon said of its end was on the way before the answer. */
	client_dispatch(session->client);
	if (session->end == BPCOND_RUNNING && r == -ENOENT && strcmp(path, session->path) == 0)
		session_ended(session, BPCOND_DAEMON_LOST);
	return session->end == BPCOND_RUNNING ? r : tell_end(session);
}

int session_call(bpcond_session *session, const char *path, const char *interface,
		 const char *member, FillMessage fill, const void *userdata,
		 sd_bus_message **ret_reply)
{
	return outcome(
		session, path,
		client_call(session->client, path, interface, member, fill, userdata, ret_reply));
}

int session_call_away(bpcond_session *session, const char *path, const char *interface,
		      const char *member)
{
	return outcome(session, path, client_call_away(session->client, path, interface, member));
}

/* ---- The ring -------------------------------------------------------------------------------- */

static int take_ring(bpcond_session *session)
{
	bpcond_client *client = session->client;
	sd_bus_message *reply;
	int fd, r;

	r = session_call(session, session->path, BPCOND_SESSION_INTERFACE, "TakeHits", NULL, NULL,
			 &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "h", &fd);
	if (r < 0) {
		r = client_bad_reply(client, "TakeHits");
		goto finish;
	}
	r = hit_reader_map(&session->hits, fd);
finish:
	sd_bus_message_unref(reply);
	return r;
}

typedef struct ForwardArguments {
	int sink_fd;
	const char *format;
} ForwardArguments;

static int fill_forward(sd_bus_message *m, const void *userdata)
{
	const ForwardArguments *arguments = userdata;

	return sd_bus_message_append(m, "hs", arguments->sink_fd, arguments->format);
}

static int forward_ring(bpcond_session *session, int sink_fd, enum bpcond_forward format)
{
	const ForwardArguments arguments = {
		.sink_fd = sink_fd,
		.format = format == BPCOND_FORWARD_BINARY ? "binary" : "json-lines",
	};

	return session_call(session, session->path, BPCOND_SESSION_INTERFACE, "Forward",
			    fill_forward, &arguments, NULL);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The process that a pidfd names, in our pid namespace. Return: its pid; -ESRCH when it has been
 * reaped or lives in a namespace that we cannot see; -EBADF when it is no pidfd. */
static int pid_of(int pidfd)
{
	char path[64], line[128];
	int pid = -1;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "re");
	if (file == NULL)
		return -EBADF;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Pid: %d", &pid) == 1)
			found = true;
	}
	fclose(file);
	if (!found)
		return -EBADF;
	return pid > 0 ? pid : -ESRCH;
}

typedef struct OpenArguments {
	int pid_fd;
	const bpcond_session_options *options;
} OpenArguments;

/* An option that the caller's version of the structure has. */
#define HAS_OPTION(options, field)                                                                \
	((options) != NULL &&                                                                     \
	 (options)->size >= offsetof(bpcond_session_options, field) + sizeof((options)->field) && \
	 (options)->field)

/* What the daemon takes as a name at the most. */
#define MAX_NAME 64

/* This program's short name, which whoever started it chose: only what the bus and the daemon take. */
static void default_name(char ret[static MAX_NAME + 1])
{
	const char *name = program_invocation_short_name;
	size_t i;

	for (i = 0; i < MAX_NAME && name[i] != '\0'; i++)
		ret[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
	ret[i] = '\0';
}

static int fill_open(sd_bus_message *m, const void *userdata)
{
	const OpenArguments *arguments = userdata;
	const bpcond_session_options *options = arguments->options;
	char own_name[MAX_NAME + 1];
	const char *name = own_name;
	int r;

	default_name(own_name);
	if (HAS_OPTION(options, name))
		name = options->name;
	r = sd_bus_message_append(m, "h", arguments->pid_fd);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "client", "s", name);
	if (r >= 0 && HAS_OPTION(options, hits_bytes))
		r = sd_bus_message_append(m, "{sv}", "hits-bytes", "t", options->hits_bytes);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r;
}

static int open_on_bus(bpcond_session *session, const bpcond_session_options *options)
{
	const OpenArguments arguments = {.pid_fd = session->pid_fd, .options = options};
	bpcond_client *client = session->client;
	sd_bus_message *reply;
	const char *path;
	int r;

	r = client_call(client, BPCOND_OBJECT, BPCOND_MANAGER_INTERFACE, "OpenSession", fill_open,
			&arguments, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0) {
		r = client_bad_reply(client, "OpenSession");
	} else {
		session->path = strdup(path);
		r = session->path == NULL ? error_no_memory(&client->error) : 0;
	}
	sd_bus_message_unref(reply);
	return r;
}

/* Return: NULL. Takes half-built sessions; tells the daemon nothing. */
static bpcond_session *session_destroy(bpcond_session *session)
{
	while (session->breakpoints != NULL) {
		bpcond_breakpoint *breakpoint = session->breakpoints;

		session->breakpoints = breakpoint->next;
		breakpoint_free(breakpoint);
	}
	sd_bus_slot_unref(session->question);
	hit_reader_clear(&session->hits);
	close_fd(session->pid_fd);
	free(session->path);
	free(session);
	return NULL;
}

/* Takes pid_fd over, also on failure. */
static int session_new(bpcond_client *client, int pid_fd, pid_t pid,
		       const bpcond_session_options *options, bpcond_session **ret)
{
	bpcond_session *session;
	int r;

	if (HAS_OPTION(options, forward) && options->forward > BPCOND_FORWARD_BINARY) {
		close(pid_fd);
		return error_set(&client->error, -EINVAL, CLIENT_ERROR_FAILED,
				 "there is no form %u of forwarded hits; use one of enum "
				 "bpcond_forward",
				 (unsigned)options->forward);
	}
	r = client_check_connection(client);
	if (r < 0) {
		close(pid_fd);
		return r;
	}
	session = calloc(1, sizeof(*session));
	if (session == NULL) {
		close(pid_fd);
		return error_no_memory(&client->error);
	}
	session->client = client;
	session->pid = pid;
	session->pid_fd = pid_fd;

	r = hit_reader_init(&session->hits, client);
	if (r < 0) {
		session_destroy(session);
		return r;
	}
	r = open_on_bus(session, options);
	if (r < 0) {
		session_destroy(session);
		return r;
	}
	/* From here on it is the daemon's too: signals are for it, and freeing closes it. */
	session->next = client->sessions;
	client->sessions = session;
	if (HAS_OPTION(options, forward))
		r = forward_ring(session, options->forward_fd, options->forward);
	else
		r = take_ring(session);
	if (r < 0) {
		bpcond_session_free(session);
		return r;
	}
	*ret = session;
	return 0;
}

int bpcond_session_open_pidfd(bpcond_client *client, int pidfd,
			      const bpcond_session_options *options, bpcond_session **ret)
{
	int fd, pid;

	pid = pid_of(pidfd);
	if (pid == -ESRCH)
		return error_set(&client->error, -ESRCH, CLIENT_ERROR_NO_TARGET,
				 "the process of this pidfd has ended, or is in a pid namespace "
				 "that this process cannot see; open a session on one that runs");
	if (pid < 0)
		return error_set(&client->error, pid, CLIENT_ERROR_NO_TARGET,
				 "descriptor %d is no pidfd; get one from pidfd_open(2)", pidfd);
	fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return error_set(&client->error, -errno, CLIENT_ERROR_FAILED,
				 "cannot keep the pidfd: %s; raise the limit of open files",
				 strerror(errno));
	return session_new(client, fd, pid, options, ret);
}

/* The process that a thread id belongs to. Return: its pid; 0 when that cannot be found out. */
static pid_t process_of_thread(pid_t tid)
{
	char path[64], line[128];
	int tgid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	}
	fclose(file);
	return tgid;
}

int bpcond_session_open(bpcond_client *client, pid_t pid, const bpcond_session_options *options,
			bpcond_session **ret)
{
	pid_t leader;
	int fd, number;

	if (pid <= 0)
		return error_set(&client->error, -ESRCH, CLIENT_ERROR_NO_TARGET,
				 "%d is no process id; give that of a running process", (int)pid);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0)
		return session_new(client, fd, pid, options, ret);

	number = -errno;
	/* The kernel's answer for a thread that does not lead: EINVAL, since 6.9 ENOENT. */
	leader = number == -EINVAL || number == -ENOENT ? process_of_thread(pid) : 0;
	if (leader > 0 && leader != pid)
		return error_set(&client->error, -ESRCH, CLIENT_ERROR_NO_TARGET,
				 "%d is a thread of process %d; give the process, and name the "
				 "thread in the spec or the condition ($_tid == %d)",
				 (int)pid, (int)leader, (int)pid);
	if (number == -ESRCH || number == -EINVAL || number == -ENOENT)
		return error_set(&client->error, -ESRCH, CLIENT_ERROR_NO_TARGET,
				 "there is no process %d; give the id of a running one", (int)pid);
	return error_set(&client->error, number, CLIENT_ERROR_FAILED,
			 "cannot open a pidfd of process %d: %s", (int)pid, strerror(-number));
}

void session_ended(bpcond_session *session, enum bpcond_end end)
{
	if (session->end != BPCOND_RUNNING)
		return;
	session->end = end;
	hit_reader_wake(&session->hits);
}

void session_breakpoints_changed(bpcond_session *session)
{
	for (bpcond_breakpoint *b = session->breakpoints; b != NULL; b = b->next) {
		if (!b->has_last_word || b->removed)
			continue;
		b->removed = true;
		hit_reader_wake(&session->hits);
	}
}

int bpcond_session_close(bpcond_session *session)
{
	bpcond_error before = session->client->error;
	int r;

	client_dispatch(session->client);
	if (session->end != BPCOND_RUNNING)
		return 0;
	r = client_call_away(session->client, session->path, BPCOND_SESSION_INTERFACE, "Close");
	/* It can have ended meanwhile; then its object is gone, or the daemon is. */
	client_dispatch(session->client);
	if (r >= 0)
		session_ended(session, BPCOND_CLOSED);
	if (session->end == BPCOND_RUNNING)
		return r;
	session->client->error = before;
	return 0;
}

bpcond_session *bpcond_session_free(bpcond_session *session)
{
	bpcond_session **link;
	bpcond_error before;

	if (session == NULL)
		return NULL;
	/* Freeing does not fail: the last error stays the one to tell. */
	before = session->client->error;
	bpcond_session_close(session);
	session->client->error = before;
	for (link = &session->client->sessions; *link != NULL; link = &(*link)->next) {
		if (*link == session) {
			*link = session->next;
			break;
		}
	}
	return session_destroy(session);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Return: -ENOENT, told, for each breakpoint that another program removed, once; 0. */
static int report_removal(bpcond_session *session)
{
	bool woken = false;

	for (bpcond_breakpoint *b = session->breakpoints; b != NULL; b = b->next) {
		woken = woken || b->removed;
		if (!b->removed || b->removal_reported)
			continue;
		b->removal_reported = true;
		return error_set(&session->client->error, -ENOENT, CLIENT_ERROR_FAILED,
				 "breakpoint %" PRIu32 " was removed by another program; add it "
				 "again if it is still wanted",
				 b->number);
	}
	if (woken)
		hit_reader_calm(&session->hits);
	return 0;
}

/* Return: the negative errno of the session's end, told; while it runs that of a breakpoint's removal,
 * or 0; 0 too when a client that holds events has been told of the loss already. */
static int report_end(void *owner)
{
	bpcond_session *session = owner;

	if (session->end == BPCOND_RUNNING)
		return report_removal(session);
	if (session->end == BPCOND_DAEMON_LOST && session->events_taken) {
		if (session->end_reported)
			return 0;
		session->end_reported = true;
		/* Its descriptor is to be ready for hits only from now on. */
		hit_reader_calm(&session->hits);
	}
	return tell_end(session);
}

int bpcond_session_wait(bpcond_session *session, int timeout_ms, const struct bpcond_hit **ret)
{
	return hit_reader_wait(&session->hits, timeout_ms, report_end, session, ret);
}

/* ---- Looking --------------------------------------------------------------------------------- */

int bpcond_session_fd(const bpcond_session *session)
{
	return session->hits.poll_fd;
}

enum bpcond_end bpcond_session_end(const bpcond_session *session)
{
	return session->end;
}

pid_t bpcond_session_pid(const bpcond_session *session)
{
	return session->pid;
}

const char *bpcond_session_path(const bpcond_session *session)
{
	return session->path;
}
