/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include "condition/condition.h"
#include "condition/disassemble.h"
#include "daemon/check_spec.h"
#include "daemon/spec.h"
#include "daemon/util.h"
#include "json/strict_json.h"

/* Puts `value` (taken over, also on failure) into `object`. Return: 0; -ENOMEM. */
static int put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int describe_refusal(struct json_object *report, const Refusal *refusal)
{
	struct json_object *error = json_object_new_object();
	const char *message = refusal->path[0] ? refusal->sentence : refusal->text;
	int r;

	r = put(report, "ok", json_object_new_boolean(0));
	if (r < 0) {
		json_object_put(error);
		return r;
	}
	r = put(report, "error", error);
	if (r < 0)
		return r;
	r = put(error, "name", json_object_new_string(refusal_error_name(refusal->kind)));
	if (r == 0 && refusal->path[0])
		r = put(error, "path", json_object_new_string(refusal->path));
	if (r == 0 && refusal->path[0])
		r = put(error, "offset", json_object_new_uint64(refusal->offset));
	if (r == 0)
		r = put(error, "message", json_object_new_string(message));
	return r;
}

/* The condition's own code, a line for each instruction, each with its number. */
static int put_code(struct json_object *report, const Condition *condition)
{
	_cleanup_free_ struct bpf_insn *insns = NULL;
	struct json_object *lines;
	size_t n = 0;
	int r = 0;

	if (condition)
		r = condition_emit(condition, &insns, &n);
	if (r < 0)
		return r;
	lines = json_object_new_array();
	for (size_t i = 0; lines && i < n;) {
		char line[16 + DISASSEMBLE_MAX_LINE];
		int prefix = snprintf(line, sizeof(line), "%zu: ", i);

		i += disassemble(insns + i, n - i, line + prefix, sizeof(line) - (size_t)prefix);
		if (json_object_array_add(lines, json_object_new_string(line)) < 0) {
			json_object_put(lines);
			return -ENOMEM;
		}
	}
	return put(report, "code", lines);
}

static int describe_spec(struct json_object *report, const Spec *spec, uint32_t n_insns)
{
	struct json_object *normal;
	JsonError error;
	int r;

	/* Our own text, so it cannot be refused. */
	r = json_parse_strict(spec->text, strlen(spec->text), SPEC_MAX_JSON_DEPTH, &normal, &error);
	if (r != 0)
		return r < 0 ? r : -EIO;
	r = put(report, "ok", json_object_new_boolean(1));
	if (r < 0) {
		json_object_put(normal);
		return r;
	}
	r = put(report, "spec", normal);
	if (r == 0)
		r = put(report, "instructions", json_object_new_int64(n_insns));
	if (r == 0)
		r = put_code(report, spec->condition);
	return r;
}

int check_spec(FilterEngine *engine, const char *text, size_t length, char **ret)
{
	struct json_object *report;
	Spec *spec = NULL;
	Refusal refusal;
	uint32_t n_insns;
	int r;

	r = spec_parse(text, length, &spec, &refusal);
	if (r == 0)
		r = filter_count_insns(engine, spec, &n_insns, &refusal);
	if (r < 0) {
		spec_free(spec);
		return r;
	}

	report = json_object_new_object();
	if (!report)
		r = -ENOMEM;
	else if (r > 0)
		r = describe_refusal(report, &refusal);
	else
		r = describe_spec(report, spec, n_insns);
	spec_free(spec);
	if (r == 0) {
		*ret = strdup(json_object_to_json_string_ext(
			report, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		r = *ret ? 0 : -ENOMEM;
	}
	json_object_put(report);
	return r;
}
