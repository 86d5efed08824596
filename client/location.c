/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LOCATION, what people say where a breakpoint is to be: 0xADDR, SYMBOL[+OFF], MODULE:SYMBOL[+OFF],
 * FILE.c:LINE. How things are found is the business of symbols_*.c. Whatever is not certain is an error that
 * lists the choices.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/symbols.h"

enum {
	MAX_LOCATION = 4096,
	MAX_LISTED = 12,
	MAX_SIMILAR = 6,
};

/* A text that grows up to the caller's buffer. */
typedef struct Message {
	char *text;
	size_t size, length;
} Message;

__attribute__((format(printf, 2, 3))) static void say(Message *message, const char *format, ...)
{
	va_list list;
	int n;

	if (message->length + 1 >= message->size)
		return;
	va_start(list, format);
	n = vsnprintf(message->text + message->length, message->size - message->length, format,
		      list);
	va_end(list);
	if (n > 0)
		message->length += (size_t)n;
}

/* ---- Modules --------------------------------------------------------------------------------- */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* How well a module fits what was written: 3 its path or name, 2 the name up to a dot or dash, 1 the
 * name begins so; 0 not at all. */
static unsigned module_fits(const Module *module, const char *wanted)
{
	size_t length = strlen(wanted);

	if (strcmp(module->path, wanted) == 0 || strcmp(module->name, wanted) == 0)
		return 3;
	if (length == 0 || strncmp(module->name, wanted, length) != 0)
		return 0;
	return is_word(module->name[length]) ? 1 : 2;
}

static void list_modules(const bpcond_symbols *symbols, Message *message)
{
	size_t listed = 0;

	for (size_t i = 0; i < symbols->n_modules; i++) {
		if (symbols->modules[i].path[0] != '/')
			continue;
		if (listed++ == MAX_LISTED) {
			say(message, ", …");
			return;
		}
		say(message, "%s%s", listed > 1 ? ", " : "", symbols->modules[i].name);
	}
}

static int find_module(const bpcond_symbols *symbols, const char *wanted, const Module **ret,
		       Message *message)
{
	const Module *best = NULL, *second = NULL;
	unsigned fit = 0;

	for (size_t i = 0; i < symbols->n_modules; i++) {
		unsigned fits = module_fits(&symbols->modules[i], wanted);

		if (fits > fit) {
			fit = fits;
			best = &symbols->modules[i];
			second = NULL;
		} else if (fits > 0 && fits == fit && !second) {
			second = &symbols->modules[i];
		}
	}
	if (second) {
		say(message, "%s could be %s or %s: write the whole path before the colon", wanted,
		    best->path, second->path);
		return BPCOND_LOCATION_AMBIGUOUS;
	}
	if (best) {
		*ret = best;
		return 0;
	}
	if (!symbols->libraries_ready) {
		say(message,
		    "%s is not loaded yet: the program's shared libraries are still to come",
		    wanted);
		return BPCOND_LOCATION_NOT_YET;
	}
	say(message, "no module %s is loaded (it may be loaded later: try again then). Loaded are ",
	    wanted);
	list_modules(symbols, message);
	return BPCOND_LOCATION_NO_MODULE;
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* The source line of a function. */
static void say_line(const Definition *definition, Message *message)
{
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = symbols_unit_at(definition->module, definition->address, &bias);
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, definition->address - bias) : NULL;
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL, *base;
	int number;

	if (!file || dwarf_lineno(line, &number) != 0)
		return;
	base = strrchr(file, '/');
	say(message, ", %s:%d", base ? base + 1 : file, number);
}

static void list_definitions(const bpcond_symbols *symbols, const char *name,
			     const Definitions *definitions, Message *message)
{
	bool one_module = true;

	for (size_t i = 1; i < definitions->n; i++)
		if (definitions->items[i].module != definitions->items[0].module)
			one_module = false;
	say(message, "%s could be", name);
	for (size_t i = 0; i < definitions->n && i < MAX_LISTED; i++) {
		const Definition *definition = &definitions->items[i];

		say(message, "%s %s:%s (0x%llx", i > 0 ? "," : "", definition->module->name,
		    definition->mangled ? definition->mangled : name,
		    (unsigned long long)definition->address);
		say_line(definition, message);
		say(message, ")");
	}
	if (definitions->n > MAX_LISTED)
		say(message, " and %zu more", definitions->n - MAX_LISTED);
	say(message, ": say which by %s",
	    definitions->items[0].mangled ? "one of these names or its address"
	    : one_module                  ? "its address or FILE.c:LINE"
					  : "MODULE:SYMBOL or its address");
}

/* Symbols of C++ that may be meant. `module`: NULL for all. Return: whether there are any. */
static bool list_similar(const bpcond_symbols *symbols, const Module *module, const char *name,
			 Message *message)
{
	const char *similar[MAX_SIMILAR];
	size_t n = 0;

	for (size_t i = 0; i < symbols->n_modules && n < MAX_SIMILAR; i++)
		if (!module || module == &symbols->modules[i])
			n += symbols_similar_in(&symbols->modules[i], name, similar + n,
						MAX_SIMILAR - n);
	for (size_t i = 0; i < n; i++)
		say(message, "%s%s", i == 0 ? ". Symbols with these parts are " : ", ", similar[i]);
	if (n > 0)
		say(message, ": give one of them (c++filt tells what they are)");
	return n > 0;
}

static void say_not_found(const bpcond_symbols *symbols, const Module *module, const char *name,
			  Message *message)
{
	if (module)
		say(message, "%s has no symbol %s", module->path, name);
	else
		say(message, "no symbol %s in the program or its libraries", name);
	if (strstr(name, "::")) {
		if (!list_similar(symbols, module, name, message))
			say(message, ": check the name with nm -C; templates and operators are "
				     "given by the name that nm shows without -C");
	} else if (module) {
		say(message, ": list them with nm or nm -D");
	} else {
		say(message, ": check the name (nm, nm -D), or give an address as 0xADDR");
	}
}

/* Names of functions in the module that begin like implementations of an indirect one. */
static void list_implementations(const Module *module, const char *name, Message *message)
{
	int n = dwfl_module_getsymtab(module->dwfl);
	char prefix[128];
	unsigned listed = 0;

	snprintf(prefix, sizeof(prefix), "__%.100s_", name);
	for (int i = 1; i < n && listed < 4; i++) {
		GElf_Addr address;
		GElf_Sym sym;
		const char *entry =
			dwfl_module_getsym_info(module->dwfl, i, &sym, &address, NULL, NULL, NULL);

		if (entry && GELF_ST_TYPE(sym.st_info) == STT_FUNC &&
		    strncmp(entry, prefix, strlen(prefix)) == 0)
			say(message, "%s%s:%s", listed++ == 0 ? ", for instance " : ", ",
			    module->name, entry);
	}
}

static int resolve_indirect(const bpcond_symbols *symbols, const Definition *definition,
			    const char *name, uint64_t *ret, Message *message)
{
	int r = symbols_resolve_indirect(symbols, definition, name, ret);

	if (r != -ENOENT)
		return r;
	if (!symbols->libraries_ready) {
		say(message,
		    "%s is an indirect function, and its implementation has not been chosen yet: "
		    "the "
		    "program's shared libraries are still to come",
		    name);
		return BPCOND_LOCATION_NOT_YET;
	}
	say(message,
	    "%s is an indirect function, and nothing in the process tells which implementation it "
	    "has "
	    "chosen: name one",
	    name);
	list_implementations(definition->module, name, message);
	return BPCOND_LOCATION_UNUSABLE;
}

/* Copies what fits. */
static void copy_text(char *ret, size_t size, const char *text)
{
	snprintf(ret, size, "%.*s", (int)size - 1, text);
}

static int locate_definition(const bpcond_symbols *symbols, const Definition *definition,
			     const char *name, uint64_t offset, bpcond_location *ret,
			     Message *message)
{
	unsigned type = GELF_ST_TYPE(definition->sym.st_info);
	bpcond_location location = {.address = definition->address};
	int r;

	if (type == STT_TLS) {
		say(message,
		    "%s is thread-local: it has another address in each thread. Watch the address "
		    "that "
		    "it has in one thread, as 0xADDR",
		    name);
		return BPCOND_LOCATION_UNUSABLE;
	}
	if (type == STT_GNU_IFUNC) {
		r = resolve_indirect(symbols, definition, name, &location.address, message);
		if (r != 0)
			return r;
	}
	location.is_function = type == STT_FUNC || type == STT_GNU_IFUNC;
	if (!location.is_function && definition->sym.st_size > offset)
		location.size = definition->sym.st_size - offset;
	location.address += offset;
	copy_text(location.module, sizeof(location.module), definition->module->path);
	copy_text(location.symbol, sizeof(location.symbol), name);
	*ret = location;
	return 0;
}

static int resolve_symbol(const bpcond_symbols *symbols, const char *wanted_module,
			  const char *name, uint64_t offset, bpcond_location *ret, Message *message)
{
	Definitions definitions = {NULL, 0};
	const Module *module = NULL;
	int r;

	if (wanted_module) {
		r = find_module(symbols, wanted_module, &module, message);
		if (r != 0)
			return r;
		r = symbols_find_in_module(module, name, true, &definitions);
	} else {
		r = symbols_find(symbols, name, &definitions);
	}
	if (r == BPCOND_LOCATION_NOT_FOUND)
		say_not_found(symbols, module, name, message);
	else if (r == BPCOND_LOCATION_NOT_YET)
		say(message,
		    "no symbol %s in the program, and its shared libraries are not loaded yet",
		    name);
	else if (r == BPCOND_LOCATION_AMBIGUOUS)
		list_definitions(symbols, name, &definitions, message);
	else if (r == 0)
		r = locate_definition(symbols, &definitions.items[0], name, offset, ret, message);
	definitions_clear(&definitions);
	return r;
}

/* ---- Addresses and lines --------------------------------------------------------------------- */

static bool is_hexadecimal(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/* Decimal or 0x hexadecimal, nothing else behind it. */
static bool parse_number(const char *text, uint64_t *ret)
{
	int base = is_hexadecimal(text) ? 16 : 10;
	const char *digits = base == 16 ? text + 2 : text;
	unsigned long long value;

	if (*digits == '\0' ||
	    digits[strspn(digits, base == 16 ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
		return false;
	errno = 0;
	value = strtoull(digits, NULL, base);
	if (errno != 0)
		return false;
	*ret = value;
	return true;
}

static void name_address(const bpcond_symbols *symbols, bpcond_location *location)
{
	const Module *module = symbols_module_at(symbols, location->address);
	uint64_t offset;
	GElf_Sym sym;

	if (!module)
		return;
	copy_text(location->module, sizeof(location->module), module->path);
	if (!symbols_name_at(module, location->address, location->symbol, sizeof(location->symbol),
			     &offset, &sym))
		return;
	location->is_function = GELF_ST_TYPE(sym.st_info) == STT_FUNC;
	if (GELF_ST_TYPE(sym.st_info) == STT_OBJECT && sym.st_size > offset)
		location->size = sym.st_size - offset;
}

static int resolve_line(const bpcond_symbols *symbols, const char *file, unsigned line,
			bpcond_location *ret, Message *message)
{
	LinePlaces *places = malloc(sizeof(*places));
	int r = 0;

	if (!places)
		return -ENOMEM;
	/* A path is told by its end: where the user stands does not matter. */
	while (strncmp(file, "./", 2) == 0 || strncmp(file, "../", 3) == 0)
		file += strcspn(file, "/") + 1;
	symbols_find_line(symbols, file, line, places);
	if (places->n == 1) {
		*ret = (bpcond_location){.address = places->items[0].address,
					 .is_function = 1,
					 .line = places->items[0].line};
		copy_text(ret->module, sizeof(ret->module), places->items[0].module->path);
		copy_text(ret->symbol, sizeof(ret->symbol), places->items[0].name);
	} else if (places->n > 1) {
		r = BPCOND_LOCATION_AMBIGUOUS;
		say(message, "%s:%u has code in several places:", file, line);
		for (size_t i = 0; i < places->n && i < MAX_LISTED; i++)
			say(message, "%s 0x%llx (%s in %s)", i > 0 ? "," : "",
			    (unsigned long long)places->items[i].address, places->items[i].name,
			    places->items[i].module->name);
		say(message, ": give the address that you mean");
	} else if (places->file_known) {
		r = BPCOND_LOCATION_NOT_FOUND;
		say(message, "%s has no code at line %u or behind it: choose an earlier line", file,
		    line);
	} else {
		r = symbols->libraries_ready ? BPCOND_LOCATION_NOT_FOUND : BPCOND_LOCATION_NOT_YET;
		say(message,
		    "no debug information on a file %s in %s: build with -g, or use SYMBOL+OFF",
		    file,
		    symbols->libraries_ready
			    ? "the program or its libraries"
			    : "the program, and its shared libraries are not loaded yet");
	}
	free(places);
	return r;
}

/* ---- The text -------------------------------------------------------------------------------- */

/* The colon between module and symbol: the first that is not part of a ::. */
static char *separating_colon(char *text)
{
	for (char *p = strchr(text, ':'); p; p = strchr(p, ':')) {
		if (p[1] != ':')
			return p;
		p += 2;
	}
	return NULL;
}

/* Whether it is called as files of C and C++ are, and no module or symbol. */
static bool is_source_name(const char *name)
{
	static const char *const endings[] = {".c", ".cc", ".cpp", ".cxx", ".C", ".h", ".hpp"};
	const char *ending = strrchr(name, '.');

	for (size_t i = 0; ending && ending > name && i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcmp(ending, endings[i]) == 0)
			return true;
	return false;
}

/* Cuts +OFF off the end, if there is one that is a number. */
static uint64_t cut_offset(char *text)
{
	char *plus = strrchr(text, '+');
	uint64_t offset = 0;

	if (plus && plus > text && parse_number(plus + 1, &offset))
		*plus = '\0';
	return offset;
}

static int resolve_text(const bpcond_symbols *symbols, char *text, bpcond_location *ret,
			Message *message)
{
	char *colon = strrchr(text, ':'), *module = NULL;
	uint64_t line, offset, address;

	if (colon && colon > text && !is_hexadecimal(colon + 1) && parse_number(colon + 1, &line)) {
		*colon = '\0';
		if (line > 0 && line <= INT32_MAX)
			return resolve_line(symbols, text, (unsigned)line, ret, message);
		say(message, "lines are counted from 1");
		return BPCOND_LOCATION_MALFORMED;
	}
	offset = cut_offset(text);
	if (is_hexadecimal(text)) {
		if (!parse_number(text, &address)) {
			say(message,
			    "%s is no address: write up to 16 hexadecimal digits behind 0x", text);
			return BPCOND_LOCATION_MALFORMED;
		}
		*ret = (bpcond_location){.address = address + offset};
		name_address(symbols, ret);
		return 0;
	}
	if (strchr("0123456789", text[0])) {
		say(message, "%s is neither a symbol nor an address: write addresses as 0xADDR",
		    text);
		return BPCOND_LOCATION_MALFORMED;
	}
	colon = separating_colon(text);
	if (colon) {
		*colon = '\0';
		module = text;
		text = colon + 1;
	}
	if (module && is_source_name(module)) {
		say(message, "%s is no line of %s: write FILE.c:LINE, as %s:12", text, module,
		    module);
		return BPCOND_LOCATION_MALFORMED;
	}
	if (!module && is_source_name(text)) {
		say(message, "%s is a file: write FILE.c:LINE, as %s:12", text, text);
		return BPCOND_LOCATION_MALFORMED;
	}
	if (*text == '\0' || (module && *module == '\0')) {
		say(message,
		    "a name is missing beside the colon: write MODULE:SYMBOL or FILE.c:LINE");
		return BPCOND_LOCATION_MALFORMED;
	}
	if (module && isdigit((unsigned char)*text)) {
		say(message,
		    "%s: before the colon stands the module of a symbol, as %s:main+0x10, or the "
		    "file of a line. An address, which is the process's own and not the file's, "
		    "stands alone, as 0xADDR",
		    text, module);
		return BPCOND_LOCATION_MALFORMED;
	}
	return resolve_symbol(symbols, module, text, offset, ret, message);
}

int bpcond_symbols_resolve(bpcond_symbols *symbols, const char *location, bpcond_location *ret,
			   char *error, size_t error_size)
{
	char text[MAX_LOCATION], unused[1];
	Message message = {error_size > 0 ? error : unused, error_size > 0 ? error_size : 1, 0};
	int r;

	message.text[0] = '\0';
	if (*location == '\0') {
		say(&message,
		    "the location is empty: write 0xADDR, SYMBOL, MODULE:SYMBOL or FILE.c:LINE");
		return BPCOND_LOCATION_MALFORMED;
	}
	if (strlen(location) >= sizeof(text)) {
		say(&message, "the location is longer than %d bytes", MAX_LOCATION - 1);
		return BPCOND_LOCATION_MALFORMED;
	}
	copy_text(text, sizeof(text), location);
	r = resolve_text(symbols, text, ret, &message);
	if (r == -ENOMEM)
		say(&message, "out of memory");
	return r;
}

int bpcond_resolve(pid_t pid, const char *location, bpcond_location *ret, char *error,
		   size_t error_size)
{
	bpcond_symbols *symbols;
	int r;

	r = bpcond_symbols_new(pid, &symbols, error, error_size);
	if (r < 0)
		return r;
	r = bpcond_symbols_resolve(symbols, location, ret, error, error_size);
	bpcond_symbols_free(symbols);
	return r;
}
