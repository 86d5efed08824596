/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon says to a caller that it does not serve. Two classes of failure are kept apart
 * everywhere: a negative errno is ours and is forwarded unchanged; a positive RefusalKind is the
 * caller's, comes with a text that tells a person what to do, and becomes one D-Bus error.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

#include <stddef.h>

typedef enum RefusalKind {
	REFUSED_NOT = 0,
	REFUSED_INVALID_SPEC,
	REFUSED_INVALID_CONDITION,
	REFUSED_NO_SUCH_TARGET,
	REFUSED_TARGET_EXITED,
	REFUSED_NOT_AUTHORIZED,
	REFUSED_NO_FREE_SLOT,
	REFUSED_QUOTA_EXCEEDED,
	REFUSED_NOT_SUPPORTED,
	REFUSED_INVALID_ARGUMENT, /* of the call itself: org.freedesktop.DBus.Error.InvalidArgs */
} RefusalKind;

typedef struct Refusal {
	RefusalKind kind;
	char text[768];
	/* Of a mistake in JSON, where it is (text says it too); otherwise path is "". */
	char path[256];
	size_t offset;
	char sentence[512];
} Refusal;

/* Fills in *refusal, cutting the text where it does not fit. Return: kind, for `return refuse(…)`. */
int refuse(Refusal *refusal, RefusalKind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a mistake in JSON: the text becomes "PATH (byte OFFSET): SENTENCE". */
int refuse_at(Refusal *refusal, RefusalKind kind, const char *path, size_t offset,
	      const char *sentence);

/* The D-Bus error name of a kind, a constant. */
const char *refusal_error_name(RefusalKind kind);

#endif
