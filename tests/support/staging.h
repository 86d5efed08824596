/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Build products where other users can run them. */
#ifndef SUPPORT_STAGING_H
#define SUPPORT_STAGING_H

#include <stdbool.h>

#include "tests/support/process.h"

/* Whether `who` may execute the file (its directories included). */
bool staging_can_execute(const Identity *who, const char *path);

/* Copies programs, scripts and shared libraries below `from`, with their layout, to `to`, which must
 * not exist yet. Return: 0 or negative errno. */
int staging_copy(const char *from, const char *to);

/* Copies one file to `to`, mode 755, which must not exist yet. Return: 0 or negative errno. */
int staging_copy_file(const char *from, const char *to);

#endif
