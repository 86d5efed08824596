/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel cannot do is refused by name, never left out silently. Pure decisions over what the
 * probe (kernel/features.c) found; whatever else a kernel lacks shows when it is tried.
 */
#ifndef SUPPORTED_H
#define SUPPORTED_H

#include <stdbool.h>

#include "daemon/refusal.h"
#include "daemon/spec.h"
#include "kernel/features.h"

/* Whether the kernel can do what the spec of a breakpoint asks for.
 * Return: 0; REFUSED_NOT_SUPPORTED and *refusal. */
int supported_spec(const Features *features, const Spec *spec, Refusal *refusal);

/*
 * The same for a lent filter, with or without a ring of hits. Without one it is for the signals, the
 * SIGTRAP or the limit of the borrower's own events, of which rejected traps must be kept.
 * Return: as supported_spec.
 */
int supported_lent(const Features *features, bool with_ring, bool only_when_traced,
		   Refusal *refusal);

/* The text for a kernel that refuses perf events altogether (`error`, a negative errno), with the
 * setting, which is read anew. Return: REFUSED_NOT_SUPPORTED. */
int refuse_perf(Refusal *refusal, int error);

#endif
