/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mistakes in a condition's JSON, and where they stand. Names and keys from outside are quoted as
 * printable ASCII only, cut short.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "condition/condition_json_parser.h"
#include "json/strict_json.h"

Quoted parser_quote(const char *name)
{
	Quoted quoted;
	size_t n = 0;

	quoted.text[n++] = '"';
	for (; *name && n <= QUOTED_MAX; name++)
		quoted.text[n++] = *name >= 0x20 && *name < 0x7f ? *name : '?';
	strcpy(quoted.text + n, *name ? "...\"" : "\"");
	return quoted;
}

static void spell_path(const Parser *parser, const Step *step, char ret[static JSON_MAX_PATH])
{
	char stem[JSON_MAX_PATH];

	if (!step) {
		snprintf(ret, JSON_MAX_PATH, "%s", parser->stem);
		return;
	}
	spell_path(parser, step->up, stem);
	if (step->key)
		json_path_member(ret, stem, step->key);
	else
		json_path_index(ret, stem, step->index);
}

__attribute__((format(printf, 3, 4))) int parser_fail(const Parser *parser, const Step *step,
						      const char *format, ...)
{
	char path[JSON_MAX_PATH];
	va_list arguments;

	spell_path(parser, step, path);
	snprintf(parser->error->path, sizeof(parser->error->path), "%s", path);
	va_start(arguments, format);
	vsnprintf(parser->error->message, sizeof(parser->error->message), format, arguments);
	va_end(arguments);
	return 1;
}

int parser_fail_unknown(const Parser *parser, const Step *step, const Nearest *nearest,
			const char *what, const char *otherwise)
{
	if (nearest->best)
		return parser_fail(parser, step, "%s is not %s; did you mean \"%s\"?",
				   parser_quote(nearest->name).text, what, nearest->best);
	return parser_fail(parser, step, "%s is not %s; %s", parser_quote(nearest->name).text, what,
			   otherwise);
}
