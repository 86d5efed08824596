/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm64. Names and types are what gdb 13 prints for `ptype $NAME` on aarch64: x0 to x30 are long, w0
 * to w30, their lower halves, uint32_t, sp and pc are pointers and cpsr a set of flags, which compare
 * as unsigned. pstate is the architecture's name for what gdb calls cpsr; fp, lr, ip0, ip1 and ps are
 * gdb's own second names.
 *
 * This is what the kernel saves of a user thread in struct user_pt_regs. The thread pointer is not
 * there: of a running thread only the processor has it.
 */
#include <stddef.h>
#include <string.h>

#include <asm/ptrace.h>

#include "bpcond/hit.h"
#include "bpf/machine.h"
#include "condition/registers.h"

#define WHOLE(name, reg, is_unsigned)                                        \
	{                                                                    \
		name, reg, is_unsigned ? TYPE_U64 : TYPE_S64, 0, is_unsigned \
	}
#define NUMBERED(number)                                                  \
	WHOLE("x" #number, BPCOND_REG_X0 + (number), false),              \
	{                                                                 \
		"w" #number, BPCOND_REG_X0 + (number), TYPE_U32, 0, false \
	}

const Register machine_registers[] = {
	NUMBERED(0),
	NUMBERED(1),
	NUMBERED(2),
	NUMBERED(3),
	NUMBERED(4),
	NUMBERED(5),
	NUMBERED(6),
	NUMBERED(7),
	NUMBERED(8),
	NUMBERED(9),
	NUMBERED(10),
	NUMBERED(11),
	NUMBERED(12),
	NUMBERED(13),
	NUMBERED(14),
	NUMBERED(15),
	NUMBERED(16),
	WHOLE("ip0", BPCOND_REG_X0 + 16, false),
	NUMBERED(17),
	WHOLE("ip1", BPCOND_REG_X0 + 17, false),
	NUMBERED(18),
	NUMBERED(19),
	NUMBERED(20),
	NUMBERED(21),
	NUMBERED(22),
	NUMBERED(23),
	NUMBERED(24),
	NUMBERED(25),
	NUMBERED(26),
	NUMBERED(27),
	NUMBERED(28),
	NUMBERED(29),
	WHOLE("fp", BPCOND_REG_X29, false),
	NUMBERED(30),
	WHOLE("lr", BPCOND_REG_X30, false),
	WHOLE("sp", BPCOND_REG_SP, true),
	WHOLE("pc", BPCOND_REG_PC, true),
	WHOLE("pstate", BPCOND_REG_PSTATE, true),
	WHOLE("cpsr", BPCOND_REG_PSTATE, true),
	WHOLE("ps", BPCOND_REG_PSTATE, true),
};

const size_t n_machine_registers = sizeof(machine_registers) / sizeof(machine_registers[0]);

const char register_hint[] = "use gdb's names, such as x0, w1, fp, lr, sp, pc or pstate";

_Static_assert(sizeof(struct user_pt_regs) == MACHINE_REGISTER_WORDS * sizeof(__u64),
	       "what a filter copies is the registers of a context");
_Static_assert(offsetof(struct user_pt_regs, sp) == BPCOND_REG_SP * sizeof(__u64) &&
		       offsetof(struct user_pt_regs, pc) == BPCOND_REG_PC * sizeof(__u64) &&
		       offsetof(struct user_pt_regs, pstate) == BPCOND_REG_PSTATE * sizeof(__u64),
	       "the registers are numbered as they lie");

unsigned int register_offset(unsigned int whole)
{
	return whole * sizeof(__u64);
}

uint64_t register_inputs(void)
{
	return 0;
}

const char *register_why_not(const char *name)
{
	static const char *const vectors[] = {"v", "q", "d", "s", "h", "b", "z", "p"};
	static const char *const x86[] = {"rax",     "rbx",     "rcx",      "rdx", "rsi", "rdi",
					  "rbp",     "rsp",     "rip",      "eax", "ebx", "ecx",
					  "edx",     "esi",     "edi",      "ebp", "esp", "eflags",
					  "fs_base", "gs_base", "orig_rax", "r"};

	if (strcmp(name, "xzr") == 0 || strcmp(name, "wzr") == 0)
		return "it is always zero; write 0";
	if (strncmp(name, "tpidr", strlen("tpidr")) == 0)
		return "the kernel does not save it with a thread's registers";
	for (size_t i = 0; i < sizeof(x86) / sizeof(x86[0]); i++)
		if (register_is_numbered(name, x86[i]))
			return "it is a register of x86-64, and this machine is an arm64; write "
			       "x0, "
			       "w1, pc or the like";
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		if (name[0] != '\0' && name[1] != '\0' && register_is_numbered(name, vectors[i]))
			return "floating-point and vector registers cannot be read by a filter; "
			       "use the general registers or memory";
	return NULL;
}
