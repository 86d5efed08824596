/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree as written -> the tree in the machine's terms, rule by rule. */
#include <stddef.h>

#include "bpf/filter.h"
#include "condition/expr.h"

static const unsigned int input_offsets[VARIABLE_COUNT] = {
	[VARIABLE_TID] = offsetof(struct condition_inputs, tid),
	[VARIABLE_PID] = offsetof(struct condition_inputs, pid),
	[VARIABLE_CPU] = offsetof(struct condition_inputs, cpu),
	[VARIABLE_TIME] = offsetof(struct condition_inputs, time),
	[VARIABLE_EVALUATED] = offsetof(struct condition_inputs, evaluated),
	[VARIABLE_VALUE] = offsetof(struct condition_inputs, value),
	[VARIABLE_PREVIOUS] = offsetof(struct condition_inputs, previous),
	[VARIABLE_COUNTER] = offsetof(struct condition_inputs, counter),
};

static Expr *lower_register(Exprs *exprs, const Register *reg)
{
	Expr *whole;

	if (register_inputs() >> reg->whole & 1)
		whole = expr_leaf(exprs, EXPR_INPUT, register_offset(reg->whole), false);
	else
		whole = expr_leaf(exprs, EXPR_REGISTER, reg->whole, false);
	if (reg->shift > 0)
		whole = expr_binary(exprs, EXPR_SHR, whole, expr_constant(exprs, reg->shift));
	return expr_extend(exprs, reg->type, whole);
}

static Expr *lower_variable(Exprs *exprs, Variable variable)
{
	bool may_fault = variable == VARIABLE_VALUE || variable == VARIABLE_PREVIOUS ||
			 variable == VARIABLE_COUNTER;

	return expr_leaf(exprs, EXPR_INPUT, input_offsets[variable], may_fault);
}

static ExprOp binary_op(NodeOp op, bool is_unsigned)
{
	switch (op) {
	case NODE_ADD:
		return EXPR_ADD;
	case NODE_SUBTRACT:
		return EXPR_SUB;
	case NODE_MULTIPLY:
		return EXPR_MUL;
	case NODE_DIVIDE:
		return is_unsigned ? EXPR_UDIV : EXPR_SDIV;
	case NODE_REMAINDER:
		return is_unsigned ? EXPR_UMOD : EXPR_SMOD;
	case NODE_BIT_AND:
		return EXPR_AND;
	case NODE_BIT_OR:
		return EXPR_OR;
	case NODE_BIT_XOR:
		return EXPR_XOR;
	case NODE_SHIFT_LEFT:
		return EXPR_SHL;
	case NODE_SHIFT_RIGHT:
		return is_unsigned ? EXPR_SHR : EXPR_SAR;
	case NODE_EQUAL:
		return EXPR_EQ;
	case NODE_NOT_EQUAL:
		return EXPR_NE;
	case NODE_LESS:
	case NODE_GREATER:
		return is_unsigned ? EXPR_ULT : EXPR_SLT;
	default: /* NODE_LESS_EQUAL, NODE_GREATER_EQUAL */
		return is_unsigned ? EXPR_ULE : EXPR_SLE;
	}
}

/* Chains of two operands, from the left. */
static Expr *lower_operands(Exprs *exprs, const Node *node)
{
	Expr *result = expr_from_node(exprs, node->operands[0]);
	bool is_unsigned = node->operands[0]->is_unsigned;

	for (size_t i = 1; i < node->n_operands; i++) {
		Expr *operand = expr_from_node(exprs, node->operands[i]);

		is_unsigned = is_unsigned || node->operands[i]->is_unsigned;
		if (node->op == NODE_AND)
			result = expr_both(exprs, result, operand);
		else if (node->op == NODE_OR)
			result = expr_either(exprs, result, operand);
		else if (node->op == NODE_GREATER || node->op == NODE_GREATER_EQUAL)
			result = expr_binary(exprs, binary_op(node->op, is_unsigned), operand,
					     result);
		else
			result = expr_binary(exprs, binary_op(node->op, is_unsigned), result,
					     operand);
	}
	return result;
}

static Expr *lower_registers(Exprs *exprs, const Node *node)
{
	Expr *result = expr_constant(exprs, 1);

	for (size_t i = 0; i < node->n_operands; i++)
		result =
			expr_both(exprs, result,
				  expr_binary(exprs, EXPR_EQ, lower_register(exprs, node->names[i]),
					      expr_from_node(exprs, node->operands[i])));
	return result;
}

static Expr *lower_three(Exprs *exprs, const Node *node)
{
	bool is_unsigned = node->operands[0]->is_unsigned || node->operands[1]->is_unsigned ||
			   node->operands[2]->is_unsigned;
	Expr *a = expr_from_node(exprs, node->operands[0]);
	Expr *b = expr_from_node(exprs, node->operands[1]);
	Expr *c = expr_from_node(exprs, node->operands[2]);

	if (node->op == NODE_IF)
		return expr_if(exprs, a, b, c);
	if (node->op == NODE_IN)
		return expr_within(exprs, is_unsigned, a, b, c);
	return expr_binary(exprs, EXPR_EQ, expr_binary(exprs, EXPR_AND, a, b), c);
}

/* Operators of one operand. */
static Expr *lower_one(Exprs *exprs, const Node *node)
{
	Expr *operand = expr_from_node(exprs, node->operands[0]);

	switch (node->op) {
	case NODE_LOAD:
		return expr_load(exprs, node->type, operand);
	case NODE_AS:
		return expr_extend(exprs, node->type, operand);
	case NODE_SUBTRACT:
		return expr_negate(exprs, operand);
	case NODE_BIT_NOT:
		return expr_binary(exprs, EXPR_XOR, operand, expr_constant(exprs, UINT64_MAX));
	case NODE_NOT:
		return expr_not(exprs, operand);
	case NODE_STRING_EQUALS: /* its end is the NUL behind the text */
		return expr_text(exprs, EXPR_STRING, operand, node->text, node->n_text + 1);
	case NODE_STRING_STARTS:
		return expr_text(exprs, EXPR_STRING, operand, node->text, node->n_text);
	default: /* NODE_BYTES_EQUAL */
		return expr_text(exprs, EXPR_BYTES, operand, node->text, node->n_text);
	}
}

Expr *expr_from_node(Exprs *exprs, const Node *node)
{
	switch (node->op) {
	case NODE_CONSTANT:
		return expr_constant(exprs, node->constant);
	case NODE_REGISTER:
		return lower_register(exprs, node->reg);
	case NODE_PARAMETER:
		return expr_leaf(exprs, EXPR_PARAMETER, node->parameter_index, false);
	case NODE_VARIABLE:
		return lower_variable(exprs, node->variable);
	case NODE_REGISTERS:
		return lower_registers(exprs, node);
	case NODE_IF:
	case NODE_IN:
	case NODE_MASKED:
		return lower_three(exprs, node);
	default:
		return node->n_operands == 1 ? lower_one(exprs, node) : lower_operands(exprs, node);
	}
}
