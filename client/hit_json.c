/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hit as one line of JSON: what bpcondctl --json prints and what the daemon forwards. The keys are
 * always all there and in one order, so that two hits of one breakpoint differ in values only.
 * Nothing in a record is text, so nothing needs quoting. Pure but for the memory of the result.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpcond/bpcond.h"

typedef struct Line {
	char *text;
	size_t length, allocated;
	bool failed; /* memory was short: everything after is ignored */
} Line;

static bool line_reserve(Line *line, size_t more)
{
	size_t wanted = line->length + more + 1;
	char *text;

	if (line->failed)
		return false;
	if (wanted <= line->allocated)
		return true;
	wanted = wanted < 512 ? 512 : wanted * 2;
	text = realloc(line->text, wanted);
	if (text == NULL) {
		line->failed = true;
		return false;
	}
	line->text = text;
	line->allocated = wanted;
	return true;
}

/* For short pieces only: no result is longer than the buffer. */
static void __attribute__((format(printf, 2, 3))) line_add(Line *line, const char *format, ...)
{
	char piece[256];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(piece, sizeof(piece), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(piece) || !line_reserve(line, (size_t)n)) {
		line->failed = true;
		return;
	}
	memcpy(line->text + line->length, piece, (size_t)n + 1);
	line->length += (size_t)n;
}

static void line_add_hex(Line *line, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	if (!line_reserve(line, 2 * n))
		return;
	for (size_t i = 0; i < n; i++) {
		line->text[line->length++] = digits[bytes[i] >> 4];
		line->text[line->length++] = digits[bytes[i] & 15];
	}
	line->text[line->length] = '\0';
}

static void add_flags(Line *line, uint16_t flags)
{
	static const struct {
		uint16_t flag;
		const char *name;
	} names[] = {
		{BPCOND_HIT_FAULT, "fault"},
		{BPCOND_HIT_FROM_KERNEL, "from-kernel"},
		{BPCOND_HIT_UNSIGNALLED, "unsignalled"},
		{BPCOND_HIT_BEFORE_ACCESS, "before-access"},
	};
	const char *comma = "";

	line_add(line, ",\"flags\":[");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((flags & names[i].flag) == 0)
			continue;
		line_add(line, "%s\"%s\"", comma, names[i].name);
		comma = ",";
	}
	line_add(line, "]");
}

static void add_registers(Line *line, const struct bpcond_hit *hit)
{
	const char *comma = "";
	uint64_t value;

	line_add(line, ",\"registers\":{");
	for (int id = 0; id < BPCOND_REG_COUNT; id++) {
		if (bpcond_hit_register(hit, (enum bpcond_register)id, &value) < 0)
			continue;
		line_add(line, "%s\"%s\":\"0x%" PRIx64 "\"", comma,
			 bpcond_register_name((enum bpcond_register)id), value);
		comma = ",";
	}
	line_add(line, "}");
}

static void add_memory(Line *line, const struct bpcond_hit *hit)
{
	bpcond_piece piece;

	line_add(line, ",\"memory\":[");
	for (unsigned i = 0; bpcond_hit_memory(hit, i, &piece) == 0; i++) {
		line_add(line, "%s{\"at\":\"0x%" PRIx64 "\",\"data\":\"", i == 0 ? "" : ",",
			 piece.at);
		line_add_hex(line, piece.bytes, piece.read);
		line_add(line, "\",\"read\":%" PRIu32 "}", piece.read);
	}
	line_add(line, "]");
}

static void add_stack(Line *line, const struct bpcond_hit *hit)
{
	const uint64_t *stack;
	size_t n = bpcond_hit_stack(hit, &stack);

	line_add(line, ",\"stack\":[");
	for (size_t i = 0; i < n; i++)
		line_add(line, "%s\"0x%" PRIx64 "\"", i == 0 ? "" : ",", stack[i]);
	line_add(line, "]");
}

int bpcond_hit_to_json(const struct bpcond_hit *hit, char **ret_json)
{
	Line line = {};

	if (bpcond_hit_check(hit, hit->size) < 0)
		return -EBADMSG;

	line_add(&line, "{\"breakpoint\":%u,\"sequence\":%llu,\"pid\":%u,\"tid\":%u,\"cpu\":%u",
		 hit->breakpoint, (unsigned long long)hit->sequence, hit->pid, hit->tid, hit->cpu);
	line_add(&line, ",\"time\":%llu,\"address\":\"0x%llx\"", (unsigned long long)hit->time,
		 (unsigned long long)hit->address);
	add_flags(&line, hit->flags);
	add_registers(&line, hit);
	add_memory(&line, hit);
	add_stack(&line, hit);
	line_add(&line, "}");
	if (line.failed) {
		free(line.text);
		return -ENOMEM;
	}
	*ret_json = line.text;
	return 0;
}
