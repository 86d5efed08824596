/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What LendFilter refuses, and in which words; the quota of lent filters; who may do what with a
 * filter that was lent to another. A kernel before 6.10 lends only with a ring: there all but what is about
 * filters without one has a ring.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/command.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"

#define FILTER_INTERFACE "org.bpcond1.Filter"
#define INVALID_ARGUMENT "org.freedesktop.DBus.Error.InvalidArgs"
#define INVALID_SPEC     "org.bpcond1.Error.InvalidSpec"
#define INVALID_COND     "org.bpcond1.Error.InvalidCondition"

enum {
	MAX_FILTERS = 4096,
	RING_BYTES = 65536,
};

typedef struct Mistake {
	const char *condition;
	/* One option more, with a value of type `s` (text), `t` or `b` (number); NULL: none. */
	const char *option;
	char type;
	const char *text;
	uint64_t number;
	bool with_ring, without_ring; /* it is about that; else as the kernel needs it */
	const char *error;
	const char *parts[2]; /* of the message */
} Mistake;

static const Mistake mistakes[] = {
	/* the condition: a path from its own root, and the byte in it */
	{.condition = "", .error = INVALID_COND, .parts = {"$ (byte 0)"}},
	{.condition = "{\"reg\":\"" ARG1 "\"", .error = INVALID_COND, .parts = {"$"}},
	{.condition = "1,\"skip\":3", .error = INVALID_COND, .parts = {"$ (byte 1)"}},
	{.condition = "1}", .error = INVALID_COND, .parts = {"$ (byte 1)"}},
	{.condition = "{}", .error = INVALID_COND, .parts = {"$ (byte 0)"}},
	{.condition = "\"x\"", .error = INVALID_COND, .parts = {"$ (byte 0)"}},
	{.condition = "{\"and\":[1,{\"reg\":\"rdq\"}]}",
	 .error = INVALID_COND,
	 .parts = {"$.and[1].reg (byte 17)", "rdq"}},
	{.condition = "{\"var\":\"value\"}", .error = INVALID_COND, .parts = {"$.var (byte 7)"}},
	{.condition = "{\"var\":\"previous\"}", .error = INVALID_COND, .parts = {"$.var"}},
	{.condition = "{\"param\":\"x\"}", .error = INVALID_COND, .parts = {"$.param (byte 9)"}},
	{.condition = "{\"==\":[1,1],\"==\":[1,1]}", .error = INVALID_COND, .parts = {"$"}},
	/* options */
	{.condition = "1",
	 .option = "colour",
	 .type = 't',
	 .error = INVALID_ARGUMENT,
	 .parts = {"\"colour\"", "only-when-traced (b)"}},
	{.condition = "1",
	 .option = "signal",
	 .type = 's',
	 .text = "SIGSTOP",
	 .error = INVALID_ARGUMENT,
	 .parts = {"\"signal\""}},
	{.condition = "1",
	 .option = "skip",
	 .type = 's',
	 .text = "1",
	 .error = INVALID_ARGUMENT,
	 .parts = {"\"skip\"", "t"}},
	{.condition = "1",
	 .option = "only-when-traced",
	 .type = 't',
	 .error = INVALID_ARGUMENT,
	 .parts = {"\"only-when-traced\"", "b"}},
	{.condition = "1",
	 .option = "parameters",
	 .type = 's',
	 .text = "{}",
	 .error = INVALID_ARGUMENT,
	 .parts = {"\"parameters\"", "a{sx}"}},
	{.condition = "1",
	 .option = "hits-bytes",
	 .type = 't',
	 .without_ring = true,
	 .error = INVALID_ARGUMENT,
	 .parts = {"hits-bytes", "power of two"}},
	{.condition = "1",
	 .option = "hits-bytes",
	 .type = 't',
	 .number = 10000,
	 .without_ring = true,
	 .error = INVALID_ARGUMENT,
	 .parts = {"10000", "power of two"}},
	{.condition = "1",
	 .option = "hits-bytes",
	 .type = 't',
	 .number = RING_BYTES,
	 .with_ring = true,
	 .error = INVALID_ARGUMENT,
	 .parts = {"\"hits-bytes\"", "twice"}},
	{.condition = "1",
	 .option = "every",
	 .type = 't',
	 .error = INVALID_SPEC,
	 .parts = {"$.every: "}},
	{.condition = "1",
	 .option = "on-fault",
	 .type = 's',
	 .text = "maybe",
	 .error = INVALID_SPEC,
	 .parts = {"$.on-fault: "}},
	/* capture: a path among the options, and the byte in its text */
	{.condition = "1",
	 .option = "capture",
	 .type = 's',
	 .text = "{\"stack\":4}",
	 .without_ring = true,
	 .error = INVALID_SPEC,
	 .parts = {"$.capture", "hits-bytes"}},
	{.condition = "1",
	 .option = "capture",
	 .type = 's',
	 .text = "{\"stack\":4",
	 .with_ring = true,
	 .error = INVALID_SPEC,
	 .parts = {"$.capture"}},
	{.condition = "1",
	 .option = "capture",
	 .type = 's',
	 .text = "{},\"skip\":7",
	 .with_ring = true,
	 .error = INVALID_SPEC,
	 .parts = {"$.capture (byte 2)"}},
	{.condition = "1",
	 .option = "capture",
	 .type = 's',
	 .text = "{\"registers\":[\"sp\",\"rq\"]}",
	 .with_ring = true,
	 .error = INVALID_SPEC,
	 .parts = {"$.capture.registers[1] (byte 19)"}},
	{.condition = "{\"==\":[{\"reg\":\"" ARG1 "\"},1]}",
	 .option = "capture",
	 .type = 's',
	 .text = "{\"memory\":[{\"at\":{\"var\":\"value\"},\"length\":8}]}",
	 .with_ring = true,
	 .error = INVALID_COND,
	 .parts = {"$.capture.memory[0].at.var (byte 24)"}},
};

static int append_option(sd_bus_message *m, const Mistake *mistake)
{
	switch (mistake->type) {
	case 's':
		return sd_bus_message_append(m, "{sv}", mistake->option, "s", mistake->text);
	case 't':
		return sd_bus_message_append(m, "{sv}", mistake->option, "t", mistake->number);
	default:
		return sd_bus_message_append(m, "{sv}", mistake->option, "b", (int)mistake->number);
	}
}

static bool lends_without_ring(void)
{
	return bus_kernel_can("suppress-signal");
}

/* The options of a filter of which nothing else is wanted. */
static const bpcond_filter_options *plain_options(void)
{
	static const bpcond_filter_options with_ring = {.size = sizeof(with_ring),
							.hits_bytes = RING_BYTES};

	return lends_without_ring() ? NULL : &with_ring;
}

/* Return: whether the daemon lent one; else *error. */
static bool try_mistake(sd_bus *bus, const Mistake *mistake, bool with_ring, sd_bus_error *error)
{
	sd_bus_message *m = NULL;
	int r;

	ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, "org.bpcond1", MANAGER_PATH,
							MANAGER_INTERFACE, "LendFilter"),
			 0);
	ck_assert_int_ge(sd_bus_message_append(m, "s", mistake->condition), 0);
	ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
	if (with_ring)
		ck_assert_int_ge(
			sd_bus_message_append(m, "{sv}", "hits-bytes", "t", (uint64_t)RING_BYTES),
			0);
	if (mistake->option)
		ck_assert_int_ge(append_option(m, mistake), 0);
	ck_assert_int_ge(sd_bus_message_close_container(m), 0);
	r = sd_bus_call(bus, m, 0, error, NULL);
	sd_bus_message_unref(m);
	return r >= 0;
}

/* What the kernel cannot do is said before anything of a mistake is looked for, but for the ring itself. */
static bool is_without_what_it_needs(const Mistake *mistake, bool with_ring)
{
	return !with_ring && !(mistake->option && strcmp(mistake->option, "hits-bytes") == 0) &&
	       !lends_without_ring();
}

static void expect_mistake(sd_bus *bus, const Mistake *mistake)
{
	bool with_ring = mistake->with_ring || (!mistake->without_ring && !lends_without_ring());
	sd_bus_error error = SD_BUS_ERROR_NULL;

	ck_assert_msg(!try_mistake(bus, mistake, with_ring, &error), "%s with %s was lent",
		      mistake->condition, mistake->option);
	if (is_without_what_it_needs(mistake, with_ring)) {
		bus_expect_error(&error, "NotSupported", "with \"hits-bytes\" the filter is lent");
		return;
	}
	ck_assert_msg(strcmp(error.name, mistake->error) == 0, "%s with %s: %s: %s",
		      mistake->condition, mistake->option, error.name, error.message);
	for (size_t k = 0; k < 2 && mistake->parts[k]; k++)
		ck_assert_msg(strstr(error.message, mistake->parts[k]) != NULL,
			      "%s with %s: \"%s\" does not hold \"%s\"", mistake->condition,
			      mistake->option, error.message, mistake->parts[k]);
	sd_bus_error_free(&error);
}

START_TEST(mistakes_are_named)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	sd_bus *bus = bus_connect();
	Objects before;

	/* the daemon holds on to the client's process from the first call on */
	ck_assert(try_mistake(bus, &(const Mistake){.condition = "1"}, !lends_without_ring(),
			      &error));
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		expect_mistake(bus, &mistakes[i]);
	helper_expect_descriptors(daemon, &before);
	sd_bus_flush_close_unref(bus);
}
END_TEST

/* Of `length` bytes, most of them spaces before it. Return: free(). */
static char *make_long(const char *json, size_t length)
{
	char *text = malloc(length + 1);

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(snprintf(text, length + 1, "%*s", (int)length, json), (int)length);
	return text;
}

/* The limit is of all that is given, and is told of what the client wrote. */
START_TEST(what_is_too_long_is_named)
{
	const size_t limit = 65536, room = limit - strlen("{\"condition\":}");
	static const size_t captures[] = {65520, 65536, 65537, 1000000};
	Mistake mistake = {.with_ring = true};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	char *text;

	text = make_long("1", room);
	ck_assert_msg(try_mistake(bus, &(const Mistake){.condition = text}, true, &error), "%s",
		      error.message);
	free(text);

	mistake.error = INVALID_COND;
	mistake.parts[0] = "$ (byte 65522): the condition has 65523 bytes";
	mistake.condition = text = make_long("1", room + 1);
	expect_mistake(bus, &mistake);
	free(text);
	mistake.parts[0] = "the condition has 1000000 bytes";
	mistake.condition = text = make_long("1", 1000000);
	expect_mistake(bus, &mistake);
	free(text);

	mistake.error = INVALID_SPEC;
	mistake.parts[0] = "\"capture\"";
	mistake.parts[1] = "shorten";
	mistake.condition = "1";
	mistake.option = "capture";
	mistake.type = 's';
	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++) {
		mistake.text = text = make_long("{}", captures[i]);
		expect_mistake(bus, &mistake);
		free(text);
	}
	sd_bus_flush_close_unref(bus);
}
END_TEST

static bpcond_client *connect_client(void)
{
	bpcond_client *client = NULL;

	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_msg(bpcond_client_connect(client, NULL) == 0, "%s",
		      bpcond_client_error(client)->message);
	return client;
}

static void expect_refusal(bpcond_client *client, const bpcond_filter_options *options, int number,
			   const char *name, const char *part)
{
	const bpcond_error *error = bpcond_client_error(client);
	bpcond_filter *filter;

	ck_assert_int_eq(bpcond_filter_lend(client, "1", options, &filter), number);
	ck_assert_str_eq(error->name, name);
	ck_assert_msg(strstr(error->message, part) != NULL, "\"%s\" does not hold \"%s\"",
		      error->message, part);
}

START_TEST(parameters_have_sound_names)
{
	static const struct {
		bpcond_parameter parameters[2];
		const char *part;
	} table[] = {
		{{{"twice", 1}, {"twice", 1}}, "$.parameters.twice"},
		{{{"", 1}, {"a", 1}}, "$.parameters"},
		{{{"a b", 1}, {"a", 1}}, "$.parameters"},
		{{{"1a", 1}, {"a", 1}}, "$.parameters"},
		{{{"a\"b", 1}, {"a", 1}}, "$.parameters"},
	};
	bpcond_client *client = connect_client();

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const bpcond_filter_options options = {.size = sizeof(options),
						       .parameters = table[i].parameters,
						       .n_parameters = 2,
						       .hits_bytes = RING_BYTES};

		expect_refusal(client, &options, -EINVAL, INVALID_SPEC, table[i].part);
	}
	bpcond_client_free(client);
}
END_TEST

START_TEST(quota_of_filters)
{
	static bpcond_filter *filters[MAX_FILTERS];
	bpcond_client *client = connect_client(), *other = connect_client();
	bpcond_filter_options huge = {.size = sizeof(huge), .hits_bytes = 1U << 31};
	const bpcond_error *error = bpcond_client_error(client);
	bpcond_filter *filter;
	char value[16];
	size_t n = 0;
	int r;

	do
		r = bpcond_filter_lend(client, "1", plain_options(), &filters[n++]);
	while (r == 0 && n < MAX_FILTERS);
	ck_assert_int_eq(r, -EDQUOT);
	n--;
	ck_assert_uint_gt(n, 0);
	ck_assert_str_eq(error->name, "org.bpcond1.Error.QuotaExceeded");
	ck_assert_ptr_nonnull(strstr(error->message, "lent-filters"));
	snprintf(value, sizeof(value), " %zu", n);
	ck_assert_ptr_nonnull(strstr(error->message, value));
	/* it is the user's, not the connection's */
	expect_refusal(other, plain_options(), -EDQUOT, "org.bpcond1.Error.QuotaExceeded",
		       "lent-filters");

	bpcond_filter_free(filters[--n]);
	ck_assert_int_eq(bpcond_filter_lend(other, "1", plain_options(), &filter), 0);
	bpcond_filter_free(filter);
	expect_refusal(other, &huge, -EDQUOT, "org.bpcond1.Error.QuotaExceeded", "ring-bytes");
	/* and what was refused took nothing */
	ck_assert_int_eq(bpcond_filter_lend(other, "1", plain_options(), &filter), 0);
	bpcond_client_free(other);
	bpcond_client_free(client);
}
END_TEST

/* Runs intruder as another user; what it said is compared by its beginning. */
static void expect_intruder(const char *user, const char *path, const char *method, const char *get,
			    const char *beginning)
{
	const char *argv[] = {integration_program("tests/targets/intruder"),
			      path,
			      FILTER_INTERFACE,
			      method,
			      get,
			      NULL};
	char said[512] = "";
	int out[2];
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	pid = helper_spawn(user, argv, -EBADF, out[1]);
	close(out[1]);
	ck_assert_int_eq(helper_wait(pid, 10000), 0);
	ck_assert_int_ge(read(out[0], said, sizeof(said) - 1), 0);
	close(out[0]);
	ck_assert_msg(strncmp(said, beginning, strlen(beginning)) == 0, "%s %s: %s", user, method,
		      said);
}

START_TEST(another_user_has_no_say)
{
	bpcond_client *client = connect_client();
	bpcond_filter *filter = NULL;
	sd_bus *bus = bus_connect();
	char path[128];

	ck_assert_int_eq(bpcond_filter_lend(client, "1", plain_options(), &filter), 0);
	snprintf(path, sizeof(path), "%s", bpcond_filter_path(filter));
	expect_intruder(ENVIRONMENT_USER_B, path, "Return", NULL,
			"error org.bpcond1.Error.NotAuthorized");
	expect_intruder(ENVIRONMENT_USER_B, path, "Hits", "get",
			"error org.bpcond1.Error.NotAuthorized");
	ck_assert_uint_eq(bus_number(bus, path, FILTER_INTERFACE, "Hits"), 0);
	expect_intruder("root", path, "Hits", "get", "done 0");
	expect_intruder("root", path, "Return", NULL, "done");
	expect_intruder("root", path, "Return", NULL, "error org.freedesktop.DBus.Error.Unknown");
	/* that it is gone already is no error to its borrower */
	ck_assert_int_eq(bpcond_filter_return(filter), 0);
	sd_bus_flush_close_unref(bus);
	bpcond_client_free(client);
}
END_TEST

START_TEST(it_can_be_introspected)
{
	bpcond_client *client = connect_client();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	bpcond_filter *filter = NULL;
	sd_bus *bus = bus_connect();
	const char *xml;
	char name[64];

	ck_assert_int_eq(bpcond_filter_lend(client, "1", plain_options(), &filter), 0);
	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", "/org/bpcond1/filter",
					    "org.freedesktop.DBus.Introspectable", "Introspect",
					    &error, &reply, ""),
			 0);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &xml), 0);
	snprintf(name, sizeof(name), "<node name=\"%u\"", bpcond_filter_number(filter));
	ck_assert_msg(strstr(xml, name) != NULL, "%s", xml);
	sd_bus_message_unref(reply);

	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", bpcond_filter_path(filter),
					    "org.freedesktop.DBus.Introspectable", "Introspect",
					    &error, &reply, ""),
			 0);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &xml), 0);
	ck_assert_ptr_nonnull(strstr(xml, "interface name=\"" FILTER_INTERFACE "\""));
	ck_assert_ptr_nonnull(strstr(xml, "method name=\"Return\""));
	ck_assert_ptr_nonnull(strstr(xml, "property name=\"Unsignalled\""));
	sd_bus_message_unref(reply);
	sd_bus_flush_close_unref(bus);
	bpcond_client_free(client);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("lend-refusals");

	integration_add(suite, "mistakes are named with their place", mistakes_are_named);
	integration_add(suite, "what is too long is named", what_is_too_long_is_named);
	integration_add(suite, "parameters have sound names, each once",
			parameters_have_sound_names);
	integration_add(suite, "the quota is the user's", quota_of_filters);
	integration_add(suite, "another user has no say", another_user_has_no_say);
	integration_add(suite, "it can be introspected", it_can_be_introspected);
	return integration_run(suite, argc, argv);
}
