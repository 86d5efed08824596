/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/*
 * What differs between the machines that we know, as far as filter, compiler and daemon have to agree
 * on it. The registers of each are tables of their own: condition/registers_x86.c and
 * registers_arm64.c, client/machine_x86.c and machine_arm64.c. BPF programs are told their machine
 * by libbpf's __TARGET_ARCH_….
 */
#ifndef BPF_MACHINE_H
#define BPF_MACHINE_H

#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#define MACHINE_X86   1
#define MACHINE_ARM64 0
#define MACHINE_NAME  "x86-64"

/* Words of bpf_user_pt_regs_t. */
#define MACHINE_REGISTER_WORDS 21

/* TASK_SIZE_MAX with four-level paging: the kernel refuses a breakpoint at or above it. Memory
 * beyond, which five levels of paging give to a process that asks for it, cannot be watched. */
#define MACHINE_USER_END 0x7ffffffff000ULL

/* perf_event_attr.bp_len of an execution breakpoint: what the kernel wants, not a length. */
#define MACHINE_EXECUTE_LENGTH   8
#define MACHINE_INSTRUCTION_SIZE 1 /* the least, and so their alignment */

#elif defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define MACHINE_X86   0
#define MACHINE_ARM64 1
#define MACHINE_NAME  "arm64"

#define MACHINE_REGISTER_WORDS 34

/* The size of a user's address space of 48 bits. The larger one of 52 bits is for a process that asks
 * for it. Pointers with a tag in their top byte are above: debug registers do not compare it. */
#define MACHINE_USER_END       0x1000000000000ULL

#define MACHINE_EXECUTE_LENGTH   4
#define MACHINE_INSTRUCTION_SIZE 4

#else
#error "bpcond knows the registers of x86-64 and of arm64"
#endif

#endif
