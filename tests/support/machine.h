/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few things of a machine that tests are about: the registers of a function's first arguments, by
 * their names in specs, and how a signal handler finds what was interrupted.
 */
#ifndef SUPPORT_MACHINE_H
#define SUPPORT_MACHINE_H

#include <ucontext.h>

#include "bpf/machine.h"

#if MACHINE_X86
#define ARG1            "rdi"
#define ARG2            "rsi"
#define ARG3            "rdx"
#define PC              "rip"
#define SP              "rsp"
#define ARG1_AT         "112" /* its byte among the registers that a filter is given */
#define REG_ARG1        BPCOND_REG_RDI
#define EXECUTION_SLOTS 4
#define CONTEXT_PC(c)   ((uintptr_t)(c)->uc_mcontext.gregs[REG_RIP])
#define CONTEXT_ARG1(c) ((uint64_t)(c)->uc_mcontext.gregs[REG_RDI])
#elif MACHINE_ARM64
#define ARG1            "x0"
#define ARG2            "x1"
#define ARG3            "x2"
#define PC              "pc"
#define SP              "sp"
#define ARG1_AT         "0"
#define REG_ARG1        BPCOND_REG_X0
#define EXECUTION_SLOTS 6 /* of the Cortex-A72 that is emulated */
#define CONTEXT_PC(c)   ((uintptr_t)(c)->uc_mcontext.pc)
#define CONTEXT_ARG1(c) ((uint64_t)(c)->uc_mcontext.regs[0])
#endif

#endif
