/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings file is strict: what is not understood is an error, never skipped, since a limit that
 * an administrator believes to have set and did not is worse than a daemon that says so and does not
 * start.
 */
#include "daemon/settings.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/util.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* What the daemon holds open for one of each: a session its ring, its target, the watch on it and where
 * it forwards to, which for a pipe are three, and a fourth until its process is gone; a breakpoint or
 * lent filter its program and its maps; a question its target. And the processes behind a user's
 * connections, of which a bus allows 256. */
enum {
	SESSION_DESCRIPTORS = 8,
	BREAKPOINT_DESCRIPTORS = 4,
	LENT_DESCRIPTORS = 6,
	CONNECTIONS = 256,
};

#define N_SETTINGS (QUOTA_RESOURCES + RATE_RESOURCES)

/* By number: the quotas, then the rates. */
static const struct {
	uint64_t by_default, least, most;
} settings_table[N_SETTINGS] = {
	[QUOTA_SESSIONS] = {64, 1, 100000},
	[QUOTA_BREAKPOINTS] = {256, 1, 100000},
	[QUOTA_EVENTS] = {4096, 1, 1000000},
	[QUOTA_RING_BYTES] = {64 * MIB, 4 * KIB, 1024 * GIB},
	[QUOTA_LENT_FILTERS] = {64, 0, 100000},
	[QUOTA_QUESTIONS] = {16, 0, 1000},
	[QUOTA_RESOURCES + RATE_CALLS] = {5000, 1, 1000000},
	[QUOTA_RESOURCES + RATE_BUSY] = {500, 1, 1000},
};

static const char *setting_name(size_t number)
{
	return number < QUOTA_RESOURCES ? quota_name(number) : rate_name(number - QUOTA_RESOURCES);
}

static uint64_t *setting_value(Settings *settings, size_t number)
{
	return number < QUOTA_RESOURCES ? &settings->quotas[number]
					: &settings->rates[number - QUOTA_RESOURCES];
}

void settings_default(Settings *ret)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		*setting_value(ret, i) = settings_table[i].by_default;
}

/* Cuts white space off both ends. */
static char *strip(char *text)
{
	size_t length;

	while (isspace((unsigned char)*text))
		text++;
	length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Return: 0 and *ret; -EINVAL; -ERANGE where 64 bits do not hold it. */
static int parse_number(const char *text, uint64_t *ret)
{
	static const char units[] = "KMG";
	uint64_t number = 0;
	const char *unit;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		number = number * 10 + digit;
	}
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1])
			return -EINVAL;
		for (; unit >= units; unit--) {
			if (number > UINT64_MAX / KIB)
				return -ERANGE;
			number *= KIB;
		}
	}
	*ret = number;
	return 0;
}

static int fail_unknown(const char *name, unsigned line, char *ret_message, size_t size)
{
	int used = snprintf(ret_message, size, "line %u: there is no setting \"%.64s\": there are",
			    line, name);

	for (size_t i = 0; i < N_SETTINGS && used >= 0 && (size_t)used < size; i++)
		used += snprintf(ret_message + used, size - (size_t)used, "%s %s", i > 0 ? "," : "",
				 setting_name(i));
	return -EINVAL;
}

static int parse_line(char *text, unsigned line, Settings *settings, bool seen[static N_SETTINGS],
		      char *ret_message, size_t size)
{
	char *equals = strchr(text, '='), *name, *value;
	uint64_t number = 0;
	size_t i;
	int r;

	if (!equals) {
		snprintf(
			ret_message, size,
			"line %u: \"%.64s\" is no setting: write NAME=VALUE, or # before a comment",
			line, text);
		return -EINVAL;
	}
	*equals = '\0';
	name = strip(text);
	value = strip(equals + 1);
	for (i = 0; i < N_SETTINGS; i++)
		if (strcmp(setting_name(i), name) == 0)
			break;
	if (i == N_SETTINGS)
		return fail_unknown(name, line, ret_message, size);
	if (seen[i]) {
		snprintf(ret_message, size, "line %u: %s is set twice: leave one out", line, name);
		return -EINVAL;
	}
	seen[i] = true;
	r = parse_number(value, &number);
	if (r < 0 || number < settings_table[i].least || number > settings_table[i].most) {
		snprintf(ret_message, size,
			 "line %u: %s is \"%.64s\": give a number from %" PRIu64 " to %" PRIu64
			 ", if need be with K, M or G",
			 line, name, value, settings_table[i].least, settings_table[i].most);
		return -EINVAL;
	}
	*setting_value(settings, i) = number;
	return 0;
}

int settings_parse(const char *text, Settings *ret, char *ret_message, size_t size)
{
	_cleanup_free_ char *copy = strdup(text);
	bool seen[N_SETTINGS] = {};
	Settings settings;
	char *rest = copy, *at;
	unsigned line = 0;

	if (!copy)
		return -ENOMEM;
	settings_default(&settings);
	while ((at = strsep(&rest, "\n"))) {
		int r;

		line++;
		at = strip(at);
		if (*at == '\0' || *at == '#')
			continue;
		r = parse_line(at, line, &settings, seen, ret_message, size);
		if (r < 0)
			return r;
	}
	*ret = settings;
	return 0;
}

int settings_read(const char *path, Settings *ret, char *ret_message, size_t size)
{
	_cleanup_free_ char *text = NULL;
	struct stat status;
	int r;

	r = read_small_file(path, &text);
	if (r == 0 && stat(path, &status) == 0 && status.st_size != (off_t)strlen(text)) {
		snprintf(ret_message, size,
			 "there is a zero byte in it: what follows could be overlooked");
		return -EINVAL;
	}
	if (r < 0) {
		snprintf(ret_message, size, "it cannot be read (%s)", strerror(-r));
		return r;
	}
	return settings_parse(text, ret, ret_message, size);
}

uint64_t settings_descriptors(const Settings *settings)
{
	const uint64_t *quotas = settings->quotas;

	return quotas[QUOTA_SESSIONS] * SESSION_DESCRIPTORS +
	       quotas[QUOTA_BREAKPOINTS] * BREAKPOINT_DESCRIPTORS + quotas[QUOTA_EVENTS] +
	       quotas[QUOTA_LENT_FILTERS] * LENT_DESCRIPTORS + quotas[QUOTA_QUESTIONS] +
	       CONNECTIONS;
}
