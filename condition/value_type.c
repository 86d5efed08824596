/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of the eight types. */
#include <string.h>

#include "condition/value_type.h"

static const char *const names[TYPE_COUNT] = {
	[TYPE_U8] = "u8",   [TYPE_S8] = "s8",   [TYPE_U16] = "u16", [TYPE_S16] = "s16",
	[TYPE_U32] = "u32", [TYPE_S32] = "s32", [TYPE_U64] = "u64", [TYPE_S64] = "s64",
};

const char *value_type_name(ValueType type)
{
	return names[type];
}

bool value_type_by_name(const char *name, ValueType *ret)
{
	for (int i = 0; i < TYPE_COUNT; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}
