/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/types.h"

#include <unistd.h>

/* Where programs find the kernel's types at load. A build may name another file: the tests' has a daemon
 * for which there is none. */
#ifndef KERNEL_TYPES_FILE
#define KERNEL_TYPES_FILE "/sys/kernel/btf/vmlinux"
#endif

bool kernel_has_types(void)
{
	return access(KERNEL_TYPES_FILE, R_OK) == 0;
}
