/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few kernel interfaces that the probe (features.c) and the kernel test are made of: events on the
 * calling thread, and a BPF program whose verdict the caller sets. Raw system calls only, so that it
 * links statically and runs in an initramfs with nothing else in it.
 *
 * A program here counts its runs and returns a word of a map that is mapped into the caller: no system
 * call is needed between traps to change its mind.
 */
#ifndef KERNEL_EVENTS_H
#define KERNEL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/perf_event.h>

/* What a program and the caller share. */
struct verdict {
	uint64_t runs;   /* counted by the program */
	uint64_t accept; /* what it returns: 0 rejects */
	int64_t sent;    /* what bpf_send_signal_thread returned last */
};

typedef struct Verdict {
	int program_fd;
	int map_fd;
	struct verdict *shared;
} Verdict;

#define VERDICT_NONE ((Verdict){.program_fd = -EBADF, .map_fd = -EBADF})

typedef enum VerdictKind {
	VERDICT_PLAIN,
	VERDICT_SIGNALS, /* sends `signal` to the thread that runs it, first */
	VERDICT_TASK,    /* also asks for the task by the kernel's type information */
} VerdictKind;

/* Return: 0 and *ret (verdict_clear); negative errno, that of the kernel that refused it. */
int verdict_new(VerdictKind kind, int signal, Verdict *ret);
void verdict_clear(Verdict *verdict);

/* The kinds of event that traps are made with. */
typedef enum TrapKind {
	TRAP_EXECUTE,
	TRAP_WRITE,
	TRAP_PAGE_FAULT, /* takes no debug register */
	TRAP_KINDS,
} TrapKind;

/* A disabled event of that kind which traps at each trap_once(): period 1, user mode only.
 * Set more in it before event_open. */
struct perf_event_attr trap_attr(TrapKind kind);

/* One trap of the kind in the calling thread. Return: 0; negative errno. */
int trap_once(TrapKind kind);

/* What a TRAP_WRITE event watches. */
void *trap_watched(void);

/* On the calling thread, and what inherits from it. Return: the descriptor; negative errno. */
int event_open(const struct perf_event_attr *attr);

/* Opens, and attaches the program unless it is NULL. Return: the descriptor; negative errno. */
int event_open_filtered(const struct perf_event_attr *attr, const Verdict *verdict);

/* Return: 0 and *ret, the count of the event and of all that inherited it; negative errno. */
int event_read(int fd, uint64_t *ret);

/* Has the event send `signal` to the calling thread. Return: 0; negative errno. */
int event_signal_me(int fd, int signal);

/* Takes the signals of that number that are pending for the calling thread, which blocks it; waits a
 * moment for late ones. Return: how many there were, and unless NULL *ret_hangups, how many of them
 * said POLL_HUP. */
unsigned int take_signals(int signal, unsigned int *ret_hangups);

/*
 * Synchronous SIGTRAPs, until the next call: the handler counts in *count those that an event sent
 * (TRAP_PERF) and disables the event `fd`, as a debugger would: on arm64 a hit would else be raised again
 * at the same instruction for ever. A SIGTRAP of any other origin ends the process.
 */
void sigtrap_catch(int fd, volatile uint64_t *count);

#endif
