/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of a condition in text: C's tokens, and gdb's $names. The text may hold anything; it ends at
 * its first NUL.
 */
#ifndef CLIENT_TEXT_LEXER_H
#define CLIENT_TEXT_LEXER_H

#include "client/text_tree.h"
#include "client/text_types.h"

enum {
	TEXT_MAX_BYTES = 32768,
};

typedef enum TokenKind {
	TOKEN_END,
	TOKEN_NAME,        /* identifier, also of a type */
	TOKEN_DOLLAR_NAME, /* `start` is behind the $ */
	TOKEN_NUMBER,      /* integer or character constant: `bits` and `type` */
	TOKEN_STRING,      /* `string`, decoded */
	TOKEN_OPERATOR,    /* its characters */
} TokenKind;

typedef struct Token {
	TokenKind kind;
	TextPosition at;
	const char *start;
	size_t length;
	uint64_t bits;
	CType type;
	char *string; /* in the arena; `string_length` bytes and a NUL */
	size_t string_length;
} Token;

typedef struct Lexer {
	const char *next;
	const char *line_start;
	unsigned line;
	TreeArena *arena;
} Lexer;

void lexer_start(Lexer *lexer, TreeArena *arena, const char *text);
/* Reads the next token. After a mistake, recorded in the arena, it is TOKEN_END. */
Token lexer_read(Lexer *lexer);

bool token_is(const Token *token, const char *op);

#endif
