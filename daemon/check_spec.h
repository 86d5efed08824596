/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CheckSpec: what the daemon would make of a spec, without making it. */
#ifndef CHECK_SPEC_H
#define CHECK_SPEC_H

#include <stddef.h>

#include "daemon/bpf_filter.h"

/*
 * The report is JSON: {"ok": true, "spec": {…}, "instructions": N}, the spec in normal form and the
 * BPF instructions of the whole program; or {"ok": false, "error": {"name": …, "path": …,
 * "offset": N, "message": …}}, where path and offset are there for mistakes in the JSON.
 *
 * Return: 0 and *ret (free()); negative errno.
 */
int check_spec(FilterEngine *engine, const char *text, size_t length, char **ret);

#endif
