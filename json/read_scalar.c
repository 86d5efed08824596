/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scalars of the strict JSON reader. A string becomes UTF-8 bytes with its escapes resolved; an
 * integer is exact or refused; any other number is a double, which no spec has a use for and which
 * is read so that the refusal can say what it is.
 */
#include "json/reader.h"
#include "json/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Four hex digits after \u. Return: false when they are not there. */
static bool take_hex4(Reader *reader, uint32_t *ret)
{
	uint32_t point = 0;

	if (reader->length - reader->at < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		char c = reader->text[reader->at + i];

		if (c >= '0' && c <= '9')
			point = point << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			point = point << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			point = point << 4 | (uint32_t)(c - 'A' + 10);
		else
			return false;
	}
	reader->at += 4;
	*ret = point;
	return true;
}

/* The code point of a \u escape, of which \u has been read; two escapes when the first is a high
 * surrogate. */
static int read_unicode_escape(Reader *reader, const Level *level, size_t start, uint32_t *ret)
{
	uint32_t point, low;

	if (!take_hex4(reader, &point))
		return reader_fail(reader, level, start, "\\u needs four hex digits");
	if (point >= 0xdc00 && point <= 0xdfff)
		return reader_fail(reader, level, start,
				   "a low surrogate stands alone; write a pair, high before low");
	if (point >= 0xd800 && point <= 0xdbff) {
		bool paired = reader_take_character(reader, '\\') &&
			      reader_take_character(reader, 'u') && take_hex4(reader, &low) &&
			      low >= 0xdc00 && low <= 0xdfff;

		if (!paired)
			return reader_fail(
				reader, level, start,
				"a high surrogate stands alone; a low one must follow it");
		point = 0x10000 + ((point - 0xd800) << 10 | (low - 0xdc00));
	}
	*ret = point;
	return 0;
}

static int read_escape(Reader *reader, const Level *level, uint32_t *ret)
{
	static const char names[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	size_t start = reader->at - 1;
	const char *name;

	if (reader_take_character(reader, 'u'))
		return read_unicode_escape(reader, level, start, ret);
	name = reader->at < reader->length ? memchr(names, reader->text[reader->at], strlen(names))
					   : NULL;
	if (name == NULL)
		return reader_fail(reader, level, start,
				   "there is no such escape; \\\" \\\\ \\/ \\b \\f \\n \\r \\t and "
				   "\\uXXXX are all there are");
	reader->at++;
	*ret = (unsigned char)meanings[name - names];
	return 0;
}

/* The characters of a string up to its closing quote into `bytes`, which is large enough: no escape
 * is shorter than what it stands for. */
static int read_characters(Reader *reader, const Level *level, char *bytes, size_t *ret_length)
{
	size_t start = reader->at - 1;
	size_t length = 0;
	uint32_t point = 0;
	int r;

	while (reader->at < reader->length) {
		size_t width;

		if (reader_take_character(reader, '"')) {
			*ret_length = length;
			return 0;
		}
		if (reader_take_character(reader, '\\')) {
			r = read_escape(reader, level, &point);
			if (r != 0)
				return r;
			length += utf8_encode(point, bytes + length);
			continue;
		}
		width = utf8_decode(reader->text + reader->at, reader->length - reader->at, &point);
		if (width == 0)
			return reader_fail(reader, level, reader->at, "this is not UTF-8");
		if (point < 0x20)
			return reader_fail(reader, level, reader->at,
					   "a control character in a string is written \\u%04x",
					   point);
		memcpy(bytes + length, reader->text + reader->at, width);
		length += width;
		reader->at += width;
	}
	return reader_fail(reader, level, start, "this string has no end; a quote is missing");
}

/* Bytes that a string starting at reader->at can have at the most: those up to its closing quote. */
static size_t string_bound(const Reader *reader)
{
	size_t at = reader->at;

	while (at < reader->length && reader->text[at] != '"')
		at += reader->text[at] == '\\' ? 2 : 1;
	return (at < reader->length ? at : reader->length) - reader->at;
}

int reader_string(Reader *reader, const Level *level, char **ret, size_t *ret_length)
{
	/* utf8_encode may touch four bytes where it writes fewer. */
	char *bytes = malloc(string_bound(reader) + 5);
	size_t length = 0;
	int r;

	if (bytes == NULL)
		return -ENOMEM;
	r = read_characters(reader, level, bytes, &length);
	if (r != 0) {
		free(bytes);
		return r;
	}
	bytes[length] = '\0';
	*ret = bytes;
	*ret_length = length;
	return 0;
}

int reader_string_value(Reader *reader, const Level *level, struct json_object **ret)
{
	struct json_object *value;
	size_t length = 0;
	char *bytes;
	int r;

	r = reader_string(reader, level, &bytes, &length);
	if (r != 0)
		return r;
	value = reader->build ? json_object_new_string_len(bytes, (int)length) : NULL;
	free(bytes);
	if (reader->build && value == NULL)
		return -ENOMEM;
	*ret = value;
	return 0;
}

static int read_integer(Reader *reader, const Level *level, size_t start, struct json_object **ret)
{
	bool negative = reader->text[start] == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX;
	struct json_object *value;
	uint64_t magnitude = 0;

	for (size_t at = start + (negative ? 1 : 0); at < reader->at; at++) {
		uint64_t digit = (uint64_t)(reader->text[at] - '0');

		if (magnitude > (limit - digit) / 10)
			return reader_fail(reader, level, start,
					   "this number does not fit 64 bits; the range is %" PRId64
					   " to %" PRIu64,
					   INT64_MIN, UINT64_MAX);
		magnitude = magnitude * 10 + digit;
	}
	if (!reader->build)
		value = NULL;
	else if (negative)
		value = json_object_new_int64((int64_t)(0 - magnitude));
	else if (magnitude <= INT64_MAX)
		value = json_object_new_int64((int64_t)magnitude);
	else
		value = json_object_new_uint64(magnitude);
	if (reader->build && value == NULL)
		return -ENOMEM;
	*ret = value;
	return 0;
}

static int read_double(Reader *reader, const Level *level, size_t start, struct json_object **ret)
{
	/* In the C locale: a program that links this may have set one with a decimal comma. */
	locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	struct json_object *value;
	double number;
	char *digits;

	if (c_locale == (locale_t)0)
		return -ENOMEM;
	digits = strndup(reader->text + start, reader->at - start);
	if (digits == NULL) {
		freelocale(c_locale);
		return -ENOMEM;
	}
	number = strtod_l(digits, NULL, c_locale);
	free(digits);
	freelocale(c_locale);
	if (isinf(number))
		return reader_fail(reader, level, start, "this number does not fit 64 bits");
	value = reader->build ? json_object_new_double(number) : NULL;
	if (reader->build && value == NULL)
		return -ENOMEM;
	*ret = value;
	return 0;
}

int reader_number(Reader *reader, const Level *level, struct json_object **ret)
{
	size_t start = reader->at;
	bool integer = true;
	char shown[32];

	reader_take_character(reader, '-');
	if (reader_take_character(reader, '0')) {
		if (reader_at_character(reader, 'x') || reader_at_character(reader, 'X'))
			return reader_fail(
				reader, level, start,
				"a hexadecimal number is written as a string, \"0x...\"");
		if (reader_at_digit(reader))
			return reader_fail(reader, level, start, "a number has no leading zero");
	} else if (!reader_at_digit(reader)) {
		return reader_fail(reader, level, reader->at, "%s stands where a digit should",
				   reader_here(reader, shown));
	}
	while (reader_at_digit(reader))
		reader->at++;
	if (reader_take_character(reader, '.')) {
		integer = false;
		if (!reader_at_digit(reader))
			return reader_fail(
				reader, level, reader->at,
				"%s stands where a digit should: a decimal point is followed "
				"by one",
				reader_here(reader, shown));
		while (reader_at_digit(reader))
			reader->at++;
	}
	if (reader_at_character(reader, 'e') || reader_at_character(reader, 'E')) {
		integer = false;
		reader->at++;
		if (!reader_take_character(reader, '+'))
			reader_take_character(reader, '-');
		if (!reader_at_digit(reader))
			return reader_fail(reader, level, reader->at,
					   "%s stands where a digit of the exponent should",
					   reader_here(reader, shown));
		while (reader_at_digit(reader))
			reader->at++;
	}
	return integer ? read_integer(reader, level, start, ret)
		       : read_double(reader, level, start, ret);
}

int reader_word(Reader *reader, const Level *level, struct json_object **ret)
{
	size_t start = reader->at;
	struct json_object *value;
	const char *word = reader->text + start;
	size_t length = 0;
	bool is_true;

	while (start + length < reader->length && ((word[length] >= 'a' && word[length] <= 'z') ||
						   (word[length] >= 'A' && word[length] <= 'Z')))
		length++;
	reader->at += length;
	if (length == 4 && memcmp(word, "null", 4) == 0) {
		*ret = NULL;
		return 0;
	}
	is_true = length == 4 && memcmp(word, "true", 4) == 0;
	if (!is_true && !(length == 5 && memcmp(word, "false", 5) == 0))
		return reader_fail(
			reader, level, start,
			"true, false and null are the only bare words; a string stands in "
			"double quotes, and there is no NaN or Infinity");
	value = reader->build ? json_object_new_boolean(is_true) : NULL;
	if (reader->build && value == NULL)
		return -ENOMEM;
	*ret = value;
	return 0;
}
