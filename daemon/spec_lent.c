/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "daemon/spec.h"
#include "daemon/spec_lent.h"
#include "json/strict_json.h"

/* The condition stands behind these bytes in the composed text. */
#define CONDITION_PREFIX "{\"condition\":"

struct LentTerms {
	struct json_object *keys;
};

int lent_terms_new(LentTerms **ret)
{
	LentTerms *terms = calloc(1, sizeof(*terms));

	if (!terms)
		return -ENOMEM;
	terms->keys = json_object_new_object();
	if (!terms->keys) {
		free(terms);
		return -ENOMEM;
	}
	*ret = terms;
	return 0;
}

LentTerms *lent_terms_free(LentTerms *terms)
{
	if (!terms)
		return NULL;
	json_object_put(terms->keys);
	free(terms);
	return NULL;
}

bool lent_terms_has(const LentTerms *terms, const char *key)
{
	return json_object_object_get_ex(terms->keys, key, NULL);
}

/* Takes `value` over, also on failure. */
static int put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

int lent_terms_add_number(LentTerms *terms, const char *key, uint64_t value)
{
	return put(terms->keys, key, json_object_new_uint64(value));
}

int lent_terms_add_string(LentTerms *terms, const char *key, const char *value)
{
	return put(terms->keys, key, json_object_new_string(value));
}

int lent_terms_add_parameter(LentTerms *terms, const char *name, int64_t first)
{
	struct json_object *parameters;
	int r;

	if (!json_object_object_get_ex(terms->keys, "parameters", &parameters)) {
		parameters = json_object_new_object();
		r = put(terms->keys, "parameters", parameters);
		if (r < 0)
			return r;
	}
	return put(parameters, name, json_object_new_int64(first));
}

int lent_terms_add_json(LentTerms *terms, const char *key, const char *text, Refusal *refusal)
{
	struct json_object *value;
	JsonError mistake;
	int r;

	r = json_parse_strict(text, strlen(text), SPEC_MAX_JSON_DEPTH, &value, &mistake);
	if (r < 0)
		return r;
	if (r > 0)
		return refuse_at(refusal, REFUSED_INVALID_SPEC, mistake.path, mistake.offset,
				 mistake.message);
	return put(terms->keys, key, value);
}

int lent_terms_compose(const LentTerms *terms, const char *condition, char **ret, Refusal *refusal)
{
	const char *separator = json_object_object_length(terms->keys) > 0 ? "," : "";
	struct json_object *tree;
	JsonError mistake;
	const char *keys;
	int r;

	/* It must be one JSON value: then it cannot add keys of its own. */
	r = json_parse_strict(condition, strlen(condition), SPEC_MAX_JSON_DEPTH, &tree, &mistake);
	if (r < 0)
		return r;
	if (r > 0)
		return refuse_at(refusal, REFUSED_INVALID_CONDITION, mistake.path, mistake.offset,
				 mistake.message);
	json_object_put(tree);

	keys = json_object_to_json_string_ext(terms->keys, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!keys || asprintf(ret, CONDITION_PREFIX "%s%s%s", condition, separator, keys + 1) < 0)
		return -ENOMEM;
	return 0;
}

void lent_terms_relocate(Refusal *refusal)
{
	const size_t stem = strlen("$.condition"), prefix = strlen(CONDITION_PREFIX);
	Refusal there = *refusal;
	char path[sizeof(there.path)];

	if (strncmp(there.path, "$.condition", stem) != 0 || there.offset < prefix)
		return;
	snprintf(path, sizeof(path), "$%.*s", (int)sizeof(path) - 2, there.path + stem);
	refuse_at(refusal, there.kind, path, there.offset - prefix, there.sentence);
}
