/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/* The records of the iterators over maps and programs, shared by bpf/alive.bpf.c and the daemon. */
#ifndef BPF_ALIVE_H
#define BPF_ALIVE_H

#include <linux/types.h>

struct alive_map {
	__u32 id;
	__u32 held; /* by a descriptor or a mapping, beside the programs that use it */
};

struct alive_program {
	__u32 id;
};

#endif
