/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64. Names and types are what gdb 13 prints for `ptype $NAME` on amd64: data registers and
 * their parts are signed, rip rsp rbp are pointers and eflags a set of flags, which compare as
 * unsigned, segment registers are int, the bases long. sp, pc, fp and ps are gdb's own second names;
 * r8b and its like are the assembler's names for gdb's r8l.
 *
 * Only what the kernel saves of a user thread in struct pt_regs is here, and the two bases, which the
 * filter reads from the task. cs and ss are cut to the 16 bits that they have: with FRED the kernel
 * keeps event data in the upper bits of their slots.
 */
#include <stddef.h>
#include <string.h>

#include <asm/ptrace.h>

#include "bpcond/hit.h"
#include "bpf/filter.h"
#include "condition/registers.h"

#define WHOLE(name, reg, is_unsigned)                                        \
	{                                                                    \
		name, reg, is_unsigned ? TYPE_U64 : TYPE_S64, 0, is_unsigned \
	}
#define PART(name, reg, type)             \
	{                                 \
		name, reg, type, 0, false \
	}
#define HIGH(name, reg)                      \
	{                                    \
		name, reg, TYPE_S8, 8, false \
	}

#define LEGACY(letter, reg)                                                      \
	WHOLE("r" letter "x", reg, false), PART("e" letter "x", reg, TYPE_S32),  \
		PART(letter "x", reg, TYPE_S16), PART(letter "l", reg, TYPE_S8), \
		HIGH(letter "h", reg)

#define NUMBERED(name, reg)                                                                    \
	WHOLE(name, reg, false), PART(name "d", reg, TYPE_S32), PART(name "w", reg, TYPE_S16), \
		PART(name "l", reg, TYPE_S8), PART(name "b", reg, TYPE_S8)

const Register machine_registers[] = {
	LEGACY("a", BPCOND_REG_RAX),
	LEGACY("b", BPCOND_REG_RBX),
	LEGACY("c", BPCOND_REG_RCX),
	LEGACY("d", BPCOND_REG_RDX),
	WHOLE("rsi", BPCOND_REG_RSI, false),
	PART("esi", BPCOND_REG_RSI, TYPE_S32),
	PART("si", BPCOND_REG_RSI, TYPE_S16),
	PART("sil", BPCOND_REG_RSI, TYPE_S8),
	WHOLE("rdi", BPCOND_REG_RDI, false),
	PART("edi", BPCOND_REG_RDI, TYPE_S32),
	PART("di", BPCOND_REG_RDI, TYPE_S16),
	PART("dil", BPCOND_REG_RDI, TYPE_S8),
	WHOLE("rbp", BPCOND_REG_RBP, true),
	WHOLE("fp", BPCOND_REG_RBP, true),
	PART("ebp", BPCOND_REG_RBP, TYPE_S32),
	PART("bp", BPCOND_REG_RBP, TYPE_S16),
	PART("bpl", BPCOND_REG_RBP, TYPE_S8),
	WHOLE("rsp", BPCOND_REG_RSP, true),
	WHOLE("sp", BPCOND_REG_RSP, true),
	PART("esp", BPCOND_REG_RSP, TYPE_S32),
	PART("spl", BPCOND_REG_RSP, TYPE_S8),
	NUMBERED("r8", BPCOND_REG_R8),
	NUMBERED("r9", BPCOND_REG_R9),
	NUMBERED("r10", BPCOND_REG_R10),
	NUMBERED("r11", BPCOND_REG_R11),
	NUMBERED("r12", BPCOND_REG_R12),
	NUMBERED("r13", BPCOND_REG_R13),
	NUMBERED("r14", BPCOND_REG_R14),
	NUMBERED("r15", BPCOND_REG_R15),
	WHOLE("rip", BPCOND_REG_RIP, true),
	WHOLE("pc", BPCOND_REG_RIP, true),
	WHOLE("eflags", BPCOND_REG_EFLAGS, true),
	WHOLE("ps", BPCOND_REG_EFLAGS, true),
	PART("cs", BPCOND_REG_CS, TYPE_U16),
	PART("ss", BPCOND_REG_SS, TYPE_U16),
	WHOLE("orig_rax", BPCOND_REG_ORIG_RAX, false),
	WHOLE("fs_base", BPCOND_REG_FS_BASE, false),
	WHOLE("gs_base", BPCOND_REG_GS_BASE, false),
};

const size_t n_machine_registers = sizeof(machine_registers) / sizeof(machine_registers[0]);

const char register_hint[] = "use gdb's names, such as rax, edi, r8d, ah, rip, eflags or fs_base";

_Static_assert(sizeof(struct pt_regs) == MACHINE_REGISTER_WORDS * sizeof(__u64),
	       "what a filter copies is the registers of a context");

static const unsigned int offsets[BPCOND_REG_COUNT] = {
	[BPCOND_REG_RAX] = offsetof(struct pt_regs, rax),
	[BPCOND_REG_RBX] = offsetof(struct pt_regs, rbx),
	[BPCOND_REG_RCX] = offsetof(struct pt_regs, rcx),
	[BPCOND_REG_RDX] = offsetof(struct pt_regs, rdx),
	[BPCOND_REG_RSI] = offsetof(struct pt_regs, rsi),
	[BPCOND_REG_RDI] = offsetof(struct pt_regs, rdi),
	[BPCOND_REG_RBP] = offsetof(struct pt_regs, rbp),
	[BPCOND_REG_RSP] = offsetof(struct pt_regs, rsp),
	[BPCOND_REG_R8] = offsetof(struct pt_regs, r8),
	[BPCOND_REG_R9] = offsetof(struct pt_regs, r9),
	[BPCOND_REG_R10] = offsetof(struct pt_regs, r10),
	[BPCOND_REG_R11] = offsetof(struct pt_regs, r11),
	[BPCOND_REG_R12] = offsetof(struct pt_regs, r12),
	[BPCOND_REG_R13] = offsetof(struct pt_regs, r13),
	[BPCOND_REG_R14] = offsetof(struct pt_regs, r14),
	[BPCOND_REG_R15] = offsetof(struct pt_regs, r15),
	[BPCOND_REG_RIP] = offsetof(struct pt_regs, rip),
	[BPCOND_REG_EFLAGS] = offsetof(struct pt_regs, eflags),
	[BPCOND_REG_CS] = offsetof(struct pt_regs, cs),
	[BPCOND_REG_SS] = offsetof(struct pt_regs, ss),
	[BPCOND_REG_ORIG_RAX] = offsetof(struct pt_regs, orig_rax),
	[BPCOND_REG_FS_BASE] = offsetof(struct condition_inputs, fs_base),
	[BPCOND_REG_GS_BASE] = offsetof(struct condition_inputs, gs_base),
};

unsigned int register_offset(unsigned int whole)
{
	return offsets[whole];
}

uint64_t register_inputs(void)
{
	return UINT64_C(1) << BPCOND_REG_FS_BASE | UINT64_C(1) << BPCOND_REG_GS_BASE;
}

const char *register_why_not(const char *name)
{
	static const char *const segments[] = {"ds", "es", "fs", "gs"};
	static const char *const vectors[] = {"xmm", "ymm", "zmm", "st", "mm", "k", "mxcsr"};
	static const char *const numbered[] = {"x", "w"};
	static const char *const others[] = {"pstate", "cpsr", "lr"};
	const char *arm64 =
		"it is a register of arm64, and this machine is an x86-64; write rax, edi, rip "
		"or the like";

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		if (strcmp(segments[i], name) == 0)
			return "the kernel does not save it with a thread's registers; of the "
			       "segment "
			       "registers there are cs, ss, fs_base and gs_base";
	for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++)
		if (name[0] != '\0' && name[1] != '\0' && register_is_numbered(name, numbered[i]))
			return arm64;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i], name) == 0)
			return arm64;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		if (register_is_numbered(name, vectors[i]))
			return "floating-point and vector registers cannot be read by a filter; "
			       "use "
			       "the general registers or memory";
	return NULL;
}
