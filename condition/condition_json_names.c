/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The leaves of a condition's JSON that are names: of registers, parameters, variables and types. A
 * name that is unknown is answered with the nearest that is known.
 */
#include <string.h>

#include "condition/condition_json_parser.h"
#include "json/strict_json.h"

/* A string operand that names something. Return: 0 and *ret, borrowed from value; 1. */
static int get_name(const Parser *parser, struct json_object *value, const Step *step,
		    const char *what, const char **ret)
{
	const char *name;

	if (json_object_get_type(value) != json_type_string)
		return parser_fail(parser, step,
				   "this is %s, where the name of %s is wanted, as a string",
				   json_kind(value), what);
	name = json_object_get_string(value);
	if (strlen(name) != (size_t)json_object_get_string_len(value))
		return parser_fail(parser, step, "the name of %s has a NUL in it; remove it", what);
	if (strlen(name) > CONDITION_MAX_PARAMETER_NAME)
		return parser_fail(parser, step,
				   "%s is longer than any name of %s (%d bytes); shorten it",
				   parser_quote(name).text, what, CONDITION_MAX_PARAMETER_NAME);
	*ret = name;
	return 0;
}

int parser_register_name(const Parser *parser, const char *name, const Step *step,
			 const Register **ret)
{
	const Register *reg = register_by_name(name);
	const Register *candidate;
	const char *why_not;
	Nearest nearest;

	if (reg) {
		*ret = reg;
		return 0;
	}
	why_not = register_why_not(name);
	if (why_not)
		return parser_fail(parser, step, "%s: %s", parser_quote(name).text, why_not);
	nearest_start(&nearest, name);
	for (size_t i = 0; (candidate = register_at(i)); i++)
		nearest_offer(&nearest, candidate->name);
	return parser_fail_unknown(parser, step, &nearest, "a register", register_hint);
}

int parser_register(const Parser *parser, struct json_object *value, const Step *step, Node *node)
{
	const char *name;
	int r;

	r = get_name(parser, value, step, "a register", &name);
	if (r != 0)
		return r;
	return parser_register_name(parser, name, step, &node->reg);
}

int parser_parameter(const Parser *parser, struct json_object *value, const Step *step, Node *node)
{
	const ConditionScope *scope = parser->scope;
	Nearest nearest;
	const char *name;
	int r;

	r = get_name(parser, value, step, "a parameter", &name);
	if (r != 0)
		return r;
	nearest_start(&nearest, name);
	for (size_t i = 0; i < scope->n_parameters; i++) {
		if (strcmp(scope->parameters[i], name) == 0) {
			node->parameter = scope->parameters[i];
			node->parameter_index = i;
			return 0;
		}
		nearest_offer(&nearest, scope->parameters[i]);
	}
	return parser_fail_unknown(parser, step, &nearest, "a declared parameter",
				   "declare it, with its first value, under \"parameters\"");
}

int parser_variable(const Parser *parser, struct json_object *value, const Step *step, Node *node)
{
	Nearest nearest;
	const char *name;
	int r;

	r = get_name(parser, value, step, "a variable", &name);
	if (r != 0)
		return r;
	nearest_start(&nearest, name);
	for (int i = 0; i < VARIABLE_COUNT; i++) {
		nearest_offer(&nearest, variables[i].name);
		if (strcmp(variables[i].name, name) != 0)
			continue;
		if (!(variables[i].uses & 1u << parser->scope->use))
			return parser_fail(parser, step, "\"%s\" %s", name, variables[i].why_not);
		node->variable = i;
		return 0;
	}
	return parser_fail_unknown(
		parser, step, &nearest, "a variable",
		"there are tid, pid, cpu, time, evaluated, value, previous, counter; "
		"registers are {\"reg\": NAME}, parameters {\"param\": NAME}");
}

int parser_type(const Parser *parser, struct json_object *value, const Step *step, Node *node)
{
	const char *name;
	int r;

	r = get_name(parser, value, step, "a type", &name);
	if (r != 0)
		return r;
	if (!value_type_by_name(name, &node->type))
		return parser_fail(parser, step,
				   "%s is not a type; use one of u8 s8 u16 s16 u32 s32 u64 s64",
				   parser_quote(name).text);
	return 0;
}
