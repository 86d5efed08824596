/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths as errors name them: $, then .key or ["key"] for a member and [0] for an element. A path is
 * printable ASCII whatever the keys hold, so it can be cut anywhere and shown on any terminal, and
 * different places have different paths as long as they are not cut.
 */
#include "json/strict_json.h"
#include "json/utf8.h"

#include <stdio.h>
#include <string.h>

static const char cut_mark[] = "...";

/* No whole path ends so: a key with dots stands in quotes. */
static bool path_is_cut(const char *path, size_t length)
{
	return length == JSON_MAX_PATH - 1 &&
	       strcmp(path + length - strlen(cut_mark), cut_mark) == 0;
}

/* Return: false when it did not fit and the path ends here. */
static bool path_append(char path[static JSON_MAX_PATH], const char *piece)
{
	size_t length = strlen(path);
	size_t piece_length = strlen(piece);

	if (length + piece_length < JSON_MAX_PATH) {
		memcpy(path + length, piece, piece_length + 1);
		return true;
	}
	memcpy(path + length, piece, JSON_MAX_PATH - 1 - length);
	memcpy(path + JSON_MAX_PATH - sizeof(cut_mark), cut_mark, sizeof(cut_mark));
	return false;
}

/* Return: false when the stem is cut already and nothing may follow. */
static bool path_begin(char path[static JSON_MAX_PATH], const char *stem)
{
	size_t length = strnlen(stem, JSON_MAX_PATH - 1);

	memmove(path, stem, length);
	path[length] = '\0';
	return !path_is_cut(path, length);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_plain_name(const char *key)
{
	if (!is_letter(key[0]))
		return false;
	for (const char *c = key; *c != '\0'; c++)
		if (!is_letter(*c) && !(*c >= '0' && *c <= '9') && *c != '-')
			return false;
	return true;
}

/* One character of a quoted key, as JSON would escape it. Return: bytes of the key consumed. */
static size_t quote_character(const char *key, size_t left, char ret[static 16])
{
	uint32_t point = 0;
	size_t length = utf8_decode(key, left, &point);

	if (length == 0) {
		point = (unsigned char)key[0];
		length = 1;
	}
	if (point == '"' || point == '\\')
		snprintf(ret, 16, "\\%c", (char)point);
	else if (point >= 0x20 && point < 0x7f)
		snprintf(ret, 16, "%c", (char)point);
	else if (point < 0x10000)
		snprintf(ret, 16, "\\u%04x", point);
	else
		snprintf(ret, 16, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
			 0xdc00 + ((point - 0x10000) & 0x3ff));
	return length;
}

void json_path_member(char ret[static JSON_MAX_PATH], const char *stem, const char *key)
{
	bool fits = path_begin(ret, stem);

	if (!fits)
		return;
	if (is_plain_name(key)) {
		fits = path_append(ret, ".");
		if (fits)
			path_append(ret, key);
		return;
	}
	fits = path_append(ret, "[\"");
	for (size_t left = strlen(key); fits && left > 0;) {
		char quoted[16];
		size_t length = quote_character(key, left, quoted);

		fits = path_append(ret, quoted);
		key += length;
		left -= length;
	}
	if (fits)
		path_append(ret, "\"]");
}

void json_path_index(char ret[static JSON_MAX_PATH], const char *stem, size_t index)
{
	char piece[32];

	if (!path_begin(ret, stem))
		return;
	snprintf(piece, sizeof(piece), "[%zu]", index);
	path_append(ret, piece);
}
