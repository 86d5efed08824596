/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A condition: parsed from its JSON tree, typed, turned into BPF instructions, and evaluated by a
 * reference evaluator that the generated code is held against. Pure: no I/O, no privilege, no
 * libbpf. json-c appears only in condition_json*.c.
 *
 * Values are 64 bits, signed or u64.
 * - A constant is signed unless it is above INT64_MAX, however it is written. Parameters are signed,
 *   registers have gdb's types. The variables value, previous, time, evaluated and counter are u64;
 *   tid, pid and cpu, being narrower, signed. Truth values are signed.
 * - An operation is u64 if any of its operands is, also a shift, `if` (of its two results) and `in`
 *   (of all three).
 *
 * What could not be computed (unreadable memory, division by zero) is a fault of the whole condition,
 * unless short-circuit of `and`, `or` or `if` kept it from being asked for. `registers` is an `and` of
 * equalities in the order written; `in` and `masked` ask for all their operands.
 *
 * A string comparison looks at no byte behind the first difference: memory that differs from the text
 * before it becomes unreadable is different, and only a missing byte that would decide is a fault.
 * bytes-equal wants all its bytes readable.
 */
#ifndef CONDITION_H
#define CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condition/needs.h" /* CONDITION_NEEDS_*, CONDITION_FALSE, _TRUE, _FAULT */

struct bpf_insn;
struct json_object;

enum {
	CONDITION_GLOBAL_CALL = 1,
};

/* The limits within which every condition loads on every supported kernel. */
enum {
	/* A node: each object and each constant; `registers`: 1 + its entries. */
	CONDITION_MAX_NODES = 256,
	CONDITION_MAX_DEPTH = 32,
	CONDITION_MAX_TEXT = 4096, /* bytes of all string and byte operands together */
	/* With its NUL, where that is compared too: longer ones need CONDITION_NEEDS_SCRATCH. */
	CONDITION_SHORT_TEXT = 64,
	/* More of them need CONDITION_NEEDS_SCRATCH too. */
	CONDITION_FEW_TEXTS = 8,
	CONDITION_MAX_PARAMETERS = 64,
	CONDITION_MAX_PARAMETER_NAME = 63,
	/* The generated function's stack, in bytes: the kernel allows 512 over all frames, and the
	 * filter around it needs the rest. */
	CONDITION_MAX_STACK = 320,
};

/* What the condition is for: decides which variables exist. */
typedef enum ConditionUse {
	CONDITION_FOR_EXECUTE, /* no value, previous, counter */
	CONDITION_FOR_DATA,    /* no counter */
	CONDITION_FOR_LENT,    /* no value, previous */
} ConditionUse;

/* Where a condition is parsed. Names must be sorted in byte order and outlive the condition. */
typedef struct ConditionScope {
	ConditionUse use;
	const char *const *parameters;
	size_t n_parameters;
} ConditionScope;

/* A mistake of the caller: where in the JSON it is and what to do about it. */
typedef struct ConditionError {
	char path[256];    /* as $.condition.and[0].reg; ends in ... when it does not fit */
	char message[256]; /* a sentence for a person */
} ConditionError;

typedef struct Condition Condition;

/*
 * Builds a typed condition from its JSON tree. `path` is where the tree stands in the whole
 * document and the stem of error paths. Borrows `tree` during the call.
 *
 * Return: 0 and *ret (free with condition_free); 1 and *error when the tree is not a condition;
 * -ENOMEM.
 */
int condition_from_json(struct json_object *tree, const char *path, const ConditionScope *scope,
			Condition **ret, ConditionError *error);

/* The normal form of the tree as JSON: numbers in their shortest form, one operator an object.
 * Return: 0 and *ret, owned by the caller (json_object_put); -ENOMEM. */
int condition_to_json(const Condition *condition, struct json_object **ret);

/* CONDITION_NEEDS_* of the whole condition. */
uint32_t condition_needs(const Condition *condition);

/* How many nodes it has, as CONDITION_MAX_NODES counts them. */
size_t condition_nodes(const Condition *condition);

/* How many comparisons with a string or with bytes it has. */
size_t condition_texts(const Condition *condition);

/* Return: NULL. Takes NULL. */
Condition *condition_free(Condition *condition);

/*
 * Generates the body of
 *
 *   u64 condition(regs r1, const struct condition_inputs *r2, struct filter_control *r3,
 *                 const u64 *parameters r4, char *scratch r5)
 *
 * which returns CONDITION_FALSE, _TRUE or _FAULT. r1 points to the user's registers (a
 * perf_event context begins with them); r2 into the caller's stack; r3 and r4 to values of maps that
 * can be written; r5 to FILTER_SCRATCH_BYTES of a map value if CONDITION_NEEDS_SCRATCH, else to anything.
 * The code refers to no map and needs no relocation: it can stand anywhere in a program.
 *
 * Of a condition with more than CONDITION_FEW_TEXTS the code ends in a second function, which it
 * calls. To be verified once, that must be loaded as a global function
 *
 *   int (void *room of FILTER_SCRATCH_BYTES, u64, u64, u64)
 *
 * Each call of it has CONDITION_GLOBAL_CALL in its `off`, which the kernel wants to be 0: so whoever
 * loads it knows it anywhere (daemon/bpf_load.h).
 *
 * Return: 0, *ret (free()) and *ret_count; -ENOMEM.
 */
int condition_emit(const Condition *condition, struct bpf_insn **ret, size_t *ret_count);

/*
 * Generates the body of a function of the same convention but for r5, which points to n u64 of the
 * caller's stack: it stores there the value of each expression, and returns a mask of those that
 * faulted (bit i, value 0). For capture: "at". No expression may need CONDITION_NEEDS_SCRATCH, n is
 * at most 8. Texts, few and short ones, are compared in place.
 */
int condition_emit_values(const Condition *const expressions[], size_t n, struct bpf_insn **ret,
			  size_t *ret_count);

/*
 * The reference evaluator's world. `registers` are in the order of enum bpcond_register
 * (include/bpcond/hit.h). read_memory reads exactly `length` user bytes at `address`, or fails
 * without touching `buffer`, with a negative errno.
 */
typedef struct ConditionWorld {
	const uint64_t *registers;
	const uint64_t *parameters;
	uint64_t tid, pid, cpu, time, evaluated, value, previous, counter;
	/* Then value and previous, or counter, are a fault where they are used. */
	bool value_unreadable, counter_unreadable;
	int (*read_memory)(void *userdata, uint64_t address, void *buffer, size_t length);
	void *userdata;
} ConditionWorld;

/* The verdict, CONDITION_FALSE, _TRUE or _FAULT. */
int condition_evaluate(const Condition *condition, const ConditionWorld *world);

/* The expression's value itself. Return: 0 and *ret, or CONDITION_FAULT. */
int condition_evaluate_value(const Condition *condition, const ConditionWorld *world,
			     uint64_t *ret);

#endif
