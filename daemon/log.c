/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/log.h"

void log_message(const char *priority, const char *format, ...)
{
	/* Set by systemd where standard error is the journal, which reads the prefix. */
	bool journal = getenv("JOURNAL_STREAM") != NULL;
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "%s%s\n", journal ? priority : "bpcondd: ", text);
}
