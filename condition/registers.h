/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers a condition can name: gdb's names and types, where each lies in the kernel's struct
 * pt_regs, and which bit of a hit record it is. One table for one machine; another machine is
 * another table behind the same functions.
 */
#ifndef CONDITION_REGISTERS_H
#define CONDITION_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condition/value_type.h"

/* Where the filter finds a whole register. */
enum {
	REGISTER_IN_INPUTS = -1, /* struct condition_inputs: not part of struct pt_regs */
};

/*
 * A name and the part of a whole register that it means: `type` of the bits from `shift` upwards.
 * `is_unsigned` is gdb's type of the named register, not of the bits: cs is 16 bits wide, never
 * negative, and an int to gdb.
 */
typedef struct Register {
	const char *name;
	uint8_t whole; /* enum bpcond_register */
	ValueType type;
	uint8_t shift; /* 8 in ah, bh, ch and dh, else 0 */
	bool is_unsigned;
} Register;

/* Return: the register of that name, or NULL. */
const Register *register_by_name(const char *name);

/* The i-th name, in the table's order, or NULL: for listings and for suggestions. */
const Register *register_at(size_t i);

/* Byte offset of the whole register (enum bpcond_register) in struct pt_regs, or
 * REGISTER_IN_INPUTS. */
int register_offset(unsigned int whole);

/* Return: why gdb knows this name and a condition does not, as the end of a sentence, or NULL. */
const char *register_why_not(const char *name);

#endif
