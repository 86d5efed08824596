/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the client knows of the machine: how its registers are called in records, in conditions and in
 * DWARF, and which hold arguments. (Its C types are those of the compiler that compiles this.) One file
 * for each machine, machine_x86.c and machine_arm64.c.
 */
#ifndef CLIENT_MACHINE_H
#define CLIENT_MACHINE_H

#include <stddef.h>

#include "bpcond/hit.h"
#include "client/text_names.h"

typedef struct SecondName {
	const char *name;
	const char *same; /* a name of machine_text_registers */
} SecondName;

/* By enum bpcond_register. */
extern const char *const machine_register_names[BPCOND_REG_COUNT];

/* gdb's names and types, and gdb's second names. */
extern const TextRegister machine_text_registers[];
extern const size_t n_machine_text_registers;
extern const SecondName machine_second_names[];
extern const size_t n_machine_second_names;

/* The general registers by DWARF's numbers. */
extern const char *const machine_dwarf_registers[];
extern const size_t n_machine_dwarf_registers;

/* Where integers and pointers are passed to a function, in order. */
extern const char *const machine_arguments[];
extern const size_t n_machine_arguments;

/* For messages: some that a record can hold, some that a condition can name. */
extern const char machine_capture_examples[];
extern const char machine_text_examples[];

#endif
