/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors for a person: what is wrong, the text with a caret under the place, and the exit status.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/bpcondctl.h"
#include "tools/options.h"
#include "tools/output.h"

#define INVALID_SPEC "org.bpcond1.Error.InvalidSpec"

static void say(const char *format, va_list ap)
{
	char message[2048];

	vsnprintf(message, sizeof(message), format, ap);
	output_interrupt_live();
	fputs("bpcondctl: ", stderr);
	print_safe(stderr, message);
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
}

ExitStatus complain_usage(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	fputs("Try 'bpcondctl --help'.\n", stderr);
	return STATUS_USAGE;
}

ExitStatus status_of_error(const bpcond_error *error)
{
	switch (error->number) {
	case -EINVAL:
	case -ENOENT:
	case -ENOTUNIQ:
	case -EAGAIN:
		return STATUS_USAGE;
	case -EOPNOTSUPP:
		/* A location without an address is the user's; a missing feature the kernel's. */
		return error->part == BPCOND_PART_LOCATION ? STATUS_USAGE : STATUS_REFUSED;
	case -ESRCH:
		return STATUS_NO_TARGET;
	case -EHOSTUNREACH:
	case -ECONNRESET:
	case -ENOTCONN:
	case -ESHUTDOWN:
	case -ETIMEDOUT:
		return STATUS_NO_DAEMON;
	default:
		return STATUS_REFUSED;
	}
}

/* A mistake in a member of a spec that an option wrote is that option's. */
static void complain_spec(const bpcond_error *error)
{
	const char *option = options_of_path(error->message);
	const char *sentence = strstr(error->message, "): ");

	if (option != NULL && sentence != NULL && strcmp(error->name, INVALID_SPEC) == 0)
		complain("%s: %s", option, sentence + strlen("): "));
	else
		complain("%s", error->message);
}

ExitStatus complain_error(const bpcond_error *error, const char *text)
{
	switch (error->part) {
	case BPCOND_PART_LOCATION:
		complain("location: %s", error->message);
		break;
	case BPCOND_PART_CONDITION:
		complain("condition, column %u: %s", error->column, error->message);
		break;
	case BPCOND_PART_MEMORY:
		complain("--mem, column %u: %s", error->column, error->message);
		break;
	case BPCOND_PART_NONE:
		complain_spec(error);
		break;
	}
	if (text != NULL && error->line > 0) {
		print_caret(text, error->line, error->column);
		options_hint(text);
	}
	return status_of_error(error);
}

void print_caret(const char *text, unsigned line, unsigned column)
{
	const char *begin = text;
	size_t length;

	while (--line > 0) {
		begin = strchr(begin, '\n');
		if (begin == NULL)
			return;
		begin++;
	}
	length = strcspn(begin, "\n");
	fprintf(stderr, "  ");
	print_safe_bytes(stderr, begin, length);
	fprintf(stderr, "\n  ");
	for (size_t i = 0; i + 1 < column && i < length; i++) {
		/* A tab moves the caret as far as it moved the text; of a UTF-8 character only the
		 * first byte takes a column on the screen. */
		if (begin[i] == '\t')
			fputc('\t', stderr);
		else if (((unsigned char)begin[i] & 0xc0) != 0x80)
			fputc(' ', stderr);
	}
	fprintf(stderr, "^\n");
}
