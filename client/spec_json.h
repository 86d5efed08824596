/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the client library has to know of a JSON spec that is not its own: the names of the
 * parameters, and whether `previous` is left to it. Judging specs is the daemon's business.
 */
#ifndef CLIENT_SPEC_JSON_H
#define CLIENT_SPEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The names of the parameters that the spec declares, in byte order. Return: 0, *ret
 * (spec_free_names) and *ret_n; -EPROTO when the text is no JSON object; -ENOMEM. */
int spec_parameter_names(const char *spec, char ***ret, size_t *ret_n);
void spec_free_names(char **names, size_t n);

/*
 * Whether the condition uses `previous` without the spec saying what it is, and which memory it is
 * about. False for anything that is not a sound spec: the daemon will say what is wrong.
 */
bool spec_lacks_previous(const char *spec, uint64_t *ret_address, size_t *ret_length);

/* The spec with "previous" as its last member, so that the byte offsets of all else, which errors
 * name, stay. Return: 0 and *ret (free()); -ENOMEM. */
int spec_add_previous(const char *spec, uint64_t previous, char **ret);

#endif
