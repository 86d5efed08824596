/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values into registers. Of two operands the one with a helper call, else the one that holds more
 * values at once, is computed first: that bounds what is put aside at any time by the logarithm of
 * the tree's size. The order is free, since either operand's fault is the whole's.
 */
#include "bpf/filter.h"
#include "condition/emitter.h"

bool fits_immediate(const Expr *expr)
{
	return expr->op == EXPR_CONSTANT && expr->constant == (uint64_t)(int32_t)expr->constant;
}

/* Whether a second computation costs more than a store and a load. */
static bool is_worth_keeping(const Expr *expr)
{
	return expr->calls || expr->cost >= 5;
}

static void alu(Emitter *e, uint8_t op, int dst, int src)
{
	assembler_emit(&e->as, BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

static void alu_constant(Emitter *e, uint8_t op, int dst, int32_t imm)
{
	assembler_emit(&e->as, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

void emit_two_values(Emitter *e, const Expr *a, const Expr *b, int prefer, unsigned int covered,
		     Value *ret_a, Value *ret_b)
{
	bool b_first = a->calls == b->calls ? b->need > a->need : b->calls;
	Value first = emit_value(e, b_first ? b : a, b_first ? ANY_REGISTER : prefer, covered);
	Held held = put_aside(e, first, b_first ? a : b);
	Value second = emit_value(e, b_first ? a : b, b_first ? prefer : ANY_REGISTER, covered);

	first = take_back(e, held);
	*ret_a = b_first ? second : first;
	*ret_b = b_first ? first : second;
}

static uint8_t alu_of(ExprOp op)
{
	switch (op) {
	case EXPR_ADD:
		return BPF_ADD;
	case EXPR_SUB:
		return BPF_SUB;
	case EXPR_MUL:
		return BPF_MUL;
	case EXPR_AND:
		return BPF_AND;
	case EXPR_OR:
		return BPF_OR;
	case EXPR_XOR:
		return BPF_XOR;
	case EXPR_SHL:
		return BPF_LSH;
	case EXPR_SHR:
		return BPF_RSH;
	case EXPR_SAR:
		return BPF_ARSH;
	case EXPR_UDIV:
	case EXPR_SDIV:
		return BPF_DIV;
	default: /* EXPR_UMOD, EXPR_SMOD */
		return BPF_MOD;
	}
}

/* reg = |reg|, as an unsigned number; `sign` gets 0 or -1. */
static void take_sign(Emitter *e, int reg, int sign)
{
	assembler_emit(&e->as, BPF_ALU64 | BPF_MOV | BPF_X, sign, reg, 0, 0);
	alu_constant(e, BPF_ARSH, sign, 63);
	alu(e, BPF_XOR, reg, sign);
	alu(e, BPF_SUB, reg, sign);
}

/* reg = sign < 0 ? -reg : reg */
static void put_sign(Emitter *e, int reg, int sign)
{
	alu(e, BPF_XOR, reg, sign);
	alu(e, BPF_SUB, reg, sign);
}

/*
 * Signed division by unsigned: BPF has its own only since Linux 6.6. INT64_MIN is its own absolute
 * value, 2^63, and the quotient 2^63 of INT64_MIN / -1 is INT64_MIN again.
 */
static void divide_signed(Emitter *e, ExprOp op, Value a, Value b)
{
	int sign_a = take_register(e, ANY_REGISTER);
	int sign_b = take_register(e, ANY_REGISTER);

	take_sign(e, a.reg, sign_a);
	take_sign(e, b.reg, sign_b);
	alu(e, alu_of(op), a.reg, b.reg);
	if (op == EXPR_SDIV)
		alu(e, BPF_XOR, sign_a, sign_b);
	put_sign(e, a.reg, sign_a);
	release_register(e, sign_a);
	release_register(e, sign_b);
}

static Value divide_by_constant(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	int32_t divisor = (int32_t)expr->operands[1]->constant;
	Value value = emit_value(e, expr->operands[0], prefer, covered);
	int sign;

	value.opaque = false;
	if (expr->op == EXPR_UDIV || expr->op == EXPR_UMOD) {
		alu_constant(e, alu_of(expr->op), value.reg, divisor);
		return value;
	}
	sign = take_register(e, ANY_REGISTER);
	take_sign(e, value.reg, sign);
	alu_constant(e, alu_of(expr->op), value.reg, divisor);
	put_sign(e, value.reg, sign);
	release_register(e, sign);
	return value;
}

static Value divide(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	const Expr *divisor = expr->operands[1];
	Value a, b;

	if (fits_immediate(divisor) && (int64_t)divisor->constant > 0) {
		e->remaining[divisor->number]--;
		return divide_by_constant(e, expr, prefer, covered);
	}
	emit_two_values(e, expr->operands[0], divisor, prefer, covered, &a, &b);
	if (divisor->op != EXPR_CONSTANT) {
		prepare_jump(e, &b, NULL);
		jump(e, BPF_JMP | BPF_JEQ | BPF_K, b.reg, 0, 0, e->fault);
	}
	if (expr->op == EXPR_SDIV || expr->op == EXPR_SMOD)
		divide_signed(e, expr->op, a, b);
	else
		alu(e, alu_of(expr->op), a.reg, b.reg);
	release_register(e, b.reg);
	return (Value){.reg = a.reg, .entangled = a.entangled || b.entangled};
}

static Value calculate(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	bool shift = expr->op == EXPR_SHL || expr->op == EXPR_SHR || expr->op == EXPR_SAR;
	const Expr *operand = expr->operands[1];
	Value a, b;

	if (fits_immediate(operand)) {
		e->remaining[operand->number]--;
		a = emit_value(e, expr->operands[0], prefer, covered);
		alu_constant(e, alu_of(expr->op), a.reg, (int32_t)operand->constant);
		a.opaque = false;
		return a;
	}
	emit_two_values(e, expr->operands[0], operand, prefer, covered, &a, &b);
	if (shift)
		alu_constant(e, BPF_AND, b.reg, 63);
	alu(e, alu_of(expr->op), a.reg, b.reg);
	release_register(e, b.reg);
	return (Value){.reg = a.reg, .entangled = a.entangled || b.entangled};
}

static Value extend(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	Value value = emit_value(e, expr->operands[0], prefer, covered);
	int unused = 64 - 8 * (int)value_type_bytes(expr->type);

	value.opaque = false;
	if (value_type_extends_sign(expr->type)) {
		alu_constant(e, BPF_LSH, value.reg, unused);
		alu_constant(e, BPF_ARSH, value.reg, unused);
	} else if (expr->type == TYPE_U32) {
		assembler_emit(&e->as, BPF_ALU | BPF_MOV | BPF_X, value.reg, value.reg, 0, 0);
	} else {
		alu_constant(e, BPF_AND, value.reg, (1 << (64 - unused)) - 1);
	}
	return value;
}

/* The filter's stack may hold what the verifier knows: entangled. */
static Value input(Emitter *e, const Expr *expr, int prefer)
{
	uint8_t unreadable = 0;

	if (expr->may_fault)
		unreadable = expr->index == offsetof(struct condition_inputs, counter)
				     ? INPUT_COUNTER_UNREADABLE
				     : INPUT_VALUE_UNREADABLE;
	if (unreadable & ~e->known.readable) {
		Value flags = {.entangled = true};

		flags.reg =
			load_from_base(e, BASE_INPUTS,
				       offsetof(struct condition_inputs, unreadable), ANY_REGISTER);
		prepare_jump(e, &flags, NULL);
		jump(e, BPF_JMP | BPF_JSET | BPF_K, flags.reg, 0, unreadable, e->fault);
		release_register(e, flags.reg);
		e->known.readable |= unreadable;
	}
	return (Value){.reg = load_from_base(e, BASE_INPUTS, expr->index, prefer),
		       .entangled = true};
}

/* A truth value as 0 or 1, made opaque: the verifier would else go on with both. */
static Value materialise(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	int yes, no, end;
	Value value = {.entangled = true};

	if (e->by_function && (expr->op == EXPR_STRING || expr->op == EXPR_BYTES))
		return emit_text_value(e, expr, covered);
	yes = new_label(e);
	no = new_label(e);
	end = new_label(e);
	emit_branch_here(e, expr, yes, no, yes, covered);
	value.reg = take_register(e, prefer);
	bind_label(e, yes);
	assembler_constant(&e->as, value.reg, 1);
	jump_always(e, end);
	bind_label(e, no);
	assembler_constant(&e->as, value.reg, 0);
	bind_label(e, end);
	make_opaque(e, &value);
	return value;
}

static Value choose(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	int yes = new_label(e), no = new_label(e), end = new_label(e);
	Value a, b;

	emit_branch(e, expr->operands[0], yes, no, yes, covered);
	bind_label(e, yes);
	a = emit_value(e, expr->operands[1], prefer, covered);
	release_register(e, a.reg);
	jump_always(e, end);
	bind_label(e, no);
	b = emit_value(e, expr->operands[2], a.reg, covered);
	if (b.reg != a.reg) {
		assembler_emit(&e->as, BPF_ALU64 | BPF_MOV | BPF_X, a.reg, b.reg, 0, 0);
		release_register(e, b.reg);
		take_register(e, a.reg);
	}
	bind_label(e, end);
	a.entangled = true;
	a.opaque = false;
	make_opaque(e, &a);
	return a;
}

static Value compute(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	Value value = {.reg = ANY_REGISTER};

	switch (expr->op) {
	case EXPR_CONSTANT:
		value.reg = take_register(e, prefer);
		assembler_constant(&e->as, value.reg, expr->constant);
		return value;
	case EXPR_FAULT:
		jump_always(e, e->fault);
		value.reg = take_register(e, prefer);
		return value;
	case EXPR_REGISTER:
		value.reg = load_from_base(e, BASE_REGISTERS, register_offset(expr->index), prefer);
		return value;
	case EXPR_PARAMETER:
		value.reg = load_from_base(e, BASE_PARAMETERS, 8 * expr->index, prefer);
		return value;
	case EXPR_INPUT:
		return input(e, expr, prefer);
	case EXPR_LOAD:
		return emit_load(e, expr, prefer, covered);
	case EXPR_EXTEND:
		return extend(e, expr, prefer, covered);
	case EXPR_NEGATE:
		value = emit_value(e, expr->operands[0], prefer, covered);
		alu_constant(e, BPF_NEG, value.reg, 0);
		value.opaque = false;
		return value;
	case EXPR_ADD:
	case EXPR_SUB:
	case EXPR_MUL:
	case EXPR_AND:
	case EXPR_OR:
	case EXPR_XOR:
	case EXPR_SHL:
	case EXPR_SHR:
	case EXPR_SAR:
		return calculate(e, expr, prefer, covered);
	case EXPR_UDIV:
	case EXPR_SDIV:
	case EXPR_UMOD:
	case EXPR_SMOD:
		return divide(e, expr, prefer, covered);
	case EXPR_IF:
		return choose(e, expr, prefer, covered);
	case EXPR_AFTER:
		value = emit_value(e, expr->operands[0], ANY_REGISTER, covered);
		release_register(e, value.reg);
		return emit_value(e, expr->operands[1], prefer, covered);
	default:
		return materialise(e, expr, prefer, covered);
	}
}

Value emit_value(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	int slot = known_slot(e, expr);
	unsigned int later;
	Value value;
	bool keep;

	if (slot != NO_SLOT) {
		pass_over(e, expr);
		value = (Value){.reg = take_register(e, prefer), .entangled = true};
		assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, value.reg, BPF_REG_10,
			       slot_offset(slot), 0);
		return value;
	}
	later = --e->remaining[expr->number];
	keep = later > covered && is_worth_keeping(expr);
	value = compute(e, expr, prefer, keep ? later : covered);
	if (keep)
		remember(e, expr, &value);
	return value;
}
