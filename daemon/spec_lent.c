/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "daemon/spec.h"
#include "daemon/spec_lent.h"
#include "daemon/util.h"
#include "json/strict_json.h"

/* The parts of the composed text, in its order. */
#define CONDITION_PREFIX "{\"condition\":"
#define CAPTURE_PREFIX   ",\"capture\":"

struct LentTerms {
	struct json_object *keys;
	char *capture; /* NULL: none */
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
	free(terms->capture);
	free(terms);
	return NULL;
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

int lent_terms_add_parameter(LentTerms *terms, const char *name, int64_t first, Refusal *refusal)
{
	struct json_object *parameters;
	char path[JSON_MAX_PATH];
	int r;

	if (!json_object_object_get_ex(terms->keys, "parameters", &parameters)) {
		parameters = json_object_new_object();
		r = put(terms->keys, "parameters", parameters);
		if (r < 0)
			return r;
	}
	if (json_object_object_get_ex(parameters, name, NULL)) {
		json_path_member(path, "$.parameters", name);
		return refuse(refusal, REFUSED_INVALID_SPEC,
			      "%s: this parameter is given twice; give it once", path);
	}
	return put(parameters, name, json_object_new_int64(first));
}

/* Whether a text is one JSON value, which can add no keys of its own to what it is put into.
 * Return: 0; `kind` with the mistake's path, below `root`, and byte; negative errno. */
static int check_json(const char *text, RefusalKind kind, const char *root, Refusal *refusal)
{
	char path[JSON_MAX_PATH];
	struct json_object *tree;
	JsonError mistake;
	int r;

	r = json_parse_strict(text, strlen(text), SPEC_MAX_JSON_DEPTH, &tree, &mistake);
	if (r < 0)
		return r;
	if (r > 0) {
		snprintf(path, sizeof(path), "%s%.*s", root, (int)(sizeof(path) - strlen(root) - 1),
			 mistake.path + strlen("$"));
		return refuse_at(refusal, kind, path, mistake.offset, mistake.message);
	}
	json_object_put(tree);
	return 0;
}

static int refuse_long_terms(size_t bytes, Refusal *refusal)
{
	return refuse(refusal, REFUSED_INVALID_SPEC,
		      "\"capture\" and the other options have %zu bytes as JSON, and the limit "
		      "is %d with the condition; shorten them",
		      bytes, SPEC_MAX_BYTES);
}

/* All of the spec but the condition has `rest` bytes. Before any of it is read. */
static int check_length(const char *condition, size_t rest, Refusal *refusal)
{
	const size_t length = strlen(condition);
	char sentence[128];

	if (rest >= SPEC_MAX_BYTES)
		return refuse_long_terms(rest, refusal);
	if (length <= SPEC_MAX_BYTES - rest)
		return 0;
	snprintf(sentence, sizeof(sentence),
		 "the condition has %zu bytes, and with these options the limit is %zu; shorten it",
		 length, SPEC_MAX_BYTES - rest);
	return refuse_at(refusal, REFUSED_INVALID_CONDITION, "$", SPEC_MAX_BYTES - rest, sentence);
}

int lent_terms_add_capture(LentTerms *terms, const char *text, Refusal *refusal)
{
	int r;

	if (strlen(text) > SPEC_MAX_BYTES)
		return refuse_long_terms(strlen(text), refusal);
	r = check_json(text, REFUSED_INVALID_SPEC, "$.capture", refusal);
	if (r != 0)
		return r;
	terms->capture = strdup(text);
	return terms->capture ? 0 : -ENOMEM;
}

int lent_terms_compose(const LentTerms *terms, const char *condition, char **ret, Refusal *refusal)
{
	const char *separator = json_object_object_length(terms->keys) > 0 ? "," : "";
	_cleanup_free_ char *rest = NULL;
	const char *keys;
	int r;

	keys = json_object_to_json_string_ext(terms->keys, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!keys || asprintf(&rest, "%s%s%s%s", terms->capture ? CAPTURE_PREFIX : "",
			      terms->capture ? terms->capture : "", separator, keys + 1) < 0)
		return -ENOMEM;
	r = check_length(condition, strlen(CONDITION_PREFIX) + strlen(rest), refusal);
	if (r == 0)
		r = check_json(condition, REFUSED_INVALID_CONDITION, "$", refusal);
	if (r != 0)
		return r;
	return asprintf(ret, CONDITION_PREFIX "%s%s", condition, rest) < 0 ? -ENOMEM : 0;
}

/* Whether a path is `stem` or leads below it. */
static bool is_below(const char *path, const char *stem)
{
	size_t length = strlen(stem);

	return strncmp(path, stem, length) == 0 && strchr(".[", path[length]) != NULL;
}

void lent_terms_relocate(const LentTerms *terms, const char *condition, Refusal *refusal)
{
	const char *stem = "$.condition", *path;
	Refusal there = *refusal;
	char below[sizeof(there.path)];
	size_t start = strlen(CONDITION_PREFIX);

	if (there.path[0] == '\0')
		return;
	path = there.path;
	if (is_below(path, stem)) {
		snprintf(below, sizeof(below), "$%.*s", (int)sizeof(below) - 2,
			 path + strlen(stem));
		path = below;
	} else if (is_below(path, "$.capture") && terms->capture) {
		start += strlen(condition) + strlen(CAPTURE_PREFIX);
	} else {
		refuse(refusal, there.kind, "%s: %s", path, there.sentence);
		return;
	}
	refuse_at(refusal, there.kind, path, there.offset > start ? there.offset - start : 0,
		  there.sentence);
}
