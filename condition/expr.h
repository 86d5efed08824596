/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the tree that was written and the instructions: the same tree in the machine's terms.
 * Signedness is decided and is part of the operation, sub-registers and types are extractions,
 * operators on many operands are chains of two, constants are folded, and each expression carries a
 * number that is equal for equal expressions.
 *
 * An expression that always faults is EXPR_FAULT: strict operations on it are, too.
 */
#ifndef CONDITION_EXPR_H
#define CONDITION_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condition/node.h"
#include "condition/value_type.h"

typedef enum ExprOp {
	EXPR_CONSTANT,
	EXPR_FAULT,
	EXPR_REGISTER,  /* index: enum bpcond_register, but those of register_inputs() */
	EXPR_PARAMETER, /* index */
	EXPR_INPUT,     /* index: byte offset in struct condition_inputs */
	EXPR_LOAD,      /* type: an unsigned one */
	EXPR_EXTEND,    /* type: the low bits, as that type */
	EXPR_NEGATE,
	EXPR_ADD,
	EXPR_SUB,
	EXPR_MUL,
	EXPR_UDIV,
	EXPR_SDIV,
	EXPR_UMOD,
	EXPR_SMOD,
	EXPR_AND,
	EXPR_OR,
	EXPR_XOR,
	EXPR_SHL, /* counts of shifts are cut to 6 bits */
	EXPR_SHR,
	EXPR_SAR,
	EXPR_EQ,
	EXPR_NE,
	EXPR_ULT,
	EXPR_ULE,
	EXPR_SLT,
	EXPR_SLE,
	EXPR_UWITHIN, /* operands: x, low, high; all are evaluated */
	EXPR_SWITHIN,
	EXPR_BOTH,   /* short-circuit and */
	EXPR_EITHER, /* short-circuit or */
	EXPR_NOT,    /* of a truth value */
	EXPR_IF,
	EXPR_AFTER,  /* evaluate the first operand for its faults, then the second */
	EXPR_STRING, /* text: nothing behind the first difference matters */
	EXPR_BYTES,  /* text: all of it must be readable */
} ExprOp;

typedef struct Expr Expr;
struct Expr {
	ExprOp op;
	ValueType type;
	uint64_t constant;
	unsigned int index;
	const unsigned char *text; /* the node's */
	size_t n_text;
	Expr *operands[3];
	unsigned int n_operands;

	unsigned int number; /* equal for equal expressions; below Lowered.n_numbers */
	unsigned int cost;   /* about how many instructions it is */
	unsigned int need;   /* values held at once while it is computed in the better order */
	bool may_fault;
	bool calls; /* needs a helper call */

	Expr *next_made;   /* in the order of making, for freeing */
	Expr *next_bucket; /* in the table of numbers */
};

/* Makes expressions and owns them all, also those that folding left unused. */
typedef struct Exprs {
	Expr *made;
	Expr *buckets[256];
	unsigned int n_numbers;
	bool out_of_memory;
} Exprs;

void exprs_clear(Exprs *exprs);

/*
 * The tree of a node. Constants are folded, and what cannot change the result is left out; nothing
 * that can fault is. Borrows the node's text. Return: NULL: out of memory.
 */
Expr *expr_from_node(Exprs *exprs, const Node *node);

/*
 * Constructors, which fold. They take NULL operands for memory that ran out, and then return NULL.
 * An operand becomes part of the result and of nothing else.
 */
Expr *expr_constant(Exprs *exprs, uint64_t constant);
Expr *expr_fault(Exprs *exprs);
Expr *expr_leaf(Exprs *exprs, ExprOp op, unsigned int index, bool may_fault);
Expr *expr_load(Exprs *exprs, ValueType type, Expr *address);
Expr *expr_text(Exprs *exprs, ExprOp op, Expr *address, const unsigned char *text, size_t n_text);
Expr *expr_extend(Exprs *exprs, ValueType type, Expr *operand);
Expr *expr_negate(Exprs *exprs, Expr *operand);
Expr *expr_binary(Exprs *exprs, ExprOp op, Expr *a, Expr *b);
Expr *expr_within(Exprs *exprs, bool is_unsigned, Expr *x, Expr *low, Expr *high);
Expr *expr_both(Exprs *exprs, Expr *a, Expr *b);
Expr *expr_either(Exprs *exprs, Expr *a, Expr *b);
Expr *expr_not(Exprs *exprs, Expr *operand);
Expr *expr_if(Exprs *exprs, Expr *condition, Expr *a, Expr *b);

/* Whether it can only be 0 or 1. */
bool expr_is_truth(const Expr *expr);

#endif
