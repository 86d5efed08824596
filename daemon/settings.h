/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the administrator may set: the limits for each user, by a file of lines NAME=VALUE.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/quota.h"
#include "daemon/rate.h"

#define SETTINGS_FILE "/etc/bpcond/bpcondd.conf"

typedef struct Settings {
	uint64_t quotas[QUOTA_RESOURCES];
	uint64_t rates[RATE_RESOURCES];
} Settings;

/* The limits without a file: for a machine that 64 users share. */
void settings_default(Settings *ret);

/*
 * Reads the text of a settings file over the defaults. Empty lines and those that begin with # say
 * nothing; a number may end in K, M or G (1024s).
 *
 * Return: 0 and *ret; -EINVAL and what is wrong with which line in `ret_message`.
 */
int settings_parse(const char *text, Settings *ret, char *ret_message, size_t size);

/* The same for a file. Return: as settings_parse; another negative errno when it cannot be read, said in
 * `ret_message` too. */
int settings_read(const char *path, Settings *ret, char *ret_message, size_t size);

/* How many descriptors one user at all of its limits makes the daemon hold. */
uint64_t settings_descriptors(const Settings *settings);

#endif
