/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of the symbols of a process: its modules, what they define, and reading its memory. The
 * parts are the process (symbols_process.c), ELF symbols (symbols_elf.c), debug information
 * (symbols_dwarf.c), source lines (symbols_line.c), names of C++ (symbols_cxx.c), and what a location
 * names (location.c).
 *
 * Everything read here belongs to the process looked at, which may be hostile: sizes and counts from its
 * memory are bounded, files are opened as regular files only, and libdw guards its own parsing.
 */
#ifndef CLIENT_SYMBOLS_H
#define CLIENT_SYMBOLS_H

#include <stdbool.h>

#include <elfutils/libdwfl.h>

#include <bpcond/text.h>

typedef struct Module {
	Dwfl_Module *dwfl;
	const char *path; /* as in the process's maps; libdw's string */
	const char *name; /* the last component of it */
	uint64_t start, end;
} Module;

struct bpcond_symbols {
	pid_t pid; /* of a thread that lives; the leader may have ended */
	Dwfl *dwfl;
	Module *modules; /* the program first, then in load order as far as it is known */
	size_t n_modules;
	/* The dynamic linker has loaded and relocated what the program needs (or there is none). */
	bool libraries_ready;
	/* Where the program stands when names are looked up: for its local variables. 0: nowhere. */
	uint64_t place;
};

/* One definition of a name. */
typedef struct Definition {
	const Module *module;
	GElf_Sym sym;
	uint64_t address; /* in the process; of thread-local ones an offset */
	bool exported;    /* the dynamic linker can bind to it */
	bool old_version; /* only for programs that were linked with it */
	const char
		*mangled; /* of C++: the symbol's own name; libdw's string. NULL: as looked for */
} Definition;

typedef struct Definitions {
	Definition *items; /* of different addresses */
	size_t n;
} Definitions;

void definitions_clear(Definitions *definitions);

/* ---- The process ----------------------------------------------------------------------------- */

/*
 * A thread of the process by which its memory and files can be seen. When the main thread has ended before
 * the others, the kernel shows nothing by its id any more.
 *
 * Return: the process's id while the main thread lives, and where no thread does; else another's.
 */
pid_t symbols_living_thread(pid_t pid);

/* Reads exactly size bytes of the process's memory. Return: 0, a negative errno. */
int symbols_read(const bpcond_symbols *symbols, uint64_t address, void *buffer, size_t size);

/* Fills in modules, their order, and libraries_ready. Return: 0; -ENOMEM; -ESRCH: no program there. */
int symbols_load_modules(bpcond_symbols *symbols);

/* The module whose mapping the address is in; NULL. */
const Module *symbols_module_at(const bpcond_symbols *symbols, uint64_t address);

/* ---- ELF ------------------------------------------------------------------------------------- */

/*
 * Adds what a module defines under a name: what it exports, or with `all` also what only its full symbol
 * table or its debug file tells. Names of the form NAME@VERSION match as they are written.
 *
 * Return: 0; -ENOMEM.
 */
int symbols_find_in(const Module *module, const char *name, bool all, Definitions *definitions);

/* Adds what a module defines under a name of C++ (a::b::c, or also without ::), in whatever table. Return:
 * 0; -ENOMEM. */
int symbols_find_cxx_in(const Module *module, const char *name, Definitions *definitions);

/*
 * The name at an address: of several the plain one, without leading underscores and version, as programs
 * call it.
 *
 * Return: false if there is none. Then nothing is written.
 */
bool symbols_name_at(const Module *module, uint64_t address, char *ret, size_t size,
		     uint64_t *ret_offset, GElf_Sym *ret_sym);

/* The address of the implementation that an indirect function resolved to in this process. Return: 0;
 * -ENOENT when nothing in the process tells. */
int symbols_resolve_indirect(const bpcond_symbols *symbols, const Definition *definition,
			     const char *name, uint64_t *ret);

/* Where a thread-local variable of the program lies from the thread pointer. Return: 0; -EOPNOTSUPP for
 * those of other modules. */
int symbols_thread_offset(const bpcond_symbols *symbols, const Definition *definition,
			  int64_t *ret);

/* ---- Names of C++ (symbols_cxx.c) ------------------------------------------------------------- */

/* Whether the mangled name is that name with whatever arguments. */
bool symbols_is_mangled(const char *entry, const char *name);

/* Up to max symbols of a module that have all parts of the name. Return: how many. */
size_t symbols_similar_in(const Module *module, const char *name, const char **ret, size_t max);

/* ---- Debug information ----------------------------------------------------------------------- */

/* The type of the variable at an address (of thread-local ones: the offset). Return: 0 and kind, size,
 * is_signed and pointers of *ret; -ENOENT without debug information on it. */
int symbols_type_of(const Definition *definition, bpcond_symbol *ret);

/*
 * The integer type of the variable, or of the element of an array, that begins at an address and has that
 * many bytes: what a watchpoint there sees.
 *
 * Return: 0 and size and is_signed of *ret; -ENOENT when there is none that debug information knows.
 */
int symbols_integer_at(const bpcond_symbols *symbols, uint64_t address, unsigned length,
		       bpcond_symbol *ret);

/* The local variable of a name that is in scope at symbols->place. Return: as bpcond_symbols_lookup. */
int symbols_find_local(const bpcond_symbols *symbols, const char *name, bpcond_symbol *ret);

/* The compilation unit with the code at an address. NULL: none. */
Dwarf_Die *symbols_unit_at(const Module *module, uint64_t address, Dwarf_Addr *ret_bias);

/* The canonical frame address at a place of the code, as a register and an offset. Return: false if call
 * frame information does not say, or says more than that. */
bool symbols_frame_address(const Module *module, uint64_t place, const char **ret_register,
			   int64_t *ret_offset);

/* Code of a source line. */
typedef struct LinePlace {
	uint64_t address;
	const Module *module;
	const void *function; /* distinguishes functions and inlined copies */
	char name[128];       /* of the function, for messages */
	unsigned line;
} LinePlace;

enum {
	MAX_LINE_PLACES = 64,
};

typedef struct LinePlaces {
	LinePlace items[MAX_LINE_PLACES];
	size_t n;
	bool file_known; /* there is debug information on a file of that name */
} LinePlaces;

/*
 * The first instruction of a line, or of the next line with code, in each function and inlined copy
 * that has code of it. `file` is the end of a path, whole components. Where the line begins a function
 * that keeps a frame pointer: the first instruction behind the prologue.
 */
void symbols_find_line(const bpcond_symbols *symbols, const char *file, unsigned line,
		       LinePlaces *ret);

/* ---- Locations ------------------------------------------------------------------------------- */

/* What one module calls by that name; with `all` also local names, and those of C++. Return: 0 with at
 * least one in *ret; BPCOND_LOCATION_NOT_FOUND, _AMBIGUOUS; negative errno. */
int symbols_find_in_module(const Module *module, const char *name, bool all, Definitions *ret);

/*
 * What a name of the program stands for by itself, as the documentation of locations says.
 *
 * Return: 0 and one definition in *ret; BPCOND_LOCATION_NOT_FOUND, _AMBIGUOUS (all in *ret), _NOT_YET;
 * -ENOMEM.
 */
int symbols_find(const bpcond_symbols *symbols, const char *name, Definitions *ret);

#endif
