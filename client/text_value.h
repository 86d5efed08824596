/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C's arithmetic on the tree's: a value is a node and its C type, and the functions here are C's
 * operators. They fold constants, insert `as` where C computes in fewer bits than the tree, and keep
 * signed and unsigned apart.
 *
 * The node of a value of n bits equals C's value in its lower n bits; the others are put right
 * (value_settled) only where an operator looks at them. So `$edi + 1 + 1` is one sum, wrapped once.
 *
 * Failure is the arena's: a value with a NULL node has failed, and operators pass it on.
 */
#ifndef CLIENT_TEXT_VALUE_H
#define CLIENT_TEXT_VALUE_H

#include "client/text_tree.h"
#include "client/text_types.h"

typedef struct Value {
	TreeNode *node;
	CType type;
	TreeNode *address; /* where it lies in memory, if it does */
	bool is_array; /* an array that has become a pointer, or a function: cannot be assigned, measured */
} Value;

Value value_constant(TreeArena *arena, uint64_t bits, CType type);
static inline Value value_of(TreeNode *node, CType type)
{
	return (Value){.node = node, .type = type};
}

/* Its node with the upper bits as the C type has them. */
TreeNode *value_settled(TreeArena *arena, Value value);

/* As if assigned to a variable of the type. */
Value value_converted(TreeArena *arena, Value value, CType type);

/* `op` is one of TREE_ADD to TREE_OR that take two operands; `at` is where it stands. */
Value value_binary(TreeArena *arena, TreeOp op, Value left, Value right, TextPosition at);
/* TREE_SUBTRACT, TREE_BIT_NOT, TREE_NOT, and TREE_ADD for the unary plus. */
Value value_unary(TreeArena *arena, TreeOp op, Value operand, TextPosition at);
Value value_conditional(TreeArena *arena, Value condition, Value yes, Value no, TextPosition at);

/* *operand, &operand. */
Value value_at(TreeArena *arena, Value pointer, TextPosition at);
Value value_address(TreeArena *arena, Value operand, TextPosition at);

/* TREE_IN and TREE_MASKED, of three operands compared as C compares. */
Value value_of_three(TreeArena *arena, TreeOp op, const Value operands[3], TextPosition at);

#endif
