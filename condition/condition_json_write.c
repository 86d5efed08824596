/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Typed tree -> JSON in normal form: numbers in decimal, hexadecimal digits in lower case, operands
 * always in an array. Nothing is folded or reordered: what is read again gives the same tree.
 */
#include <errno.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "condition/node.h"

/* Adds a value that is owned by the object from then on; drops both on failure. */
static struct json_object *with_member(struct json_object *object, const char *key,
				       struct json_object *value)
{
	if (object && value && json_object_object_add(object, key, value) == 0)
		return object;
	json_object_put(value);
	json_object_put(object);
	return NULL;
}

static struct json_object *object_of(const char *key, struct json_object *value)
{
	return with_member(json_object_new_object(), key, value);
}

static struct json_object *text_to_json(const Node *node)
{
	static const char digits[] = "0123456789abcdef";
	struct json_object *string;
	char *hex;

	if (node->op != NODE_BYTES_EQUAL)
		return json_object_new_string_len((const char *)node->text, node->n_text);
	hex = malloc(2 * node->n_text + 1);
	if (!hex)
		return NULL;
	for (size_t i = 0; i < node->n_text; i++) {
		hex[2 * i] = digits[node->text[i] >> 4];
		hex[2 * i + 1] = digits[node->text[i] & 15];
	}
	string = json_object_new_string_len(hex, 2 * node->n_text);
	free(hex);
	return string;
}

static struct json_object *node_to_json(const Node *node);

static struct json_object *operands_to_json(const Node *node)
{
	struct json_object *array = json_object_new_array();
	size_t n = node->n_operands + operators[node->op].takes_text;

	for (size_t i = 0; array && i < n; i++) {
		struct json_object *element =
			i < node->n_operands ? node_to_json(node->operands[i]) : text_to_json(node);

		if (element && json_object_array_add(array, element) == 0)
			continue;
		json_object_put(element);
		json_object_put(array);
		array = NULL;
	}
	return array;
}

static struct json_object *registers_to_json(const Node *node)
{
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; object && i < node->n_operands; i++)
		object = with_member(object, node->names[i]->name, node_to_json(node->operands[i]));
	return object;
}

static struct json_object *node_to_json(const Node *node)
{
	const char *key = operators[node->op].key;

	switch (node->op) {
	case NODE_CONSTANT:
		return node->is_unsigned ? json_object_new_uint64(node->constant)
					 : json_object_new_int64((int64_t)node->constant);
	case NODE_REGISTER:
		return object_of(key, json_object_new_string(node->reg->name));
	case NODE_PARAMETER:
		return object_of(key, json_object_new_string(node->parameter));
	case NODE_VARIABLE:
		return object_of(key, json_object_new_string(variables[node->variable].name));
	case NODE_LOAD:
	case NODE_AS:
		return with_member(
			object_of(key, json_object_new_string(value_type_name(node->type))),
			node->op == NODE_LOAD ? "at" : "of", node_to_json(node->operands[0]));
	case NODE_REGISTERS:
		return object_of(key, registers_to_json(node));
	default:
		return object_of(key, operands_to_json(node));
	}
}

int condition_to_json(const Condition *condition, struct json_object **ret)
{
	struct json_object *tree = node_to_json(condition->root);

	if (!tree)
		return -ENOMEM;
	*ret = tree;
	return 0;
}
