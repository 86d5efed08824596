/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hits, live line and summary. A program under `run` writes to the same standard output, and others
 * may: so results are put together in memory, and every write(2) is of whole lines (of whole hits even).
 * Several small hits go into one, but no more than a pipe takes in one piece (PIPE_BUF).
 *
 * The live line is the last line of the terminal and is taken away
 * before anything else is printed there; whether it is shown is the one piece of state that belongs
 * to the process (its terminal) and not to an Output.
 */
#include "tools/output.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json/utf8.h"

static bool live_shown;

/* `held`: line feeds and tabs do not pass either. */
static void print_bytes(FILE *file, const char *text, size_t length, bool held)
{
	while (length > 0) {
		uint32_t point;
		size_t n = utf8_decode(text, length, &point);
		bool shown;

		if (n > 0 && (point == '\n' || point == '\t'))
			shown = !held;
		else
			/* C0, DEL and C1: a terminal would obey them. */
			shown = n > 0 && point >= ' ' && (point < 0x7f || point >= 0xa0);
		if (n == 0)
			n = 1;
		if (shown)
			fwrite(text, 1, n, file);
		else
			fputc('?', file);
		text += n;
		length -= n;
	}
}

void print_safe_bytes(FILE *file, const char *text, size_t length)
{
	print_bytes(file, text, length, false);
}

void print_safe(FILE *file, const char *text)
{
	print_bytes(file, text, strlen(text), false);
}

void print_safe_name(FILE *file, const char *name)
{
	print_bytes(file, name, strlen(name), true);
}

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int64_t monotonic_ms(void)
{
	return (int64_t)(monotonic_ns() / 1000000);
}

/* ---- Hits for a person ----------------------------------------------------------------------- */

enum {
	/* How long after a look at the target's modules that did not help the next one may be. */
	LOOK_AGAIN_MS = 50,
	LOOK_AGAIN_MAX_MS = 1000,
};

/* Looks at the target's modules as they are now. Of a target that is gone the last look stays. */
static void look_at_modules(Output *output)
{
	bpcond_symbols *symbols;
	char ignored[256];

	output->symbols_time = monotonic_ms();
	if (bpcond_symbols_new(output->options.pid, &symbols, ignored, sizeof(ignored)) < 0)
		return;
	bpcond_symbols_free(output->symbols);
	output->symbols = symbols;
}

static bool describe_known(const Output *output, uint64_t address, char *ret, size_t size)
{
	*ret = '\0';
	return output->symbols != NULL &&
	       bpcond_symbols_describe(output->symbols, address, ret, size) == 0;
}

/* SYMBOL+0xOFF (MODULE); "" when there is nothing to say. Modules come and go: an address that lies
 * in none makes us look again, the less often the less it helped. */
static void describe(Output *output, uint64_t address, char *ret, size_t size)
{
	if (describe_known(output, address, ret, size))
		return;
	if (monotonic_ms() - output->symbols_time >= output->look_again) {
		look_at_modules(output);
		if (describe_known(output, address, ret, size)) {
			output->look_again = LOOK_AGAIN_MS;
			return;
		}
		output->look_again *= 2;
		if (output->look_again > LOOK_AGAIN_MAX_MS)
			output->look_again = LOOK_AGAIN_MAX_MS;
	}
	*ret = '\0';
}

int output_start(Output *output, const OutputOptions *options)
{
	*output = (Output){
		.options = *options,
		.look_again = LOOK_AGAIN_MS,
		.live = isatty(STDERR_FILENO) == 1,
		.live_time = monotonic_ms(),
	};
	output->text = open_memstream(&output->buffer, &output->buffered);
	if (output->text == NULL)
		return -errno;
	/* Now, while the target is there: a short program can be gone when its hits are shown. */
	if (!options->json)
		look_at_modules(output);
	return 0;
}

void output_clear(Output *output)
{
	output_interrupt_live();
	output->symbols = bpcond_symbols_free(output->symbols);
	if (output->text != NULL)
		fclose(output->text);
	free(output->buffer);
	output->text = NULL;
	output->buffer = NULL;
}

static void print_address(Output *output, uint64_t address)
{
	char symbol[512];

	describe(output, address, symbol, sizeof(symbol));
	fprintf(output->text, "0x%" PRIx64, address);
	if (*symbol != '\0') {
		fputc(' ', output->text);
		print_safe_name(output->text, symbol);
	}
}

static void print_registers(FILE *file, const struct bpcond_hit *hit)
{
	unsigned column = 0;
	uint64_t value;

	for (int id = 0; id < BPCOND_REG_COUNT; id++) {
		if (bpcond_hit_register(hit, (enum bpcond_register)id, &value) < 0)
			continue;
		fprintf(file, "%s%-8s 0x%016" PRIx64 "%s", column == 0 ? "    " : "  ",
			bpcond_register_name((enum bpcond_register)id), value,
			column == 2 ? "\n" : "");
		column = (column + 1) % 3;
	}
	if (column != 0)
		fputc('\n', file);
}

static void print_memory(FILE *file, const bpcond_piece *piece)
{
	const unsigned char *bytes = piece->bytes;

	if (piece->read == 0)
		fprintf(file, "    0x%" PRIx64 "  could not be read\n", piece->at);
	for (uint32_t line = 0; line < piece->read; line += 16) {
		fprintf(file, "    0x%" PRIx64 " ", piece->at + line);
		for (uint32_t i = line; i < line + 16; i++) {
			if (i < piece->read)
				fprintf(file, " %02x", bytes[i]);
			else
				fputs("   ", file);
		}
		fputs("  |", file);
		for (uint32_t i = line; i < line + 16 && i < piece->read; i++)
			fputc(bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.', file);
		fputs("|\n", file);
	}
	if (piece->read > 0 && piece->read < piece->length)
		fprintf(file, "    only %" PRIu32 " of %" PRIu32 " bytes could be read\n",
			piece->read, piece->length);
}

/* What the watched memory held at the hit: signed, as most counters are, and as its bits. */
static void print_value(FILE *file, const bpcond_piece *piece)
{
	unsigned bits = piece->length * 8;
	uint64_t value = 0;
	int64_t number;

	if (piece->read < piece->length || bits == 0 || bits > 64) {
		fputs("  value not readable", file);
		return;
	}
	memcpy(&value, piece->bytes, piece->length);
	number = (int64_t)(value << (64 - bits)) >> (64 - bits);
	fprintf(file, "  value %" PRId64 " (0x%" PRIx64 ")", number, value);
}

static void print_hit(Output *output, const struct bpcond_hit *hit)
{
	const OutputOptions *options = &output->options;
	uint64_t since = hit->time > options->start ? hit->time - options->start : 0;
	FILE *file = output->text;
	unsigned first = 0;
	const uint64_t *stack;
	bpcond_piece piece;
	uint64_t pc;
	size_t n;

	fprintf(file, "#%-6llu %4" PRIu64 ".%06" PRIu64 " s  tid %-7u cpu %-3u ",
		(unsigned long long)hit->sequence, since / 1000000000, since % 1000000000 / 1000,
		hit->tid, hit->cpu);
	print_address(output, hit->address);
	if (options->value_first && bpcond_hit_memory(hit, 0, &piece) == 0) {
		print_value(file, &piece);
		first = 1;
	}
	/* Of a data breakpoint the interesting place is who did it. */
	if (bpcond_hit_register(hit, BPCOND_REG_PC, &pc) == 0 && pc != hit->address) {
		fputs("  by ", file);
		print_address(output, pc);
	}
	if (hit->flags & BPCOND_HIT_FAULT)
		fputs("  [fault: memory not resident or not readable, or division by zero]", file);
	if (hit->flags & BPCOND_HIT_FROM_KERNEL)
		fputs("  [by the kernel]", file);
	if (hit->flags & BPCOND_HIT_BEFORE_ACCESS)
		fputs("  [before the access]", file);
	if (hit->flags & BPCOND_HIT_UNSIGNALLED)
		fputs("  [the signal could not be sent]", file);
	fputc('\n', file);

	if (!options->hide_registers)
		print_registers(file, hit);
	for (unsigned i = first; bpcond_hit_memory(hit, i, &piece) == 0; i++)
		print_memory(file, &piece);
	n = bpcond_hit_stack(hit, &stack);
	for (size_t i = 0; i < n; i++) {
		fprintf(file, "    %3zu  ", i);
		print_address(output, stack[i]);
		fputc('\n', file);
	}
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* One write(2), but for what stands in its way. Return: 0; a negative errno. */
static int write_whole(const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, text, size);

		if (n >= 0) {
			text += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* The program can have made what we share non-blocking. */
			struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

			if (poll(&fd, 1, -1) < 0 && errno != EINTR)
				return -errno;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int output_flush(Output *output)
{
	int r = write_whole(output->buffer, output->kept);

	output->kept = 0;
	return fseeko(output->text, 0, SEEK_SET) < 0 ? -errno : r;
}

/* What was printed since the last call is now whole lines. Return: 0; a negative errno. */
static int keep_lines(Output *output)
{
	size_t before = output->kept;
	int r;

	if (fflush(output->text) != 0)
		return -ENOMEM;
	output->kept = output->buffered;
	if (output->kept <= PIPE_BUF)
		return 0;
	r = write_whole(output->buffer, before);
	if (r >= 0)
		r = write_whole(output->buffer + before, output->kept - before);
	output->kept = 0;
	return fseeko(output->text, 0, SEEK_SET) < 0 ? -errno : r;
}

int output_hit(Output *output, const struct bpcond_hit *hit)
{
	char *json;
	int r;

	if (live_shown && isatty(STDOUT_FILENO))
		output_interrupt_live();
	if (output->options.json) {
		r = bpcond_hit_to_json(hit, &json);
		if (r < 0)
			return r;
		fprintf(output->text, "%s\n", json);
		free(json);
	} else {
		print_hit(output, hit);
	}
	return keep_lines(output);
}

/* ---- The live line --------------------------------------------------------------------------- */

void output_interrupt_live(void)
{
	if (!live_shown)
		return;
	fputs("\r\033[K", stderr);
	live_shown = false;
}

static void show_live(Output *output)
{
	output_flush(output);
	fprintf(stderr, "\r\033[K%s", output->live_text);
	live_shown = true;
}

void output_live(Output *output, const struct bpcond_counters *counters)
{
	const struct bpcond_counters *last = &output->live_counters;
	int64_t now = monotonic_ms(), passed = now - output->live_time;
	double seconds = (double)passed / 1000;

	if (!output->live)
		return;
	if (passed >= 1000) {
		snprintf(output->live_text, sizeof(output->live_text),
			 "%llu evaluations (%.0f/s)  %llu hits (%.0f/s)  %llu faults (%.0f/s)",
			 (unsigned long long)counters->evaluated,
			 (double)(counters->evaluated - last->evaluated) / seconds,
			 (unsigned long long)counters->hits,
			 (double)(counters->hits - last->hits) / seconds,
			 (unsigned long long)counters->faults,
			 (double)(counters->faults - last->faults) / seconds);
		output->live_time = now;
		output->live_counters = *counters;
		show_live(output);
	} else if (!live_shown && *output->live_text != '\0') {
		/* A hit has taken its place. */
		show_live(output);
	}
}

/* ---- The summary ----------------------------------------------------------------------------- */

static void print_json_count(FILE *file, const char *name, uint64_t value, bool known,
			     const char *before)
{
	if (known)
		fprintf(file, "%s\"%s\":%" PRIu64, before, name, value);
	else
		fprintf(file, "%s\"%s\":null", before, name);
}

static void print_json_summary(FILE *file, const bpcond_counts *counts, bool whole)
{
	print_json_count(file, "traps", counts->traps, whole, "{\"summary\":{");
	print_json_count(file, "evaluated", counts->evaluated, true, ",");
	print_json_count(file, "hits", counts->hits, true, ",");
	print_json_count(file, "rejected", counts->rejected, true, ",");
	print_json_count(file, "withheld", counts->withheld, true, ",");
	print_json_count(file, "faults", counts->faults, true, ",");
	print_json_count(file, "dropped", counts->dropped, true, ",");
	print_json_count(file, "unsignalled", counts->unsignalled, true, ",");
	print_json_count(file, "lost", counts->lost, whole, ",");
	fputs("}}\n", file);
}

static void print_count(FILE *file, const char *name, uint64_t value, const char *note)
{
	fprintf(file, "  %-12s %12" PRIu64 "%s%s\n", name, value, *note == '\0' ? "" : "   ", note);
}

static void print_summary(FILE *file, const bpcond_counts *counts, bool whole)
{
	if (whole)
		print_count(file, "traps", counts->traps, "");
	print_count(file, "evaluated", counts->evaluated, "");
	print_count(file, "hits", counts->hits, "");
	print_count(file, "rejected", counts->rejected, "");
	/* What is mostly 0 is told when it is not. */
	if (counts->withheld > 0)
		print_count(file, "withheld", counts->withheld,
			    "true, kept back by skip, every or limit");
	if (counts->faults > 0)
		print_count(file, "faults", counts->faults,
			    "memory not resident or not readable, or division by zero");
	if (counts->dropped > 0)
		print_count(file, "dropped", counts->dropped, "hits that found the ring full");
	if (counts->unsignalled > 0)
		print_count(file, "unsignalled", counts->unsignalled,
			    "hits whose signal was not sent");
	if (whole && counts->lost > 0)
		print_count(file, "lost", counts->lost, "traps that the filter never saw");
	if (!whole)
		fputs("  the number of traps is not known: the daemon did not tell it any more\n",
		      file);
}

int output_summary(Output *output, const bpcond_counts *counts, bool whole, const char *end,
		   const char *note)
{
	int r, written;

	output_interrupt_live();
	if (output->options.json) {
		print_json_summary(output->text, counts, whole);
	} else {
		fprintf(output->text, "%s\n", end);
		print_summary(output->text, counts, whole);
		if (*note != '\0')
			fprintf(output->text, "  %s\n", note);
	}
	r = keep_lines(output);
	written = output_flush(output);
	return r < 0 ? r : written;
}
