/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bpcondctl tells a person: where the breakpoint is, what a hit saw, why it is over, what went
 * wrong and what to do then. And that it tells it in whole lines, whoever else writes there.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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
};

#define start(command, ...)    \
	command_start(command, \
		      (const char *[]){integration_program("tools/bpcondctl"), __VA_ARGS__, NULL})
#define start_ready(command, ...)                                    \
	do {                                                         \
		start(command, __VA_ARGS__);                         \
		command_wait_text(command, COMMAND_STDERR, "ready"); \
	} while (0)
/* A command of the shell, in which $0 is bpcondctl and $1 the argument. */
#define start_shell(command, script, argument)                                                     \
	command_start(command,                                                                     \
		      (const char *[]){"sh", "-c", script, integration_program("tools/bpcondctl"), \
				       argument, NULL})

static void expect(const Command *command, int stream, const char *text)
{
	ck_assert_msg(strstr(command->texts[stream], text) != NULL, "no \"%s\" in:\n%s", text,
		      command->texts[stream]);
}

static void expect_none(const Command *command, int stream, const char *text)
{
	ck_assert_msg(strstr(command->texts[stream], text) == NULL, "\"%s\" in:\n%s", text,
		      command->texts[stream]);
}

static void pid_of(const Target *target, char ret[static 16])
{
	snprintf(ret, 16, "%d", (int)target->pid);
}

/* The program writes a line at a time to the same pipe; each of its writes is a hit. */
START_TEST(lines_are_whole_beside_the_programs)
{
	size_t hits = 0, lines = 0;
	Command command;
	char *line, *rest;

	start_shell(&command,
		    "\"$0\" run --json --regs all --stack break libc.so.6:write -- "
		    "sh -c 'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done' | cat",
		    "");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	rest = command.texts[COMMAND_STDOUT];
	while (*rest != '\0') {
		size_t n = strcspn(rest, "\n");

		ck_assert_int_eq(rest[n], '\n');
		line = strndup(rest, n);
		rest += n + 1;
		if (strncmp(line, "{\"breakpoint\":", 14) == 0 && line[n - 1] == '}')
			hits++;
		else if (strncmp(line, "line ", 5) == 0 &&
			 line[5 + strspn(line + 5, "0123456789")] == '\0')
			lines++;
		else
			ck_assert_msg(*rest == '\0' && strncmp(line, "{\"summary\":", 11) == 0,
				      "torn: %s", line);
		free(line);
	}
	ck_assert_uint_eq(lines, 3000);
	ck_assert_uint_eq(hits,
			  command_summary(&command, "hits") - command_summary(&command, "dropped"));
	ck_assert_uint_eq(command_summary(&command, "hits"), 3000);
	command_end(&command);
}
END_TEST

/* N of the only session, or N/M, as `list` shows it. */
static void find_object(bool breakpoint, char ret[static 32])
{
	unsigned session, number;
	Command command;
	char *path;

	start(&command, "list", "--json");
	ck_assert_int_eq(command_finish(&command), 0);
	path = strstr(command.texts[COMMAND_STDOUT], "/breakpoint/");
	ck_assert_msg(path != NULL, "%s", command.texts[COMMAND_STDOUT]);
	path = strstr(command.texts[COMMAND_STDOUT], "/org/bpcond1/session/");
	ck_assert_int_eq(sscanf(path, "/org/bpcond1/session/%u", &session), 1);
	path = strstr(command.texts[COMMAND_STDOUT], "/breakpoint/");
	ck_assert_int_eq(sscanf(path, "/breakpoint/%u", &number), 1);
	if (breakpoint)
		snprintf(ret, 32, "%u/%u", session, number);
	else
		snprintf(ret, 32, "%u", session);
	command_end(&command);
}

static void remove_object(bool breakpoint, const char *end)
{
	Command session, command;
	char object[32], pid[16];
	Target target;

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	start_ready(&session, "break", "-p", pid, "loop_work", "if", "$" ARG1 " == 4");
	target_ask(&target, "called", "call 10");
	find_object(breakpoint, object);
	start(&command, "rm", object);
	ck_assert_int_eq(command_finish(&command), 0);
	command_end(&command);
	ck_assert_int_eq(command_finish(&session), STATUS_HITS);
	expect(&session, COMMAND_STDOUT, end);
	/* the counts that only the daemon knows are there */
	expect(&session, COMMAND_STDOUT, "  traps                  10\n");
	expect_none(&session, COMMAND_STDOUT, "not known");
	command_end(&session);
	target_kill(&target);
}

START_TEST(it_says_that_the_breakpoint_was_removed)
{
	remove_object(true, "The breakpoint was removed.\n");
}
END_TEST

START_TEST(it_says_that_the_session_was_closed)
{
	remove_object(false, "The session was closed.\n");
}
END_TEST

/* The library's side of it: told once, by the descriptor too; the session and its others go on. */
START_TEST(the_library_tells_of_a_removal)
{
	bpcond_request request = {.size = sizeof(request), .location = "loop_work"};
	bpcond_breakpoint *first, *second;
	const struct bpcond_hit *hit;
	bpcond_session *session;
	bpcond_client *client;
	bpcond_counts counts;
	BusBreakpoint other;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_msg(bpcond_client_connect(client, NULL) == 0 &&
			      bpcond_session_open(client, target.pid, NULL, &session) == 0,
		      "%s", bpcond_client_error(client)->message);
	request.condition = "$" ARG1 " == 1";
	ck_assert_int_eq(bpcond_session_break(session, &request, &first), 0);
	request.condition = "$" ARG1 " == 2";
	ck_assert_int_eq(bpcond_session_break(session, &request, &second), 0);
	target_ask(&target, "called", "call 5");

	other = (BusBreakpoint){.bus = bus_connect()};
	snprintf(other.path, sizeof(other.path), "%s", bpcond_breakpoint_path(first));
	bus_breakpoint_call(&other, "Remove");
	sd_bus_close_unref(other.bus);

	/* what was hit comes first */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(bpcond_session_wait(session, 5000, &hit), 1);
		ck_assert_int_eq(bpcond_breakpoint_is_removed(second), 0);
	}
	ck_assert_int_eq(bpcond_session_wait(session, 5000, &hit), -ENOENT);
	ck_assert_int_eq(bpcond_breakpoint_is_removed(first), 1);
	ck_assert_int_eq(bpcond_breakpoint_is_removed(second), 0);
	ck_assert_int_eq(bpcond_session_end(session), BPCOND_RUNNING);
	ck_assert_int_eq(bpcond_session_wait(session, 0, &hit), 0);
	ck_assert_int_eq(
		poll(&(struct pollfd){.fd = bpcond_session_fd(session), .events = POLLIN}, 1, 0),
		0);

	ck_assert_int_eq(bpcond_breakpoint_counts(first, &counts), 0);
	ck_assert_uint_eq(counts.traps, 5);
	ck_assert_uint_eq(counts.hits, 1);
	ck_assert_int_eq(bpcond_breakpoint_disable(first), -ENOENT);
	ck_assert_int_eq(bpcond_breakpoint_remove(first), 0);

	target_ask(&target, "called", "call 5");
	ck_assert_int_eq(bpcond_session_wait(session, 5000, &hit), 1);
	ck_assert_uint_eq(hit->breakpoint, bpcond_breakpoint_number(second));
	/* one's own removal is no news */
	ck_assert_int_eq(bpcond_breakpoint_remove(second), 0);
	ck_assert_int_eq(bpcond_session_wait(session, 100, &hit), 0);
	bpcond_client_free(client);
	target_kill(&target);
}
END_TEST

START_TEST(the_place_is_said_before_ready)
{
	char pid[16], place[128], data[32];
	const char *at, *ready;
	Command command;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	start_ready(&command, "break", "-p", pid, "loop_work");
	snprintf(place, sizeof(place), "at 0x%lx loop_work (loop)\n",
		 (unsigned long)target_address_of(&target, "loop_work"));
	at = strstr(command.texts[COMMAND_STDERR], place);
	ready = strstr(command.texts[COMMAND_STDERR], "ready\n");
	ck_assert_msg(at != NULL && at < ready, "%s", command.texts[COMMAND_STDERR]);
	expect_none(&command, COMMAND_STDERR, "not mapped");
	command_end(&command);

	start_ready(&command, "break", "-p", pid, "0x1188");
	expect(&command, COMMAND_STDERR, "0x1188 is not mapped in process");
	command_end(&command);
	snprintf(data, sizeof(data), "0x%lx",
		 (unsigned long)target_address_of(&target, "loop_calls"));
	start_ready(&command, "break", "-p", pid, data);
	expect(&command, COMMAND_STDERR, "is not mapped executable in process");
	command_end(&command);
	start_ready(&command, "watch", "-p", pid, data);
	expect_none(&command, COMMAND_STDERR, "not mapped");
	command_end(&command);
	target_kill(&target);
}
END_TEST

START_TEST(a_watch_shows_the_value)
{
	/* the first that the target stores: see tests/targets/stores.c */
	const uint32_t state = 4711U * 1664525U + 1013904223U;
	const int32_t value = (int32_t)((state >> 16) % 400) - 200;
	char pid[16], text[64];
	Command command;
	Target target;

	target_start(&target, "stores", NULL, NULL);
	pid_of(&target, pid);
	start_ready(&command, "watch", "--limit", "1", "--length", "4", "-p", pid, "stores_pair");
	target_ask(&target, "above", "store 1");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	/* where it is reported before the access, what was there before */
	snprintf(text, sizeof(text), "  value %d (0x%x)  by 0x", MACHINE_X86 ? value : 0,
		 MACHINE_X86 ? (unsigned)value : 0);
	expect(&command, COMMAND_STDOUT, text);
	/* who did it stands in the line, and nowhere else */
	expect_none(&command, COMMAND_STDOUT, PC " ");
	command_end(&command);

	/* what was asked for is shown still */
	start_ready(&command, "watch", "--limit", "1", "--length", "4", "--regs", PC, "--mem",
		    "&stores_pair:8", "-p", pid, "stores_pair");
	target_ask(&target, "above", "store 1");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	snprintf(text, sizeof(text), "  value %d (0x%x)  by 0x", value, (unsigned)value);
	expect(&command, COMMAND_STDOUT, text);
	expect(&command, COMMAND_STDOUT, PC "  ");
	snprintf(text, sizeof(text), "    0x%lx  ",
		 (unsigned long)target_address_of(&target, "value"));
	expect(&command, COMMAND_STDOUT, text);
	command_end(&command);

	/* for programs only what the request says */
	start_ready(&command, "watch", "--json", "--limit", "1", "--length", "4", "-p", pid,
		    "stores_pair");
	target_ask(&target, "above", "store 1");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	expect(&command, COMMAND_STDOUT, "\"registers\":{},\"memory\":[],");
	command_end(&command);
	target_kill(&target);
}
END_TEST

/* The breakpoint is set before there is a libc, and the program is over when its hit is shown. */
START_TEST(run_names_what_is_loaded_later)
{
	Command command;

	start_shell(&command,
		    "echo stack 1 | \"$0\" run --limit 1 --stack break stack_inner -- \"$1\"",
		    integration_program("tests/targets/machine"));
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	expect(&command, COMMAND_STDOUT, " main+0x");
	expect(&command, COMMAND_STDOUT, " (libc.so.6)\n");
	command_end(&command);
}
END_TEST

START_TEST(a_stopped_target_is_not_left_without_a_word)
{
	char pid[16], text[64];
	Command command;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	start_ready(&command, "break", "--stop", "--limit", "1", "-p", pid, "loop_work");
	target_send(&target, "call 1");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	snprintf(text, sizeof(text), "continue it with 'kill -CONT %s'", pid);
	expect(&command, COMMAND_STDOUT, text);
	command_end(&command);
	kill(target.pid, SIGCONT);
	ck_assert_int_eq(target_answer(&target, "called"), 1);

	/* one that goes on is not said to stand still */
	start_ready(&command, "break", "--stop", "--timeout", "0.2", "-p", pid, "loop_work");
	ck_assert_int_eq(command_finish(&command), STATUS_NO_HITS);
	expect_none(&command, COMMAND_STDOUT, "stopped");
	command_end(&command);
	target_kill(&target);
}
END_TEST

START_TEST(a_fault_is_explained_and_can_be_rejected)
{
	Command command;
	Target target;
	char pid[16];

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	start_ready(&command, "break", "--limit", "2", "-p", pid, "loop_work", "if", "*(int *)8");
	target_ask(&target, "called", "call 2");
	ck_assert_int_eq(command_finish(&command), STATUS_HITS);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDOUT,
					"[fault: memory not resident or not readable, or division "
					"by zero]"),
			  2);
	command_end(&command);

	start_ready(&command, "break", "--json", "--on-fault", "reject", "-p", pid, "loop_work",
		    "if", "*(int *)8");
	target_ask(&target, "called", "call 5");
	kill(command.pid, SIGINT);
	ck_assert_int_eq(command_finish(&command), STATUS_NO_HITS);
	ck_assert_uint_eq(command_summary(&command, "rejected"), 5);
	ck_assert_uint_eq(command_summary(&command, "faults"), 5);
	command_end(&command);
	target_kill(&target);
}
END_TEST

START_TEST(signals_have_numbers_and_short_names)
{
	static const char *const names[] = {"18", "CONT", "cont", "SIGCONT"};
	Command command;
	Target target;
	char pid[16];

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		Command list;

		start_ready(&command, "break", "--signal", names[i], "-p", pid, "loop_work");
		start(&list, "list", "--json");
		ck_assert_int_eq(command_finish(&list), 0);
		expect(&list, COMMAND_STDOUT, "SIGCONT");
		command_end(&list);
		command_end(&command);
	}
	target_kill(&target);
}
END_TEST

/* Mistakes of options are told by their names, and likely causes with them. */
START_TEST(mistakes_are_explained)
{
	static const struct {
		const char *script, *text;
	} table[] = {
		{"\"$0\" break -p $1 loop_work if $" ARG1 " == 3", "the shell took it"},
		{"\"$0\" break -p $1 loop_work if", "the shell took it"},
		{"\"$0\" check '== 3'", "the shell took it"},
		{"\"$0\" break -p $1 loop_work if '$" ARG1 " == 3' --json", "put '--json' there"},
		{"\"$0\" break -p $1 loop_work --json", "options go before it"},
		{"\"$0\" break -p $1 --stack 3 loop_work", "--stack=3"},
		{"\"$0\" break --mem '$" ARG1 ":100000' -p $1 loop_work", "bpcondctl: --mem: "},
		{"\"$0\" watch --length 9 -p $1 loop_record", "a number from 1 to 8"},
#if MACHINE_X86
		{"\"$0\" watch --length 3 -p $1 loop_record", "bpcondctl: --length: "},
#endif
		{"\"$0\" break --stack=1000 -p $1 loop_work", "bpcondctl: --stack: "},
		{"\"$0\" break --signal 99 -p $1 loop_work", "bpcondctl: --signal: "},
		{"\"$0\" break --signal trap -p $1 loop_work", "bpcondctl: --signal: "},
		{"\"$0\" break --timeout 0 -p $1 loop_work", "above 0"},
		{"\"$0\" break --on-fault no -p $1 loop_work", "--on-fault wants hit or reject"},
	};
	Command command;
	Target target;
	char pid[16];

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		start_shell(&command, table[i].script, pid);
		ck_assert_msg(command_finish(&command) == STATUS_USAGE, "%s", table[i].script);
		expect(&command, COMMAND_STDERR, table[i].text);
		command_end(&command);
	}
	target_kill(&target);
}
END_TEST

/* What may be the cause is told only where it may be: an operand is missing, and there is no $. */
START_TEST(the_shell_is_blamed_only_where_it_may_be)
{
	static const struct {
		const char *script;
		bool blamed;
	} table[] = {
		{"\"$0\" check 'value == '", true},
		{"\"$0\" check 'value != previous &&  == 3'", true},
		{"\"$0\" check 'streq(, \"GET\")'", true},
		{"\"$0\" check '*(int *)( + 8) == )'", true},
		{"\"$0\" check 'value == 3 4'", false},
		{"\"$0\" check 'no_such_thing == 3'", false},
		{"\"$0\" check '-value == !previous && *&value'", false},
		{"\"$0\" check '$" ARG1 " == '", false},
	};
	Command command;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		start_shell(&command, table[i].script, "");
		ck_assert_msg(command_finish(&command) == STATUS_USAGE, "%s", table[i].script);
		(table[i].blamed ? expect : expect_none)(&command, COMMAND_STDERR,
							 "the shell took it");
		command_end(&command);
	}
}
END_TEST

/* Whoever closes the pipe knows that the output is not whole. */
START_TEST(a_closed_pipe_is_nothing_to_speak_of)
{
	Command command;
	Target target;
	char pid[16];

	target_start(&target, "busy", NULL, NULL);
	pid_of(&target, pid);
	start_shell(&command, "trap '' PIPE; { sleep 0.2; exec \"$0\" status; } | true", pid);
	ck_assert_int_eq(command_finish(&command), 0);
	ck_assert_str_eq(command.texts[COMMAND_STDERR], "");
	command_end(&command);
	start_shell(&command, "trap '' PIPE; \"$0\" break -p $1 busy_work | true", pid);
	ck_assert_int_eq(command_finish(&command), 0);
	expect_none(&command, COMMAND_STDERR, "cannot write");
	command_end(&command);
	target_kill(&target);
}
END_TEST

/* Hits that come before all is ready to show them have different times as well. */
START_TEST(times_count_from_before_the_first_hit)
{
	Command command;
	Target target;
	char pid[16];

	target_start(&target, "busy", NULL, NULL);
	pid_of(&target, pid);
	for (int i = 0; i < 3; i++) {
		start(&command, "break", "--limit", "3", "-p", pid, "busy_work");
		ck_assert_int_eq(command_finish(&command), STATUS_HITS);
		expect(&command, COMMAND_STDOUT, "#2 ");
		expect_none(&command, COMMAND_STDOUT, " 0.000000 s");
		command_end(&command);
	}
	target_kill(&target);
}
END_TEST

START_TEST(addresses_are_hexadecimal)
{
	Command command;

	start(&command, "check", "*(int *)0x123456789abc == 5");
	ck_assert_int_eq(command_finish(&command), 0);
	expect(&command, COMMAND_STDOUT, "{ \"load\": \"s32\", \"at\": \"0x123456789abc\" }");
	command_end(&command);
}
END_TEST

START_TEST(a_full_disk_is_no_success)
{
	Command command;
	Target target;
	char pid[16];

	target_start(&target, "loop", NULL, NULL);
	pid_of(&target, pid);
	start_shell(&command, "exec \"$0\" status >/dev/full", pid);
	ck_assert_int_eq(command_finish(&command), STATUS_REFUSED);
	expect(&command, COMMAND_STDERR, "cannot write");
	command_end(&command);
	start_shell(&command, "exec \"$0\" break --limit 1 -p $1 loop_work >/dev/full", pid);
	command_wait_text(&command, COMMAND_STDERR, "ready");
	target_ask(&target, "called", "call 1");
	ck_assert_int_eq(command_finish(&command), STATUS_REFUSED);
	expect(&command, COMMAND_STDERR, "cannot write");
	command_end(&command);
	target_kill(&target);
}
END_TEST

/* Whatever a program is called, by whoever started it, it can open a session without saying a name. */
START_TEST(a_program_of_any_name)
{
	static char names[][128] = {
		"a-program-that-somebody-has-given-a-name-of-more-than-sixty-four-bytes",
		"no utf-8: \xff\xfe\x1b[2J",
		"",
	};
	bpcond_session *session;
	bpcond_client *client;
	Target target;

	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_int_eq(bpcond_client_connect(client, NULL), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		program_invocation_short_name = names[i];
		ck_assert_msg(bpcond_session_open(client, target.pid, NULL, &session) == 0,
			      "\"%s\": %s", names[i], bpcond_client_error(client)->message);
		bpcond_session_free(session);
	}
	bpcond_client_free(client);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("messages");

	integration_add(suite, "lines are whole beside the program's",
			lines_are_whole_beside_the_programs);
	integration_add(suite, "it says that the breakpoint was removed",
			it_says_that_the_breakpoint_was_removed);
	integration_add(suite, "it says that the session was closed",
			it_says_that_the_session_was_closed);
	integration_add(suite, "the library tells of a removal", the_library_tells_of_a_removal);
	integration_add(suite, "a program of any name", a_program_of_any_name);
	integration_add(suite, "the place is said before ready", the_place_is_said_before_ready);
	integration_add(suite, "a watch shows the value", a_watch_shows_the_value);
	integration_add(suite, "run names what is loaded later", run_names_what_is_loaded_later);
	integration_add(suite, "a stopped target is not left without a word",
			a_stopped_target_is_not_left_without_a_word);
	integration_add(suite, "a fault is explained and can be rejected",
			a_fault_is_explained_and_can_be_rejected);
	integration_add(suite, "signals have numbers and short names",
			signals_have_numbers_and_short_names);
	integration_add(suite, "mistakes are explained", mistakes_are_explained);
	integration_add(suite, "the shell is blamed only where it may be",
			the_shell_is_blamed_only_where_it_may_be);
	integration_add(suite, "a closed pipe is nothing to speak of",
			a_closed_pipe_is_nothing_to_speak_of);
	integration_add(suite, "times count from before the first hit",
			times_count_from_before_the_first_hit);
	integration_add(suite, "addresses are hexadecimal", addresses_are_hexadecimal);
	integration_add(suite, "a full disk is no success", a_full_disk_is_no_success);
	return integration_run(suite, argc, argv);
}
