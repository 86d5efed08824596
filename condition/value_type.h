/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The eight types of a load and of `as`. u64 is unsigned; the others are held, with their value, by
 * a signed 64-bit number. */
#ifndef CONDITION_VALUE_TYPE_H
#define CONDITION_VALUE_TYPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ValueType {
	TYPE_U8,
	TYPE_S8,
	TYPE_U16,
	TYPE_S16,
	TYPE_U32,
	TYPE_S32,
	TYPE_U64,
	TYPE_S64,
	TYPE_COUNT,
} ValueType;

/* As it is written in JSON. */
const char *value_type_name(ValueType type);

/* Return: true and *ret if there is a type of that name. */
bool value_type_by_name(const char *name, ValueType *ret);

static inline unsigned int value_type_bytes(ValueType type)
{
	return 1u << (type / 2);
}

/* Whether a sign is extended into the upper bits. */
static inline bool value_type_extends_sign(ValueType type)
{
	return type & 1;
}

#endif
