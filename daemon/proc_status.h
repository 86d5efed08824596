/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two files of /proc that say most about a thread, taken apart. Pure: text in, numbers out.
 *
 * A part of each is the thread's name, which its program chooses: `stat` has it between parentheses as it
 * is, parentheses, blanks and line ends included, and `status` in a line of its own with line ends
 * escaped. Nothing is taken for a fact that could be a part of a name, and a text that is cut short, that
 * says a thing twice, or not as the kernel writes it, says nothing at all.
 */
#ifndef PROC_STATUS_H
#define PROC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ProcStatus {
	uint32_t tgid, pid; /* in the pid namespace of the /proc that it is from, as all ids here */
	uint32_t parent;    /* process */
	uint32_t tracer;    /* thread; 0: none */
	uint32_t uids[4];   /* real, effective, saved, file system */
	uint32_t gids[4];
	uint32_t n_threads; /* of its process; 0: it was just going */
	uint32_t n_levels;  /* pid namespaces that it has an id in; 0 where the kernel has none */
	uint64_t caps_permitted, caps_effective;
	bool has_memory;
	bool no_new_privs;
	bool seccomp;
} ProcStatus;

typedef struct ProcStat {
	char state;        /* R, S, D, T, t, Z, X, … */
	uint64_t flags;    /* PF_… */
	uint64_t run_time; /* clock ticks, of its own and of the kernel's */
	uint64_t start;    /* clock ticks since boot */
} ProcStat;

/* The text of /proc/PID/task/TID/status, NUL-terminated. Return: 0 and *ret; -EBADMSG. */
int proc_status_parse(const char *text, ProcStatus *ret);

/* The same of …/stat. */
int proc_stat_parse(const char *text, ProcStat *ret);

#endif
