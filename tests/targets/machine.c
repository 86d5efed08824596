/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread whose every register, memory and stack is known at one place.
 *
 *	registers N	runs `registers_instruction` N times with patterns in all registers
 *	pieces N	runs `pieces_instruction` N times with its argument at "page_end", 16 bytes before a page
 *			that is not there, which follow each other from 0xf0 on
 *	stack N		calls main -> stack_outer -> stack_middle -> stack_inner, which stores to
 *			"stack_sink", N times
 *	read N		lets the kernel write 8 bytes to "buffer" by read(2) N times, each behind the
 *			system call at "read_return"
 *	poke N		stores to "buffer" N times itself
 *
 * Each answers "done N".
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/targets/target.h"
#include "tests/targets/machine_code.h"

#if MACHINE_X86
#include <asm/prctl.h>
#endif

#define GS_BASE 0x123456789000

static volatile uint64_t stack_sink;
static volatile uint64_t buffer;

TARGET_FUNCTION static void stack_inner(long n)
{
	/* it has a frame of its own */
	__asm__ volatile("" ::"r"(__builtin_frame_address(0)));
	stack_sink = (uint64_t)n;
	/* until here */
	__asm__ volatile("" ::"r"(__builtin_frame_address(0)) : "memory");
}

extern char stack_returns_1[], stack_returns_2[];

/* The address behind each call has a name. */
TARGET_FUNCTION static void stack_middle(long n)
{
	CALL_NAMED("stack_returns_1", stack_inner, n);
}

TARGET_FUNCTION static void stack_outer(long n)
{
	CALL_NAMED("stack_returns_2", stack_middle, n);
}

static unsigned char *make_page_end(void)
{
	unsigned char *pages =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		exit(1);
	memset(pages, 0xee, 4096);
	munmap(pages + 4096, 4096);
	for (int i = 0; i < 16; i++)
		pages[4080 + i] = (unsigned char)(0xf0 + i);
	return pages + 4080;
}

static void read_once(int pipe_fds[2])
{
	uint64_t word = 0x0123456789abcdef;

	if (write(pipe_fds[1], &word, sizeof(word)) != sizeof(word) ||
	    read_run(pipe_fds[0], (void *)(uintptr_t)&buffer, sizeof(buffer)) != sizeof(buffer))
		exit(1);
}

int main(void)
{
	unsigned char *page_end = make_page_end();
	unsigned long fs_base = 0;
	int pipe_fds[2];
	char command[64];
	long number;

	if (pipe(pipe_fds) < 0)
		return 1;
#if MACHINE_X86
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE) < 0 ||
	    syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base) < 0)
		return 1;
#endif
	registers_run();
	target_address("registers", registers_instruction);
	target_address("sp", (const void *)(uintptr_t)registers_sp);
	target_address("fs_base", (const void *)fs_base);
	target_address("pieces", pieces_instruction);
	target_address("page_end", page_end);
	target_address("stack_sink", (const void *)(uintptr_t)&stack_sink);
	target_address("returns_1", stack_returns_1);
	target_address("returns_2", stack_returns_2);
	target_address("chain", chain_instruction);
	target_address("buffer", (const void *)(uintptr_t)&buffer);
	target_address("read_return", read_return);
	target_say("ready");
	while (target_command(command, &number)) {
		for (long i = 0; i < number; i++) {
			if (strcmp(command, "registers") == 0)
				registers_run();
			else if (strcmp(command, "pieces") == 0)
				pieces_run(page_end);
			else if (strcmp(command, "stack") == 0)
				stack_outer(i);
			else if (strcmp(command, "chain") == 0)
				chain_run();
			else if (strcmp(command, "read") == 0)
				read_once(pipe_fds);
			else if (strcmp(command, "poke") == 0)
				buffer = (uint64_t)i;
		}
		target_say("done %ld", number);
	}
	return 0;
}
