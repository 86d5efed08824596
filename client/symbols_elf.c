/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF symbols of a module: those that it exports (.dynsym, with their versions) and all that its symbol
 * table, its debug file or its .gnu_debugdata tell; and two kinds that have no address of their own,
 * indirect functions and thread-local variables.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/symbols.h"

#define VERSION_HIDDEN 0x8000 /* of .gnu.version: not the default version of its name */

void definitions_clear(Definitions *definitions)
{
	free(definitions->items);
	*definitions = (Definitions){NULL, 0};
}

/* The first that comes says what is exported and which version it is; the same address again is an
 * alias or the same symbol from another table. */
static int definitions_add(Definitions *definitions, const Definition *definition)
{
	Definition *items;

	for (size_t i = 0; i < definitions->n; i++)
		if (definitions->items[i].address == definition->address &&
		    definitions->items[i].module == definition->module)
			return 0;
	items = realloc(definitions->items, (definitions->n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	definitions->items = items;
	items[definitions->n++] = *definition;
	return 0;
}

static bool is_definition(const GElf_Sym *sym)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && type != STT_SECTION && type != STT_FILE &&
	       (type != STT_NOTYPE || sym->st_shndx < SHN_LORESERVE);
}

/* The entry of a table as a definition under that name. Return: false if it is none. */
static bool matches(const char *entry, const char *name, const GElf_Sym *sym, bool *ret_old_version)
{
	size_t length = strlen(name);

	*ret_old_version = false;
	if (!entry || !is_definition(sym) || strncmp(entry, name, length) != 0)
		return false;
	/* Symbol tables write versions into the name: one @ for an old one, two for the default. */
	if (entry[length] == '@' && !strchr(name, '@')) {
		*ret_old_version = entry[length + 1] != '@';
		return true;
	}
	return entry[length] == '\0';
}

static Elf_Data *section_of_type(Elf *elf, unsigned type, GElf_Shdr *ret_header)
{
	Elf_Scn *section = NULL;

	for (;;) {
		section = elf_nextscn(elf, section);
		if (!section)
			return NULL;
		if (gelf_getshdr(section, ret_header) && ret_header->sh_type == type)
			return elf_getdata(section, NULL);
	}
}

static bool is_thread_local(const GElf_Sym *sym)
{
	return GELF_ST_TYPE(sym->st_info) == STT_TLS;
}

static int find_exported(const Module *module, const char *name, Definitions *definitions)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(module->dwfl, &bias);
	GElf_Shdr header, version_header;
	Elf_Data *table, *versions;
	size_t n;

	table = elf ? section_of_type(elf, SHT_DYNSYM, &header) : NULL;
	if (!table || header.sh_entsize == 0)
		return 0;
	versions = section_of_type(elf, SHT_GNU_versym, &version_header);
	n = table->d_size / header.sh_entsize;
	for (size_t i = 0; i < n; i++) {
		Definition definition = {.module = module, .exported = true};
		GElf_Versym version = 0;
		int r;

		if (!gelf_getsym(table, (int)i, &definition.sym) ||
		    GELF_ST_BIND(definition.sym.st_info) == STB_LOCAL ||
		    !matches(elf_strptr(elf, header.sh_link, definition.sym.st_name), name,
			     &definition.sym, &definition.old_version))
			continue;
		if (versions && gelf_getversym(versions, (int)i, &version))
			definition.old_version = version & VERSION_HIDDEN;
		definition.address = definition.sym.st_value;
		if (!is_thread_local(&definition.sym) && definition.sym.st_shndx != SHN_ABS)
			definition.address += bias;
		r = definitions_add(definitions, &definition);
		if (r < 0)
			return r;
	}
	return 0;
}

int symbols_find_in(const Module *module, const char *name, bool all, Definitions *definitions)
{
	int r, n;

	r = find_exported(module, name, definitions);
	if (r < 0 || !all)
		return r;
	n = dwfl_module_getsymtab(module->dwfl);
	for (int i = 1; i < n; i++) {
		Definition definition = {.module = module};
		GElf_Addr address;
		const char *entry = dwfl_module_getsym_info(module->dwfl, i, &definition.sym,
							    &address, NULL, NULL, NULL);

		if (!matches(entry, name, &definition.sym, &definition.old_version))
			continue;
		definition.address =
			is_thread_local(&definition.sym) ? definition.sym.st_value : address;
		r = definitions_add(definitions, &definition);
		if (r < 0)
			return r;
	}
	return 0;
}

int symbols_find_cxx_in(const Module *module, const char *name, Definitions *definitions)
{
	int n = dwfl_module_getsymtab(module->dwfl);

	for (int i = 1; i < n; i++) {
		Definition definition = {.module = module};
		GElf_Addr address;
		const char *entry = dwfl_module_getsym_info(module->dwfl, i, &definition.sym,
							    &address, NULL, NULL, NULL),
			   *version;
		int r;

		if (!entry || !is_definition(&definition.sym) || !symbols_is_mangled(entry, name))
			continue;
		version = strchr(entry, '@');
		definition.old_version = version && version[1] != '@';
		definition.mangled = entry;
		definition.address =
			is_thread_local(&definition.sym) ? definition.sym.st_value : address;
		r = definitions_add(definitions, &definition);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- Names of addresses ---------------------------------------------------------------------- */

/* What speaks against showing this one of the names of an address. */
static unsigned unfitness(const char *name, const GElf_Sym *sym)
{
	return (GELF_ST_BIND(sym->st_info) == STB_LOCAL ? 4u : 0u) + (name[0] == '_' ? 2u : 0u) +
	       (strchr(name, '@') ? 1u : 0u);
}

bool symbols_name_at(const Module *module, uint64_t address, char *ret, size_t size,
		     uint64_t *ret_offset, GElf_Sym *ret_sym)
{
	GElf_Off offset = 0;
	GElf_Sym best, sym;
	const char *name =
		dwfl_module_addrinfo(module->dwfl, address, &offset, &best, NULL, NULL, NULL);
	int n = name ? dwfl_module_getsymtab(module->dwfl) : 0;

	if (!name)
		return false;
	for (int i = 1; i < n && unfitness(name, &best) > 0; i++) {
		GElf_Addr start;
		const char *other =
			dwfl_module_getsym_info(module->dwfl, i, &sym, &start, NULL, NULL, NULL);

		if (other && *other && start == address - offset && is_definition(&sym) &&
		    !is_thread_local(&sym) && sym.st_size == best.st_size &&
		    unfitness(other, &sym) < unfitness(name, &best)) {
			name = other;
			best = sym;
		}
	}
	snprintf(ret, size, "%.*s", (int)strcspn(name, "@"), name);
	*ret_offset = offset;
	*ret_sym = best;
	return true;
}

/* ---- Indirect functions ---------------------------------------------------------------------- */

typedef struct RelocationTypes {
	unsigned irelative, jump_slot, glob_dat;
} RelocationTypes;

static bool relocation_types(const GElf_Ehdr *header, RelocationTypes *ret)
{
	switch (header->e_machine) {
	case EM_X86_64:
		*ret = (RelocationTypes){R_X86_64_IRELATIVE, R_X86_64_JUMP_SLOT, R_X86_64_GLOB_DAT};
		return true;
	case EM_AARCH64:
		*ret = (RelocationTypes){R_AARCH64_IRELATIVE, R_AARCH64_JUMP_SLOT,
					 R_AARCH64_GLOB_DAT};
		return true;
	default:
		return false;
	}
}

/* Whether an address lies in a procedure linkage table: what an unresolved slot points to. */
static bool is_in_linkage_table(const bpcond_symbols *symbols, uint64_t address)
{
	const Module *module = symbols_module_at(symbols, address);
	Elf_Scn *section = NULL;
	GElf_Addr bias;
	size_t names;
	Elf *elf = module ? dwfl_module_getelf(module->dwfl, &bias) : NULL;

	if (!elf || elf_getshdrstrndx(elf, &names) < 0)
		return !module;
	for (;;) {
		GElf_Shdr header;
		const char *name;

		section = elf_nextscn(elf, section);
		if (!section)
			return false;
		if (!gelf_getshdr(section, &header) || address - bias < header.sh_addr ||
		    address - bias >= header.sh_addr + header.sh_size ||
		    !(header.sh_flags & SHF_ALLOC))
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		return name && (strncmp(name, ".plt", 4) == 0 || strcmp(name, ".iplt") == 0);
	}
}

typedef struct Indirect {
	const bpcond_symbols *symbols;
	const Definition *definition;
	const char *name;
	uint64_t resolver; /* as its own file has it */
} Indirect;

/* Whether the relocation fills a slot with the implementation that is looked for. */
static bool concerns(const Indirect *indirect, Elf *elf, const GElf_Shdr *relocations,
		     const RelocationTypes *types, const GElf_Rela *rela, const Module *module)
{
	unsigned type = GELF_R_TYPE(rela->r_info);
	GElf_Shdr header;
	Elf_Scn *section;
	GElf_Sym sym;

	if (type == types->irelative)
		return module == indirect->definition->module &&
		       (uint64_t)rela->r_addend == indirect->resolver;
	if (type != types->jump_slot && type != types->glob_dat)
		return false;
	section = elf_getscn(elf, relocations->sh_link);
	if (!section || !gelf_getshdr(section, &header) ||
	    !gelf_getsym(elf_getdata(section, NULL), (int)GELF_R_SYM(rela->r_info), &sym))
		return false;
	return strcmp(elf_strptr(elf, header.sh_link, sym.st_name) ?: "", indirect->name) == 0;
}

/* Looks for a filled slot in one module. Return: 0 and *ret; -ENOENT. */
static int find_slot(const Indirect *indirect, const Module *module, uint64_t *ret)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(module->dwfl, &bias);
	RelocationTypes types;
	Elf_Scn *section = NULL;
	GElf_Ehdr elf_header;

	if (!elf || !gelf_getehdr(elf, &elf_header) || !relocation_types(&elf_header, &types))
		return -ENOENT;
	for (;;) {
		GElf_Shdr header;
		Elf_Data *data;

		section = elf_nextscn(elf, section);
		if (!section)
			return -ENOENT;
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA ||
		    !(header.sh_flags & SHF_ALLOC) || header.sh_entsize == 0)
			continue;
		data = elf_getdata(section, NULL);
		for (size_t i = 0; data && i < data->d_size / header.sh_entsize; i++) {
			GElf_Rela rela;
			uint64_t value;

			if (!gelf_getrela(data, (int)i, &rela) ||
			    !concerns(indirect, elf, &header, &types, &rela, module) ||
			    symbols_read(indirect->symbols, rela.r_offset + bias, &value,
					 sizeof(value)) < 0)
				continue;
			/* Another module may have won the name, or the slot is not filled yet. */
			if (GELF_R_TYPE(rela.r_info) != types.irelative &&
			    symbols_module_at(indirect->symbols, value) !=
				    indirect->definition->module)
				continue;
			if (value == indirect->definition->address ||
			    is_in_linkage_table(indirect->symbols, value))
				continue;
			*ret = value;
			return 0;
		}
	}
}

int symbols_resolve_indirect(const bpcond_symbols *symbols, const Definition *definition,
			     const char *name, uint64_t *ret)
{
	Indirect indirect = {symbols, definition, name, 0};
	GElf_Addr bias;

	if (!dwfl_module_getelf(definition->module->dwfl, &bias))
		return -ENOENT;
	indirect.resolver = definition->address - bias;
	/* Its own module resolved it for itself; else one that calls it may have. */
	if (find_slot(&indirect, definition->module, ret) == 0)
		return 0;
	for (size_t i = 0; i < symbols->n_modules; i++)
		if (&symbols->modules[i] != definition->module &&
		    find_slot(&indirect, &symbols->modules[i], ret) == 0)
			return 0;
	return -ENOENT;
}

/* ---- Thread-local variables ------------------------------------------------------------------ */

int symbols_thread_offset(const bpcond_symbols *symbols, const Definition *definition, int64_t *ret)
{
	GElf_Addr bias;
	GElf_Ehdr elf_header;
	size_t n;
	Elf *elf = dwfl_module_getelf(definition->module->dwfl, &bias);

	/* Those of libraries lie where the dynamic linker put them, which only it knows. */
	if (definition->module != &symbols->modules[0] || !elf || !gelf_getehdr(elf, &elf_header) ||
	    elf_header.e_machine != EM_X86_64 || elf_getphdrnum(elf, &n) < 0)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr header;
		uint64_t align;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_TLS)
			continue;
		/* The program's block ends at the thread pointer (TLS variant II of the x86-64 ABI). */
		align = header.p_align > 0 ? header.p_align : 1;
		*ret = (int64_t)(definition->address -
				 (header.p_memsz + align - 1) / align * align);
		return 0;
	}
	return -EOPNOTSUPP;
}
