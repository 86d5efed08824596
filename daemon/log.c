/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "daemon/log.h"

#define MAX_FIELDS 6

/* Journald gets to a message within some milliseconds, and is asked for no answer. */
#define SETTLE_USEC 250000

/* The journal may lead to something else by now than what standard error is: systemd says which one
 * it connected, by device and inode. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

typedef struct Fields {
	struct iovec all[MAX_FIELDS];
	char texts[MAX_FIELDS][48];
	int n;
} Fields;

static void add_number(Fields *fields, const char *name, unsigned long number)
{
	char *text = fields->texts[fields->n];
	int length = snprintf(text, sizeof(fields->texts[0]), "%s=%lu", name, number);

	fields->all[fields->n++] = (struct iovec){text, (size_t)length};
}

/* Return: whether the journal has it. */
static bool send_to_journal(int priority, const LogContext *context, char *text, size_t length)
{
	Fields fields = {.n = 0};

	fields.all[fields.n++] = (struct iovec){text, length};
	add_number(&fields, "PRIORITY", (unsigned long)priority);
	if (context->message_id)
		fields.all[fields.n++] =
			(struct iovec){(char *)context->message_id, strlen(context->message_id)};
	if (context->session)
		add_number(&fields, "BPCOND_SESSION", context->session);
	if (context->uid != (uid_t)-1)
		add_number(&fields, "BPCOND_UID", context->uid);
	if (context->pid)
		add_number(&fields, "BPCOND_PID", (unsigned long)context->pid);
	return sd_journal_sendv(fields.all, fields.n) >= 0;
}

void log_message(int priority, const LogContext *context, const char *format, ...)
{
	static const char field[] = "MESSAGE=";
	const size_t head = sizeof(field) - 1;
	char text[sizeof(field) + 1024];
	va_list arguments;
	int length;

	memcpy(text, field, sizeof(field));
	va_start(arguments, format);
	length = vsnprintf(text + head, sizeof(text) - head, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length >= sizeof(text) - head)
		length = sizeof(text) - head - 1;

	if (stderr_is_journal() && send_to_journal(priority, context, text, head + length))
		return;
	fprintf(stderr, "bpcondd: %s\n", text + head);
}

void log_settle(void)
{
	if (stderr_is_journal())
		usleep(SETTLE_USEC);
}
