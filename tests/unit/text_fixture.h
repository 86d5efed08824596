/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up program with symbols of every kind, and texts with the trees that they compile to.
 */
#ifndef UNIT_TEXT_FIXTURE_H
#define UNIT_TEXT_FIXTURE_H

#include <stddef.h>

#include <bpcond/text.h>

typedef struct TextAndTree {
	const char *text, *tree;
} TextAndTree;

/* The program's names, and three parameters, at an execution breakpoint, a data breakpoint, and (neither
 * names nor parameters) in a lent filter. */
extern const bpcond_text_scope TEXT_EXECUTE, TEXT_DATA, TEXT_LENT;

/* In the scope TEXT_EXECUTE. */
extern const TextAndTree TEXT_TREES[];
extern const size_t TEXT_N_TREES;

/* The tree of a text that has one (free()); else the test fails. */
char *text_compile(const char *text, const bpcond_text_scope *scope);

#endif
