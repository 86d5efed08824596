/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers by x86-64's names, and on other machines registers of the same types in their place: what
 * most conditions are about is not which register it is.
 */
#ifndef DIFFERENTIAL_REGISTERS_H
#define DIFFERENTIAL_REGISTERS_H

#include "bpcond/hit.h"
#include "bpf/machine.h"

#if MACHINE_X86
#define RAX    "rax"
#define RBX    "rbx"
#define RCX    "rcx"
#define RDX    "rdx"
#define RSI    "rsi"
#define RDI    "rdi"
#define RSP    "rsp"
#define R8     "r8"
#define R9     "r9"
#define R10    "r10"
#define R11    "r11"
#define R12    "r12"
#define R13    "r13"
#define R14    "r14"
#define R15    "r15"
#define RIP    "rip"
#define EFLAGS "eflags"
#define CS     "cs"
/* two parts of registers */
#define PART_S "edi"
#define PART_H "ah"

enum {
	AT_RAX = BPCOND_REG_RAX,
	AT_RBX = BPCOND_REG_RBX,
	AT_RCX = BPCOND_REG_RCX,
	AT_RSI = BPCOND_REG_RSI,
	AT_RDI = BPCOND_REG_RDI,
	AT_R8 = BPCOND_REG_R8,
	AT_EFLAGS = BPCOND_REG_EFLAGS,
};
#elif MACHINE_ARM64
#define RAX    "x0"
#define RBX    "x1"
#define RCX    "x2"
#define RDX    "x3"
#define RSI    "x4"
#define RDI    "x5"
#define RSP    "sp"
#define R8     "x8"
#define R9     "x9"
#define R10    "x10"
#define R11    "x11"
#define R12    "x12"
#define R13    "x13"
#define R14    "x14"
#define R15    "x15"
#define RIP    "pc"
#define EFLAGS "pstate"
#define CS     "w7"
#define PART_S "w5"
#define PART_H "w30"

enum {
	AT_RAX = BPCOND_REG_X0,
	AT_RBX,
	AT_RCX,
	AT_RSI = BPCOND_REG_X0 + 4,
	AT_RDI,
	AT_R8 = BPCOND_REG_X0 + 8,
	AT_EFLAGS = BPCOND_REG_PSTATE,
};
#endif

#endif
