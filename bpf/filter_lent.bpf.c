/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The filter that is lent: its borrower attaches it to events of his own, of any kind that the
 * kernel lets him open, CPU-wide and kernel-mode ones included. The kernel checks what he may open;
 * but this program reads with the daemon's rights in whatever task the event fires in, so it looks
 * at nobody's but the borrower's: a task that ptrace would let him read, by its ids, its user
 * namespace, its capabilities, and by being dumpable, which a set-user-ID program is not. Of any
 * other not even a count is kept.
 *
 * It sees the user's registers only, wherever the event fires, and sends no signals: the borrower's
 * own event can.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>

#include "bpf/filter.h"
#include "bpf/filter_thread.h"

extern const volatile struct filter_config config;

/* Where the borrower puts the event that `counter` reads, at index 0. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, 1);
} counter_event SEC(".maps");

/* Where Yama is in force (scope 1) the kernel's check of the borrower's event is weaker than
 * ptrace's: only his own process, its children, and what he traces are looked at. */
static __always_inline int is_close_to_borrower(struct task_struct *task)
{
	__u64 start = config.borrower_start;

	return BPF_CORE_READ(task, group_leader, start_boottime) == start ||
	       BPF_CORE_READ(task, real_parent, group_leader, start_boottime) == start ||
	       (task->ptrace && BPF_CORE_READ(task, parent, group_leader, start_boottime) == start);
}

static __always_inline int is_admitted(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct cred *cred = task->real_cred;
	struct mm_struct *mm = task->mm;
	__u32 uid = config.borrower_uid, gid = config.borrower_gid;
	__u64 caps = 0;

	if (task->flags & PF_KTHREAD || !mm || !is_dumpable(mm))
		return 0;
	if (cred->uid.val != uid || cred->euid.val != uid || cred->suid.val != uid)
		return 0;
	if (cred->gid.val != gid || cred->egid.val != gid || cred->sgid.val != gid)
		return 0;
	/* Two words before 6.3 and one since: eight bytes either way. */
	bpf_core_read(&caps, sizeof(caps), &cred->cap_permitted);
	if (caps & ~config.borrower_caps)
		return 0;
	if (config.borrower_start && !is_close_to_borrower(task))
		return 0;
	return cred->user_ns->ns.inum == config.borrower_userns;
}

static __always_inline int is_kept_back(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return config.only_when_traced && !task->ptrace;
}

/* Fails off the thread (or CPU) that the borrower's event counts. */
static __always_inline int read_counter(__u64 *ret)
{
	struct bpf_perf_event_value value = {};

	*ret = 0;
	if (bpf_perf_event_read_value(&counter_event, 0, &value, sizeof(value)))
		return -1;
	*ret = value.counter;
	return 0;
}

/* Never asked: a lent filter has no signal. */
static __always_inline int may_signal(void)
{
	return 0;
}

#include "bpf/filter_body.h"

SEC("perf_event")
int filter_lent(struct bpf_perf_event_data *ctx)
{
	return filter_trap(ctx);
}

char LICENSE[] SEC("license") = "GPL";
