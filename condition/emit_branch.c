/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Truth values as jumps: `and`, `or` and `!` cost no instruction of their own, and what short-circuit
 * leaves out is not run.
 */
#include "condition/emitter.h"

/* Jumps to `yes` if the jump operation holds, else to `no`, one of which comes next. */
static void jump_either(Emitter *e, uint8_t op, uint8_t inverse, int a, int b, int32_t imm, int yes,
			int no, int next)
{
	uint8_t source = b >= 0 ? BPF_X : BPF_K;

	if (next == yes)
		jump(e, BPF_JMP | inverse | source, a, b >= 0 ? b : 0, imm, no);
	else
		jump(e, BPF_JMP | op | source, a, b >= 0 ? b : 0, imm, yes);
}

typedef struct JumpOps {
	uint8_t op, inverse;
	uint8_t swapped, swapped_inverse; /* with the operands exchanged */
} JumpOps;

static JumpOps jump_ops(ExprOp op)
{
	switch (op) {
	case EXPR_EQ:
		return (JumpOps){BPF_JEQ, BPF_JNE, BPF_JEQ, BPF_JNE};
	case EXPR_NE:
		return (JumpOps){BPF_JNE, BPF_JEQ, BPF_JNE, BPF_JEQ};
	case EXPR_ULT:
		return (JumpOps){BPF_JLT, BPF_JGE, BPF_JGT, BPF_JLE};
	case EXPR_ULE:
		return (JumpOps){BPF_JLE, BPF_JGT, BPF_JGE, BPF_JLT};
	case EXPR_SLT:
		return (JumpOps){BPF_JSLT, BPF_JSGE, BPF_JSGT, BPF_JSLE};
	default: /* EXPR_SLE */
		return (JumpOps){BPF_JSLE, BPF_JSGT, BPF_JSGE, BPF_JSLT};
	}
}

static void compare(Emitter *e, const Expr *expr, int yes, int no, int next, unsigned int covered)
{
	const Expr *a = expr->operands[0], *b = expr->operands[1];
	JumpOps ops = jump_ops(expr->op);
	Value x, y;

	if (fits_immediate(a)) {
		e->remaining[a->number]--;
		y = emit_value(e, b, ANY_REGISTER, covered);
		prepare_jump(e, &y, NULL);
		jump_either(e, ops.swapped, ops.swapped_inverse, y.reg, -1, (int32_t)a->constant,
			    yes, no, next);
		release_register(e, y.reg);
		return;
	}
	if (fits_immediate(b)) {
		e->remaining[b->number]--;
		x = emit_value(e, a, ANY_REGISTER, covered);
		prepare_jump(e, &x, NULL);
		jump_either(e, ops.op, ops.inverse, x.reg, -1, (int32_t)b->constant, yes, no, next);
		release_register(e, x.reg);
		return;
	}
	emit_two_values(e, a, b, ANY_REGISTER, covered, &x, &y);
	prepare_jump(e, &x, &y);
	jump_either(e, ops.op, ops.inverse, x.reg, y.reg, 0, yes, no, next);
	release_register(e, x.reg);
	release_register(e, y.reg);
}

/* Three operands, computed as two and one; see emit_two_values() on the order. */
static void within(Emitter *e, const Expr *expr, int yes, int no, int next, unsigned int covered)
{
	bool is_unsigned = expr->op == EXPR_UWITHIN;
	Value values[3];
	Held held[3];
	int order[3] = {0, 1, 2};

	for (int i = 0; i < 3; i++)
		for (int j = i + 1; j < 3; j++) {
			const Expr *a = expr->operands[order[i]], *b = expr->operands[order[j]];
			int swap = order[i];

			if (a->calls == b->calls ? b->need > a->need : b->calls) {
				order[i] = order[j];
				order[j] = swap;
			}
		}
	for (int i = 0; i < 3; i++) {
		values[i] = emit_value(e, expr->operands[order[i]], ANY_REGISTER, covered);
		if (i < 2)
			held[i] = put_aside(e, values[i], expr->operands[order[i + 1]]);
	}
	for (int i = 1; i >= 0; i--)
		values[i] = take_back(e, held[i]);

	Value x = {0}, low = {0}, high = {0};

	for (int i = 0; i < 3; i++)
		*(order[i] == 0 ? &x : order[i] == 1 ? &low : &high) = values[i];
	if (x.entangled || low.entangled || high.entangled) {
		make_opaque(e, &x);
		make_opaque(e, &low);
		make_opaque(e, &high);
	}
	jump(e, BPF_JMP | BPF_X | (is_unsigned ? BPF_JLT : BPF_JSLT), x.reg, low.reg, 0, no);
	jump_either(e, is_unsigned ? BPF_JLE : BPF_JSLE, is_unsigned ? BPF_JGT : BPF_JSGT, x.reg,
		    high.reg, 0, yes, no, next);
	for (int i = 0; i < 3; i++)
		release_register(e, values[i].reg);
}

static void test_value(Emitter *e, const Expr *expr, int yes, int no, int next,
		       unsigned int covered)
{
	Value value = emit_value(e, expr, ANY_REGISTER, covered);

	prepare_jump(e, &value, NULL);
	jump_either(e, BPF_JNE, BPF_JEQ, value.reg, -1, 0, yes, no, next);
	release_register(e, value.reg);
}

void emit_branch_here(Emitter *e, const Expr *expr, int yes, int no, int next, unsigned int covered)
{
	int middle, other;

	switch (expr->op) {
	case EXPR_EQ:
	case EXPR_NE:
	case EXPR_ULT:
	case EXPR_ULE:
	case EXPR_SLT:
	case EXPR_SLE:
		compare(e, expr, yes, no, next, covered);
		return;
	case EXPR_UWITHIN:
	case EXPR_SWITHIN:
		within(e, expr, yes, no, next, covered);
		return;
	case EXPR_BOTH:
		middle = new_label(e);
		emit_branch(e, expr->operands[0], middle, no, middle, covered);
		bind_label(e, middle);
		emit_branch(e, expr->operands[1], yes, no, next, covered);
		return;
	case EXPR_EITHER:
		middle = new_label(e);
		emit_branch(e, expr->operands[0], yes, middle, middle, covered);
		bind_label(e, middle);
		emit_branch(e, expr->operands[1], yes, no, next, covered);
		return;
	case EXPR_NOT:
		emit_branch(e, expr->operands[0], no, yes, next, covered);
		return;
	case EXPR_STRING:
	case EXPR_BYTES:
		emit_text_branch(e, expr, yes, no, next, covered);
		return;
	case EXPR_IF:
		middle = new_label(e);
		other = new_label(e);
		emit_branch(e, expr->operands[0], middle, other, middle, covered);
		bind_label(e, middle);
		emit_branch(e, expr->operands[1], yes, no, yes, covered);
		jump_always(e, yes);
		bind_label(e, other);
		emit_branch(e, expr->operands[2], yes, no, next, covered);
		return;
	case EXPR_AFTER:
		release_register(e, emit_value(e, expr->operands[0], ANY_REGISTER, covered).reg);
		emit_branch(e, expr->operands[1], yes, no, next, covered);
		return;
	case EXPR_CONSTANT:
		if ((expr->constant != 0) != (next == yes))
			jump_always(e, expr->constant != 0 ? yes : no);
		return;
	case EXPR_FAULT:
		jump_always(e, e->fault);
		return;
	default:
		return; /* a number: emit_branch() tests it */
	}
}

/* A truth value that is kept for later, rather than computed twice. */
static bool is_worth_materialising(const Expr *expr)
{
	switch (expr->op) {
	case EXPR_STRING:
	case EXPR_BYTES:
		return true;
	case EXPR_BOTH:
	case EXPR_EITHER:
		return expr->calls;
	default:
		return false;
	}
}

void emit_branch(Emitter *e, const Expr *expr, int yes, int no, int next, unsigned int covered)
{
	bool is_number = expr->op < EXPR_EQ && expr->op != EXPR_CONSTANT && expr->op != EXPR_FAULT;

	if (is_number || known_slot(e, expr) != NO_SLOT ||
	    (is_worth_materialising(expr) && e->remaining[expr->number] - 1 > covered)) {
		test_value(e, expr, yes, no, next, covered);
		return;
	}
	e->remaining[expr->number]--;
	emit_branch_here(e, expr, yes, no, next, covered);
}
