/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel-side filter writes and a client reads: hit records in a ring, and counters in a
 * mapped page. One header for the BPF program, the daemon and the client, so that the three cannot
 * disagree. The layout never changes within a BPCOND_LAYOUT_VERSION; all numbers are in the
 * machine's byte order.
 */
#ifndef BPCOND_HIT_H
#define BPCOND_HIT_H

#include <linux/types.h>

#define BPCOND_LAYOUT_VERSION 1

/*
 * The general registers of a record, as bit numbers of bpcond_hit.register_mask, by the machine. The
 * values of the set bits follow the header in ascending order of the bit, 8 bytes each.
 */
#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
enum bpcond_register {
	BPCOND_REG_RAX,
	BPCOND_REG_RBX,
	BPCOND_REG_RCX,
	BPCOND_REG_RDX,
	BPCOND_REG_RSI,
	BPCOND_REG_RDI,
	BPCOND_REG_RBP,
	BPCOND_REG_RSP,
	BPCOND_REG_R8,
	BPCOND_REG_R9,
	BPCOND_REG_R10,
	BPCOND_REG_R11,
	BPCOND_REG_R12,
	BPCOND_REG_R13,
	BPCOND_REG_R14,
	BPCOND_REG_R15,
	BPCOND_REG_RIP,
	BPCOND_REG_EFLAGS,
	BPCOND_REG_CS,
	BPCOND_REG_SS,
	BPCOND_REG_ORIG_RAX,
	BPCOND_REG_FS_BASE,
	BPCOND_REG_GS_BASE,
	BPCOND_REG_COUNT,

	/* Second names, which every machine has. */
	BPCOND_REG_SP = BPCOND_REG_RSP,
	BPCOND_REG_PC = BPCOND_REG_RIP,
};
#elif defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
enum bpcond_register {
	BPCOND_REG_X0,       /* X1 to X29 are the numbers between */
	BPCOND_REG_X29 = 29, /* the frame pointer */
	BPCOND_REG_X30,      /* the link register */
	BPCOND_REG_SP,
	BPCOND_REG_PC,
	BPCOND_REG_PSTATE,
	BPCOND_REG_COUNT,
};
#else
#error "bpcond knows the registers of x86-64 and of arm64"
#endif

/* bpcond_hit.flags */
enum bpcond_hit_flag {
	/* The condition could not be computed; the spec's "on-fault" made it a hit. */
	BPCOND_HIT_FAULT = 1 << 0,
	/* The kernel itself made the access on the target's behalf; registers are the user's. */
	BPCOND_HIT_FROM_KERNEL = 1 << 1,
	/* The spec's signal could not be sent: the CPU's one slot for it was busy. */
	BPCOND_HIT_UNSIGNALLED = 1 << 2,
	/* A data breakpoint that reported before the access, as they do on arm64 (on x86-64 after
	 * it): `value` and captured memory are what was there before. Never set of lent filters, which
	 * do not know their borrower's events. */
	BPCOND_HIT_BEFORE_ACCESS = 1 << 3,
};

/*
 * One hit. The header is followed, in this order and with no gaps, by
 *   - one __u64 for each bit of register_mask,
 *   - memory_count pieces: a struct bpcond_memory and its bytes, padded to 8,
 *   - stack_count __u64: the user's return addresses, innermost first; the first is the pc. Where
 *     code without frame pointers ends the chain, the last of them can be zeros, which are no callers.
 * Unused room may follow: for the addresses that were asked for and that there were not.
 */
struct bpcond_hit {
	__u32 size;          /* bytes of the whole record, this header included */
	__u16 version;       /* BPCOND_LAYOUT_VERSION */
	__u16 flags;         /* enum bpcond_hit_flag */
	__u32 breakpoint;    /* the M of /org/bpcond1/session/N/breakpoint/M */
	__u32 cpu;           /* that ran the thread */
	__u32 pid;           /* of the process, in the daemon's pid namespace */
	__u32 tid;           /* of the thread, likewise */
	__u64 sequence;      /* of this breakpoint, from 0; dropped hits have theirs too */
	__u64 time;          /* CLOCK_MONOTONIC, nanoseconds */
	__u64 address;       /* the breakpoint's */
	__u64 register_mask; /* 1 << enum bpcond_register */
	__u16 memory_count;
	__u16 stack_count;
	__u32 reserved; /* 0 */
};

/* Head of one captured piece of memory. */
struct bpcond_memory {
	__u64 at;     /* user address */
	__u32 length; /* bytes asked for; so many, padded to a multiple of 8, follow */
	__u32 read;   /* how many of them could be read; the others are 0 */
};

/*
 * The counts of one CPU. A breakpoint's counters are an array of these, one for each CPU that there
 * can be, and perhaps some that stay 0 (as many as fit the map's value size); the breakpoint's count
 * is the sum over the array. Each slot has one writer, the filter on that CPU, and is exact whenever
 * no filter runs.
 *
 *   evaluated = hits + rejected + withheld
 *   hits = records in the ring + dropped
 *   faults are hits or rejections too
 */
struct bpcond_counters {
	__u64 evaluated;
	__u64 hits;
	__u64 rejected;
	__u64 withheld;
	__u64 faults;
	__u64 dropped;
	__u64 unsignalled;
	__u64 reserved; /* 0; keeps a slot a cache line of its own */
};

#endif
