/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files that read a condition's JSON share: where they are in the tree, and how they say what
 * is wrong there.
 */
#ifndef CONDITION_JSON_PARSER_H
#define CONDITION_JSON_PARSER_H

#include <stddef.h>

#include <json-c/json.h>

#include "condition/nearest.h"
#include "condition/node.h"

/* One step of the way from the condition's root: the path is only spelled out for an error. */
typedef struct Step {
	const struct Step *up;
	const char *key; /* NULL: an index */
	size_t index;
} Step;

typedef struct Parser {
	const ConditionScope *scope;
	const char *stem;
	ConditionError *error;
	size_t n_nodes;
	size_t n_text;
} Parser;

enum {
	QUOTED_MAX = 40,
};

typedef struct Quoted {
	char text[QUOTED_MAX + 6];
} Quoted;

/* A name from outside for a message: printable ASCII in quotation marks, cut short. */
Quoted parser_quote(const char *name);

/* Fills parser->error with the path of `step` (NULL: the condition itself) and a sentence. Return: 1. */
__attribute__((format(printf, 3, 4))) int parser_fail(const Parser *parser, const Step *step,
						      const char *format, ...);

/* The same of a name that is unknown: "NAME is not WHAT", and the nearest known one or `otherwise`. */
int parser_fail_unknown(const Parser *parser, const Step *step, const Nearest *nearest,
			const char *what, const char *otherwise);

/*
 * What stands for a name. Return: 0 and the result in *ret or in the node; 1 and parser->error.
 */
int parser_register_name(const Parser *parser, const char *name, const Step *step,
			 const Register **ret);
int parser_register(const Parser *parser, struct json_object *value, const Step *step, Node *node);
int parser_parameter(const Parser *parser, struct json_object *value, const Step *step, Node *node);
int parser_variable(const Parser *parser, struct json_object *value, const Step *step, Node *node);
int parser_type(const Parser *parser, struct json_object *value, const Step *step, Node *node);

#endif
