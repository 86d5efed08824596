/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one would write by hand for a single condition, as fast as it can be: constants in the code, no
 * counting, no hits. Generated filters are held against these (filters.c).
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "bench/filters.h"

/* Values that are known only at run time: constants to the verifier. */
const volatile __u64 instruction = 0;

SEC("perf_event")
int empty(struct bpf_perf_event_data *ctx)
{
	return 0;
}

SEC("perf_event")
int one_register(struct bpf_perf_event_data *ctx)
{
	return ctx->regs.rdi == (__u64)-1;
}

SEC("perf_event")
int sixteen_registers(struct bpf_perf_event_data *ctx)
{
	return ctx->regs.rax == PATTERN(0) && ctx->regs.rbx == PATTERN(1) &&
	       ctx->regs.rcx == PATTERN(2) && ctx->regs.rbp == PATTERN(3) &&
	       ctx->regs.r8 == PATTERN(8) && ctx->regs.r9 == PATTERN(9) &&
	       ctx->regs.r10 == PATTERN(10) && ctx->regs.r11 == PATTERN(11) &&
	       ctx->regs.r12 == PATTERN(12) && ctx->regs.r13 == PATTERN(13) &&
	       ctx->regs.r14 == PATTERN(14) && ctx->regs.r15 == PATTERN(15) &&
	       ctx->regs.rip == instruction && ctx->regs.rsi != 0 && ctx->regs.rdx != 0 &&
	       ctx->regs.rdi == (__u64)-1;
}

SEC("perf_event")
int one_load(struct bpf_perf_event_data *ctx)
{
	__s32 value = 0;

	if (bpf_probe_read_user(&value, sizeof(value), (void *)(ctx->regs.rsi + 8)))
		return 1;
	return value == -1;
}

SEC("perf_event")
int four_loads(struct bpf_perf_event_data *ctx)
{
	__u64 a = 0, b = 0, c = 0, d = 0;

	if (bpf_probe_read_user(&a, sizeof(a), (void *)(ctx->regs.rsi + 8)) ||
	    bpf_probe_read_user(&b, sizeof(b), (void *)(ctx->regs.rsi + 16)) ||
	    bpf_probe_read_user(&c, sizeof(c), (void *)(ctx->regs.rsi + 24)) ||
	    bpf_probe_read_user(&d, sizeof(d), (void *)(ctx->regs.rsi + 32)))
		return 1;
	return a + b + c + d == (__u64)-1;
}

SEC("perf_event")
int one_string(struct bpf_perf_event_data *ctx)
{
	__u64 words[2];

	if (bpf_probe_read_user(words, sizeof(words), (void *)ctx->regs.rdx))
		return 1;
	return words[0] == TEXT_FIRST_WORD && words[1] == TEXT_SECOND_WORD;
}

char LICENSE[] SEC("license") = "GPL";
