/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of libbpcond-client that needs no daemon: what a person writes (a condition in the manner of
 * C, a place in the program) as what the daemon takes (a tree, an address). It reads the process with the
 * caller's own rights, and keeps no state outside its objects.
 */
#ifndef BPCOND_TEXT_H
#define BPCOND_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Conditions in text ---------------------------------------------------------------------- */

/* Where in a text the mistake is, from 1, the column in bytes. */
typedef struct bpcond_text_error {
	unsigned line, column;
	char message[256];
} bpcond_text_error;

enum bpcond_symbol_kind {
	BPCOND_SYMBOL_INTEGER = 0, /* an integer, or a pointer: `pointers` > 0 */
	BPCOND_SYMBOL_ARRAY,       /* of what the other members describe; stands for its address */
	BPCOND_SYMBOL_FUNCTION,    /* stands for its address */
	BPCOND_SYMBOL_OTHER,       /* a struct, a double, …: only its address can be taken */
	BPCOND_SYMBOL_IN_REGISTER, /* an integer or pointer, held by base_register: no address */
};

/*
 * What a name of the program stands for. Zeroed but for `address`, `size` and `is_signed` it is an
 * integer variable in memory.
 */
typedef struct bpcond_symbol {
	uint64_t address;
	/* Of the integer itself, or of what the pointer leads to or the array holds: 1, 2, 4, 8 bytes. 0:
	 * no integer there (void, a struct, a function, …). */
	int size;
	int is_signed;
	enum bpcond_symbol_kind kind;
	unsigned pointers; /* levels of pointers around the integer */
	/* The register that `address` counts from: "rbp", "fs_base", …; NULL: none. */
	const char *base_register;
	/* With size 0: bytes of what is there, which C steps over with a pointer to it (a struct, a
	 * double, a row of an array of arrays). 0: void or a function, or not known; -1: not known. */
	int extent;
} bpcond_symbol;

/* Return: 0 and *ret (zeroed by the caller); -ENOENT no such name; -EEXIST several things have it;
 * -EOPNOTSUPP it stands for nothing a condition can reach; another negative errno ends the parsing. */
typedef int (*bpcond_symbol_lookup)(void *userdata, const char *name, bpcond_symbol *ret);

typedef struct bpcond_text_scope {
	const char *const *parameters; /* declared names, in any order */
	size_t n_parameters;
	int data_breakpoint;         /* `value` and `previous` exist */
	bpcond_symbol_lookup lookup; /* NULL: no names of the program */
	void *userdata;
	int lent_filter; /* `$_counter` exists */
	/* The integer type of what is watched: 1, 2, 4, 8 bytes. 0: not known. Not for a watched length
	 * that is another: `value` has just the bytes that are watched. */
	int value_size;
	int value_is_signed;
} bpcond_text_scope;

/*
 * Compiles the C-like text form to the JSON tree that the daemon takes. `scope` may be NULL: no
 * parameters, no symbols, an execution breakpoint.
 *
 * The text is an expression of C over integers: all operators that change nothing, with C's precedence,
 * types and conversions as on x86-64 with wrapping overflow; casts to integer types and pointers to them;
 * *pointer, pointer[index], &variable, sizeof; C's integer and character constants.
 *	$rdi $eax $rip …	registers under gdb's names and with gdb's types
 *	$_tid $_pid $_cpu $_time $_evaluated $_counter
 *	value, previous		of a data breakpoint, of the type that the scope tells, else unsigned long
 *	$_value, $_previous	the same, always unsigned long
 *	name			a parameter (long); else what `lookup` knows, of C++ also a::b
 *	streq(ADDRESS, "text")			the string there is the text
 *	strstarts(ADDRESS, "text")		or begins with it
 *	bytes_equal(ADDRESS, "7f454c46")	the bytes there are these
 *	in_range(VALUE, LOW, HIGH)		both ends included
 *	masked(VALUE, MASK, EXPECTED)		(VALUE & MASK) == EXPECTED
 *
 * Return: 0 and *ret_json (free()); 1 and *error; -ENOMEM, or what the lookup returned.
 */
int bpcond_condition_from_text(const char *text, const bpcond_text_scope *scope, char **ret_json,
			       bpcond_text_error *error);

/* The text form of a JSON tree, which compiles to the same tree again. Return: 0 and *ret_text
 * (free()); -EINVAL when `json` is no condition; -ENOMEM. */
int bpcond_condition_to_text(const char *json, char **ret_text);

/* ---- Locations and the program's symbols ------------------------------------------------------- */

/* Why a location could not be resolved. Positive: a mistake in the text or a state of the process. */
enum bpcond_location_problem {
	BPCOND_LOCATION_MALFORMED = 1,
	BPCOND_LOCATION_NOT_FOUND, /* no such symbol, file or line in what is loaded */
	BPCOND_LOCATION_NO_MODULE, /* no such module is loaded; the process may load it later */
	BPCOND_LOCATION_AMBIGUOUS, /* the message lists what it could mean */
	/* Not found, but the dynamic linker has not loaded the program's shared libraries yet (or not
	 * relocated them, for an indirect function): resolve again when the program's entry is reached. */
	BPCOND_LOCATION_NOT_YET,
	BPCOND_LOCATION_UNUSABLE, /* it is there but has no one address: thread-local, … */
};

typedef struct bpcond_location {
	uint64_t address;
	/* Bytes of the data symbol from `address` on; 0: a function, or not known. */
	uint64_t size;
	int is_function;
	/* Of FILE.c:LINE the line whose code it is, which can be a later one; else 0. */
	unsigned line;
	char module[256]; /* the path of the file it lies in; "" for a bare address outside all */
	char symbol[256]; /* that the location named or lies in; "" if there is none */
} bpcond_location;

/* The symbols of one process, as its files, debug information and memory show them to this process,
 * at the time of the call. Not for two threads at once. */
typedef struct bpcond_symbols bpcond_symbols;

/*
 * Looks at the modules of a process. Later loaded ones are seen by a new object only.
 *
 * Return: 0 and *ret (bpcond_symbols_free); -ESRCH; -EACCES when this process may not look at that one;
 * a negative errno. `error` holds a sentence for a person then.
 */
int bpcond_symbols_new(pid_t pid, bpcond_symbols **ret, char *error, size_t error_size);

/* Takes NULL. Return: NULL. */
bpcond_symbols *bpcond_symbols_free(bpcond_symbols *symbols);

/*
 * Resolves a location:
 *	0xADDR[+OFF]		that address
 *	SYMBOL[+OFF]		the program's own symbol; else the one that the dynamic linker would
 *				bind to (global, in load order); else the only local one. Of C++
 *				also shop::Order::total, without templates
 *	MODULE:SYMBOL[+OFF]	that of one module: its file name, or the beginning of it up to a dot or
 *				dash (libc for libc.so.6)
 *	FILE.c:LINE		the first instruction of the line, or of the next line that has code (of
 *				the line that begins a function with a frame pointer: the first behind
 *				its prologue); ambiguous if several functions, or inlined copies, have
 *				code of it
 * The address of a SYMBOL that is a function is its entry, where the arguments are in their registers,
 * not the place behind its prologue. An indirect function (memcpy) gives the implementation that the process uses.
 *
 * Return: 0 and *ret; an enum bpcond_location_problem, or a negative errno, with a sentence in `error`.
 */
int bpcond_symbols_resolve(bpcond_symbols *symbols, const char *location, bpcond_location *ret,
			   char *error, size_t error_size);

/* The same in one call, for one location. */
int bpcond_resolve(pid_t pid, const char *location, bpcond_location *ret, char *error,
		   size_t error_size);

/*
 * A bpcond_symbol_lookup for bpcond_text_scope; `userdata` is a bpcond_symbols. Types come from debug
 * information; without any, a data symbol of 1, 2, 4 or 8 bytes is taken for a signed integer.
 */
int bpcond_symbols_lookup(void *userdata, const char *name, bpcond_symbol *ret);

/*
 * Says where the program will stand when the names are used, as bpcond_symbols_resolve gave it: from then
 * on bpcond_symbols_lookup also knows the local variables and parameters that debug information has
 * there, in front of the globals. At a function's entry these are its parameters. 0: nowhere.
 */
void bpcond_symbols_set_place(bpcond_symbols *symbols, uint64_t address);

/* Writes SYMBOL+0xOFF (MODULE) for an address, as much of it as is known. Return: 0; -ENOENT when the
 * address lies in no module. */
int bpcond_symbols_describe(bpcond_symbols *symbols, uint64_t address, char *ret, size_t size);

#ifdef __cplusplus
}
#endif

#endif
