/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/*
 * What the filter program, the daemon and the condition compiler share and no client sees: the
 * constants a filter is built with, the words the daemon steers it by, and what the filter hands to
 * the generated condition. Included from BPF C and from C.
 */
#ifndef BPF_FILTER_H
#define BPF_FILTER_H

#include <linux/bpf.h>
#include <linux/types.h>

#include "bpf/machine.h"

enum {
	/* CONDITION_MAX_TEXT bytes twice, or once and room to bound a read */
	FILTER_SCRATCH_BYTES = 8320,
	FILTER_MAX_PIECES = 8,
	FILTER_MAX_STACK = 127,
	FILTER_REGISTERS = MACHINE_REGISTER_WORDS,
};

/* Marks the places of generated code: an immediate with the place's number added. */
#define FILTER_PLACE 0x67656e6572617465ULL

enum filter_place {
	FILTER_CONDITION,
	FILTER_ADDRESSES,
	FILTER_PLACES,
};

/* filter_control.state. Zero, what an empty map holds, is the safe one. */
enum filter_state {
	FILTER_REVOKED = 0,  /* nothing is evaluated or counted any more, for good */
	FILTER_DISABLED = 1, /* evaluated and counted, but nothing is a hit */
	FILTER_ENABLED = 2,
};

/*
 * One page that only the daemon and the filter can write: the daemon maps it and stores (a bpf()
 * call would make the kernel skip filters on that CPU), and never passes its descriptor on.
 */
struct filter_control {
	__u64 state; /* enum filter_state */
	/* Always 0, which the verifier cannot know: the compiler XORs it into values that would
	 * otherwise make the verifier follow every combination of branches. */
	__u64 zero;
	__u64 evaluated;      /* evaluations begun, where the condition asks for their number */
	__u64 accepted;       /* times the condition was true, for skip and every */
	__u64 reported;       /* those that skip and every let through, for limit */
	__u64 sequence;       /* of the next hit */
	__u64 previous;       /* what the watched memory held at the last evaluation */
	__u64 previous_known; /* 0 until the first readable evaluation, unless the spec said it */
	/* The daemon's alone, and here so that they outlive it: its records that were taken out of the ring
	 * by the daemon; those that reached somebody, and the others. */
	__u64 delivered, undelivered;
};

/*
 * What one filter is built with: the program's read-only data, frozen before the program is loaded,
 * so that the verifier knows every member and drops the code that this filter does not need.
 */
struct filter_config {
	__u32 breakpoint;       /* number in its session */
	__u32 cpu_mask;         /* slots of the counters map, a power of two, less one */
	__u64 address;          /* the breakpoint's */
	__u32 value_length;     /* bytes of `value` to read at address; 0: value is not needed */
	__u32 before_access;    /* a data breakpoint that traps before the access */
	__u32 needs;            /* CONDITION_NEEDS_* (condition/condition.h) */
	__u32 copies_registers; /* for the condition; see filter_body.h */
	__u32 fault_is_hit;
	__u32 signal; /* to the thread that hit; 0: none */
	__u64 skip;
	__u64 every;
	__u64 limit;     /* 0: none */
	__u64 registers; /* captured: 1 << enum bpcond_register */
	__u32 stack;     /* captured return addresses at the most */
	__u32 pieces;    /* captured memory pieces */
	__u32 piece_bytes[FILTER_MAX_PIECES];
	__u32 record_bytes;     /* of a hit record, all of the above included; 0: no ring */
	__u32 only_when_traced; /* lent: nothing is a hit while no debugger traces the thread */
	__u32 borrower_uid;     /* lent: whose tasks alone are looked at */
	__u32 borrower_gid;     /* lent: and of which group */
	__u32 borrower_userns;  /* lent: inode number of the user namespace they are in */
	__u64 borrower_caps;    /* lent: what they may hold at the most, 1 << CAP_… */
	__u64 borrower_start; /* lent, under Yama: when his process started, which marks it; else 0 */
	__u64 pidns_dev;        /* the daemon's pid namespace; both 0: the initial one */
	__u64 pidns_ino;
};

/* What the filter computes for the generated condition; only the members that condition_needs() names
 * are filled in. */
struct condition_inputs {
	__u64 tid;
	__u64 pid;
	__u64 cpu;
	__u64 time;
	__u64 evaluated;
	__u64 value;
	__u64 previous;
	__u64 counter;
	__u64 fs_base;
	__u64 gs_base;
	__u64 unreadable;          /* INPUT_*_UNREADABLE */
	struct bpf_pidns_info ids; /* on the way to tid and pid */
};

/* The room that a filter has on its CPU, where it needs any. */
struct filter_scratch {
	struct condition_inputs inputs;
	__u64 registers[FILTER_REGISTERS];
	__u64 addresses[FILTER_MAX_PIECES]; /* of the memory to capture */
	char text[FILTER_SCRATCH_BYTES];    /* of strings and bytes */
};

enum {
	INPUT_VALUE_UNREADABLE = 1 << 0, /* value and previous fault where they are used */
	INPUT_COUNTER_UNREADABLE = 1 << 1,
};

#endif
