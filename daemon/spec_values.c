/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The readers of a spec's single values: each asks for the type first, since json-c's getters
 * convert whatever they are given, and each refusal says where the value stands and what belongs
 * there.
 */
#include "condition/nearest.h"
#include "daemon/spec_reader.h"
#include "json/strict_json.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int spec_fail(SpecReader *reader, const char *path, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	return refuse_at(reader->refusal, REFUSED_INVALID_SPEC, path,
			 json_offset_of_path(reader->text, reader->length, path), sentence);
}

int spec_fail_type(SpecReader *reader, const char *path, struct json_object *value,
		   const char *wanted)
{
	return spec_fail(reader, path, "this is %s; write %s", json_kind(value), wanted);
}

static int fail_unknown_key(SpecReader *reader, const char *path, const char *written,
			    const char *const keys[], size_t n_keys)
{
	char list[384] = "";
	Nearest nearest;

	nearest_start(&nearest, written);
	for (size_t i = 0; i < n_keys; i++)
		nearest_offer(&nearest, keys[i]);
	if (nearest.best != NULL)
		return spec_fail(reader, path, "there is no such key; did you mean \"%s\"?",
				 nearest.best);
	for (size_t i = 0; i < n_keys; i++) {
		size_t length = strlen(list);

		snprintf(list + length, sizeof(list) - length, "%s%s", i > 0 ? ", " : "", keys[i]);
	}
	return spec_fail(reader, path, "there is no such key; there are %s", list);
}

int spec_check_keys(SpecReader *reader, struct json_object *object, const char *path,
		    const char *const keys[], size_t n_keys)
{
	json_object_object_foreach(object, key, value)
	{
		char key_path[JSON_MAX_PATH];
		size_t i = 0;

		(void)value;
		while (i < n_keys && strcmp(key, keys[i]) != 0)
			i++;
		if (i < n_keys)
			continue;
		json_path_member(key_path, path, key);
		return fail_unknown_key(reader, key_path, key, keys, n_keys);
	}
	return 0;
}

int spec_read_boolean(SpecReader *reader, struct json_object *value, const char *path, bool *ret)
{
	if (!json_object_is_type(value, json_type_boolean))
		return spec_fail_type(reader, path, value, "true or false");
	*ret = json_object_get_boolean(value) != 0;
	return 0;
}

int spec_read_number(SpecReader *reader, struct json_object *value, const char *path,
		     uint64_t *ret_bits)
{
	bool is_unsigned;
	int r;

	r = json_get_number(value, ret_bits, &is_unsigned);
	if (r == 0)
		return 0;
	if (json_object_is_type(value, json_type_string))
		return spec_fail(reader, path,
				 "this string is no 64-bit number; write an integer, or \"0x\" and "
				 "hex digits of at most 64 bits");
	return spec_fail_type(reader, path, value, "an integer or a string \"0x...\"");
}

int spec_read_count(SpecReader *reader, struct json_object *value, const char *path, uint64_t *ret)
{
	uint64_t bits;
	int r;

	r = spec_read_number(reader, value, path, &bits);
	if (r != 0)
		return r;
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) < 0)
		return spec_fail(reader, path, "%" PRId64 " is negative; write 0 or more",
				 (int64_t)bits);
	*ret = bits;
	return 0;
}

int spec_read_integer(SpecReader *reader, struct json_object *value, const char *path,
		      const char *what, int64_t low, int64_t high, int64_t *ret)
{
	int64_t number;

	if (!json_object_is_type(value, json_type_int))
		return spec_fail_type(reader, path, value, "an integer");
	/* A saturated one is out of any range that is asked for. */
	number = json_object_get_int64(value);
	if (number < low || number > high)
		return spec_fail(reader, path,
				 "%s is between %" PRId64 " and %" PRId64 ", and this is %s", what,
				 low, high, json_object_get_string(value));
	*ret = number;
	return 0;
}

int spec_read_string(SpecReader *reader, struct json_object *value, const char *path,
		     const char **ret)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return spec_fail_type(reader, path, value, "a string");
	text = json_object_get_string(value);
	if (text == NULL)
		return -ENOMEM;
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return spec_fail(reader, path, "no value here holds a zero byte");
	*ret = text;
	return 0;
}

int spec_read_condition(SpecReader *reader, struct json_object *value, const char *path,
			Condition **ret)
{
	const ConditionScope scope = {
		.use = reader->spec->lent                     ? CONDITION_FOR_LENT
		       : reader->spec->access == SPEC_EXECUTE ? CONDITION_FOR_EXECUTE
							      : CONDITION_FOR_DATA,
		.parameters = (const char *const *)reader->spec->parameters,
		.n_parameters = reader->spec->n_parameters,
	};
	ConditionError error;
	int r;

	r = condition_from_json(value, path, &scope, ret, &error);
	if (r <= 0)
		return r;
	return refuse_at(reader->refusal, REFUSED_INVALID_CONDITION, error.path,
			 json_offset_of_path(reader->text, reader->length, error.path),
			 error.message);
}
