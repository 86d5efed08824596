/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making expressions. Each constructor folds what it can see at once, so that a condition without
 * any input ends as one constant, and no comparison is left whose outcome does not depend on its
 * operand: the verifier would decide such a one itself, and then follow the operand back through
 * every branch that made it (see emit.c).
 */
#include "condition/expr_make.h"

Expr *expr_constant(Exprs *exprs, uint64_t constant)
{
	return expr_make(exprs, &(Expr){.op = EXPR_CONSTANT, .constant = constant});
}

Expr *expr_fault(Exprs *exprs)
{
	return expr_make(exprs, &(Expr){.op = EXPR_FAULT, .may_fault = true});
}

Expr *expr_leaf(Exprs *exprs, ExprOp op, unsigned int index, bool may_fault)
{
	return expr_make(exprs, &(Expr){.op = op, .index = index, .may_fault = may_fault});
}

static bool commutes(ExprOp op)
{
	switch (op) {
	case EXPR_ADD:
	case EXPR_MUL:
	case EXPR_AND:
	case EXPR_OR:
	case EXPR_XOR:
	case EXPR_EQ:
	case EXPR_NE:
		return true;
	default:
		return false;
	}
}

static bool is_constant(const Expr *expr, uint64_t constant)
{
	return expr->op == EXPR_CONSTANT && expr->constant == constant;
}

/* `value`, if `first` does not fault. */
static Expr *after(Exprs *exprs, Expr *first, Expr *value)
{
	if (!first || !value)
		return NULL;
	if (!first->may_fault || value->op == EXPR_FAULT)
		return value;
	if (first->op == EXPR_FAULT)
		return first;
	return expr_make(exprs,
			 &(Expr){.op = EXPR_AFTER, .operands = {first, value}, .n_operands = 2});
}

Expr *expr_load(Exprs *exprs, ValueType type, Expr *address)
{
	Expr *raw;

	if (!address || address->op == EXPR_FAULT)
		return address;
	raw = expr_make(exprs, &(Expr){.op = EXPR_LOAD,
				       .type = type & ~1,
				       .operands = {address},
				       .n_operands = 1,
				       .may_fault = true,
				       .calls = true});
	return expr_extend(exprs, type, raw);
}

Expr *expr_text(Exprs *exprs, ExprOp op, Expr *address, const unsigned char *text, size_t n_text)
{
	if (!address || address->op == EXPR_FAULT)
		return address;
	if (n_text == 0)
		return after(exprs, address, expr_constant(exprs, 1));
	return expr_make(exprs, &(Expr){.op = op,
					.operands = {address},
					.n_operands = 1,
					.text = text,
					.n_text = n_text,
					.may_fault = true,
					.calls = true});
}

static uint64_t extend(ValueType type, uint64_t bits)
{
	unsigned int shift = 64 - 8 * value_type_bytes(type);

	bits <<= shift;
	return value_type_extends_sign(type) ? (uint64_t)((int64_t)bits >> shift) : bits >> shift;
}

/* Whether each value of a narrower or equal type is one of the wider. */
static bool type_within(ValueType type, ValueType wider)
{
	if (type == wider)
		return true;
	if (value_type_bytes(type) >= value_type_bytes(wider))
		return false;
	return value_type_extends_sign(wider) || !value_type_extends_sign(type);
}

/* Whether the expression's value is the same as that type. */
static bool fits(const Expr *expr, ValueType type)
{
	switch (expr->op) {
	case EXPR_LOAD:
	case EXPR_EXTEND:
		return type_within(expr->type, type);
	case EXPR_AND:
		return expr->operands[1]->op == EXPR_CONSTANT &&
		       (int64_t)expr->operands[1]->constant >= 0 &&
		       extend(type, expr->operands[1]->constant) == expr->operands[1]->constant;
	case EXPR_IF:
		return fits(expr->operands[1], type) && fits(expr->operands[2], type);
	case EXPR_AFTER:
		return fits(expr->operands[1], type);
	case EXPR_CONSTANT:
		return extend(type, expr->constant) == expr->constant;
	default:
		return expr_is_truth(expr);
	}
}

/* The cheapest expression with the same low `bytes` bytes. */
static Expr *low_bytes(Exprs *exprs, Expr *expr, unsigned int bytes)
{
	Expr *a, *b;

	switch (expr->op) {
	case EXPR_EXTEND:
		if (value_type_bytes(expr->type) < bytes)
			return expr;
		return low_bytes(exprs, expr->operands[0], bytes);
	case EXPR_ADD:
	case EXPR_SUB:
	case EXPR_MUL:
	case EXPR_AND:
	case EXPR_OR:
	case EXPR_XOR:
		a = low_bytes(exprs, expr->operands[0], bytes);
		b = low_bytes(exprs, expr->operands[1], bytes);
		if (!a || !b)
			return NULL;
		if (a == expr->operands[0] && b == expr->operands[1])
			return expr;
		return expr_binary(exprs, expr->op, a, b);
	default:
		return expr;
	}
}

Expr *expr_extend(Exprs *exprs, ValueType type, Expr *operand)
{
	if (!operand || value_type_bytes(type) == 8 || operand->op == EXPR_FAULT)
		return operand;
	if (operand->op == EXPR_CONSTANT)
		return expr_constant(exprs, extend(type, operand->constant));
	if (fits(operand, type))
		return operand;
	operand = low_bytes(exprs, operand, value_type_bytes(type));
	if (!operand)
		return NULL;
	if (operand->op == EXPR_CONSTANT || fits(operand, type))
		return expr_extend(exprs, type, operand);
	return expr_make(
		exprs,
		&(Expr){.op = EXPR_EXTEND, .type = type, .operands = {operand}, .n_operands = 1});
}

Expr *expr_negate(Exprs *exprs, Expr *operand)
{
	if (!operand || operand->op == EXPR_FAULT)
		return operand;
	if (operand->op == EXPR_CONSTANT)
		return expr_constant(exprs, -operand->constant);
	return expr_make(exprs, &(Expr){.op = EXPR_NEGATE, .operands = {operand}, .n_operands = 1});
}

/* The operation on two constants; division by zero does not come here. */
static uint64_t compute(ExprOp op, uint64_t a, uint64_t b)
{
	int64_t sa = a, sb = b;

	switch (op) {
	case EXPR_ADD:
		return a + b;
	case EXPR_SUB:
		return a - b;
	case EXPR_MUL:
		return a * b;
	case EXPR_UDIV:
		return a / b;
	case EXPR_UMOD:
		return a % b;
	case EXPR_SDIV:
		return sb == -1 ? -a : (uint64_t)(sa / sb);
	case EXPR_SMOD:
		return sb == -1 ? 0 : (uint64_t)(sa % sb);
	case EXPR_AND:
		return a & b;
	case EXPR_OR:
		return a | b;
	case EXPR_XOR:
		return a ^ b;
	case EXPR_SHL:
		return a << (b & 63);
	case EXPR_SHR:
		return a >> (b & 63);
	case EXPR_SAR:
		return sa >> (b & 63);
	case EXPR_EQ:
		return a == b;
	case EXPR_NE:
		return a != b;
	case EXPR_ULT:
		return a < b;
	case EXPR_ULE:
		return a <= b;
	case EXPR_SLT:
		return sa < sb;
	default: /* EXPR_SLE */
		return sa <= sb;
	}
}

/* A comparison that only its operator and the constant decide. Return: 0, 1, or -1: none. */
static int decided(ExprOp op, const Expr *a, const Expr *b)
{
	switch (op) {
	case EXPR_ULT:
		return is_constant(b, 0) || is_constant(a, UINT64_MAX) ? 0 : -1;
	case EXPR_ULE:
		return is_constant(a, 0) || is_constant(b, UINT64_MAX) ? 1 : -1;
	case EXPR_SLT:
		return is_constant(b, INT64_MIN) || is_constant(a, INT64_MAX) ? 0 : -1;
	case EXPR_SLE:
		return is_constant(a, INT64_MIN) || is_constant(b, INT64_MAX) ? 1 : -1;
	default:
		return -1;
	}
}

static bool is_division(ExprOp op)
{
	return op == EXPR_UDIV || op == EXPR_SDIV || op == EXPR_UMOD || op == EXPR_SMOD;
}

/* What is left of an operation whose second operand is that constant, or NULL: the operation. */
static Expr *with_constant(Exprs *exprs, ExprOp op, Expr *a, uint64_t b)
{
	bool power_of_two = b != 0 && (b & (b - 1)) == 0;

	switch (op) {
	case EXPR_SHL:
	case EXPR_SHR:
	case EXPR_SAR:
	case EXPR_ADD:
	case EXPR_XOR:
		return b == 0 ? a : NULL;
	case EXPR_OR:
		if (b == UINT64_MAX)
			return after(exprs, a, expr_constant(exprs, b));
		return b == 0 ? a : NULL;
	case EXPR_AND:
		if (b == 0)
			return after(exprs, a, expr_constant(exprs, 0));
		return b == UINT64_MAX ? a : NULL;
	case EXPR_MUL:
		if (b == 0)
			return after(exprs, a, expr_constant(exprs, 0));
		return b == 1 ? a : NULL;
	case EXPR_UDIV:
		if (power_of_two)
			return expr_binary(exprs, EXPR_SHR, a,
					   expr_constant(exprs, __builtin_ctzll(b)));
		return NULL;
	case EXPR_UMOD:
		if (power_of_two)
			return expr_binary(exprs, EXPR_AND, a, expr_constant(exprs, b - 1));
		return NULL;
	case EXPR_SDIV:
		if (b == UINT64_MAX)
			return expr_negate(exprs, a);
		return b == 1 ? a : NULL;
	case EXPR_SMOD:
		if (b == UINT64_MAX || b == 1)
			return after(exprs, a, expr_constant(exprs, 0));
		return NULL;
	case EXPR_NE:
		return b == 0 && expr_is_truth(a) ? a : NULL;
	case EXPR_EQ:
		if (!expr_is_truth(a))
			return NULL;
		if (b == 0)
			return expr_not(exprs, a);
		return b == 1 ? a : NULL;
	default:
		return NULL;
	}
}

Expr *expr_binary(Exprs *exprs, ExprOp op, Expr *a, Expr *b)
{
	Expr *simpler;
	int outcome;

	if (!a || !b || a->op == EXPR_FAULT)
		return a && b ? a : NULL;
	if (b->op == EXPR_FAULT || (is_division(op) && is_constant(b, 0)))
		return expr_fault(exprs);
	if (a->op == EXPR_CONSTANT && b->op == EXPR_CONSTANT)
		return expr_constant(exprs, compute(op, a->constant, b->constant));
	if (a->op == EXPR_CONSTANT && commutes(op))
		return expr_binary(exprs, op, b, a);
	outcome = decided(op, a, b);
	if (outcome >= 0)
		return after(exprs, a, after(exprs, b, expr_constant(exprs, outcome)));
	if (b->op == EXPR_CONSTANT) {
		if (op == EXPR_SUB)
			return expr_binary(exprs, EXPR_ADD, a, expr_constant(exprs, -b->constant));
		if ((op == EXPR_SHL || op == EXPR_SHR || op == EXPR_SAR) && b->constant > 63)
			return expr_binary(exprs, op, a, expr_constant(exprs, b->constant & 63));
		if ((op == EXPR_ADD || op == EXPR_AND || op == EXPR_OR || op == EXPR_XOR) &&
		    a->op == op && a->operands[1]->op == EXPR_CONSTANT)
			return expr_binary(
				exprs, op, a->operands[0],
				expr_constant(exprs,
					      compute(op, a->operands[1]->constant, b->constant)));
		simpler = with_constant(exprs, op, a, b->constant);
		if (simpler || exprs->out_of_memory)
			return simpler;
	}
	return expr_make(exprs, &(Expr){.op = op,
					.operands = {a, b},
					.n_operands = 2,
					.may_fault = is_division(op) && b->op != EXPR_CONSTANT});
}

Expr *expr_within(Exprs *exprs, bool is_unsigned, Expr *x, Expr *low, Expr *high)
{
	ExprOp le = is_unsigned ? EXPR_ULE : EXPR_SLE;
	uint64_t min = is_unsigned ? 0 : (uint64_t)INT64_MIN;
	uint64_t max = is_unsigned ? UINT64_MAX : INT64_MAX;

	if (!x || !low || !high)
		return NULL;
	if (x->op == EXPR_FAULT || low->op == EXPR_FAULT || high->op == EXPR_FAULT)
		return expr_fault(exprs);
	if (is_constant(low, min))
		return expr_binary(exprs, le, x, high);
	if (is_constant(high, max))
		return expr_binary(exprs, le, low, x);
	if (low->op == EXPR_CONSTANT && high->op == EXPR_CONSTANT) {
		if (compute(le, low->constant, high->constant) == 0)
			return after(exprs, x, expr_constant(exprs, 0));
		/* One comparison: what lies below the range wraps to above it. */
		return expr_binary(
			exprs, EXPR_ULE,
			expr_binary(exprs, EXPR_ADD, x, expr_constant(exprs, -low->constant)),
			expr_constant(exprs, high->constant - low->constant));
	}
	return expr_make(exprs, &(Expr){.op = is_unsigned ? EXPR_UWITHIN : EXPR_SWITHIN,
					.operands = {x, low, high},
					.n_operands = 3});
}

static Expr *truth(Exprs *exprs, Expr *expr)
{
	if (!expr || expr->op == EXPR_FAULT || expr_is_truth(expr))
		return expr;
	return expr_binary(exprs, EXPR_NE, expr, expr_constant(exprs, 0));
}

Expr *expr_both(Exprs *exprs, Expr *a, Expr *b)
{
	if (!a || !b || a->op == EXPR_FAULT)
		return a && b ? a : NULL;
	if (a->op == EXPR_CONSTANT)
		return a->constant != 0 ? truth(exprs, b) : expr_constant(exprs, 0);
	if (b->op == EXPR_CONSTANT)
		return b->constant != 0 ? truth(exprs, a)
					: after(exprs, a, expr_constant(exprs, 0));
	return expr_make(exprs, &(Expr){.op = EXPR_BOTH, .operands = {a, b}, .n_operands = 2});
}

Expr *expr_either(Exprs *exprs, Expr *a, Expr *b)
{
	if (!a || !b || a->op == EXPR_FAULT)
		return a && b ? a : NULL;
	if (a->op == EXPR_CONSTANT)
		return a->constant == 0 ? truth(exprs, b) : expr_constant(exprs, 1);
	if (b->op == EXPR_CONSTANT)
		return b->constant == 0 ? truth(exprs, a)
					: after(exprs, a, expr_constant(exprs, 1));
	return expr_make(exprs, &(Expr){.op = EXPR_EITHER, .operands = {a, b}, .n_operands = 2});
}

Expr *expr_not(Exprs *exprs, Expr *operand)
{
	if (!operand || operand->op == EXPR_FAULT)
		return operand;
	switch (operand->op) {
	case EXPR_CONSTANT:
		return expr_constant(exprs, operand->constant == 0);
	case EXPR_NOT:
		return operand->operands[0];
	case EXPR_EQ:
		return expr_binary(exprs, EXPR_NE, operand->operands[0], operand->operands[1]);
	case EXPR_NE:
		return expr_binary(exprs, EXPR_EQ, operand->operands[0], operand->operands[1]);
	case EXPR_ULT:
		return expr_binary(exprs, EXPR_ULE, operand->operands[1], operand->operands[0]);
	case EXPR_ULE:
		return expr_binary(exprs, EXPR_ULT, operand->operands[1], operand->operands[0]);
	case EXPR_SLT:
		return expr_binary(exprs, EXPR_SLE, operand->operands[1], operand->operands[0]);
	case EXPR_SLE:
		return expr_binary(exprs, EXPR_SLT, operand->operands[1], operand->operands[0]);
	default:
		break;
	}
	if (!expr_is_truth(operand))
		return expr_binary(exprs, EXPR_EQ, operand, expr_constant(exprs, 0));
	return expr_make(exprs, &(Expr){.op = EXPR_NOT, .operands = {operand}, .n_operands = 1});
}

Expr *expr_if(Exprs *exprs, Expr *condition, Expr *a, Expr *b)
{
	if (!condition || !a || !b || condition->op == EXPR_FAULT)
		return condition && a && b ? condition : NULL;
	if (condition->op == EXPR_CONSTANT)
		return condition->constant != 0 ? a : b;
	if (a->number == b->number)
		return after(exprs, condition, a);
	if (is_constant(a, 1) && is_constant(b, 0))
		return truth(exprs, condition);
	if (is_constant(a, 0) && is_constant(b, 1))
		return expr_not(exprs, condition);
	return expr_make(exprs,
			 &(Expr){.op = EXPR_IF, .operands = {condition, a, b}, .n_operands = 3});
}
