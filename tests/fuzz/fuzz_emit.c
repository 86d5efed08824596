/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generated code in the kernel. An input is the tree of a condition, or an array of up to eight
 * expressions that one function computes. What is within our limits
 *  - must load: the verifier's refusal is a fault of the compiler;
 *  - must be verified in proportion to its length;
 *  - must give the reference evaluator's verdict and values in every world.
 *
 * Needs root, or CAP_BPF and CAP_PERFMON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include "json/strict_json.h"
#include "tests/differential/kernel.h"
#include "tests/differential/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	MAX_JSON_DEPTH = 120,
	WORLDS = 8,
	SKIPPED = 77,
	/* As in tests/differential/limits.c. */
	MAX_WALKS_AN_INSTRUCTION = 6,
	SPARE_INSTRUCTIONS = 200,
	LOWEST_MAPPING = 4096,
};

#define USER_END (1ull << 47)

static Kernel *kernel;

__attribute__((noreturn)) static void found(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "%s\n", what);
	abort();
}

/* The counter exists in lent filters only, watched memory in data breakpoints only. */
static Condition *parse(struct json_object *tree)
{
	ConditionScope scope = {CONDITION_FOR_DATA, world_parameter_names, WORLD_PARAMETERS};
	ConditionError error;
	Condition *condition = NULL;

	if (condition_from_json(tree, "$", &scope, &condition, &error) == 0)
		return condition;
	scope.use = CONDITION_FOR_LENT;
	if (condition_from_json(tree, "$", &scope, &condition, &error) == 0)
		return condition;
	return NULL;
}

/* Return: the program's descriptor. */
static int load(const struct bpf_insn *code, size_t n, size_t n_values)
{
	unsigned int processed;
	int fd;

	fd = kernel_load(kernel, code, n, n_values, &processed);
	if (fd < 0) {
		const char *log = kernel_log(kernel);
		size_t n_log = strlen(log);

		fprintf(stderr, "%s\n%s\n", strerror(-fd), log + (n_log > 2000 ? n_log - 2000 : 0));
		found("the verifier refuses the code");
	}
	if (processed > MAX_WALKS_AN_INSTRUCTION * (n + SPARE_INSTRUCTIONS)) {
		fprintf(stderr, "%zu instructions, %u walked\n", n, processed);
		found("verification is not linear");
	}
	return fd;
}

/*
 * Watches what the evaluator reads. Far from the arena this process may have mappings that the world
 * does not know of (a sanitizer's shadow memory spans much of the address space); after a read there
 * the evaluator's word cannot be held against the kernel's.
 */
typedef struct Reader {
	int (*read_memory)(void *userdata, uint64_t address, void *buffer, size_t length);
	bool astray;
} Reader;

static int read_watched(void *userdata, uint64_t address, void *buffer, size_t length)
{
	Reader *reader = userdata;
	bool reserved = address - (ARENA_START - ARENA_GUARD) < 2 * ARENA_GUARD;
	bool mappable = address < USER_END && address + length > LOWEST_MAPPING;

	if (mappable && !reserved)
		reader->astray = true;
	return reader->read_memory(NULL, address, buffer, length);
}

static void make_world(World *world, Reader *reader, Random *random)
{
	world_make(world, random);
	*reader = (Reader){.read_memory = world->world.read_memory};
	world->world.read_memory = read_watched;
	world->world.userdata = reader;
}

static void run(int fd, const World *world, uint64_t *ret, uint64_t ret_values[KERNEL_MAX_VALUES])
{
	if (kernel_run(kernel, fd, &world->world, WORLD_PARAMETERS, ret, ret_values) < 0)
		found("cannot run");
}

static void fuzz_verdict(const Condition *condition, Random *random)
{
	struct bpf_insn *code;
	uint64_t verdict;
	Reader reader;
	World world;
	int fd, expected;
	size_t n;

	if (condition_emit(condition, &code, &n) < 0)
		found("no code");
	fd = load(code, n, 0);
	free(code);
	for (int i = 0; i < WORLDS; i++) {
		make_world(&world, &reader, random);
		run(fd, &world, &verdict, NULL);
		expected = condition_evaluate(condition, &world.world);
		if (!reader.astray && verdict != (uint64_t)expected) {
			world_print(&world);
			printf("verdict of the kernel: %" PRIu64 "\n", verdict);
			found("another verdict");
		}
	}
	close(fd);
}

static void fuzz_values(const Condition *const conditions[], size_t n, Random *random)
{
	uint64_t mask, values[KERNEL_MAX_VALUES];
	struct bpf_insn *code;
	Reader reader;
	World world;
	size_t n_code;
	int fd;

	if (condition_emit_values(conditions, n, &code, &n_code) < 0)
		found("no code");
	fd = load(code, n_code, n);
	free(code);
	for (int i = 0; i < WORLDS; i++) {
		make_world(&world, &reader, random);
		run(fd, &world, &mask, values);
		for (size_t k = 0; k < n; k++) {
			uint64_t value = 0;
			bool faults =
				condition_evaluate_value(conditions[k], &world.world, &value) != 0;

			if (!reader.astray &&
			    (faults != (mask >> k & 1) || values[k] != (faults ? 0 : value))) {
				world_print(&world);
				found("another value");
			}
		}
	}
	close(fd);
}

static void fuzz_tree(struct json_object *tree, Random *random)
{
	Condition *condition = parse(tree);

	if (!condition)
		return;
	fuzz_verdict(condition, random);
	if (!(condition_needs(condition) & CONDITION_NEEDS_SCRATCH))
		fuzz_values((const Condition *const *)&condition, 1, random);
	condition_free(condition);
}

static void fuzz_trees(struct json_object *array, Random *random)
{
	const Condition *conditions[KERNEL_MAX_VALUES];
	Condition *owned[KERNEL_MAX_VALUES];
	size_t n = 0;

	for (size_t i = 0; i < json_object_array_length(array) && n < KERNEL_MAX_VALUES; i++) {
		owned[n] = parse(json_object_array_get_idx(array, i));
		conditions[n] = owned[n];
		if (owned[n] && condition_needs(owned[n]) & CONDITION_NEEDS_SCRATCH)
			owned[n] = condition_free(owned[n]);
		n += owned[n] != NULL;
	}
	if (n > 0)
		fuzz_values(conditions, n, random);
	for (size_t i = 0; i < n; i++)
		condition_free(owned[i]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *must_work = getenv("BPCOND_MUST_WORK");
	Random random = {1};
	int r;

	r = kernel_new(&kernel);
	if (r < 0) {
		fprintf(stderr, "cannot create BPF maps: %s; run as root\n", strerror(-r));
		exit(must_work && strcmp(must_work, "1") == 0 ? EXIT_FAILURE : SKIPPED);
	}
	if (arena_map(&random) < 0)
		found("cannot map the arena");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *tree = NULL;
	Random random = {size};
	JsonError error;

	if (json_parse_strict((const char *)data, size, MAX_JSON_DEPTH, &tree, &error) != 0)
		return 0;
	for (size_t i = 0; i < size; i++)
		random.state = random.state * 31 + data[i];
	if (json_object_get_type(tree) == json_type_array)
		fuzz_trees(tree, &random);
	else
		fuzz_tree(tree, &random);
	json_object_put(tree);
	return 0;
}
