/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process holds of the kernel: descriptors, BPF programs and maps. To show that everything
 * that was opened is closed again: the ids of objects are never used twice, so "this object is gone"
 * can be said exactly, whatever else loads BPF programs on the machine meanwhile. Needs root.
 */
#ifndef SUPPORT_OBJECTS_H
#define SUPPORT_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	OBJECTS_MAX = 512,
};

typedef struct Objects {
	uint32_t n_fds;
	uint32_t n_perf_events; /* of these */
	uint32_t n_programs, n_maps;
	uint32_t programs[OBJECTS_MAX]; /* ids, each once */
	uint32_t maps[OBJECTS_MAX];     /* also those that only a held program refers to */
} Objects;

/* Return: 0 and *ret, or negative errno (-ESRCH: no such process). */
int objects_of(pid_t pid, Objects *ret);

/* How many of `objects` the kernel still has that are not in `except` (may be NULL). */
size_t objects_alive(const Objects *objects, const Objects *except);

/* Adds to *objects what `more` has beside it. */
void objects_join(Objects *objects, const Objects *more);

/* The greatest ids that were ever given, so that what is made later can be told by its id. */
typedef struct ObjectMarks {
	uint32_t program, map;
} ObjectMarks;

/* Return: 0 and *ret, or negative errno. */
int objects_mark(ObjectMarks *ret);

/*
 * How many programs and maps the kernel has that were made after the marks and are called as the daemon
 * calls its own, other than those that a process besides `pid` holds (another daemon's or its clients',
 * where several run at a time). What only a mapping or a perf event keeps alive counts. Return: the number,
 * or negative errno.
 */
int objects_left(const ObjectMarks *marks, pid_t pid);

#endif
