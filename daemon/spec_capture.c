/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hit records beside its header: registers, pieces of memory, the user's stack. Every limit
 * here bounds a record, which the filter writes with interrupts off.
 */
#include "bpcond/hit.h"
#include "condition/nearest.h"
#include "condition/registers.h"
#include "daemon/spec_reader.h"
#include "json/strict_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

const char *spec_register_name(unsigned int whole)
{
	const Register *reg;

	/* The whole register stands before its parts and second names. */
	for (size_t i = 0;; i++) {
		reg = register_at(i);
		if (reg == NULL || reg->whole == whole)
			return reg != NULL ? reg->name : NULL;
	}
}

static int fail_unknown_register(SpecReader *reader, const char *name, const char *path)
{
	const char *why_not = register_why_not(name);
	const Register *reg;
	Nearest nearest;

	if (why_not != NULL)
		return spec_fail(reader, path, "this register cannot be recorded: %s", why_not);
	nearest_start(&nearest, name);
	for (size_t i = 0;; i++) {
		reg = register_at(i);
		if (reg == NULL)
			break;
		nearest_offer(&nearest, reg->name);
	}
	if (nearest.best != NULL)
		return spec_fail(reader, path, "there is no such register; did you mean \"%s\"?",
				 nearest.best);
	return spec_fail(reader, path,
			 "there is no such register; write gdb's name of a general register, or "
			 "\"all\" instead of the list");
}

/* A hit records whole registers. */
static int read_register(SpecReader *reader, const char *name, const char *path, uint64_t *ret_bit)
{
	const Register *reg = register_by_name(name);
	const char *whole_name;

	if (reg == NULL)
		return fail_unknown_register(reader, name, path);
	whole_name = spec_register_name(reg->whole);
	if (value_type_bytes(reg->type) != 8 && strcmp(name, whole_name) != 0)
		return spec_fail(reader, path,
				 "\"%s\" is a part of a register, and a hit records whole ones; "
				 "write \"%s\"",
				 name, whole_name);
	*ret_bit = UINT64_C(1) << reg->whole;
	return 0;
}

static int read_registers(SpecReader *reader, struct json_object *value, const char *path)
{
	uint64_t mask = 0;

	if (json_object_is_type(value, json_type_string)) {
		const char *word;
		int r;

		r = spec_read_string(reader, value, path, &word);
		if (r != 0)
			return r;
		if (strcmp(word, "all") == 0) {
			reader->spec->capture_registers = (UINT64_C(1) << BPCOND_REG_COUNT) - 1;
			return 0;
		}
	}
	if (!json_object_is_type(value, json_type_array))
		return spec_fail_type(reader, path, value,
				      "\"all\" or a list of registers, as in [\"pc\", \"sp\"]");
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		char element_path[JSON_MAX_PATH];
		const char *name;
		uint64_t bit = 0;
		int r;

		json_path_index(element_path, path, i);
		r = spec_read_string(reader, json_object_array_get_idx(value, i), element_path,
				     &name);
		if (r != 0)
			return r;
		r = read_register(reader, name, element_path, &bit);
		if (r != 0)
			return r;
		if ((mask & bit) != 0)
			return spec_fail(reader, element_path,
					 "this register is in the list twice; remove one");
		mask |= bit;
	}
	reader->spec->capture_registers = mask;
	return 0;
}

static int read_piece(SpecReader *reader, struct json_object *value, const char *path)
{
	static const char *const keys[] = {"at", "length"};
	SpecPiece *piece = &reader->spec->pieces[reader->spec->n_pieces];
	struct json_object *members[2];
	char member_path[JSON_MAX_PATH];
	int64_t length;
	int r;

	if (!json_object_is_type(value, json_type_object))
		return spec_fail_type(reader, path, value,
				      "an object, as in {\"at\": {\"reg\": \"sp\"}, \"length\": "
				      "64}");
	r = spec_check_keys(reader, value, path, keys, 2);
	if (r != 0)
		return r;
	for (size_t i = 0; i < 2; i++)
		if (!json_object_object_get_ex(value, keys[i], &members[i]))
			return spec_fail(reader, path,
					 "the key \"%s\" is missing; a piece of memory "
					 "has an \"at\" and a \"length\"",
					 keys[i]);
	json_path_member(member_path, path, "length");
	r = spec_read_integer(reader, members[1], member_path, "the length of a piece", 1,
			      SPEC_MAX_PIECE_BYTES, &length);
	if (r != 0)
		return r;
	json_path_member(member_path, path, "at");
	r = spec_read_condition(reader, members[0], member_path, &piece->at);
	if (r != 0)
		return r;
	piece->length = (uint32_t)length;
	reader->spec->n_pieces++;
	if (condition_texts(piece->at) > 0)
		return spec_fail(
			reader, member_path,
			"an address is computed from numbers; strings and bytes can only be "
			"compared in the condition");
	return 0;
}

static int read_memory(SpecReader *reader, struct json_object *value, const char *path)
{
	size_t n_pieces, n_nodes = 0;
	uint32_t total = 0;

	if (!json_object_is_type(value, json_type_array))
		return spec_fail_type(reader, path, value, "a list of pieces of memory");
	n_pieces = json_object_array_length(value);
	if (n_pieces > SPEC_MAX_PIECES)
		return spec_fail(
			reader, path,
			"there are %zu pieces of memory, and the limit is %d; capture fewer, "
			"or longer ones",
			n_pieces, SPEC_MAX_PIECES);
	for (size_t i = 0; i < n_pieces; i++) {
		char element_path[JSON_MAX_PATH];
		int r;

		json_path_index(element_path, path, i);
		r = read_piece(reader, json_object_array_get_idx(value, i), element_path);
		if (r != 0)
			return r;
		total += reader->spec->pieces[i].length;
		if (total > SPEC_MAX_MEMORY_BYTES)
			return spec_fail(reader, element_path,
					 "with this piece %u bytes of memory are captured, and the "
					 "limit of a hit is %d; capture less",
					 total, SPEC_MAX_MEMORY_BYTES);
		n_nodes += condition_nodes(reader->spec->pieces[i].at);
		if (n_nodes > SPEC_MAX_ADDRESS_NODES)
			return spec_fail(reader, element_path,
					 "with this piece the addresses of memory have %zu nodes, "
					 "and the limit is %d (each object and each constant is "
					 "one); write shorter ones",
					 n_nodes, SPEC_MAX_ADDRESS_NODES);
	}
	return 0;
}

static int read_stack(SpecReader *reader, struct json_object *value, const char *path)
{
	int64_t depth;
	int r;

	r = spec_read_integer(reader, value, path, "the depth of a stack", 0, SPEC_MAX_STACK,
			      &depth);
	if (r != 0)
		return r;
	reader->spec->capture_stack = (uint32_t)depth;
	return 0;
}

int spec_read_capture(SpecReader *reader, struct json_object *value, const char *path)
{
	static const char *const keys[] = {"registers", "memory", "stack"};
	static int (*const readers[])(SpecReader *, struct json_object *, const char *) = {
		read_registers,
		read_memory,
		read_stack,
	};
	int r;

	if (!json_object_is_type(value, json_type_object))
		return spec_fail_type(reader, path, value,
				      "an object with \"registers\", \"memory\" and \"stack\"");
	r = spec_check_keys(reader, value, path, keys, 3);
	for (size_t i = 0; i < 3 && r == 0; i++) {
		struct json_object *member;
		char member_path[JSON_MAX_PATH];

		if (!json_object_object_get_ex(value, keys[i], &member))
			continue;
		json_path_member(member_path, path, keys[i]);
		r = readers[i](reader, member, member_path);
	}
	return r;
}
