/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which of several definitions a name means: the one that the program itself, its dynamic linker, or else
 * nobody but one module has.
 */
#include "client/symbols.h"

static bool is_local(const Definition *definition)
{
	return GELF_ST_BIND(definition->sym.st_info) == STB_LOCAL;
}

/* Drops what another definition of the same module hides: old versions, then local ones. */
static void prefer(Definitions *definitions)
{
	for (unsigned rule = 0; rule < 2; rule++) {
		bool better = false;
		size_t kept = 0;

		for (size_t i = 0; i < definitions->n; i++)
			better = better || !(rule == 0 ? definitions->items[i].old_version
						       : is_local(&definitions->items[i]));
		for (size_t i = 0; better && i < definitions->n; i++)
			if (!(rule == 0 ? definitions->items[i].old_version
					: is_local(&definitions->items[i])))
				definitions->items[kept++] = definitions->items[i];
		if (better)
			definitions->n = kept;
	}
}

int symbols_find_in_module(const Module *module, const char *name, bool all, Definitions *ret)
{
	int r;

	definitions_clear(ret);
	r = symbols_find_in(module, name, all, ret);
	if (r == 0 && ret->n == 0 && all)
		r = symbols_find_cxx_in(module, name, ret);
	if (r < 0)
		return r;
	prefer(ret);
	if (ret->n == 0)
		return BPCOND_LOCATION_NOT_FOUND;
	return ret->n == 1 ? 0 : BPCOND_LOCATION_AMBIGUOUS;
}

/* Local definitions, and those of C++, of all modules but the program. */
static int find_anywhere(const bpcond_symbols *symbols, const char *name, Definitions *ret)
{
	int r = 0;

	definitions_clear(ret);
	for (size_t i = 1; r == 0 && i < symbols->n_modules; i++)
		r = symbols_find_in(&symbols->modules[i], name, true, ret);
	for (size_t i = 1; r == 0 && ret->n == 0 && i < symbols->n_modules; i++)
		r = symbols_find_cxx_in(&symbols->modules[i], name, ret);
	if (r < 0)
		return r;
	prefer(ret);
	if (ret->n == 0)
		return symbols->libraries_ready ? BPCOND_LOCATION_NOT_FOUND
						: BPCOND_LOCATION_NOT_YET;
	return ret->n == 1 ? 0 : BPCOND_LOCATION_AMBIGUOUS;
}

int symbols_find(const bpcond_symbols *symbols, const char *name, Definitions *ret)
{
	int r;

	r = symbols_find_in_module(&symbols->modules[0], name, true, ret);
	if (r != BPCOND_LOCATION_NOT_FOUND)
		return r;
	for (size_t i = 1; i < symbols->n_modules; i++) {
		r = symbols_find_in_module(&symbols->modules[i], name, false, ret);
		if (r != BPCOND_LOCATION_NOT_FOUND)
			return r;
	}
	/* Before the libraries are there only the dynamic linker is: its own malloc is not meant. */
	return find_anywhere(symbols, name, ret);
}
