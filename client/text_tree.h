/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The condition tree on the client's side: nodes in an arena, written as JSON and read from it. Nodes
 * are made by tree_* functions, which also compute what is known about the node's value.
 *
 * Failure is sticky: once an allocation failed or a mistake was found, the arena keeps the first
 * reason, constructors return NULL and take NULL for an operand that failed. So only the end of a
 * compilation looks at it.
 */
#ifndef CLIENT_TEXT_TREE_H
#define CLIENT_TEXT_TREE_H

#include <bpcond/text.h>

#include "client/text_range.h"

enum {
	/* Well above the daemon's limit of 256, which counts what is left after folding. */
	TREE_MAX_NODES = 2048,
};

typedef struct TreeNode TreeNode;
struct TreeNode {
	TreeOp op;
	TreeType type;     /* of TREE_LOAD and TREE_AS */
	uint64_t bits;     /* of TREE_CONSTANT; range.is_u64 says how to read them */
	const char *name;  /* register, parameter, variable; of strings and bytes the operand */
	size_t n_operands; /* or arguments; TREE_LOAD: the address; strings: likewise */
	TreeNode *const *operands;
	Range range;
	/* Stood in parentheses: an n-ary operator does not take its operands over. */
	bool closed;
};

typedef struct TreeArena {
	struct TreeBlock *blocks;
	size_t n_nodes;
	int failure; /* 0, 1 (*error is filled in) or a negative errno */
	bpcond_text_error *error;
} TreeArena;

typedef struct TextPosition {
	unsigned line, column;
} TextPosition;

/* Records a mistake at a place of the text, unless one is recorded already. */
__attribute__((format(printf, 3, 4))) void tree_fail(TreeArena *arena, TextPosition at,
						     const char *format, ...);
/* Records a negative errno. */
void tree_fail_errno(TreeArena *arena, int error);

/* Zeroed memory that lives as long as the arena. NULL: out of memory, recorded. */
void *tree_allocate(TreeArena *arena, size_t size);
char *tree_copy_string(TreeArena *arena, const char *text, size_t length);
void tree_free(TreeArena *arena);

TreeNode *tree_constant(TreeArena *arena, uint64_t bits, bool is_u64);
/* `range` is what the leaf can hold. `name` must live as long as the arena. */
TreeNode *tree_leaf(TreeArena *arena, TreeOp op, const char *name, Range range);
TreeNode *tree_load(TreeArena *arena, TreeType type, TreeNode *address);
/* `as`; of an `as` that is not narrower, and so cannot matter, only its operand is kept. */
TreeNode *tree_as(TreeArena *arena, TreeType type, TreeNode *of);
TreeNode *tree_operation(TreeArena *arena, TreeOp op, size_t n, TreeNode *const operands[]);
static inline TreeNode *tree_unary(TreeArena *arena, TreeOp op, TreeNode *operand)
{
	return tree_operation(arena, op, 1, (TreeNode *const[]){operand});
}
/* Operators of two or more operands take the operands of a left one that is the same and not closed. */
TreeNode *tree_binary(TreeArena *arena, TreeOp op, TreeNode *left, TreeNode *right);
/* string-equals, string-starts, bytes-equal. `text` must live as long as the arena. */
TreeNode *tree_text_operation(TreeArena *arena, TreeOp op, TreeNode *address, const char *text);

bool tree_equal(const TreeNode *a, const TreeNode *b);

const char *tree_type_name(TreeType type);
/* The JSON key of an operator; NULL for leaves. */
const char *tree_op_name(TreeOp op);

/* Return: 0 and *ret (free()); -ENOMEM. */
int tree_to_json(const TreeNode *node, char **ret);

/* Reads a condition. Return: 0 and *ret; -EINVAL when it is none; -ENOMEM. */
int tree_from_json(TreeArena *arena, const char *json, TreeNode **ret);

#endif
