/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a spec costs the daemon: it has one thread, and whatever time one user's spec takes every other
 * user waits. So specs at the limits of nodes, depth and text, those that invite the compiler or the
 * verifier to follow every combination of branches among them, are all taken; and where
 * BPCOND_ASSERT_COST is set, as ./run bench --check does, each by at most 5 ms of the daemon's CPU time.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/differential/shapes.h"
#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	MOST_NANOSECONDS = 5000000,
	TRIES = 5,
	TRIES_TO_JUDGE = 25,
	MAX_PIECES = 8,
	MAX_SPEC = 65536,
};

/* CPU time of the process's only thread, by the scheduler: utime and stime in nanoseconds. */
static uint64_t cpu_time(pid_t pid)
{
	char path[64];
	uint64_t nanoseconds = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%" SCNu64, &nanoseconds), 1);
	fclose(file);
	return nanoseconds;
}

/* CheckSpec. Return: the report (free()). */
static char *check(sd_bus *bus, const char *spec)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *report;
	char *copy;
	int r;

	r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE, "CheckSpec",
			       &error, &reply, "s", spec);
	ck_assert_msg(r >= 0, "CheckSpec: %s: %s", error.name, error.message);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &report), 0);
	copy = strdup(report);
	ck_assert_ptr_nonnull(copy);
	sd_bus_message_unref(reply);
	return copy;
}

typedef struct Costs {
	int tries;
	sd_bus *bus;
	BusSession session;
	pid_t daemon;
	uint64_t most;
	unsigned failures;
} Costs;

/* The best of a few tries: what it costs, not what else the machine does. */
static void judge(Costs *costs, const char *name, const char *what, uint64_t best)
{
	if (best > costs->most)
		costs->most = best;
	if (getenv("BPCOND_TEST_VERBOSE") || best > MOST_NANOSECONDS)
		fprintf(stderr, "%s of %s: %" PRIu64 " us\n", what, name, best / 1000);
	if (best > MOST_NANOSECONDS)
		costs->failures++;
}

static void try_check(Costs *costs, const char *name, const char *spec, bool ok)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < costs->tries; i++) {
		uint64_t start = cpu_time(costs->daemon), spent;
		char *report = check(costs->bus, spec);

		spent = cpu_time(costs->daemon) - start;
		ck_assert_msg((strncmp(report, "{\"ok\":true,", 11) == 0) == ok, "%s: %.2000s",
			      name, report);
		free(report);
		if (spent < best)
			best = spent;
	}
	judge(costs, name, "CheckSpec", best);
}

static void try_add(Costs *costs, const char *name, const char *spec)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < costs->tries; i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		BusBreakpoint breakpoint;
		uint64_t start = cpu_time(costs->daemon), spent;
		int r = bus_try_add_text(&costs->session, &breakpoint, &error, spec);

		spent = cpu_time(costs->daemon) - start;
		ck_assert_msg(r == 0, "%s: %s: %s", name, error.name, error.message);
		bus_breakpoint_call(&breakpoint, "Remove");
		bus_breakpoint_close(&breakpoint);
		if (spent < best)
			best = spent;
	}
	judge(costs, name, "AddBreakpoint", best);
}

static void costs_start(Costs *costs, Target *target)
{
	target_start(target, "loop", NULL, NULL);
	*costs = (Costs){.tries = getenv("BPCOND_ASSERT_COST") ? TRIES_TO_JUDGE
							       : (int)integration_volume(TRIES),
			 .bus = bus_connect(),
			 .daemon = helper_daemon_pid()};
	bus_open_session(costs->bus, target->pid, &costs->session);
}

static void costs_end(const Costs *costs)
{
	fprintf(stderr, "at most %" PRIu64 " us\n", costs->most / 1000);
	/* A test asserts behaviour, and leaves time to those who measure: ./run bench --check. */
	if (getenv("BPCOND_ASSERT_COST"))
		ck_assert_msg(costs->failures == 0, "%u cost more than %d us, see above",
			      costs->failures, MOST_NANOSECONDS / 1000);
}

static void put(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(Text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->n += (size_t)vsnprintf(text->at + text->n, text->size - text->n, format, arguments);
	va_end(arguments);
	ck_assert_uint_lt(text->n, text->size);
}

/* Eight pieces of memory, whose addresses have the 64 nodes that they may have together. */
static void put_captures(Text *text)
{
	put(text, ",\"capture\":{\"registers\":\"all\",\"stack\":127,\"memory\":[");
	for (int i = 0; i < MAX_PIECES; i++)
		put(text,
		    "%s{\"length\":2047,\"at\":{\"%%\":[{\"load\":\"s64\",\"at\":{\"reg\":\"%c%d\"}"
		    "}"
		    ","
		    "{\"|\":[{\"<\":[{\"reg\":\"" ARG2 "\"},%d]},1]}]}}",
		    i ? "," : "", MACHINE_X86 ? 'r' : 'x', 8 + i, i);
	put(text, "]}");
}

/* A spec with the shape as its condition. */
static void write_spec(Text *text, const Target *target, const Shape *shape, bool captures)
{
	text->n = 0;
	put(text,
	    "{\"address\":\"0x%" PRIx64
	    "\",\"enabled\":false,\"parameters\":{\"max\":1},\"condition\":",
	    target_address_of(target, "loop_work"));
	shape->write(text);
	if (captures)
		put_captures(text);
	put(text, "}");
}

static void try_shapes(bool captures)
{
	Text text = {.at = malloc(1 << 20), .size = 1 << 20};
	Target target;
	Costs costs;

	costs_start(&costs, &target);
	for (size_t i = 0; i < n_shapes; i++) {
		write_spec(&text, &target, &shapes[i], captures);
		try_check(&costs, shapes[i].name, text.at, true);
		try_add(&costs, shapes[i].name, text.at);
	}
	costs_end(&costs);
	free(text.at);
}

START_TEST(conditions_at_the_limits)
{
	try_shapes(false);
}
END_TEST

/* Besides, a record with all that it can hold. */
START_TEST(captures_at_the_limits)
{
	try_shapes(true);
}
END_TEST

static void put_repeated(Text *text, const char *part, size_t bytes)
{
	size_t n = strlen(part);

	for (size_t done = 0; done + n <= bytes; done += n) {
		memcpy(text->at + text->n, part, n);
		text->n += n;
	}
	text->at[text->n] = '\0';
}

static void put_numbers(Text *text, const char *format, long first, long last)
{
	for (long i = first; i <= last; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		text->n += (size_t)snprintf(text->at + text->n, text->size - text->n, format, i);
#pragma GCC diagnostic pop
		text->at[text->n++] = i < last ? ',' : ' ';
	}
	text->at[text->n] = '\0';
}

/* What is refused, but takes a look at all of it first: `before` and `after` around as much as a spec
 * may hold of a repeated part, or of numbered ones. */
static const struct {
	const char *name, *before, *part, *numbered, *after;
	long last;
} hostile[] = {
	{.name = "an endless register",
	 .before = "{\"address\":4096,\"condition\":{\"reg\":\"",
	 .part = "rax",
	 .after = "\"}}"},
	{.name = "an endless parameter",
	 .before = "{\"address\":4096,\"parameters\":{\"a\":1},\"condition\":{\"param\":\"",
	 .part = "ab",
	 .after = "\"}}"},
	{.name = "an endless variable",
	 .before = "{\"address\":4096,\"condition\":{\"var\":\"",
	 .part = "value",
	 .after = "\"}}"},
	{.name = "an endless operator",
	 .before = "{\"address\":4096,\"condition\":{\"",
	 .part = "string-equals",
	 .after = "\":[1,2]}}"},
	{.name = "an endless key",
	 .before = "{\"address\":4096,\"",
	 .part = "condition",
	 .after = "\":1}"},
	{.name = "an endless captured register",
	 .before = "{\"address\":4096,\"capture\":{\"registers\":[\"",
	 .part = "rax",
	 .after = "\"]}}"},
	{.name = "an endless signal",
	 .before = "{\"address\":4096,\"signal\":\"",
	 .part = "SIGUSR1",
	 .after = "\"}"},
	{.name = "an endless number",
	 .before = "{\"address\":4096,\"condition\":",
	 .part = "1",
	 .after = "}"},
	{.name = "an endless address",
	 .before = "{\"address\":\"0x",
	 .part = "0",
	 .after = "1000\",\"a\":1}"},
	{.name = "escapes",
	 .before = "{\"address\":4096,\"condition\":{\"string-equals\":[1,\"",
	 .part = "\\u00fc",
	 .after = "\"]}}"},
	{.name = "nothing but brackets", .before = "", .part = "[", .after = ""},
	{.name = "spaces", .before = "{\"address\":4096", .part = " \n", .after = ",\"a\":1}"},
	{.name = "constants",
	 .before = "{\"address\":4096,\"condition\":{\"+\":[",
	 .part = "1,",
	 .after = "1]}}"},
	{.name = "negations",
	 .before = "{\"address\":4096,\"condition\":{\"and\":[",
	 .part = "{\"!\":1},",
	 .after = "1]}}"},
	{.name = "keys",
	 .before = "{\"address\":4096,",
	 .numbered = "\"k%ld\":1",
	 .last = 5000,
	 .after = "}"},
	{.name = "registers that do not exist",
	 .before = "{\"address\":4096,\"condition\":{\"registers\":{",
	 .numbered = "\"r%ld\":1",
	 .last = 5000,
	 .after = "}}}"},
	{.name = "parameters",
	 .before = "{\"address\":4096,\"parameters\":{",
	 .numbered = "\"p%ld\":1",
	 .last = 5000,
	 .after = "}}"},
	{.name = "threads",
	 .before = "{\"address\":4096,\"threads\":[",
	 .numbered = "%ld",
	 .last = 9000,
	 .after = "],\"a\":1}"},
	{.name = "one thread, often",
	 .before = "{\"address\":4096,\"threads\":[",
	 .part = "77,",
	 .after = "1]}"},
	{.name = "captured registers",
	 .before = "{\"address\":4096,\"capture\":{\"registers\":[",
	 .numbered = "\"r%ld\"",
	 .last = 5000,
	 .after = "]}}"},
};

START_TEST(refused_specs)
{
	Text text = {.at = malloc(1 << 20), .size = 1 << 20};
	Target target;
	Costs costs;

	costs_start(&costs, &target);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		text.n = (size_t)snprintf(text.at, text.size, "%s", hostile[i].before);
		if (hostile[i].part)
			put_repeated(&text, hostile[i].part,
				     MAX_SPEC - text.n - strlen(hostile[i].after));
		else
			put_numbers(&text, hostile[i].numbered, 1, hostile[i].last);
		strcpy(text.at + text.n, hostile[i].after);
		ck_assert_uint_le(strlen(text.at), MAX_SPEC);
		try_check(&costs, hostile[i].name, text.at, false);
	}
	costs_end(&costs);
	free(text.at);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("cost");

	integration_add(suite, "conditions at the limits cost 5 ms at most",
			conditions_at_the_limits);
	integration_add(suite, "captures at the limits cost 5 ms at most", captures_at_the_limits);
	integration_add(suite, "refused specs cost 5 ms at most", refused_specs);
	return integration_run(suite, argc, argv);
}
