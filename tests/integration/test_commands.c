/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpcondctl as a user meets it: on a target that keeps its own tally, on mistakes, and on what it
 * prints for programs. Exit statuses are part of its interface.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bus.h"
#include "tests/support/command.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	STATUS_HITS = 0,
	STATUS_NO_HITS = 1,
	STATUS_USAGE = 2,
	STATUS_REFUSED = 3,
	STATUS_NO_TARGET = 4,
	STATUS_NO_DAEMON = 5,
};

/* Starts bpcondctl; returns once it is ready. */
#define start_ready(command, ...)                                                               \
	do {                                                                                    \
		command_start(command, (const char *[]){integration_program("tools/bpcondctl"), \
							__VA_ARGS__, NULL});                    \
		command_wait_text(command, COMMAND_STDERR, "ready");                            \
	} while (0)

/* Runs bpcondctl to its end. Return: its exit status. */
#define run_command(command, ...)                                                        \
	(command_start(command, (const char *[]){integration_program("tools/bpcondctl"), \
						 __VA_ARGS__, NULL}),                    \
	 command_finish(command))

static char *decimal(long number)
{
	static char texts[4][32];
	static unsigned next;
	char *text = texts[next++ % 4];

	snprintf(text, 32, "%ld", number);
	return text;
}

/* Hits of a --json output whose lines hold `text`; all hits must. */
static size_t check_hit_lines(const Command *command, const char *text)
{
	size_t hits = command_count(command, COMMAND_STDOUT, "{\"breakpoint\":");

	ck_assert_uint_eq(command_count(command, COMMAND_STDOUT, text), hits);
	return hits;
}

/* malloc(4096) of eight threads, four of which start after the attach, against their own tally. */
START_TEST(break_on_malloc_in_eight_threads)
{
	const long calls = integration_volume(20000);
	Command command;
	Target target;
	long tally;

	target_start(&target, "mallocs", decimal(calls), NULL);
	start_ready(&command, "break", "--json", "--regs", ARG1, "-p", decimal(target.pid),
		    "libc.so.6:malloc", "if", "$" ARG1 " == 4096");
	target_ask(&target, "early done", "early");
	target_ask(&target, "late done", "late");
	tally = target_ask(&target, "tally", "report");
	ck_assert_int_gt(tally, 8 * calls / 160);
	kill(command.pid, SIGINT);
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);

	ck_assert_uint_eq(check_hit_lines(&command, "\"registers\":{\"" ARG1 "\":\"0x1000\"}"),
			  (size_t)tally);
	ck_assert_uint_eq(command_summary(&command, "hits"), (unsigned long)tally);
	ck_assert_uint_eq(command_summary(&command, "dropped"), 0);
	ck_assert_uint_eq(command_summary(&command, "lost"), 0);
	ck_assert_uint_eq(command_summary(&command, "evaluated"),
			  command_summary(&command, "hits") +
				  command_summary(&command, "rejected"));
	/* eight threads of so many calls each, and the few of the program around them */
	ck_assert_uint_ge(command_summary(&command, "traps"), 8 * (unsigned long)calls);
	command_end(&command);
}
END_TEST

START_TEST(watch_reports_exactly_the_stores)
{
	char condition[64];
	Command command;
	Target target;
	long above = 0, last;

	target_start(&target, "stores", NULL, NULL);
	snprintf(condition, sizeof(condition), "*(int *)0x%lx > 100",
		 (unsigned long)target_address_of(&target, "value"));
	start_ready(&command, "watch", "--json", "--length", "4", "-p", decimal(target.pid),
		    "stores_pair", "if", condition);
	target_ask(&target, "above", "other 500");
	/* in parts, so that a ring of hits is not more than a busy machine can read in time */
	for (int i = 0; i < 20; i++)
		above += target_ask(&target, "above", "store 1000");
	/* One more, at which a machine that looks before the access sees the last of these. */
	last = target_ask(&target, "above", "store 1");
	above += MACHINE_X86 ? last : 0;
	kill(command.pid, SIGINT);
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	ck_assert_int_gt(above, 1000);
	ck_assert_uint_eq(command_summary(&command, "dropped"), 0);
	ck_assert_uint_eq(check_hit_lines(&command, MACHINE_X86 ? "\"flags\":[]"
								: "\"flags\":[\"before-access\"]"),
			  (size_t)above);
	ck_assert_uint_eq(command_summary(&command, "traps"), 20001);
	ck_assert_uint_eq(command_summary(&command, "rejected"), 20001 - (unsigned long)above);
	command_end(&command);
}
END_TEST

/* The same condition as a typed expression over the watched symbol. */
START_TEST(watch_with_value)
{
	Command command;
	Target target;
	long above;

	target_start(&target, "stores", NULL, NULL);
	start_ready(&command, "watch", "--json", "--length", "4", "-p", decimal(target.pid),
		    "stores_pair", "if", "(int)value > 100");
	above = target_ask(&target, "above", "store 5000");
	kill(command.pid, SIGINT);
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	ck_assert_uint_eq(command_summary(&command, "hits"), (unsigned long)above);
	command_end(&command);
}
END_TEST

START_TEST(it_ends_with_the_target)
{
	Command command;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	start_ready(&command, "break", "-p", decimal(target.pid), "loop_work", "if",
		    "$" ARG1 " == 7");
	target_ask(&target, "called", "call 10");
	target_send(&target, "exit 0");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	command_end(&command);

	target_start(&target, "loop", NULL, NULL);
	start_ready(&command, "break", "-p", decimal(target.pid), "loop_work", "if",
		    "$" ARG1 " == -1");
	target_ask(&target, "called", "call 10");
	target_kill(&target);
	ck_assert_int_eq(command_finish(&command), STATUS_NO_HITS);
	command_end(&command);
}
END_TEST

START_TEST(limit_and_timeout_end_it)
{
	Command command;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	start_ready(&command, "break", "--json", "--limit", "3", "-p", decimal(target.pid),
		    "loop_work");
	target_ask(&target, "called", "call 10");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	ck_assert_uint_eq(command_summary(&command, "hits"), 3);
	ck_assert_uint_eq(check_hit_lines(&command, "\"pid\":"), 3);
	command_end(&command);

	ck_assert_int_eq(run_command(&command, "break", "--timeout", "1", "-p", decimal(target.pid),
				     "loop_work"),
			 STATUS_NO_HITS);
	command_end(&command);
}
END_TEST

/* What a spec takes the options take, and what is too much is said. */
START_TEST(numbers_at_their_ends)
{
	static const struct {
		const char *option, *value, *says;
	} mistakes[] = {
		{"--param", "m=18446744073709551616", "no 64-bit integer"},
		{"--param", "m=-9223372036854775809", "no 64-bit integer"},
		{"--skip", "18446744073709551616", "--skip wants"},
		{"--timeout", "1e10", "at most 1000000000"},
	};
	Command command;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	start_ready(&command, "break", "--json", "--limit", "18446744073709551615", "--param",
		    "m=18446744073709551615", "--param", "n=-9223372036854775808", "-p",
		    decimal(target.pid), "loop_work", "if", "m == -1 && n - 1 > 0");
	target_ask(&target, "called", "call 10");
	kill(command.pid, SIGINT);
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	ck_assert_uint_eq(command_summary(&command, "hits"), 10);
	command_end(&command);

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		ck_assert_int_eq(run_command(&command, "break", mistakes[i].option,
					     mistakes[i].value, "-p", decimal(target.pid),
					     "loop_work"),
				 STATUS_USAGE);
		ck_assert_uint_eq(command_count(&command, COMMAND_STDERR, mistakes[i].says), 1);
		command_end(&command);
	}
}
END_TEST

START_TEST(check_reads_files_only)
{
	Command command;

	ck_assert_int_eq(run_command(&command, "check", "-f", "/"), STATUS_USAGE);
	ck_assert_uint_eq(
		command_count(&command, COMMAND_STDERR, "cannot read '/': Is a directory"), 1);
	command_end(&command);
}
END_TEST

START_TEST(run_starts_a_program)
{
	Command command;

	command_start(&command, (const char *[]){integration_program("tools/bpcondctl"), "run",
						 "--json", "--regs", ARG1, "break", "loop_work",
						 "if", "$" ARG1 " % 10 == 5", "--", "sh", "-c",
						 "echo call 100 | exec \"$0\"",
						 integration_program("tests/targets/loop"), NULL});
	/* sh is not the loop: the symbol is not there, and that is said */
	ck_assert_int_eq(command_finish(&command), STATUS_USAGE);
	command_end(&command);

	command_start(&command, (const char *[]){integration_program("tools/bpcondctl"), "run",
						 "--json", "break", "libc.so.6:malloc", "if",
						 "$" ARG1 " == 4096", "--", "/bin/true", NULL});
	ck_assert_int_le(command_finish(&command), STATUS_NO_HITS);
	ck_assert_uint_ge(command_summary(&command, "traps"), 0);
	command_end(&command);
}
END_TEST

START_TEST(exit_statuses_of_failures)
{
	Command command;
	Target target, other;

	target_start(&target, "loop", NULL, NULL);
	target_start_as(&other, ENVIRONMENT_USER_B, integration_program("tests/targets/loop"),
			NULL);

	ck_assert_int_eq(run_command(&command, "nonsense"), STATUS_USAGE);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "list", "everything"), STATUS_USAGE);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDERR, ": list takes no argument"), 1);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "break", "-p", decimal(target.pid), "loop_work",
				     "if", "$" ARG1 " =="),
			 STATUS_USAGE);
	/* a caret under the mistake */
	ck_assert_uint_ge(command_count(&command, COMMAND_STDERR, "^"), 1);
	command_end(&command);
	ck_assert_int_eq(
		run_command(&command, "break", "-p", decimal(target.pid), "no_such_symbol"),
		STATUS_USAGE);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "break", "-p", decimal(other.pid), "0x401000"),
			 STATUS_REFUSED);
	ck_assert_uint_ge(strlen(command.texts[COMMAND_STDERR]), 20);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "break", "-p", "4194303", "0x401000"),
			 STATUS_NO_TARGET);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "status", "--bus", "unix:path=/nonexistent"),
			 STATUS_NO_DAEMON);
	command_end(&command);
}
END_TEST

/* What was taken for a location that leaves something open is said; what no watchpoint can be on is
 * refused in the words of the command line. */
START_TEST(the_place_that_was_taken_is_said)
{
	static const struct {
		const char *command, *location, *said;
		int status;
	} table[] = {
		{"break", "loop.c:1", ", loop.c:", STATUS_NO_HITS},
		{"break", "loop.c:1", " (line 1 has no code)\n", STATUS_NO_HITS},
		{"watch", "loop_record", ", 8 of 32 bytes\n", STATUS_NO_HITS},
		{"watch", "loop_record+20", "give --length 4", STATUS_USAGE},
		{"watch", "loop_record+18", "give --length 2", STATUS_USAGE},
		{"watch", "loop_work", "loop_work is code: use break", STATUS_USAGE},
		{"watch", "loop.c:1", "loop.c:1 is code: use break", STATUS_USAGE},
	};
	Command command;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int status = run_command(&command, table[i].command, "--timeout", "0.1", "-p",
					 decimal(target.pid), table[i].location);

		ck_assert_msg(status == table[i].status &&
				      strstr(command.texts[COMMAND_STDERR], table[i].said) != NULL,
			      "%s %s: %d\n%s", table[i].command, table[i].location, status,
			      command.texts[COMMAND_STDERR]);
		command_end(&command);
	}
	ck_assert_int_eq(run_command(&command, "watch", "--timeout", "0.1", "-p",
				     decimal(target.pid), "loop_calls"),
			 STATUS_NO_HITS);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDERR, " bytes"), 0);
	command_end(&command);
}
END_TEST

/* A client names itself, and everybody lists it: it writes no lines of its own. */
START_TEST(list_is_a_line_a_session)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	Command command;

	ck_assert_int_ge(sd_bus_call_method(bus, "org.bpcond1", MANAGER_PATH, MANAGER_INTERFACE,
					    "OpenSessionByPid", &error, NULL, "ua{sv}",
					    (uint32_t)getpid(), 1, "client", "s",
					    "one\n2\033[1m\ttw\303\266\302\2331m"),
			 0);
	ck_assert_int_eq(run_command(&command, "list"), 0);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDOUT, "one?2?[1m?tw\303\266?1m\n"), 1);
	command_end(&command);
	sd_bus_flush_close_unref(bus);
}
END_TEST

START_TEST(status_list_and_rm)
{
	Command session, command;
	Target target;
	char *path, *end;

	target_start(&target, "loop", NULL, NULL);
	start_ready(&session, "break", "-p", decimal(target.pid), "loop_work", "if",
		    "$" ARG1 " == 1");
	ck_assert_int_eq(run_command(&command, "status"), 0);
	ck_assert_uint_ge(command_count(&command, COMMAND_STDOUT, "hardware-slots"), 1);
	command_end(&command);

	ck_assert_int_eq(run_command(&command, "list", "--json"), 0);
	path = strstr(command.texts[COMMAND_STDOUT], "/org/bpcond1/session/");
	ck_assert_msg(path != NULL, "%s", command.texts[COMMAND_STDOUT]);
	end = path + strcspn(path, "\"");
	*end = '\0';
	path = strdup(path);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "rm", path), 0);
	command_end(&command);
	ck_assert_int_eq(command_finish(&session), STATUS_NO_HITS);
	command_end(&session);
	free(path);
}
END_TEST

START_TEST(check_shows_the_code_on_request)
{
	Command command;
	const char *code;

	ck_assert_int_eq(run_command(&command, "check", "$" ARG1 " == 500"), 0);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDOUT, "exit"), 0);
	command_end(&command);

	ck_assert_int_eq(run_command(&command, "check", "--disassemble", "$" ARG1 " == 500"), 0);
	code = strstr(command.texts[COMMAND_STDOUT], "\ncode of the condition\n");
	ck_assert_msg(code != NULL, "%s", command.texts[COMMAND_STDOUT]);
	ck_assert_str_eq(strchr(code + 1, '\n'), "\n     0: (79) r0 = *(u64 *)(r1 +" ARG1_AT ")"
						 "\n     1: (55) if r0 != 0x1f4 goto pc+2"
						 "\n     2: (b7) r0 = 1"
						 "\n     3: (95) exit"
						 "\n     4: (b7) r0 = 0"
						 "\n     5: (95) exit\n");
	command_end(&command);

	/* A 64-bit constant takes two numbers, as a jump over it counts it. */
	ck_assert_int_eq(
		run_command(&command, "check", "--disassemble", "$" ARG1 " == 0x123456789abcdef0"),
		0);
	code = strstr(command.texts[COMMAND_STDOUT], "= 0x123456789abcdef0\n");
	ck_assert_msg(code != NULL, "%s", command.texts[COMMAND_STDOUT]);
	command_end(&command);

	ck_assert_int_eq(run_command(&command, "check", "--json", "$" ARG1 " == 500"), 0);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDOUT,
					"\"code\":[\"0: (79) r0 = *(u64 *)(r1 +" ARG1_AT ")\","),
			  1);
	command_end(&command);
	ck_assert_int_eq(run_command(&command, "check", "--disassemble", "$nothing == 500"),
			 STATUS_USAGE);
	command_end(&command);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("commands");

	integration_add(suite, "break on malloc in eight threads",
			break_on_malloc_in_eight_threads);
	integration_add(suite, "watch reports exactly the stores",
			watch_reports_exactly_the_stores);
	integration_add(suite, "watch with value", watch_with_value);
	integration_add(suite, "it ends with the target", it_ends_with_the_target);
	integration_add(suite, "--limit and --timeout end it", limit_and_timeout_end_it);
	integration_add(suite, "numbers at their ends", numbers_at_their_ends);
	integration_add(suite, "check reads files only", check_reads_files_only);
	integration_add(suite, "run starts a program", run_starts_a_program);
	integration_add(suite, "exit statuses of failures", exit_statuses_of_failures);
	integration_add(suite, "the place that was taken is said",
			the_place_that_was_taken_is_said);
	integration_add(suite, "status, list and rm", status_list_and_rm);
	integration_add(suite, "list is a line a session", list_is_a_line_a_session);
	integration_add(suite, "check shows the code on request", check_shows_the_code_on_request);
	return integration_run(suite, argc, argv);
}
