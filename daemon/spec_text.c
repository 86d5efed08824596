/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The normal form of a spec: every key that its access allows, in one order, with the defaults
 * written out. Keys without a default (condition, previous, signal) are there when they were given.
 * Addresses and memory contents are "0x…", everything else is a plain integer, with parameters
 * signed as conditions see them.
 */
#include "bpcond/hit.h"
#include "daemon/signal_names.h"
#include "daemon/spec_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes the value over, also when it fails. A value that could not be made is NULL. */
static int add_member(struct json_object *object, const char *key, struct json_object *value)
{
	int r;

	if (value == NULL)
		return -ENOMEM;
	r = json_object_object_add(object, key, value);
	if (r < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

static int add_element(struct json_object *array, struct json_object *value)
{
	int r;

	if (value == NULL)
		return -ENOMEM;
	r = json_object_array_add(array, value);
	if (r < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

/* A new, empty object or array that belongs to `object`; NULL when there is no memory. */
static struct json_object *add_empty(struct json_object *object, const char *key,
				     struct json_object *empty)
{
	return add_member(object, key, empty) < 0 ? NULL : empty;
}

static struct json_object *new_hex(uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, number);
	return json_object_new_string(text);
}

static int add_condition(struct json_object *object, const char *key, const Condition *condition)
{
	struct json_object *tree;
	int r;

	r = condition_to_json(condition, &tree);
	if (r < 0)
		return r;
	return add_member(object, key, tree);
}

static int add_place(struct json_object *root, const Spec *spec)
{
	static const char *const access_names[] = {
		[SPEC_EXECUTE] = "execute",
		[SPEC_WRITE] = "write",
		[SPEC_READ_WRITE] = "read-write",
	};
	int r;

	r = add_member(root, "address", new_hex(spec->address));
	if (r < 0)
		return r;
	r = add_member(root, "access", json_object_new_string(access_names[spec->access]));
	if (r < 0 || spec->access == SPEC_EXECUTE)
		return r;
	return add_member(root, "length", json_object_new_int64(spec->length));
}

static int add_threads(struct json_object *root, const Spec *spec)
{
	struct json_object *list;

	if (spec->threads == NULL)
		return add_member(root, "threads", json_object_new_string("all"));
	list = add_empty(root, "threads", json_object_new_array());
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_threads; i++) {
		int r = add_element(list, json_object_new_int64(spec->threads[i]));

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_parameters(struct json_object *root, const Spec *spec)
{
	struct json_object *list = add_empty(root, "parameters", json_object_new_object());

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_parameters; i++) {
		int r = add_member(list, spec->parameters[i],
				   json_object_new_int64((int64_t)spec->parameter_values[i]));

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_judgement(struct json_object *root, const Spec *spec)
{
	int r;

	if (spec->condition != NULL) {
		r = add_condition(root, "condition", spec->condition);
		if (r < 0)
			return r;
	}
	r = add_parameters(root, spec);
	if (r < 0)
		return r;
	r = add_member(root, "on-fault",
		       json_object_new_string(spec->fault_is_hit ? "hit" : "reject"));
	if (r < 0 || !spec->has_previous)
		return r;
	return add_member(root, "previous", new_hex(spec->previous));
}

static int add_counts(struct json_object *root, const Spec *spec)
{
	int r;

	r = add_member(root, "skip", json_object_new_uint64(spec->skip));
	if (r < 0)
		return r;
	r = add_member(root, "every", json_object_new_uint64(spec->every));
	if (r < 0)
		return r;
	return add_member(root, "limit", json_object_new_uint64(spec->limit));
}

static int add_registers(struct json_object *capture, const Spec *spec)
{
	struct json_object *list = add_empty(capture, "registers", json_object_new_array());

	if (list == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < BPCOND_REG_COUNT; i++) {
		int r;

		if ((spec->capture_registers & UINT64_C(1) << i) == 0)
			continue;
		r = add_element(list, json_object_new_string(spec_register_name(i)));
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_pieces(struct json_object *capture, const Spec *spec)
{
	struct json_object *list = add_empty(capture, "memory", json_object_new_array());

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_pieces; i++) {
		struct json_object *piece = json_object_new_object();
		int r;

		r = add_element(list, piece);
		if (r < 0)
			return r;
		r = add_condition(piece, "at", spec->pieces[i].at);
		if (r < 0)
			return r;
		r = add_member(piece, "length", json_object_new_int64(spec->pieces[i].length));
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_capture(struct json_object *root, const Spec *spec)
{
	struct json_object *capture = add_empty(root, "capture", json_object_new_object());
	int r;

	if (capture == NULL)
		return -ENOMEM;
	r = add_registers(capture, spec);
	if (r < 0)
		return r;
	r = add_pieces(capture, spec);
	if (r < 0)
		return r;
	return add_member(capture, "stack", json_object_new_int64(spec->capture_stack));
}

static int add_effects(struct json_object *root, const Spec *spec)
{
	int r;

	if (spec->signal != 0) {
		char name[SIGNAL_NAME_SIZE];

		signal_to_name(spec->signal, name);
		r = add_member(root, "signal", json_object_new_string(name));
		if (r < 0)
			return r;
	}
	r = add_member(root, "events", json_object_new_boolean(spec->events));
	if (r < 0)
		return r;
	if (spec->access != SPEC_EXECUTE) {
		r = add_member(root, "kernel-accesses",
			       json_object_new_boolean(spec->kernel_accesses));
		if (r < 0)
			return r;
	}
	return add_member(root, "enabled", json_object_new_boolean(spec->enabled));
}

int spec_to_text(const Spec *spec, char **ret)
{
	static int (*const parts[])(struct json_object *, const Spec *) = {
		add_place, add_threads, add_judgement, add_counts, add_capture, add_effects,
	};
	struct json_object *root = json_object_new_object();
	const char *text;
	char *copy = NULL;
	int r = root != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++)
		r = parts[i](root, spec);
	if (r == 0) {
		text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN |
								    JSON_C_TO_STRING_NOSLASHESCAPE);
		copy = text != NULL ? strdup(text) : NULL;
		r = copy != NULL ? 0 : -ENOMEM;
	}
	json_object_put(root);
	if (r == 0)
		*ret = copy;
	return r;
}
