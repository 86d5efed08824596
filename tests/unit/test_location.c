/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locations and symbols in running processes: what a program and its library say about themselves
 * against what their files, debug information and memory tell us. The program is run as a
 * position-independent one, as one that is not, stripped, and with packed symbols.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/symbols.h"
#include "tests/unit/location_fixture.h"

/* ---- Symbols --------------------------------------------------------------------------------- */

/* What every kind of program tells: what it exports, and what its libraries do. */
START_TEST(test_exported_symbols)
{
	bpcond_location found;

	expect_address("work", fact("work"));
	expect_address("counter", fact("counter"));
	expect_address("work+4", fact("work") + 4);
	expect_address("work+0x10", fact("work") + 16);
	expect_address("library_only", fact("library:library_only"));
	expect_address("liblocation:library_only", fact("library:library_only"));
	expect_address("liblocation.so:library_only+1", fact("library:library_only") + 1);
	expect_address("library_variable", fact("library:library_variable"));
	/* The program's own comes first, and a module is a module. */
	expect_address("in_both", fact("in_both"));
	expect_address("liblocation:in_both", fact("library:in_both"));
	expect_address("location_target:in_both", fact("in_both"));

	found = resolve("table+4");
	ck_assert_uint_eq(found.address, fact("table") + 4);
	ck_assert_uint_eq(found.size, 12);
	ck_assert_int_eq(found.is_function, 0);
	ck_assert_str_eq(found.symbol, "table");
	found = resolve("work");
	ck_assert_int_eq(found.is_function, 1);
	ck_assert_uint_eq(found.size, 0);
	ck_assert_ptr_nonnull(strstr(found.module, "location_target"));
}
END_TEST

/* What only symbol tables tell. */
START_TEST(test_local_symbols)
{
	expect_address("static_counter", fact("static_counter"));
	expect_address("library_static", fact("library:library_static"));
	expect_address("twice_static", fact("twice_static"));
	expect_address("liblocation:twice_static", fact("library:twice_static"));
	expect_problem("duplicate", BPCOND_LOCATION_AMBIGUOUS, "location_target");
}
END_TEST

START_TEST(test_ambiguous_symbol_lists_its_places)
{
	char address[32];

	expect_problem("duplicate", BPCOND_LOCATION_AMBIGUOUS, "duplicate could be");
	snprintf(address, sizeof(address), "(0x%" PRIx64 ", location_target.c:", fact("duplicate"));
	ck_assert_msg(strstr(target.error, address) != NULL, "%s", target.error);
	snprintf(address, sizeof(address),
		 "(0x%" PRIx64 ", location_other.c:", fact("other:duplicate"));
	ck_assert_msg(strstr(target.error, address) != NULL, "%s", target.error);
}
END_TEST

START_TEST(test_indirect_functions)
{
	bpcond_location found;

	expect_address("library_indirect", fact("library:implementation"));
	expect_address("liblocation:library_indirect", fact("library:implementation"));
	/* The C library calls its own strlen, and so has chosen. */
	found = resolve("libc.so.6:strlen");
	ck_assert_int_eq(found.is_function, 1);
	ck_assert_uint_ne(found.address, 0);
	expect_address("strlen", found.address);
}
END_TEST

START_TEST(test_thread_local_symbols)
{
	expect_problem("thread_local_variable", BPCOND_LOCATION_UNUSABLE, "thread-local");
	expect_problem("library_thread_local", BPCOND_LOCATION_UNUSABLE, "thread-local");
}
END_TEST

/* ---- Texts ----------------------------------------------------------------------------------- */

START_TEST(test_addresses)
{
	char text[64];

	snprintf(text, sizeof(text), "0x%" PRIx64, fact("counter"));
	expect_address(text, fact("counter"));
	ck_assert_str_eq(resolve(text).symbol, "counter");
	ck_assert_uint_eq(resolve(text).size, 4);
	snprintf(text, sizeof(text), "0X%" PRIX64 "+2", fact("counter"));
	expect_address(text, fact("counter") + 2);
	ck_assert_uint_eq(resolve(text).size, 2);
	/* An address is taken as it is, whatever lies there. */
	expect_address("0x10", 16);
	ck_assert_str_eq(resolve("0x10").module, "");
	expect_address("0xffffffffffffffff", UINT64_MAX);
}
END_TEST

START_TEST(test_malformed_locations)
{
	expect_problem("", BPCOND_LOCATION_MALFORMED, "0xADDR");
	expect_problem("0x", BPCOND_LOCATION_MALFORMED, "hexadecimal");
	expect_problem("0x12345678123456789", BPCOND_LOCATION_MALFORMED, "16 hexadecimal digits");
	expect_problem("0x12g", BPCOND_LOCATION_MALFORMED, "hexadecimal");
	expect_problem("4198400", BPCOND_LOCATION_MALFORMED, "0xADDR");
	expect_problem("libc:", BPCOND_LOCATION_MALFORMED, "MODULE:SYMBOL");
	expect_problem(":malloc", BPCOND_LOCATION_MALFORMED, "MODULE:SYMBOL");
	expect_problem("location_target.c:0", BPCOND_LOCATION_MALFORMED, "from 1");
	expect_problem("nothing_like_it", BPCOND_LOCATION_NOT_FOUND, "nothing_like_it");
	expect_problem("work+many", BPCOND_LOCATION_NOT_FOUND, "work+many");
	expect_problem("libc:nothing_like_it", BPCOND_LOCATION_NOT_FOUND, "nothing_like_it");
	expect_problem("libnothing:malloc", BPCOND_LOCATION_NO_MODULE, "libc.so.6");
	expect_problem("li:malloc", BPCOND_LOCATION_AMBIGUOUS, "whole path");
	expect_problem("location:0x1189", BPCOND_LOCATION_MALFORMED, "stands alone");
	expect_problem("location:0x1189+4", BPCOND_LOCATION_MALFORMED, "location:main+0x10");
}
END_TEST

START_TEST(test_error_buffers)
{
	char error[8] = "xxxxxxx";
	bpcond_location ret;

	ck_assert_int_eq(bpcond_symbols_resolve(target.symbols, "nothing", &ret, error, 5),
			 BPCOND_LOCATION_NOT_FOUND);
	ck_assert_uint_eq(strlen(error), 4);
	ck_assert_int_eq(error[5], 'x');
	ck_assert_int_eq(bpcond_symbols_resolve(target.symbols, "nothing", &ret, NULL, 0),
			 BPCOND_LOCATION_NOT_FOUND);
	ck_assert_int_eq(bpcond_resolve(target.pid, "work", &ret, NULL, 0), 0);
	ck_assert_uint_eq(ret.address, fact("work"));
}
END_TEST

/* ---- Lines ----------------------------------------------------------------------------------- */

START_TEST(test_lines)
{
	bpcond_location found;
	char text[128];

	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:work:number"));
	found = resolve(text);
	ck_assert_uint_eq(found.address, fact("line:work"));
	ck_assert_uint_eq(found.line, fact("line:work:number"));
	ck_assert_str_eq(found.symbol, "work");
	snprintf(text, sizeof(text), "targets/location_target.c:%" PRIu64,
		 fact("line:work:number"));
	expect_address(text, fact("line:work"));
	snprintf(text, sizeof(text), "./location_target.c:%" PRIu64, fact("line:work:number"));
	expect_address(text, fact("line:work"));
	snprintf(text, sizeof(text), ".././targets/location_target.c:%" PRIu64,
		 fact("line:work:number"));
	expect_address(text, fact("line:work"));
	expect_problem("./:1", BPCOND_LOCATION_NOT_FOUND, "no debug information");
	/* The label stands on a line without code: the next one with code is meant. */
	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:work:number") - 1);
	expect_address(text, fact("line:work"));
	ck_assert_uint_eq(resolve(text).line, fact("line:work:number"));

	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("inlined:number"));
	expect_problem(text, BPCOND_LOCATION_AMBIGUOUS, "several places");
	ck_assert_ptr_nonnull(strstr(target.error, "inlined, inlined in location_target"));
	expect_problem("location_target.c:work", BPCOND_LOCATION_MALFORMED, "write FILE.c:LINE");
	expect_problem("location_target.c", BPCOND_LOCATION_MALFORMED, "write FILE.c:LINE");
	expect_problem("location_target.c:100000", BPCOND_LOCATION_NOT_FOUND, "no code at line");
	expect_problem("target.c:10", BPCOND_LOCATION_NOT_FOUND, "no debug information");
}
END_TEST

/* How much is watched where nobody says it. */
START_TEST(test_watched_lengths)
{
	static const struct {
		const char *location, *length;
	} watched[] = {
		{"table", "\"length\":8"},   {"table+4", "\"length\":4"},
		{"table+8", "\"length\":8"}, {"table+12", "\"length\":4"},
		{"table+2", "\"length\":8"},
	};

	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		bpcond_request request = {
			.size = sizeof(request),
			.location = watched[i].location,
			.access = BPCOND_WRITE,
		};
		bpcond_error error = {0};
		char *spec = NULL;

		ck_assert_msg(bpcond_spec_from_request(target.pid, &request, &spec, &error) == 0,
			      "%s", error.message);
		ck_assert_msg(strstr(spec, watched[i].length) != NULL, "%s: %s",
			      watched[i].location, spec);
		free(spec);
	}
}
END_TEST

START_TEST(test_lines_without_debug_information)
{
	expect_problem("location_target.c:50", BPCOND_LOCATION_NOT_FOUND, "-g");
}
END_TEST

/* ---- Processes ------------------------------------------------------------------------------- */

/* Stopped before its first instruction a program has no libraries yet. */
START_TEST(test_before_libraries_are_loaded)
{
	int input_fd, status;
	FILE *output;

	target.pid = start_program(LOCATION_TARGET, true, &input_fd, &output);
	ck_assert_int_eq(waitpid(target.pid, &status, 0), target.pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(
		bpcond_symbols_new(target.pid, &target.symbols, target.error, sizeof(target.error)),
		0);
	ck_assert_uint_ne(resolve("work").address, 0);
	ck_assert_uint_ne(resolve("in_both").address, 0);
	expect_problem("library_only", BPCOND_LOCATION_NOT_YET, "not loaded yet");
	expect_problem("malloc", BPCOND_LOCATION_NOT_YET, "not loaded yet");
	expect_problem("liblocation:library_only", BPCOND_LOCATION_NOT_YET, "not loaded yet");
	expect_problem("location_library.c:10", BPCOND_LOCATION_NOT_YET, "not loaded yet");
	target.symbols = bpcond_symbols_free(target.symbols);
	kill(target.pid, SIGKILL);
	waitpid(target.pid, NULL, 0);
	fclose(output);
	close(input_fd);
}
END_TEST

START_TEST(test_no_process)
{
	bpcond_symbols *symbols = NULL;
	char error[256] = "";
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(bpcond_symbols_new(pid, &symbols, error, sizeof(error)), -ESRCH);
	ck_assert_ptr_nonnull(strstr(error, "no such process"));
	ck_assert_int_eq(bpcond_symbols_new(0, &symbols, NULL, 0), -ESRCH);
	ck_assert_int_eq(bpcond_symbols_new(-1, &symbols, NULL, 0), -ESRCH);
	/* A zombie has no memory any more. */
	pid = fork();
	if (pid == 0)
		_exit(0);
	waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
	ck_assert_int_lt(bpcond_symbols_new(pid, &symbols, error, sizeof(error)), 0);
	waitpid(pid, NULL, 0);
	ck_assert_ptr_null(symbols);
}
END_TEST

static void *write_and_wait(void *userdata)
{
	if (write(*(int *)userdata, "", 1) == 1)
		pause();
	return NULL;
}

static bool is_zombie(pid_t pid)
{
	char path[64], line[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	return strstr(line, ") Z ") != NULL;
}

/* The main thread has ended, others go on. */
START_TEST(test_process_without_main_thread)
{
	char error[256] = "", c;
	bpcond_symbols *symbols = NULL;
	bpcond_location location = {0};
	static volatile uint64_t mark = 0x1122334455667788;
	uint64_t value = 0;
	pthread_t thread;
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_create(&thread, NULL, write_and_wait, &fds[1]);
		pthread_exit(NULL);
	}
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	while (!is_zombie(pid))
		usleep(1000);
	ck_assert_msg(bpcond_symbols_new(pid, &symbols, error, sizeof(error)) == 0, "%s", error);
	ck_assert_msg(bpcond_symbols_resolve(symbols, "getppid", &location, error, sizeof(error)) ==
			      0,
		      "%s", error);
	ck_assert_uint_eq(location.address, (uintptr_t)getppid);
	ck_assert_int_eq(symbols_read(symbols, (uintptr_t)&mark, &value, sizeof(value)), 0);
	ck_assert_uint_eq(value, mark);
	bpcond_symbols_free(symbols);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(test_process_of_someone_else)
{
	int status;
	pid_t pid = fork();

	/* Process 1 is root's: nobody may look at it. */
	if (pid == 0) {
		bpcond_symbols *symbols = NULL;
		char error[256] = "";

		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(2);
		if (bpcond_symbols_new(1, &symbols, error, sizeof(error)) != -EACCES)
			_exit(3);
		_exit(strstr(error, "may not look") ? 0 : 4);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* The program's file may be gone while it runs. */
START_TEST(test_deleted_program)
{
	char copy[] = "location-copy-XXXXXX", command[1024];
	int fd = mkstemp(copy);

	ck_assert_int_ge(fd, 0);
	close(fd);
	snprintf(command, sizeof(command), "cp %s %s && chmod 700 %s", LOCATION_TARGET, copy, copy);
	ck_assert_int_eq(system(command), 0);
	setenv("LD_LIBRARY_PATH", LOCATION_LIBRARY_PATH, 1);
	snprintf(command, sizeof(command), "./%s", copy);
	start_target(command);
	bpcond_symbols_free(target.symbols);
	unlink(copy);
	ck_assert_int_eq(
		bpcond_symbols_new(target.pid, &target.symbols, target.error, sizeof(target.error)),
		0);
	expect_address("work", fact("work"));
	expect_address("static_counter", fact("static_counter"));
	stop_target();
}
END_TEST

static TCase *program_case(const char *name, void (*setup)(void))
{
	TCase *tests = tcase_create(name);

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, stop_target);
	tcase_add_test(tests, test_exported_symbols);
	tcase_add_test(tests, test_indirect_functions);
	tcase_add_test(tests, test_thread_local_symbols);
	tcase_add_test(tests, test_malformed_locations);
	return tests;
}

static Suite *location_suite(void)
{
	Suite *suite = suite_create("location");
	TCase *plain = program_case("plain", start_plain);
	TCase *fixed = program_case("fixed", start_fixed);
	TCase *stripped = program_case("stripped", start_stripped);
	TCase *processes = tcase_create("processes");

	tcase_add_test(plain, test_local_symbols);
	tcase_add_test(plain, test_ambiguous_symbol_lists_its_places);
	tcase_add_test(plain, test_addresses);
	tcase_add_test(plain, test_error_buffers);
	tcase_add_test(plain, test_lines);
	tcase_add_test(plain, test_watched_lengths);
	suite_add_tcase(suite, plain);
	tcase_add_test(fixed, test_local_symbols);
	tcase_add_test(fixed, test_lines);
	suite_add_tcase(suite, fixed);
	tcase_add_test(stripped, test_lines_without_debug_information);
	suite_add_tcase(suite, stripped);
	if (LOCATION_HAS_PACKED) {
		TCase *packed = program_case("packed", start_packed);

		tcase_add_test(packed, test_local_symbols);
		suite_add_tcase(suite, packed);
	}
	tcase_add_test(processes, test_before_libraries_are_loaded);
	tcase_add_test(processes, test_no_process);
	tcase_add_test(processes, test_process_without_main_thread);
	tcase_add_test(processes, test_process_of_someone_else);
	tcase_add_test(processes, test_deleted_program);
	suite_add_tcase(suite, processes);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(location_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
