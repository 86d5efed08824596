/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A breakpoint's spec: the JSON that a client sends, checked in full and turned into a struct. No
 * knowledge of processes, rights or the kernel: what is accepted here may still be refused there.
 */
#ifndef SPEC_H
#define SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "condition/condition.h"
#include "daemon/refusal.h"

enum {
	SPEC_MAX_BYTES = 65536,
	SPEC_MAX_JSON_DEPTH = 100, /* two JSON levels an operator, and the spec around it */
	SPEC_MAX_THREADS = 4096,
	SPEC_MAX_PIECES = 8,
	SPEC_MAX_PIECE_BYTES = 4096,
	SPEC_MAX_MEMORY_BYTES = 16384,
	SPEC_MAX_ADDRESS_NODES = 64, /* of all "at" together; they are compiled beside the condition */
	SPEC_MAX_STACK = 127, /* kernel.perf_event_max_stack's default */
};

typedef enum SpecAccess {
	SPEC_EXECUTE,
	SPEC_WRITE,
	SPEC_READ_WRITE,
} SpecAccess;

typedef struct SpecPiece {
	Condition *at; /* an address expression */
	uint32_t length;
} SpecPiece;

typedef struct Spec {
	uint64_t address; /* a user address */
	SpecAccess access;
	uint32_t length; /* bytes watched; 0 with SPEC_EXECUTE */

	pid_t *threads; /* ascending, no doubles; NULL: all, also those that start later */
	size_t n_threads;

	Condition *condition; /* NULL: always true */
	char **parameters;    /* sorted in byte order: the order of the mapped page */
	uint64_t *parameter_values;
	size_t n_parameters;
	bool fault_is_hit;

	bool has_previous;
	uint64_t previous;

	uint64_t skip, every, limit; /* every >= 1; limit 0: none */

	uint64_t capture_registers; /* 1 << enum bpcond_register */
	SpecPiece pieces[SPEC_MAX_PIECES];
	size_t n_pieces;
	uint32_t capture_stack; /* return addresses at the most; 0: none */

	int signal; /* 0: none */
	bool events;
	bool kernel_accesses;
	bool enabled;

	bool lent;  /* of a lent filter: no place, no threads, no signal */
	char *text; /* the spec in normal form, JSON; NULL of a lent filter */
} Spec;

/*
 * Parses `length` bytes of JSON.
 *
 * Return: 0 and *ret (spec_free); REFUSED_INVALID_SPEC or REFUSED_INVALID_CONDITION with the JSON
 * path and the byte offset in the text of *refusal; -ENOMEM.
 */
int spec_parse(const char *text, size_t length, Spec **ret, Refusal *refusal);

/*
 * The same for a lent filter, whose text is {"condition": …} with any of "parameters", "on-fault",
 * "skip", "every", "limit" and "capture" as in a breakpoint's spec.
 */
int spec_parse_lent(const char *text, size_t length, Spec **ret, Refusal *refusal);

/* The i-th key that a spec can have; NULL behind the last. */
const char *spec_key(size_t i);

/* Return: NULL. Takes NULL and half-built specs. */
Spec *spec_free(Spec *spec);

#endif
