/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 by the Unicode standard's table of well-formed sequences; nothing is repaired silently. */
#include "json/utf8.h"

#include <string.h>

size_t utf8_decode(const char *text, size_t left, uint32_t *ret)
{
	const unsigned char *byte = (const unsigned char *)text;
	uint32_t point, lowest;
	size_t length;

	if (left == 0)
		return 0;
	if (byte[0] < 0x80) {
		*ret = byte[0];
		return 1;
	}
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf) {
		length = 2;
		point = byte[0] & 0x1f;
		lowest = 0x80;
	} else if (byte[0] >= 0xe0 && byte[0] <= 0xef) {
		length = 3;
		point = byte[0] & 0x0f;
		lowest = 0x800;
	} else if (byte[0] >= 0xf0 && byte[0] <= 0xf4) {
		length = 4;
		point = byte[0] & 0x07;
		lowest = 0x10000;
	} else {
		return 0;
	}
	if (left < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (byte[i] & 0x3f);
	}
	if (point < lowest || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret = point;
	return length;
}

size_t utf8_length(const char *text, size_t left)
{
	uint32_t point;

	return utf8_decode(text, left, &point);
}

size_t utf8_encode(uint32_t point, char ret[static 4])
{
	if (point < 0x80) {
		ret[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		ret[0] = (char)(0xc0 | point >> 6);
		ret[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		ret[0] = (char)(0xe0 | point >> 12);
		ret[1] = (char)(0x80 | (point >> 6 & 0x3f));
		ret[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	ret[0] = (char)(0xf0 | point >> 18);
	ret[1] = (char)(0x80 | (point >> 12 & 0x3f));
	ret[2] = (char)(0x80 | (point >> 6 & 0x3f));
	ret[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}

void utf8_sanitize(char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		uint32_t point;
		size_t length = utf8_decode(text, left, &point);

		/* C0, DEL and C1: a terminal would obey them. */
		if (length == 0 || point < 0x20 || (point >= 0x7f && point < 0xa0)) {
			memset(text, '?', length > 0 ? length : 1);
			length = length > 0 ? length : 1;
		}
		text += length;
		left -= length;
	}
}
