/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Source lines to addresses, by the line tables of debug information. A line has one place for each
 * function, and each inlined copy of one, that has code of it: the lowest address there, as debuggers
 * choose it.
 */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/symbols.h"

/* Whether the path ends in the wanted one, whole components. */
static bool file_matches(const char *path, const char *wanted)
{
	size_t length = strlen(path), end = strlen(wanted);

	return length >= end && strcmp(path + length - end, wanted) == 0 &&
	       (length == end || wanted[0] == '/' || path[length - end - 1] == '/');
}

/* Where the search stands in one compilation unit. */
typedef struct UnitLines {
	const Module *module;
	Dwarf_Die *unit;
	Dwarf_Addr bias;
	Dwarf_Lines *lines;
	size_t n;
} UnitLines;

/* One usable row of a line table that is of the file. Return: false if it is not. */
static bool read_row(const UnitLines *unit, size_t i, const char *file, int *ret_line,
		     Dwarf_Addr *ret_address)
{
	Dwarf_Line *row = dwarf_onesrcline(unit->lines, i);
	bool is_statement = false, is_end = true;
	const char *path;

	if (!row || dwarf_linebeginstatement(row, &is_statement) != 0 || !is_statement ||
	    dwarf_lineendsequence(row, &is_end) != 0 || is_end)
		return false;
	path = dwarf_linesrc(row, NULL, NULL);
	return path && file_matches(path, file) && dwarf_lineno(row, ret_line) == 0 &&
	       *ret_line > 0 && dwarf_lineaddr(row, ret_address) == 0;
}

/* The innermost function or inlined copy around an address. */
static void describe_function(const UnitLines *unit, Dwarf_Addr address, LinePlace *ret,
			      Dwarf_Addr *ret_entry)
{
	Dwarf_Die *scopes = NULL;
	int n = dwarf_getscopes(unit->unit, address, &scopes);

	*ret_entry = (Dwarf_Addr)-1;
	for (int i = 0; i < n; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
			continue;
		ret->function = scopes[i].addr;
		snprintf(ret->name, sizeof(ret->name), "%s%s", dwarf_diename(&scopes[i]) ?: "?",
			 tag == DW_TAG_subprogram ? "" : ", inlined");
		if (tag == DW_TAG_subprogram)
			dwarf_entrypc(&scopes[i], ret_entry);
		break;
	}
	free(scopes);
}

/* The next row's address if the code up to there sets up a frame pointer. */
static Dwarf_Addr behind_prologue(const UnitLines *unit, size_t i, Dwarf_Addr entry)
{
	const char *base;
	Dwarf_Addr next;
	int64_t offset;
	bool end;

	for (; i < unit->n; i++) {
		Dwarf_Line *row = dwarf_onesrcline(unit->lines, i);

		if (!row || dwarf_lineendsequence(row, &end) != 0 || end ||
		    dwarf_lineaddr(row, &next) != 0)
			break;
		if (next <= entry)
			continue;
		if (symbols_frame_address(unit->module, next + unit->bias, &base, &offset) &&
		    strcmp(base, "rbp") == 0)
			return next;
		break;
	}
	return entry;
}

static void add_place(const UnitLines *unit, size_t i, int line, Dwarf_Addr address,
		      LinePlaces *ret)
{
	LinePlace place = {.module = unit->module, .line = (unsigned)line};
	Dwarf_Addr entry;

	describe_function(unit, address, &place, &entry);
	if (address == entry)
		address = behind_prologue(unit, i, entry);
	place.address = address + unit->bias;
	for (size_t j = 0; j < ret->n; j++) {
		LinePlace *other = &ret->items[j];

		if (other->module != place.module ||
		    (other->function != place.function && other->address != place.address))
			continue;
		if (place.address < other->address)
			*other = place;
		return;
	}
	if (ret->n < MAX_LINE_PLACES)
		ret->items[ret->n++] = place;
}

/* Calls for each unit that has debug information: first to find the line, then its places. */
static void search_units(const bpcond_symbols *symbols, const char *file, unsigned line,
			 unsigned *best, LinePlaces *ret)
{
	for (size_t m = 0; m < symbols->n_modules; m++) {
		UnitLines unit = {.module = &symbols->modules[m]};

		for (;;) {
			unit.unit = dwfl_module_nextcu(unit.module->dwfl, unit.unit, &unit.bias);
			if (!unit.unit)
				break;
			if (dwarf_getsrclines(unit.unit, &unit.lines, &unit.n) != 0)
				continue;
			for (size_t i = 0; i < unit.n; i++) {
				Dwarf_Addr address;
				int found;

				if (!read_row(&unit, i, file, &found, &address))
					continue;
				ret->file_known = true;
				if (best && (unsigned)found >= line && (unsigned)found < *best)
					*best = (unsigned)found;
				if (!best && (unsigned)found == line)
					add_place(&unit, i, found, address, ret);
			}
		}
	}
}

void symbols_find_line(const bpcond_symbols *symbols, const char *file, unsigned line,
		       LinePlaces *ret)
{
	unsigned best = UINT32_MAX;

	*ret = (LinePlaces){.n = 0};
	search_units(symbols, file, line, &best, ret);
	if (best != UINT32_MAX)
		search_units(symbols, file, best, NULL, ret);
}
