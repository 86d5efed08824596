/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C's operators (C11 6.5, as gcc has them on x86-64 with -fwrapv) over nodes of the condition tree,
 * which compute in 64 bits: unsigned if either operand is u64, else signed.
 *
 * Two things can go wrong between the two, and each has its one place here. Width: a node may hold more
 * than its C type; value_settled puts that right. Sign: two long operands may be u64 nodes, or two
 * unsigned long ones signed nodes; agree_on_sign puts that right, for operators for which it matters.
 */
#include <string.h>

#include "client/text_value.h"

static const Value FAILED;

/* A constant's node is in the form that its C type says: this is what agree_on_sign relies on. */
Value value_constant(TreeArena *arena, uint64_t bits, CType type)
{
	bits = c_cut(bits, type);
	return value_of(tree_constant(arena, bits, !c_is_signed(type)), type);
}

static bool is_constant(Value value)
{
	return value.node->op == TREE_CONSTANT;
}

/* The type's values; of a type of 64 bits all that a node can hold. */
static Range c_range(CType type)
{
	if (type.is_bool && !c_is_pointer(type))
		return (Range){0, 1, false};
	if (c_size(type) == 8)
		return (Range){INT64_MIN, UINT64_MAX, false};
	return range_of_type(c_tree_type(type));
}

TreeNode *value_settled(TreeArena *arena, Value value)
{
	TreeNode *node = value.node;
	Range range = c_range(value.type);

	if (!node || range_within(node->range, range))
		return node;
	if (value.type.is_bool)
		return tree_operation(arena, TREE_NOT_EQUAL, 2,
				      (TreeNode *const[]){node, tree_constant(arena, 0, false)});
	/* Bits that the type cuts off anyway need not be put right before. */
	while (node->op == TREE_AS && tree_type_size(node->type) >= c_size(value.type)) {
		node = node->operands[0];
		if (range_within(node->range, range))
			return node;
	}
	return tree_as(arena, c_tree_type(value.type), node);
}

Value value_converted(TreeArena *arena, Value value, CType type)
{
	if (!value.node)
		return FAILED;
	if (is_constant(value))
		return value_constant(arena, value.node->bits, type);
	if (type.is_bool && !c_is_pointer(type)) {
		TreeNode *node = value_settled(arena, value);

		if (node && !range_within(node->range, (Range){0, 1, false}))
			node = tree_operation(
				arena, TREE_NOT_EQUAL, 2,
				(TreeNode *const[]){node, tree_constant(arena, 0, false)});
		return value_of(node, type);
	}
	if (c_size(type) > c_size(value.type) || value.type.is_bool)
		return value_of(value_settled(arena, value), type);
	return value_of(value.node, type);
}

/*
 * Makes the tree read n operands, settled and of one C type, as signed or unsigned as C does. Where no
 * operand can be negative or above INT64_MAX both are the same.
 */
static void agree_on_sign(TreeArena *arena, TreeNode *nodes[], size_t n, bool is_signed)
{
	bool free = true, any_u64 = false;

	for (size_t i = 0; i < n; i++) {
		if (!nodes[i])
			return;
		free = free && range_sign_free(nodes[i]->range);
		any_u64 = any_u64 || nodes[i]->range.is_u64;
	}
	if (free)
		return;
	if (is_signed) {
		for (size_t i = 0; i < n; i++)
			if (nodes[i]->range.is_u64)
				nodes[i] = tree_as(arena, TREE_S64, nodes[i]);
		return;
	}
	for (size_t i = 0; i < n && !any_u64; i++) {
		if (nodes[i]->op != TREE_CONSTANT) {
			nodes[i] = tree_as(arena, TREE_U64, nodes[i]);
			any_u64 = true;
		}
	}
}

static bool is_comparison(TreeOp op)
{
	return op >= TREE_EQUAL && op <= TREE_GREATER_EQUAL;
}

static bool compare(TreeOp op, uint64_t a, uint64_t b, bool is_signed)
{
	int64_t x = (int64_t)a, y = (int64_t)b;
	bool less = is_signed ? x < y : a < b;

	switch (op) {
	case TREE_EQUAL:
		return a == b;
	case TREE_NOT_EQUAL:
		return a != b;
	case TREE_LESS:
		return less;
	case TREE_LESS_EQUAL:
		return less || a == b;
	case TREE_GREATER:
		return !less && a != b;
	default:
		return !less;
	}
}

/* Computes with two constants of one type. Return: false for what is left to the evaluation: a
 * division that faults, and one that overflows. */
static bool fold(TreeOp op, uint64_t a, uint64_t b, CType type, uint64_t *ret)
{
	int64_t x = (int64_t)a, y = (int64_t)b;
	bool is_signed = c_is_signed(type);

	switch (op) {
	case TREE_ADD:
		*ret = a + b;
		return true;
	case TREE_SUBTRACT:
		*ret = a - b;
		return true;
	case TREE_MULTIPLY:
		*ret = a * b;
		return true;
	case TREE_BIT_AND:
		*ret = a & b;
		return true;
	case TREE_BIT_OR:
		*ret = a | b;
		return true;
	case TREE_BIT_XOR:
		*ret = a ^ b;
		return true;
	case TREE_DIVIDE:
	case TREE_MODULO:
		if (b == 0 || (is_signed && y == -1))
			return false;
		if (op == TREE_DIVIDE)
			*ret = is_signed ? (uint64_t)(x / y) : a / b;
		else
			*ret = is_signed ? (uint64_t)(x % y) : a % b;
		return true;
	default:
		return false;
	}
}

/* + - * / % & | ^ of two operands that are no pointers, or whose address is meant. */
static Value arithmetic(TreeArena *arena, TreeOp op, Value left, Value right)
{
	CType type = c_common(left.type, right.type);
	TreeNode *nodes[2];
	uint64_t folded;

	left = value_converted(arena, left, type);
	right = value_converted(arena, right, type);
	if (!left.node || !right.node)
		return FAILED;
	if (is_constant(left) && is_constant(right) &&
	    fold(op, left.node->bits, right.node->bits, type, &folded))
		return value_constant(arena, folded, type);
	if (op != TREE_DIVIDE && op != TREE_MODULO)
		return value_of(tree_binary(arena, op, left.node, right.node), type);
	nodes[0] = value_settled(arena, left);
	nodes[1] = value_settled(arena, right);
	agree_on_sign(arena, nodes, 2, c_is_signed(type));
	return value_of(tree_binary(arena, op, nodes[0], nodes[1]), type);
}

/* C steps by the size of what a pointer points to. A guess would read from the wrong place and say
 * nothing. Return: 0, with the mistake recorded, when nobody knows it. */
static uint64_t step_of(TreeArena *arena, CType pointer, TextPosition at)
{
	unsigned step = c_step(pointer);

	if (step == 0)
		tree_fail(arena, at,
			  "the size of what this pointer points to, by which C would step, is not "
			  "known: count bytes, as *(int *)((char *)&head + 8)");
	return step;
}

static Value pointer_and_integer(TreeArena *arena, TreeOp op, Value pointer, Value integer,
				 bool pointer_first, TextPosition at)
{
	uint64_t step = step_of(arena, pointer.type, at);
	CType index_type = c_common(integer.type, C_LONG);
	Value offset;

	if (step == 0)
		return FAILED;
	offset = value_converted(arena, integer, index_type);
	if (step > 1)
		offset = arithmetic(arena, TREE_MULTIPLY, offset,
				    value_constant(arena, step, C_LONG));
	if (!offset.node || !pointer.node)
		return FAILED;
	if (is_constant(pointer) && is_constant(offset)) {
		uint64_t bits = offset.node->bits;

		bits = pointer.node->bits + (op == TREE_ADD ? bits : -bits);
		return value_constant(arena, bits, pointer.type);
	}
	return value_of(pointer_first ? tree_binary(arena, op, pointer.node, offset.node)
				      : tree_binary(arena, op, offset.node, pointer.node),
			pointer.type);
}

static Value pointer_difference(TreeArena *arena, Value left, Value right, TextPosition at)
{
	uint64_t step = step_of(arena, left.type, at), other = step_of(arena, right.type, at);
	Value difference;

	if (step == 0 || other == 0)
		return FAILED;
	if (step != other) {
		tree_fail(arena, at,
			  "these pointers point to things of different sizes: cast both to one "
			  "type, as "
			  "(char *)A - (char *)B");
		return FAILED;
	}
	difference = arithmetic(arena, TREE_SUBTRACT, left, right);
	difference = value_converted(arena, difference, C_LONG);
	if (step > 1)
		difference = arithmetic(arena, TREE_DIVIDE, difference,
					value_constant(arena, step, C_LONG));
	return difference;
}

static Value comparison(TreeArena *arena, TreeOp op, Value left, Value right)
{
	CType type = c_common(left.type, right.type);
	bool is_signed = c_is_signed(type);
	TreeNode *nodes[2];

	left = value_converted(arena, left, type);
	right = value_converted(arena, right, type);
	if (!left.node || !right.node)
		return FAILED;
	if (is_constant(left) && is_constant(right))
		return value_constant(
			arena, compare(op, left.node->bits, right.node->bits, is_signed), C_INT);
	nodes[0] = value_settled(arena, left);
	nodes[1] = value_settled(arena, right);
	if (op != TREE_EQUAL && op != TREE_NOT_EQUAL)
		agree_on_sign(arena, nodes, 2, is_signed);
	return value_of(tree_operation(arena, op, 2, nodes), C_INT);
}

static Value shift(TreeArena *arena, TreeOp op, Value left, Value count, TextPosition at)
{
	CType type = c_is_pointer(left.type) ? C_ULONG : c_promoted(left.type);
	unsigned width = 8 * c_size(type);
	TreeNode *nodes[2];

	left = value_converted(arena, left, type);
	count = value_converted(arena, count,
				c_is_pointer(count.type) ? C_ULONG : c_promoted(count.type));
	if (!left.node || !count.node)
		return FAILED;
	/* Of 64 bits the tree takes the count modulo 64; of fewer C leaves it open, and what was meant
	 * is most likely a wider type. */
	if (is_constant(count) && width < 64 && count.node->bits >= width) {
		char name[48];

		c_type_name(type, name, sizeof(name));
		tree_fail(
			arena, at,
			"the count of this shift is not one of 0 to %u, the bits of the %s that it "
			"shifts: cast that to long to shift 64 bits",
			width - 1, name);
		return FAILED;
	}
	if (is_constant(left) && is_constant(count)) {
		unsigned by = count.node->bits & 63;
		uint64_t bits = left.node->bits;

		if (op == TREE_SHIFT_LEFT)
			bits <<= by;
		else
			bits = c_is_signed(type) ? (uint64_t)((int64_t)bits >> by) : bits >> by;
		return value_constant(arena, bits, type);
	}
	nodes[0] = op == TREE_SHIFT_LEFT ? left.node : value_settled(arena, left);
	nodes[1] = value_settled(arena, count);
	if (!nodes[0] || !nodes[1])
		return FAILED;
	if (op == TREE_SHIFT_RIGHT)
		agree_on_sign(arena, nodes, 1, c_is_signed(type));
	/* The sign of the count is not that of the shift; in the tree it would be. */
	if (nodes[0] && nodes[1]->range.is_u64 && !nodes[0]->range.is_u64)
		nodes[1] = nodes[1]->op == TREE_CONSTANT
				   ? tree_constant(arena, nodes[1]->bits, false)
				   : tree_as(arena, TREE_S64, nodes[1]);
	return value_of(tree_binary(arena, op, nodes[0], nodes[1]), type);
}

static Value logical(TreeArena *arena, TreeOp op, Value left, Value right)
{
	TreeNode *a = value_settled(arena, left), *b = value_settled(arena, right);

	if (!a || !b)
		return FAILED;
	if (is_constant(left)) {
		bool is_true = left.node->bits != 0;

		if (is_true == (op == TREE_OR))
			return value_constant(arena, is_true, C_INT);
		if (is_constant(right))
			return value_constant(arena, right.node->bits != 0, C_INT);
	}
	return value_of(tree_binary(arena, op, a, b), C_INT);
}

Value value_binary(TreeArena *arena, TreeOp op, Value left, Value right, TextPosition at)
{
	bool left_points, right_points;

	if (!left.node || !right.node)
		return FAILED;
	left_points = c_is_pointer(left.type);
	right_points = c_is_pointer(right.type);
	if (op == TREE_AND || op == TREE_OR)
		return logical(arena, op, left, right);
	if (is_comparison(op))
		return comparison(arena, op, left, right);
	if (op == TREE_SHIFT_LEFT || op == TREE_SHIFT_RIGHT)
		return shift(arena, op, left, right, at);
	if (op == TREE_ADD && left_points && right_points) {
		tree_fail(arena, at, "two pointers cannot be added: cast one to long");
		return FAILED;
	}
	if (op == TREE_SUBTRACT && left_points && right_points)
		return pointer_difference(arena, left, right, at);
	if ((op == TREE_ADD || op == TREE_SUBTRACT) && left_points)
		return pointer_and_integer(arena, op, left, right, true, at);
	if (op == TREE_ADD && right_points)
		return pointer_and_integer(arena, op, right, left, false, at);
	if (op == TREE_SUBTRACT && right_points) {
		tree_fail(arena, at,
			  "a pointer cannot be subtracted from a number: cast it to long");
		return FAILED;
	}
	return arithmetic(arena, op, left, right);
}

Value value_unary(TreeArena *arena, TreeOp op, Value operand, TextPosition at)
{
	CType type;
	uint64_t bits;

	if (!operand.node)
		return FAILED;
	if (op == TREE_NOT) {
		TreeNode *node = value_settled(arena, operand);

		if (is_constant(operand))
			return value_constant(arena, operand.node->bits == 0, C_INT);
		return value_of(tree_unary(arena, TREE_NOT, node), C_INT);
	}
	type = c_is_pointer(operand.type) ? C_ULONG : c_promoted(operand.type);
	operand = value_converted(arena, operand, type);
	if (!operand.node || op == TREE_ADD)
		return operand;
	if (is_constant(operand)) {
		bits = operand.node->bits;
		return value_constant(arena, op == TREE_SUBTRACT ? -bits : ~bits, type);
	}
	return value_of(tree_unary(arena, op, operand.node), type);
}

Value value_conditional(TreeArena *arena, Value condition, Value yes, Value no, TextPosition at)
{
	CType type;
	TreeNode *node;

	if (!condition.node || !yes.node || !no.node)
		return FAILED;
	if (c_is_pointer(yes.type))
		type = yes.type;
	else if (c_is_pointer(no.type))
		type = no.type;
	else
		type = c_common(yes.type, no.type);
	yes = value_converted(arena, yes, type);
	no = value_converted(arena, no, type);
	if (is_constant(condition))
		return condition.node->bits != 0 ? yes : no;
	node = value_settled(arena, condition);
	return value_of(
		tree_operation(arena, TREE_IF, 3, (TreeNode *const[]){node, yes.node, no.node}),
		type);
}

Value value_at(TreeArena *arena, Value pointer, TextPosition at)
{
	CType type;
	TreeNode *load;

	if (!pointer.node)
		return FAILED;
	if (!c_is_pointer(pointer.type)) {
		tree_fail(arena, at,
			  "this is a number, not a pointer: cast it to a pointer to what lies "
			  "there, as "
			  "*(int *)$rdi");
		return FAILED;
	}
	type = c_target(pointer.type);
	if (c_size(type) == 0) {
		tree_fail(arena, at,
			  "what lies there has no integer type: cast the pointer, as *(int *)$rsp");
		return FAILED;
	}
	load = tree_load(arena, c_tree_type(type), pointer.node);
	return (Value){.node = load, .type = type, .address = pointer.node};
}

Value value_address(TreeArena *arena, Value operand, TextPosition at)
{
	CType type = operand.type;

	if (!operand.node)
		return FAILED;
	if (operand.is_array) {
		/* A function's steps are a byte; of an array, how many elements it has is not known. */
		if (c_size(c_target(type)) > 0 || c_target(type).extent != 0)
			type = (CType){.pointers = 1, .extent = C_EXTENT_UNKNOWN};
		return value_of(operand.node, type);
	}
	if (!operand.address) {
		tree_fail(arena, at,
			  "& gives the address of something in memory, as &variable; this is a "
			  "computed "
			  "value or a register");
		return FAILED;
	}
	if (type.pointers >= C_MAX_POINTERS) {
		tree_fail(arena, at, "more than %d levels of pointers", C_MAX_POINTERS);
		return FAILED;
	}
	type.pointers++;
	return value_of(operand.address, type);
}

Value value_of_three(TreeArena *arena, TreeOp op, const Value operands[3], TextPosition at)
{
	CType type = c_common(c_common(operands[0].type, operands[1].type), operands[2].type);
	TreeNode *nodes[3];

	for (size_t i = 0; i < 3; i++) {
		nodes[i] = value_settled(arena, value_converted(arena, operands[i], type));
		if (!nodes[i])
			return FAILED;
	}
	if (op == TREE_IN)
		agree_on_sign(arena, nodes, 3, c_is_signed(type));
	return value_of(tree_operation(arena, op, 3, nodes), C_INT);
}
