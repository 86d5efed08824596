/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The members of the kernel's types that our programs read, at offsets that libbpf takes from the
 * running kernel's BTF, and what is read out of them in more than one program.
 */
#ifndef TASK_TYPES_H
#define TASK_TYPES_H

#include <bpf/bpf_core_read.h>

#include "bpf/machine.h"

#define PF_EXITING        0x4
#define PF_KTHREAD        0x200000
#define MMF_DUMPABLE_MASK 0x3
#define SUID_DUMP_USER    1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct ns_common {
	unsigned int inum;
};

struct user_namespace {
	struct ns_common ns;
};

/* Two words before 6.3 and one since; eight bytes either way. */
typedef struct {
	__u64 val;
} kernel_cap_t;

struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
	kernel_cap_t cap_permitted, cap_effective;
	struct user_namespace *user_ns;
};

/* A word until 6.17, a bitmap of at least a word since. */
struct mm_struct {
	unsigned long flags;
};

struct mm_struct___bitmap {
	struct {
		unsigned long __mm_flags[1];
	} flags;
};

struct seccomp {
	int mode;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct bpf_prog;

struct perf_event_attr {
	__u32 type;
};

enum perf_event_state {
	PERF_EVENT_STATE_OFF = -1, /* below: of a thread that has ended, or in error */
	PERF_EVENT_STATE_INACTIVE = 0, /* and above: enabled */
};

struct perf_event {
	struct list_head event_entry;
	struct list_head child_list; /* an ancestor's heirs, and an heir's place among them */
	enum perf_event_state state;
	struct perf_event_attr attr;
	struct perf_event *parent;
	__u64 id;
	struct bpf_prog *prog;
};

struct perf_event_context {
	struct list_head event_list;
};

struct signal_struct {
	struct list_head thread_head;
};

#if MACHINE_X86
struct thread_struct {
	unsigned long fsbase;
	unsigned long gsbase;
};
#elif MACHINE_ARM64
struct thread_struct {};

/* What lies behind the user's registers. */
struct pt_regs {
	__u64 orig_x0;
	int syscallno;
};
#endif

struct sigaction {
	void *sa_handler;
};

struct k_sigaction {
	struct sigaction sa;
};

struct sighand_struct {
	struct k_sigaction action[1];
};

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct task_struct {
	struct thread_struct thread;
	struct sched_entity se;
	unsigned int __state;
	int on_cpu;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	sigset_t blocked;
	struct list_head thread_node;
	unsigned int flags;
	int exit_state;
	unsigned int ptrace;
	unsigned long atomic_flags;
	__u64 start_boottime;
	__u64 self_exec_id;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct task_struct *parent;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	const struct cred *real_cred;
	const struct cred *cred;
	struct seccomp seccomp;
	struct perf_event_context *perf_event_ctxp;
};

/* Before 6.2: one for hardware and one for software events, breakpoints among the latter. */
struct task_struct___two_contexts {
	struct perf_event_context *perf_event_ctxp[2];
};

#pragma clang attribute pop

static __always_inline int is_dumpable(struct mm_struct *mm)
{
	struct mm_struct___bitmap *bitmap = (void *)mm;
	unsigned long flags = 0;

	if (bpf_core_field_exists(bitmap->flags.__mm_flags))
		bpf_core_read(&flags, sizeof(flags), &bitmap->flags.__mm_flags);
	else
		flags = BPF_CORE_READ(mm, flags);
	return (flags & MMF_DUMPABLE_MASK) == SUID_DUMP_USER;
}

#endif
