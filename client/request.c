/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A breakpoint in words to its JSON spec: the location and the names in the condition are looked up
 * in the target, with the rights of this process, and what goes to the daemon holds numbers only.
 * Nothing is judged here that the daemon judges anyway.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "client/machine.h"
#include "client/symbols.h"

enum {
	/* Of a tree that text compiles to: far above the condition's own limit, which the daemon names. */
	MAX_TREE_DEPTH = 1024,
};

typedef struct Build {
	const bpcond_request *request;
	bpcond_symbols *symbols;  /* owned */
	uint64_t address;         /* that the location stands for */
	unsigned length;          /* of a data breakpoint */
	const char **names;       /* owned; of the parameters */
	struct json_object *root; /* owned */
	bpcond_error *error;
} Build;

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Takes the value over; NULL is a value that could not be allocated. */
static int add(Build *build, struct json_object *object, const char *key, struct json_object *value)
{
	if (value == NULL)
		return error_no_memory(build->error);
	if (json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return error_no_memory(build->error);
	}
	return 0;
}

static int add_string(Build *build, const char *key, const char *value)
{
	return add(build, build->root, key, json_object_new_string(value));
}

/* A number that is left out when it is 0, which is the default of all of them. */
static int add_count(Build *build, const char *key, uint64_t value)
{
	return value == 0 ? 0 : add(build, build->root, key, json_object_new_uint64(value));
}

static int append(Build *build, struct json_object *array, struct json_object *value)
{
	if (value == NULL)
		return error_no_memory(build->error);
	if (json_object_array_add(array, value) < 0) {
		json_object_put(value);
		return error_no_memory(build->error);
	}
	return 0;
}

static struct json_object *parse_tree(const char *json)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_TREE_DEPTH);
	struct json_object *tree;

	if (tokener == NULL)
		return NULL;
	tree = json_tokener_parse_ex(tokener, json, (int)strlen(json) + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success) {
		json_object_put(tree);
		tree = NULL;
	}
	json_tokener_free(tokener);
	return tree;
}

/* ---- The parts of a request ------------------------------------------------------------------ */

/* 0xADDR and nothing else. */
static bool plain_address(const char *location, uint64_t *ret)
{
	char *end;

	if (strncmp(location, "0x", 2) != 0 || !isxdigit((unsigned char)location[2]))
		return false;
	errno = 0;
	*ret = strtoull(location + 2, &end, 16);
	return errno == 0 && *end == '\0';
}

/* Bytes of the array's element that begins at an address which is not that of 8 bytes; 8 if there is none
 * that is known. */
static unsigned element_length(const Build *build)
{
	bpcond_symbol element;

	for (unsigned length = 4; length > 0; length /= 2) {
		if (symbols_integer_at(build->symbols, build->address, length, &element) == 0)
			return length;
	}
	return 8;
}

static int add_location(Build *build)
{
	const bpcond_request *request = build->request;
	bpcond_location location = {};
	char message[sizeof(build->error->message)] = "";
	char number[32];
	int r;

	if (build->symbols == NULL)
		r = plain_address(request->location, &location.address) ? 0 : -EACCES;
	else
		r = bpcond_symbols_resolve(build->symbols, request->location, &location, message,
					   sizeof(message));
	if (r != 0) {
		switch (r) {
		case BPCOND_LOCATION_MALFORMED:
			r = -EINVAL;
			break;
		case BPCOND_LOCATION_AMBIGUOUS:
			r = -ENOTUNIQ;
			break;
		case BPCOND_LOCATION_NOT_YET:
			r = -EAGAIN;
			break;
		case BPCOND_LOCATION_UNUSABLE:
			r = -EOPNOTSUPP;
			break;
		default:
			r = r > 0 ? -ENOENT : r;
		}
		error_set(build->error, r, CLIENT_ERROR_SPEC, "%s", message);
		if (build->error != NULL)
			build->error->part = BPCOND_PART_LOCATION;
		return r;
	}

	if (request->access != BPCOND_EXECUTE && location.is_function &&
	    strncasecmp(request->location, "0x", 2) != 0) {
		error_set(build->error, -EINVAL, CLIENT_ERROR_SPEC,
			  "%s is code: use break, or watch its bytes by their address, 0x%" PRIx64,
			  request->location, location.address);
		if (build->error != NULL)
			build->error->part = BPCOND_PART_LOCATION;
		return -EINVAL;
	}
	build->address = location.address;
	/* A data breakpoint can be hit from anywhere: no place, no local variables. */
	if (request->access == BPCOND_EXECUTE && build->symbols != NULL)
		bpcond_symbols_set_place(build->symbols, location.address);
	snprintf(number, sizeof(number), "0x%" PRIx64, location.address);
	r = add_string(build, "address", number);
	if (r < 0 || request->access == BPCOND_EXECUTE)
		return r;
	r = add_string(build, "access", request->access == BPCOND_WRITE ? "write" : "read-write");
	if (r < 0)
		return r;
	build->length = 8;
	if (request->length != 0)
		build->length = request->length;
	else if (location.size == 1 || location.size == 2 || location.size == 4)
		build->length = (unsigned)location.size;
	else if (build->symbols != NULL && location.address % build->length != 0)
		build->length = element_length(build);
	return add_count(build, "length", build->length);
}

/* Gives `value` the type of the variable that is watched by its name. */
static void set_value_type(const Build *build, const char *text, bpcond_text_scope *scope)
{
	bpcond_symbol watched = {};

	/* Finding a type can take a walk through all debug information. */
	if (build->symbols == NULL || !scope->data_breakpoint ||
	    strncasecmp(build->request->location, "0x", 2) == 0 ||
	    (strstr(text, "value") == NULL && strstr(text, "previous") == NULL))
		return;
	if (symbols_integer_at(build->symbols, build->address, build->length, &watched) < 0)
		return;
	scope->value_size = watched.size;
	scope->value_is_signed = watched.is_signed;
}

/* Compiles a text in the request's scope. Return: 0 and *ret (json_object_put); a negative errno. */
static int compile(Build *build, const char *text, enum bpcond_error_part part, unsigned part_index,
		   struct json_object **ret)
{
	bpcond_text_scope scope = {
		.parameters = build->names,
		.n_parameters = build->request->n_parameters,
		.data_breakpoint = build->request->access != BPCOND_EXECUTE,
		.lookup = build->symbols != NULL ? bpcond_symbols_lookup : NULL,
		.userdata = build->symbols,
	};
	bpcond_text_error where = {};
	struct json_object *tree;
	char *json;
	int r;

	set_value_type(build, text, &scope);
	r = bpcond_condition_from_text(text, &scope, &json, &where);
	if (r == -ENOMEM)
		return error_no_memory(build->error);
	if (r < 0)
		return error_set(build->error, r, CLIENT_ERROR_FAILED,
				 "cannot read the program's symbols: %s; use addresses",
				 strerror(-r));
	if (r > 0) {
		error_set(build->error, -EINVAL, CLIENT_ERROR_CONDITION, "%s", where.message);
		if (build->error != NULL) {
			build->error->part = part;
			build->error->part_index = part_index;
			build->error->line = where.line;
			build->error->column = where.column;
		}
		return -EINVAL;
	}
	tree = parse_tree(json);
	free(json);
	if (tree == NULL)
		return error_no_memory(build->error);
	*ret = tree;
	return 0;
}

static int add_condition(Build *build)
{
	struct json_object *tree;
	int r;

	if (build->request->condition == NULL)
		return 0;
	r = compile(build, build->request->condition, BPCOND_PART_CONDITION, 0, &tree);
	if (r < 0)
		return r;
	return add(build, build->root, "condition", tree);
}

static int add_parameters(Build *build)
{
	const bpcond_request *request = build->request;
	struct json_object *object;
	int r;

	if (request->n_parameters == 0)
		return 0;
	object = json_object_new_object();
	r = add(build, build->root, "parameters", object);
	for (size_t i = 0; r >= 0 && i < request->n_parameters; i++) {
		const bpcond_parameter *parameter = &request->parameters[i];

		if (json_object_object_get_ex(object, parameter->name, NULL))
			return error_set(build->error, -EINVAL, CLIENT_ERROR_SPEC,
					 "the parameter '%s' is given twice; give it once",
					 parameter->name);
		r = add(build, object, parameter->name, json_object_new_int64(parameter->value));
	}
	return r;
}

static int append_register(Build *build, struct json_object *array, const char *name, size_t length)
{
	char copy[32];

	if (length > 0 && *name == '$') {
		name++;
		length--;
	}
	snprintf(copy, sizeof(copy), "%.*s", (int)length, name);
	if (length >= sizeof(copy) || bpcond_register_by_name(copy) < 0)
		return error_set(build->error, -EINVAL, CLIENT_ERROR_SPEC,
				 "'%.*s' is no register that can be captured; use 'all' or names "
				 "like %s",
				 (int)(length < 64 ? length : 64), name, machine_capture_examples);
	return append(build, array, json_object_new_string(copy));
}

static int add_registers(Build *build, struct json_object *capture)
{
	const char *list = build->request->registers;
	struct json_object *array;
	int r;

	array = json_object_new_array();
	r = add(build, capture, "registers", array);
	if (r < 0)
		return r;
	if (strcmp(list, "all") == 0) {
		for (int id = 0; r >= 0 && id < BPCOND_REG_COUNT; id++)
			r = append(build, array,
				   json_object_new_string(
					   bpcond_register_name((enum bpcond_register)id)));
		return r;
	}
	while (r >= 0) {
		size_t length = strcspn(list, ",");

		while (length > 0 && isspace((unsigned char)*list)) {
			list++;
			length--;
		}
		while (length > 0 && isspace((unsigned char)list[length - 1]))
			length--;
		r = append_register(build, array, list, length);
		list = strchr(list, ',');
		if (list == NULL)
			break;
		list++;
	}
	return r;
}

static int add_memory(Build *build, struct json_object *capture)
{
	const bpcond_request *request = build->request;
	struct json_object *array;
	int r;

	array = json_object_new_array();
	r = add(build, capture, "memory", array);
	for (size_t i = 0; r >= 0 && i < request->n_memory; i++) {
		struct json_object *piece, *tree;

		r = compile(build, request->memory[i].at, BPCOND_PART_MEMORY, (unsigned)i, &tree);
		if (r < 0)
			return r;
		piece = json_object_new_object();
		r = append(build, array, piece);
		if (r < 0) {
			json_object_put(tree);
			return r;
		}
		r = add(build, piece, "at", tree);
		if (r >= 0)
			r = add(build, piece, "length",
				json_object_new_int64(request->memory[i].length));
	}
	return r;
}

static int add_capture(Build *build)
{
	const bpcond_request *request = build->request;
	struct json_object *capture;
	int r;

	if (request->registers == NULL && request->n_memory == 0 && request->stack == 0)
		return 0;
	capture = json_object_new_object();
	r = add(build, build->root, "capture", capture);
	if (r >= 0 && request->registers != NULL)
		r = add_registers(build, capture);
	if (r >= 0 && request->n_memory > 0)
		r = add_memory(build, capture);
	if (r >= 0 && request->stack != 0)
		r = add(build, capture, "stack", json_object_new_int64(request->stack));
	return r;
}

static int add_rest(Build *build)
{
	const bpcond_request *request = build->request;
	int r = 0;

	if (request->fault_is_rejection)
		r = add_string(build, "on-fault", "reject");
	if (r >= 0)
		r = add_count(build, "skip", request->skip);
	if (r >= 0)
		r = add_count(build, "every", request->every);
	if (r >= 0)
		r = add_count(build, "limit", request->limit);
	if (r >= 0)
		r = add_capture(build);
	if (r >= 0 && request->signal != NULL)
		r = add_string(build, "signal", request->signal);
	if (r >= 0 && request->events)
		r = add(build, build->root, "events", json_object_new_boolean(1));
	if (r >= 0 && request->kernel_accesses)
		r = add(build, build->root, "kernel-accesses", json_object_new_boolean(1));
	if (r >= 0 && request->disabled)
		r = add(build, build->root, "enabled", json_object_new_boolean(0));
	return r;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* The caller's structure, as far as both sides know it. */
static int normalize(const bpcond_request *request, bpcond_request *ret, bpcond_error *error)
{
	const unsigned char *bytes = (const unsigned char *)request;
	bool newer = false;

	for (size_t i = sizeof(*ret); i < request->size; i++)
		newer = newer || bytes[i] != 0;
	if (request->size < offsetof(bpcond_request, access) || newer)
		return error_set(
			error, -EINVAL, CLIENT_ERROR_FAILED,
			"the request's size is not that of a bpcond_request of this "
			"library; set it to sizeof(bpcond_request), or update the library");
	*ret = (bpcond_request){};
	memcpy(ret, request, request->size < sizeof(*ret) ? request->size : sizeof(*ret));
	if (ret->location == NULL)
		return error_set(error, -EINVAL, CLIENT_ERROR_SPEC,
				 "the request has no location; say where to break");
	return 0;
}

/* The target's symbols. For an address they are not needed: the daemon may allow what /proc does not
 * (an administrator has agreed), and has the better words for what is forbidden. */
static int open_symbols(Build *build, pid_t pid)
{
	char message[sizeof(build->error->message)] = "";
	uint64_t ignored;
	int r;

	r = bpcond_symbols_new(pid, &build->symbols, message, sizeof(message));
	if (r >= 0)
		return 0;
	if (r == -ENOMEM)
		return error_no_memory(build->error);
	if (plain_address(build->request->location, &ignored)) {
		build->symbols = NULL;
		return 0;
	}
	return error_set(build->error, r,
			 r == -ESRCH                   ? CLIENT_ERROR_NO_TARGET
			 : r == -EACCES || r == -EPERM ? CLIENT_ERROR_REFUSED
						       : CLIENT_ERROR_FAILED,
			 "%s", message);
}

static int copy_text(Build *build, char **ret)
{
	const char *text = json_object_to_json_string_ext(
		build->root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *copy = text == NULL ? NULL : strdup(text);

	if (copy == NULL)
		return error_no_memory(build->error);
	*ret = copy;
	return 0;
}

int bpcond_spec_from_request(pid_t pid, const bpcond_request *request, char **ret_spec,
			     bpcond_error *error)
{
	bpcond_request whole;
	Build build = {.request = &whole, .error = error};
	int r;

	r = normalize(request, &whole, error);
	if (r < 0)
		return r;
	r = open_symbols(&build, pid);
	if (r < 0)
		return r;
	build.root = json_object_new_object();
	build.names = calloc(whole.n_parameters + 1, sizeof(*build.names));
	if (build.root == NULL || build.names == NULL) {
		r = error_no_memory(error);
	} else {
		for (size_t i = 0; i < whole.n_parameters; i++)
			build.names[i] = whole.parameters[i].name;
		r = add_location(&build);
	}
	if (r >= 0)
		r = add_condition(&build);
	if (r >= 0)
		r = add_parameters(&build);
	if (r >= 0)
		r = add_rest(&build);
	if (r >= 0)
		r = copy_text(&build, ret_spec);

	json_object_put(build.root);
	free(build.names);
	bpcond_symbols_free(build.symbols);
	return r;
}
