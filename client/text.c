/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Conditions as people write them: C's expressions over registers, memory, parameters and the program's
 * symbols, to and from the JSON tree that the daemon takes. The daemon trusts none of this: a client that
 * gets C's rules wrong has another condition, never more rights.
 *
 *	text	text_lexer.c -> text_parser.c, text_primary.c		words, grammar
 *	 |	text_types.c, text_value.c				C's types and operators
 *	tree	text_tree.c, text_range.c, text_names.c			the daemon's language
 *	 |	text_json.c						as JSON
 *	text	text_print.c						and back, by the same operators
 */
#include <errno.h>

#include "client/text_parser.h"
#include "client/text_print.h"

int bpcond_condition_from_text(const char *text, const bpcond_text_scope *scope, char **ret_json,
			       bpcond_text_error *error)
{
	bpcond_text_error ignored;
	TreeArena arena = {.error = error ? error : &ignored};
	Value value = text_parse(&arena, text, scope);
	TreeNode *node = value_settled(&arena, value);
	int r = arena.failure;

	if (r == 0)
		r = tree_to_json(node, ret_json);
	tree_free(&arena);
	return r;
}

int bpcond_condition_to_text(const char *json, char **ret_text)
{
	bpcond_text_error ignored;
	TreeArena arena = {.error = &ignored};
	TreeNode *node;
	int r;

	r = tree_from_json(&arena, json, &node);
	if (r == 0)
		r = text_print(&arena, node, ret_text);
	tree_free(&arena);
	return r;
}
