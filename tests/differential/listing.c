/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our disassembler against the kernel's: the verifier's log has each instruction as it walks it, in the
 * text that people know. Conditions of the table of corner cases and random ones are loaded, and every
 * line of the log is compared with ours.
 *
 *   listing [--seed S]
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include "condition/disassemble.h"
#include "tests/differential/generator.h"
#include "tests/differential/kernel.h"
#include "tests/differential/table.h"

enum {
	SKIPPED = 77,
	N_RANDOM = 60,
};

typedef struct Listing {
	Kernel *kernel;
	bool seen[256]; /* operation codes that were compared */
	unsigned long compared;
	unsigned int failures;
} Listing;

/* "12: (79) r1 = *(u64 *)(r6 +112)  ; R1_w=…" Return: false if the line is something else. */
static bool read_line(const char *line, size_t *ret_at, const char **ret_text)
{
	char *end;
	unsigned long at = strtoul(line, &end, 10);

	if (end == line || strncmp(end, ": (", 3) != 0 || !isxdigit((unsigned char)end[3]))
		return false;
	*ret_at = at;
	*ret_text = end + 2;
	return true;
}

static void compare(Listing *listing, const struct bpf_insn *code, size_t n, const char *line)
{
	size_t frame = kernel_frame_length(listing->kernel, 0), at;
	char ours[DISASSEMBLE_MAX_LINE];
	const char *theirs;

	if (!read_line(line, &at, &theirs) || at < frame)
		return;
	at -= frame;
	if (at >= n) {
		printf("the kernel walks instruction %zu of %zu\n", at, n);
		listing->failures++;
		return;
	}
	disassemble(code + at, n - at, ours, sizeof(ours));
	listing->seen[code[at].code] = true;
	listing->compared++;
	/* Behind ours there may be blanks and the verifier's remarks. */
	if (strncmp(ours, theirs, strlen(ours)) == 0 &&
	    strchr(" \n;", theirs[strlen(ours)]) != NULL)
		return;
	printf("ours: %s\nthe kernel's: %.*s\n", ours, (int)strcspn(theirs, "\n"), theirs);
	listing->failures++;
}

static void try_tree(Listing *listing, struct json_object *tree)
{
	ConditionScope scope = {CONDITION_FOR_DATA, world_parameter_names, WORLD_PARAMETERS};
	ConditionError error;
	Condition *condition = NULL;
	struct bpf_insn *code = NULL;
	size_t n = 0;
	int r;

	r = condition_from_json(tree, "$", &scope, &condition, &error);
	if (r == 0)
		r = condition_emit(condition, &code, &n);
	if (r == 0)
		r = kernel_trace(listing->kernel, code, n, 0);
	if (r != 0) {
		printf("not loaded: %s\n%s\n", r < 0 ? strerror(-r) : error.message,
		       json_object_to_json_string(tree));
		listing->failures++;
	}
	for (const char *line = r == 0 ? kernel_log(listing->kernel) : ""; *line != '\0';) {
		compare(listing, code, n, line);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	free(code);
	condition_free(condition);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc == 3 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	Listing listing = {0};
	unsigned int n_kinds = 0;
	Random random = {seed};
	int r;

	r = kernel_new(&listing.kernel);
	if (r < 0) {
		const char *must_work = getenv("BPCOND_MUST_WORK");

		printf("cannot create BPF maps: %s; run as root\n", strerror(-r));
		return must_work && strcmp(must_work, "1") == 0 ? 1 : SKIPPED;
	}
	printf("seed %" PRIu64 "\n", seed);
	for (size_t i = 0; i < table_n_cases; i++) {
		struct json_object *tree = json_tokener_parse(table_cases[i].condition);

		try_tree(&listing, tree);
		json_object_put(tree);
	}
	for (int i = 0; i < N_RANDOM; i++) {
		struct json_object *tree =
			generate_condition(&random, CONDITION_FOR_DATA, 60, i % 2);

		try_tree(&listing, tree);
		json_object_put(tree);
	}
	kernel_free(listing.kernel);
	for (int code = 0; code < 256; code++)
		n_kinds += listing.seen[code];
	printf("%lu lines of %u kinds of instruction, %u wrong\n", listing.compared, n_kinds,
	       listing.failures);
	return listing.failures > 0 || n_kinds < 30 ? 1 : 0;
}
