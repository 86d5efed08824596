/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's condition tree as JSON: written in one line in the form that the daemon takes, and read.
 * What is read comes from the caller or the daemon; the daemon's own parser is the one that guards a
 * trust boundary, but nothing that is no condition is taken here either, and no number is rounded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "client/text_names.h"
#include "client/text_tree.h"

enum {
	JSON_MAX_DEPTH =
		200, /* three JSON levels an operator, and more operators than the daemon takes */
};

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_string(FILE *file, const char *text)
{
	putc('"', file);
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(file, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(file, "\\u%04x", *s);
		else
			putc(*s, file);
	}
	putc('"', file);
}

/* An address is read best in hexadecimal, and so is what JSON numbers of other programs cannot hold. */
static void write_constant(FILE *file, const TreeNode *node, bool is_address)
{
	if (node->range.is_u64 || (is_address && (int64_t)node->bits >= 0))
		fprintf(file, "\"0x%llx\"", (unsigned long long)node->bits);
	else
		fprintf(file, "%lld", (long long)node->bits);
}

static void write_node(FILE *file, const TreeNode *node, bool is_address);

static void write_operands(FILE *file, const TreeNode *node)
{
	bool is_text = node->op >= TREE_STRING_EQUALS;

	fprintf(file, "{\"%s\":[", tree_op_name(node->op));
	for (size_t i = 0; i < node->n_operands; i++) {
		if (i > 0)
			putc(',', file);
		write_node(file, node->operands[i], is_text);
	}
	if (is_text) {
		putc(',', file);
		write_string(file, node->name);
	}
	fputs("]}", file);
}

static void write_node(FILE *file, const TreeNode *node, bool is_address)
{
	switch (node->op) {
	case TREE_CONSTANT:
		write_constant(file, node, is_address);
		return;
	case TREE_REGISTER:
		fprintf(file, "{\"reg\":\"%s\"}", node->name);
		return;
	case TREE_PARAMETER:
		fputs("{\"param\":", file);
		write_string(file, node->name);
		putc('}', file);
		return;
	case TREE_VARIABLE:
		fprintf(file, "{\"var\":\"%s\"}", node->name);
		return;
	case TREE_LOAD:
		fprintf(file, "{\"load\":\"%s\",\"at\":", tree_type_name(node->type));
		write_node(file, node->operands[0], true);
		putc('}', file);
		return;
	case TREE_AS:
		fprintf(file, "{\"as\":\"%s\",\"of\":", tree_type_name(node->type));
		write_node(file, node->operands[0], false);
		putc('}', file);
		return;
	default:
		write_operands(file, node);
	}
}

int tree_to_json(const TreeNode *node, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	bool failed;

	if (!file)
		return -ENOMEM;
	write_node(file, node, false);
	failed = ferror(file) != 0;
	failed = fclose(file) != 0 || failed;
	if (failed) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Any mistake: where it is does not matter to the only caller. */
static TreeNode *bad(TreeArena *arena)
{
	tree_fail_errno(arena, -EINVAL);
	return NULL;
}

static TreeNode *read_node(TreeArena *arena, struct json_object *json);

static const char *string_of(TreeArena *arena, struct json_object *json)
{
	size_t length;

	if (!json_object_is_type(json, json_type_string)) {
		bad(arena);
		return NULL;
	}
	length = (size_t)json_object_get_string_len(json);
	if (strlen(json_object_get_string(json)) != length) {
		bad(arena);
		return NULL;
	}
	return tree_copy_string(arena, json_object_get_string(json), length);
}

static TreeNode *read_hexadecimal(TreeArena *arena, struct json_object *json)
{
	const char *text = string_of(arena, json);
	size_t length;

	if (!text)
		return NULL;
	length = strlen(text);
	if (length < 3 || length > 18 || text[0] != '0' || text[1] != 'x' ||
	    strspn(text + 2, "0123456789abcdefABCDEF") != length - 2)
		return bad(arena);
	return tree_constant(arena, strtoull(text + 2, NULL, 16), true);
}

static TreeNode *read_integer(TreeArena *arena, struct json_object *json)
{
	int64_t value = json_object_get_int64(json);

	if (value < 0)
		return tree_constant(arena, (uint64_t)value, false);
	return tree_constant(arena, json_object_get_uint64(json), true);
}

/* {"reg": …}, {"param": …}, {"var": …} */
static TreeNode *read_leaf(TreeArena *arena, const char *key, struct json_object *json)
{
	const char *name = string_of(arena, json);
	const TextVariable *variable;
	const TextRegister *reg;

	if (!name)
		return NULL;
	if (strcmp(key, "param") == 0)
		return tree_leaf(arena, TREE_PARAMETER, name, range_of_type(TREE_S64));
	if (strcmp(key, "reg") == 0) {
		reg = text_register_find(name, strlen(name));
		if (!reg)
			return bad(arena);
		return tree_leaf(arena, TREE_REGISTER, reg->name, range_of_type(reg->type));
	}
	variable = text_variable_find(name, strlen(name));
	if (!variable)
		return bad(arena);
	return tree_leaf(arena, TREE_VARIABLE, variable->name, variable->range);
}

/* {"load": TYPE, "at": …}, {"as": TYPE, "of": …} */
static TreeNode *read_typed(TreeArena *arena, struct json_object *json, TreeOp op)
{
	struct json_object *type_json, *of_json;
	const char *name;
	TreeNode *of;

	if (json_object_object_length(json) != 2 ||
	    !json_object_object_get_ex(json, op == TREE_LOAD ? "load" : "as", &type_json) ||
	    !json_object_object_get_ex(json, op == TREE_LOAD ? "at" : "of", &of_json))
		return bad(arena);
	name = string_of(arena, type_json);
	of = read_node(arena, of_json);
	if (!name || !of)
		return NULL;
	for (TreeType type = TREE_U8; type <= TREE_S64; type++)
		if (strcmp(name, tree_type_name(type)) == 0)
			return op == TREE_LOAD ? tree_load(arena, type, of)
					       : tree_as(arena, type, of);
	return bad(arena);
}

/* {"registers": {NAME: …}} as the comparisons that it stands for. */
static TreeNode *read_registers(TreeArena *arena, struct json_object *json)
{
	TreeNode *all = NULL, *one;

	if (!json_object_is_type(json, json_type_object) || json_object_object_length(json) == 0)
		return bad(arena);
	json_object_object_foreach(json, name, value)
	{
		const TextRegister *reg = text_register_find(name, strlen(name));

		if (!reg)
			return bad(arena);
		one = tree_operation(arena, TREE_EQUAL, 2,
				     (TreeNode *const[]){tree_leaf(arena, TREE_REGISTER, reg->name,
								   range_of_type(reg->type)),
							 read_node(arena, value)});
		all = all ? tree_binary(arena, TREE_AND, all, one) : one;
		if (!all)
			return NULL;
	}
	return all;
}

/* How many operands an operator takes, its text not counted. */
static bool takes(TreeOp op, size_t n)
{
	switch (op) {
	case TREE_ADD:
	case TREE_MULTIPLY:
	case TREE_BIT_AND:
	case TREE_BIT_OR:
	case TREE_BIT_XOR:
	case TREE_AND:
	case TREE_OR:
		return n >= 2;
	case TREE_SUBTRACT:
		return n == 1 || n == 2;
	case TREE_BIT_NOT:
	case TREE_NOT:
	case TREE_STRING_EQUALS:
	case TREE_STRING_STARTS:
	case TREE_BYTES_EQUAL:
		return n == 1;
	case TREE_IF:
	case TREE_IN:
	case TREE_MASKED:
		return n == 3;
	default:
		return n == 2;
	}
}

static TreeNode *read_operation(TreeArena *arena, TreeOp op, struct json_object *json)
{
	bool is_text = op >= TREE_STRING_EQUALS;
	const char *text = NULL;
	TreeNode **operands;
	size_t n;

	if (!json_object_is_type(json, json_type_array))
		return bad(arena);
	n = json_object_array_length(json);
	if (n < 1 || n > TREE_MAX_NODES || !takes(op, n - is_text))
		return bad(arena);
	if (is_text) {
		text = string_of(arena, json_object_array_get_idx(json, --n));
		if (!text)
			return NULL;
	}
	operands = tree_allocate(arena, n * sizeof(*operands));
	if (!operands)
		return NULL;
	for (size_t i = 0; i < n; i++)
		operands[i] = read_node(arena, json_object_array_get_idx(json, i));
	if (is_text)
		return tree_text_operation(arena, op, operands[0], text);
	return tree_operation(arena, op, n, operands);
}

static TreeNode *read_object(TreeArena *arena, struct json_object *json)
{
	struct json_object_iterator it = json_object_iter_begin(json);
	struct json_object_iterator end = json_object_iter_end(json);
	struct json_object *value;
	const char *key;

	if (json_object_iter_equal(&it, &end))
		return bad(arena);
	if (json_object_object_get_ex(json, "load", &value))
		return read_typed(arena, json, TREE_LOAD);
	if (json_object_object_get_ex(json, "as", &value))
		return read_typed(arena, json, TREE_AS);
	if (json_object_object_length(json) != 1)
		return bad(arena);
	key = json_object_iter_peek_name(&it);
	value = json_object_iter_peek_value(&it);
	if (strcmp(key, "reg") == 0 || strcmp(key, "param") == 0 || strcmp(key, "var") == 0)
		return read_leaf(arena, key, value);
	if (strcmp(key, "registers") == 0)
		return read_registers(arena, value);
	for (TreeOp op = TREE_ADD; op < TREE_OP_COUNT; op++)
		if (strcmp(key, tree_op_name(op)) == 0)
			return read_operation(arena, op, value);
	return bad(arena);
}

static TreeNode *read_node(TreeArena *arena, struct json_object *json)
{
	switch (json_object_get_type(json)) {
	case json_type_int:
		return read_integer(arena, json);
	case json_type_string:
		return read_hexadecimal(arena, json);
	case json_type_object:
		return read_object(arena, json);
	default:
		return bad(arena);
	}
}

/* json-c takes an integer that does not fit for the nearest that does. */
static bool integers_fit(const char *json)
{
	bool in_string = false;

	for (const char *s = json; *s; s++) {
		char *end;

		if (in_string) {
			if (*s == '\\' && s[1] != '\0')
				s++;
			else if (*s == '"')
				in_string = false;
			continue;
		}
		if (*s == '"') {
			in_string = true;
		} else if (*s == '-' || (*s >= '0' && *s <= '9')) {
			errno = 0;
			if (*s == '-')
				strtoll(s, &end, 10);
			else
				strtoull(s, &end, 10);
			if (errno == ERANGE)
				return false;
			if (end > s)
				s = end - 1;
		}
	}
	return true;
}

int tree_from_json(TreeArena *arena, const char *json, TreeNode **ret)
{
	struct json_tokener *tokener;
	struct json_object *object = NULL;
	TreeNode *node = NULL;
	size_t length = strlen(json);

	if (length > INT32_MAX || !integers_fit(json))
		return -EINVAL;
	tokener = json_tokener_new_ex(JSON_MAX_DEPTH);
	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With its NUL: a lone number has no other end. */
	object = json_tokener_parse_ex(tokener, json, (int)length + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success)
		tree_fail_errno(arena, json_tokener_get_error(tokener) == json_tokener_error_size
					       ? -ENOMEM
					       : -EINVAL);
	else
		node = read_node(arena, object);
	json_object_put(object);
	json_tokener_free(tokener);
	if (arena->failure != 0)
		return arena->failure == 1 ? -EINVAL : arena->failure;
	*ret = node;
	return 0;
}
