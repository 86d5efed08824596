/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the folding constructors of expr.c keep what they end up with.
 */
#ifndef CONDITION_EXPR_MAKE_H
#define CONDITION_EXPR_MAKE_H

#include "condition/expr.h"

/* Keeps a copy of a finished expression, numbered and costed, for exprs_clear() to free. Return: NULL: out
 * of memory, which exprs->out_of_memory says too. */
Expr *expr_make(Exprs *exprs, const Expr *from);

#endif
