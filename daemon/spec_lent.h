/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of a lent filter's spec, as spec_parse_lent takes it, out of the condition that the client
 * wrote and the terms that came as options of the call.
 *
 * What is JSON already, the condition and "capture", goes in as the client wrote it, so that a
 * mistake in it can be told by its place in the client's own text.
 */
#ifndef SPEC_LENT_H
#define SPEC_LENT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/refusal.h"

typedef struct LentTerms LentTerms;

/* Return: 0 and *ret (lent_terms_free); -ENOMEM. */
int lent_terms_new(LentTerms **ret);
LentTerms *lent_terms_free(LentTerms *terms);

/* Each adds a key of the spec, once. Return: 0; -ENOMEM. */
int lent_terms_add_number(LentTerms *terms, const char *key, uint64_t value);
int lent_terms_add_string(LentTerms *terms, const char *key, const char *value);

/* Return: 0; REFUSED_INVALID_SPEC when there is one of that name; -ENOMEM. */
int lent_terms_add_parameter(LentTerms *terms, const char *name, int64_t first, Refusal *refusal);

/* `text` is the JSON value of "capture". Return: 0; REFUSED_INVALID_SPEC when it is no JSON, or more than a
 * spec has room for; -ENOMEM. */
int lent_terms_add_capture(LentTerms *terms, const char *text, Refusal *refusal);

/* Return: 0 and *ret (free()), of at most SPEC_MAX_BYTES; REFUSED_INVALID_CONDITION when `condition` is no JSON
 * value, or longer than the terms leave room for; REFUSED_INVALID_SPEC when they leave none; -ENOMEM. */
int lent_terms_compose(const LentTerms *terms, const char *condition, char **ret, Refusal *refusal);

/*
 * Makes the place of a mistake in the composed text one that the client knows: in the condition a
 * path from its root and the byte in it; in "capture" a path from the options and the byte in its
 * text; of any other option just the path.
 */
void lent_terms_relocate(const LentTerms *terms, const char *condition, Refusal *refusal);

#endif
