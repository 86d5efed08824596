/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C's integer types on x86-64 Linux: conversions (C11 6.3.1.1, 6.3.1.8) and the spellings of types.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <wchar.h>

#include "client/text_types.h"

CType c_promoted(CType type)
{
	if (type.pointers == 0 && type.size < 4)
		return C_INT;
	return type;
}

CType c_common(CType left, CType right)
{
	CType a = c_is_pointer(left) ? C_ULONG : c_promoted(left);
	CType b = c_is_pointer(right) ? C_ULONG : c_promoted(right);

	if (a.size != b.size)
		return a.size > b.size ? a : b;
	return a.is_signed ? b : a;
}

unsigned c_step(CType pointer)
{
	CType target = c_target(pointer);

	if (c_size(target) > 0)
		return c_size(target);
	if (target.extent == C_EXTENT_UNKNOWN)
		return 0;
	return target.extent > 0 ? (unsigned)target.extent : 1;
}

TreeType c_tree_type(CType type)
{
	unsigned size = c_size(type);
	unsigned log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;

	return (TreeType)(log << 1 | (c_is_signed(type) ? 1u : 0u));
}

CType c_from_tree_type(TreeType type)
{
	return (CType){.size = (unsigned char)tree_type_size(type),
		       .is_signed = tree_type_is_signed(type)};
}

uint64_t c_cut(uint64_t bits, CType type)
{
	unsigned unused = 64 - 8 * c_size(type);

	if (type.is_bool && !c_is_pointer(type))
		return bits != 0;
	bits <<= unused;
	return c_is_signed(type) ? (uint64_t)((int64_t)bits >> unused) : bits >> unused;
}

void c_type_name(CType type, char *ret, size_t size)
{
	static const char *const NAMES[2][9] = {
		{[1] = "unsigned char",
		 [2] = "unsigned short",
		 [4] = "unsigned",
		 [8] = "unsigned long"},
		{[1] = "signed char", [2] = "short", [4] = "int", [8] = "long"},
	};
	char stars[C_MAX_POINTERS + 1] = "";
	const char *name;

	memset(stars, '*', type.pointers);
	if (type.is_bool)
		name = "bool";
	else
		name = type.size == 0 ? "void" : NAMES[type.is_signed][type.size];
	snprintf(ret, size, "%s%s%s", name, type.pointers > 0 ? " " : "", stars);
}

static bool word_is(const char *word, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(word, name, length) == 0;
}

static const struct {
	const char *name;
	CType type;
} TYPEDEFS[] = {
	{"int8_t", {.size = 1, .is_signed = true}},
	{"int16_t", {.size = 2, .is_signed = true}},
	{"int32_t", {.size = 4, .is_signed = true}},
	{"int64_t", {.size = 8, .is_signed = true}},
	{"uint8_t", {.size = 1}},
	{"uint16_t", {.size = 2}},
	{"uint32_t", {.size = 4}},
	{"uint64_t", {.size = 8}},
	{"intmax_t", {.size = 8, .is_signed = true}},
	{"uintmax_t", {.size = 8}},
	{"intptr_t", {.size = 8, .is_signed = true}},
	{"uintptr_t", {.size = 8}},
	{"ptrdiff_t", {.size = 8, .is_signed = true}},
	{"size_t", {.size = 8}},
	{"ssize_t", {.size = 8, .is_signed = true}},
	{"off_t", {.size = 8, .is_signed = true}},
	{"off64_t", {.size = 8, .is_signed = true}},
	{"loff_t", {.size = 8, .is_signed = true}},
	{"time_t", {.size = 8, .is_signed = true}},
	{"clock_t", {.size = 8, .is_signed = true}},
	{"suseconds_t", {.size = 8, .is_signed = true}},
	{"pid_t", {.size = 4, .is_signed = true}},
	{"uid_t", {.size = 4}},
	{"gid_t", {.size = 4}},
	{"mode_t", {.size = 4}},
	{"id_t", {.size = 4}},
	{"socklen_t", {.size = 4}},
	{"clockid_t", {.size = 4, .is_signed = true}},
	{"dev_t", {.size = 8}},
	{"ino_t", {.size = 8}},
	{"nlink_t", {.size = sizeof(nlink_t)}},
	{"pthread_t", {.size = 8}},
	{"wchar_t", {.size = 4, .is_signed = WCHAR_MIN < 0}},
	{"wint_t", {.size = 4}},
	{"char16_t", {.size = 2}},
	{"char32_t", {.size = 4}},
	{"u_char", {.size = 1}},
	{"u_short", {.size = 2}},
	{"u_int", {.size = 4}},
	{"u_long", {.size = 8}},
	{"uchar", {.size = 1}},
	{"ushort", {.size = 2}},
	{"uint", {.size = 4}},
	{"ulong", {.size = 8}},
	{"u8", {.size = 1}},
	{"s8", {.size = 1, .is_signed = true}},
	{"u16", {.size = 2}},
	{"s16", {.size = 2, .is_signed = true}},
	{"u32", {.size = 4}},
	{"s32", {.size = 4, .is_signed = true}},
	{"u64", {.size = 8}},
	{"s64", {.size = 8, .is_signed = true}},
};

bool c_type_word(CTypeWords *words, const char *word, size_t length)
{
	const struct {
		const char *name;
		unsigned *count;
	} table[] = {
		{"void", &words->n_void},          {"bool", &words->n_bool},
		{"_Bool", &words->n_bool},         {"char", &words->n_char},
		{"short", &words->n_short},        {"int", &words->n_int},
		{"long", &words->n_long},          {"signed", &words->n_signed},
		{"__signed__", &words->n_signed},  {"unsigned", &words->n_unsigned},
		{"const", &words->n_qualifier},    {"volatile", &words->n_qualifier},
		{"restrict", &words->n_qualifier}, {"__restrict", &words->n_qualifier},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (word_is(word, length, table[i].name)) {
			++*table[i].count;
			return true;
		}
	}
	/* The kernel's __u32 is u32. */
	if (length > 2 && word[0] == '_' && word[1] == '_') {
		word += 2;
		length -= 2;
	}
	for (size_t i = 0; i < sizeof(TYPEDEFS) / sizeof(TYPEDEFS[0]); i++) {
		if (word_is(word, length, TYPEDEFS[i].name)) {
			words->n_typedef++;
			words->typedef_type = TYPEDEFS[i].type;
			return true;
		}
	}
	return false;
}

bool c_is_foreign_type_word(const char *word, size_t length)
{
	static const char *const WORDS[] = {
		"struct",     "union",      "enum",        "class",    "float",
		"double",     "_Complex",   "__int128",    "_Float16", "__float128",
		"_Decimal64", "__int128_t", "__uint128_t", "FILE",
	};

	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
		if (word_is(word, length, WORDS[i]))
			return true;
	return false;
}

bool c_type_from_words(const CTypeWords *w, CType *ret)
{
	unsigned bases = w->n_void + w->n_bool + w->n_char + w->n_typedef;
	unsigned signs = w->n_signed + w->n_unsigned;
	bool is_signed = w->n_unsigned == 0;

	if (w->n_char > 0 && signs == 0)
		is_signed = CHAR_MIN < 0;

	if (signs > 1 || w->n_int > 1 || w->n_short > 1 || w->n_long > 2 || bases > 1)
		return false;
	if (w->n_short > 0 && w->n_long > 0)
		return false;
	if (bases == 1 && (w->n_int > 0 || w->n_short > 0 || w->n_long > 0))
		return false;
	if (w->n_char == 0 && bases == 1) {
		if (signs > 0)
			return false;
		*ret = w->n_void > 0   ? (CType){.size = 0}
		       : w->n_bool > 0 ? C_BOOL
				       : w->typedef_type;
		return true;
	}
	if (w->n_char == 0 && w->n_int + w->n_short + w->n_long + signs == 0)
		return false;
	*ret = (CType){.is_signed = is_signed, .size = 4};
	if (w->n_char > 0)
		ret->size = 1;
	else if (w->n_short > 0)
		ret->size = 2;
	else if (w->n_long > 0)
		ret->size = 8;
	return true;
}
