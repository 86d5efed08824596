/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expressions of C by recursive descent, binary operators by precedence. What C has and a condition
 * cannot have (assignment, ++, calls, members, comma) is recognised, to say what to write instead.
 */
#include <stdio.h>
#include <string.h>

#include "client/text_parser.h"

static const Value FAILED;

void parser_advance(Parser *parser)
{
	parser->token = lexer_read(&parser->lexer);
}

/* The token as it is shown in messages. */
static void token_text(const Token *token, char *ret, size_t size)
{
	int length = token->length < 32 ? (int)token->length : 32;

	switch (token->kind) {
	case TOKEN_END:
		snprintf(ret, size, "the end of the condition");
		return;
	case TOKEN_STRING:
		snprintf(ret, size, "a string");
		return;
	case TOKEN_DOLLAR_NAME:
		snprintf(ret, size, "`$%.*s`", length, token->start);
		return;
	default:
		snprintf(ret, size, "`%.*s`", length, token->start);
	}
}

bool parser_expect(Parser *parser, const char *op, const char *what_for)
{
	char text[64];

	if (token_is(&parser->token, op)) {
		parser_advance(parser);
		return true;
	}
	if (token_is(&parser->token, ",") || token_is(&parser->token, "=")) {
		parser_reject_token(parser);
		return false;
	}
	token_text(&parser->token, text, sizeof(text));
	tree_fail(parser->arena, parser->token.at, "`%s` is missing %s, before %s", op, what_for,
		  text);
	return false;
}

static bool name_is(const Token *token, const char *name)
{
	return strlen(name) == token->length && memcmp(token->start, name, token->length) == 0;
}

static const struct {
	const char *op;
	const char *message;
} REJECTED[] = {
	{"=", "`=` would assign: write `==` to compare"},
	{",", "the comma operator is not part of conditions: join tests with && or ||"},
	{"++", "`++` would change something: a condition only looks; write `+ 1`"},
	{"--", "`--` would change something: a condition only looks; write `- 1`"},
	{"+=", "`+=` would assign: a condition only looks; write `+`"},
	{"-=", "`-=` would assign: a condition only looks; write `-`"},
	{"*=", "`*=` would assign: a condition only looks; write `*`"},
	{"/=", "`/=` would assign: a condition only looks; write `/`"},
	{"%=", "`%=` would assign: a condition only looks; write `%`"},
	{"&=", "`&=` would assign: a condition only looks; write `&`"},
	{"|=", "`|=` would assign: a condition only looks; write `|`"},
	{"^=", "`^=` would assign: a condition only looks; write `^`"},
	{"<<=", "`<<=` would assign: a condition only looks; write `<<`, or `<=` to compare"},
	{">>=", "`>>=` would assign: a condition only looks; write `>>`, or `>=` to compare"},
	{".", "members of structures are not known here: write *(int *)((char *)&NAME + OFFSET)"},
	{"->",
	 "members of structures are not known here: write *(int *)((char *)POINTER + OFFSET)"},
	{"::", "names with :: are known only with a process, as shop::limit: else write *(int "
	       "*)ADDRESS"},
	{"//", "a condition has no comments: leave this out"},
	{"/*", "a condition has no comments: leave this out"},
	{";", "a condition is one expression: leave the semicolon out"},
	{"{", "`{` begins a JSON tree or a block: here an expression is wanted, as $rdi == 500"},
	{"]", "this `]` closes nothing: remove it or open it with ["},
	{")", "this `)` closes nothing: remove it or open it with ("},
	{":", "this `:` has no `?` before it: write CONDITION ? VALUE : VALUE"},
};

void parser_reject_token(Parser *parser)
{
	const Token *token = &parser->token;
	char text[64];

	for (size_t i = 0; i < sizeof(REJECTED) / sizeof(REJECTED[0]); i++)
		if (token_is(token, REJECTED[i].op))
			tree_fail(parser->arena, token->at, "%s", REJECTED[i].message);
	if (token->kind == TOKEN_NAME && (name_is(token, "and") || name_is(token, "or")))
		tree_fail(parser->arena, token->at, "`%.*s` is written `%s` here",
			  (int)token->length, token->start, token->length == 3 ? "&&" : "||");
	token_text(token, text, sizeof(text));
	tree_fail(parser->arena, token->at,
		  token->kind == TOKEN_OPERATOR ? "%s cannot stand here"
						: "an operator is missing before %s, as == or &&",
		  text);
}

/* Bounds recursion. Return: false, with the mistake recorded, when it is too deep. */
static bool enter(Parser *parser)
{
	if (++parser->depth <= TEXT_MAX_DEPTH)
		return true;
	tree_fail(parser->arena, parser->token.at,
		  "the condition is nested too deeply: the daemon takes at most 32 levels");
	return false;
}

static bool is_word_of_type(const Token *token)
{
	CTypeWords words = {0};

	return token->kind == TOKEN_NAME && c_type_word(&words, token->start, token->length);
}

bool parser_at_type(const Parser *parser, const Token *token)
{
	if (token->kind != TOKEN_NAME)
		return false;
	/* A declared parameter hides a typedef name of the same spelling. */
	for (size_t i = 0; i < parser->scope->n_parameters; i++)
		if (name_is(token, parser->scope->parameters[i]))
			return false;
	return is_word_of_type(token) || c_is_foreign_type_word(token->start, token->length);
}

/* A type name up to the `)`, which is taken too. Return: false after a mistake. */
static bool parse_type(Parser *parser, CType *ret)
{
	TextPosition at = parser->token.at;
	CTypeWords words = {0};
	unsigned stars = 0;

	for (; parser->token.kind == TOKEN_NAME; parser_advance(parser)) {
		const Token *token = &parser->token;

		if (c_is_foreign_type_word(token->start, token->length)) {
			tree_fail(parser->arena, token->at,
				  "`%.*s` is no integer type: conditions compute with integers and "
				  "pointers to them",
				  (int)token->length, token->start);
			return false;
		}
		if (!c_type_word(&words, token->start, token->length)) {
			tree_fail(parser->arena, token->at,
				  "`%.*s` is no known type: use C's integer types and pointers to "
				  "them",
				  token->length < 40 ? (int)token->length : 40, token->start);
			return false;
		}
	}
	if (!c_type_from_words(&words, ret)) {
		tree_fail(parser->arena, at,
			  "these words name no type of C: use for instance int, unsigned char, "
			  "long or "
			  "uint32_t");
		return false;
	}
	for (;; parser_advance(parser)) {
		CTypeWords qualifier = {0};

		if (token_is(&parser->token, "*"))
			stars++;
		else if (parser->token.kind != TOKEN_NAME ||
			 !c_type_word(&qualifier, parser->token.start, parser->token.length) ||
			 qualifier.n_qualifier == 0)
			break;
	}
	if (stars > C_MAX_POINTERS) {
		tree_fail(parser->arena, at, "more than %d levels of pointers", C_MAX_POINTERS);
		return false;
	}
	ret->pointers = (unsigned char)stars;
	if (token_is(&parser->token, "(") || token_is(&parser->token, "[")) {
		tree_fail(
			parser->arena, parser->token.at,
			"function and array types are not known here: cast to an integer type or a "
			"pointer to one, as (int *)");
		return false;
	}
	return parser_expect(parser, ")", "after the type");
}

/* Whether `(` and a type name come next. */
static bool at_parenthesised_type(Parser *parser)
{
	Lexer ahead = parser->lexer;
	Token next;

	if (!token_is(&parser->token, "("))
		return false;
	next = lexer_read(&ahead);
	return parser_at_type(parser, &next);
}

static Value parse_cast(Parser *parser, bool for_address);

static Value parse_index(Parser *parser, Value array)
{
	TextPosition at = parser->token.at;
	Value index;

	parser_advance(parser);
	index = parser_conditional(parser);
	if (!parser_expect(parser, "]", "after the index"))
		return FAILED;
	if (!array.node || !index.node)
		return FAILED;
	if (!c_is_pointer(array.type) && !c_is_pointer(index.type)) {
		tree_fail(parser->arena, at,
			  "[ ] needs a pointer before it: cast, as ((int *)$rsi)[3]");
		return FAILED;
	}
	return value_at(parser->arena, value_binary(parser->arena, TREE_ADD, array, index, at), at);
}

static Value parse_postfix(Parser *parser, bool for_address)
{
	Value value = parser_primary(parser, for_address);

	while (value.node && parser->arena->failure == 0) {
		if (token_is(&parser->token, "[")) {
			value = parse_index(parser, value);
		} else if (token_is(&parser->token, "(")) {
			tree_fail(parser->arena, parser->token.at,
				  "a condition cannot call the program's functions: compare their "
				  "arguments ($rdi, $rsi, …) or memory instead");
		} else if (token_is(&parser->token, "++") || token_is(&parser->token, "--") ||
			   token_is(&parser->token, ".") || token_is(&parser->token, "->")) {
			parser_reject_token(parser);
		} else {
			return value;
		}
	}
	return FAILED;
}

static Value parse_sizeof(Parser *parser)
{
	TextPosition at = parser->token.at;
	unsigned size;

	parser_advance(parser);
	if (at_parenthesised_type(parser)) {
		CType type;

		parser_advance(parser);
		if (!parse_type(parser, &type))
			return FAILED;
		size = c_size(type);
	} else {
		Value operand = parse_cast(parser, true);

		if (!operand.node)
			return FAILED;
		size = operand.is_array ? 0 : c_size(operand.type);
		if (!operand.is_array && size == 0 && operand.type.extent > 0)
			size = (unsigned)operand.type.extent;
	}
	if (size == 0) {
		tree_fail(parser->arena, at,
			  "the size of this is not known here: write the number of bytes");
		return FAILED;
	}
	return value_constant(parser->arena, size, C_ULONG);
}

static Value parse_unary(Parser *parser, bool for_address)
{
	static const struct {
		const char *text;
		TreeOp op;
	} OPERATORS[] = {
		{"-", TREE_SUBTRACT},
		{"~", TREE_BIT_NOT},
		{"!", TREE_NOT},
		{"+", TREE_ADD},
	};
	Token token = parser->token;

	for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(OPERATORS[0]); i++) {
		if (token_is(&token, OPERATORS[i].text)) {
			parser_advance(parser);
			return value_unary(parser->arena, OPERATORS[i].op,
					   parse_cast(parser, false), token.at);
		}
	}
	if (token_is(&token, "*")) {
		parser_advance(parser);
		return value_at(parser->arena, parse_cast(parser, false), token.at);
	}
	if (token_is(&token, "&")) {
		parser_advance(parser);
		return value_address(parser->arena, parse_cast(parser, true), token.at);
	}
	if (token_is(&token, "&&")) {
		tree_fail(parser->arena, token.at, "an operand is missing before `&&`");
		return FAILED;
	}
	if (token.kind == TOKEN_NAME && name_is(&token, "sizeof"))
		return parse_sizeof(parser);
	return parse_postfix(parser, for_address);
}

static Value parse_cast(Parser *parser, bool for_address)
{
	TextPosition at = parser->token.at;
	Value value = FAILED;
	CType type;

	if (!enter(parser))
		return FAILED;
	if (!at_parenthesised_type(parser)) {
		value = parse_unary(parser, for_address);
		parser->depth--;
		return value;
	}
	parser_advance(parser);
	if (parse_type(parser, &type)) {
		if (c_size(type) == 0)
			tree_fail(parser->arena, at,
				  "a cast to void leaves no value to compare: cast to an integer "
				  "type");
		value = value_converted(parser->arena, parse_cast(parser, false), type);
	}
	parser->depth--;
	return value;
}

typedef struct BinaryOperator {
	const char *text;
	TreeOp op;
	unsigned precedence;
} BinaryOperator;

static const BinaryOperator BINARY[] = {
	{"||", TREE_OR, 1},
	{"&&", TREE_AND, 2},
	{"|", TREE_BIT_OR, 3},
	{"^", TREE_BIT_XOR, 4},
	{"&", TREE_BIT_AND, 5},
	{"==", TREE_EQUAL, 6},
	{"!=", TREE_NOT_EQUAL, 6},
	{"<", TREE_LESS, 7},
	{"<=", TREE_LESS_EQUAL, 7},
	{">", TREE_GREATER, 7},
	{">=", TREE_GREATER_EQUAL, 7},
	{"<<", TREE_SHIFT_LEFT, 8},
	{">>", TREE_SHIFT_RIGHT, 8},
	{"+", TREE_ADD, 9},
	{"-", TREE_SUBTRACT, 9},
	{"*", TREE_MULTIPLY, 10},
	{"/", TREE_DIVIDE, 10},
	{"%", TREE_MODULO, 10},
};

static const BinaryOperator *binary_operator(const Token *token)
{
	for (size_t i = 0; i < sizeof(BINARY) / sizeof(BINARY[0]); i++)
		if (token_is(token, BINARY[i].text))
			return &BINARY[i];
	return NULL;
}

/* Operators of at least this precedence. */
static Value parse_binary(Parser *parser, unsigned precedence)
{
	Value left = parse_cast(parser, false);

	for (;;) {
		const BinaryOperator *op = binary_operator(&parser->token);
		TextPosition at = parser->token.at;
		Value right;

		if (!op || op->precedence < precedence || !left.node)
			return left;
		parser_advance(parser);
		right = parse_binary(parser, op->precedence + 1);
		left = value_binary(parser->arena, op->op, left, right, at);
	}
}

Value parser_conditional(Parser *parser)
{
	Value condition, yes, no;
	TextPosition at;

	if (!enter(parser))
		return FAILED;
	condition = parse_binary(parser, 1);
	at = parser->token.at;
	if (condition.node && token_is(&parser->token, "?")) {
		parser_advance(parser);
		yes = parser_conditional(parser);
		if (!parser_expect(parser, ":", "after the value behind `?`"))
			return FAILED;
		no = parser_conditional(parser);
		condition = value_conditional(parser->arena, condition, yes, no, at);
	}
	parser->depth--;
	return condition;
}

Value text_parse(TreeArena *arena, const char *text, const bpcond_text_scope *scope)
{
	static const bpcond_text_scope NOTHING;
	Parser parser = {.arena = arena, .scope = scope ? scope : &NOTHING};
	Value value;

	if (strnlen(text, TEXT_MAX_BYTES + 1) > TEXT_MAX_BYTES) {
		tree_fail(arena, (TextPosition){1, 1},
			  "the condition is longer than %d bytes: test less, or split it over "
			  "several "
			  "breakpoints",
			  TEXT_MAX_BYTES);
		return FAILED;
	}
	lexer_start(&parser.lexer, arena, text);
	parser_advance(&parser);
	if (parser.token.kind == TOKEN_END)
		tree_fail(arena, parser.token.at,
			  "the condition is empty: write an expression, as $rdi == 500");
	value = parser_conditional(&parser);
	if (parser.token.kind != TOKEN_END)
		parser_reject_token(&parser);
	return arena->failure == 0 ? value : FAILED;
}
