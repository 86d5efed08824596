/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mistakes in a spec, a fifth breakpoint, and arguments that name no process: each has the error
 * that the interface names, with a text that helps, and leaves nothing open.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

typedef struct Mistake {
	const char *spec; /* ' stands for ", ADDRESS for a good address */
	const char *error;
	const char *part; /* of the error's text: the JSON path, mostly */
} Mistake;

static const Mistake mistakes[] = {
	/* JSON */
	{"", "InvalidSpec", NULL},
	{"{", "InvalidSpec", NULL},
	{"[]", "InvalidSpec", NULL},
	{"7", "InvalidSpec", NULL},
	{"null", "InvalidSpec", NULL},
	{"{}", "InvalidSpec", "address"},
	{"{'address': 'ADDRESS'} x", "InvalidSpec", NULL},
	{"{'address': 'ADDRESS'}{}", "InvalidSpec", NULL},
	{"{'address': 'ADDRESS',}", "InvalidSpec", NULL},
	{"{'address': 'ADDRESS', 'address': 'ADDRESS'}", "InvalidSpec", "$.address"},
	{"{'address': 'ADDRESS', 'skip': NaN}", "InvalidSpec", NULL},
	{"{'address': 'ADDRESS', 'skip': 1e3}", "InvalidSpec", "$.skip"},
	{"{'address': 'ADDRESS', 'skip': 1.5}", "InvalidSpec", "$.skip"},
	{"{'address': 'ADDRESS', 'skip': -1}", "InvalidSpec", "$.skip"},
	{"{'address': 'ADDRESS', 'skip': '0x10000000000000000'}", "InvalidSpec", "$.skip"},
	{"{'address': 'ADDRESS', 'skip': 18446744073709551616}", "InvalidSpec", "$.skip"},
	{"{'address': 'ADDRESS', 'skip': true}", "InvalidSpec", "$.skip"},
	{"{'address': 'ADDRESS', 'colour': 1}", "InvalidSpec", "$.colour"},
	/* members */
	{"{'address': true}", "InvalidSpec", "$.address"},
	{"{'address': '42abc'}", "InvalidSpec", "$.address"},
	{"{'address': '0x'}", "InvalidSpec", "$.address"},
	{"{'address': '0xffffffff81000000'}", "InvalidSpec", "$.address"},
	{"{'address': '0x8000000000000000'}", "InvalidSpec", "$.address"},
	{"{'address': 'ADDRESS', 'access': 'read'}", "InvalidSpec", "$.access"},
	{"{'address': 'ADDRESS', 'access': 1}", "InvalidSpec", "$.access"},
	{"{'address': 'ADDRESS', 'length': 4}", "InvalidSpec", "$.length"},
#if MACHINE_X86
	{"{'address': 'ADDRESS', 'access': 'write', 'length': 3}", "InvalidSpec", "$.length"},
	{"{'address': '0x10001', 'access': 'write', 'length': 4}", "InvalidSpec", "$.address"},
#elif MACHINE_ARM64
	{"{'address': 'ADDRESS', 'access': 'write', 'length': 9}", "InvalidSpec", "$.length"},
	{"{'address': '0x10006', 'access': 'write', 'length': 3}", "InvalidSpec", "$.address"},
	{"{'address': '0x10002'}", "InvalidSpec", "$.address"},
#endif
	{"{'address': 'ADDRESS', 'access': 'write', 'length': 0}", "InvalidSpec", "$.length"},
	{"{'address': 'ADDRESS', 'access': 'write', 'length': 16}", "InvalidSpec", "$.length"},
	{"{'address': '0x10004', 'access': 'write'}", "InvalidSpec", "$.address"},
	{"{'address': 'ADDRESS', 'previous': 0}", "InvalidSpec", "$.previous"},
	{"{'address': 'ADDRESS', 'kernel-accesses': true}", "InvalidSpec", "$.kernel-accesses"},
	{"{'address': 'ADDRESS', 'threads': 'some'}", "InvalidSpec", "$.threads"},
	{"{'address': 'ADDRESS', 'threads': []}", "InvalidSpec", "$.threads"},
	{"{'address': 'ADDRESS', 'threads': [-1]}", "InvalidSpec", "$.threads[0]"},
	{"{'address': 'ADDRESS', 'on-fault': 'maybe'}", "InvalidSpec", "$.on-fault"},
	{"{'address': 'ADDRESS', 'every': 0}", "InvalidSpec", "$.every"},
	{"{'address': 'ADDRESS', 'signal': 'SIGTRAP'}", "InvalidSpec", "$.signal"},
	{"{'address': 'ADDRESS', 'signal': 'SIGNOTHING'}", "InvalidSpec", "$.signal"},
	{"{'address': 'ADDRESS', 'enabled': 1}", "InvalidSpec", "$.enabled"},
	{"{'address': 'ADDRESS', 'parameters': {'a': 'x'}}", "InvalidSpec", "$.parameters.a"},
	{"{'address': 'ADDRESS', 'capture': {'registers': ['" ARG3 "', 'rq']}}", "InvalidSpec",
	 "$.capture.registers[1]"},
	{"{'address': 'ADDRESS', 'capture': {'memory': [{'at': 0}]}}", "InvalidSpec",
	 "$.capture.memory[0]"},
	{"{'address': 'ADDRESS', 'capture': {'stack': 100000}}", "InvalidSpec", "$.capture.stack"},
	/* conditions */
	{"{'address': 'ADDRESS', 'condition': {}}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': []}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': 'x'}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': 1.5}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'reg': 'rdq'}}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'param': 'x'}}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'var': 'value'}}", "InvalidCondition",
	 "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'plus': [1, 2]}}", "InvalidCondition",
	 "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'==': [1]}}", "InvalidCondition", "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'==': [1, 2, 3]}}", "InvalidCondition",
	 "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'==': [1, 2], '!=': [1, 2]}}", "InvalidCondition",
	 "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'load': 'u24', 'at': 0}}", "InvalidCondition",
	 "$.condition"},
	{"{'address': 'ADDRESS', 'condition': {'and': [1, {'==': [1, {'reg': 'zz'}]}]}}",
	 "InvalidCondition", "$.condition.and[1]"},
	{"{'address': 'ADDRESS', 'condition': 18446744073709551616}", "InvalidSpec", "$.condition"},
};

/* The mistake's spec with a good address and double quotes (free()). */
static char *spec_of(const Mistake *mistake, uint64_t address)
{
	char *spec = calloc(1, strlen(mistake->spec) + 64), *out = spec;
	const char *in = mistake->spec;

	ck_assert_ptr_nonnull(spec);
	while (*in) {
		if (strncmp(in, "ADDRESS", 7) == 0) {
			out += sprintf(out, "0x%lx", (unsigned long)address);
			in += 7;
		} else {
			*out++ = *in == '\'' ? '"' : *in;
			in++;
		}
	}
	return spec;
}

START_TEST(mistakes_in_specs)
{
	sd_bus *bus = bus_connect();
	pid_t daemon = helper_daemon_pid();
	Objects before;
	BusSession session;
	BusBreakpoint breakpoint;
	Target target;
	int failures = 0;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		char *spec = spec_of(&mistakes[i], target_address_of(&target, "loop_work"));
		char name[128];
		int r;

		snprintf(name, sizeof(name), "org.bpcond1.Error.%s", mistakes[i].error);
		r = bus_try_add(&session, &breakpoint, &error, "%s", spec);
		if (r == 0 || strcmp(error.name, name) != 0 ||
		    (mistakes[i].part && !strstr(error.message, mistakes[i].part))) {
			fprintf(stderr, "%s\n  -> %s: %s\n", spec, r == 0 ? "accepted" : error.name,
				r == 0 ? "" : error.message);
			failures++;
		}
		sd_bus_error_free(&error);
		free(spec);
	}
	ck_assert_msg(failures == 0, "%d specs were not refused as they should be", failures);
	helper_expect_descriptors(daemon, &before);
}
END_TEST

/* Nested to one more level than is allowed, and wider than is allowed. */
START_TEST(conditions_beyond_the_limits)
{
	sd_bus *bus = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	char text[8192];
	BusSession session;
	Target target;
	size_t n = 0;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	for (int i = 0; i < 33; i++)
		n += (size_t)sprintf(text + n, "{\"!\": [");
	n += (size_t)sprintf(text + n, "1");
	for (int i = 0; i < 33; i++)
		n += (size_t)sprintf(text + n, "]}");
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error,
				     "{'address': '0x%lx', 'condition': %s}",
				     target_address_of(&target, "loop_work"), text),
			 1);
	bus_expect_error(&error, "InvalidCondition", "32");

	n = (size_t)sprintf(text, "{\"or\": [0");
	for (int i = 0; i < 256; i++)
		n += (size_t)sprintf(text + n, ", {\"reg\": \"" ARG1 "\"}");
	sprintf(text + n, "]}");
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error,
				     "{'address': '0x%lx', 'condition': %s}",
				     target_address_of(&target, "loop_work"), text),
			 1);
	bus_expect_error(&error, "InvalidCondition", "256");
}
END_TEST

START_TEST(fifth_breakpoint_on_a_thread)
{
	sd_bus *bus = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	BusBreakpoint breakpoints[EXECUTION_SLOTS], fifth;
	Objects before;
	BusSession session;
	BusCounts counts;
	char tid[32];
	Target target;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	for (int i = 0; i < EXECUTION_SLOTS; i++)
		bus_add(&session, &breakpoints[i],
			"{'address': '0x%lx', 'condition': {'==': [{'reg': '" ARG1 "'}, %d]}}",
			target_address_of(&target, "loop_work"), i);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	ck_assert_int_eq(bus_try_add(&session, &fifth, &error, "{'address': '0x%lx'}",
				     target_address_of(&target, "loop_work")),
			 1);
	snprintf(tid, sizeof(tid), "%d", target.pid);
	bus_expect_error(&error, "NoFreeSlot", tid);
	helper_expect_descriptors(daemon, &before);

	target_ask(&target, "called", "call 100");
	for (int i = 0; i < EXECUTION_SLOTS; i++) {
		bus_breakpoint_call(&breakpoints[i], "Disable");
		bus_counts(&breakpoints[i], &counts);
		bus_counts_check(&counts);
		ck_assert_uint_eq(counts.hits, 1);
	}
	bus_breakpoint_call(&breakpoints[2], "Remove");
	bus_add(&session, &fifth, "{'address': '0x%lx'}", target_address_of(&target, "loop_work"));
}
END_TEST

/* Refused on one thread of several: none of the others keeps an event. */
START_TEST(half_a_breakpoint_is_none)
{
	sd_bus *bus = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	BusBreakpoint all, one[EXECUTION_SLOTS - 1], another;
	Objects before;
	BusSession session;
	char tid[32];
	Target target;

	target_start(&target, "threads", "3", NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &all, "{'address': '0x%lx'}", target_address_of(&target, "threads_work"));
	for (int i = 0; i < EXECUTION_SLOTS - 1; i++)
		bus_add(&session, &one[i], "{'address': '0x%lx', 'threads': [%d]}",
			target_address_of(&target, "threads_work"), all.threads[3]);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	ck_assert_int_eq(bus_try_add(&session, &another, &error, "{'address': '0x%lx'}",
				     target_address_of(&target, "threads_work")),
			 1);
	snprintf(tid, sizeof(tid), "%d", all.threads[3]);
	bus_expect_error(&error, "NoFreeSlot", tid);
	helper_expect_descriptors(daemon, &before);
}
END_TEST

START_TEST(no_process_at_all)
{
	sd_bus *bus = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pid_t daemon = helper_daemon_pid();
	Objects before;
	BusSession session;
	int fd;

	ck_assert_int_eq(helper_objects(daemon, &before), 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(bus_try_open_descriptor(bus, fd, 0, &session, &error), 1);
	ck_assert_msg(strlen(error.message) > 10, "%s", error.message);
	sd_bus_error_free(&error);
	close(fd);

	ck_assert_int_eq(bus_try_open_session_by_pid(bus, 0, &session, &error), 1);
	sd_bus_error_free(&error);
	ck_assert_int_eq(bus_try_open_session_by_pid(bus, -1, &session, &error), 1);
	sd_bus_error_free(&error);
	ck_assert_int_eq(bus_try_open_session_by_pid(bus, 4194303, &session, &error), 1);
	bus_expect_error(&error, "NoSuchTarget", NULL);
	sd_bus_flush_close_unref(bus);
	helper_expect_descriptors(daemon, &before);
}
END_TEST

START_TEST(threads_that_are_not_the_targets)
{
	sd_bus *bus = bus_connect();
	sd_bus_error error = SD_BUS_ERROR_NULL;
	BusBreakpoint breakpoint;
	Target target, other;
	BusSession session;

	target_start(&target, "loop", NULL, NULL);
	target_start(&other, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error,
				     "{'address': '0x%lx', 'threads': [%d]}",
				     target_address_of(&target, "loop_work"), other.pid),
			 1);
	ck_assert_msg(strlen(error.message) > 10, "%s", error.message);
	sd_bus_error_free(&error);
}
END_TEST

START_TEST(ring_sizes_that_cannot_be)
{
	static const uint64_t sizes[] = {1, 4095, 4097, 12288, 1ULL << 40, UINT64_MAX, 1ULL << 63};
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		int pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);

		ck_assert_msg(bus_try_open_descriptor(bus, pidfd, sizes[i], &session, &error) == 1,
			      "a ring of %lu bytes", (unsigned long)sizes[i]);
		sd_bus_error_free(&error);
		close(pidfd);
	}
}
END_TEST

static void expect_invalid_options(sd_bus *bus, int pidfd, const char *part, const char *first,
				   const char *second)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE, "OpenSession",
			       &error, NULL, "ha{sv}", pidfd, 2, first, "t", UINT64_C(4096), second,
			       "t", UINT64_C(8192));
	ck_assert_int_lt(r, 0);
	ck_assert_str_eq(error.name, SD_BUS_ERROR_INVALID_ARGS);
	ck_assert_msg(strstr(error.message, part) != NULL, "%s", error.message);
	sd_bus_error_free(&error);
}

START_TEST(options_that_cannot_be)
{
	sd_bus *bus = bus_connect();
	Target target;
	int pidfd;

	target_start(&target, "loop", NULL, NULL);
	pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);
	expect_invalid_options(bus, pidfd, "\"hits-bytes\" is given twice", "hits-bytes",
			       "hits-bytes");
	expect_invalid_options(bus, pidfd, "no option \"hits_bytes\"", "hits-bytes", "hits_bytes");
	ck_assert_uint_eq(bus_number(bus, MANAGER_PATH, MANAGER_INTERFACE, "Sessions"), 0);
	close(pidfd);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("refusals");

	integration_add(suite, "mistakes in specs", mistakes_in_specs);
	integration_add(suite, "conditions beyond the limits", conditions_beyond_the_limits);
	integration_add(suite, "a fifth breakpoint on a thread", fifth_breakpoint_on_a_thread);
	integration_add(suite, "half a breakpoint is none", half_a_breakpoint_is_none);
	integration_add(suite, "no process at all", no_process_at_all);
	integration_add(suite, "threads that are not the target's",
			threads_that_are_not_the_targets);
	integration_add(suite, "ring sizes that cannot be", ring_sizes_that_cannot_be);
	integration_add(suite, "options that cannot be", options_that_cannot_be);
	return integration_run(suite, argc, argv);
}
