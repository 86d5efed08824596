/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The filter for specs that need more of the thread than a trap's context has: the kernel's own
 * accesses to user memory, whose context holds the kernel's registers, and the thread's segment
 * bases. Needs the kernel's BTF.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/filter_ours.h"
#include "bpf/filter_thread.h"

static __always_inline int may_signal(void)
{
	return may_signal_task(config.signal);
}

#include "bpf/filter_body.h"

SEC("perf_event")
int filter_task(struct bpf_perf_event_data *ctx)
{
	return filter_trap(ctx);
}

char LICENSE[] SEC("license") = "GPL";
