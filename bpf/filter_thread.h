/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a filter reads of the current thread beside the context of its trap. Needs the kernel's BTF.
 */
#ifndef FILTER_THREAD_H
#define FILTER_THREAD_H

#include "bpf/machine.h"
#include "bpf/task_types.h"

/* Never the context's: what the kernel held in its registers is no client's business. */
static __always_inline bpf_user_pt_regs_t *user_registers(struct bpf_perf_event_data *ctx)
{
	return (bpf_user_pt_regs_t *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

#if MACHINE_X86
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

static __always_inline int may_signal_task(__u32 signal)
{
	return 1;
}
#elif MACHINE_ARM64
static __always_inline int from_kernel(struct bpf_perf_event_data *ctx)
{
	return (ctx->regs.pstate & PSR_MODE_MASK) != PSR_MODE_EL0t;
}

/* There is no register by these names. */
static __always_inline void thread_bases(__u64 *ret_fs, __u64 *ret_gs)
{
	*ret_fs = 0;
	*ret_gs = 0;
}

/*
 * Here the kernel steps over the instruction with the thread's breakpoints off, and begins as the trap
 * returns, so after a signal was delivered. A handler takes the step for its own first instruction;
 * when it returns, the instruction traps again: and again at each hit that sends a signal. And a
 * debugger that continues the thread with PTRACE_CONT cancels the step and leaves the breakpoints
 * off. Signals that stop or end the thread, or wait because they are blocked, do no harm.
 */
static __always_inline int may_signal_task(__u32 signal)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 handler = 1ULL << 63; /* what cannot be read is taken for one */
	__u32 at = (signal - 1) * bpf_core_type_size(struct k_sigaction) +
		   bpf_core_field_offset(struct k_sigaction, sa.sa_handler);

	if (task->ptrace)
		return 0;
	if (task->blocked.sig[0] & 1ULL << (signal - 1))
		return 1;
	bpf_probe_read_kernel(&handler, sizeof(handler), (char *)&task->sighand->action[0] + at);
	return handler <= 1; /* SIG_DFL, SIG_IGN */
}
#endif

#endif
