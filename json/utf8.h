/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8, as strictly as the Unicode standard has it (table 3-7): D-Bus disconnects a sender of
 * anything less, so neither hostile input nor a text cut in the middle may reach it.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at `text`, of which `left` bytes may be read: 1 to 4; 0 when
 * there is none (an overlong form, a surrogate, a value above U+10FFFF, a sequence cut short). */
size_t utf8_length(const char *text, size_t left);

/* The same, and *ret the code point unless 0 is returned. */
size_t utf8_decode(const char *text, size_t left, uint32_t *ret);

/* Writes a code point (no surrogate, at most U+10FFFF). Return: bytes written, 1 to 4. */
size_t utf8_encode(uint32_t point, char ret[static 4]);

/* Makes a C string fit to be shown and sent: every control character and every byte that is not
 * part of a well-formed character becomes '?'. */
void utf8_sanitize(char *text);

#endif
