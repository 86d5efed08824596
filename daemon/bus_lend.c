/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LendFilter of org.bpcond1.Manager, and org.bpcond1.Filter on /org/bpcond1/filter/N: the counts of
 * a lent filter, and Return.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/bus_polkit.h"
#include "daemon/lent_filter.h"
#include "daemon/spec_lent.h"
#include "daemon/util.h"

#define BUS_FILTER "org.bpcond1.Filter"

typedef struct LendOptions {
	uint64_t ring_bytes; /* 0: no ring */
	int only_when_traced;
	LentTerms *terms; /* the options that are keys of the spec; owned */
} LendOptions;

static void lend_options_clear(LendOptions *options)
{
	lent_terms_free(options->terms);
}

static int read_ring_bytes(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	Refusal refusal;
	int r;

	r = sd_bus_message_read(message, "v", "t", &options->ring_bytes);
	if (r < 0)
		return r;
	r = filter_check_ring_bytes(options->ring_bytes, &refusal);
	return r != 0 ? bus_fail(r, &refusal, message, error) : 0;
}

static int read_only_when_traced(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	return sd_bus_message_read(message, "v", "b", &options->only_when_traced);
}

/* Names and first values. */
static int read_parameters(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	Refusal refusal;
	int r;

	r = sd_bus_message_enter_container(message, 'v', "a{sx}");
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(message, 'a', "{sx}");
	if (r < 0)
		return r;
	for (;;) {
		const char *name;
		int64_t first;

		r = sd_bus_message_read(message, "{sx}", &name, &first);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		r = lent_terms_add_parameter(options->terms, name, first, &refusal);
		if (r != 0)
			return bus_fail(r, &refusal, message, error);
	}
	r = sd_bus_message_exit_container(message);
	if (r < 0)
		return r;
	return sd_bus_message_exit_container(message);
}

/* JSON as in a breakpoint's spec. */
static int read_capture(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	const char *text;
	Refusal refusal;
	int r;

	r = sd_bus_message_read(message, "v", "s", &text);
	if (r < 0)
		return r;
	r = lent_terms_add_capture(options->terms, text, &refusal);
	return r != 0 ? bus_fail(r, &refusal, message, error) : 0;
}

static int read_on_fault(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	const char *text;
	int r;

	r = sd_bus_message_read(message, "v", "s", &text);
	return r < 0 ? r : lent_terms_add_string(options->terms, "on-fault", text);
}

static int read_number(sd_bus_message *message, const char *name, LendOptions *options)
{
	uint64_t number;
	int r;

	r = sd_bus_message_read(message, "v", "t", &number);
	return r < 0 ? r : lent_terms_add_number(options->terms, name, number);
}

static int read_skip(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	return read_number(message, "skip", options);
}

static int read_every(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	return read_number(message, "every", options);
}

static int read_limit(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	return read_number(message, "limit", options);
}

/* Each reader takes the variant. Return: negative, and *error unless it is of the message's form. */
static const struct {
	const char *name;
	const char *type;
	int (*read)(sd_bus_message *message, LendOptions *options, sd_bus_error *error);
} lend_options[] = {
	{"hits-bytes", "t", read_ring_bytes},
	{"only-when-traced", "b", read_only_when_traced},
	{"parameters", "a{sx}", read_parameters},
	{"on-fault", "s", read_on_fault},
	{"capture", "s", read_capture},
	{"skip", "t", read_skip},
	{"every", "t", read_every},
	{"limit", "t", read_limit},
};

enum {
	N_LEND_OPTIONS = sizeof(lend_options) / sizeof(lend_options[0]),
};

static int fail_unknown(const char *name, sd_bus_error *error)
{
	char list[256] = "";

	for (size_t i = 0; i < N_LEND_OPTIONS; i++) {
		size_t length = strlen(list);

		snprintf(list + length, sizeof(list) - length, "%s%s (%s)", i > 0 ? ", " : "",
			 lend_options[i].name, lend_options[i].type);
	}
	return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
				 "There is no option \"%s\": there are %s.", name, list);
}

/* Return: the row in lend_options; negative, and *error. */
static int find_option(const char *name, uint32_t seen, sd_bus_error *error)
{
	for (size_t i = 0; i < N_LEND_OPTIONS; i++) {
		if (strcmp(lend_options[i].name, name) != 0)
			continue;
		if (seen & 1U << i)
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "Option \"%s\" is given twice: leave one out.",
						 name);
		return (int)i;
	}
	return fail_unknown(name, error);
}

static int read_options(sd_bus_message *message, LendOptions *options, sd_bus_error *error)
{
	uint32_t seen = 0;
	int r;

	r = lent_terms_new(&options->terms);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(message, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		const char *name;
		int row;

		r = sd_bus_message_read(message, "s", &name);
		if (r < 0)
			return r;
		row = find_option(name, seen, error);
		if (row < 0)
			return row;
		seen |= 1U << row;
		r = lend_options[row].read(message, options, error);
		if (r == -ENXIO && !sd_bus_error_is_set(error))
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "Option \"%s\" has the wrong type: it is %s.",
						 name, lend_options[row].type);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static void filter_path(uint32_t number, char ret[static BUS_MAX_PATH])
{
	snprintf(ret, BUS_MAX_PATH, BUS_FILTER_PREFIX "/%" PRIu32, number);
}

int bus_lend_returned(Bus *bus, uint32_t number, SessionEnd end)
{
	char path[BUS_MAX_PATH];

	filter_path(number, path);
	return sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_MANAGER, "FilterReturned", "os", path,
				  session_end_name(end));
}

static int reply_filter(sd_bus_message *message, const LentFilter *lent)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const struct {
		const char *name;
		int fd;
	} fds[] = {
		{"program", lent->filter->program_fd},
		{"counters", lent->filter->counters_fd},
		{"parameters", lent->filter->parameters_fd},
		{"hits", lent->ring_fd},
		{"counter", lent->filter->counter_fd},
	};
	char path[BUS_MAX_PATH];
	int r;

	filter_path(lent->number, path);
	r = sd_bus_message_new_method_return(message, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_append(reply, "o", path);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(reply, 'a', "{sh}");
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i].fd < 0)
			continue;
		r = sd_bus_message_append(reply, "{sh}", fds[i].name, fds[i].fd);
		if (r < 0)
			return r;
	}
	r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

int bus_method_lend_filter(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(lend_options_clear) LendOptions options = {};
	_cleanup_free_ char *text = NULL;
	Bus *bus = userdata;
	const char *condition;
	SessionOwner owner;
	LentFilter *lent;
	Refusal refusal;
	Caller *caller;
	int r;

	r = bus_caller(bus, message, &caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(message, "s", &condition);
	if (r < 0)
		return r;
	r = read_options(message, &options, error);
	if (r < 0)
		return r;
	r = lent_terms_compose(options.terms, condition, &text, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);

	owner = bus_owner(caller);
	r = lent_filter_new(bus->broker, &owner, text, strlen(text), options.ring_bytes,
			    options.only_when_traced, &lent, &refusal);
	if (r > 0)
		lent_terms_relocate(options.terms, condition, &refusal);
	if (r != 0)
		return bus_fail(r, &refusal, message, error);
	r = reply_filter(message, lent);
	if (r < 0) {
		lent_filter_end(lent, SESSION_CLOSED);
		return bus_fail(r, NULL, message, error);
	}
	return 1;
}

LentFilter *bus_parse_filter(const Bus *bus, const char *path)
{
	uint32_t number;

	if (strncmp(path, BUS_FILTER_PREFIX "/", strlen(BUS_FILTER_PREFIX "/")) != 0)
		return NULL;
	path += strlen(BUS_FILTER_PREFIX "/");
	if (!bus_parse_number(&path, &number) || *path)
		return NULL;
	return lent_filter_find(bus->broker, number);
}

static int find_filter(sd_bus *sdbus, const char *path, const char *interface, void *userdata,
		       void **ret_found, sd_bus_error *error)
{
	LentFilter *lent = bus_parse_filter(userdata, path);

	if (!lent)
		return 0;
	*ret_found = lent;
	return 1;
}

static int on_return_allowed(Caller *caller, sd_bus_message *message, void *userdata,
			     sd_bus_error *error)
{
	LentFilter *lent = bus_parse_filter(caller->bus, sd_bus_message_get_path(message));

	if (!lent)
		return bus_gone(message, error);
	lent_filter_end(lent, SESSION_ADMINISTRATOR);
	return sd_bus_reply_method_return(message, "");
}

static int method_return(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	LentFilter *lent = userdata;
	int r;

	r = polkit_check_manager(lent->broker->hooks.userdata, &lent->owner, 0, message,
				 on_return_allowed, error);
	if (r != 0)
		return r;
	lent_filter_end(lent, SESSION_CLOSED);
	return sd_bus_reply_method_return(message, "");
}

static int property_count(sd_bus *sdbus, const char *path, const char *interface,
			  const char *property, sd_bus_message *reply, void *userdata,
			  sd_bus_error *error)
{
	const LentFilter *lent = userdata;
	struct bpcond_counters counts;
	int r;

	r = bus_check_user(lent->broker->hooks.userdata, &lent->owner, NULL, error);
	if (r < 0)
		return r;
	filter_read_counts(lent->filter, &counts);
	/* Its events are the borrower's: so are traps and lost. */
	return bus_append_count(reply, property,
				&(BreakpointCounts){
					.evaluated = counts.evaluated,
					.hits = counts.hits,
					.rejected = counts.rejected,
					.withheld = counts.withheld,
					.faults = counts.faults,
					.dropped = counts.dropped,
					.unsignalled = counts.unsignalled,
				});
}

/* Each asks bus_check_user. */
static const sd_bus_vtable filter_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Return", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_return,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Evaluated", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Hits", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Rejected", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Withheld", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Faults", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Dropped", "t", property_count, 0, 0),
	SD_BUS_PROPERTY("Unsignalled", "t", property_count, 0, 0),
	SD_BUS_VTABLE_END,
};

/* The children below /org/bpcond1/filter, for introspection. */
static int enumerate(sd_bus *sdbus, const char *prefix, void *userdata, char ***ret,
		     sd_bus_error *error)
{
	const Bus *bus = userdata;
	char **paths = NULL;
	size_t n = 0;

	for (const LentFilter *lent = bus->broker->lent_filters; lent; lent = lent->next) {
		char path[BUS_MAX_PATH];

		filter_path(lent->number, path);
		if (bus_paths_add(&paths, &n, path) < 0)
			return -ENOMEM;
	}
	*ret = paths;
	return 0;
}

int bus_lend_add(Bus *bus)
{
	int r;

	r = sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_FILTER_PREFIX, BUS_FILTER, filter_vtable,
				       find_filter, bus);
	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(bus->bus, NULL, BUS_FILTER_PREFIX, enumerate, bus);
}
