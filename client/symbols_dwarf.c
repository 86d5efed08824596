/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What debug information says: the integer types of variables, and the local variables of a place in the
 * code. Types that a condition cannot compute with (double, struct) have an address and nothing more.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/machine.h"
#include "client/symbols.h"

enum {
	MAX_TYPE_CHAIN = 64, /* typedefs of typedefs, pointers to pointers */
	MAX_SCOPE_DEPTH = 64,
};

/* ---- Types ----------------------------------------------------------------------------------- */

static bool type_die(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;

	return dwarf_attr_integrate(die, DW_AT_type, &attribute) &&
	       dwarf_formref_die(&attribute, ret) && dwarf_peel_type(ret, ret) == 0;
}

static bool is_loadable(Dwarf_Word size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/* An integer type: size and sign. Return: false for any other. */
static bool describe_integer(Dwarf_Die *type, bpcond_symbol *ret)
{
	Dwarf_Word encoding = DW_ATE_unsigned, size;
	Dwarf_Attribute attribute;
	int tag = dwarf_tag(type);
	Dwarf_Die underlying;

	if (tag != DW_TAG_base_type && tag != DW_TAG_enumeration_type)
		return false;
	if (dwarf_aggregate_size(type, &size) != 0 || !is_loadable(size))
		return false;
	if (dwarf_attr_integrate(type, DW_AT_encoding, &attribute))
		dwarf_formudata(&attribute, &encoding);
	else if (tag == DW_TAG_enumeration_type && type_die(type, &underlying) &&
		 dwarf_attr_integrate(&underlying, DW_AT_encoding, &attribute))
		dwarf_formudata(&attribute, &encoding);
	switch (encoding) {
	case DW_ATE_signed:
	case DW_ATE_signed_char:
		ret->is_signed = 1;
		break;
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_char:
	case DW_ATE_boolean:
	case DW_ATE_UTF:
		ret->is_signed = 0;
		break;
	default:
		return false;
	}
	ret->size = (int)size;
	return true;
}

/* The elements of a dimension of an array. Return: false if they are not counted. */
static bool elements(Dwarf_Die *dimension, Dwarf_Word *ret)
{
	Dwarf_Attribute attribute;

	if (dwarf_attr_integrate(dimension, DW_AT_count, &attribute))
		return dwarf_formudata(&attribute, ret) == 0;
	if (!dwarf_attr_integrate(dimension, DW_AT_upper_bound, &attribute) ||
	    dwarf_formudata(&attribute, ret) != 0)
		return false;
	++*ret;
	return true;
}

/* The number of dimensions, and the elements of the first; 0: not counted. */
static unsigned count_dimensions(Dwarf_Die *array, Dwarf_Word *ret_first)
{
	unsigned dimensions = 0;
	Dwarf_Die child;

	*ret_first = 0;
	if (dwarf_child(array, &child) != 0)
		return 0;
	do {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		if (dimensions++ == 0 && !elements(&child, ret_first))
			*ret_first = 0;
	} while (dwarf_siblingof(&child, &child) == 0);
	return dimensions;
}

/* The bytes of a type that is no integer, as bpcond_symbol.extent. */
static int extent_of(Dwarf_Die *type, Dwarf_Word divided_by)
{
	Dwarf_Word size;

	if (dwarf_tag(type) == DW_TAG_subroutine_type)
		return 0;
	if (dwarf_aggregate_size(type, &size) != 0 || size == 0 || size > INT32_MAX ||
	    divided_by == 0 || size % divided_by != 0)
		return -1;
	return (int)(size / divided_by);
}

/* kind, size, is_signed, pointers and extent of a variable. */
static void describe_variable(Dwarf_Die *variable, bpcond_symbol *ret)
{
	bool is_array = false, is_void = false;
	Dwarf_Word first;
	Dwarf_Die type;

	ret->kind = BPCOND_SYMBOL_OTHER;
	ret->size = 0;
	ret->is_signed = 0;
	ret->pointers = 0;
	ret->extent = 0;
	if (!type_die(variable, &type))
		return;
	if (dwarf_tag(&type) == DW_TAG_array_type) {
		is_array = true;
		if (count_dimensions(&type, &first) != 1) {
			ret->kind = BPCOND_SYMBOL_ARRAY;
			ret->extent = extent_of(&type, first);
			return;
		}
		if (!type_die(&type, &type)) {
			ret->kind = BPCOND_SYMBOL_ARRAY;
			return;
		}
	}
	for (unsigned i = 0; i < MAX_TYPE_CHAIN; i++) {
		int tag = dwarf_tag(&type);

		if (tag != DW_TAG_pointer_type && tag != DW_TAG_reference_type &&
		    tag != DW_TAG_rvalue_reference_type)
			break;
		ret->pointers++;
		is_void = !type_die(&type, &type); /* void * */
		if (is_void)
			break;
		if (dwarf_tag(&type) == DW_TAG_array_type)
			break;
	}
	if (is_array)
		ret->kind = BPCOND_SYMBOL_ARRAY;
	else if (ret->pointers > 0 || describe_integer(&type, ret))
		ret->kind = BPCOND_SYMBOL_INTEGER;
	if (ret->kind != BPCOND_SYMBOL_OTHER && ret->size == 0)
		describe_integer(&type, ret);
	if (ret->size == 0 && !is_void)
		ret->extent = extent_of(&type, 1);
}

/* ---- Variables with a fixed place ------------------------------------------------------------- */

/* Whether the variable lies at the address, or, of thread-local ones, at that offset. */
static bool lies_at(Dwarf_Die *die, const Definition *definition, Dwarf_Addr bias)
{
	bool thread_local_one = GELF_ST_TYPE(definition->sym.st_info) == STT_TLS;
	Dwarf_Attribute attribute, result;
	Dwarf_Addr address;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr(die, DW_AT_location, &attribute) ||
	    dwarf_getlocation(&attribute, &ops, &n) != 0 || n == 0)
		return false;
	if (thread_local_one)
		return n == 2 &&
		       (ops[1].atom == DW_OP_form_tls_address ||
			ops[1].atom == DW_OP_GNU_push_tls_address) &&
		       ops[0].number == definition->address;
	if (n != 1)
		return false;
	if (ops[0].atom == DW_OP_addr)
		return ops[0].number + bias == definition->address;
	return (ops[0].atom == DW_OP_addrx || ops[0].atom == DW_OP_GNU_addr_index) &&
	       dwarf_getlocation_attr(&attribute, &ops[0], &result) == 0 &&
	       dwarf_formaddr(&result, &address) == 0 && address + bias == definition->address;
}

/* Looks among the children of a unit or namespace. */
static bool find_variable(Dwarf_Die *parent, const Definition *definition, Dwarf_Addr bias,
			  unsigned depth, bpcond_symbol *ret)
{
	Dwarf_Die die;

	if (depth > MAX_SCOPE_DEPTH || dwarf_child(parent, &die) != 0)
		return false;
	do {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_variable && lies_at(&die, definition, bias)) {
			describe_variable(&die, ret);
			return true;
		}
		if (tag == DW_TAG_namespace &&
		    find_variable(&die, definition, bias, depth + 1, ret))
			return true;
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

int symbols_type_of(const Definition *definition, bpcond_symbol *ret)
{
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;

	for (;;) {
		unit = dwfl_module_nextcu(definition->module->dwfl, unit, &bias);
		if (!unit)
			return -ENOENT;
		if (find_variable(unit, definition, bias, 0, ret))
			return 0;
	}
}

Dwarf_Die *symbols_unit_at(const Module *module, uint64_t address, Dwarf_Addr *ret_bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module->dwfl, address, ret_bias);

	/* Not every compiler writes the table of addresses that this looks into. */
	while (!unit || dwarf_haspc(unit, address - *ret_bias) != 1) {
		unit = dwfl_module_nextcu(module->dwfl, unit, ret_bias);
		if (!unit)
			return NULL;
	}
	return unit;
}

/* ---- Local variables ------------------------------------------------------------------------- */

/* A register that a frame can be based on. Return: NULL for others. */
static const char *register_name(unsigned number)
{
	return number < n_machine_dwarf_registers ? machine_dwarf_registers[number] : NULL;
}

/* The one step "register plus offset". Return: false if it is another expression. */
static bool register_and_offset(const Dwarf_Op *ops, size_t n, const char **ret_register,
				int64_t *ret_offset)
{
	if (n != 1)
		return false;
	if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
		*ret_register = register_name(ops[0].atom - DW_OP_breg0);
		*ret_offset = (int64_t)ops[0].number;
	} else if (ops[0].atom == DW_OP_bregx) {
		*ret_register = ops[0].number < 32 ? register_name((unsigned)ops[0].number) : NULL;
		*ret_offset = (int64_t)ops[0].number2;
	} else if (ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31) {
		/* Of a frame base: the register's value. */
		*ret_register = register_name(ops[0].atom - DW_OP_reg0);
		*ret_offset = 0;
	} else {
		return false;
	}
	return *ret_register != NULL;
}

bool symbols_frame_address(const Module *module, uint64_t place, const char **ret_register,
			   int64_t *ret_offset)
{
	Dwarf_Addr bias;
	bool found = false;

	for (unsigned i = 0; i < 2 && !found; i++) {
		Dwarf_CFI *cfi = i == 0 ? dwfl_module_eh_cfi(module->dwfl, &bias)
					: dwfl_module_dwarf_cfi(module->dwfl, &bias);
		Dwarf_Frame *frame = NULL;
		Dwarf_Op *ops;
		size_t n;

		if (!cfi || dwarf_cfi_addrframe(cfi, place - bias, &frame) != 0)
			continue;
		found = dwarf_frame_cfa(frame, &ops, &n) == 0 &&
			register_and_offset(ops, n, ret_register, ret_offset);
		free(frame);
	}
	return found;
}

/* Where the function's frame lies: its DW_AT_frame_base. */
static bool frame_base(const bpcond_symbols *symbols, const Module *module, Dwarf_Die *function,
		       Dwarf_Addr bias, const char **ret_register, int64_t *ret_offset)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr_integrate(function, DW_AT_frame_base, &attribute) ||
	    dwarf_getlocation_addr(&attribute, symbols->place - bias, &ops, &n, 1) != 1)
		return false;
	if (n == 1 && ops[0].atom == DW_OP_call_frame_cfa)
		return symbols_frame_address(module, symbols->place, ret_register, ret_offset);
	return register_and_offset(ops, n, ret_register, ret_offset);
}

/*
 * At a function's entry its arguments are where the calling convention puts them, and not yet in the
 * frame where unoptimised code's debug information looks for them: integers and pointers in registers, in
 * order; what is passed or returned in another way would shift them.
 */
static int argument_at_entry(Dwarf_Die *function, Dwarf_Die *parameter, bpcond_symbol *ret)
{
	bpcond_symbol other;
	Dwarf_Die type, child;
	size_t index = 0;

	if (type_die(function, &type) &&
	    (dwarf_tag(&type) == DW_TAG_structure_type || dwarf_tag(&type) == DW_TAG_class_type ||
	     dwarf_tag(&type) == DW_TAG_union_type))
		return -EOPNOTSUPP;
	if (dwarf_child(function, &child) != 0)
		return -EOPNOTSUPP;
	do {
		if (dwarf_tag(&child) != DW_TAG_formal_parameter)
			continue;
		describe_variable(&child, &other);
		if (other.kind != BPCOND_SYMBOL_INTEGER || index >= n_machine_arguments)
			return -EOPNOTSUPP;
		if (dwarf_dieoffset(&child) == dwarf_dieoffset(parameter)) {
			ret->kind = BPCOND_SYMBOL_IN_REGISTER;
			ret->base_register = machine_arguments[index];
			return 0;
		}
		index++;
	} while (dwarf_siblingof(&child, &child) == 0);
	return -EOPNOTSUPP;
}

/* The place of a local variable, from its location at the place in the code. */
static int local_place(const bpcond_symbols *symbols, const Module *module, Dwarf_Die *variable,
		       Dwarf_Die *function, Dwarf_Addr bias, bpcond_symbol *ret)
{
	Dwarf_Attribute attribute;
	const char *base = NULL;
	int64_t offset = 0;
	Dwarf_Addr entry;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr_integrate(variable, DW_AT_location, &attribute) ||
	    dwarf_getlocation_addr(&attribute, symbols->place - bias, &ops, &n, 1) != 1 || n == 0)
		return -EOPNOTSUPP;
	if (n == 1 && ops[0].atom == DW_OP_addr) {
		ret->address = ops[0].number + bias;
		return 0;
	}
	if (n == 1 && ops[0].atom == DW_OP_fbreg) {
		if (dwarf_entrypc(function, &entry) == 0 && entry + bias == symbols->place)
			return dwarf_tag(variable) == DW_TAG_formal_parameter
				       ? argument_at_entry(function, variable, ret)
				       : -EOPNOTSUPP;
		if (!frame_base(symbols, module, function, bias, &base, &offset))
			return -EOPNOTSUPP;
		offset += (int64_t)ops[0].number;
	} else if (ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31) {
		/* Its value is in the register: there is no address. */
		base = register_name(ops[0].atom - DW_OP_reg0);
		if (n != 1 || !base || ret->kind != BPCOND_SYMBOL_INTEGER)
			return -EOPNOTSUPP;
		ret->kind = BPCOND_SYMBOL_IN_REGISTER;
	} else if (!register_and_offset(ops, n, &base, &offset)) {
		return -EOPNOTSUPP;
	}
	ret->base_register = base;
	ret->address = (uint64_t)offset;
	return 0;
}

static bool is_named(Dwarf_Die *die, const char *name)
{
	const char *own = dwarf_diename(die);

	return own && strcmp(own, name) == 0;
}

int symbols_find_local(const bpcond_symbols *symbols, const char *name, bpcond_symbol *ret)
{
	const Module *module = symbols_module_at(symbols, symbols->place);
	Dwarf_Die *unit, *scopes = NULL, child;
	Dwarf_Addr bias;
	int n, r = -ENOENT;

	unit = module ? symbols_unit_at(module, symbols->place, &bias) : NULL;
	if (!unit)
		return -ENOENT;
	n = dwarf_getscopes(unit, symbols->place - bias, &scopes);
	/* From the innermost block out to the function; the unit's own names are globals. */
	for (int i = 0; i < n && r == -ENOENT; i++) {
		int tag = dwarf_tag(&scopes[i]), function = i;

		if (tag == DW_TAG_compile_unit || dwarf_child(&scopes[i], &child) != 0)
			continue;
		while (function < n - 1 && dwarf_tag(&scopes[function]) != DW_TAG_subprogram)
			function++;
		do {
			if ((dwarf_tag(&child) != DW_TAG_variable &&
			     dwarf_tag(&child) != DW_TAG_formal_parameter) ||
			    !is_named(&child, name))
				continue;
			describe_variable(&child, ret);
			r = local_place(symbols, module, &child, &scopes[function], bias, ret);
			break;
		} while (dwarf_siblingof(&child, &child) == 0);
	}
	free(scopes);
	return r;
}
