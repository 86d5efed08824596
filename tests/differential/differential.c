/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiler against the reference evaluator: random conditions in random worlds must give the same
 * verdict in both, and random expressions the same values. A difference is printed with its seed, its
 * smallest subtree that still differs, and its world; it then becomes a line of regressions.json, all
 * of which are tried first.
 *
 *   differential [--cases N] [--seed S] [--nodes N] [--regressions FILE]
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
#include "tests/differential/world.h"

enum {
	WORLDS_A_TREE = 24,
	VALUES_EVERY = 8, /* one tree in so many is also tried as values */
	SKIPPED = 77,
};

typedef struct Run {
	Kernel *kernel;
	Random random;
	uint64_t seed;
	uint64_t cases;
	uint64_t trees;
	uint64_t verdicts[3];
	unsigned int max_nodes;
	unsigned int most_processed;
} Run;

static Condition *parse(struct json_object *tree, ConditionUse use)
{
	ConditionScope scope = {use, world_parameter_names, WORLD_PARAMETERS};
	ConditionError error;
	Condition *condition = NULL;
	int r;

	r = condition_from_json(tree, "$", &scope, &condition, &error);
	if (r == 1)
		printf("refused: %s: %s\n%s\n", error.path, error.message,
		       json_object_to_json_string(tree));
	else if (r < 0)
		printf("%s\n", strerror(-r));
	return condition;
}

/* Return: the program's descriptor, or a negative errno. */
static int load_condition(Run *run, const Condition *condition, bool as_value)
{
	unsigned int processed = 0;
	struct bpf_insn *code;
	size_t n;
	int r;

	if (as_value)
		r = condition_emit_values(&condition, 1, &code, &n);
	else
		r = condition_emit(condition, &code, &n);
	if (r < 0)
		return r;
	r = kernel_load(run->kernel, code, n, as_value ? 1 : 0, &processed);
	free(code);
	if (processed > run->most_processed)
		run->most_processed = processed;
	return r;
}

typedef struct Outcome {
	uint64_t verdict; /* as values: the mask */
	uint64_t value;
} Outcome;

/* Return: 0, or a negative errno. *ret[0] is the evaluator's, *ret[1] the kernel's. */
static int run_both(Run *run, const Condition *condition, int fd, bool as_value, const World *world,
		    Outcome ret[2])
{
	uint64_t values[KERNEL_MAX_VALUES];
	int r;

	ret[0] = ret[1] = (Outcome){0};
	r = kernel_run(run->kernel, fd, &world->world, WORLD_PARAMETERS, &ret[1].verdict, values);
	if (r < 0)
		return r;
	if (!as_value) {
		ret[0].verdict = condition_evaluate(condition, &world->world);
		return 0;
	}
	ret[1].value = values[0];
	if (condition_evaluate_value(condition, &world->world, &ret[0].value) != 0)
		ret[0] = (Outcome){1, 0};
	return 0;
}

static bool differs(Run *run, struct json_object *tree, ConditionUse use, bool as_value,
		    const World *world)
{
	Condition *condition = parse(tree, use);
	Outcome outcomes[2];
	bool different;
	int fd;

	if (!condition)
		return false;
	fd = load_condition(run, condition, as_value);
	different = fd < 0 || run_both(run, condition, fd, as_value, world, outcomes) < 0 ||
		    memcmp(&outcomes[0], &outcomes[1], sizeof(outcomes[0])) != 0;
	if (fd >= 0)
		close(fd);
	condition_free(condition);
	return different;
}

static bool is_expression(struct json_object *value)
{
	return json_object_get_type(value) == json_type_object;
}

/* The smallest part that still differs, looked for from the top down. */
static struct json_object *shrink(Run *run, struct json_object *tree, ConditionUse use,
				  bool as_value, const World *world)
{
	json_object_object_foreach(tree, key, operands)
	{
		(void)key;
		if (is_expression(operands) && differs(run, operands, use, as_value, world))
			return shrink(run, operands, use, as_value, world);
		if (json_object_get_type(operands) != json_type_array)
			continue;
		for (size_t i = 0; i < json_object_array_length(operands); i++) {
			struct json_object *operand = json_object_array_get_idx(operands, i);

			if (is_expression(operand) && differs(run, operand, use, as_value, world))
				return shrink(run, operand, use, as_value, world);
		}
	}
	return tree;
}

static void report(Run *run, struct json_object *tree, ConditionUse use, bool as_value,
		   const World *world, const Outcome outcomes[2])
{
	printf("DIFFERENT with --seed %" PRIu64 ", tree %" PRIu64 "%s, use %d\n%s\n", run->seed,
	       run->trees, as_value ? ", as a value" : "", use,
	       json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN));
	printf("evaluator %" PRIu64 " (0x%" PRIx64 "), kernel %" PRIu64 " (0x%" PRIx64 ")\n",
	       outcomes[0].verdict, outcomes[0].value, outcomes[1].verdict, outcomes[1].value);
	printf("smallest part: %s\n",
	       json_object_to_json_string_ext(shrink(run, tree, use, as_value, world),
					      JSON_C_TO_STRING_PLAIN));
	world_print(world);
}

/* Return: whether all worlds agree. */
static bool try_tree(Run *run, struct json_object *tree, ConditionUse use, bool as_value)
{
	Condition *condition = parse(tree, use);
	bool good = true;
	int fd;

	if (!condition)
		return false;
	fd = load_condition(run, condition, as_value);
	if (fd < 0) {
		printf("NOT LOADED with --seed %" PRIu64 ", tree %" PRIu64 "%s: %s\n%s\n%s\n",
		       run->seed, run->trees, as_value ? ", as a value" : "", strerror(-fd),
		       json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN),
		       kernel_log(run->kernel));
		good = false;
	}
	for (int i = 0; i < WORLDS_A_TREE && good; i++) {
		Outcome outcomes[2];
		World world;
		int r;

		world_make(&world, &run->random);
		r = run_both(run, condition, fd, as_value, &world, outcomes);
		if (r < 0) {
			printf("cannot run: %s\n", strerror(-r));
			good = false;
			break;
		}
		run->cases++;
		if (!as_value)
			run->verdicts[outcomes[0].verdict]++;
		if (memcmp(&outcomes[0], &outcomes[1], sizeof(outcomes[0])) != 0) {
			report(run, tree, use, as_value, &world, outcomes);
			good = false;
		}
	}
	if (fd >= 0)
		close(fd);
	condition_free(condition);
	run->trees++;
	return good;
}

/* Several expressions in one program, which may share what they compute: each value, or 0 and its bit
 * in the mask. Return: whether all worlds agree. */
static bool try_values(Run *run, struct json_object *const trees[], size_t n, ConditionUse use)
{
	Condition *conditions[KERNEL_MAX_VALUES] = {NULL};
	struct bpf_insn *code = NULL;
	bool good = true;
	size_t n_code = 0;
	int fd = -1;

	for (size_t i = 0; i < n && good; i++) {
		conditions[i] = parse(trees[i], use);
		good = conditions[i] != NULL;
	}
	if (good &&
	    condition_emit_values((const Condition *const *)conditions, n, &code, &n_code) == 0)
		fd = kernel_load(run->kernel, code, n_code, n, NULL);
	good = fd >= 0;
	if (!good)
		printf("VALUES NOT LOADED with --seed %" PRIu64 "\n%s\n", run->seed,
		       kernel_log(run->kernel));
	for (int j = 0; j < WORLDS_A_TREE && good; j++) {
		uint64_t mask, expected_mask = 0, values[KERNEL_MAX_VALUES], expected;
		World world;

		world_make(&world, &run->random);
		good = kernel_run(run->kernel, fd, &world.world, WORLD_PARAMETERS, &mask, values) ==
		       0;
		for (size_t i = 0; i < n && good; i++) {
			if (condition_evaluate_value(conditions[i], &world.world, &expected) != 0) {
				expected = 0;
				expected_mask |= 1u << i;
			}
			good = values[i] == expected;
		}
		good = good && mask == expected_mask;
		run->cases += n;
		if (!good) {
			printf("VALUES DIFFERENT with --seed %" PRIu64 "\n", run->seed);
			world_print(&world);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (!good)
			printf("%s\n",
			       json_object_to_json_string_ext(trees[i], JSON_C_TO_STRING_PLAIN));
		condition_free(conditions[i]);
	}
	if (fd >= 0)
		close(fd);
	free(code);
	run->trees += n;
	return good;
}

static bool try_random_values(Run *run)
{
	struct json_object *trees[KERNEL_MAX_VALUES];
	size_t n = 2 + random_below(&run->random, KERNEL_MAX_VALUES - 1);
	ConditionUse use = random_below(&run->random, 3);
	bool good;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && random_one_in(&run->random, 4))
			trees[i] = json_object_get(trees[random_below(&run->random, i)]);
		else
			trees[i] = generate_condition(&run->random, use,
						      6 + random_below(&run->random, 20), false);
	}
	good = try_values(run, trees, n, use);
	for (size_t i = 0; i < n; i++)
		json_object_put(trees[i]);
	return good;
}

/* json-c's own reader stops at 32 levels, of which a condition has two for each of its own. */
static struct json_object *read_json(const char *file)
{
	struct json_object *list = NULL;
	struct json_tokener *tokener = json_tokener_new_ex(4 * CONDITION_MAX_DEPTH);
	FILE *stream = fopen(file, "re");
	char *text = NULL;
	size_t size = 0;

	if (stream && getdelim(&text, &size, '\0', stream) > 0)
		list = json_tokener_parse_ex(tokener, text, strlen(text) + 1);
	if (stream)
		fclose(stream);
	free(text);
	json_tokener_free(tokener);
	return list;
}

static bool try_regressions(Run *run, const char *file)
{
	struct json_object *list = read_json(file);
	bool good = true;

	if (!list || json_object_get_type(list) != json_type_array) {
		printf("%s is no JSON array of conditions\n", file);
		json_object_put(list);
		return false;
	}
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		struct json_object *use = json_object_object_get(entry, "use");
		struct json_object *tree = json_object_object_get(entry, "condition");

		for (int times = 0; times < 10 && good; times++)
			good = try_tree(run, tree, json_object_get_int(use), times % 2 == 1);
	}
	json_object_put(list);
	return good;
}

static bool try_random(Run *run, uint64_t cases)
{
	bool good = true;

	while (run->cases < cases && good) {
		unsigned int nodes = 6 + random_below(&run->random, 40);
		bool as_value = random_one_in(&run->random, VALUES_EVERY);
		ConditionUse use = random_below(&run->random, 3);
		struct json_object *tree;

		if (random_one_in(&run->random, 20)) {
			good = try_random_values(run);
			continue;
		}
		if (random_one_in(&run->random, 10))
			nodes = 6 + random_below(&run->random, run->max_nodes - 6);
		tree = generate_condition(&run->random, use, nodes, !as_value);
		good = try_tree(run, tree, use, as_value);
		json_object_put(tree);
	}
	return good;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"cases", required_argument, NULL, 'c'},
		{"seed", required_argument, NULL, 's'},
		{"nodes", required_argument, NULL, 'n'},
		{"regressions", required_argument, NULL, 'r'},
		{0},
	};
	const char *regressions = NULL;
	uint64_t cases = 200000;
	Run run = {.max_nodes = 240};
	bool good = true;
	int option, r;

	run.seed = time(NULL) ^ (uint64_t)getpid() << 32;
	for (;;) {
		option = getopt_long(argc, argv, "", options, NULL);
		if (option < 0)
			break;
		switch (option) {
		case 'c':
			cases = strtoull(optarg, NULL, 0);
			break;
		case 's':
			run.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			run.max_nodes = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			regressions = optarg;
			break;
		default:
			return 2;
		}
	}
	run.random.state = run.seed;
	printf("seed %" PRIu64 "\n", run.seed);
	r = kernel_new(&run.kernel);
	if (r < 0) {
		const char *must_work = getenv("BPCOND_MUST_WORK");

		printf("cannot create BPF maps: %s; run as root\n", strerror(-r));
		return must_work && strcmp(must_work, "1") == 0 ? 1 : SKIPPED;
	}
	r = arena_map(&run.random);
	if (r < 0) {
		printf("cannot map the arena: %s\n", strerror(-r));
		return 1;
	}
	if (regressions)
		good = try_regressions(&run, regressions);
	if (good)
		good = try_random(&run, cases);
	kernel_free(run.kernel);
	printf("%" PRIu64 " cases of %" PRIu64 " conditions: %" PRIu64 " false, %" PRIu64
	       " true, %" PRIu64 " faults; at most %u instructions verified\n",
	       run.cases, run.trees, run.verdicts[CONDITION_FALSE], run.verdicts[CONDITION_TRUE],
	       run.verdicts[CONDITION_FAULT], run.most_processed);
	return good ? 0 : 1;
}
