/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arena and the constructors of the client's condition tree. The text comes from anyone, so the
 * number of nodes is bounded, and nothing is freed one by one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/text_tree.h"

typedef struct TreeBlock TreeBlock;
struct TreeBlock {
	TreeBlock *next;
	_Alignas(max_align_t) char memory[];
};

static const char *const OP_NAMES[TREE_OP_COUNT] = {
	[TREE_ADD] = "+",
	[TREE_SUBTRACT] = "-",
	[TREE_MULTIPLY] = "*",
	[TREE_DIVIDE] = "/",
	[TREE_MODULO] = "%",
	[TREE_BIT_AND] = "&",
	[TREE_BIT_OR] = "|",
	[TREE_BIT_XOR] = "^",
	[TREE_BIT_NOT] = "~",
	[TREE_SHIFT_LEFT] = "<<",
	[TREE_SHIFT_RIGHT] = ">>",
	[TREE_EQUAL] = "==",
	[TREE_NOT_EQUAL] = "!=",
	[TREE_LESS] = "<",
	[TREE_LESS_EQUAL] = "<=",
	[TREE_GREATER] = ">",
	[TREE_GREATER_EQUAL] = ">=",
	[TREE_AND] = "and",
	[TREE_OR] = "or",
	[TREE_NOT] = "!",
	[TREE_IF] = "if",
	[TREE_IN] = "in",
	[TREE_MASKED] = "masked",
	[TREE_STRING_EQUALS] = "string-equals",
	[TREE_STRING_STARTS] = "string-starts",
	[TREE_BYTES_EQUAL] = "bytes-equal",
};

static const char *const TYPE_NAMES[] = {
	[TREE_U8] = "u8",   [TREE_S8] = "s8",   [TREE_U16] = "u16", [TREE_S16] = "s16",
	[TREE_U32] = "u32", [TREE_S32] = "s32", [TREE_U64] = "u64", [TREE_S64] = "s64",
};

const char *tree_op_name(TreeOp op)
{
	return OP_NAMES[op];
}

const char *tree_type_name(TreeType type)
{
	return TYPE_NAMES[type];
}

void tree_fail(TreeArena *arena, TextPosition at, const char *format, ...)
{
	va_list list;

	if (arena->failure != 0)
		return;
	arena->failure = 1;
	arena->error->line = at.line;
	arena->error->column = at.column;
	va_start(list, format);
	vsnprintf(arena->error->message, sizeof(arena->error->message), format, list);
	va_end(list);
}

void tree_fail_errno(TreeArena *arena, int error)
{
	if (arena->failure == 0)
		arena->failure = error;
}

void *tree_allocate(TreeArena *arena, size_t size)
{
	TreeBlock *block = calloc(1, sizeof(TreeBlock) + size);

	if (!block) {
		tree_fail_errno(arena, -ENOMEM);
		return NULL;
	}
	block->next = arena->blocks;
	arena->blocks = block;
	return block->memory;
}

char *tree_copy_string(TreeArena *arena, const char *text, size_t length)
{
	char *copy = tree_allocate(arena, length + 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

void tree_free(TreeArena *arena)
{
	TreeBlock *block = arena->blocks;

	while (block) {
		TreeBlock *next = block->next;

		free(block);
		block = next;
	}
	arena->blocks = NULL;
}

static TreeNode *node_new(TreeArena *arena, TreeOp op)
{
	TreeNode *node;

	if (arena->failure != 0)
		return NULL;
	if (++arena->n_nodes > TREE_MAX_NODES) {
		tree_fail(
			arena, (TextPosition){1, 1},
			"the condition is too large: the daemon takes at most 256 operators, names "
			"and constants; test less, or split it over several breakpoints");
		return NULL;
	}
	node = tree_allocate(arena, sizeof(TreeNode));
	if (node)
		node->op = op;
	return node;
}

TreeNode *tree_constant(TreeArena *arena, uint64_t bits, bool is_u64)
{
	TreeNode *node = node_new(arena, TREE_CONSTANT);

	if (node) {
		node->bits = bits;
		node->range = range_of_constant(bits, is_u64 && bits > INT64_MAX);
	}
	return node;
}

TreeNode *tree_leaf(TreeArena *arena, TreeOp op, const char *name, Range range)
{
	TreeNode *node = node_new(arena, op);

	if (node) {
		node->name = name;
		node->range = range;
	}
	return node;
}

/* Gives the node its operands, some of which may have failed. Return: the node or NULL. */
static TreeNode *with_operands(TreeArena *arena, TreeNode *node, size_t n,
			       TreeNode *const operands[])
{
	TreeNode **copy;

	if (!node)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!operands[i])
			return NULL;
	copy = tree_allocate(arena, n * sizeof(*copy));
	if (!copy)
		return NULL;
	memcpy(copy, operands, n * sizeof(*copy));
	node->operands = copy;
	node->n_operands = n;
	return node;
}

TreeNode *tree_load(TreeArena *arena, TreeType type, TreeNode *address)
{
	TreeNode *node =
		with_operands(arena, node_new(arena, TREE_LOAD), 1, (TreeNode *const[]){address});

	if (node) {
		node->type = type;
		node->range = range_of_type(type);
	}
	return node;
}

TreeNode *tree_as(TreeArena *arena, TreeType type, TreeNode *of)
{
	TreeNode *node;

	while (of && of->op == TREE_AS && tree_type_size(of->type) >= tree_type_size(type))
		of = of->operands[0];
	node = with_operands(arena, node_new(arena, TREE_AS), 1, (TreeNode *const[]){of});
	if (node) {
		node->type = type;
		node->range = range_of_type(type);
	}
	return node;
}

TreeNode *tree_operation(TreeArena *arena, TreeOp op, size_t n, TreeNode *const operands[])
{
	TreeNode *node = with_operands(arena, node_new(arena, op), n, operands);
	Range *ranges;

	if (!node)
		return NULL;
	ranges = tree_allocate(arena, n * sizeof(*ranges));
	if (!ranges)
		return NULL;
	for (size_t i = 0; i < n; i++)
		ranges[i] = operands[i]->range;
	node->range = range_of_operation(op, ranges, n);
	return node;
}

static bool takes_many(TreeOp op)
{
	return op == TREE_ADD || op == TREE_MULTIPLY || op == TREE_BIT_AND || op == TREE_BIT_OR ||
	       op == TREE_BIT_XOR || op == TREE_AND || op == TREE_OR;
}

TreeNode *tree_binary(TreeArena *arena, TreeOp op, TreeNode *left, TreeNode *right)
{
	TreeNode **operands;

	if (!left || !right)
		return NULL;
	if (left->op != op || left->closed || !takes_many(op))
		return tree_operation(arena, op, 2, (TreeNode *const[]){left, right});
	operands = tree_allocate(arena, (left->n_operands + 1) * sizeof(*operands));
	if (!operands)
		return NULL;
	memcpy(operands, left->operands, left->n_operands * sizeof(*operands));
	operands[left->n_operands] = right;
	return tree_operation(arena, op, left->n_operands + 1, operands);
}

TreeNode *tree_text_operation(TreeArena *arena, TreeOp op, TreeNode *address, const char *text)
{
	TreeNode *node = tree_operation(arena, op, 1, (TreeNode *const[]){address});

	if (!node || !text)
		return NULL;
	node->name = text;
	return node;
}

static bool names_equal(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

bool tree_equal(const TreeNode *a, const TreeNode *b)
{
	if (a == b)
		return true;
	if (a->op != b->op || a->n_operands != b->n_operands || !names_equal(a->name, b->name))
		return false;
	if (a->op == TREE_CONSTANT)
		return a->bits == b->bits && a->range.is_u64 == b->range.is_u64;
	if ((a->op == TREE_LOAD || a->op == TREE_AS) && a->type != b->type)
		return false;
	for (size_t i = 0; i < a->n_operands; i++)
		if (!tree_equal(a->operands[i], b->operands[i]))
			return false;
	return true;
}
