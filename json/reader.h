/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the strict JSON reader: where it is in the text, and the readers of strings, numbers and
 * words, which stand apart from that of objects and arrays. Each function that returns int returns 0;
 * 1, the text is not acceptable and the reader's error says why; -ENOMEM.
 */
#ifndef JSON_READER_H
#define JSON_READER_H

#include "json/strict_json.h"

/* Where the reader is: a member (key) or an element (index) of the value one level up. */
typedef struct Level {
	const struct Level *up;
	const char *key;
	size_t index;
} Level;

typedef struct Reader {
	const char *text;
	size_t length;
	size_t at;
	size_t max_depth;
	size_t n_values, n_containers;
	bool build; /* else the text is only followed, and every value is NULL */
	JsonError *error;
	size_t found;
} Reader;

/* Fills in the reader's error, if it wants one. Return: 1. */
int reader_fail(Reader *reader, const Level *level, size_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What stands at reader->at, for a message: in `ret`, or a constant. */
const char *reader_here(const Reader *reader, char ret[static 32]);

static inline bool reader_at_character(const Reader *reader, char c)
{
	return reader->at < reader->length && reader->text[reader->at] == c;
}

static inline bool reader_at_digit(const Reader *reader)
{
	return reader->at < reader->length && reader->text[reader->at] >= '0' &&
	       reader->text[reader->at] <= '9';
}

static inline bool reader_take_character(Reader *reader, char c)
{
	if (!reader_at_character(reader, c))
		return false;
	reader->at++;
	return true;
}

/* A string whose opening quote has been read. *ret is free()d by the caller; it ends with a zero byte
 * behind its *ret_length bytes, which may hold others. */
int reader_string(Reader *reader, const Level *level, char **ret, size_t *ret_length);

/* The same, as a value. */
int reader_string_value(Reader *reader, const Level *level, struct json_object **ret);

/* A number that begins at reader->at with a digit or a minus sign. */
int reader_number(Reader *reader, const Level *level, struct json_object **ret);

/* true, false or null. */
int reader_word(Reader *reader, const Level *level, struct json_object **ret);

#endif
