/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers a condition can name: gdb's names and types, where each lies among the user's registers
 * as the kernel shows them to a filter (bpf_user_pt_regs_t), and which bit of a hit record it is. One
 * table for one machine, in registers_x86.c or registers_arm64.c.
 */
#ifndef CONDITION_REGISTERS_H
#define CONDITION_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condition/value_type.h"

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

/* The machine's: of each whole register first the name that is written back, before its parts and
 * second names. */
extern const Register machine_registers[];
extern const size_t n_machine_registers;

/* For messages: what names there are, by examples. */
extern const char register_hint[];

/* Return: the register of that name, or NULL. */
const Register *register_by_name(const char *name);

/* The i-th name, in the table's order, or NULL: for listings and for suggestions. */
const Register *register_at(size_t i);

/* Byte offset of the whole register (enum bpcond_register) among the user's registers, or, if it is one
 * of register_inputs(), in struct condition_inputs. */
unsigned int register_offset(unsigned int whole);

/* The whole registers that the kernel does not keep with the others, 1 << enum bpcond_register. */
uint64_t register_inputs(void);

/* Whether `name` is `stem` with digits behind it, or none. */
bool register_is_numbered(const char *name, const char *stem);

/* Return: why gdb knows this name and a condition does not, as the end of a sentence, or NULL. */
const char *register_why_not(const char *name);

#endif
