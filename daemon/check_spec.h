/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CheckSpec: what the daemon would make of a spec, without making it. */
#ifndef CHECK_SPEC_H
#define CHECK_SPEC_H

#include <stddef.h>

#include "daemon/bpf_filter.h"

/*
 * The report is JSON: {"ok": true, "spec": {…}, "instructions": N, "code": [TEXT, …]}: the spec in normal
 * form, the number of BPF instructions of the whole program, and those of the condition, a line each as
 * the kernel writes them, "12: (79) r1 = *(u64 *)(r6 +112)", none without a condition; or {"ok": false,
 * "error": {"name": …, "path": …, "offset": N, "message": …}}, where path and offset are there for
 * mistakes in the JSON.
 *
 * Return: 0 and *ret (free()); negative errno.
 */
int check_spec(FilterEngine *engine, const char *text, size_t length, char **ret);

#endif
