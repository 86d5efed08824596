/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least that a debugger without a filter has to do for a trap whose condition is false: be woken,
 * read the registers, compare one, let the thread go on. With int3 the thread must also be stepped
 * over the instruction that the int3 replaces; with a debug register it need not.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum {
	WITH_DEBUG_REGISTER = 1,
};

typedef struct Supervisor {
	Loop loop;
	long original; /* the word at the breakpoint, without the int3 */
} Supervisor;

static long with_int3(long word)
{
	return (word & ~0xffL) | 0xcc;
}

/* A failed request is found out by the wait that follows it, or by the number of calls. */
static int stop_of(pid_t pid, int signal_number)
{
	int status;

	if (waitpid(pid, &status, __WALL) < 0)
		return -errno;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != signal_number)
		return -EPROTO;
	return 0;
}

static int set_debug_register(pid_t pid, uint64_t address)
{
	const size_t base = offsetof(struct user, u_debugreg);

	if (ptrace(PTRACE_POKEUSER, pid, base, address) < 0)
		return -errno;
	/* DR7: L0 on, for execution, one byte */
	if (ptrace(PTRACE_POKEUSER, pid, base + 7 * sizeof(long), 1) < 0)
		return -errno;
	return 0;
}

static int arm(Way *way, Supervisor *state)
{
	pid_t pid = state->loop.pid;
	int r;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		return -errno;
	r = stop_of(pid, SIGTRAP);
	if (r < 0)
		return r;
	if (way->variant == WITH_DEBUG_REGISTER) {
		r = set_debug_register(pid, state->loop.address);
	} else {
		errno = 0;
		state->original = ptrace(PTRACE_PEEKTEXT, pid, state->loop.address, 0);
		if (errno == 0)
			ptrace(PTRACE_POKETEXT, pid, state->loop.address,
			       with_int3(state->original));
		r = -errno;
	}
	if (r < 0)
		return r;
	return ptrace(PTRACE_CONT, pid, 0, 0) < 0 ? -errno : 0;
}

int ptrace_start(Way *way, const char *build_dir)
{
	Supervisor *state = calloc(1, sizeof(*state));
	char program[4096];
	int r;

	if (!state)
		return -ENOMEM;
	snprintf(program, sizeof(program), "%s/bench/loop", build_dir);
	r = loop_start(program, &state->loop);
	if (r < 0) {
		free(state);
		return r;
	}
	way->state = state;
	r = arm(way, state);
	if (r < 0)
		snprintf(way->why, sizeof(way->why), "ptrace: %s", strerror(-r));
	return r;
}

/* Over the instruction that the int3 stands for, and back. */
static int step_over(Supervisor *state, struct user_regs_struct *registers)
{
	pid_t pid = state->loop.pid;
	int r;

	registers->rip--;
	if (ptrace(PTRACE_POKETEXT, pid, state->loop.address, state->original) < 0 ||
	    ptrace(PTRACE_SETREGS, pid, 0, registers) < 0 ||
	    ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
		return -errno;
	r = stop_of(pid, SIGTRAP);
	if (r < 0)
		return r;
	if (ptrace(PTRACE_POKETEXT, pid, state->loop.address, with_int3(state->original)) < 0)
		return -errno;
	return 0;
}

static int handle_trap(Way *way, Supervisor *state)
{
	struct user_regs_struct registers;
	pid_t pid = state->loop.pid;
	int r;

	r = stop_of(pid, SIGTRAP);
	if (r < 0)
		return r;
	if (ptrace(PTRACE_GETREGS, pid, 0, &registers) < 0)
		return -errno;
	if ((long)registers.rdi == -1)
		return -EPROTO; /* the condition is never true */
	if (way->variant != WITH_DEBUG_REGISTER) {
		r = step_over(state, &registers);
		if (r < 0)
			return r;
	}
	return ptrace(PTRACE_CONT, pid, 0, 0) < 0 ? -errno : 0;
}

int ptrace_round(Way *way, long n, uint64_t *ret_ns)
{
	Supervisor *state = way->state;
	int r;

	r = loop_begin(&state->loop, n);
	for (long i = 0; i < n && r >= 0; i++)
		r = handle_trap(way, state);
	if (r >= 0)
		r = loop_finish(&state->loop, ret_ns);
	if (r < 0)
		snprintf(way->why, sizeof(way->why), "ptrace: %s", strerror(-r));
	return r;
}

void ptrace_stop(Way *way)
{
	Supervisor *state = way->state;

	if (!state)
		return;
	kill(state->loop.pid, SIGKILL);
	loop_stop(&state->loop);
	free(state);
	way->state = NULL;
}
