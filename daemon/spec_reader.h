/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the spec's reader share, and nobody else needs: the text being read, the spec
 * being filled in, and the readers of single values. Each function that returns int returns 0;
 * REFUSED_INVALID_SPEC or REFUSED_INVALID_CONDITION with the reader's refusal filled in; -ENOMEM.
 * A value may be NULL, which is json-c's null. Paths are those of strict_json.h.
 */
#ifndef SPEC_READER_H
#define SPEC_READER_H

#include "daemon/spec.h"

struct json_object;

typedef struct SpecReader {
	const char *text;
	size_t length;
	Spec *spec; /* being filled in; owned by spec_parse */
	Refusal *refusal;
} SpecReader;

/* Refuses what stands at `path`: "PATH (byte N): SENTENCE". Return: REFUSED_INVALID_SPEC. */
int spec_fail(SpecReader *reader, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Refuses a value of the wrong type, saying what it is. `wanted` is as in "a boolean". */
int spec_fail_type(SpecReader *reader, const char *path, struct json_object *value,
		   const char *wanted);

/* Refuses a key of `object` that is none of `keys`, and names the nearest of them. */
int spec_check_keys(SpecReader *reader, struct json_object *object, const char *path,
		    const char *const keys[], size_t n_keys);

int spec_read_boolean(SpecReader *reader, struct json_object *value, const char *path, bool *ret);

/* A 64-bit number, in two's complement where it is negative. */
int spec_read_number(SpecReader *reader, struct json_object *value, const char *path,
		     uint64_t *ret_bits);

/* A 64-bit number that counts something: not negative. */
int spec_read_count(SpecReader *reader, struct json_object *value, const char *path, uint64_t *ret);

/* A plain integer between the two, inclusive; `what` names it, as in "a length". */
int spec_read_integer(SpecReader *reader, struct json_object *value, const char *path,
		      const char *what, int64_t low, int64_t high, int64_t *ret);

/* A string without zero bytes, borrowed from `value`. */
int spec_read_string(SpecReader *reader, struct json_object *value, const char *path,
		     const char **ret);

/* A condition or an expression, where the spec's parameters and its access are known. */
int spec_read_condition(SpecReader *reader, struct json_object *value, const char *path,
			Condition **ret);

/* spec_capture.c: the value of "capture". */
int spec_read_capture(SpecReader *reader, struct json_object *value, const char *path);

/* spec_capture.c: the name of a whole register, enum bpcond_register. */
const char *spec_register_name(unsigned int whole);

/* spec_text.c: the normal form. Return: 0 and *ret, free()d by the caller; -ENOMEM. */
int spec_to_text(const Spec *spec, char **ret);

#endif
