/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A condition in text to a tree, in one pass: each operator of the text calls its function of
 * text_value.h. The parts of the parser, which share this state, are expressions (text_parser.c) and
 * what they are made of: names, constants, calls (text_primary.c).
 */
#ifndef CLIENT_TEXT_PARSER_H
#define CLIENT_TEXT_PARSER_H

#include "client/text_lexer.h"
#include "client/text_value.h"

enum {
	/* Of parentheses, unary operators, conditionals: bounds the parser's own stack. */
	TEXT_MAX_DEPTH = 256,
};

typedef struct Parser {
	TreeArena *arena;
	const bpcond_text_scope *scope;
	Lexer lexer;
	Token token; /* the one that is next */
	unsigned depth;
} Parser;

/* Return: the value; its node is NULL after a mistake. */
Value text_parse(TreeArena *arena, const char *text, const bpcond_text_scope *scope);

/* Parts of the parser for each other. */
void parser_advance(Parser *parser);
/* Takes the operator or records what is wrong. Return: whether it was there. */
bool parser_expect(Parser *parser, const char *op, const char *what_for);
Value parser_conditional(Parser *parser);
/* A name, constant, call or parenthesis. `for_address`: below &, where anything in memory will do. */
Value parser_primary(Parser *parser, bool for_address);
/* Whether a type name begins at the token. */
bool parser_at_type(const Parser *parser, const Token *token);
/* Records what is wrong with a token that cannot stand where it does. */
void parser_reject_token(Parser *parser);

#endif
