/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads what the kernel knows of each thread of one process: the credentials that ptrace would look
 * at, and the breakpoint events that the thread carries. It runs when the daemon reads the iterator
 * and writes one struct task_facts a thread, its events cut to those there are.
 *
 * The thread may change while it is looked at. Every pointer is read by helpers that fail rather
 * than fault, and the walk over the events is bounded, so a list that changes underneath can make
 * the answer stale but nothing worse; whoever acts on an answer acts first and reads again after.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>
#include <asm/unistd.h>
#include <bpf/bpf_helpers.h>

#include "bpf/task_types.h"
#include "bpf/tasks.h"

#define PFA_NO_NEW_PRIVS     0
#define PERF_TYPE_BREAKPOINT 5
#define CLONE_THREAD         0x10000
#define COMPAT_NR_CLONE      120 /* of 32-bit programs, on x86 and arm */
#define X32_BIT              0x40000000
#define TASK_STOPPED_TRACED  0xc    /* __TASK_STOPPED | __TASK_TRACED */
#define TASK_FREEZABLE       0x2000 /* since 6.1, as is the next */
#define TASK_FROZEN          0x8000
#define MAX_LIST             512       /* events of all kinds walked over in one context */
#define MAX_FAMILY           (1 << 17) /* heirs of one event */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* One reader at a time: the daemon has one thread. */
struct task_facts record;

/* An atomic operation that returns a value is a full barrier in BPF. */
__u32 read_barrier;

/* A pid namespace, and how deep it lies below the initial one. */
struct namespace
{
	struct pid_namespace *ns;
	__u32 level;
};

/* The id that a task has in the pid namespace of that level, and which namespace that is. */
static __always_inline struct upid id_at(struct pid *pid, __u32 level)
{
	__u32 at = level * bpf_core_type_size(struct upid);
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, sizeof(upid), (char *)&pid->numbers[0] + at);
	return upid;
}

/* The namespace in which a task counts: the innermost one that it has an id in. */
static __always_inline struct namespace pidns_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct namespace found = {};

	if (!pid)
		return found;
	found.level = BPF_CORE_READ(pid, level);
	found.ns = id_at(pid, found.level).ns;
	return found;
}

/* A task's id in the reader's pid namespace; 0 where it has none there. */
static __always_inline __u32 id_of(struct task_struct *task, const struct namespace *reader)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid upid;

	if (!pid || BPF_CORE_READ(pid, level) < reader->level)
		return 0;
	upid = id_at(pid, reader->level);
	return upid.ns == reader->ns ? upid.nr : 0;
}

/* The number of the system call that a thread is in, and its first argument. */
static __always_inline int read_call(struct pt_regs *regs, __u64 *ret_first)
{
#if MACHINE_X86
	*ret_first = BPF_PROBE_READ(regs, rdi);
	return BPF_PROBE_READ(regs, orig_rax);
#elif MACHINE_ARM64
	*ret_first = BPF_CORE_READ(regs, orig_x0);
	return BPF_CORE_READ(regs, syscallno);
#endif
}

/*
 * A thread inside clone(2) may be past the point at which its events are inherited by a child that
 * nobody can see yet. The saved registers tell the system call; of a thread that runs in user mode
 * they are those of its last entry into the kernel, so this may stay true for a while (until the
 * next interrupt) but is never false too early. Where clone3(2) keeps its flags cannot be read here:
 * each counts as starting a thread, and so does a 32-bit clone(2), whose flags are elsewhere.
 *
 * Where its child is not to be seen yet, the kernel waits for memory and for locks, which may take long
 * and may let itself be killed meanwhile, but never lets itself be frozen, as it does when it waits for a
 * vfork(2) child. So one that is frozen or may be, or is stopped, has its child behind it. And one
 * that has never run yet has the registers of who started it.
 */
static __always_inline int is_starting_thread(struct task_struct *task)
{
	__u64 flags;
	int call;

	if (task->__state & (TASK_STOPPED_TRACED | TASK_FREEZABLE | TASK_FROZEN))
		return 0;
	/* What it has run is counted before it is off its CPU. */
	if (bpf_core_field_exists(task->on_cpu) && !task->on_cpu && !task->se.sum_exec_runtime)
		return 0;
	call = read_call((struct pt_regs *)bpf_task_pt_regs(task), &flags) & ~X32_BIT;
	if (call == __NR_clone)
		return (flags & CLONE_THREAD) != 0;
	return call == __NR_clone3 || call == COMPAT_NR_CLONE;
}

static __always_inline struct perf_event_context *events_of(struct task_struct *task)
{
	struct task_struct___two_contexts *old = (void *)task;

	/* A pointer here matches a pointer only: not the array of before. */
	if (bpf_core_field_exists(task->perf_event_ctxp))
		return BPF_CORE_READ(task, perf_event_ctxp);
	return BPF_CORE_READ(old, perf_event_ctxp[1]);
}

/* Along a list, until it is back at its head. */
struct walk {
	struct list_head *head;
	struct list_head *at;
	__u32 facts;
};

static __always_inline __u32 state_of(struct perf_event *event)
{
	int state = BPF_CORE_READ(event, state);

	if (state < PERF_EVENT_STATE_OFF)
		return 0;
	return (state == PERF_EVENT_STATE_OFF ? TASK_EVENT_ANY_DISABLED : TASK_EVENT_ANY_ENABLED) |
	       (BPF_CORE_READ(event, prog) ? 0 : TASK_EVENT_ANY_UNFILTERED);
}

/* One heir; returns 1 to end the walk. */
static long read_heir(__u32 index, struct walk *walk)
{
	struct list_head *at = walk->at;
	struct perf_event *heir;

	if (at == walk->head)
		return 1;
	heir = (void *)at - bpf_core_field_offset(struct perf_event, child_list);
	/*
	 * Its state first, and then where it leads: one that ended in between may have started a thread
	 * that copied that state. One that is taken off the list is made to point to itself; its
	 * memory stays until we return.
	 */
	walk->facts |= state_of(heir);
	__sync_fetch_and_add(&read_barrier, 0);
	walk->at = BPF_CORE_READ(heir, child_list.next);
	return walk->at == at;
}

/*
 * What is so of a family. It is asked of the family and not of the threads one by one, since when one thread
 * gives way to another the kernel may exchange what they carry, heirs of the same events: of two that
 * do it all the time, the one that is looked at first may have given to the other what it was then
 * given back, and one of the two events would not have been seen.
 */
static __always_inline __u32 read_family(struct perf_event *event, struct perf_event *ancestor)
{
	struct list_head *oldest = BPF_CORE_READ(ancestor, child_list.next);
	struct walk walk;

	/* Not one of ours: those without a filter anybody can have, with as many heirs as he likes. */
	if (!BPF_CORE_READ(ancestor, prog))
		return 0;
	walk.head = (void *)ancestor + bpf_core_field_offset(struct perf_event, child_list);
	walk.at = oldest;
	walk.facts = state_of(ancestor);
	if (event == ancestor ? oldest != walk.head :
				oldest != (void *)event + bpf_core_field_offset(struct perf_event,
										child_list))
		return 0;
	bpf_loop(MAX_FAMILY, read_heir, &walk, 0);
	return walk.at == walk.head ? walk.facts | TASK_EVENT_FAMILY : 0;
}

/* One event of the list; returns 1 to end the walk. */
static long read_event(__u32 index, struct walk *walk)
{
	struct perf_event *event, *ancestor;
	struct task_event *found;
	__u32 n = record.n_events;

	if (!walk->at || walk->at == walk->head)
		return 1;
	event = (void *)walk->at - bpf_core_field_offset(struct perf_event, event_entry);
	walk->at = BPF_CORE_READ(event, event_entry.next);
	if (BPF_CORE_READ(event, attr.type) != PERF_TYPE_BREAKPOINT)
		return 0;
	if (n >= TASK_MAX_EVENTS) {
		record.facts |= TASK_EVENTS_CUT;
		return 1;
	}

	ancestor = BPF_CORE_READ(event, parent);
	if (!ancestor)
		ancestor = event;
	found = &record.events[n];
	found->id = BPF_CORE_READ(ancestor, id);
	found->facts = read_family(event, ancestor);
	found->reserved = 0;
	record.n_events = n + 1;
	return 0;
}

static __always_inline void read_events(struct task_struct *task)
{
	struct perf_event_context *context = events_of(task);
	struct walk walk;

	record.n_events = 0;
	if (!context)
		return;
	walk.head = &context->event_list;
	walk.at = BPF_CORE_READ(context, event_list.next);
	bpf_loop(MAX_LIST, read_event, &walk, 0);
	if (walk.at != walk.head)
		record.facts |= TASK_EVENTS_CUT;
}

static __always_inline void read_credentials(const struct cred *cred)
{
	record.ruid = cred->uid.val;
	record.euid = cred->euid.val;
	record.suid = cred->suid.val;
	record.fsuid = cred->fsuid.val;
	record.rgid = cred->gid.val;
	record.egid = cred->egid.val;
	record.sgid = cred->sgid.val;
	record.fsgid = cred->fsgid.val;
	record.caps_permitted = 0;
	record.caps_effective = 0;
	bpf_core_read(&record.caps_permitted, 8, &cred->cap_permitted);
	bpf_core_read(&record.caps_effective, 8, &cred->cap_effective);
	record.userns = BPF_CORE_READ(cred, user_ns, ns.inum);
}

SEC("iter/task")
int read_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pid_namespace *ns;
	struct namespace reader;
	struct mm_struct *mm;
	__u64 events;

	if (!task)
		return 0;

	/* Whose read(2) runs this. Its /proc would not tell: one shows no more levels than its own. */
	reader = pidns_of(bpf_get_current_task_btf());
	record.facts = 0;
	record.tid = id_of(task, &reader);
	record.tgid = id_of(task->group_leader, &reader);
	ns = pidns_of(task).ns;
	record.pidns = BPF_CORE_READ(ns, ns.inum);
	record.start_time = task->start_boottime;
	record.exec_id = task->self_exec_id;
	record.run_time = task->se.sum_exec_runtime;
	record.parent = id_of(BPF_CORE_READ(task, real_parent, group_leader), &reader);
	record.tracer =
		task->ptrace ? id_of(BPF_CORE_READ(task, parent, group_leader), &reader) : 0;

	if (task->flags & PF_EXITING || task->exit_state)
		record.facts |= TASK_EXITING;
	if (task->atomic_flags & (1UL << PFA_NO_NEW_PRIVS))
		record.facts |= TASK_NO_NEW_PRIVS;
	if (bpf_core_field_exists(task->seccomp.mode) && task->seccomp.mode)
		record.facts |= TASK_SECCOMP;
	if (task->cred != task->real_cred)
		record.facts |= TASK_OVERRIDDEN;
	mm = task->mm;
	if (mm) {
		record.facts |= TASK_HAS_MM;
		if (is_dumpable(mm))
			record.facts |= TASK_DUMPABLE;
	}
	if (task->thread_node.next == &task->signal->thread_head)
		record.facts |= TASK_LAST;
	if (is_starting_thread(task))
		record.facts |= TASK_STARTING_THREAD;

	read_credentials(task->real_cred);
	read_events(task);

	bpf_seq_write(ctx->meta->seq, &record, __builtin_offsetof(struct task_facts, events));
	/* One below a power of two, so that a mask bounds the size for every verifier. */
	_Static_assert((TASK_MAX_EVENTS & (TASK_MAX_EVENTS + 1)) == 0, "no mask");
	events = record.n_events & TASK_MAX_EVENTS;
	if (events)
		bpf_seq_write(ctx->meta->seq, record.events, events * sizeof(struct task_event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
