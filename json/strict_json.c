/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one reader of JSON that others sent. It takes RFC 8259 and nothing else, and builds json-c's
 * values itself as it reads: with json-c's own parser behind a checking one there would be two
 * opinions about what a text means, and json-c's, even in its strict mode, lets the last of two
 * equal keys win and saturates numbers.
 *
 * The text may hold any bytes. What is kept from the values' users:
 *  - more nesting than max_depth, which bounds the recursion here and in theirs;
 *  - more values than a spec can have, which bounds the time and memory that a text costs;
 *  - an object with the same key twice, however the two are escaped (json-c's own table, which
 *    hashes with a random seed, is asked before each insertion: linear time);
 *  - an integer that 64 bits do not hold, a double that is infinite;
 *  - strings that are not UTF-8, and keys with a zero byte, which C strings cannot tell from
 *    shorter ones.
 *
 * The same reader finds the byte at which a path stands: it reads the text once more, follows the
 * path down and remembers where the last value on it began.
 */
#include "json/strict_json.h"
#include "json/reader.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* json-c counts a string's bytes in an int. */
#define JSON_MAX_LENGTH ((size_t)INT32_MAX)

/* json_offset_of_path is not told how deep its text may be; below this it names what encloses. */
#define JSON_SEARCH_DEPTH 1000

/* One value's place: its level, how deep it is, and what is left of the path that is sought once
 * the path of this value is taken off (NULL: this value is not on it). */
typedef struct Place {
	const Level *level;
	size_t depth;
	const char *sought;
} Place;

static int read_value(Reader *reader, const Place *place, struct json_object **ret);

static void level_path(const Level *level, char ret[static JSON_MAX_PATH])
{
	if (level == NULL) {
		strcpy(ret, "$");
		return;
	}
	level_path(level->up, ret);
	if (level->key != NULL)
		json_path_member(ret, ret, level->key);
	else
		json_path_index(ret, ret, level->index);
}

int reader_fail(Reader *reader, const Level *level, size_t offset, const char *format, ...)
{
	va_list arguments;

	if (reader->error == NULL)
		return 1;
	level_path(level, reader->error->path);
	reader->error->offset = offset;
	va_start(arguments, format);
	vsnprintf(reader->error->message, sizeof(reader->error->message), format, arguments);
	va_end(arguments);
	return 1;
}

const char *reader_here(const Reader *reader, char ret[static 32])
{
	unsigned char byte;

	if (reader->at >= reader->length)
		return "the end of the text";
	byte = (unsigned char)reader->text[reader->at];
	if (byte > 0x20 && byte < 0x7f)
		snprintf(ret, 32, "'%c'", byte);
	else
		snprintf(ret, 32, "the byte 0x%02x", byte);
	return ret;
}

static void skip_space(Reader *reader)
{
	while (reader->at < reader->length) {
		char c = reader->text[reader->at];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return;
		reader->at++;
	}
}

/* What is left of the sought path below a child whose own piece of a path this is; NULL when the
 * path does not lead there. */
static const char *follow(const char *sought, const char *piece)
{
	size_t length = strlen(piece);

	if (strncmp(sought, piece, length) != 0)
		return NULL;
	if (sought[length] != '\0' && sought[length] != '.' && sought[length] != '[')
		return NULL;
	return sought + length;
}

/* Apart from the recursion, which need not carry this buffer on every level. */
__attribute__((noinline)) static const char *follow_level(const char *sought, const Level *level)
{
	char piece[JSON_MAX_PATH];

	if (sought == NULL)
		return NULL;
	if (level->key != NULL)
		json_path_member(piece, "", level->key);
	else
		json_path_index(piece, "", level->index);
	return follow(sought, piece);
}

static int read_child(Reader *reader, const Place *parent, const Level *level,
		      struct json_object **ret)
{
	Place place = {
		.level = level,
		.depth = parent->depth + 1,
		.sought = follow_level(parent->sought, level),
	};

	skip_space(reader);
	return read_value(reader, &place, ret);
}

/* One member, from its key on, into `object`. */
static int read_member(Reader *reader, const Place *place, struct json_object *object)
{
	size_t start = reader->at;
	struct json_object *value = NULL;
	Level level = {.up = place->level};
	char shown[32];
	size_t length;
	char *key;
	int r;

	if (!reader_take_character(reader, '"'))
		return reader_fail(reader, place->level, start,
				   "%s stands where a key in double quotes should",
				   reader_here(reader, shown));
	r = reader_string(reader, place->level, &key, &length);
	if (r != 0)
		return r;
	level.key = key;
	if (strlen(key) != length) {
		r = reader_fail(reader, place->level, start, "a key holds no zero byte");
		goto out;
	}
	if (reader->build && json_object_object_get_ex(object, key, NULL)) {
		r = reader_fail(reader, &level, start,
				"this key stands in the same object twice; remove one");
		goto out;
	}
	skip_space(reader);
	if (!reader_take_character(reader, ':')) {
		r = reader_fail(reader, &level, reader->at, "%s stands where ':' should",
				reader_here(reader, shown));
		goto out;
	}
	r = read_child(reader, place, &level, &value);
	if (r != 0)
		goto out;
	r = reader->build ? json_object_object_add(object, key, value) : 0;
	if (r < 0) {
		json_object_put(value);
		r = -ENOMEM;
	}
out:
	free(key);
	return r;
}

static int read_members(Reader *reader, const Place *place, struct json_object *object)
{
	char shown[32];
	int r;

	skip_space(reader);
	if (reader_take_character(reader, '}'))
		return 0;
	for (;;) {
		r = read_member(reader, place, object);
		if (r != 0)
			return r;
		skip_space(reader);
		if (reader_take_character(reader, '}'))
			return 0;
		if (!reader_take_character(reader, ','))
			return reader_fail(reader, place->level, reader->at,
					   "%s stands where ',' or '}' should",
					   reader_here(reader, shown));
		skip_space(reader);
	}
}

static int read_elements(Reader *reader, const Place *place, struct json_object *array)
{
	char shown[32];
	int r;

	skip_space(reader);
	if (reader_take_character(reader, ']'))
		return 0;
	for (Level level = {.up = place->level};; level.index++) {
		struct json_object *value = NULL;

		r = read_child(reader, place, &level, &value);
		if (r != 0)
			return r;
		r = reader->build ? json_object_array_add(array, value) : 0;
		if (r < 0) {
			json_object_put(value);
			return -ENOMEM;
		}
		skip_space(reader);
		if (reader_take_character(reader, ']'))
			return 0;
		if (!reader_take_character(reader, ','))
			return reader_fail(reader, place->level, reader->at,
					   "%s stands where ',' or ']' should",
					   reader_here(reader, shown));
	}
}

static int read_container(Reader *reader, const Place *place, struct json_object **ret)
{
	bool is_object = reader->text[reader->at] == '{';
	struct json_object *container = NULL;
	int r;

	if (place->depth >= reader->max_depth)
		return reader_fail(reader, place->level, reader->at,
				   "objects and arrays are nested more than %zu deep",
				   reader->max_depth);
	if (++reader->n_containers > JSON_MAX_CONTAINERS)
		return reader_fail(reader, place->level, reader->at,
				   "the text has more than %d objects and arrays",
				   JSON_MAX_CONTAINERS);
	reader->at++;
	if (reader->build) {
		container = is_object ? json_object_new_object() : json_object_new_array_ext(4);
		if (container == NULL)
			return -ENOMEM;
	}
	r = is_object ? read_members(reader, place, container)
		      : read_elements(reader, place, container);
	if (r != 0) {
		json_object_put(container);
		return r;
	}
	*ret = container;
	return 0;
}

static int read_value(Reader *reader, const Place *place, struct json_object **ret)
{
	char shown[32];
	char c;

	if (place->sought != NULL)
		reader->found = reader->at;
	if (reader->at >= reader->length)
		return reader_fail(reader, place->level, reader->at,
				   "the text ends where a value should stand");
	if (++reader->n_values > JSON_MAX_VALUES)
		return reader_fail(reader, place->level, reader->at,
				   "the text has more than %d values", JSON_MAX_VALUES);
	c = reader->text[reader->at];
	if (c == '{' || c == '[')
		return read_container(reader, place, ret);
	if (reader_take_character(reader, '"'))
		return reader_string_value(reader, place->level, ret);
	if (c == '-' || reader_at_digit(reader))
		return reader_number(reader, place->level, ret);
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return reader_word(reader, place->level, ret);
	if (c == '\'')
		return reader_fail(reader, place->level, reader->at,
				   "a string stands in double quotes");
	if (c == '/')
		return reader_fail(reader, place->level, reader->at, "JSON has no comments");
	return reader_fail(reader, place->level, reader->at, "%s stands where a value should",
			   reader_here(reader, shown));
}

static int read_text(Reader *reader, const char *sought, struct json_object **ret)
{
	const Place root = {.sought = sought};
	struct json_object *value = NULL;
	int r;

	if (reader->length > JSON_MAX_LENGTH)
		return reader_fail(reader, NULL, JSON_MAX_LENGTH,
				   "the text is longer than %zu bytes", JSON_MAX_LENGTH);
	skip_space(reader);
	r = read_value(reader, &root, &value);
	if (r != 0)
		return r;
	skip_space(reader);
	if (reader->at < reader->length) {
		json_object_put(value);
		return reader_fail(reader, NULL, reader->at,
				   "the value has ended, but more text follows; remove it");
	}
	*ret = value;
	return 0;
}

int json_parse_strict(const char *text, size_t length, size_t max_depth, struct json_object **ret,
		      JsonError *error)
{
	Reader reader = {
		.text = text,
		.length = length,
		.max_depth = max_depth,
		.build = true,
		.error = error,
	};

	return read_text(&reader, NULL, ret);
}

size_t json_offset_of_path(const char *text, size_t length, const char *path)
{
	Reader reader = {.text = text, .length = length, .max_depth = JSON_SEARCH_DEPTH};
	struct json_object *none = NULL;

	/* Where it stops short, what was found until then encloses the place. */
	(void)read_text(&reader, path[0] == '$' ? path + 1 : "", &none);
	return reader.found;
}

int json_get_number(struct json_object *value, uint64_t *ret_bits, bool *ret_unsigned)
{
	uint64_t bits = 0;
	const char *text;
	size_t length;

	if (json_object_is_type(value, json_type_int)) {
		/* Each getter saturates what its type does not hold. */
		int64_t number = json_object_get_int64(value);

		bits = number < 0 ? (uint64_t)number : json_object_get_uint64(value);
		*ret_bits = bits;
		*ret_unsigned = number >= 0 && bits > INT64_MAX;
		return 0;
	}
	if (!json_object_is_type(value, json_type_string))
		return 1;
	text = json_object_get_string(value);
	length = (size_t)json_object_get_string_len(value);
	if (length < 3 || memcmp(text, "0x", 2) != 0)
		return 1;
	for (size_t i = 2; i < length; i++) {
		char c = text[i];
		uint64_t digit;

		if (c >= '0' && c <= '9')
			digit = (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (uint64_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			digit = (uint64_t)(c - 'A' + 10);
		else
			return 1;
		if (bits >> 60 != 0)
			return 1;
		bits = bits << 4 | digit;
	}
	*ret_bits = bits;
	*ret_unsigned = bits > INT64_MAX;
	return 0;
}

const char *json_kind(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return json_object_get_boolean(value) ? "true" : "false";
	case json_type_double:
		return "a number with a fraction or an exponent";
	case json_type_int:
		return "a number";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		return "a string";
	}
	return "something else";
}
