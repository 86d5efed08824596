/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The typed tree of a condition, as its author wrote it: one node for each JSON object and constant,
 * nothing folded or reordered, so that the normal form and the reference evaluator speak of what was
 * asked for. Operators and variables are two tables that the parser, the normal form and the
 * evaluator share.
 *
 * A node owns its operands and its bytes. Names of parameters belong to the caller of
 * condition_from_json().
 */
#ifndef CONDITION_NODE_H
#define CONDITION_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condition/condition.h"
#include "condition/registers.h"
#include "condition/value_type.h"

typedef enum NodeOp {
	NODE_CONSTANT,
	NODE_REGISTER,
	NODE_PARAMETER,
	NODE_VARIABLE,
	NODE_LOAD,
	NODE_AS,
	NODE_ADD,
	NODE_SUBTRACT, /* with one operand: negation */
	NODE_MULTIPLY,
	NODE_DIVIDE,
	NODE_REMAINDER,
	NODE_BIT_AND,
	NODE_BIT_OR,
	NODE_BIT_XOR,
	NODE_BIT_NOT,
	NODE_SHIFT_LEFT,
	NODE_SHIFT_RIGHT,
	NODE_EQUAL,
	NODE_NOT_EQUAL,
	NODE_LESS,
	NODE_LESS_EQUAL,
	NODE_GREATER,
	NODE_GREATER_EQUAL,
	NODE_AND,
	NODE_OR,
	NODE_NOT,
	NODE_IF,
	NODE_IN,
	NODE_MASKED,
	NODE_STRING_EQUALS,
	NODE_STRING_STARTS,
	NODE_BYTES_EQUAL,
	NODE_REGISTERS,
	NODE_OP_COUNT,
} NodeOp;

typedef enum Variable {
	VARIABLE_TID,
	VARIABLE_PID,
	VARIABLE_CPU,
	VARIABLE_TIME,
	VARIABLE_EVALUATED,
	VARIABLE_VALUE,
	VARIABLE_PREVIOUS,
	VARIABLE_COUNTER,
	VARIABLE_COUNT,
} Variable;

/* How an operator is written: {KEY: operands}. Leaves, load, as and registers have shapes of their
 * own. */
typedef struct Operator {
	const char *key;
	size_t min_operands, max_operands;
	/* Follows the expressions, as a last element that is a string. */
	bool takes_text;
} Operator;

typedef struct VariableInfo {
	const char *name;
	bool is_unsigned;
	uint32_t needs;      /* CONDITION_NEEDS_* */
	unsigned int uses;   /* 1 << ConditionUse: where it exists */
	const char *why_not; /* what to say where it does not */
} VariableInfo;

typedef struct Node Node;
struct Node {
	NodeOp op;
	bool is_unsigned; /* of the value: u64, else signed 64 bits */

	uint64_t constant;      /* CONSTANT */
	const Register *reg;    /* REGISTER */
	const char *parameter;  /* PARAMETER: its name, borrowed */
	size_t parameter_index; /* PARAMETER */
	Variable variable;      /* VARIABLE */
	ValueType type;         /* LOAD, AS */
	const Register **names; /* REGISTERS: one for each operand */
	unsigned char *text;    /* STRING_*, BYTES_EQUAL: the bytes, and a NUL behind them */
	size_t n_text;

	Node **operands;
	size_t n_operands;
};

struct Condition {
	Node *root;
	size_t n_nodes; /* as the limit counts them */
};

extern const Operator operators[NODE_OP_COUNT];
extern const VariableInfo variables[VARIABLE_COUNT];

/* Return: a node with room for n operands, all NULL, or NULL: out of memory. */
Node *node_new(NodeOp op, size_t n_operands);

/* Frees the node and all below it. Return: NULL. Takes NULL and half-built nodes. */
Node *node_free(Node *node);

/* Sets is_unsigned from the operands and their types, once all are there. A constant's is left as it
 * is. */
void node_set_type(Node *node);

#endif
