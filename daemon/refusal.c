/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The caller's mistakes: their texts and the one table of their D-Bus names. */
#include "daemon/refusal.h"
#include "json/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char cut_mark[] = "...";

int refuse(Refusal *refusal, RefusalKind kind, const char *format, ...)
{
	va_list arguments;
	int length;

	refusal->kind = kind;
	refusal->path[0] = '\0';
	refusal->sentence[0] = '\0';
	refusal->offset = 0;
	va_start(arguments, format);
	length = vsnprintf(refusal->text, sizeof(refusal->text), format, arguments);
	va_end(arguments);
	if (length < 0)
		strcpy(refusal->text, "the reason cannot be shown");
	else if ((size_t)length >= sizeof(refusal->text))
		strcpy(refusal->text + sizeof(refusal->text) - sizeof(cut_mark), cut_mark);
	/* What is quoted from the caller, or was cut within a character, must not reach the bus. */
	utf8_sanitize(refusal->text);
	return (int)kind;
}

int refuse_at(Refusal *refusal, RefusalKind kind, const char *path, size_t offset,
	      const char *sentence)
{
	refuse(refusal, kind, "%s (byte %zu): %s", path, offset, sentence);
	snprintf(refusal->path, sizeof(refusal->path), "%s", path);
	snprintf(refusal->sentence, sizeof(refusal->sentence), "%s", sentence);
	utf8_sanitize(refusal->path);
	utf8_sanitize(refusal->sentence);
	refusal->offset = offset;
	return (int)kind;
}

const char *refusal_error_name(RefusalKind kind)
{
	switch (kind) {
	case REFUSED_INVALID_SPEC:
		return "org.bpcond1.Error.InvalidSpec";
	case REFUSED_INVALID_CONDITION:
		return "org.bpcond1.Error.InvalidCondition";
	case REFUSED_NO_SUCH_TARGET:
		return "org.bpcond1.Error.NoSuchTarget";
	case REFUSED_TARGET_EXITED:
		return "org.bpcond1.Error.TargetExited";
	case REFUSED_NOT_AUTHORIZED:
		return "org.bpcond1.Error.NotAuthorized";
	case REFUSED_NO_FREE_SLOT:
		return "org.bpcond1.Error.NoFreeSlot";
	case REFUSED_QUOTA_EXCEEDED:
		return "org.bpcond1.Error.QuotaExceeded";
	case REFUSED_NOT_SUPPORTED:
		return "org.bpcond1.Error.NotSupported";
	case REFUSED_INVALID_ARGUMENT:
		return "org.freedesktop.DBus.Error.InvalidArgs";
	case REFUSED_NOT:
		break;
	}
	return "org.freedesktop.DBus.Error.Failed";
}
