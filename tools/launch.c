/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A breakpoint in a shared library can only be set once the library is there, and must be set before
 * the program runs. The point in between is the program's entry, where the dynamic linker jumps when
 * it is done (AT_ENTRY of the auxiliary vector). To stop there, one instruction in the child's own copy
 * of that page is a breakpoint for a while; nobody else sees it.
 *
 * A program that is to be left stopped gets a session of its own. In ours it would be a stopped member
 * of a shell's job, which is orphaned when we end: the kernel then sends SIGHUP and SIGCONT to it.
 */
#include "tools/launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static void __attribute__((noreturn))
child(char **argv, bool own_session, const sigset_t *mask, int error_fd)
{
	int number;
	ssize_t n;

	if ((!own_session || setsid() >= 0) && sigprocmask(SIG_SETMASK, mask, NULL) == 0 &&
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
		execvp(argv[0], argv);
	number = errno;
	n = write(error_fd, &number, sizeof(number));
	(void)n;
	_exit(127);
}

/* Return: 0 and *ret_status; a negative errno. */
static int wait_for(pid_t pid, int *ret_status)
{
	pid_t r;

	do
		r = waitpid(pid, ret_status, 0);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Return: 0 and *ret_status, stopped at the exec or ended; a negative errno. */
static int wait_for_exec(pid_t pid, int *ret_status)
{
	for (;;) {
		int r = wait_for(pid, ret_status);

		if (r < 0 || !WIFSTOPPED(*ret_status) || WSTOPSIG(*ret_status) == SIGTRAP)
			return r;
		/* A signal before the exec, from the terminal for instance, takes its course. */
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)(long)WSTOPSIG(*ret_status)) < 0)
			return -errno;
	}
}

/* launch() while the signals that may end us are held back; `mask` is without that. */
static pid_t start(char **argv, bool own_session, const sigset_t *mask)
{
	int fds[2], number = 0, status = 0, r;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* What is in our buffers is not to be printed by both. */
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid == 0)
		child(argv, own_session, mask, fds[1]);
	close(fds[1]);
	r = wait_for_exec(pid, &status);
	if (r >= 0 && !WIFSTOPPED(status)) {
		n = read(fds[0], &number, sizeof(number));
		r = n == (ssize_t)sizeof(number) && number > 0 ? -number : -ECHILD;
	}
	close(fds[0]);
	if (r < 0)
		return r;
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_EXITKILL) < 0) {
		r = -errno;
		launch_kill(pid);
		return r;
	}
	return pid;
}

pid_t launch(char **argv, bool own_session)
{
	sigset_t ends, mask;
	pid_t pid;

	/* Ctrl-C does not reach a session of its own, and until it is to die with us, nothing else
	 * would end it. */
	sigemptyset(&ends);
	if (own_session) {
		sigaddset(&ends, SIGINT);
		sigaddset(&ends, SIGQUIT);
		sigaddset(&ends, SIGTERM);
		sigaddset(&ends, SIGHUP);
	}
	if (sigprocmask(SIG_BLOCK, &ends, &mask) < 0)
		return -errno;
	pid = start(argv, own_session, &mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return pid;
}

static int entry_address(pid_t pid, uint64_t *ret)
{
	Elf64_auxv_t entry;
	char path[64];
	FILE *file;
	int r = -ENOENT;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return -errno;
	while (fread(&entry, sizeof(entry), 1, file) == 1) {
		if (entry.a_type == AT_ENTRY) {
			*ret = entry.a_un.a_val;
			r = 0;
			break;
		}
	}
	fclose(file);
	return r;
}

static int peek(pid_t pid, uint64_t address, long *ret)
{
	errno = 0;
	*ret = ptrace(PTRACE_PEEKTEXT, pid, (void *)address, NULL);
	return errno == 0 ? 0 : -errno;
}

static int poke(pid_t pid, uint64_t address, long value)
{
	return ptrace(PTRACE_POKETEXT, pid, (void *)address, (void *)value) < 0 ? -errno : 0;
}

#if defined(__x86_64__)
/* int3, which leaves the program counter behind itself. */
#define PROGRAM_COUNTER(registers) (registers).rip
#define BREAKPOINT_BITS            0xffL
#define BREAKPOINT                 0xccL
#define BREAKPOINT_BEHIND          1
#elif defined(__aarch64__)
/* brk #0, which leaves the program counter at itself. */
#define PROGRAM_COUNTER(registers) (registers).pc
#define BREAKPOINT_BITS            0xffffffffL
#define BREAKPOINT                 0xd4200000L
#define BREAKPOINT_BEHIND          0
#else
#error "which instruction is a breakpoint on this machine?"
#endif

static int get_registers(pid_t pid, struct user_regs_struct *registers)
{
	struct iovec all = {registers, sizeof(*registers)};

	return ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all) < 0 ? -errno : 0;
}

static int set_registers(pid_t pid, struct user_regs_struct *registers)
{
	struct iovec all = {registers, sizeof(*registers)};

	return ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all) < 0 ? -errno : 0;
}

/* Goes on until the breakpoint at `entry` has been executed; signals on the way are the program's. */
static int run_until(pid_t pid, uint64_t entry, struct user_regs_struct *registers)
{
	long signal_number = 0;

	for (;;) {
		int status = 0, r;

		if (ptrace(PTRACE_CONT, pid, NULL, (void *)signal_number) < 0)
			return -errno;
		r = wait_for(pid, &status);
		if (r < 0)
			return r;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		signal_number = WSTOPSIG(status);
		if (signal_number != SIGTRAP)
			continue;
		r = get_registers(pid, registers);
		if (r < 0)
			return r;
		if (PROGRAM_COUNTER(*registers) == entry + BREAKPOINT_BEHIND)
			return 0;
	}
}

int launch_run_to_entry(pid_t pid)
{
	struct user_regs_struct registers;
	uint64_t entry = 0;
	long original = 0;
	int r;

	r = entry_address(pid, &entry);
	if (r < 0)
		return r;
	r = peek(pid, entry, &original);
	if (r < 0)
		return r;
	r = poke(pid, entry, (original & ~BREAKPOINT_BITS) | BREAKPOINT);
	if (r < 0)
		return r;
	r = run_until(pid, entry, &registers);
	if (r < 0)
		return r;
	PROGRAM_COUNTER(registers) = entry;
	r = set_registers(pid, &registers);
	if (r < 0)
		return r;
	return poke(pid, entry, original);
}

int launch_detach(pid_t pid)
{
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0 ? -errno : 0;
}

void launch_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	wait_for(pid, &status);
}
