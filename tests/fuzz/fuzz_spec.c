/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a spec. Beside what the sanitizers see, these must hold:
 *  - what the strict JSON reader accepts, json-c reads too, as the same value;
 *  - what spec_parse accepts has a normal form that it accepts and that is its own normal form;
 *  - what it refuses has a text that a bus takes, with a path and a byte within the text.
 */
#include "daemon/spec.h"
#include "json/strict_json.h"
#include "json/utf8.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define check(condition)                                             \
	do {                                                         \
		if (!(condition)) {                                  \
			fprintf(stderr, "not so: %s\n", #condition); \
			abort();                                     \
		}                                                    \
	} while (0)

static void check_text(const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		size_t length = utf8_length(text, left);

		check(length > 0);
		text += length;
		left -= length;
	}
}

static void check_json(const char *text, size_t size)
{
	struct json_object *value = NULL, *other;
	struct json_tokener *tokener;
	JsonError error;
	int r;

	r = json_parse_strict(text, size, SPEC_MAX_JSON_DEPTH, &value, &error);
	check(r == 0 || r == 1);
	if (r == 1) {
		check(error.offset <= size);
		check(error.path[0] == '$');
		check_text(error.path);
		check_text(error.message);
		check(json_offset_of_path(text, size, error.path) <= size);
		return;
	}
	check(json_offset_of_path(text, size, "$") < size);
	tokener = json_tokener_new_ex(SPEC_MAX_JSON_DEPTH + 2);
	check(tokener != NULL);
	other = json_tokener_parse_ex(tokener, text, (int)size);
	if (other == NULL && json_tokener_get_error(tokener) == json_tokener_continue)
		other = json_tokener_parse_ex(tokener, "", 1);
	check(json_tokener_get_error(tokener) == json_tokener_success);
	check(json_object_equal(value, other));
	json_object_put(other);
	json_tokener_free(tokener);
	json_object_put(value);
}

static void check_spec(const char *text, size_t size)
{
	Refusal refusal = {.kind = REFUSED_NOT};
	Spec *spec = NULL, *again = NULL;
	int r;

	r = spec_parse(text, size, &spec, &refusal);
	if (r != 0) {
		check(r == REFUSED_INVALID_SPEC || r == REFUSED_INVALID_CONDITION);
		check((int)refusal.kind == r);
		check_text(refusal.text);
		check(refusal.path[0] == '$' && refusal.sentence[0] != '\0');
		check(strncmp(refusal.text, refusal.path, strlen(refusal.path)) == 0);
		check(refusal.offset <= size);
		check_text(refusal.path);
		check_text(refusal.sentence);
		return;
	}
	check(spec->address > 0 && spec->every > 0);
	r = spec_parse(spec->text, strlen(spec->text), &again, &refusal);
	check(r == 0);
	check(strcmp(spec->text, again->text) == 0);
	spec_free(spec);
	spec_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly that size: neither reader may look for a byte behind it. */
	char *text = malloc(size > 0 ? size : 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	check_json(text, size);
	check_spec(text, size);
	free(text);
	return 0;
}
