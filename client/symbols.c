/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The symbols of one process: the object, and the two questions asked with it beside locations: what a
 * name in a condition stands for, and what an address is called.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/symbols.h"

static const char *why_not(int r)
{
	switch (r) {
	case -ESRCH:
	case -ENOENT:
		return "there is no such process, or it has ended: check the process id";
	case -EACCES:
	case -EPERM:
		return "this user may not look at it, so that it has no names here: give addresses "
		       "as 0xADDR, or run as its user or as an administrator";
	case -ENOMEM:
		return "out of memory";
	default:
		return "its files or memory map cannot be read";
	}
}

int bpcond_symbols_new(pid_t pid, bpcond_symbols **ret, char *error, size_t error_size)
{
	bpcond_symbols *symbols = calloc(1, sizeof(*symbols));
	int r = -ENOMEM;

	if (symbols) {
		symbols->pid = pid > 0 ? symbols_living_thread(pid) : pid;
		r = pid > 0 ? symbols_load_modules(symbols) : -ESRCH;
	}
	if (r == -ENOENT)
		r = -ESRCH;
	if (r == -EPERM)
		r = -EACCES;
	if (r < 0) {
		if (error && error_size > 0)
			snprintf(error, error_size, "process %d: %s", (int)pid, why_not(r));
		bpcond_symbols_free(symbols);
		return r;
	}
	*ret = symbols;
	return 0;
}

bpcond_symbols *bpcond_symbols_free(bpcond_symbols *symbols)
{
	if (!symbols)
		return NULL;
	if (symbols->dwfl)
		dwfl_end(symbols->dwfl);
	free(symbols->modules);
	free(symbols);
	return NULL;
}

void bpcond_symbols_set_place(bpcond_symbols *symbols, uint64_t address)
{
	symbols->place = address;
}

/* What an ELF symbol alone tells: a signed integer of its size. */
static void describe_untyped(const Definition *definition, bpcond_symbol *ret)
{
	uint64_t size = definition->sym.st_size;

	ret->kind = BPCOND_SYMBOL_OTHER;
	if (size == 1 || size == 2 || size == 4 || size == 8) {
		ret->kind = BPCOND_SYMBOL_INTEGER;
		ret->size = (int)size;
		ret->is_signed = 1;
	}
}

static int describe_definition(const bpcond_symbols *symbols, const Definition *definition,
			       const char *name, bpcond_symbol *ret)
{
	unsigned type = GELF_ST_TYPE(definition->sym.st_info);
	int64_t offset;
	int r;

	ret->address = definition->address;
	if (type == STT_FUNC || type == STT_GNU_IFUNC) {
		ret->kind = BPCOND_SYMBOL_FUNCTION;
		if (type == STT_FUNC)
			return 0;
		r = symbols_resolve_indirect(symbols, definition, name, &ret->address);
		return r == -ENOENT ? -EOPNOTSUPP : r;
	}
	if (type == STT_TLS) {
		r = symbols_thread_offset(symbols, definition, &offset);
		if (r < 0)
			return r;
		ret->base_register = "fs_base";
		ret->address = (uint64_t)offset;
	}
	if (symbols_type_of(definition, ret) == -ENOENT)
		describe_untyped(definition, ret);
	return 0;
}

int bpcond_symbols_lookup(void *userdata, const char *name, bpcond_symbol *ret)
{
	const bpcond_symbols *symbols = userdata;
	bpcond_symbol symbol = {.kind = BPCOND_SYMBOL_INTEGER};
	Definitions definitions = {NULL, 0};
	int r = -ENOENT;

	if (symbols->place != 0)
		r = symbols_find_local(symbols, name, &symbol);
	if (r == -ENOENT) {
		symbol = (bpcond_symbol){.kind = BPCOND_SYMBOL_INTEGER};
		r = symbols_find(symbols, name, &definitions);
		if (r == 0)
			r = describe_definition(symbols, &definitions.items[0], name, &symbol);
		else if (r > 0)
			r = r == BPCOND_LOCATION_AMBIGUOUS ? -EEXIST : -ENOENT;
	}
	definitions_clear(&definitions);
	if (r == 0)
		*ret = symbol;
	return r;
}

int symbols_integer_at(const bpcond_symbols *symbols, uint64_t address, unsigned length,
		       bpcond_symbol *ret)
{
	Definition definition = {.module = symbols_module_at(symbols, address)};
	bpcond_symbol symbol = {.kind = BPCOND_SYMBOL_OTHER};
	GElf_Off offset = 0;

	if (!definition.module || !dwfl_module_addrinfo(definition.module->dwfl, address, &offset,
							&definition.sym, NULL, NULL, NULL))
		return -ENOENT;
	definition.address = address - offset;
	if (GELF_ST_TYPE(definition.sym.st_info) != STT_OBJECT ||
	    symbols_type_of(&definition, &symbol) < 0)
		return -ENOENT;
	if (symbol.pointers > 0 || symbol.size <= 0 || (unsigned)symbol.size != length)
		return -ENOENT;
	if (symbol.kind == BPCOND_SYMBOL_ARRAY
		    ? offset % length != 0 || offset >= definition.sym.st_size
		    : symbol.kind != BPCOND_SYMBOL_INTEGER || offset != 0)
		return -ENOENT;
	*ret = symbol;
	return 0;
}

int bpcond_symbols_describe(bpcond_symbols *symbols, uint64_t address, char *ret, size_t size)
{
	const Module *module = symbols_module_at(symbols, address);
	uint64_t offset = 0;
	char name[256];
	GElf_Sym sym;

	if (!module)
		return -ENOENT;
	if (!symbols_name_at(module, address, name, sizeof(name), &offset, &sym))
		snprintf(ret, size, "0x%llx (%s)", (unsigned long long)address, module->name);
	else if (offset == 0)
		snprintf(ret, size, "%s (%s)", name, module->name);
	else
		snprintf(ret, size, "%s+0x%llx (%s)", name, (unsigned long long)offset,
			 module->name);
	return 0;
}
