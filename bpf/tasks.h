/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/* One record of the task iterator, shared by bpf/tasks.bpf.c and the daemon. */
#ifndef BPF_TASKS_H
#define BPF_TASKS_H

#include <linux/types.h>

enum {
	TASK_MAX_EVENTS = 63, /* perf events looked at in one thread's context */
};

enum task_fact {
	TASK_DUMPABLE = 1 << 0, /* get_dumpable() is SUID_DUMP_USER; clear also without an mm */
	TASK_HAS_MM = 1 << 1,   /* clear: a kernel thread, or one that is exiting */
	TASK_EXITING = 1 << 2,
	TASK_NO_NEW_PRIVS = 1 << 3,
	TASK_SECCOMP = 1 << 4,         /* any seccomp mode */
	TASK_STARTING_THREAD = 1 << 5, /* inside clone(2) or clone3(2), or may be */
	TASK_EVENTS_CUT = 1 << 6,      /* more than TASK_MAX_EVENTS events */
	TASK_OVERRIDDEN = 1 << 7,      /* subjective credentials differ from the objective ones */
	TASK_LAST = 1 << 8,            /* was the last of its process's threads when looked at */
	/* What whoever read it could not see (the program sees all). */
	TASK_USERNS_UNKNOWN = 1 << 9,
	TASK_DUMPABLE_UNKNOWN = 1 << 10,
	TASK_EVENTS_UNKNOWN = 1 << 11,
};

/*
 * An event and all that were inherited from it are a family. What is so of any of them is said once, with
 * the oldest heir, or with the first ancestor where there is none.
 */
enum task_event_fact {
	TASK_EVENT_FAMILY = 1 << 0, /* here; clear: another says it, or it changed meanwhile */
	TASK_EVENT_ANY_ENABLED = 1 << 1,
	TASK_EVENT_ANY_DISABLED = 1 << 2,
	TASK_EVENT_ANY_UNFILTERED = 1 << 3, /* has no program */
};

struct task_event {
	__u64 id;    /* PERF_EVENT_IOC_ID; of an inherited event, its first ancestor's */
	__u32 facts; /* enum task_event_fact */
	__u32 reserved;
};

struct task_facts {
	__u32 tid, tgid;               /* in the reader's pid namespace */
	__u32 ruid, euid, suid, fsuid; /* in the initial user namespace */
	__u32 rgid, egid, sgid, fsgid;
	__u32 userns; /* inode number of the user namespace; 0: another than the reader's */
	__u32 facts;  /* enum task_fact */
	__u64 caps_permitted, caps_effective;
	__u64 start_time; /* nanoseconds since boot, CLOCK_BOOTTIME */
	__u64 exec_id;    /* changes at each exec; 0: not seen */
	__u64 run_time;   /* nanoseconds of CPU time; in /proc, in whole ticks (10 ms) */
	__u32 tracer;     /* tgid of the ptracer, 0: none */
	__u32 parent;     /* tgid of the real parent */
	__u32 pidns;      /* inode number of its own pid namespace; 0: another than the reader's */
	__u32 n_events;
	struct task_event events[TASK_MAX_EVENTS]; /* only n_events are written */
};

#endif
