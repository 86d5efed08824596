/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mutation chooses places in the JSON tree: the document itself, elements of arrays and members of
 * objects. Which of them are expressions is only guessed by their look; a wrong guess makes an input
 * that is refused, and refusals are to be tried, too. Now and then the text is left to libFuzzer's
 * own mutations of bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "condition/node.h"
#include "json/strict_json.h"
#include "tests/differential/generator.h"
#include "tests/differential/random.h"
#include "tests/differential/world.h"
#include "tests/fuzz/mutate.h"

enum {
	MAX_PLACES = 4096,
	MAX_JSON_DEPTH = 120,
};

typedef struct Place {
	struct json_object *parent; /* an array or an object */
	const char *key;            /* of an object */
	size_t index;               /* in an array */
	struct json_object *value;  /* borrowed */
} Place;

typedef struct Document {
	struct json_object *holder; /* an array of one: the document */
	Place places[MAX_PLACES];
	size_t n_places;
} Document;

static void collect(Document *document, struct json_object *parent)
{
	if (json_object_get_type(parent) == json_type_array) {
		for (size_t i = 0; i < json_object_array_length(parent); i++) {
			struct json_object *value = json_object_array_get_idx(parent, i);

			if (document->n_places < MAX_PLACES)
				document->places[document->n_places++] =
					(Place){.parent = parent, .index = i, .value = value};
			collect(document, value);
		}
	} else if (json_object_get_type(parent) == json_type_object) {
		json_object_object_foreach(parent, key, value)
		{
			if (document->n_places < MAX_PLACES)
				document->places[document->n_places++] =
					(Place){.parent = parent, .key = key, .value = value};
			collect(document, value);
		}
	}
}

static Document *document_free(Document *document)
{
	if (document)
		json_object_put(document->holder);
	free(document);
	return NULL;
}

/* Return: NULL if it is no JSON. */
static Document *document_new(const uint8_t *data, size_t size)
{
	Document *document = calloc(1, sizeof(*document));
	struct json_object *value = NULL;
	JsonError error;

	if (!document)
		abort();
	if (json_parse_strict((const char *)data, size, MAX_JSON_DEPTH, &value, &error) != 0)
		return document_free(document);
	document->holder = json_object_new_array();
	json_object_array_add(document->holder, value);
	collect(document, document->holder);
	return document;
}

/* Return: bytes written, or 0 if they do not fit. */
static size_t document_write(const Document *document, uint8_t *data, size_t max_size)
{
	const char *text = json_object_to_json_string_ext(
		json_object_array_get_idx(document->holder, 0),
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t size = strlen(text);

	if (size > max_size)
		return 0;
	memcpy(data, text, size);
	return size;
}

static void put(const Place *place, struct json_object *value)
{
	if (place->key) {
		/* json-c frees a key that it takes over an equal one for. */
		char *key = strdup(place->key);

		json_object_object_add(place->parent, key, value);
		free(key);
	} else {
		json_object_array_put_idx(place->parent, place->index, value);
	}
}

static struct json_object *copy(struct json_object *value)
{
	struct json_object *made = NULL;

	if (value)
		json_object_deep_copy(value, &made, NULL);
	return made;
}

static bool is_expression(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_object:
	case json_type_int:
		return true;
	case json_type_string:
		return strncmp(json_object_get_string(value), "0x", 2) == 0;
	default:
		return false;
	}
}

static const Place *any_place(const Document *document, Random *random, bool expression)
{
	const Place *place = &document->places[0];

	for (int tries = 0; tries < 20; tries++) {
		place = &document->places[random_below(random, document->n_places)];
		if (!expression || is_expression(place->value))
			break;
	}
	return place;
}

static struct json_object *object(const char *key, struct json_object *value)
{
	struct json_object *made = json_object_new_object();

	json_object_object_add(made, key, value);
	return made;
}

static struct json_object *number(Random *random)
{
	uint64_t bits = interesting_number(random);
	char text[24];

	if (random_one_in(random, 2))
		return json_object_new_int64((int64_t)bits);
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)bits);
	return json_object_new_string(text);
}

static struct json_object *tree(Random *random, unsigned int max_nodes)
{
	return generate_condition(random,
				  random_below(random, 8) ? CONDITION_FOR_DATA : CONDITION_FOR_LENT,
				  max_nodes, random_one_in(random, 2));
}

static NodeOp any_operator(Random *random)
{
	return NODE_ADD + random_below(random, NODE_MASKED - NODE_ADD + 1);
}

/* An operator around the value, which is taken over. */
static struct json_object *wrapped(struct json_object *value, Random *random)
{
	NodeOp op = any_operator(random);
	struct json_object *operands, *made;
	size_t n = operators[op].min_operands, at = random_below(random, n);
	const char *type = value_type_name(random_below(random, TYPE_COUNT));

	switch (random_below(random, 6)) {
	case 0:
		made = object("load", json_object_new_string(type));
		json_object_object_add(made, "at", value);
		return made;
	case 1:
		made = object("as", json_object_new_string(type));
		json_object_object_add(made, "of", value);
		return made;
	default:
		operands = json_object_new_array();
		for (size_t i = 0; i < n; i++)
			json_object_array_add(operands, i == at ? value : tree(random, 4));
		return object(operators[op].key, operands);
	}
}

/* The same operands under another operator. */
static struct json_object *renamed(struct json_object *value, Random *random)
{
	struct json_object *operands = NULL;

	if (json_object_get_type(value) != json_type_object)
		return number(random);
	json_object_object_foreach(value, key, member)
	{
		(void)key;
		if (json_object_get_type(member) == json_type_array)
			operands = member;
	}
	if (!operands)
		return tree(random, 8);
	return object(operators[any_operator(random)].key, copy(operands));
}

static struct json_object *lengthened(struct json_object *value, Random *random)
{
	static const size_t lengths[] = {0, 1, 7, 8, 9, 15, 16, 17, 63, 128, 129, 1000, 4095, 4096};
	size_t n = lengths[random_below(random, sizeof(lengths) / sizeof(lengths[0]))];
	bool hex = random_one_in(random, 2);
	char text[4096 + 1];
	const char *now;
	size_t n_now;

	if (json_object_get_type(value) != json_type_string)
		return number(random);
	now = json_object_get_string(value);
	n_now = strlen(now);
	for (size_t i = 0; i < n; i++)
		text[i] = n_now > 0 ? now[i % n_now] : hex ? '0' : 'a';
	if (n > 0 && random_one_in(random, 2))
		text[random_below(random, n)] = "0123456789abcdefxyz"[random_below(random, 19)];
	return json_object_new_string_len(text, n);
}

static void mutate(Document *document, Random *random)
{
	const Place *place = any_place(document, random, true), *other;
	struct json_object *value = place->value;

	switch (random_below(random, 10)) {
	case 0:
		put(place, tree(random, 4 + random_below(random, 24)));
		break;
	case 1:
	case 2: /* what is there twice is computed once */
		other = any_place(document, random, true);
		put(place, copy(other->value));
		break;
	case 3:
	case 4:
		put(place, wrapped(copy(value), random));
		break;
	case 5:
		put(place, number(random));
		break;
	case 6:
		put(place, renamed(value, random));
		break;
	case 7:
		place = any_place(document, random, false);
		put(place, lengthened(place->value, random));
		break;
	case 8:
		if (json_object_get_type(value) == json_type_object) {
			json_object_object_foreach(value, key, member)
			{
				(void)key;
				if (json_object_get_type(member) == json_type_array)
					json_object_array_add(member, tree(random, 4));
			}
		} else {
			put(place, tree(random, 250));
		}
		break;
	default: /* only a part of it is left */
		if (json_object_get_type(value) == json_type_object) {
			Document inner = {.holder = NULL};

			collect(&inner, value);
			if (inner.n_places > 0)
				put(place, copy(any_place(&inner, random, true)->value));
		}
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	Random random = {seed};
	Document *document;

	if (random_one_in(&random, 12))
		return LLVMFuzzerMutate(data, size, max_size);
	document = document_new(data, size);
	if (!document && random_one_in(&random, 2))
		return LLVMFuzzerMutate(data, size, max_size);
	if (!document)
		document = document_new((const uint8_t *)"0", 1);
	for (unsigned int times = 1 + random_below(&random, 3); times > 0; times--) {
		size_t written;

		mutate(document, &random);
		written = document_write(document, data, max_size);
		document_free(document);
		if (written == 0)
			return LLVMFuzzerMutate(data, size, max_size);
		size = written;
		document = document_new(data, size);
		if (!document)
			return size;
	}
	document_free(document);
	return size;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
				 size_t size2, uint8_t *out, size_t max_out_size, unsigned int seed)
{
	Document *document = document_new(data1, size1), *other = document_new(data2, size2);
	Random random = {seed};
	size_t size = 0;

	if (document && other) {
		put(any_place(document, &random, true),
		    copy(any_place(other, &random, true)->value));
		size = document_write(document, out, max_out_size);
	}
	document_free(document);
	document_free(other);
	return size;
}
