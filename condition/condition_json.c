/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON tree -> typed tree. The files condition_json*.c are the only ones here that know json-c.
 *
 * The JSON is a client's and hostile. Its text was checked by json_parse_strict(); what json-c would
 * still convert behind one's back is kept out by asking for the type before every get. The limits on
 * nodes, depth and text are counted while reading, before anything is allocated for what exceeds
 * them, and recursion is bounded by CONDITION_MAX_DEPTH.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "condition/condition_json_parser.h"
#include "json/strict_json.h"

static int parse_expression(Parser *parser, struct json_object *value, const Step *step,
			    size_t depth, Node **ret);

static int too_much_text(const Parser *parser, const Step *step)
{
	return parser_fail(
		parser, step,
		"all strings and bytes of the condition together exceed the limit on text, %d "
		"bytes; compare less, or split the condition over two breakpoints",
		CONDITION_MAX_TEXT);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The last operand of string-equals, string-starts and bytes-equal. */
static int parse_text(Parser *parser, struct json_object *value, const Step *step, Node *node)
{
	bool hex = node->op == NODE_BYTES_EQUAL;
	const char *text;
	size_t n;

	if (json_object_get_type(value) != json_type_string)
		return parser_fail(parser, step, "this is %s, where %s is wanted", json_kind(value),
				   hex ? "a string of hexadecimal digits" : "a string");
	text = json_object_get_string(value);
	n = json_object_get_string_len(value);
	if (hex && n % 2 != 0)
		return parser_fail(parser, step,
				   "an odd number of hexadecimal digits; write two for each byte");
	if (!hex && strlen(text) != n)
		return parser_fail(
			parser, step,
			"the string has a NUL in it, where it would end in memory; compare "
			"such bytes with \"bytes-equal\"");
	node->n_text = hex ? n / 2 : n;
	if (node->n_text > CONDITION_MAX_TEXT - parser->n_text)
		return too_much_text(parser, step);
	parser->n_text += node->n_text;

	node->text = calloc(1, node->n_text + 1);
	if (!node->text)
		return -ENOMEM;
	if (!hex) {
		memcpy(node->text, text, n);
		return 0;
	}
	for (size_t i = 0; i < node->n_text; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return parser_fail(
				parser, step,
				"bytes are written as hexadecimal digits, two for each byte "
				"and nothing between them, such as \"00ff7f\"");
		node->text[i] = high << 4 | low;
	}
	return 0;
}

static int parse_registers(Parser *parser, struct json_object *value, const Step *step,
			   size_t depth, Node **ret)
{
	size_t n = 0, i = 0;
	Node *node;
	int r = 0;

	if (json_object_get_type(value) == json_type_object)
		n = json_object_object_length(value);
	if (n == 0)
		return parser_fail(
			parser, step,
			"\"registers\" wants an object of register names and their values, "
			"such as {\"rax\": 1, \"rdi\": {\"param\": \"size\"}}");
	if (n > CONDITION_MAX_NODES - parser->n_nodes)
		n = CONDITION_MAX_NODES - parser->n_nodes + 1; /* the last of them is refused */
	node = node_new(NODE_REGISTERS, n);
	if (!node)
		return -ENOMEM;
	node->names = calloc(n, sizeof(*node->names));
	if (!node->names) {
		node_free(node);
		return -ENOMEM;
	}
	json_object_object_foreach(value, key, entry)
	{
		Step at = {step, key, 0};

		r = parser_register_name(parser, key, &at, &node->names[i]);
		if (r == 0)
			r = parse_expression(parser, entry, &at, depth + 1, &node->operands[i]);
		if (r != 0)
			break;
		i++;
	}
	if (r != 0) {
		node_free(node);
		return r;
	}
	*ret = node;
	return 0;
}

static int fail_operand_count(const Parser *parser, const Step *step, const Operator *operator,
			      size_t found)
{
	static const char *const words[] = {"no", "one", "two", "three"};
	size_t min = operator->min_operands, max = operator->max_operands;

	if (operator->takes_text)
		return parser_fail(
			parser, step,
			"\"%s\" wants two operands, [ADDRESS, \"%s\"]; it has %zu", operator->key,
			strcmp(operator->key, "bytes-equal") == 0 ? "hex" : "text", found);
	if (max > 3)
		return parser_fail(parser, step,
				   "\"%s\" wants at least two operands; it has %zu", operator->key,
				   found);
	if (min != max)
		return parser_fail(parser, step,
				   "\"%s\" wants one or two operands; it has %zu", operator->key,
				   found);
	return parser_fail(parser, step, "\"%s\" wants %s operand%s; it has %zu", operator->key,
			   words[min], min == 1 ? "" : "s", found);
}

/* All operators whose operands stand in an array; a single one may stand there bare. */
static int parse_operands(Parser *parser, NodeOp op, struct json_object *value, const Step *step,
			  size_t depth, Node **ret)
{
	const Operator *operator= & operators[op];
	bool bare = json_object_get_type(value) != json_type_array;
	size_t n;
	Node *node;
	int r = 0;

	if (bare && (operator->min_operands> 1 || operator->takes_text))
		return parser_fail(parser, step,
				   "the operands of \"%s\" are an array; this is %s", operator->key,
				   json_kind(value));
	n = bare ? 1 : json_object_array_length(value);
	if (n < operator->min_operands + operator->takes_text ||(
			n > operator->max_operands + operator->takes_text && operator->max_operands<
			    CONDITION_MAX_NODES))
		return fail_operand_count(parser, step, operator, n);
	n -= operator->takes_text;
	if (n > CONDITION_MAX_NODES - parser->n_nodes)
		n = CONDITION_MAX_NODES - parser->n_nodes + 1; /* the last of them is refused */

	node = node_new(op, n);
	if (!node)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		Step at = {step, NULL, i};

		if (bare)
			r = parse_expression(parser, value, step, depth + 1, &node->operands[i]);
		else
			r = parse_expression(parser, json_object_array_get_idx(value, i), &at,
					     depth + 1, &node->operands[i]);
	}
	if (r == 0 && operator->takes_text) {
		Step at = {step, NULL, n};

		r = parse_text(parser, json_object_array_get_idx(value, n), &at, node);
	}
	if (r != 0) {
		node_free(node);
		return r;
	}
	*ret = node;
	return 0;
}

/* {"load": TYPE, "at": EXPR} and {"as": TYPE, "of": EXPR}: `operand` is the second member. */
static int parse_typed(Parser *parser, NodeOp op, struct json_object *type, const Step *type_step,
		       struct json_object *operand, const Step *step, size_t depth, Node **ret)
{
	Node *node = node_new(op, 1);
	int r;

	if (!node)
		return -ENOMEM;
	r = parser_type(parser, type, type_step, node);
	if (r == 0)
		r = parse_expression(parser, operand, step, depth + 1, &node->operands[0]);
	if (r != 0) {
		node_free(node);
		return r;
	}
	*ret = node;
	return 0;
}

static int parse_leaf(Parser *parser, NodeOp op, struct json_object *value, const Step *step,
		      Node **ret)
{
	Node *node = node_new(op, 0);
	int r;

	if (!node)
		return -ENOMEM;
	if (op == NODE_REGISTER)
		r = parser_register(parser, value, step, node);
	else if (op == NODE_PARAMETER)
		r = parser_parameter(parser, value, step, node);
	else
		r = parser_variable(parser, value, step, node);
	if (r != 0) {
		node_free(node);
		return r;
	}
	*ret = node;
	return 0;
}

static bool find_operator(const char *key, NodeOp *ret)
{
	for (int op = 0; op < NODE_OP_COUNT; op++) {
		if (operators[op].key && strcmp(operators[op].key, key) == 0) {
			*ret = op;
			return true;
		}
	}
	return false;
}

static int fail_unknown_operator(const Parser *parser, const Step *step)
{
	Nearest nearest;

	if (strcmp(step->key, "at") == 0)
		return parser_fail(parser, step,
				   "\"at\" belongs to {\"load\": TYPE, \"at\": ADDRESS}");
	if (strcmp(step->key, "of") == 0)
		return parser_fail(parser, step,
				   "\"of\" belongs to {\"as\": TYPE, \"of\": EXPRESSION}");
	nearest_start(&nearest, step->key);
	for (int op = 0; op < NODE_OP_COUNT; op++)
		if (operators[op].key)
			nearest_offer(&nearest, operators[op].key);
	return parser_fail_unknown(
		parser, step, &nearest, "an operator",
		"see the list of operators in the manual page bpcond-condition(7)");
}

/* The key of the object that is an operator; every other key must be its companion. */
static int parse_object(Parser *parser, struct json_object *value, const Step *step, size_t depth,
			Node **ret)
{
	const char *key = NULL, *companion = NULL;
	struct json_object *operand = NULL, *second = NULL;
	NodeOp op = NODE_OP_COUNT;

	json_object_object_foreach(value, each, each_operand)
	{
		if (!key && find_operator(each, &op)) {
			key = each;
			operand = each_operand;
		}
	}
	if (op == NODE_LOAD)
		companion = "at";
	if (op == NODE_AS)
		companion = "of";
	json_object_object_foreach(value, other, other_operand)
	{
		Step at = {step, other, 0};

		if (!key)
			return fail_unknown_operator(parser, &at);
		if (strcmp(other, key) == 0)
			continue;
		if (companion && strcmp(other, companion) == 0)
			second = other_operand;
		else
			return parser_fail(
				parser, &at,
				"an object holds one operator, and this one has \"%s\" already; "
				"join two conditions with \"and\" or \"or\"",
				key);
	}
	if (!key)
		return parser_fail(parser, step,
				   "an empty object is no condition; write one operator");

	Step at_key = {step, key, 0}, at_companion = {step, companion, 0};

	if (companion && !json_object_object_get_ex(value, companion, NULL))
		return parser_fail(
			parser, step, "\"%s\" wants \"%s\" beside it: {\"%s\": TYPE, \"%s\": %s}",
			key, companion, key, companion, op == NODE_LOAD ? "ADDRESS" : "EXPRESSION");
	switch (op) {
	case NODE_REGISTER:
	case NODE_PARAMETER:
	case NODE_VARIABLE:
		return parse_leaf(parser, op, operand, &at_key, ret);
	case NODE_LOAD:
	case NODE_AS:
		return parse_typed(parser, op, operand, &at_key, second, &at_companion, depth, ret);
	case NODE_REGISTERS:
		return parse_registers(parser, operand, &at_key, depth, ret);
	default:
		return parse_operands(parser, op, operand, &at_key, depth, ret);
	}
}

static int parse_constant(Parser *parser, struct json_object *value, const Step *step, Node **ret)
{
	uint64_t bits;
	bool is_unsigned;
	Node *node;

	if (json_get_number(value, &bits, &is_unsigned) != 0) {
		if (json_object_get_type(value) == json_type_string)
			return parser_fail(
				parser, step,
				"%s is not a number of 64 bits; write an integer, \"0x...\" in "
				"hexadecimal, or a name as {\"reg\": NAME}, {\"param\": NAME} or "
				"{\"var\": NAME}",
				parser_quote(json_object_get_string(value)).text);
		return parser_fail(
			parser, step,
			"this is %s, where a condition wants an integer, \"0x...\" or an object "
			"with one operator",
			json_kind(value));
	}
	node = node_new(NODE_CONSTANT, 0);
	if (!node)
		return -ENOMEM;
	node->constant = bits;
	node->is_unsigned = is_unsigned;
	*ret = node;
	return 0;
}

static int parse_expression(Parser *parser, struct json_object *value, const Step *step,
			    size_t depth, Node **ret)
{
	Node *node = NULL;
	int r;

	if (depth > CONDITION_MAX_DEPTH)
		return parser_fail(
			parser, step,
			"the condition is nested deeper than the limit on depth, %d; flatten it, "
			"for instance with more operands for one \"and\", \"or\" or \"+\"",
			CONDITION_MAX_DEPTH);
	if (parser->n_nodes == CONDITION_MAX_NODES)
		return parser_fail(
			parser, step,
			"the condition has more nodes than the limit on nodes, %d (each object "
			"and each constant is one); split it over two breakpoints",
			CONDITION_MAX_NODES);
	parser->n_nodes++;

	if (json_object_get_type(value) == json_type_object)
		r = parse_object(parser, value, step, depth, &node);
	else
		r = parse_constant(parser, value, step, &node);
	if (r != 0)
		return r;
	node_set_type(node);
	*ret = node;
	return 0;
}

int condition_from_json(struct json_object *tree, const char *path, const ConditionScope *scope,
			Condition **ret, ConditionError *error)
{
	Parser parser = {.scope = scope, .stem = path, .error = error};
	Condition *condition = calloc(1, sizeof(*condition));
	int r;

	if (!condition)
		return -ENOMEM;
	r = parse_expression(&parser, tree, NULL, 1, &condition->root);
	if (r != 0) {
		condition_free(condition);
		return r;
	}
	condition->n_nodes = parser.n_nodes;
	*ret = condition;
	return 0;
}
