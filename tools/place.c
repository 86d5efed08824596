/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A location is resolved by the library, which hands out a spec: what it came to stands there. An
 * address is taken as it is written, and one out of the program's file (as objdump or nm shows it)
 * is none of the process: it would arm, and never hit. The breakpoint is armed all the same, since
 * memory can be mapped there later.
 */
#include "tools/place.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"

enum {
	/* What the daemon takes of captured memory in all. */
	MAX_MEMORY_BYTES = 16384,
	/* Above that of any condition that it takes. */
	MAX_JSON_DEPTH = 1024,
};

static struct json_object *parse(const char *text)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_JSON_DEPTH);
	struct json_object *root;

	if (tokener == NULL)
		return NULL;
	root = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	json_tokener_free(tokener);
	return root;
}

static bool read_address(struct json_object *spec, uint64_t *ret)
{
	struct json_object *address;

	if (!json_object_object_get_ex(spec, "address", &address))
		return false;
	*ret = strtoull(json_object_get_string(address), NULL, 0);
	return true;
}

typedef enum Mapped {
	MAPPED_UNKNOWN, /* the maps cannot be read */
	MAPPED_NOT,
	MAPPED_DATA,
	MAPPED_CODE,
} Mapped;

static Mapped look_up(pid_t pid, uint64_t address)
{
	Mapped mapped = MAPPED_UNKNOWN;
	char path[64], *line = NULL;
	uint64_t from, to;
	size_t size = 0;
	char rights[8];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return MAPPED_UNKNOWN;
	while (getline(&line, &size, file) > 0) {
		/* Of a main thread that has ended before the others there is not a line. */
		mapped = MAPPED_NOT;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, rights) == 3 &&
		    address >= from && address < to) {
			mapped = rights[2] == 'x' ? MAPPED_CODE : MAPPED_DATA;
			break;
		}
	}
	if (ferror(file))
		mapped = MAPPED_UNKNOWN;
	free(line);
	fclose(file);
	return mapped;
}

static void warn(pid_t pid, const Options *options, uint64_t address)
{
	Mapped mapped = look_up(pid, address);

	if (mapped == MAPPED_NOT)
		complain("0x%" PRIx64 " is not mapped in process %d: nothing can hit it now; write "
			 "SYMBOL or MODULE:SYMBOL+OFF%s",
			 address, (int)pid, options->watch ? "" : ", or FILE.c:LINE");
	else if (mapped == MAPPED_DATA && !options->watch)
		complain("0x%" PRIx64 " is not mapped executable in process %d: nothing can hit it "
			 "now; write a function's SYMBOL or MODULE:SYMBOL+OFF, or watch data with "
			 "'bpcondctl watch'",
			 address, (int)pid);
}

/* What the library took that the location does not say: the line of a FILE.c:LINE, and of a variable that
 * is too large for a debug register how much of it. */
static void announce_choice(bpcond_symbols *symbols, const Options *options,
			    struct json_object *spec, uint64_t address)
{
	const char *location = options->request.location, *colon = strrchr(location, ':');
	struct json_object *value;
	bpcond_location found;
	uint64_t length = 0;
	char ignored[256];

	if (bpcond_symbols_resolve(symbols, location, &found, ignored, sizeof(ignored)) != 0 ||
	    found.address != address)
		return;
	if (json_object_object_get_ex(spec, "length", &value))
		length = json_object_get_uint64(value);
	if (found.line != 0 && colon != NULL) {
		fputs(", ", stderr);
		print_safe_bytes(stderr, location, (size_t)(colon - location));
		fprintf(stderr, ":%u", found.line);
		if (strtoul(colon + 1, NULL, 10) != found.line)
			fprintf(stderr, " (line %s has no code)", colon + 1);
	}
	/* Of an array's element, or of what --length says, it is all that was meant. */
	if (options->watch && options->request.length == 0 && length == 8 && length < found.size)
		fprintf(stderr, ", %" PRIu64 " of %" PRIu64 " bytes", length, found.size);
}

void place_announce(pid_t pid, const Options *options, const char *spec)
{
	struct json_object *root = parse(spec);
	char name[512] = "", ignored[256];
	bpcond_symbols *symbols = NULL;
	uint64_t address;

	if (read_address(root, &address)) {
		if (bpcond_symbols_new(pid, &symbols, ignored, sizeof(ignored)) == 0) {
			if (bpcond_symbols_describe(symbols, address, name, sizeof(name)) < 0)
				*name = '\0';
		}
		fprintf(stderr, "at 0x%" PRIx64 "%s", address, *name == '\0' ? "" : " ");
		print_safe_name(stderr, name);
		if (symbols != NULL)
			announce_choice(symbols, options, root, address);
		bpcond_symbols_free(symbols);
		fputc('\n', stderr);
		warn(pid, options, address);
	}
	json_object_put(root);
}

bool place_complain_unaligned(const char *spec)
{
	struct json_object *root = parse(spec), *value;
	uint64_t address, length, smaller = 4;
	bool unaligned = false;

	if (read_address(root, &address) && json_object_object_get_ex(root, "length", &value)) {
		length = json_object_get_uint64(value);
		unaligned = (length == 2 || length == 4 || length == 8) && address % length != 0;
	}
	if (unaligned) {
		while (address % smaller != 0)
			smaller /= 2;
		complain("0x%" PRIx64 " is not divisible by %" PRIu64
			 ", the bytes to be watched: give --length %" PRIu64
			 ", or the place of what begins there",
			 address, length, smaller);
	}
	json_object_put(root);
	return unaligned;
}

/* {"at": ADDRESS, "length": N} of what is watched. Return: NULL when memory is short. */
static struct json_object *new_piece(struct json_object *spec)
{
	struct json_object *piece = json_object_new_object(), *value;
	static const char *const keys[][2] = {{"at", "address"}, {"length", "length"}};

	for (size_t i = 0; piece != NULL && i < 2; i++) {
		if (json_object_object_get_ex(spec, keys[i][1], &value) &&
		    json_object_object_add(piece, keys[i][0], json_object_get(value)) == 0)
			continue;
		json_object_put(piece);
		piece = NULL;
	}
	return piece;
}

/* Return: whether it is there. The value is taken over; NULL is one that could not be made. */
static bool add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool append(struct json_object *array, struct json_object *value)
{
	if (value != NULL && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool add_value(struct json_object *spec)
{
	struct json_object *capture, *memory, *before = NULL;
	bool done;

	if (!json_object_object_get_ex(spec, "capture", &capture)) {
		capture = json_object_new_object();
		if (!add(spec, "capture", capture))
			return false;
	}
	memory = json_object_new_array();
	if (memory == NULL)
		return false;
	done = append(memory, new_piece(spec));
	if (json_object_object_get_ex(capture, "memory", &before)) {
		for (size_t i = 0; done && i < json_object_array_length(before); i++)
			done = append(memory,
				      json_object_get(json_object_array_get_idx(before, i)));
	}
	if (!done) {
		json_object_put(memory);
		return false;
	}
	return add(capture, "memory", memory);
}

bool place_add_value(const Options *options, char **spec)
{
	const bpcond_request *request = &options->request;
	struct json_object *root;
	uint64_t bytes = sizeof(uint64_t);
	const char *text;
	char *copy = NULL;

	for (size_t i = 0; i < request->n_memory; i++)
		bytes += request->memory[i].length;
	if (request->n_memory == OPTIONS_MAX_MEMORY || bytes > MAX_MEMORY_BYTES)
		return false;
	root = parse(*spec);
	if (root != NULL && add_value(root)) {
		text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN |
								    JSON_C_TO_STRING_NOSLASHESCAPE);
		copy = text == NULL ? NULL : strdup(text);
	}
	json_object_put(root);
	if (copy == NULL)
		return false;
	free(*spec);
	*spec = copy;
	return true;
}
