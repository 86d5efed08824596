/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * arm64. Registers under gdb's names and with gdb's types, as gdb 13 prints them for `ptype $NAME`: x0
 * to x30 are long, w0 to w30 uint32_t, sp and pc pointers, cpsr a set of flags. pstate is the
 * architecture's name of the last, under which records have it; the others are gdb's second names.
 */
#include "client/machine.h"

const char *const machine_register_names[BPCOND_REG_COUNT] = {
	"x0",
	"x1",
	"x2",
	"x3",
	"x4",
	"x5",
	"x6",
	"x7",
	"x8",
	"x9",
	"x10",
	"x11",
	"x12",
	"x13",
	"x14",
	"x15",
	"x16",
	"x17",
	"x18",
	"x19",
	"x20",
	"x21",
	"x22",
	"x23",
	"x24",
	"x25",
	"x26",
	"x27",
	"x28",
	"x29",
	"x30",
	[BPCOND_REG_SP] = "sp",
	[BPCOND_REG_PC] = "pc",
	[BPCOND_REG_PSTATE] = "pstate",
};

#define NUMBER(n)                                          \
	{"x" n, TREE_S64, {.size = 8, .is_signed = true}}, \
	{                                                  \
		"w" n, TREE_U32,                           \
		{                                          \
			.size = 4                          \
		}                                          \
	}
#define POINTER(name)                 \
	{                             \
		name, TREE_U64,       \
		{                     \
			.pointers = 1 \
		}                     \
	}

const TextRegister machine_text_registers[] = {
	NUMBER("0"),   NUMBER("1"),
	NUMBER("2"),   NUMBER("3"),
	NUMBER("4"),   NUMBER("5"),
	NUMBER("6"),   NUMBER("7"),
	NUMBER("8"),   NUMBER("9"),
	NUMBER("10"),  NUMBER("11"),
	NUMBER("12"),  NUMBER("13"),
	NUMBER("14"),  NUMBER("15"),
	NUMBER("16"),  NUMBER("17"),
	NUMBER("18"),  NUMBER("19"),
	NUMBER("20"),  NUMBER("21"),
	NUMBER("22"),  NUMBER("23"),
	NUMBER("24"),  NUMBER("25"),
	NUMBER("26"),  NUMBER("27"),
	NUMBER("28"),  NUMBER("29"),
	NUMBER("30"),  POINTER("sp"),
	POINTER("pc"), {"pstate", TREE_U64, {.size = 8}},
};

const size_t n_machine_text_registers =
	sizeof(machine_text_registers) / sizeof(machine_text_registers[0]);

const SecondName machine_second_names[] = {
	{"fp", "x29"},  {"lr", "x30"},      {"ip0", "x16"},
	{"ip1", "x17"}, {"cpsr", "pstate"}, {"ps", "pstate"},
};

const size_t n_machine_second_names =
	sizeof(machine_second_names) / sizeof(machine_second_names[0]);

const char *const machine_dwarf_registers[] = {
	"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
	"x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
	"x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",
};

const size_t n_machine_dwarf_registers =
	sizeof(machine_dwarf_registers) / sizeof(machine_dwarf_registers[0]);

const char *const machine_arguments[] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"};

const size_t n_machine_arguments = sizeof(machine_arguments) / sizeof(machine_arguments[0]);

const char machine_capture_examples[] = "pc,x0,x1,sp,pstate";
const char machine_text_examples[] = "$x0, $w1, $pc";
