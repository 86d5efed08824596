/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A breakpoint as its client sees it: an object of the daemon for what only the daemon can do, and
 * two mapped pages for what needs nobody (maps.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/internal.h"
#include "client/symbols.h"
#include "client/reply.h"
#include "client/spec_json.h"

bpcond_breakpoint *breakpoint_free(bpcond_breakpoint *breakpoint)
{
	if (breakpoint == NULL)
		return NULL;
	counters_unmap(&breakpoint->counters);
	parameters_unmap(&breakpoint->parameters);
	free(breakpoint->threads);
	free(breakpoint->path);
	free(breakpoint);
	return NULL;
}

/* ---- Adding ---------------------------------------------------------------------------------- */

/*
 * Reads the watched memory as this process may, for `previous`. Memory that cannot be read leaves
 * it out: the filter then begins with the first value that it sees.
 */
static bool read_target(pid_t pid, uint64_t address, size_t length, uint64_t *ret)
{
	uint64_t value = 0; /* little-endian: the low bytes are the value */
	struct iovec local = {.iov_base = &value, .iov_len = length};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};

	if (process_vm_readv(symbols_living_thread(pid), &local, 1, &remote, 1, 0) !=
	    (ssize_t)length)
		return false;
	*ret = value;
	return true;
}

static int fill_string(sd_bus_message *m, const void *userdata)
{
	return sd_bus_message_append(m, "s", (const char *)userdata);
}

static int read_added(sd_bus_message *reply, const char *spec, bpcond_breakpoint *breakpoint)
{
	int counters_fd = -EBADF, parameters_fd = -EBADF, r;
	const ReplyFd fds[] = {{"counters", &counters_fd}, {"parameters", &parameters_fd}};
	const void *threads;
	const char *path;
	size_t size;

	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return r;
	breakpoint->path = strdup(path);
	if (breakpoint->path == NULL)
		return -ENOMEM;
	r = reply_number_of_path(path, &breakpoint->number);
	if (r < 0)
		return r;
	r = reply_read_fds(reply, fds, sizeof(fds) / sizeof(fds[0]));
	if (r < 0)
		return r;
	r = sd_bus_message_read_array(reply, 'u', &threads, &size);
	if (r < 0)
		return r;
	if (size > 0) {
		breakpoint->threads = malloc(size);
		if (breakpoint->threads == NULL)
			return -ENOMEM;
		memcpy(breakpoint->threads, threads, size);
		breakpoint->n_threads = size / sizeof(uint32_t);
	}
	if (counters_fd < 0)
		return -EPROTO;
	r = counters_map(counters_fd, &breakpoint->counters);
	if (r < 0)
		return r;
	return parameters_map(parameters_fd, spec, &breakpoint->parameters);
}

/* Sends a spec that is complete. */
static int add_complete(bpcond_session *session, const char *spec, bpcond_breakpoint **ret)
{
	bpcond_client *client = session->client;
	bpcond_breakpoint *breakpoint;
	sd_bus_message *reply;
	int r;

	breakpoint = calloc(1, sizeof(*breakpoint));
	if (breakpoint == NULL)
		return error_no_memory(&client->error);
	breakpoint->session = session;
	r = session_call(session, session->path, BPCOND_SESSION_INTERFACE, "AddBreakpoint",
			 fill_string, spec, &reply);
	if (r < 0) {
		breakpoint_free(breakpoint);
		return r;
	}
	r = read_added(reply, spec, breakpoint);
	sd_bus_message_unref(reply);
	if (r < 0) {
		/* What nobody can look at is not to go on running. */
		if (breakpoint->path != NULL)
			client_call(client, breakpoint->path, BPCOND_BREAKPOINT_INTERFACE, "Remove",
				    NULL, NULL, NULL);
		breakpoint_free(breakpoint);
		if (r == -EPROTO || r == -ENXIO || r == -EBADMSG)
			return client_bad_reply(client, "AddBreakpoint");
		return error_set(&client->error, r, CLIENT_ERROR_FAILED,
				 "cannot map the counters of the breakpoint: %s", strerror(-r));
	}
	breakpoint->next = session->breakpoints;
	session->breakpoints = breakpoint;
	if (ret != NULL)
		*ret = breakpoint;
	return 0;
}

int bpcond_session_add(bpcond_session *session, const char *spec, bpcond_breakpoint **ret)
{
	uint64_t address, previous;
	char *complete = NULL;
	size_t length;
	int r;

	r = session_check(session);
	if (r < 0)
		return r;
	if (spec_lacks_previous(spec, &address, &length) &&
	    read_target(session->pid, address, length, &previous)) {
		r = spec_add_previous(spec, previous, &complete);
		if (r < 0)
			return error_no_memory(&session->client->error);
	}
	r = add_complete(session, complete != NULL ? complete : spec, ret);
	free(complete);
	return r;
}

int bpcond_session_break(bpcond_session *session, const bpcond_request *request,
			 bpcond_breakpoint **ret)
{
	char *spec;
	int r;

	r = bpcond_spec_from_request(session->pid, request, &spec, &session->client->error);
	if (r < 0)
		return r;
	r = bpcond_session_add(session, spec, ret);
	free(spec);
	return r;
}

/* ---- Steering -------------------------------------------------------------------------------- */

/* A session that has ended, or a breakpoint that has been removed, as far as signals tell. */
static int check_there(const bpcond_breakpoint *breakpoint)
{
	int r = session_check(breakpoint->session);

	if (r < 0)
		return r;
	if (breakpoint->removed)
		return error_set(&breakpoint->session->client->error, -ENOENT, CLIENT_ERROR_FAILED,
				 "breakpoint %u was removed by another program; add it again if it "
				 "is still wanted",
				 (unsigned)breakpoint->number);
	return 0;
}

static int call_plain(bpcond_breakpoint *breakpoint, const char *member)
{
	int r = check_there(breakpoint);

	if (r < 0)
		return r;
	return session_call(breakpoint->session, breakpoint->path, BPCOND_BREAKPOINT_INTERFACE,
			    member, NULL, NULL, NULL);
}

int bpcond_breakpoint_enable(bpcond_breakpoint *breakpoint)
{
	return call_plain(breakpoint, "Enable");
}

int bpcond_breakpoint_disable(bpcond_breakpoint *breakpoint)
{
	return call_plain(breakpoint, "Disable");
}

int bpcond_breakpoint_remove(bpcond_breakpoint *breakpoint)
{
	bpcond_client *client = breakpoint->session->client;
	bpcond_error before = client->error;
	bpcond_breakpoint **link;
	int r;

	r = check_there(breakpoint);
	if (r >= 0)
		r = session_call_away(breakpoint->session, breakpoint->path,
				      BPCOND_BREAKPOINT_INTERFACE, "Remove");
	if (breakpoint->removed)
		r = 0;
	if (r == 0)
		client->error = before;
	for (link = &breakpoint->session->breakpoints; *link != NULL; link = &(*link)->next) {
		if (*link == breakpoint) {
			*link = breakpoint->next;
			break;
		}
	}
	breakpoint_free(breakpoint);
	return r;
}

bpcond_breakpoint *bpcond_session_breakpoint(const bpcond_session *session, uint32_t number)
{
	for (bpcond_breakpoint *b = session->breakpoints; b != NULL; b = b->next) {
		if (b->number == number)
			return b;
	}
	return NULL;
}

int bpcond_breakpoint_is_removed(const bpcond_breakpoint *breakpoint)
{
	return breakpoint->removed;
}

uint32_t bpcond_breakpoint_number(const bpcond_breakpoint *breakpoint)
{
	return breakpoint->number;
}

const char *bpcond_breakpoint_path(const bpcond_breakpoint *breakpoint)
{
	return breakpoint->path;
}

size_t bpcond_breakpoint_threads(const bpcond_breakpoint *breakpoint, const pid_t **ret)
{
	*ret = breakpoint->threads;
	return breakpoint->n_threads;
}

volatile int64_t *bpcond_breakpoint_parameter(const bpcond_breakpoint *breakpoint, const char *name)
{
	return parameters_find(&breakpoint->parameters, name);
}

int bpcond_breakpoint_set_parameter(bpcond_breakpoint *breakpoint, const char *name, int64_t value)
{
	volatile int64_t *place = parameters_find(&breakpoint->parameters, name);

	if (place == NULL)
		return error_set(&breakpoint->session->client->error, -ENOENT, CLIENT_ERROR_FAILED,
				 "this breakpoint has no parameter '%s'; declare it in the spec",
				 name);
	__atomic_store_n(place, value, __ATOMIC_RELEASE);
	return 0;
}

/* ---- Counts ---------------------------------------------------------------------------------- */

void bpcond_breakpoint_counters(const bpcond_breakpoint *breakpoint, struct bpcond_counters *ret)
{
	counters_sum(&breakpoint->counters, ret);
}

int breakpoint_read_counts(sd_bus_message *m, bpcond_counts *ret)
{
	const struct {
		const char *name;
		size_t offset;
	} table[] = {
		{"Traps", offsetof(bpcond_counts, traps)},
		{"Evaluated", offsetof(bpcond_counts, evaluated)},
		{"Hits", offsetof(bpcond_counts, hits)},
		{"Rejected", offsetof(bpcond_counts, rejected)},
		{"Withheld", offsetof(bpcond_counts, withheld)},
		{"Faults", offsetof(bpcond_counts, faults)},
		{"Dropped", offsetof(bpcond_counts, dropped)},
		{"Unsignalled", offsetof(bpcond_counts, unsignalled)},
		{"Lost", offsetof(bpcond_counts, lost)},
	};
	enum {
		N = sizeof(table) / sizeof(table[0]),
	};
	bpcond_counts counts = {};
	unsigned found = 0;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r < 0)
		return r;
	for (;;) {
		const char *name;
		size_t i;

		r = sd_bus_message_enter_container(m, 'e', "sv");
		if (r < 0)
			return r;
		if (r == 0)
			break;
		r = sd_bus_message_read(m, "s", &name);
		if (r < 0)
			return r;
		for (i = 0; i < N && strcmp(table[i].name, name) != 0; i++)
			;
		if (i < N) {
			r = sd_bus_message_read(m, "v", "t", (char *)&counts + table[i].offset);
			found |= 1U << i;
		} else {
			r = sd_bus_message_skip(m, "v");
		}
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	/* Numbers of different moments do not add up: all or nothing. */
	if (found != (1U << N) - 1)
		return -ENODATA;
	*ret = counts;
	return 0;
}

/* Return: 0 and *ret; -EAGAIN when the session has ended, or the breakpoint was removed, meanwhile;
 * another negative errno. */
static int ask_counts(bpcond_breakpoint *breakpoint, bpcond_counts *ret)
{
	bpcond_client *client = breakpoint->session->client;
	sd_bus_message *reply;
	int r;

	r = client_call(client, breakpoint->path, "org.freedesktop.DBus.Properties", "GetAll",
			fill_string, BPCOND_BREAKPOINT_INTERFACE, &reply);
	if (r < 0) {
		client_dispatch(client);
		return breakpoint->session->end == BPCOND_RUNNING && !breakpoint->removed ? r
											  : -EAGAIN;
	}
	r = breakpoint_read_counts(reply, ret);
	sd_bus_message_unref(reply);
	return r < 0 ? client_bad_reply(client, "GetAll") : 0;
}

int bpcond_breakpoint_counts(bpcond_breakpoint *breakpoint, bpcond_counts *ret)
{
	bpcond_client *client = breakpoint->session->client;
	bpcond_error before = client->error;
	int r;

	client_dispatch(client);
	if (breakpoint->session->end == BPCOND_RUNNING && !breakpoint->removed) {
		r = ask_counts(breakpoint, ret);
		if (r != -EAGAIN)
			return r;
	}
	if (!breakpoint->has_last_word)
		return error_set(&client->error, -ENODATA, CLIENT_ERROR_FAILED,
				 "the session ended without a last word on its counts; what this "
				 "process can see is in bpcond_breakpoint_counters()");
	client->error = before;
	*ret = breakpoint->last_word;
	return 0;
}

/* ---- Events ---------------------------------------------------------------------------------- */

typedef struct EventList {
	bpcond_event *events;
	size_t n;
} EventList;

static void events_drop(EventList *list)
{
	for (size_t i = 0; i < list->n; i++)
		close(list->events[i].fd);
	free(list->events);
}

static int fill_first(sd_bus_message *m, const void *userdata)
{
	return sd_bus_message_append(m, "u", *(const uint32_t *)userdata);
}

static int read_events(sd_bus_message *m, EventList *list, size_t *ret_n)
{
	const uint32_t *threads;
	bpcond_event *events;
	size_t size, n, i;
	int fd, r;

	r = sd_bus_message_read_array(m, 'u', (const void **)&threads, &size);
	if (r < 0)
		return r;
	n = size / sizeof(uint32_t);
	events = reallocarray(list->events, list->n + n + 1, sizeof(*events));
	if (events == NULL)
		return -ENOMEM;
	list->events = events;
	r = sd_bus_message_enter_container(m, 'a', "h");
	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		r = sd_bus_message_read(m, "h", &fd);
		if (r <= 0)
			return r < 0 ? r : -EPROTO;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		list->events[list->n++] = (bpcond_event){.tid = (pid_t)threads[i], .fd = fd};
	}
	*ret_n = n;
	return 0;
}

int bpcond_breakpoint_take_events(bpcond_breakpoint *breakpoint, bpcond_event **ret, size_t *ret_n)
{
	bpcond_client *client = breakpoint->session->client;
	EventList list = {};
	sd_bus_message *reply;
	size_t n;
	int r;

	r = check_there(breakpoint);
	if (r < 0)
		return r;
	do {
		uint32_t first = (uint32_t)list.n;

		r = session_call(breakpoint->session, breakpoint->path, BPCOND_BREAKPOINT_INTERFACE,
				 "TakeEvents", fill_first, &first, &reply);
		if (r < 0) {
			events_drop(&list);
			return r;
		}
		r = read_events(reply, &list, &n);
		sd_bus_message_unref(reply);
		if (r < 0) {
			events_drop(&list);
			if (r == -EPROTO || r == -ENXIO || r == -EBADMSG)
				return client_bad_reply(client, "TakeEvents");
			return error_set(
				&client->error, r, CLIENT_ERROR_FAILED,
				"cannot keep the events: %s; raise the limit of open files",
				strerror(-r));
		}
	} while (n > 0);

	breakpoint->session->events_taken = true;
	*ret = list.events;
	*ret_n = list.n;
	return 0;
}
