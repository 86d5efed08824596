/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the running kernel says what its types look like (BTF). Everything that depends on it asks here,
 * so that the parts of a daemon cannot take different views of one kernel.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stdbool.h>

bool kernel_has_types(void);

#endif
