/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hits, live line and summary. The live line is the last line of the terminal and is taken away
 * before anything else is printed there; whether it is shown is the one piece of state that belongs
 * to the process (its terminal) and not to an Output.
 */
#include "tools/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool live_shown;

void print_safe_char(FILE *file, char c)
{
	unsigned char u = (unsigned char)c;

	/* Bytes of UTF-8 pass; C1 controls are only reachable by 0xc2 0x80…, which no terminal in
	 * UTF-8 mode acts on as it does on C0. */
	fputc((u >= ' ' && u != 0x7f) || c == '\n' || c == '\t' ? c : '?', file);
}

void print_safe(FILE *file, const char *text)
{
	for (; *text != '\0'; text++)
		print_safe_char(file, *text);
}

int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Hits for a person ----------------------------------------------------------------------- */

/* Looks at the target's modules as they are now. Of a target that is gone the last look stays. */
static void look_at_modules(Output *output)
{
	bpcond_symbols *symbols;
	char ignored[256];

	output->symbols_time = monotonic_ms();
	if (bpcond_symbols_new(output->pid, &symbols, ignored, sizeof(ignored)) < 0)
		return;
	bpcond_symbols_free(output->symbols);
	output->symbols = symbols;
}

/* SYMBOL+0xOFF (MODULE); "" when there is nothing to say. Modules come and go: an address that lies
 * in none makes us look again, at most once a second. */
static void describe(Output *output, uint64_t address, char *ret, size_t size)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		*ret = '\0';
		if (output->symbols != NULL &&
		    bpcond_symbols_describe(output->symbols, address, ret, size) == 0)
			return;
		if (monotonic_ms() - output->symbols_time < 1000)
			break;
		look_at_modules(output);
	}
	*ret = '\0';
}

void output_start(Output *output, bool json, pid_t pid)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	*output = (Output){
		.json = json,
		.pid = pid,
		.start = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
		.live = isatty(STDERR_FILENO) == 1,
		.live_time = monotonic_ms(),
	};
	/* Now, while the target is there: a short program can be gone when its hits are shown. */
	if (!json)
		look_at_modules(output);
}

void output_clear(Output *output)
{
	output_interrupt_live();
	output->symbols = bpcond_symbols_free(output->symbols);
}

static void print_address(Output *output, uint64_t address)
{
	char symbol[512];

	describe(output, address, symbol, sizeof(symbol));
	printf("0x%" PRIx64, address);
	if (*symbol != '\0') {
		fputc(' ', stdout);
		print_safe(stdout, symbol);
	}
}

static void print_registers(const struct bpcond_hit *hit)
{
	unsigned column = 0;
	uint64_t value;

	for (int id = 0; id < BPCOND_REG_COUNT; id++) {
		if (bpcond_hit_register(hit, (enum bpcond_register)id, &value) < 0)
			continue;
		printf("%s%-8s 0x%016" PRIx64 "%s", column == 0 ? "    " : "  ",
		       bpcond_register_name((enum bpcond_register)id), value,
		       column == 2 ? "\n" : "");
		column = (column + 1) % 3;
	}
	if (column != 0)
		fputc('\n', stdout);
}

static void print_memory(const bpcond_piece *piece)
{
	const unsigned char *bytes = piece->bytes;

	if (piece->read == 0)
		printf("    0x%" PRIx64 "  could not be read\n", piece->at);
	for (uint32_t line = 0; line < piece->read; line += 16) {
		printf("    0x%" PRIx64 " ", piece->at + line);
		for (uint32_t i = line; i < line + 16; i++) {
			if (i < piece->read)
				printf(" %02x", bytes[i]);
			else
				fputs("   ", stdout);
		}
		fputs("  |", stdout);
		for (uint32_t i = line; i < line + 16 && i < piece->read; i++)
			fputc(bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.', stdout);
		fputs("|\n", stdout);
	}
	if (piece->read > 0 && piece->read < piece->length)
		printf("    only %" PRIu32 " of %" PRIu32 " bytes could be read\n", piece->read,
		       piece->length);
}

static void print_hit(Output *output, const struct bpcond_hit *hit)
{
	uint64_t since = hit->time > output->start ? hit->time - output->start : 0;
	const uint64_t *stack;
	bpcond_piece piece;
	uint64_t rip;
	size_t n;

	printf("#%-6llu %4" PRIu64 ".%06" PRIu64 " s  tid %-7u cpu %-3u ",
	       (unsigned long long)hit->sequence, since / 1000000000, since % 1000000000 / 1000,
	       hit->tid, hit->cpu);
	print_address(output, hit->address);
	/* Of a data breakpoint the interesting place is who did it. */
	if (bpcond_hit_register(hit, BPCOND_REG_RIP, &rip) == 0 && rip != hit->address) {
		fputs("  by ", stdout);
		print_address(output, rip);
	}
	if (hit->flags & BPCOND_HIT_FAULT)
		fputs("  [fault: the condition could not be computed]", stdout);
	if (hit->flags & BPCOND_HIT_FROM_KERNEL)
		fputs("  [by the kernel]", stdout);
	if (hit->flags & BPCOND_HIT_UNSIGNALLED)
		fputs("  [the signal could not be sent]", stdout);
	fputc('\n', stdout);

	print_registers(hit);
	for (unsigned i = 0; bpcond_hit_memory(hit, i, &piece) == 0; i++)
		print_memory(&piece);
	n = bpcond_hit_stack(hit, &stack);
	for (size_t i = 0; i < n; i++) {
		printf("    %3zu  ", i);
		print_address(output, stack[i]);
		fputc('\n', stdout);
	}
}

int output_hit(Output *output, const struct bpcond_hit *hit)
{
	char *json;
	int r;

	if (live_shown && isatty(STDOUT_FILENO))
		output_interrupt_live();
	if (output->json) {
		r = bpcond_hit_to_json(hit, &json);
		if (r < 0)
			return r;
		puts(json);
		free(json);
	} else {
		print_hit(output, hit);
	}
	return ferror(stdout) ? -EIO : 0;
}

/* ---- The live line --------------------------------------------------------------------------- */

void output_interrupt_live(void)
{
	if (!live_shown)
		return;
	fputs("\r\033[K", stderr);
	live_shown = false;
}

static void show_live(const Output *output)
{
	fflush(stdout);
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

static void print_json_count(const char *name, uint64_t value, bool known, const char *before)
{
	if (known)
		printf("%s\"%s\":%" PRIu64, before, name, value);
	else
		printf("%s\"%s\":null", before, name);
}

static void print_json_summary(const bpcond_counts *counts, bool whole)
{
	print_json_count("traps", counts->traps, whole, "{\"summary\":{");
	print_json_count("evaluated", counts->evaluated, true, ",");
	print_json_count("hits", counts->hits, true, ",");
	print_json_count("rejected", counts->rejected, true, ",");
	print_json_count("withheld", counts->withheld, true, ",");
	print_json_count("faults", counts->faults, true, ",");
	print_json_count("dropped", counts->dropped, true, ",");
	print_json_count("unsignalled", counts->unsignalled, true, ",");
	print_json_count("lost", counts->lost, whole, ",");
	puts("}}");
}

static void print_count(const char *name, uint64_t value, const char *note)
{
	printf("  %-12s %12" PRIu64 "%s%s\n", name, value, *note == '\0' ? "" : "   ", note);
}

void output_summary(Output *output, const bpcond_counts *counts, bool whole, const char *end)
{
	output_interrupt_live();
	if (output->json) {
		print_json_summary(counts, whole);
		fflush(stdout);
		return;
	}
	printf("%s\n", end);
	if (whole)
		print_count("traps", counts->traps, "");
	print_count("evaluated", counts->evaluated, "");
	print_count("hits", counts->hits, "");
	print_count("rejected", counts->rejected, "");
	/* What is mostly 0 is told when it is not. */
	if (counts->withheld > 0)
		print_count("withheld", counts->withheld,
			    "true, kept back by skip, every or limit");
	if (counts->faults > 0)
		print_count("faults", counts->faults, "the condition could not be computed");
	if (counts->dropped > 0)
		print_count("dropped", counts->dropped, "hits that found the ring full");
	if (counts->unsignalled > 0)
		print_count("unsignalled", counts->unsignalled, "hits whose signal was not sent");
	if (whole && counts->lost > 0)
		print_count("lost", counts->lost, "traps that the filter never saw");
	if (!whole)
		printf("  the daemon was gone before it could tell the number of traps\n");
	fflush(stdout);
}
