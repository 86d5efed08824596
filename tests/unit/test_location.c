/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locations and symbols in running processes: what a program and its library say about themselves
 * against what their files, debug information and memory tell us. The program is run as a
 * position-independent one, as one that is not, stripped, and with packed symbols.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
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

#include <bpcond/bpcond.h>

enum {
	MAX_FACTS = 64,
};

/* What the program printed. */
typedef struct Target {
	pid_t pid;
	int input_fd;
	struct {
		char name[64];
		uint64_t value;
	} facts[MAX_FACTS];
	size_t n_facts;
	bpcond_symbols *symbols;
	char error[1024];
} Target;

static Target target = {.input_fd = -EBADF};

/* Starts a program of the build. Traced: it stops before its first instruction. */
static pid_t start(const char *program, bool traced, int *ret_input_fd, FILE **ret_output)
{
	int input[2], output[2];
	pid_t pid;

	ck_assert_int_eq(pipe(input), 0);
	ck_assert_int_eq(pipe(output), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(input[0], STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		close(input[0]);
		close(input[1]);
		close(output[0]);
		close(output[1]);
		if (traced)
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(program, program, (char *)NULL);
		perror(program);
		_exit(127);
	}
	close(input[0]);
	close(output[1]);
	*ret_input_fd = input[1];
	*ret_output = fdopen(output[0], "r");
	return pid;
}

static void start_target(const char *program)
{
	char line[256];
	FILE *output;

	target = (Target){.pid = -1};
	target.pid = start(program, false, &target.input_fd, &output);
	for (;;) {
		ck_assert_msg(fgets(line, sizeof(line), output) != NULL, "%s ended", program);
		if (strcmp(line, "ready\n") == 0)
			break;
		ck_assert_uint_lt(target.n_facts, MAX_FACTS);
		ck_assert_int_eq(sscanf(line, "%63s %" SCNx64, target.facts[target.n_facts].name,
					&target.facts[target.n_facts].value),
				 2);
		target.n_facts++;
	}
	fclose(output);
	ck_assert_int_eq(
		bpcond_symbols_new(target.pid, &target.symbols, target.error, sizeof(target.error)),
		0);
}

static void stop_target(void)
{
	target.symbols = bpcond_symbols_free(target.symbols);
	close(target.input_fd);
	waitpid(target.pid, NULL, 0);
}

static uint64_t fact(const char *name)
{
	for (size_t i = 0; i < target.n_facts; i++)
		if (strcmp(target.facts[i].name, name) == 0)
			return target.facts[i].value;
	ck_abort_msg("the program says nothing of %s", name);
	return 0;
}

static bpcond_location resolve(const char *location)
{
	bpcond_location ret = {.address = 1};
	int r = bpcond_symbols_resolve(target.symbols, location, &ret, target.error,
				       sizeof(target.error));

	ck_assert_msg(r == 0, "%s: %d: %s", location, r, target.error);
	return ret;
}

static void expect_address(const char *location, uint64_t address)
{
	bpcond_location found = resolve(location);

	ck_assert_msg(found.address == address, "%s: 0x%" PRIx64 ", not 0x%" PRIx64, location,
		      found.address, address);
}

static void expect_problem(const char *location, int problem, const char *says)
{
	bpcond_location ret = {.address = 1};
	int r = bpcond_symbols_resolve(target.symbols, location, &ret, target.error,
				       sizeof(target.error));

	ck_assert_msg(r == problem, "%s: %d, not %d: %s", location, r, problem, target.error);
	ck_assert_uint_eq(ret.address, 1);
	ck_assert_msg(strstr(target.error, says) != NULL, "%s: \"%s\" does not say \"%s\"",
		      location, target.error, says);
}

static void start_plain(void)
{
	start_target(LOCATION_TARGET);
}

static void start_fixed(void)
{
	start_target(LOCATION_TARGET "_fixed");
}

static void start_stripped(void)
{
	start_target(LOCATION_TARGET "_stripped");
}

static void start_packed(void)
{
	start_target(LOCATION_TARGET "_packed");
}

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
	/* The label stands on a line without code: the next one with code is meant. */
	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:work:number") - 1);
	expect_address(text, fact("line:work"));
	ck_assert_uint_eq(resolve(text).line, fact("line:work:number"));

	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("inlined:number"));
	expect_problem(text, BPCOND_LOCATION_AMBIGUOUS, "several places");
	ck_assert_ptr_nonnull(strstr(target.error, "inlined, inlined in location_target"));
	expect_problem("location_target.c:100000", BPCOND_LOCATION_NOT_FOUND, "no code at line");
	expect_problem("target.c:10", BPCOND_LOCATION_NOT_FOUND, "no debug information");
}
END_TEST

START_TEST(test_lines_without_debug_information)
{
	expect_problem("location_target.c:50", BPCOND_LOCATION_NOT_FOUND, "-g");
}
END_TEST

/* ---- Names in conditions --------------------------------------------------------------------- */

static void expect_symbol(const char *name, const bpcond_symbol *expected)
{
	bpcond_symbol symbol = {.size = 0};
	int r = bpcond_symbols_lookup(target.symbols, name, &symbol);

	ck_assert_msg(r == 0, "%s: %d", name, r);
	ck_assert_msg(symbol.address == expected->address, "%s: 0x%" PRIx64 ", not 0x%" PRIx64,
		      name, symbol.address, expected->address);
	ck_assert_msg(symbol.size == expected->size && symbol.is_signed == expected->is_signed &&
			      symbol.kind == expected->kind &&
			      symbol.pointers == expected->pointers,
		      "%s: size %d, signed %d, kind %d, pointers %u", name, symbol.size,
		      symbol.is_signed, symbol.kind, symbol.pointers);
	if (!expected->base_register)
		ck_assert_msg(symbol.base_register == NULL, "%s: %s", name, symbol.base_register);
	else
		ck_assert_str_eq(symbol.base_register, expected->base_register);
}

#define EXPECT(name, ...) \
	expect_symbol(name, &(const bpcond_symbol){.address = fact(name), __VA_ARGS__})

START_TEST(test_types_of_variables)
{
	EXPECT("counter", .size = 4, .is_signed = 1);
	EXPECT("static_counter", .size = 2);
	EXPECT("byte", .size = 1);
	EXPECT("is_set", .size = 1);
	EXPECT("colour", .size = 4);
	EXPECT("name", .size = 1, .is_signed = 1, .pointers = 1);
	EXPECT("pointers", .size = 4, .is_signed = 1, .pointers = 2);
	EXPECT("table", .size = 4, .is_signed = 1, .kind = BPCOND_SYMBOL_ARRAY);
	EXPECT("names", .size = 1, .is_signed = 1, .pointers = 1, .kind = BPCOND_SYMBOL_ARRAY);
	EXPECT("matrix", .kind = BPCOND_SYMBOL_ARRAY);
	EXPECT("point", .kind = BPCOND_SYMBOL_OTHER);
	EXPECT("real", .kind = BPCOND_SYMBOL_OTHER);
	EXPECT("main", .kind = BPCOND_SYMBOL_FUNCTION);
	EXPECT("thread_local_variable", .size = 8, .is_signed = 1, .base_register = "fs_base");
	EXPECT("second_thread_local", .size = 4, .is_signed = 1, .base_register = "fs_base");
	expect_symbol("library_variable", &(const bpcond_symbol){
						  .address = fact("library:library_variable"),
						  .size = 8,
						  .is_signed = 1,
					  });
}
END_TEST

START_TEST(test_names_that_stand_for_nothing)
{
	bpcond_symbol symbol;

	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "nothing", &symbol), -ENOENT);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "local", &symbol), -ENOENT);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "duplicate_variable", &symbol),
			 -EEXIST);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "library_thread_local", &symbol),
			 -EOPNOTSUPP);
}
END_TEST

/* Without debug information: a signed integer of the symbol's size. */
START_TEST(test_variables_without_types)
{
	EXPECT("counter", .size = 4, .is_signed = 1);
	EXPECT("byte", .size = 1, .is_signed = 1);
	EXPECT("name", .size = 8, .is_signed = 1);
	EXPECT("table", .kind = BPCOND_SYMBOL_OTHER);
	EXPECT("thread_local_variable", .size = 8, .is_signed = 1, .base_register = "fs_base");
}
END_TEST

START_TEST(test_local_variables_at_a_line)
{
	bpcond_symbol symbol;
	char text[64];

	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:work:number"));
	bpcond_symbols_set_place(target.symbols, resolve(text).address);
	expect_symbol("local", &(const bpcond_symbol){.address = fact("frame:local"),
						      .size = 8,
						      .is_signed = 1,
						      .base_register = "rbp"});
	expect_symbol("first", &(const bpcond_symbol){.address = fact("frame:first"),
						      .size = 4,
						      .is_signed = 1,
						      .base_register = "rbp"});
	expect_symbol("other", &(const bpcond_symbol){.address = fact("frame:other"),
						      .size = 2,
						      .base_register = "rbp"});
	/* The innermost one, and globals still. */
	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:inner:number"));
	bpcond_symbols_set_place(target.symbols, resolve(text).address);
	expect_symbol("local", &(const bpcond_symbol){.address = fact("frame:inner_local"),
						      .size = 4,
						      .is_signed = 1,
						      .base_register = "rbp"});
	EXPECT("counter", .size = 4, .is_signed = 1);
	bpcond_symbols_set_place(target.symbols, 0);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "local", &symbol), -ENOENT);
}
END_TEST

START_TEST(test_arguments_at_an_entry)
{
	bpcond_symbol symbol;

	bpcond_symbols_set_place(target.symbols, fact("work"));
	expect_symbol("first", &(const bpcond_symbol){.size = 4,
						      .is_signed = 1,
						      .kind = BPCOND_SYMBOL_IN_REGISTER,
						      .base_register = "rdi"});
	expect_symbol("third", &(const bpcond_symbol){.size = 1,
						      .kind = BPCOND_SYMBOL_IN_REGISTER,
						      .base_register = "rdx"});
	/* It has no value yet. */
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "local", &symbol), -EOPNOTSUPP);
	/* Arguments in vector registers do not count in the order of the others; we do not guess. */
	bpcond_symbols_set_place(target.symbols, fact("mixed"));
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "second", &symbol), -EOPNOTSUPP);
}
END_TEST

START_TEST(test_condition_with_names)
{
	bpcond_text_scope scope = {.lookup = bpcond_symbols_lookup, .userdata = target.symbols};
	char *json = NULL, expected[256];
	bpcond_text_error error;
	int r;

	bpcond_symbols_set_place(target.symbols, fact("work"));
	r = bpcond_condition_from_text("first == 5 && table[1] > static_counter", &scope, &json,
				       &error);
	ck_assert_msg(r == 0, "%s", error.message);
	snprintf(expected, sizeof(expected),
		 "{\"and\":[{\"==\":[{\"as\":\"s32\",\"of\":{\"reg\":\"rdi\"}},5]},{\">\":[{"
		 "\"load\":\"s32\","
		 "\"at\":\"0x%" PRIx64 "\"},{\"load\":\"u16\",\"at\":\"0x%" PRIx64 "\"}]}]}",
		 fact("table") + 4, fact("static_counter"));
	ck_assert_str_eq(json, expected);
	free(json);
}
END_TEST

START_TEST(test_descriptions)
{
	char text[256];

	ck_assert_int_eq(
		bpcond_symbols_describe(target.symbols, fact("work") + 5, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "work+0x5 (location_target)");
	ck_assert_int_eq(bpcond_symbols_describe(target.symbols, fact("library:library_static"),
						 text, sizeof(text)),
			 0);
	ck_assert_str_eq(text, "library_static (liblocation.so)");
}
END_TEST

/* Addresses out of a stack walk may be anything: those of no module are of none. */
START_TEST(test_no_description_outside_of_modules)
{
	static const uint64_t outside[] = {0,
					   16,
					   0x10000,
					   0x0000100000000000,
					   0x00007ffffffff000,
					   0x0000800000000000,
					   0x69667a7400524944,
					   0xffff800000000000,
					   0xffffffffff600000,
					   UINT64_MAX};
	char text[256] = "untouched", path[64], *line = NULL;
	uint64_t start, end, last = 0;
	size_t size = 0;
	FILE *maps;

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		ck_assert_msg(bpcond_symbols_describe(target.symbols, outside[i], text,
						      sizeof(text)) == -ENOENT,
			      "0x%" PRIx64 " is %s", outside[i], text);
	/* The first byte behind each mapping that no other one follows, the last module's too. */
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)target.pid);
	maps = fopen(path, "re");
	ck_assert_ptr_nonnull(maps);
	while (getline(&line, &size, maps) > 0) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2 ||
		    start >= 0xffff800000000000)
			continue;
		if (last != 0 && start - last >= 0x10000000)
			ck_assert_msg(bpcond_symbols_describe(target.symbols, last, text,
							      sizeof(text)) == -ENOENT,
				      "0x%" PRIx64 " is %s", last, text);
		last = end;
	}
	ck_assert_int_eq(bpcond_symbols_describe(target.symbols, last, text, sizeof(text)),
			 -ENOENT);
	ck_assert_str_eq(text, "untouched");
	free(line);
	fclose(maps);
}
END_TEST

/* ---- Processes ------------------------------------------------------------------------------- */

/* Stopped before its first instruction a program has no libraries yet. */
START_TEST(test_before_libraries_are_loaded)
{
	int input_fd, status;
	FILE *output;

	target.pid = start(LOCATION_TARGET, true, &input_fd, &output);
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
	tcase_add_test(plain, test_types_of_variables);
	tcase_add_test(plain, test_names_that_stand_for_nothing);
	tcase_add_test(plain, test_local_variables_at_a_line);
	tcase_add_test(plain, test_arguments_at_an_entry);
	tcase_add_test(plain, test_condition_with_names);
	tcase_add_test(plain, test_descriptions);
	tcase_add_test(plain, test_no_description_outside_of_modules);
	suite_add_tcase(suite, plain);
	tcase_add_test(fixed, test_local_symbols);
	tcase_add_test(fixed, test_lines);
	tcase_add_test(fixed, test_no_description_outside_of_modules);
	tcase_add_test(fixed, test_types_of_variables);
	tcase_add_test(fixed, test_local_variables_at_a_line);
	suite_add_tcase(suite, fixed);
	tcase_add_test(stripped, test_variables_without_types);
	tcase_add_test(stripped, test_lines_without_debug_information);
	suite_add_tcase(suite, stripped);
	if (LOCATION_HAS_PACKED) {
		TCase *packed = program_case("packed", start_packed);

		tcase_add_test(packed, test_local_symbols);
		tcase_add_test(packed, test_variables_without_types);
		suite_add_tcase(suite, packed);
	}
	tcase_add_test(processes, test_before_libraries_are_loaded);
	tcase_add_test(processes, test_no_process);
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
