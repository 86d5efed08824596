/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A condition's tree is deep and narrow: one member a line, as json-c prints it, hides its shape.
 */
#include "tools/tree.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "tools/output.h"

enum {
	WIDTH = 78,
	STEP = 2,
};

static void print_value(struct json_object *value, int column, int indent, int behind);

static void new_line(int indent)
{
	printf("\n%*s", indent, "");
}

static void print_object(struct json_object *object, int indent)
{
	int left = json_object_object_length(object);
	/* An operator and its operands are kept together: { "and": [ … ] }. */
	int single = left == 1;

	fputs(single ? "{ " : "{", stdout);
	json_object_object_foreach(object, key, value)
	{
		struct json_object *name = json_object_new_string(key);
		const char *text = json_object_to_json_string_ext(
			name, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

		left--;
		if (!single)
			new_line(indent + STEP);
		print_safe(stdout, text);
		fputs(": ", stdout);
		print_value(value, indent + STEP + (int)strlen(text) + 2,
			    single ? indent : indent + STEP, 2);
		if (left > 0)
			fputc(',', stdout);
		json_object_put(name);
	}
	if (single)
		fputc(' ', stdout);
	else
		new_line(indent);
	fputc('}', stdout);
}

static void print_array(struct json_object *array, int indent)
{
	size_t n = json_object_array_length(array);

	fputc('[', stdout);
	for (size_t i = 0; i < n; i++) {
		new_line(indent + STEP);
		print_value(json_object_array_get_idx(array, i), indent + STEP, indent + STEP, 1);
		if (i + 1 < n)
			fputc(',', stdout);
	}
	new_line(indent);
	fputc(']', stdout);
}

/* The cursor stands in `column`, lines begin at `indent`, `behind` characters follow. */
static void print_value(struct json_object *value, int column, int indent, int behind)
{
	const char *text = json_object_to_json_string_ext(
		value, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (column + (int)strlen(text) + behind <= WIDTH)
		print_safe(stdout, text);
	else if (json_object_is_type(value, json_type_object))
		print_object(value, indent);
	else if (json_object_is_type(value, json_type_array))
		print_array(value, indent);
	else
		print_safe(stdout, text);
}

/* Addresses, which the daemon writes as the numbers that they are, as people know them. */
static void show_addresses(struct json_object *value)
{
	struct json_object *at;
	char text[32];

	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			show_addresses(json_object_array_get_idx(value, i));
		return;
	}
	if (!json_object_is_type(value, json_type_object))
		return;
	json_object_object_foreach(value, key, member)
	{
		(void)key;
		show_addresses(member);
	}
	if (!json_object_object_get_ex(value, "at", &at) || !json_object_is_type(at, json_type_int))
		return;
	snprintf(text, sizeof(text), "0x%" PRIx64, json_object_get_uint64(at));
	at = json_object_new_string(text);
	if (at != NULL && json_object_object_add(value, "at", at) < 0)
		json_object_put(at);
}

void print_tree(struct json_object *value)
{
	show_addresses(value);
	print_value(value, 0, 0, 0);
	fputc('\n', stdout);
}
