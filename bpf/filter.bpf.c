/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The filter for traps from user mode: the registers are the context's, and nothing is asked of
 * the kernel's type information, so it loads on kernels without BTF.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>

#include "bpf/filter_ours.h"

static __always_inline bpf_user_pt_regs_t *user_registers(struct bpf_perf_event_data *ctx)
{
	return &ctx->regs;
}

static __always_inline int from_kernel(struct bpf_perf_event_data *ctx)
{
	return 0;
}

/* On arm64 a spec with a signal gets the other program (filter_task.bpf.c). */
static __always_inline int may_signal(void)
{
	return MACHINE_X86;
}

/* A spec that asks for these gets the other program (filter_task.bpf.c). */
static __always_inline void thread_bases(__u64 *ret_fs, __u64 *ret_gs)
{
	*ret_fs = 0;
	*ret_gs = 0;
}

#include "bpf/filter_body.h"

SEC("perf_event")
int filter(struct bpf_perf_event_data *ctx)
{
	return filter_trap(ctx);
}

char LICENSE[] SEC("license") = "GPL";
