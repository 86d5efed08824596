/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rejected trap costs, measured in several ways: the parts of one program. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A running bench/loop. */
typedef struct Loop {
	pid_t pid;
	int in_fd, out_fd;
	uint64_t address; /* of bench_work */
} Loop;

/* Starts the loop program. Return: 0 or negative errno. */
int loop_start(const char *program, Loop *ret);
void loop_stop(Loop *loop);
/* Asks for n calls; loop_finish waits for them. Return: 0 or negative errno. */
int loop_begin(Loop *loop, long n);
int loop_finish(Loop *loop, uint64_t *ret_ns);

/*
 * One way to break into the loop. `round` makes n calls under it and tells how long they took; between
 * its rounds the way must cost the other ways nothing.
 */
typedef struct Way {
	const char *name;
	int (*start)(struct Way *way, const char *build_dir);
	int (*round)(struct Way *way, long n, uint64_t *ret_ns);
	void (*stop)(struct Way *way);
	long calls;  /* a round */
	int rounds;  /* at most */
	int variant; /* the way's own business */

	Loop *loop;    /* the loop that it breaks into, shared or its own */
	void *state;   /* the way's own */
	double best;   /* nanoseconds a call; 0: no round yet */
	char why[160]; /* it could not be measured; "": it could */
} Way;

/* bare.c: perf's own breakpoint, counting, with no program. variant 0: none at all, 1: one. */
int bare_start(Way *way, const char *build_dir);
int bare_round(Way *way, long n, uint64_t *ret_ns);
void bare_stop(Way *way);

/* brokered.c: through the daemon; variant: see there. */
enum brokered_condition {
	BROKERED_ONE_REGISTER,
	BROKERED_SIXTEEN_REGISTERS,
	BROKERED_ONE_LOAD,
};
int brokered_start(Way *way, const char *build_dir);
int brokered_round(Way *way, long n, uint64_t *ret_ns);
void brokered_stop(Way *way);

/* ptrace.c: a supervisor as small as it can be; variant 0: int3, 1: debug register. */
int ptrace_start(Way *way, const char *build_dir);
int ptrace_round(Way *way, long n, uint64_t *ret_ns);
void ptrace_stop(Way *way);

/* debuggers.c: whole debuggers with their own conditions. */
enum debugger {
	DEBUGGER_GDB,
	DEBUGGER_GDB_HARDWARE,
	DEBUGGER_GDBSERVER,
	DEBUGGER_LLDB,
};
int debugger_start(Way *way, const char *build_dir);
int debugger_round(Way *way, long n, uint64_t *ret_ns);
void debugger_stop(Way *way);

#endif
