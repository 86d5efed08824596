/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86-64. Registers under gdb's names and with gdb's types, as gdb 13 prints them for `ptype $NAME`:
 * general registers are long and their parts signed, the stack, frame and instruction pointers are
 * pointers. $sp, $fp, $pc and $ps are gdb's second names; $r8b is the assembler's name for gdb's $r8l.
 */
#include "client/machine.h"

const char *const machine_register_names[BPCOND_REG_COUNT] = {
	[BPCOND_REG_RAX] = "rax",
	[BPCOND_REG_RBX] = "rbx",
	[BPCOND_REG_RCX] = "rcx",
	[BPCOND_REG_RDX] = "rdx",
	[BPCOND_REG_RSI] = "rsi",
	[BPCOND_REG_RDI] = "rdi",
	[BPCOND_REG_RBP] = "rbp",
	[BPCOND_REG_RSP] = "rsp",
	[BPCOND_REG_R8] = "r8",
	[BPCOND_REG_R9] = "r9",
	[BPCOND_REG_R10] = "r10",
	[BPCOND_REG_R11] = "r11",
	[BPCOND_REG_R12] = "r12",
	[BPCOND_REG_R13] = "r13",
	[BPCOND_REG_R14] = "r14",
	[BPCOND_REG_R15] = "r15",
	[BPCOND_REG_RIP] = "rip",
	[BPCOND_REG_EFLAGS] = "eflags",
	[BPCOND_REG_CS] = "cs",
	[BPCOND_REG_SS] = "ss",
	[BPCOND_REG_ORIG_RAX] = "orig_rax",
	[BPCOND_REG_FS_BASE] = "fs_base",
	[BPCOND_REG_GS_BASE] = "gs_base",
};

#define SIGNED_TYPE(bytes)                       \
	{                                        \
		.size = bytes, .is_signed = true \
	}

#define LONG(name)                             \
	{                                      \
		name, TREE_S64, SIGNED_TYPE(8) \
	}
#define INT(name)                              \
	{                                      \
		name, TREE_S32, SIGNED_TYPE(4) \
	}
#define SHORT(name)                            \
	{                                      \
		name, TREE_S16, SIGNED_TYPE(2) \
	}
#define CHAR(name)                            \
	{                                     \
		name, TREE_S8, SIGNED_TYPE(1) \
	}
#define POINTER(name)                 \
	{                             \
		name, TREE_U64,       \
		{                     \
			.pointers = 1 \
		}                     \
	}

#define LETTER(x) LONG("r" x "x"), INT("e" x "x"), SHORT(x "x"), CHAR(x "l"), CHAR(x "h")
#define INDEX(x)  LONG("r" x "i"), INT("e" x "i"), SHORT(x "i"), CHAR(x "il")
#define NUMBER(x) LONG("r" x), INT("r" x "d"), SHORT("r" x "w"), CHAR("r" x "l")

const TextRegister machine_text_registers[] = {
	LETTER("a"),
	LETTER("b"),
	LETTER("c"),
	LETTER("d"),
	INDEX("s"),
	INDEX("d"),
	POINTER("rbp"),
	INT("ebp"),
	SHORT("bp"),
	CHAR("bpl"),
	POINTER("rsp"),
	INT("esp"),
	CHAR("spl"),
	NUMBER("8"),
	NUMBER("9"),
	NUMBER("10"),
	NUMBER("11"),
	NUMBER("12"),
	NUMBER("13"),
	NUMBER("14"),
	NUMBER("15"),
	POINTER("rip"),
	{"eflags", TREE_U64, {.size = 8}},
	/* The tree reads the two selectors as the 16 bits that they have; gdb's type is int. */
	{"cs", TREE_U16, SIGNED_TYPE(4)},
	{"ss", TREE_U16, SIGNED_TYPE(4)},
	LONG("orig_rax"),
	LONG("fs_base"),
	LONG("gs_base"),
};

const size_t n_machine_text_registers =
	sizeof(machine_text_registers) / sizeof(machine_text_registers[0]);

const SecondName machine_second_names[] = {
	{"sp", "rsp"},    {"fp", "rbp"},    {"pc", "rip"},    {"ps", "eflags"},
	{"r8b", "r8l"},   {"r9b", "r9l"},   {"r10b", "r10l"}, {"r11b", "r11l"},
	{"r12b", "r12l"}, {"r13b", "r13l"}, {"r14b", "r14l"}, {"r15b", "r15l"},
};

const size_t n_machine_second_names =
	sizeof(machine_second_names) / sizeof(machine_second_names[0]);

const char *const machine_dwarf_registers[] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
	"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

const size_t n_machine_dwarf_registers =
	sizeof(machine_dwarf_registers) / sizeof(machine_dwarf_registers[0]);

const char *const machine_arguments[] = {"rdi", "rsi", "rdx", "rcx", "r8", "r9"};

const size_t n_machine_arguments = sizeof(machine_arguments) / sizeof(machine_arguments[0]);

const char machine_capture_examples[] = "rip,rdi,r8,eflags,fs_base";
const char machine_text_examples[] = "$rdi, $eax, $rip";
