/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C's tokens: constants with C's types (C11 6.4.4), operators by the longest match. Operators that
 * conditions do not have (++ += , ->) are tokens too, so that the parser can say why.
 */
#include <ctype.h>
#include <string.h>

#include "client/text_lexer.h"

void lexer_start(Lexer *lexer, TreeArena *arena, const char *text)
{
	*lexer = (Lexer){.next = text, .line_start = text, .line = 1, .arena = arena};
}

bool token_is(const Token *token, const char *op)
{
	return token->kind == TOKEN_OPERATOR && strlen(op) == token->length &&
	       memcmp(token->start, op, token->length) == 0;
}

static TextPosition position_of(const Lexer *lexer, const char *place)
{
	return (TextPosition){lexer->line, (unsigned)(place - lexer->line_start) + 1};
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_part(char c)
{
	return is_name_start(c) || is_digit(c);
}

static void skip_blanks(Lexer *lexer)
{
	for (;; lexer->next++) {
		if (*lexer->next == '\n') {
			lexer->line++;
			lexer->line_start = lexer->next + 1;
		} else if (!strchr(" \t\r\f\v", *lexer->next) || *lexer->next == '\0') {
			return;
		}
	}
}

/* The value of a digit in bases up to 16; 16 for any other character. */
static unsigned digit_value(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* u, l, ul, lu, ll, ull, llu in either case, but not lL. Return: false for another suffix. */
static bool read_suffix(const char *suffix, size_t length, bool *ret_unsigned, bool *ret_long)
{
	bool is_unsigned = false, is_long = false;

	while (length > 0) {
		if ((*suffix == 'u' || *suffix == 'U') && !is_unsigned) {
			is_unsigned = true;
			suffix++;
			length--;
		} else if ((*suffix == 'l' || *suffix == 'L') && !is_long) {
			size_t n = length > 1 && suffix[1] == suffix[0] ? 2 : 1;

			is_long = true;
			suffix += n;
			length -= n;
		} else {
			return false;
		}
	}
	*ret_unsigned = is_unsigned;
	*ret_long = is_long;
	return true;
}

static bool looks_like_floating(const char *text, size_t length, unsigned base)
{
	if (memchr(text, '.', length))
		return true;
	if (base == 16)
		return memchr(text, 'p', length) || memchr(text, 'P', length);
	return memchr(text, 'e', length) || memchr(text, 'E', length);
}

/* The first of C's types for such a constant that holds it. Return: false if none does. */
static bool type_constant(uint64_t bits, bool decimal, bool is_unsigned, bool is_long, CType *ret)
{
	bool unsigned_too = is_unsigned || !decimal;

	if (!is_long && !is_unsigned && bits <= INT32_MAX)
		*ret = C_INT;
	else if (!is_long && unsigned_too && bits <= UINT32_MAX)
		*ret = C_UINT;
	else if (!is_unsigned && bits <= INT64_MAX)
		*ret = C_LONG;
	else if (unsigned_too)
		*ret = C_ULONG;
	else
		return false;
	return true;
}

static void read_number(Lexer *lexer, Token *token)
{
	const char *start = lexer->next, *p = start;
	bool is_unsigned, is_long, overflow = false;
	unsigned base = 10;
	size_t length;

	/* A "preprocessing number": what C takes for one constant, right or wrong. */
	while (is_name_part(*p) || *p == '.' ||
	       ((*p == '+' || *p == '-') && (p[-1] == 'e' || p[-1] == 'E') && start[1] != 'x' &&
		start[1] != 'X'))
		p++;
	length = (size_t)(p - start);
	lexer->next = p;
	token->kind = TOKEN_NUMBER;
	if (start[0] == '0' && (start[1] == 'x' || start[1] == 'X'))
		base = 16;
	else if (start[0] == '0' && (start[1] == 'b' || start[1] == 'B'))
		base = 2;
	else if (start[0] == '0')
		base = 8;
	if (base != 2 && looks_like_floating(start, length, base)) {
		tree_fail(
			lexer->arena, token->at,
			"`%.*s` is a floating-point number: conditions compute with integers only",
			(int)(length < 40 ? length : 40), start);
		return;
	}
	p = base == 16 || base == 2 ? start + 2 : start;
	if (base != 10 && base != 8 && digit_value(*p) >= base) {
		tree_fail(lexer->arena, token->at, "digits are missing after `%.2s`", start);
		return;
	}
	for (; p < start + length && digit_value(*p) < base; p++) {
		overflow = overflow || __builtin_mul_overflow(token->bits, base, &token->bits) ||
			   __builtin_add_overflow(token->bits, digit_value(*p), &token->bits);
	}
	if (!read_suffix(p, (size_t)(start + length - p), &is_unsigned, &is_long)) {
		tree_fail(
			lexer->arena, position_of(lexer, p),
			is_digit(*p)
				? "`%.*s` is no digit in base %u: write 0x before hexadecimal, no "
				  "0 before decimal numbers"
				: "`%.*s` cannot follow a number (base %u): suffixes are u, l, "
				  "ul, ll and ull",
			is_digit(*p) ? 1 : (int)(start + length - p > 20 ? 20 : start + length - p),
			p, base);
		return;
	}
	if (overflow || !type_constant(token->bits, base == 10, is_unsigned, is_long, &token->type))
		tree_fail(lexer->arena, token->at,
			  overflow ? "this number does not fit 64 bits"
				   : "this number does not fit a long: append u, or write it in "
				     "hexadecimal, for an unsigned long");
}

/* One character of a constant or string, escape sequences decoded. Return: its byte; -1 after a mistake,
 * which is recorded. */
static int read_character(Lexer *lexer)
{
	static const char ESCAPES[] = "n\nt\tr\ra\ab\bf\fv\ve\033\\\\'\'\"\"?\?";
	const char *at = lexer->next;
	unsigned value = 0, n = 0;

	if (*lexer->next != '\\')
		return (unsigned char)*lexer->next++;
	lexer->next++;
	if (*lexer->next == 'x') {
		lexer->next++;
		for (; digit_value(*lexer->next) < 16 && value < 256; n++)
			value = value * 16 + digit_value(*lexer->next++);
		if (n == 0 || value > 255) {
			tree_fail(lexer->arena, position_of(lexer, at),
				  "\\x takes one or two hexadecimal digits here, for one byte");
			return -1;
		}
		return (int)value;
	}
	if (digit_value(*lexer->next) < 8) {
		for (; n < 3 && digit_value(*lexer->next) < 8; n++)
			value = value * 8 + digit_value(*lexer->next++);
		if (value > 255) {
			tree_fail(lexer->arena, position_of(lexer, at),
				  "an octal escape is at most \\377, one byte");
			return -1;
		}
		return (int)value;
	}
	for (size_t i = 0; i + 1 < sizeof(ESCAPES); i += 2) {
		if (*lexer->next == ESCAPES[i]) {
			lexer->next++;
			return (unsigned char)ESCAPES[i + 1];
		}
	}
	tree_fail(lexer->arena, position_of(lexer, at),
		  "unknown escape: use \\n \\t \\r \\0 \\\\ \\\" \\' or \\xHH");
	return -1;
}

static bool ends_early(const Lexer *lexer)
{
	return *lexer->next == '\0' || *lexer->next == '\n';
}

static void read_character_constant(Lexer *lexer, Token *token)
{
	int c;

	lexer->next++;
	token->kind = TOKEN_NUMBER;
	token->type = C_INT;
	if (ends_early(lexer) || *lexer->next == '\'') {
		tree_fail(lexer->arena, token->at,
			  "a character constant is one character in quotes, as 'a' or '\\n'");
		return;
	}
	c = read_character(lexer);
	if (c < 0)
		return;
	if (*lexer->next != '\'') {
		tree_fail(lexer->arena, token->at,
			  "a character constant is one byte in single quotes; for a string use "
			  "streq(ADDRESS, \"text\")");
		return;
	}
	lexer->next++;
	token->bits = (uint64_t)(signed char)c;
}

/* The text in quotes at lexer->next; appends to token->string, which has room. */
static bool read_string_part(Lexer *lexer, Token *token)
{
	lexer->next++;
	while (*lexer->next != '"') {
		int c;

		if (ends_early(lexer)) {
			tree_fail(lexer->arena, token->at,
				  "this string does not end: close it with \" on the same line");
			return false;
		}
		c = read_character(lexer);
		if (c < 0)
			return false;
		token->string[token->string_length++] = (char)c;
	}
	lexer->next++;
	return true;
}

/* A string, and those that follow it: C joins them. */
static void read_string(Lexer *lexer, Token *token)
{
	token->kind = TOKEN_STRING;
	token->string = tree_allocate(lexer->arena, strlen(lexer->next) + 1);
	if (!token->string)
		return;
	do {
		if (!read_string_part(lexer, token))
			return;
		skip_blanks(lexer);
	} while (*lexer->next == '"');
}

static void read_operator(Lexer *lexer, Token *token)
{
	static const char *const OPERATORS[] = {
		"<<=", ">>=", "...", "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "++", "--",
		"->",  "+=",  "-=",  "*=", "/=", "%=", "&=", "|=", "^=", "::", "//", "/*",
	};
	char c = *lexer->next;

	token->kind = TOKEN_OPERATOR;
	for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(OPERATORS[0]); i++) {
		token->length = strlen(OPERATORS[i]);
		if (strncmp(lexer->next, OPERATORS[i], token->length) == 0) {
			lexer->next += token->length;
			return;
		}
	}
	token->length = 1;
	lexer->next++;
	if (!strchr("+-*/%&|^~!<>=?:()[]{},.;", c)) {
		if (isprint((unsigned char)c))
			tree_fail(lexer->arena, token->at, "`%c` means nothing in a condition", c);
		else
			tree_fail(lexer->arena, token->at,
				  "the byte 0x%02x means nothing in a condition: only strings may "
				  "hold "
				  "more than ASCII",
				  (unsigned char)c);
	}
}

static void read_dollar_name(Lexer *lexer, Token *token)
{
	token->kind = TOKEN_DOLLAR_NAME;
	token->start = ++lexer->next;
	while (is_name_part(*lexer->next))
		lexer->next++;
	token->length = (size_t)(lexer->next - token->start);
	if (token->length == 0)
		tree_fail(lexer->arena, token->at,
			  "a register or variable name follows $, as $rdi or $_tid; in a shell put "
			  "the "
			  "condition in single quotes");
}

Token lexer_read(Lexer *lexer)
{
	Token token = {.kind = TOKEN_END};

	skip_blanks(lexer);
	token.at = position_of(lexer, lexer->next);
	token.start = lexer->next;
	if (lexer->arena->failure != 0 || *lexer->next == '\0')
		return token;
	if (is_digit(*lexer->next) || (*lexer->next == '.' && is_digit(lexer->next[1]))) {
		read_number(lexer, &token);
	} else if (is_name_start(*lexer->next)) {
		token.kind = TOKEN_NAME;
		while (is_name_part(*lexer->next))
			lexer->next++;
	} else if (*lexer->next == '$') {
		read_dollar_name(lexer, &token);
	} else if (*lexer->next == '\'') {
		read_character_constant(lexer, &token);
	} else if (*lexer->next == '"') {
		read_string(lexer, &token);
	} else {
		read_operator(lexer, &token);
	}
	if (token.kind == TOKEN_NAME || token.kind == TOKEN_NUMBER)
		token.length = (size_t)(lexer->next - token.start);
	if (lexer->arena->failure != 0)
		token.kind = TOKEN_END;
	return token;
}
