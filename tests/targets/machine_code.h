/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code of machine.c's places, by the machine:
 *
 *	registers_run	patterns in all registers and the carry flag set at registers_instruction
 *	pieces_run	its argument in its register at pieces_instruction
 *	chain_run	at chain_instruction a frame pointer to two chained frames that return to nothing,
 *			as where a chain ends
 *	read_run	read(2), which returns to read_return
 *	CALL_NAMED	calls a function of one argument, with a name for where it returns to
 */
#ifndef TARGETS_MACHINE_CODE_H
#define TARGETS_MACHINE_CODE_H

#include "bpf/machine.h"

#define PATTERN "0x1122334455667700"

extern char registers_instruction[], pieces_instruction[], chain_instruction[], read_return[];
void registers_run(void);
void pieces_run(const void *at);
void chain_run(void);
long read_run(long fd, void *buffer, long size);

/* The stack pointer at registers_instruction. */
uint64_t registers_sp;

#if MACHINE_X86
__asm__(".text\n"
	"registers_run:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, registers_sp(%rip)\n"
	"	movabs $" PATTERN ", %rax\n"
	"	lea 1(%rax), %rbx\n"
	"	lea 2(%rax), %rcx\n"
	"	lea 3(%rax), %rdx\n"
	"	lea 4(%rax), %rsi\n"
	"	lea 5(%rax), %rdi\n"
	"	lea 6(%rax), %rbp\n"
	"	lea 8(%rax), %r8\n"
	"	lea 9(%rax), %r9\n"
	"	lea 10(%rax), %r10\n"
	"	lea 11(%rax), %r11\n"
	"	lea 12(%rax), %r12\n"
	"	lea 13(%rax), %r13\n"
	"	lea 14(%rax), %r14\n"
	"	lea 15(%rax), %r15\n"
	"	stc\n"
	".globl registers_instruction\n"
	"registers_instruction:\n"
	"	nop\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n"
	"pieces_run:\n"
	".globl pieces_instruction\n"
	"pieces_instruction:\n"
	"	nop\n"
	"	ret\n"
	"chain_run:\n"
	"	push %rbp\n"
	"	push $0\n"
	"	push $0\n"
	"	mov %rsp, %rbp\n"
	"	push $0\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	".globl chain_instruction\n"
	"chain_instruction:\n"
	"	nop\n"
	"	add $32, %rsp\n"
	"	pop %rbp\n"
	"	ret\n"
	"read_run:\n"
	"	xor %eax, %eax\n"
	"	syscall\n"
	".globl read_return\n"
	"read_return:\n"
	"	ret\n");

#define CALL_NAMED(name, function, argument)          \
	__asm__ volatile("call *%1\n"                 \
			 ".globl " name "\n" name ":" \
			 : "+D"(argument)             \
			 : "r"(function)              \
			 : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc")
#elif MACHINE_ARM64
__asm__(".text\n"
	"registers_run:\n"
	"	stp x29, x30, [sp, #-96]!\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	mov x0, sp\n"
	"	adrp x1, registers_sp\n"
	"	str x0, [x1, #:lo12:registers_sp]\n"
	"	ldr x0, =" PATTERN "\n"
	"	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	add x\\n, x0, #\\n\n"
	"	.endr\n"
	"	.irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30\n"
	"	add x\\n, x0, #\\n\n"
	"	.endr\n"
	"	cmp x0, #0\n"
	".globl registers_instruction\n"
	"registers_instruction:\n"
	"	nop\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp x29, x30, [sp], #96\n"
	"	ret\n"
	"	.ltorg\n"
	"pieces_run:\n"
	".globl pieces_instruction\n"
	"pieces_instruction:\n"
	"	nop\n"
	"	ret\n"
	"chain_run:\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	stp xzr, xzr, [sp, #-16]!\n"
	"	mov x29, sp\n"
	"	stp x29, xzr, [sp, #-16]!\n"
	"	mov x29, sp\n"
	".globl chain_instruction\n"
	"chain_instruction:\n"
	"	nop\n"
	"	add sp, sp, #32\n"
	"	ldp x29, x30, [sp], #16\n"
	"	ret\n"
	"read_run:\n"
	"	mov x8, #63\n"
	"	svc #0\n"
	".globl read_return\n"
	"read_return:\n"
	"	ret\n");

#define CALL_NAMED(name, function, argument)                                                      \
	do {                                                                                      \
		register long first __asm__("x0") = (argument);                                   \
                                                                                                  \
		__asm__ volatile("blr %1\n"                                                       \
				 ".globl " name "\n" name ":"                                     \
				 : "+r"(first)                                                    \
				 : "r"(function)                                                  \
				 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",   \
				   "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30", \
				   "memory", "cc");                                               \
	} while (0)
#endif

#endif
