/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lent filter: a program that the daemon has compiled and loaded, and that this process attaches to
 * perf events of its own. After the one call that borrows it nothing here needs the bus: attaching is
 * between the event and the kernel, parameters and counters are memory (maps.c), hits a ring.
 *
 * The kernel keeps the program as long as an event has it; whether anything is a hit is for the daemon
 * to say. So a filter that was returned, or whose daemon was stopped, rejects from then on, and the
 * events live on without hits.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/internal.h"
#include "client/reply.h"

/* ---- Borrowing ------------------------------------------------------------------------------- */

/* An option that the caller's version of the structure has. */
#define OPTION(options, field)                                                            \
	((options) != NULL && (options)->size >= offsetof(bpcond_filter_options, field) + \
							 sizeof((options)->field)         \
		 ? (options)->field                                                       \
		 : 0)

typedef struct LendArguments {
	const char *condition;
	const bpcond_filter_options *options;
} LendArguments;

static int append_number(sd_bus_message *m, const char *name, uint64_t value)
{
	return value == 0 ? 0 : sd_bus_message_append(m, "{sv}", name, "t", value);
}

static int append_parameters(sd_bus_message *m, const bpcond_parameter *parameters, size_t n)
{
	int r;

	if (n == 0)
		return 0;
	r = sd_bus_message_open_container(m, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "parameters");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a{sx}");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sx}");
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sd_bus_message_append(m, "{sx}", parameters[i].name, parameters[i].value);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int fill_lend(sd_bus_message *m, const void *userdata)
{
	const LendArguments *arguments = userdata;
	const bpcond_filter_options *options = arguments->options;
	const char *capture = OPTION(options, capture);
	int r;

	r = sd_bus_message_append(m, "s", arguments->condition);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = append_parameters(m, OPTION(options, parameters),
				      OPTION(options, n_parameters));
	if (r >= 0)
		r = append_number(m, "hits-bytes", OPTION(options, hits_bytes));
	if (r >= 0 && capture != NULL)
		r = sd_bus_message_append(m, "{sv}", "capture", "s", capture);
	if (r >= 0)
		r = append_number(m, "skip", OPTION(options, skip));
	if (r >= 0)
		r = append_number(m, "every", OPTION(options, every));
	if (r >= 0)
		r = append_number(m, "limit", OPTION(options, limit));
	if (r >= 0 && OPTION(options, fault_is_rejection))
		r = sd_bus_message_append(m, "{sv}", "on-fault", "s", "reject");
	if (r >= 0 && OPTION(options, only_when_traced))
		r = sd_bus_message_append(m, "{sv}", "only-when-traced", "b", 1);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Maps the parameters, whose values lie in the byte order of their names. */
static int map_parameters(bpcond_filter *filter, int fd, const bpcond_filter_options *options)
{
	const bpcond_parameter *parameters = OPTION(options, parameters);
	size_t n = OPTION(options, n_parameters), i;
	char **names = calloc(n + 1, sizeof(*names));

	if (names == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		names[i] = strdup(parameters[i].name);
		if (names[i] == NULL)
			break;
	}
	if (i < n) {
		while (i > 0)
			free(names[--i]);
		free(names);
		return -ENOMEM;
	}
	qsort(names, n, sizeof(*names), compare_names);
	return parameters_map_names(fd, names, n, &filter->parameters);
}

static int keep_fd(int fd, int *ret)
{
	if (fd < 0)
		return -EPROTO;
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? -errno : 0;
}

static int read_lent(sd_bus_message *reply, const bpcond_filter_options *options,
		     bpcond_filter *filter)
{
	int program_fd = -EBADF, counters_fd = -EBADF, parameters_fd = -EBADF;
	int hits_fd = -EBADF, counter_fd = -EBADF, r;
	const ReplyFd fds[] = {
		{"program", &program_fd},       {"counters", &counters_fd},
		{"parameters", &parameters_fd}, {"hits", &hits_fd},
		{"counter", &counter_fd},
	};
	const char *path;

	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return r;
	filter->path = strdup(path);
	if (filter->path == NULL)
		return -ENOMEM;
	r = reply_number_of_path(path, &filter->number);
	if (r < 0)
		return r;
	r = reply_read_fds(reply, fds, sizeof(fds) / sizeof(fds[0]));
	if (r < 0)
		return r;
	r = keep_fd(program_fd, &filter->program_fd);
	if (r < 0)
		return r;
	if (counter_fd >= 0) {
		r = keep_fd(counter_fd, &filter->counter_fd);
		if (r < 0)
			return r;
	}
	if (counters_fd < 0)
		return -EPROTO;
	r = counters_map(counters_fd, &filter->counters);
	if (r < 0)
		return r;
	r = map_parameters(filter, parameters_fd, options);
	if (r < 0)
		return r;
	if (hits_fd < 0)
		return 0;
	filter->has_ring = true;
	return hit_reader_map(&filter->hits, hits_fd);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Takes half-built ones; tells the daemon nothing. */
static void filter_destroy(bpcond_filter *filter)
{
	sd_bus_slot_unref(filter->question);
	counters_unmap(&filter->counters);
	parameters_unmap(&filter->parameters);
	hit_reader_clear(&filter->hits);
	close_fd(filter->program_fd);
	close_fd(filter->counter_fd);
	free(filter->path);
	free(filter);
}

/* The call itself. What was lent and cannot be used is given back. */
static int borrow(bpcond_filter *filter, const LendArguments *arguments)
{
	bpcond_client *client = filter->client;
	sd_bus_message *reply;
	int r;

	r = client_call(client, BPCOND_OBJECT, BPCOND_MANAGER_INTERFACE, "LendFilter", fill_lend,
			arguments, &reply);
	if (r < 0)
		return r;
	r = read_lent(reply, arguments->options, filter);
	sd_bus_message_unref(reply);
	if (r >= 0)
		return 0;
	if (filter->path != NULL)
		client_call(client, filter->path, BPCOND_FILTER_INTERFACE, "Return", NULL, NULL,
			    NULL);
	if (r == -EPROTO || r == -ENXIO || r == -EBADMSG)
		return client_bad_reply(client, "LendFilter");
	return error_set(
		&client->error, r, CLIENT_ERROR_FAILED,
		"cannot keep or map what came with the filter: %s; raise the limit of open "
		"files, or ask for a smaller ring (hits_bytes)",
		strerror(-r));
}

int bpcond_filter_lend(bpcond_client *client, const char *condition,
		       const bpcond_filter_options *options, bpcond_filter **ret)
{
	const LendArguments arguments = {.condition = condition, .options = options};
	bpcond_filter *filter;
	int r;

	r = client_check_connection(client);
	if (r < 0)
		return r;
	filter = calloc(1, sizeof(*filter));
	if (filter == NULL)
		return error_no_memory(&client->error);
	filter->client = client;
	filter->program_fd = -EBADF;
	filter->counter_fd = -EBADF;
	r = hit_reader_init(&filter->hits, client);
	if (r >= 0)
		r = borrow(filter, &arguments);
	if (r < 0) {
		filter_destroy(filter);
		return r;
	}
	filter->next = client->filters;
	client->filters = filter;
	*ret = filter;
	return 0;
}

int bpcond_filter_return(bpcond_filter *filter)
{
	bpcond_error before = filter->client->error;
	int r;

	client_dispatch(filter->client);
	if (filter->returned || filter->lost)
		return 0;
	r = client_call_away(filter->client, filter->path, BPCOND_FILTER_INTERFACE, "Return");
	/* Before the daemon's own word on it is heard. */
	filter->returned = r >= 0;
	/* The daemon can have gone meanwhile, or another connection of this user returned it. */
	client_dispatch(filter->client);
	if (r < 0 && r != -ENOENT && !filter->lost)
		return r;
	filter->client->error = before;
	if (filter->lost)
		return 0;
	filter->returned = true;
	hit_reader_wake(&filter->hits);
	return 0;
}

bpcond_filter *bpcond_filter_free(bpcond_filter *filter)
{
	bpcond_filter **link;
	bpcond_error before;

	if (filter == NULL)
		return NULL;
	/* Freeing does not fail: the last error stays the one to tell. */
	before = filter->client->error;
	bpcond_filter_return(filter);
	filter->client->error = before;
	for (link = &filter->client->filters; *link != filter; link = &(*link)->next)
		;
	*link = filter->next;
	filter_destroy(filter);
	return NULL;
}

void filter_lost(bpcond_filter *filter)
{
	if (filter->returned || filter->lost)
		return;
	filter->lost = true;
	hit_reader_wake(&filter->hits);
}

void filter_called_back(bpcond_filter *filter)
{
	filter->called_back = true;
	filter_lost(filter);
}

/* ---- Events ---------------------------------------------------------------------------------- */

int bpcond_filter_program(const bpcond_filter *filter)
{
	return filter->program_fd;
}

int bpcond_filter_attach(bpcond_filter *filter, int event_fd)
{
	bpcond_error *error = &filter->client->error;

	if (ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, filter->program_fd) == 0)
		return 0;
	if (errno == EEXIST)
		return error_set(
			error, -EEXIST, CLIENT_ERROR_FAILED,
			"event %d has a filter already, and an event cannot change it; open "
			"another event",
			event_fd);
	return error_set(error, -errno, CLIENT_ERROR_FAILED,
			 "cannot attach the filter to descriptor %d: %s; give a perf event of your "
			 "own: a breakpoint, hardware or software event",
			 event_fd, strerror(errno));
}

int bpcond_filter_set_counter(bpcond_filter *filter, int event_fd)
{
	bpcond_error *error = &filter->client->error;
	int r;

	if (filter->counter_fd < 0)
		return error_set(error, -ENOENT, CLIENT_ERROR_FAILED,
				 "the condition of this filter does not use \"counter\"; write "
				 "{\"var\": \"counter\"} into it");
	r = event_array_put(filter->counter_fd, event_fd);
	if (r < 0)
		return error_set(error, r, CLIENT_ERROR_FAILED,
				 "descriptor %d cannot be the counter: %s; give a counting perf "
				 "event that is not inherited",
				 event_fd, strerror(-r));
	return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

volatile int64_t *bpcond_filter_parameter(const bpcond_filter *filter, const char *name)
{
	return parameters_find(&filter->parameters, name);
}

int bpcond_filter_set_parameter(bpcond_filter *filter, const char *name, int64_t value)
{
	volatile int64_t *place = parameters_find(&filter->parameters, name);

	if (place == NULL)
		return error_set(&filter->client->error, -ENOENT, CLIENT_ERROR_FAILED,
				 "this filter has no parameter '%s'; declare it in the options",
				 name);
	__atomic_store_n(place, value, __ATOMIC_RELEASE);
	return 0;
}

void bpcond_filter_counters(const bpcond_filter *filter, struct bpcond_counters *ret)
{
	counters_sum(&filter->counters, ret);
}

/* ---- Hits ------------------------------------------------------------------------------------ */

/* A daemon that was killed cannot have called its filters back, so that hits may go on: the loss is
 * told once. */
static int report_end(void *owner)
{
	bpcond_filter *filter = owner;
	bpcond_error *error = &filter->client->error;

	if (filter->returned)
		return error_set(error, -ESHUTDOWN, CLIENT_ERROR_FAILED,
				 "the filter was returned; borrow another");
	if (!filter->lost || filter->loss_reported)
		return 0;
	filter->loss_reported = true;
	hit_reader_calm(&filter->hits);
	if (filter->called_back)
		return error_set(error, -ECONNRESET, CLIENT_ERROR_DAEMON_LOST,
				 "bpcondd has called the filter back, because it was stopped or "
				 "an administrator wanted it so; borrow another");
	return error_set(error, -ECONNRESET, CLIENT_ERROR_DAEMON_LOST,
			 "the connection to bpcondd is lost, and what it lent is called back if it "
			 "was stopped; see why ('journalctl -u bpcondd'), then connect and borrow "
			 "again");
}

int bpcond_filter_wait(bpcond_filter *filter, int timeout_ms, const struct bpcond_hit **ret)
{
	if (!filter->has_ring)
		return error_set(&filter->client->error, -ENODATA, CLIENT_ERROR_FAILED,
				 "this filter has no ring of hits; borrow one with hits_bytes");
	return hit_reader_wait(&filter->hits, timeout_ms, report_end, filter, ret);
}

int bpcond_filter_fd(const bpcond_filter *filter)
{
	return filter->hits.poll_fd;
}

/* ---- Looking --------------------------------------------------------------------------------- */

uint32_t bpcond_filter_number(const bpcond_filter *filter)
{
	return filter->number;
}

const char *bpcond_filter_path(const bpcond_filter *filter)
{
	return filter->path;
}
