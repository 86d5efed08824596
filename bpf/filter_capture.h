/* SPDX-License-Identifier: GPL-2.0-only */
/* Which registers go into a record: by the machine, in the order of enum bpcond_register. */
#ifndef FILTER_CAPTURE_H
#define FILTER_CAPTURE_H

#include "bpcond/hit.h"
#include "bpf/filter.h"

extern const volatile struct filter_config config;

#define CAPTURE(bit, expression)                          \
	do {                                              \
		if (config.registers & (1ULL << (bit))) { \
			*data = (expression);             \
			data++;                           \
		}                                         \
	} while (0)

#if MACHINE_X86
static __always_inline __u64 *capture_registers(__u64 *data, const bpf_user_pt_regs_t *regs)
{
	__u64 fs = 0, gs = 0;

	CAPTURE(BPCOND_REG_RAX, regs->rax);
	CAPTURE(BPCOND_REG_RBX, regs->rbx);
	CAPTURE(BPCOND_REG_RCX, regs->rcx);
	CAPTURE(BPCOND_REG_RDX, regs->rdx);
	CAPTURE(BPCOND_REG_RSI, regs->rsi);
	CAPTURE(BPCOND_REG_RDI, regs->rdi);
	CAPTURE(BPCOND_REG_RBP, regs->rbp);
	CAPTURE(BPCOND_REG_RSP, regs->rsp);
	CAPTURE(BPCOND_REG_R8, regs->r8);
	CAPTURE(BPCOND_REG_R9, regs->r9);
	CAPTURE(BPCOND_REG_R10, regs->r10);
	CAPTURE(BPCOND_REG_R11, regs->r11);
	CAPTURE(BPCOND_REG_R12, regs->r12);
	CAPTURE(BPCOND_REG_R13, regs->r13);
	CAPTURE(BPCOND_REG_R14, regs->r14);
	CAPTURE(BPCOND_REG_R15, regs->r15);
	CAPTURE(BPCOND_REG_RIP, regs->rip);
	CAPTURE(BPCOND_REG_EFLAGS, regs->eflags);
	/* With FRED the words above the selectors hold what the event delivery left there. */
	CAPTURE(BPCOND_REG_CS, regs->cs & 0xffff);
	CAPTURE(BPCOND_REG_SS, regs->ss & 0xffff);
	CAPTURE(BPCOND_REG_ORIG_RAX, regs->orig_rax);
	if (config.registers & (1ULL << BPCOND_REG_FS_BASE | 1ULL << BPCOND_REG_GS_BASE))
		thread_bases(&fs, &gs);
	CAPTURE(BPCOND_REG_FS_BASE, fs);
	CAPTURE(BPCOND_REG_GS_BASE, gs);
	return data;
}
#elif MACHINE_ARM64
static __always_inline __u64 *capture_registers(__u64 *data, const bpf_user_pt_regs_t *regs)
{
#pragma unroll
	for (int i = 0; i <= BPCOND_REG_X30; i++)
		CAPTURE(i, regs->regs[i]);
	CAPTURE(BPCOND_REG_SP, regs->sp);
	CAPTURE(BPCOND_REG_PC, regs->pc);
	CAPTURE(BPCOND_REG_PSTATE, regs->pstate);
	return data;
}
#endif

#undef CAPTURE

#endif
