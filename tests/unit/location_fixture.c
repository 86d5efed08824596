/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/location_fixture.h"

Target target = {.input_fd = -EBADF};

pid_t start_program(const char *program, bool traced, int *ret_input_fd, FILE **ret_output)
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

void start_target(const char *program)
{
	char line[256];
	FILE *output;

	target = (Target){.pid = -1};
	target.pid = start_program(program, false, &target.input_fd, &output);
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

void stop_target(void)
{
	target.symbols = bpcond_symbols_free(target.symbols);
	close(target.input_fd);
	waitpid(target.pid, NULL, 0);
}

uint64_t fact(const char *name)
{
	for (size_t i = 0; i < target.n_facts; i++)
		if (strcmp(target.facts[i].name, name) == 0)
			return target.facts[i].value;
	ck_abort_msg("the program says nothing of %s", name);
	return 0;
}

bpcond_location resolve(const char *location)
{
	bpcond_location ret = {.address = 1};
	int r = bpcond_symbols_resolve(target.symbols, location, &ret, target.error,
				       sizeof(target.error));

	ck_assert_msg(r == 0, "%s: %d: %s", location, r, target.error);
	return ret;
}

void expect_address(const char *location, uint64_t address)
{
	bpcond_location found = resolve(location);

	ck_assert_msg(found.address == address, "%s: 0x%" PRIx64 ", not 0x%" PRIx64, location,
		      found.address, address);
}

void expect_problem(const char *location, int problem, const char *says)
{
	bpcond_location ret = {.address = 1};
	int r = bpcond_symbols_resolve(target.symbols, location, &ret, target.error,
				       sizeof(target.error));

	ck_assert_msg(r == problem, "%s: %d, not %d: %s", location, r, problem, target.error);
	ck_assert_uint_eq(ret.address, 1);
	ck_assert_msg(strstr(target.error, says) != NULL, "%s: \"%s\" does not say \"%s\"",
		      location, target.error, says);
}

void start_plain(void)
{
	start_target(LOCATION_TARGET);
}

void start_fixed(void)
{
	start_target(LOCATION_TARGET "_fixed");
}

void start_stripped(void)
{
	start_target(LOCATION_TARGET "_stripped");
}

void start_packed(void)
{
	start_target(LOCATION_TARGET "_packed");
}
