/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of a lent filter's spec, as spec_parse_lent takes it, out of the condition that the client
 * wrote and the terms that came as options of the call.
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

bool lent_terms_has(const LentTerms *terms, const char *key);

/* Each adds a key of the spec. Return: 0; -ENOMEM. */
int lent_terms_add_number(LentTerms *terms, const char *key, uint64_t value);
int lent_terms_add_string(LentTerms *terms, const char *key, const char *value);
int lent_terms_add_parameter(LentTerms *terms, const char *name, int64_t first);

/* The value is JSON text. Return: 0; REFUSED_INVALID_SPEC and *refusal; -ENOMEM. */
int lent_terms_add_json(LentTerms *terms, const char *key, const char *text, Refusal *refusal);

/* Return: 0 and *ret (free()); REFUSED_INVALID_CONDITION when `condition` is no JSON value; -ENOMEM. */
int lent_terms_compose(const LentTerms *terms, const char *condition, char **ret, Refusal *refusal);

/* Makes the place of a mistake in the composed text that in the client's condition, if it is there. */
void lent_terms_relocate(Refusal *refusal);

#endif
