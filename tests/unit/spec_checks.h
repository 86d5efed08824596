/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the spec share. */
#ifndef SPEC_CHECKS_H
#define SPEC_CHECKS_H

#include "daemon/spec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A spec with the rest beside its address; a key of the rest begins at byte 13 or 30. */
#define EXECUTE(rest) "{\"address\":8," rest "}"
#define WRITE(rest)   "{\"address\":8,\"access\":\"write\"," rest "}"

/* A copy of exactly that size, so that a sanitizer sees a byte too many being read. */
static inline int parse_bytes(const char *text, size_t length, Spec **ret, Refusal *refusal)
{
	char *copy = malloc(length > 0 ? length : 1);
	int r;

	memcpy(copy, text, length);
	r = spec_parse(copy, length, ret, refusal);
	free(copy);
	return r;
}

static inline void expect_refused(const char *text, size_t length, RefusalKind kind,
				  const char *begin, const char *says)
{
	Spec *spec = (Spec *)&spec;
	Refusal refusal = {.text = ""};
	int r = parse_bytes(text, length, &spec, &refusal);

	ck_assert_msg(r == (int)kind, "%.200s: %d, not %d: %s", text, r, kind, refusal.text);
	ck_assert_int_eq(refusal.kind, kind);
	ck_assert_ptr_eq(spec, &spec);
	ck_assert_msg(strncmp(refusal.text, begin, strlen(begin)) == 0 &&
			      strncmp(refusal.text + strlen(begin), "): ", 3) == 0,
		      "%.200s: \"%s\" does not begin \"%s): \"", text, refusal.text, begin);
	ck_assert_msg(strstr(refusal.text + strlen(begin), says) != NULL,
		      "%.200s: \"%s\" does not say \"%s\"", text, refusal.text, says);
}

#endif
