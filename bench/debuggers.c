/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole debuggers, each with its own kind of condition on the same register. The debugger starts the
 * loop, which measures itself; a round is a debugger's whole life.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "tests/support/process.h"

enum {
	ROUNDS_IN_PROCESS = 3,
	TIMEOUT_MS = 60000,
	OUTPUT_MAX = 65536,
};

static const char *const programs[] = {
	[DEBUGGER_GDB] = "gdb",
	[DEBUGGER_GDB_HARDWARE] = "gdb",
	[DEBUGGER_GDBSERVER] = "gdbserver",
	[DEBUGGER_LLDB] = "lldb",
};

/*
 * The command of each, run by sh with $LOOP, $CALLS and $ROUNDS in its environment. gdb must not ask
 * for debug information over the network, nor read anybody's settings. gdbserver's program writes to
 * stderr, since stdout belongs to the protocol.
 */
static const char *const commands[] = {
	[DEBUGGER_GDB] = "exec gdb -nx -batch -ex 'set debuginfod enabled off' "
			 "-ex 'break *bench_work if $rdi == -1' -ex run "
			 "--args \"$LOOP\" \"$CALLS\" \"$ROUNDS\" 2>&1",
	[DEBUGGER_GDB_HARDWARE] =
		"exec gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'break main' -ex run "
		"-ex 'hbreak *bench_work if $rdi == -1' -ex continue "
		"--args \"$LOOP\" \"$CALLS\" \"$ROUNDS\" 2>&1",
	[DEBUGGER_GDBSERVER] =
		"exec gdb -nx -batch -ex 'set debuginfod enabled off' "
		"-ex 'set breakpoint condition-evaluation target' "
		"-ex \"target remote | exec gdbserver --once - '$LOOP' $CALLS $ROUNDS\" "
		"-ex 'break *bench_work if $rdi == -1' -ex continue \"$LOOP\" 2>&1",
	[DEBUGGER_LLDB] = "exec lldb --no-lldbinit --batch "
			  "-o 'breakpoint set --name bench_work --skip-prologue false "
			  "--condition \"$rdi == -1\"' -o run "
			  "-- \"$LOOP\" \"$CALLS\" \"$ROUNDS\" 2>&1",
};

int debugger_start(Way *way, const char *build_dir)
{
	char check[128];

	snprintf(check, sizeof(check), "command -v %s >/dev/null", programs[way->variant]);
	if (system(check) != 0) {
		snprintf(way->why, sizeof(way->why), "%s is not installed", programs[way->variant]);
		return -ENOENT;
	}
	return asprintf((char **)&way->state, "%s/bench/loop", build_dir) < 0 ? -ENOMEM : 0;
}

/* All that the command wrote, up to OUTPUT_MAX. Return: 0 and *ret (free()), negative errno. */
static int run(const char *command, char **ret)
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	char *output = calloc(1, OUTPUT_MAX + 1);
	size_t length = 0;
	int out[2], r;
	ssize_t n = 0;
	pid_t pid;

	if (!output)
		return -ENOMEM;
	if (pipe2(out, O_CLOEXEC) < 0) {
		free(output);
		return -errno;
	}
	options.stdout_fd = out[1];
	options.dies_with_us = true;
	/* by timeout(1), since a debugger that hangs keeps the pipe open */
	r = process_spawn(
		(const char *[]){"timeout", "--kill-after=5", "60", "sh", "-c", command, NULL},
		&options, &pid);
	close(out[1]);
	if (r >= 0) {
		do {
			n = read(out[0], output + length, OUTPUT_MAX - length);
			length += n > 0 ? (size_t)n : 0;
		} while (n > 0 && length < OUTPUT_MAX);
		r = process_wait(pid, TIMEOUT_MS, NULL);
	}
	close(out[0]);
	if (r < 0) {
		free(output);
		return r;
	}
	*ret = output;
	return 0;
}

static int export_number(const char *name, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return setenv(name, text, 1) < 0 ? -errno : 0;
}

int debugger_round(Way *way, long n, uint64_t *ret_ns)
{
	const char *result;
	char *output = NULL;
	double ns;
	int r;

	if (setenv("LOOP", way->state, 1) < 0)
		return -errno;
	r = export_number("CALLS", n);
	if (r >= 0)
		r = export_number("ROUNDS", ROUNDS_IN_PROCESS);
	if (r >= 0)
		r = run(commands[way->variant], &output);
	if (r < 0) {
		snprintf(way->why, sizeof(way->why), "%s: %s", programs[way->variant],
			 strerror(-r));
		return r;
	}
	result = strstr(output, "ns-per-call ");
	if (result && sscanf(result, "ns-per-call %lf", &ns) == 1) {
		*ret_ns = (uint64_t)(ns * (double)n);
	} else {
		snprintf(way->why, sizeof(way->why), "%s said: %.120s", programs[way->variant],
			 output);
		r = -EPROTO;
	}
	free(output);
	return r;
}

void debugger_stop(Way *way)
{
	free(way->state);
	way->state = NULL;
}
