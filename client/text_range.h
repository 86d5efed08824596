/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bounds of what a node of the condition tree can be, so that the text compiler wraps a value to C's
 * int or unsigned only where it could leave it. Pure arithmetic.
 */
#ifndef CLIENT_TEXT_RANGE_H
#define CLIENT_TEXT_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The types of `load` and `as`. Bits 1 and up are the logarithm of the size, bit 0 is the sign. */
typedef enum TreeType {
	TREE_U8,
	TREE_S8,
	TREE_U16,
	TREE_S16,
	TREE_U32,
	TREE_S32,
	TREE_U64,
	TREE_S64,
} TreeType;

/* The operators of the tree, in the order of the table in text_tree.c. */
typedef enum TreeOp {
	TREE_CONSTANT,
	TREE_REGISTER,
	TREE_PARAMETER,
	TREE_VARIABLE,
	TREE_LOAD,
	TREE_AS,
	TREE_ADD,
	TREE_SUBTRACT, /* of one operand: the negation */
	TREE_MULTIPLY,
	TREE_DIVIDE,
	TREE_MODULO,
	TREE_BIT_AND,
	TREE_BIT_OR,
	TREE_BIT_XOR,
	TREE_BIT_NOT,
	TREE_SHIFT_LEFT,
	TREE_SHIFT_RIGHT,
	TREE_EQUAL,
	TREE_NOT_EQUAL,
	TREE_LESS,
	TREE_LESS_EQUAL,
	TREE_GREATER,
	TREE_GREATER_EQUAL,
	TREE_AND,
	TREE_OR,
	TREE_NOT,
	TREE_IF,
	TREE_IN,
	TREE_MASKED,
	TREE_STRING_EQUALS,
	TREE_STRING_STARTS,
	TREE_BYTES_EQUAL,
	TREE_OP_COUNT,
} TreeOp;

/* All values between low and high, both included, as the tree sees them: unsigned if is_u64, else
 * signed 64-bit. */
typedef struct Range {
	__int128 low, high;
	bool is_u64;
} Range;

static inline unsigned tree_type_size(TreeType type)
{
	return 1u << (type >> 1);
}

static inline bool tree_type_is_signed(TreeType type)
{
	return type & 1;
}

Range range_of_type(TreeType type);
Range range_of_constant(uint64_t bits, bool is_u64);

/* What the operator makes of n operands of these ranges; for all operators but the leaves, `load` and
 * `as`. Never too narrow. */
Range range_of_operation(TreeOp op, const Range *operands, size_t n);

/* Whether every value of the one lies in the other, as numbers. */
static inline bool range_within(Range range, Range outer)
{
	return range.low >= outer.low && range.high <= outer.high;
}

/* Whether it does not matter if the tree reads it as signed or as unsigned. */
static inline bool range_sign_free(Range range)
{
	return range.low >= 0 && range.high <= INT64_MAX;
}

#endif
