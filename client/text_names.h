/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names that conditions in text know without the program: registers with gdb's names and types,
 * variables, and functions.
 */
#ifndef CLIENT_TEXT_NAMES_H
#define CLIENT_TEXT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "client/text_types.h"

typedef struct TextRegister {
	const char *name; /* the tree's */
	TreeType type;    /* the tree's */
	CType c_type;     /* gdb's */
} TextRegister;

/* A variable of the tree: $_tid, … */
typedef struct TextVariable {
	const char *name; /* the tree's: tid */
	CType c_type;
	Range range;
	bool for_data; /* data breakpoints only */
	bool for_lent; /* lent filters only */
} TextVariable;

/* Functions of the text form. */
typedef struct TextFunction {
	const char *name;
	TreeOp op;
	const char *usage;
} TextFunction;

/* `name` without the $; not terminated by NUL. Return: NULL when there is none. */
const TextRegister *text_register_find(const char *name, size_t length);
/* `name` as in the tree. */
const TextVariable *text_variable_find(const char *name, size_t length);
const TextFunction *text_function_find(const char *name, size_t length);
/* The i-th function, in the table's order; NULL behind the last. */
const TextFunction *text_function_at(size_t i);

/* What the user may have meant by an unknown $name, without the $; or NULL. The string
 * lives for ever. */
const char *text_nearest_dollar_name(const char *name, size_t length);
const char *text_nearest_function(const char *name, size_t length);

#endif
