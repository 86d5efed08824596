/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C's integer types and pointers to them, as on 64-bit Linux: long has 64 bits; whether char is signed
 * is the machine's. Types
 * that C tells apart but that compute alike (long and long long, char and int8_t) are one.
 */
#ifndef CLIENT_TEXT_TYPES_H
#define CLIENT_TEXT_TYPES_H

#include <stdbool.h>
#include <stddef.h>

#include "client/text_range.h"

typedef struct CType {
	unsigned char size; /* of the integer: 1, 2, 4, 8; 0: void */
	bool is_signed;
	bool is_bool;
	unsigned char pointers; /* levels of pointers around it */
	/* Of what is no integer and yet not void (a struct, a double, a row of an array), with size 0:
	 * its bytes, which pointers to it step over; C_EXTENT_UNKNOWN. */
	int extent;
} CType;

enum {
	C_MAX_POINTERS = 16,
	C_EXTENT_UNKNOWN = -1,
};

#define C_INT   ((CType){.size = 4, .is_signed = true})
#define C_UINT  ((CType){.size = 4})
#define C_LONG  ((CType){.size = 8, .is_signed = true})
#define C_ULONG ((CType){.size = 8})
#define C_BOOL  ((CType){.size = 1, .is_bool = true})
#define C_VOIDP ((CType){.size = 0, .pointers = 1})

/* Of a value of the type, in bytes; 0 for void. */
static inline unsigned c_size(CType type)
{
	return type.pointers > 0 ? 8 : type.size;
}

static inline bool c_is_signed(CType type)
{
	return type.pointers == 0 && type.is_signed;
}

static inline bool c_is_pointer(CType type)
{
	return type.pointers > 0;
}

/* Bytes that C steps over with a pointer of the type; void and functions it steps over by the byte, as gcc
 * and gdb do. 0: not known. */
unsigned c_step(CType pointer);

/* What a pointer points to. */
static inline CType c_target(CType type)
{
	type.pointers--;
	return type;
}

/* The integer promotions; pointers stay. */
CType c_promoted(CType type);
/* The usual arithmetic conversions; a pointer counts as unsigned long. */
CType c_common(CType left, CType right);

/* The tree's type of such a value in memory. Not for void. */
TreeType c_tree_type(CType type);
CType c_from_tree_type(TreeType type);

/* The bits of a value, cut to the type and then extended to 64 bits as the type says. */
uint64_t c_cut(uint64_t bits, CType type);

/* "unsigned int", "char **": for casts. `size` at least 48. */
void c_type_name(CType type, char *ret, size_t size);

/* Type names: one of the words that C's types are made of, or a typedef name of the C library. */
typedef struct CTypeWords {
	unsigned n_void, n_bool, n_char, n_short, n_int, n_long, n_signed, n_unsigned, n_typedef;
	unsigned n_qualifier;
	CType typedef_type;
} CTypeWords;

/* Counts a word. Return: false if it is no word of an integer type. */
bool c_type_word(CTypeWords *words, const char *word, size_t length);
/* Words of types that conditions cannot compute with: struct, double, … */
bool c_is_foreign_type_word(const char *word, size_t length);
/* Return: false if the words together name no type. */
bool c_type_from_words(const CTypeWords *words, CType *ret);

#endif
