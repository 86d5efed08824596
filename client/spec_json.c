/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look into a JSON spec. json-c is lenient where the daemon is strict; that does no harm here, since
 * the text goes to the daemon as the caller wrote it, and nothing is concluded from a spec that the
 * daemon refuses.
 */
#include "client/spec_json.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Above what the daemon takes. */
	MAX_DEPTH = 256,
};

/* Return: the object; NULL when the text is not one JSON object, or memory is short. */
static struct json_object *parse_object(const char *text)
{
	struct json_tokener *tokener;
	struct json_object *root;

	tokener = json_tokener_new_ex(MAX_DEPTH);
	if (tokener == NULL)
		return NULL;
	root = json_tokener_parse_ex(tokener, text, -1);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    !json_object_is_type(root, json_type_object)) {
		json_object_put(root);
		root = NULL;
	}
	json_tokener_free(tokener);
	return root;
}

static int compare_names(const void *a, const void *b)
{
	/* strcmp compares as unsigned char, which is the byte order of the contract. */
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void spec_free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int spec_parameter_names(const char *spec, char ***ret, size_t *ret_n)
{
	struct json_object *root, *parameters;
	char **names = NULL;
	size_t n = 0;
	int r = -ENOMEM;

	root = parse_object(spec);
	if (root == NULL)
		return -EPROTO;
	if (json_object_object_get_ex(root, "parameters", &parameters) &&
	    json_object_is_type(parameters, json_type_object)) {
		names = calloc((size_t)json_object_object_length(parameters) + 1, sizeof(*names));
		if (names == NULL)
			goto finish;
		json_object_object_foreach(parameters, name, value)
		{
			(void)value;
			names[n] = strdup(name);
			if (names[n] == NULL)
				goto finish;
			n++;
		}
		qsort(names, n, sizeof(*names), compare_names);
	}
	*ret = names;
	*ret_n = n;
	names = NULL;
	n = 0;
	r = 0;
finish:
	spec_free_names(names, n);
	json_object_put(root);
	return r;
}

static bool uses_previous(struct json_object *tree)
{
	if (json_object_is_type(tree, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(tree); i++) {
			if (uses_previous(json_object_array_get_idx(tree, i)))
				return true;
		}
		return false;
	}
	if (!json_object_is_type(tree, json_type_object))
		return false;
	json_object_object_foreach(tree, key, value)
	{
		if (strcmp(key, "var") == 0 && json_object_is_type(value, json_type_string) &&
		    strcmp(json_object_get_string(value), "previous") == 0)
			return true;
		if (uses_previous(value))
			return true;
	}
	return false;
}

/* A JSON integer or "0x…". */
static bool get_number(struct json_object *value, uint64_t *ret)
{
	const char *text;
	char *end;

	if (json_object_is_type(value, json_type_int)) {
		*ret = json_object_get_uint64(value);
		return true;
	}
	if (!json_object_is_type(value, json_type_string))
		return false;
	text = json_object_get_string(value);
	if (strncmp(text, "0x", 2) != 0 || strspn(text + 2, "0123456789abcdefABCDEF") == 0)
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 16);
	return errno == 0 && *end == '\0';
}

bool spec_lacks_previous(const char *spec, uint64_t *ret_address, size_t *ret_length)
{
	struct json_object *root, *member;
	uint64_t address, length = 8;
	const char *access;
	bool lacks = false;

	root = parse_object(spec);
	if (root == NULL)
		return false;
	if (!json_object_object_get_ex(root, "access", &member) ||
	    !json_object_is_type(member, json_type_string))
		goto finish;
	access = json_object_get_string(member);
	if (strcmp(access, "write") != 0 && strcmp(access, "read-write") != 0)
		goto finish;
	if (json_object_object_get_ex(root, "previous", NULL) || !uses_previous(root))
		goto finish;
	if (!json_object_object_get_ex(root, "address", &member) || !get_number(member, &address))
		goto finish;
	if (json_object_object_get_ex(root, "length", &member) && !get_number(member, &length))
		goto finish;
	if (length != 1 && length != 2 && length != 4 && length != 8)
		goto finish;

	*ret_address = address;
	*ret_length = length;
	lacks = true;
finish:
	json_object_put(root);
	return lacks;
}

int spec_add_previous(const char *spec, uint64_t previous, char **ret)
{
	const char *end = strrchr(spec, '}');
	char *text;
	int r;

	r = asprintf(&text, "%.*s,\"previous\":\"0x%" PRIx64 "\"%s", (int)(end - spec), spec,
		     previous, end);
	if (r < 0)
		return -ENOMEM;
	*ret = text;
	return 0;
}
