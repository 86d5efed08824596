/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is true of every expression, however it came to be: who owns it, the number that equal ones
 * share, and what it costs to compute, which decides the order of operands.
 */
#include <stdlib.h>
#include <string.h>

#include "condition/expr_make.h"

void exprs_clear(Exprs *exprs)
{
	while (exprs->made) {
		Expr *expr = exprs->made;

		exprs->made = expr->next_made;
		free(expr);
	}
	memset(exprs, 0, sizeof(*exprs));
}

static bool is_comparison(ExprOp op)
{
	return op >= EXPR_EQ && op <= EXPR_SLE;
}

bool expr_is_truth(const Expr *expr)
{
	switch (expr->op) {
	case EXPR_CONSTANT:
		return expr->constant <= 1;
	case EXPR_UWITHIN:
	case EXPR_SWITHIN:
	case EXPR_BOTH:
	case EXPR_EITHER:
	case EXPR_NOT:
	case EXPR_STRING:
	case EXPR_BYTES:
		return true;
	case EXPR_IF:
		return expr_is_truth(expr->operands[1]) && expr_is_truth(expr->operands[2]);
	case EXPR_AFTER:
		return expr_is_truth(expr->operands[1]);
	default:
		return is_comparison(expr->op);
	}
}

static bool equal(const Expr *a, const Expr *b)
{
	if (a->op != b->op || a->type != b->type || a->constant != b->constant ||
	    a->index != b->index || a->n_text != b->n_text || a->n_operands != b->n_operands)
		return false;
	for (unsigned int i = 0; i < a->n_operands; i++)
		if (a->operands[i]->number != b->operands[i]->number)
			return false;
	return a->n_text == 0 || memcmp(a->text, b->text, a->n_text) == 0;
}

static unsigned int hash(const Expr *expr)
{
	uint64_t h = expr->op * 31 + expr->type;

	h = h * 0x9e3779b97f4a7c15 + expr->constant;
	h = h * 0x9e3779b97f4a7c15 + expr->index;
	h = h * 0x9e3779b97f4a7c15 + expr->n_text;
	for (unsigned int i = 0; i < expr->n_operands; i++)
		h = h * 0x9e3779b97f4a7c15 + expr->operands[i]->number;
	return (h * 0x9e3779b97f4a7c15) >> 56;
}

static void give_number(Exprs *exprs, Expr *expr)
{
	Expr **bucket = &exprs->buckets[hash(expr)];

	for (Expr *other = *bucket; other; other = other->next_bucket) {
		if (equal(expr, other)) {
			expr->number = other->number;
			return;
		}
	}
	expr->number = exprs->n_numbers++;
	expr->next_bucket = *bucket;
	*bucket = expr;
}

static unsigned int own_cost(ExprOp op)
{
	switch (op) {
	case EXPR_LOAD:
		return 10;
	case EXPR_STRING:
	case EXPR_BYTES:
		return 20;
	case EXPR_SDIV:
	case EXPR_SMOD:
		return 12;
	case EXPR_UDIV:
	case EXPR_UMOD:
	case EXPR_EXTEND:
		return 2;
	case EXPR_CONSTANT:
	case EXPR_AFTER:
	case EXPR_FAULT:
		return 0;
	default:
		return is_comparison(op) || op >= EXPR_UWITHIN ? 4 : 1;
	}
}

/* How many values are held at once: the operand that holds more is computed first. */
static unsigned int held(const Expr *expr)
{
	unsigned int needs[3] = {0, 0, 0}, most = 0;

	for (unsigned int i = 0; i < expr->n_operands; i++)
		needs[i] = expr->operands[i]->need;
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int j = i + 1; j < 3; j++) {
			unsigned int swap = needs[i];

			if (needs[j] > needs[i]) {
				needs[i] = needs[j];
				needs[j] = swap;
			}
		}
	switch (expr->op) {
	case EXPR_BOTH:
	case EXPR_EITHER:
	case EXPR_IF:
	case EXPR_AFTER:
		return needs[0];
	default:
		for (unsigned int i = 0; i < expr->n_operands; i++)
			if (needs[i] + i > most)
				most = needs[i] + i;
		return most > 0 ? most : 1;
	}
}

Expr *expr_make(Exprs *exprs, const Expr *from)
{
	Expr *expr = malloc(sizeof(*expr));

	if (!expr) {
		exprs->out_of_memory = true;
		return NULL;
	}
	*expr = *from;
	expr->next_bucket = NULL;
	expr->next_made = exprs->made;
	exprs->made = expr;
	expr->cost = own_cost(expr->op);
	for (unsigned int i = 0; i < expr->n_operands; i++) {
		expr->cost += expr->operands[i]->cost;
		expr->may_fault |= expr->operands[i]->may_fault;
		expr->calls |= expr->operands[i]->calls;
	}
	expr->need = held(expr);
	give_number(exprs, expr);
	return expr;
}
