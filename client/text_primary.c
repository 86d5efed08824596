/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What expressions are made of: constants, registers and variables, names in the order of the language
 * (value and previous, parameters, the program's symbols), helper functions, parentheses.
 */
#include <errno.h>
#include <string.h>

#include "client/machine.h"
#include "client/text_names.h"
#include "client/text_parser.h"

static const Value FAILED;

static bool name_is(const Token *token, const char *name)
{
	return strlen(name) == token->length && memcmp(token->start, name, token->length) == 0;
}

/* For messages: long names are cut. */
static int shown(const Token *token)
{
	return token->length < 60 ? (int)token->length : 60;
}

static Value variable_value(Parser *parser, const TextVariable *variable)
{
	return value_of(tree_leaf(parser->arena, TREE_VARIABLE, variable->name, variable->range),
			variable->c_type);
}

static bool is_integer_size(int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/* `value` or `previous`, with the type of what is watched. The tree's variable is zero-extended from the
 * watched length; `as` gives it its sign. */
static Value watched_value(Parser *parser, const TextVariable *variable)
{
	const bpcond_text_scope *scope = parser->scope;
	CType type = {.is_signed = scope->value_is_signed != 0};
	Value value = variable_value(parser, variable);

	if (!is_integer_size(scope->value_size))
		return value;
	type.size = (unsigned char)scope->value_size;
	return value_converted(parser->arena, value, type);
}

static Value register_value(Parser *parser, const TextRegister *reg)
{
	return value_of(
		tree_leaf(parser->arena, TREE_REGISTER, reg->name, range_of_type(reg->type)),
		reg->c_type);
}

static Value dollar_name(Parser *parser, const Token *token)
{
	const TextRegister *reg = text_register_find(token->start, token->length);
	const TextVariable *variable = NULL;
	const char *nearest;

	if (reg)
		return register_value(parser, reg);
	if (token->length > 1 && token->start[0] == '_')
		variable = text_variable_find(token->start + 1, token->length - 1);
	if (variable && variable->for_data && !parser->scope->data_breakpoint) {
		tree_fail(parser->arena, token->at,
			  "`$_%s` is what the watched memory holds: it is known at data "
			  "breakpoints only",
			  variable->name);
		return FAILED;
	}
	if (variable && variable->for_lent && !parser->scope->lent_filter) {
		tree_fail(parser->arena, token->at,
			  "`$_%s` counts the events of a borrower's own: it is known in lent "
			  "filters only",
			  variable->name);
		return FAILED;
	}
	if (variable)
		return variable_value(parser, variable);
	nearest = text_nearest_dollar_name(token->start, token->length);
	if (strncmp(token->start, "xmm", 3) == 0 || strncmp(token->start, "ymm", 3) == 0 ||
	    strncmp(token->start, "zmm", 3) == 0 || strncmp(token->start, "st", 2) == 0)
		tree_fail(parser->arena, token->at,
			  "`$%.*s` is out of a condition's reach: floating-point and vector "
			  "registers "
			  "cannot be read by the filter",
			  shown(token), token->start);
	else if (nearest)
		tree_fail(parser->arena, token->at,
			  "there is no register or variable `$%.*s`: did you mean `$%s`?",
			  shown(token), token->start, nearest);
	else
		tree_fail(parser->arena, token->at,
			  "there is no register or variable `$%.*s`: use general registers (%s), "
			  "$_tid, $_pid, $_cpu, $_time or $_evaluated",
			  shown(token), token->start, machine_text_examples);
	return FAILED;
}

/* Where the symbol lies, as a pointer to void. */
static Value symbol_address(Parser *parser, const bpcond_symbol *symbol)
{
	Value offset = value_constant(parser->arena, symbol->address, C_VOIDP);
	const TextRegister *base;
	Value start;

	if (!symbol->base_register)
		return offset;
	base = text_register_find(symbol->base_register, strlen(symbol->base_register));
	if (!base) {
		tree_fail_errno(parser->arena, -EINVAL);
		return FAILED;
	}
	start = value_converted(parser->arena, register_value(parser, base), C_VOIDP);
	if (symbol->address == 0)
		return start;
	offset = value_constant(parser->arena, symbol->address, C_LONG);
	return value_binary(parser->arena, TREE_ADD, start, offset, parser->token.at);
}

static Value symbol_value(Parser *parser, const Token *token, const bpcond_symbol *symbol,
			  bool for_address)
{
	Value address = symbol_address(parser, symbol);
	CType type = {
		.size = is_integer_size(symbol->size) ? (unsigned char)symbol->size : 0,
		.is_signed = symbol->is_signed != 0,
		.pointers = (unsigned char)symbol->pointers,
	};
	/* Only what a pointer leads to can be void: of all else without a size it is just not known. */
	int unknown = symbol->pointers > 0 ? 0 : C_EXTENT_UNKNOWN;
	bool known = symbol->pointers < C_MAX_POINTERS && (type.size > 0 || symbol->pointers > 0);

	if (!address.node)
		return FAILED;
	if (type.size == 0)
		type.extent = symbol->extent != 0 ? symbol->extent : unknown;
	if (symbol->kind == BPCOND_SYMBOL_IN_REGISTER && known && symbol->base_register)
		return value_converted(parser->arena, address, type);
	if (symbol->kind == BPCOND_SYMBOL_FUNCTION)
		return (Value){.node = address.node, .type = C_VOIDP, .is_array = true};
	if (symbol->kind == BPCOND_SYMBOL_ARRAY && symbol->pointers < C_MAX_POINTERS) {
		type.pointers++;
		return (Value){.node = address.node, .type = type, .is_array = true};
	}
	if (symbol->kind == BPCOND_SYMBOL_INTEGER && known) {
		type.pointers++;
		address.type = type;
		return value_at(parser->arena, address, token->at);
	}
	if (for_address) {
		type = (CType){.extent = symbol->pointers == 0 ? type.extent : C_EXTENT_UNKNOWN};
		return (Value){.node = address.node, .type = type, .address = address.node};
	}
	tree_fail(parser->arena, token->at,
		  "`%.*s` is no integer: take its address and say what lies there, as *(int "
		  "*)((char *)&%.*s + 8)",
		  shown(token), token->start, shown(token), token->start);
	return FAILED;
}

static bool is_parameter(const Parser *parser, const Token *token, const char **ret)
{
	for (size_t i = 0; i < parser->scope->n_parameters; i++) {
		if (name_is(token, parser->scope->parameters[i])) {
			*ret = parser->scope->parameters[i];
			return true;
		}
	}
	return false;
}

/* Says why a name stands for nothing. */
static void reject_name(Parser *parser, const Token *token)
{
	const TextVariable *variable = text_variable_find(token->start, token->length);
	int length = shown(token);

	if (variable && variable->for_data)
		tree_fail(parser->arena, token->at,
			  "`%s` is what the watched memory holds: it is known at data breakpoints "
			  "only",
			  variable->name);
	else if (variable)
		tree_fail(parser->arena, token->at, "unknown name `%s`: did you mean `$_%s`?",
			  variable->name, variable->name);
	else if (text_register_find(token->start, token->length))
		tree_fail(parser->arena, token->at,
			  "unknown name `%.*s`: the register is written `$%.*s`", length,
			  token->start, length, token->start);
	else if (parser_at_type(parser, token))
		tree_fail(parser->arena, token->at,
			  "`%.*s` is a type: to cast put it in parentheses, as (%.*s)$rdi", length,
			  token->start, length, token->start);
	else if (parser->scope->lookup)
		tree_fail(
			parser->arena, token->at,
			"unknown name `%.*s`: it is no parameter and no symbol of the program. "
			"Constants of an enum or a #define are written as their number, registers "
			"as $rdi",
			length, token->start);
	else
		tree_fail(
			parser->arena, token->at,
			"unknown name `%.*s`: declare it as a parameter (the program's symbols are "
			"known only with a process); registers are written $rdi",
			length, token->start);
}

/* Return: whether the program knows the name or the question failed, with *ret then. */
static bool look_up(Parser *parser, const Token *token, bool for_address, Value *ret)
{
	bpcond_symbol symbol = {0};
	char *name;
	int r;

	if (!parser->scope->lookup)
		return false;
	*ret = FAILED;
	name = tree_copy_string(parser->arena, token->start, token->length);
	if (!name)
		return true;
	r = parser->scope->lookup(parser->scope->userdata, name, &symbol);
	if (r == -ENOENT)
		return false;
	if (r == -EEXIST)
		tree_fail(parser->arena, token->at,
			  "the program has several things called `%.*s`: say which by its address, "
			  "as "
			  "*(int *)0x404040",
			  shown(token), token->start);
	else if (r == -EOPNOTSUPP)
		tree_fail(parser->arena, token->at,
			  "`%.*s` has no place in memory here that a condition can tell: a local "
			  "variable has one only behind its function's entry, so break at "
			  "FILE.c:LINE; of one that is thread-local or was optimised away use a "
			  "register or an address",
			  shown(token), token->start);
	else if (r < 0)
		tree_fail_errno(parser->arena, r);
	else
		*ret = symbol_value(parser, token, &symbol, for_address);
	return true;
}

static Value plain_name(Parser *parser, const Token *token, bool for_address)
{
	const TextVariable *variable = text_variable_find(token->start, token->length);
	const char *parameter;
	Value value;

	if (variable && variable->for_data && parser->scope->data_breakpoint)
		return watched_value(parser, variable);
	if (is_parameter(parser, token, &parameter))
		return value_of(tree_leaf(parser->arena, TREE_PARAMETER, parameter,
					  range_of_type(TREE_S64)),
				C_LONG);
	if (!parser_at_type(parser, token) && look_up(parser, token, for_address, &value))
		return value;
	if (name_is(token, "true") || name_is(token, "false"))
		return value_constant(parser->arena, name_is(token, "true"), C_INT);
	if (name_is(token, "NULL"))
		return value_constant(parser->arena, 0, C_VOIDP);
	reject_name(parser, token);
	return FAILED;
}

/* Length of a well-formed UTF-8 sequence at the text; 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : 4;
	uint32_t character;

	if (length > left || s[0] > 0xf4 || (s[0] >= 0x80 && s[0] < 0xc2))
		return 0;
	character = length == 1 ? s[0] : s[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		character = character << 6 | (s[i] & 0x3f);
	}
	if ((length == 3 && character < 0x800) || (length == 4 && character < 0x10000) ||
	    character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
		return 0;
	return length;
}

/* Checks the text that is compared with memory. Return: NULL after a mistake. */
static const char *text_operand(Parser *parser, TreeOp op, const Token *token)
{
	const unsigned char *s = (const unsigned char *)token->string;
	size_t length = token->string_length, step;

	if (op == TREE_BYTES_EQUAL) {
		if (length == 0 || length % 2 != 0 ||
		    strspn(token->string, "0123456789abcdefABCDEF") != length) {
			tree_fail(parser->arena, token->at,
				  "bytes are written as pairs of hexadecimal digits, as "
				  "bytes_equal($rsi, \"7f454c46\")");
			return NULL;
		}
		return token->string;
	}
	for (size_t i = 0; i < length; i += step) {
		step = s[i] == '\0' ? 0 : utf8_length(s + i, length - i);
		if (step == 0) {
			tree_fail(parser->arena, token->at,
				  "the text holds a NUL or is not UTF-8: compare bytes, as "
				  "bytes_equal($rsi, \"00ff\")");
			return NULL;
		}
	}
	return token->string;
}

/* What follows the opening parenthesis of streq and its like. */
static Value text_call(Parser *parser, const TextFunction *function)
{
	Value address = parser_conditional(parser);
	Token text;

	if (!address.node)
		return FAILED;
	text = parser->token;
	if (!token_is(&text, ",")) {
		tree_fail(parser->arena, text.at, "two arguments are wanted: %s", function->usage);
		return FAILED;
	}
	parser_advance(parser);
	text = parser->token;
	if (text.kind != TOKEN_STRING) {
		tree_fail(parser->arena, text.at,
			  "the second argument is a text in double quotes: %s", function->usage);
		return FAILED;
	}
	parser_advance(parser);
	if (!parser_expect(parser, ")", "after the arguments"))
		return FAILED;
	address = value_converted(parser->arena, address, C_ULONG);
	return value_of(tree_text_operation(parser->arena, function->op, address.node,
					    text_operand(parser, function->op, &text)),
			C_INT);
}

static Value call(Parser *parser, const TextFunction *function)
{
	TextPosition at = parser->token.at;
	Value operands[3];

	parser_advance(parser);
	if (function->op != TREE_IN && function->op != TREE_MASKED)
		return text_call(parser, function);
	for (size_t i = 0; i < 3; i++) {
		operands[i] = parser_conditional(parser);
		if (!operands[i].node)
			return FAILED;
		if (!token_is(&parser->token, i < 2 ? "," : ")")) {
			tree_fail(parser->arena, parser->token.at, "three arguments are wanted: %s",
				  function->usage);
			return FAILED;
		}
		parser_advance(parser);
	}
	return value_of_three(parser->arena, function->op, operands, at);
}

/* A name before a parenthesis. */
static Value named_call(Parser *parser, const Token *name)
{
	bool dollar = name->kind == TOKEN_DOLLAR_NAME;
	const char *start = dollar ? name->start - 1 : name->start;
	size_t length = name->length + dollar;
	const TextFunction *function = text_function_find(start, length);
	const char *nearest;

	if (function)
		return call(parser, function);
	nearest = text_nearest_function(start, length);
	if (nearest)
		tree_fail(parser->arena, name->at,
			  "there is no function `%.*s`: did you mean `%s`?",
			  length < 60 ? (int)length : 60, start, nearest);
	else
		tree_fail(parser->arena, name->at,
			  "a condition cannot call the program's functions; its own are streq, "
			  "strstarts, bytes_equal, in_range and masked");
	return FAILED;
}

static Value parenthesis(Parser *parser)
{
	Value value;

	parser_advance(parser);
	value = parser_conditional(parser);
	if (!parser_expect(parser, ")", "to close the parenthesis"))
		return FAILED;
	if (value.node)
		value.node->closed = true;
	return value;
}

/* Names of C++, shop::limit: the token grows over all of it, if the program is there to be asked. */
static void join_scopes(Parser *parser, Token *name)
{
	while (parser->scope->lookup && token_is(&parser->token, "::") &&
	       parser->token.start == name->start + name->length) {
		const char *behind = parser->token.start + 2;

		parser_advance(parser);
		if (parser->token.kind != TOKEN_NAME || parser->token.start != behind) {
			tree_fail(parser->arena, parser->token.at,
				  "a name is missing behind `::`: write NAMESPACE::NAME");
			return;
		}
		name->length += 2 + parser->token.length;
		parser_advance(parser);
	}
}

Value parser_primary(Parser *parser, bool for_address)
{
	Token token = parser->token;

	switch (token.kind) {
	case TOKEN_NUMBER:
		parser_advance(parser);
		return value_constant(parser->arena, token.bits, token.type);
	case TOKEN_NAME:
	case TOKEN_DOLLAR_NAME:
		parser_advance(parser);
		if (token.kind == TOKEN_NAME)
			join_scopes(parser, &token);
		if (token_is(&parser->token, "(") && !parser_at_type(parser, &token))
			return named_call(parser, &token);
		if (token.kind == TOKEN_DOLLAR_NAME)
			return dollar_name(parser, &token);
		return plain_name(parser, &token, for_address);
	case TOKEN_STRING:
		tree_fail(parser->arena, token.at,
			  "a string cannot be compared like a number: write streq($rdi, \"text\")");
		return FAILED;
	case TOKEN_END:
		tree_fail(
			parser->arena, token.at,
			"the condition ends where a value is wanted: complete it, as $rdi == 500");
		return FAILED;
	default:
		if (token_is(&token, "("))
			return parenthesis(parser);
		if (!token_is(&token, "=") && !token_is(&token, "//") &&
		    strchr("|&^=!<>/%?)]:,", token.start[0]))
			tree_fail(parser->arena, token.at, "a value is missing before `%.*s`",
				  (int)token.length, token.start);
		else
			parser_reject_token(parser);
		return FAILED;
	}
}
