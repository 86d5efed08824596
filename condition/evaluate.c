/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference evaluator: the language's executable specification. It walks the tree as it was
 * written, computes in plain C, and shares nothing with the compiler beside the tree itself, so that
 * the two can be held against each other. Speed is no concern; every rule should be visible.
 *
 * A fault ends the evaluation at once: operands that are always asked for need no order among
 * themselves, and `and`, `or` and `if` never ask for what short-circuit leaves out.
 */
#include <string.h>

#include "bpcond/hit.h"
#include "condition/node.h"

static int evaluate(const Node *node, const ConditionWorld *world, uint64_t *ret);

/* The value that the low bytes of `bits` mean in that type. */
static uint64_t as_type(uint64_t bits, ValueType type)
{
	switch (type) {
	case TYPE_U8:
		return (uint8_t)bits;
	case TYPE_S8:
		return (int8_t)bits;
	case TYPE_U16:
		return (uint16_t)bits;
	case TYPE_S16:
		return (int16_t)bits;
	case TYPE_U32:
		return (uint32_t)bits;
	case TYPE_S32:
		return (int32_t)bits;
	default:
		return bits;
	}
}

static uint64_t register_value(const Register *reg, const ConditionWorld *world)
{
	return as_type(world->registers[reg->whole] >> reg->shift, reg->type);
}

static int variable_value(Variable variable, const ConditionWorld *world, uint64_t *ret)
{
	switch (variable) {
	case VARIABLE_TID:
		*ret = world->tid;
		return 0;
	case VARIABLE_PID:
		*ret = world->pid;
		return 0;
	case VARIABLE_CPU:
		*ret = world->cpu;
		return 0;
	case VARIABLE_TIME:
		*ret = world->time;
		return 0;
	case VARIABLE_EVALUATED:
		*ret = world->evaluated;
		return 0;
	case VARIABLE_VALUE:
		*ret = world->value;
		return world->value_unreadable ? CONDITION_FAULT : 0;
	case VARIABLE_PREVIOUS:
		*ret = world->previous;
		return world->value_unreadable ? CONDITION_FAULT : 0;
	case VARIABLE_COUNTER:
		*ret = world->counter;
		return world->counter_unreadable ? CONDITION_FAULT : 0;
	case VARIABLE_COUNT:
		break;
	}
	return CONDITION_FAULT;
}

static int load(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	uint64_t address, bits = 0;
	int r;

	r = evaluate(node->operands[0], world, &address);
	if (r != 0)
		return r;
	r = world->read_memory(world->userdata, address, &bits, value_type_bytes(node->type));
	if (r < 0)
		return CONDITION_FAULT;
	*ret = as_type(bits, node->type);
	return 0;
}

/* Byte by byte, so that nothing behind the first difference is looked at: a string that differs or
 * ends before an unreadable page is different, not a fault. */
static int compare_text(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	bool with_end = node->op == NODE_STRING_EQUALS;
	uint64_t address;
	int r;

	r = evaluate(node->operands[0], world, &address);
	if (r != 0)
		return r;
	for (size_t i = 0; i < node->n_text + with_end; i++) {
		unsigned char wanted = i < node->n_text ? node->text[i] : 0;
		unsigned char found;

		r = world->read_memory(world->userdata, address + i, &found, 1);
		if (r < 0)
			return CONDITION_FAULT;
		if (found != wanted) {
			*ret = 0;
			return 0;
		}
	}
	*ret = 1;
	return 0;
}

/* All bytes must be readable, whatever the first ones are. */
static int compare_bytes(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	unsigned char found[CONDITION_MAX_TEXT];
	uint64_t address;
	int r;

	r = evaluate(node->operands[0], world, &address);
	if (r != 0)
		return r;
	if (node->n_text > 0) {
		r = world->read_memory(world->userdata, address, found, node->n_text);
		if (r < 0)
			return CONDITION_FAULT;
	}
	*ret = memcmp(found, node->text, node->n_text) == 0;
	return 0;
}

static int divide(bool is_unsigned, bool remainder, uint64_t a, uint64_t b, uint64_t *ret)
{
	if (b == 0)
		return CONDITION_FAULT;
	if (is_unsigned)
		*ret = remainder ? a % b : a / b;
	else if (a == (uint64_t)INT64_MIN && b == (uint64_t)-1)
		*ret = remainder ? 0 : a;
	else
		*ret = remainder ? (int64_t)a % (int64_t)b : (int64_t)a / (int64_t)b;
	return 0;
}

static uint64_t shift_right(bool is_unsigned, uint64_t a, uint64_t count)
{
	count %= 64;
	return is_unsigned ? a >> count : (uint64_t)((int64_t)a >> count);
}

static bool less(bool is_unsigned, uint64_t a, uint64_t b)
{
	return is_unsigned ? a < b : (int64_t)a < (int64_t)b;
}

/* One step of an operator on two operands. `is_unsigned`: of the operation. */
static int combine(NodeOp op, bool is_unsigned, uint64_t a, uint64_t b, uint64_t *ret)
{
	switch (op) {
	case NODE_ADD:
		*ret = a + b;
		return 0;
	case NODE_SUBTRACT:
		*ret = a - b;
		return 0;
	case NODE_MULTIPLY:
		*ret = a * b;
		return 0;
	case NODE_DIVIDE:
		return divide(is_unsigned, false, a, b, ret);
	case NODE_REMAINDER:
		return divide(is_unsigned, true, a, b, ret);
	case NODE_BIT_AND:
		*ret = a & b;
		return 0;
	case NODE_BIT_OR:
		*ret = a | b;
		return 0;
	case NODE_BIT_XOR:
		*ret = a ^ b;
		return 0;
	case NODE_SHIFT_LEFT:
		*ret = a << b % 64;
		return 0;
	case NODE_SHIFT_RIGHT:
		*ret = shift_right(is_unsigned, a, b);
		return 0;
	case NODE_EQUAL:
		*ret = a == b;
		return 0;
	case NODE_NOT_EQUAL:
		*ret = a != b;
		return 0;
	case NODE_LESS:
		*ret = less(is_unsigned, a, b);
		return 0;
	case NODE_LESS_EQUAL:
		*ret = !less(is_unsigned, b, a);
		return 0;
	case NODE_GREATER:
		*ret = less(is_unsigned, b, a);
		return 0;
	default: /* NODE_GREATER_EQUAL */
		*ret = !less(is_unsigned, a, b);
		return 0;
	}
}

/* All operands, from the left. */
static int combine_all(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	bool is_unsigned = node->operands[0]->is_unsigned;
	uint64_t result, operand;
	int r;

	r = evaluate(node->operands[0], world, &result);
	for (size_t i = 1; i < node->n_operands && r == 0; i++) {
		is_unsigned = is_unsigned || node->operands[i]->is_unsigned;
		r = evaluate(node->operands[i], world, &operand);
		if (r == 0)
			r = combine(node->op, is_unsigned, result, operand, &result);
	}
	if (r == 0)
		*ret = result;
	return r;
}

/* The three operands of `in` and `masked`. */
static int evaluate_three(const Node *node, const ConditionWorld *world, uint64_t ret[3])
{
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++)
		r = evaluate(node->operands[i], world, &ret[i]);
	return r;
}

static int in_range(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	bool is_unsigned = node->operands[0]->is_unsigned || node->operands[1]->is_unsigned ||
			   node->operands[2]->is_unsigned;
	uint64_t v[3];
	int r;

	r = evaluate_three(node, world, v);
	if (r == 0)
		*ret = !less(is_unsigned, v[0], v[1]) && !less(is_unsigned, v[2], v[0]);
	return r;
}

static int masked(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	uint64_t v[3];
	int r;

	r = evaluate_three(node, world, v);
	if (r == 0)
		*ret = (v[0] & v[1]) == v[2];
	return r;
}

/* `and` stops at the first false operand, `or` at the first true one. */
static int short_circuit(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	bool stops_at = node->op == NODE_OR;
	uint64_t operand;
	int r;

	for (size_t i = 0; i < node->n_operands; i++) {
		r = evaluate(node->operands[i], world, &operand);
		if (r != 0)
			return r;
		if ((operand != 0) == stops_at) {
			*ret = stops_at;
			return 0;
		}
	}
	*ret = !stops_at;
	return 0;
}

/* As an `and` of equalities in the order written. */
static int registers_equal(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	uint64_t wanted;
	int r;

	for (size_t i = 0; i < node->n_operands; i++) {
		r = evaluate(node->operands[i], world, &wanted);
		if (r != 0)
			return r;
		if (register_value(node->names[i], world) != wanted) {
			*ret = 0;
			return 0;
		}
	}
	*ret = 1;
	return 0;
}

static int choose(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	uint64_t condition;
	int r;

	r = evaluate(node->operands[0], world, &condition);
	if (r != 0)
		return r;
	return evaluate(node->operands[condition != 0 ? 1 : 2], world, ret);
}

static int unary(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	uint64_t operand;
	int r;

	r = evaluate(node->operands[0], world, &operand);
	if (r != 0)
		return r;
	if (node->op == NODE_BIT_NOT)
		*ret = ~operand;
	else if (node->op == NODE_NOT)
		*ret = operand == 0;
	else if (node->op == NODE_AS)
		*ret = as_type(operand, node->type);
	else
		*ret = -operand;
	return 0;
}

static int evaluate(const Node *node, const ConditionWorld *world, uint64_t *ret)
{
	switch (node->op) {
	case NODE_CONSTANT:
		*ret = node->constant;
		return 0;
	case NODE_REGISTER:
		*ret = register_value(node->reg, world);
		return 0;
	case NODE_PARAMETER:
		*ret = world->parameters[node->parameter_index];
		return 0;
	case NODE_VARIABLE:
		return variable_value(node->variable, world, ret);
	case NODE_LOAD:
		return load(node, world, ret);
	case NODE_AS:
	case NODE_BIT_NOT:
	case NODE_NOT:
		return unary(node, world, ret);
	case NODE_AND:
	case NODE_OR:
		return short_circuit(node, world, ret);
	case NODE_IF:
		return choose(node, world, ret);
	case NODE_IN:
		return in_range(node, world, ret);
	case NODE_MASKED:
		return masked(node, world, ret);
	case NODE_STRING_EQUALS:
	case NODE_STRING_STARTS:
		return compare_text(node, world, ret);
	case NODE_BYTES_EQUAL:
		return compare_bytes(node, world, ret);
	case NODE_REGISTERS:
		return registers_equal(node, world, ret);
	case NODE_SUBTRACT:
		if (node->n_operands == 1)
			return unary(node, world, ret);
		return combine_all(node, world, ret);
	default:
		return combine_all(node, world, ret);
	}
}

int condition_evaluate_value(const Condition *condition, const ConditionWorld *world, uint64_t *ret)
{
	uint64_t value;
	int r;

	r = evaluate(condition->root, world, &value);
	if (r != 0)
		return CONDITION_FAULT;
	*ret = value;
	return 0;
}

int condition_evaluate(const Condition *condition, const ConditionWorld *world)
{
	uint64_t value;

	if (condition_evaluate_value(condition, world, &value) != 0)
		return CONDITION_FAULT;
	return value != 0 ? CONDITION_TRUE : CONDITION_FALSE;
}
