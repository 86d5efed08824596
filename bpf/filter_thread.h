/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a filter reads of the current thread beside the context of its trap. Needs the kernel's BTF.
 */
#ifndef FILTER_THREAD_H
#define FILTER_THREAD_H

#include "bpf/task_types.h"

/* Never the context's: what the kernel held in its registers is no client's business. */
static __always_inline struct pt_regs *user_registers(struct bpf_perf_event_data *ctx)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

static __always_inline int from_kernel(struct bpf_perf_event_data *ctx)
{
	return !(ctx->regs.cs & 3);
}

static __always_inline void thread_bases(__u64 *ret_fs, __u64 *ret_gs)
{
	struct task_struct *task = bpf_get_current_task_btf();

	*ret_fs = task->thread.fsbase;
	*ret_gs = task->thread.gsbase;
}

#endif
