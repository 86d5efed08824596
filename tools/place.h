/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The place that a LOCATION came to: said before the breakpoint is armed, and its value at hits. */
#ifndef TOOLS_PLACE_H
#define TOOLS_PLACE_H

#include "tools/options.h"

/*
 * Says on stderr where a spec's breakpoint will be, as "at 0x55d0c0de4010 work+0xc (thr), thr.c:8", of a
 * variable that is watched in part with ", 8 of 32 bytes", and warns
 * of an address where nothing can hit it as the process is mapped now.
 */
void place_announce(pid_t pid, const Options *options, const char *spec);

/* Of a spec that the daemon has found wrong: if a watchpoint is not aligned to its length, says so in the
 * words of our options. Return: whether it did. */
bool place_complain_unaligned(const char *spec);

/*
 * Makes the watched memory the first piece that a spec captures, if there is room for another.
 *
 * Return: whether it is; then *spec is freed and replaced.
 */
bool place_add_value(const Options *options, char **spec);

#endif
