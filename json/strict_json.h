/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile JSON text to a json-c tree. json-c's strict mode still takes single quotes, NaN, duplicate
 * keys and numbers that it saturates; this takes RFC 8259 and nothing else, within a byte and a
 * depth limit, refuses duplicate keys, and can tell at which byte of the text a JSON path stands.
 */
#ifndef STRICT_JSON_H
#define STRICT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

enum {
	JSON_MAX_PATH = 256,
	/* More than the largest spec has, and few enough that no text costs more than a few
	 * milliseconds: a small text can hold many values, and json-c makes a table for each object. */
	JSON_MAX_VALUES = 12288,
	JSON_MAX_CONTAINERS = 5120, /* objects and arrays among them */
};

typedef struct JsonError {
	char path[JSON_MAX_PATH]; /* as $.condition.and[0].reg; ends in ... when it does not fit */
	char message[256];        /* a sentence for a person */
	size_t offset;            /* byte offset into the text */
} JsonError;

/*
 * Parses exactly one JSON value, `length` bytes of text that may hold any byte.
 *
 * Return: 0 and *ret (json_object_put; NULL is the value null); 1 and *error when the text is not
 * acceptable; -ENOMEM.
 */
int json_parse_strict(const char *text, size_t length, size_t max_depth, struct json_object **ret,
		      JsonError *error);

/* Byte offset at which the value that `path` names begins in text that json_parse_strict accepted,
 * or of the closest enclosing value that exists. */
size_t json_offset_of_path(const char *text, size_t length, const char *path);

/* Appends a member or an index to a path: a key that is no plain name is written ["key"], and all is
 * printable ASCII. The result is cut with ... if it does not fit JSON_MAX_PATH. `stem` may be `ret`
 * itself. */
void json_path_member(char ret[static JSON_MAX_PATH], const char *stem, const char *key);
void json_path_index(char ret[static JSON_MAX_PATH], const char *stem, size_t index);

/*
 * A 64-bit number: a JSON integer, or a string "0x…". No other string is a number, and nothing is
 * rounded or saturated.
 *
 * Return: 0, *ret_bits, and *ret_unsigned true when the value is above INT64_MAX; 1 otherwise.
 */
int json_get_number(struct json_object *value, uint64_t *ret_bits, bool *ret_unsigned);

/* What a value is, for a message: "this is %s". A constant string. */
const char *json_kind(struct json_object *value);

#endif
