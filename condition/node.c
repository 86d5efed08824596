/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two tables of the language, and the life of a node.
 *
 * Types, where the language leaves room: an operation on numbers is u64 if any operand is, shifts and
 * `if` (its two results) among them; truth values are signed. `in` is one operation on three
 * operands: all three are compared in one order of numbers. Variables that the kernel counts in 64
 * bits (time, evaluated, counter) and the watched memory (value, previous) are u64; tid, pid and cpu
 * are narrower and so signed.
 */
#include <stdlib.h>

#include "condition/node.h"

#define MANY CONDITION_MAX_NODES

const Operator operators[NODE_OP_COUNT] = {
	[NODE_CONSTANT] = {NULL, 0, 0, false},
	[NODE_REGISTER] = {"reg", 0, 0, false},
	[NODE_PARAMETER] = {"param", 0, 0, false},
	[NODE_VARIABLE] = {"var", 0, 0, false},
	[NODE_LOAD] = {"load", 1, 1, false},
	[NODE_AS] = {"as", 1, 1, false},
	[NODE_ADD] = {"+", 2, MANY, false},
	[NODE_SUBTRACT] = {"-", 1, 2, false},
	[NODE_MULTIPLY] = {"*", 2, MANY, false},
	[NODE_DIVIDE] = {"/", 2, 2, false},
	[NODE_REMAINDER] = {"%", 2, 2, false},
	[NODE_BIT_AND] = {"&", 2, MANY, false},
	[NODE_BIT_OR] = {"|", 2, MANY, false},
	[NODE_BIT_XOR] = {"^", 2, MANY, false},
	[NODE_BIT_NOT] = {"~", 1, 1, false},
	[NODE_SHIFT_LEFT] = {"<<", 2, 2, false},
	[NODE_SHIFT_RIGHT] = {">>", 2, 2, false},
	[NODE_EQUAL] = {"==", 2, 2, false},
	[NODE_NOT_EQUAL] = {"!=", 2, 2, false},
	[NODE_LESS] = {"<", 2, 2, false},
	[NODE_LESS_EQUAL] = {"<=", 2, 2, false},
	[NODE_GREATER] = {">", 2, 2, false},
	[NODE_GREATER_EQUAL] = {">=", 2, 2, false},
	[NODE_AND] = {"and", 2, MANY, false},
	[NODE_OR] = {"or", 2, MANY, false},
	[NODE_NOT] = {"!", 1, 1, false},
	[NODE_IF] = {"if", 3, 3, false},
	[NODE_IN] = {"in", 3, 3, false},
	[NODE_MASKED] = {"masked", 3, 3, false},
	[NODE_STRING_EQUALS] = {"string-equals", 1, 1, true},
	[NODE_STRING_STARTS] = {"string-starts", 1, 1, true},
	[NODE_BYTES_EQUAL] = {"bytes-equal", 1, 1, true},
	[NODE_REGISTERS] = {"registers", 1, MANY, false},
};

#define EVERYWHERE (1 << CONDITION_FOR_EXECUTE | 1 << CONDITION_FOR_DATA | 1 << CONDITION_FOR_LENT)
#define WHY_NOT_DATA                                                                              \
	"is what watched memory holds: use it with \"access\": \"write\" or \"read-write\", not " \
	"with an execution breakpoint or a lent filter"

const VariableInfo variables[VARIABLE_COUNT] = {
	[VARIABLE_TID] = {"tid", false, CONDITION_NEEDS_IDS, EVERYWHERE, NULL},
	[VARIABLE_PID] = {"pid", false, CONDITION_NEEDS_IDS, EVERYWHERE, NULL},
	[VARIABLE_CPU] = {"cpu", false, CONDITION_NEEDS_CPU, EVERYWHERE, NULL},
	[VARIABLE_TIME] = {"time", true, CONDITION_NEEDS_TIME, EVERYWHERE, NULL},
	[VARIABLE_EVALUATED] = {"evaluated", true, CONDITION_NEEDS_EVALUATED, EVERYWHERE, NULL},
	[VARIABLE_VALUE] = {"value", true, CONDITION_NEEDS_VALUE, 1 << CONDITION_FOR_DATA,
			    WHY_NOT_DATA},
	[VARIABLE_PREVIOUS] = {"previous", true, CONDITION_NEEDS_VALUE | CONDITION_NEEDS_PREVIOUS,
			       1 << CONDITION_FOR_DATA, WHY_NOT_DATA},
	[VARIABLE_COUNTER] = {"counter", true, CONDITION_NEEDS_COUNTER, 1 << CONDITION_FOR_LENT,
			      "reads an event of the borrower's own: use it with LendFilter"},
};

Node *node_new(NodeOp op, size_t n_operands)
{
	Node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->op = op;
	node->n_operands = n_operands;
	if (n_operands > 0) {
		node->operands = calloc(n_operands, sizeof(*node->operands));
		if (!node->operands)
			return node_free(node);
	}
	return node;
}

Node *node_free(Node *node)
{
	if (!node)
		return NULL;
	if (node->operands)
		for (size_t i = 0; i < node->n_operands; i++)
			node_free(node->operands[i]);
	free(node->operands);
	free(node->names);
	free(node->text);
	free(node);
	return NULL;
}

static bool any_unsigned(const Node *node, size_t from)
{
	for (size_t i = from; i < node->n_operands; i++)
		if (node->operands[i]->is_unsigned)
			return true;
	return false;
}

void node_set_type(Node *node)
{
	switch (node->op) {
	case NODE_CONSTANT: /* -1 and UINT64_MAX are the same bits: who read the number knows */
		break;
	case NODE_REGISTER:
		node->is_unsigned = node->reg->is_unsigned;
		break;
	case NODE_VARIABLE:
		node->is_unsigned = variables[node->variable].is_unsigned;
		break;
	case NODE_LOAD:
	case NODE_AS:
		node->is_unsigned = node->type == TYPE_U64;
		break;
	case NODE_ADD:
	case NODE_SUBTRACT:
	case NODE_MULTIPLY:
	case NODE_DIVIDE:
	case NODE_REMAINDER:
	case NODE_BIT_AND:
	case NODE_BIT_OR:
	case NODE_BIT_XOR:
	case NODE_BIT_NOT:
	case NODE_SHIFT_LEFT:
	case NODE_SHIFT_RIGHT:
		node->is_unsigned = any_unsigned(node, 0);
		break;
	case NODE_IF:
		node->is_unsigned = any_unsigned(node, 1);
		break;
	default:
		node->is_unsigned = false;
	}
}

static uint32_t register_needs(const Register *reg)
{
	return register_inputs() >> reg->whole & 1 ? CONDITION_NEEDS_BASES : 0;
}

static size_t node_texts(const Node *node)
{
	size_t n = operators[node->op].takes_text;

	for (size_t i = 0; i < node->n_operands; i++)
		n += node_texts(node->operands[i]);
	return n;
}

size_t condition_texts(const Condition *condition)
{
	return node_texts(condition->root);
}

static uint32_t node_needs(const Node *node)
{
	uint32_t needs = 0;

	if (node->op == NODE_REGISTER)
		needs |= register_needs(node->reg);
	if (node->op == NODE_VARIABLE)
		needs |= variables[node->variable].needs;
	if (operators[node->op].takes_text &&
	    node->n_text + (node->op == NODE_STRING_EQUALS) > CONDITION_SHORT_TEXT)
		needs |= CONDITION_NEEDS_SCRATCH;
	for (size_t i = 0; i < node->n_operands; i++) {
		if (node->names)
			needs |= register_needs(node->names[i]);
		needs |= node_needs(node->operands[i]);
	}
	return needs;
}

uint32_t condition_needs(const Condition *condition)
{
	uint32_t needs = node_needs(condition->root);

	if (condition_texts(condition) > CONDITION_FEW_TEXTS)
		needs |= CONDITION_NEEDS_SCRATCH;
	return needs;
}

size_t condition_nodes(const Condition *condition)
{
	return condition->n_nodes;
}

Condition *condition_free(Condition *condition)
{
	if (!condition)
		return NULL;
	node_free(condition->root);
	free(condition);
	return NULL;
}
