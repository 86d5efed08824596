/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every condition within the limits must load, and verification must cost in proportion to the code:
 * shapes that are at the limits of nodes, depth and text, and those by which a verifier that follows
 * each combination of branches would be led to follow them all. Each is loaded into the kernel; what
 * the verifier walked is compared with the length of the code, and what emitting costs with a bound.
 *
 *   limits [--seed S] [--random N] [--verbose]
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include "tests/differential/generator.h"
#include "tests/differential/kernel.h"
#include "tests/differential/shapes.h"
#include "tests/differential/world.h"

enum {
	SKIPPED = 77,
	/* Both sides of a jump are walked, and the way after it again until states are compared. */
	MAX_WALKS_AN_INSTRUCTION = 6,
	MAX_EMIT_NANOSECONDS = 5000000,
	SPARE_INSTRUCTIONS = 200, /* the frame around the code */
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

typedef struct Limits {
	Kernel *kernel;
	bool verbose;
	unsigned int failures;
	double most_walks;
	unsigned int most_instructions, most_processed;
} Limits;

/* Emits and loads the condition: as a verdict, or as so many values. */
static void try_code(Limits *limits, const char *shape, const Condition *condition, size_t n_values,
		     struct json_object *tree)
{
	const Condition *const same[KERNEL_MAX_VALUES] = {condition, condition, condition,
							  condition, condition, condition,
							  condition, condition};
	struct bpf_insn *code = NULL;
	unsigned int processed = 0;
	uint64_t start, loaded = 0, emitted = UINT64_MAX;
	size_t n = 0;
	uint64_t most_emit = MAX_EMIT_NANOSECONDS * (n_values ? n_values : 1);
	double walks;
	int r = 0;

	/* The best of a few: what it costs, not what else the machine does. */
	for (int i = 0; i < 5 && r == 0; i++) {
		free(code);
		start = now();
		if (n_values == 0)
			r = condition_emit(condition, &code, &n);
		else
			r = condition_emit_values(same, n_values, &code, &n);
		if (now() - start < emitted)
			emitted = now() - start;
	}
	if (r == 0)
		r = kernel_load(limits->kernel, code, n, n_values, &processed);
	if (r >= 0) {
		close(r);
		start = now();
		r = kernel_load(limits->kernel, code, n, n_values, NULL);
		loaded = now() - start;
	}
	walks = n ? (double)processed / (n + SPARE_INSTRUCTIONS) : 0;
	if (limits->verbose)
		printf("%-28s %zu %6zu instructions, %7u verified (%.1f), emitted in %" PRIu64
		       " us, loaded in %" PRIu64 " us\n",
		       shape, n_values, n, processed, walks, emitted / 1000, loaded / 1000);
	if (r < 0 || walks > MAX_WALKS_AN_INSTRUCTION || emitted > most_emit) {
		const char *log = kernel_log(limits->kernel);
		size_t n_log = strlen(log);

		printf("FAILED %s, %zu values: %s, %.1f walks an instruction, emitted in %" PRIu64
		       " us\n%s\n%s\n",
		       shape, n_values, r < 0 ? strerror(-r) : "loaded", walks, emitted / 1000,
		       json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN),
		       r < 0 ? log + (n_log > 2000 ? n_log - 2000 : 0) : "");
		limits->failures++;
	}
	if (walks > limits->most_walks)
		limits->most_walks = walks;
	if (n > limits->most_instructions)
		limits->most_instructions = n;
	if (processed > limits->most_processed)
		limits->most_processed = processed;
	if (r >= 0)
		close(r);
	free(code);
}

static void try_tree(Limits *limits, const char *shape, struct json_object *tree)
{
	ConditionScope scope = {CONDITION_FOR_DATA, world_parameter_names, WORLD_PARAMETERS};
	ConditionError error = {0};
	Condition *condition = NULL;
	int r;

	r = condition_from_json(tree, "$", &scope, &condition, &error);
	if (r != 0) {
		printf("FAILED %s: refused: %s: %s\n", shape, error.path, error.message);
		limits->failures++;
		return;
	}
	try_code(limits, shape, condition, 0, tree);
	if (!(condition_needs(condition) & CONDITION_NEEDS_SCRATCH)) {
		try_code(limits, shape, condition, 1, tree);
		try_code(limits, shape, condition, KERNEL_MAX_VALUES, tree);
	}
	condition_free(condition);
}

static struct json_object *parse(const char *text)
{
	struct json_tokener *tokener = json_tokener_new_ex(4 * CONDITION_MAX_DEPTH);
	struct json_object *tree = json_tokener_parse_ex(tokener, text, strlen(text) + 1);

	json_tokener_free(tokener);
	return tree;
}

static void try_shape(Limits *limits, const Shape *shape)
{
	Text text = {.size = 1 << 17};
	struct json_object *tree;

	text.at = malloc(text.size);
	if (!text.at)
		abort();
	shape->write(&text);
	tree = parse(text.at);
	if (tree) {
		try_tree(limits, shape->name, tree);
	} else {
		printf("FAILED %s: no JSON: %s\n", shape->name, text.at);
		limits->failures++;
	}
	json_object_put(tree);
	free(text.at);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"random", required_argument, NULL, 'n'},
		{"verbose", no_argument, NULL, 'v'},
		{0},
	};
	uint64_t seed = time(NULL) ^ (uint64_t)getpid() << 32;
	unsigned int n_random = 400;
	Limits limits = {0};
	Random random;
	int option, r;

	for (;;) {
		option = getopt_long(argc, argv, "", options, NULL);
		if (option < 0)
			break;
		if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (option == 'n')
			n_random = strtoul(optarg, NULL, 0);
		else if (option == 'v')
			limits.verbose = true;
		else
			return 2;
	}
	r = kernel_new(&limits.kernel);
	if (r < 0) {
		const char *must_work = getenv("BPCOND_MUST_WORK");

		printf("cannot create BPF maps: %s; run as root\n", strerror(-r));
		return must_work && strcmp(must_work, "1") == 0 ? 1 : SKIPPED;
	}
	for (size_t i = 0; i < n_shapes; i++)
		try_shape(&limits, &shapes[i]);

	printf("seed %" PRIu64 "\n", seed);
	random.state = seed;
	for (unsigned int i = 0; i < n_random; i++) {
		struct json_object *tree =
			generate_condition(&random, CONDITION_FOR_DATA, 250, i % 2);

		try_tree(&limits, "random", tree);
		json_object_put(tree);
	}
	kernel_free(limits.kernel);
	printf("%zu shapes and %u random trees: at most %u instructions, %u verified, %.1f walks "
	       "an "
	       "instruction\n",
	       n_shapes, n_random, limits.most_instructions, limits.most_processed,
	       limits.most_walks);
	return limits.failures > 0 ? 1 : 0;
}
