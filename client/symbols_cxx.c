/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of C++ as people write them, shop::Order::total, against the mangled names that symbol tables
 * hold (Itanium C++ ABI, 5.1): names nested in namespaces and classes, constructors and destructors,
 * things in unnamed namespaces or static. What functions take is left open, so that overloads are several
 * things of one name. This is no demangler: instances of class templates and operators are found by parts
 * only, as suggestions.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/symbols.h"

enum {
	MAX_PART = 256,
};

/* A piece of a mangled name. */
typedef struct Piece {
	const char *text;
	size_t length;
} Piece;

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* <source-name>: a length and as many characters. Return: what follows; NULL if there is none. */
static const char *read_piece(const char *p, Piece *ret)
{
	size_t length = 0;

	if (!isdigit((unsigned char)*p) || *p == '0')
		return NULL;
	for (; isdigit((unsigned char)*p); p++) {
		length = length * 10 + (size_t)(*p - '0');
		if (length > MAX_PART)
			return NULL;
	}
	if (strnlen(p, length) < length)
		return NULL;
	*ret = (Piece){p, length};
	return p + length;
}

/* Takes one part and the :: behind it off the name. Return: false if the part is another. */
static bool take(const char **name, const char *before, Piece piece)
{
	const char *p = *name;
	size_t n = strlen(before);

	if (strncmp(p, before, n) != 0 || strncmp(p + n, piece.text, piece.length) != 0)
		return false;
	p += n + piece.length;
	if (p[0] == ':' && p[1] == ':' && p[2] != '\0')
		p += 2;
	else if (*p != '\0')
		return false;
	*name = p;
	return true;
}

/* One part of a nested name, of which `last` is the part before. Return: what follows; NULL if it is not
 * what the name has there. */
static const char *match_part(const char *p, const char **name, Piece *last)
{
	Piece piece, tag;

	if (*p == 'L') /* static */
		p++;
	if ((p[0] == 'C' || p[0] == 'D') && isdigit((unsigned char)p[1]) && last->length > 0)
		return take(name, p[0] == 'D' ? "~" : "", *last) ? p + 2 : NULL;
	p = read_piece(p, &piece);
	if (!p)
		return NULL;
	/* An unnamed namespace is not written. */
	if (piece.length < 9 || strncmp(piece.text, "_GLOBAL__", 9) != 0) {
		if (!take(name, "", piece))
			return NULL;
		*last = piece;
	}
	while (p && *p == 'B')
		p = read_piece(p + 1, &tag);
	return p;
}

bool symbols_is_mangled(const char *entry, const char *name)
{
	const char *p = entry;
	Piece last = {NULL, 0};
	bool nested;

	if (strncmp(p, "_Z", 2) != 0)
		return false;
	p += 2;
	if (strncmp(name, "::", 2) == 0)
		name += 2;
	nested = *p == 'N';
	if (nested)
		p += 1 + strspn(p + 1, "rVKRO");
	if (strncmp(p, "St", 2) == 0) {
		if (!take(&name, "", (Piece){"std", 3}))
			return false;
		p += 2;
	}
	do {
		p = match_part(p, &name, &last);
	} while (p && nested && *p != 'E');
	/* Parts of functions that the compiler split off have a suffix: .cold, .part.0 */
	return p && *name == '\0' && last.length > 0 && p[strcspn(p, ".@")] != '.';
}

/* ---- Suggestions ----------------------------------------------------------------------------- */

/* Whether the parts of the name, without what is no word in them, stand in the entry in this order. */
static bool has_parts(const char *entry, const char *name)
{
	char wanted[MAX_PART + 16];
	bool any = false;

	if (strncmp(entry, "_Z", 2) != 0 || strncmp(entry, "_ZTV", 4) == 0 ||
	    strncmp(entry, "_ZTI", 4) == 0 || strncmp(entry, "_ZTS", 4) == 0)
		return false;
	while (*name != '\0') {
		size_t length = 0;

		while (is_word(name[length]))
			length++;
		if (length > MAX_PART)
			return false;
		if (length > 0) {
			snprintf(wanted, sizeof(wanted), "%zu%.*s", length, (int)length, name);
			entry = strstr(entry, wanted);
			if (!entry)
				return false;
			entry += strlen(wanted);
			any = true;
		}
		name = strstr(name + length, "::");
		if (!name)
			break;
		name += 2;
	}
	return any;
}

size_t symbols_similar_in(const Module *module, const char *name, const char **ret, size_t max)
{
	int entries = dwfl_module_getsymtab(module->dwfl);
	size_t n = 0;

	for (int i = 1; i < entries && n < max; i++) {
		GElf_Addr address;
		GElf_Sym sym;
		const char *entry =
			dwfl_module_getsym_info(module->dwfl, i, &sym, &address, NULL, NULL, NULL);
		bool known = false;

		if (!entry || sym.st_shndx == SHN_UNDEF || strpbrk(entry, ".@") ||
		    !has_parts(entry, name))
			continue;
		for (size_t j = 0; j < n; j++)
			known = known || strcmp(ret[j], entry) == 0;
		if (!known)
			ret[n++] = entry;
	}
	return n;
}
