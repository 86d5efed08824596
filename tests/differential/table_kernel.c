/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of corner cases, each compiled and run in the kernel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/bpf.h>

#include "tests/differential/kernel.h"
#include "tests/differential/registers.h"
#include "tests/differential/table.h"

enum {
	SKIPPED = 77,
};

/* Return: the verdict, or a negative errno. */
static int run(Kernel *kernel, const Condition *condition, const World *world)
{
	struct bpf_insn *code;
	uint64_t verdict;
	size_t n;
	int r, fd;

	r = condition_emit(condition, &code, &n);
	if (r < 0)
		return r;
	fd = kernel_load(kernel, code, n, 0, NULL);
	free(code);
	if (fd < 0) {
		printf("%s\n", kernel_log(kernel));
		return fd;
	}
	r = kernel_run(kernel, fd, &world->world, WORLD_PARAMETERS, &verdict, NULL);
	close(fd);
	return r < 0 ? r : (int)verdict;
}

static bool try_tree(Kernel *kernel, const TableCase *table_case, const char *text,
		     const World *world)
{
	ConditionScope scope = {CONDITION_FOR_DATA, world_parameter_names, WORLD_PARAMETERS};
	struct json_object *tree = json_tokener_parse(text);
	Condition *condition = NULL;
	ConditionError error = {0};
	int verdict = -1;

	if (condition_from_json(tree, "$", &scope, &condition, &error) == 0)
		verdict = run(kernel, condition, world);
	if (verdict != table_case->verdict)
		printf("%s is %d, should be %d %s\n", text, verdict, table_case->verdict,
		       error.message);
	condition_free(condition);
	json_object_put(tree);
	return verdict == table_case->verdict;
}

/* The same in a condition of so many texts that a function compares them. */
static bool try_among_texts(Kernel *kernel, const TableCase *table_case, const World *world)
{
	size_t size = strlen(table_case->condition) + 1024, n = 0;
	char *text = malloc(size);
	bool ok;

	if (!text)
		abort();
	n += (size_t)snprintf(text, size, "{\"if\":[{\"==\":[{\"var\":\"tid\"},-1]},{\"or\":[");
	for (int i = 0; i <= CONDITION_FEW_TEXTS; i++)
		n += (size_t)snprintf(text + n, size - n,
				      "%s{\"string-equals\":[{\"reg\":\"" RDI "\"},\"text %d\"]}",
				      i == 0 ? "" : ",", i);
	snprintf(text + n, size - n, "]},%s]}", table_case->condition);
	ok = try_tree(kernel, table_case, text, world);
	free(text);
	return ok;
}

int main(void)
{
	Random random = {1};
	Kernel *kernel;
	World world;
	int failures = 0, r;

	r = kernel_new(&kernel);
	if (r < 0) {
		const char *must_work = getenv("BPCOND_MUST_WORK");

		printf("cannot create BPF maps: %s; run as root\n", strerror(-r));
		return must_work && strcmp(must_work, "1") == 0 ? 1 : SKIPPED;
	}
	r = arena_map(&random);
	if (r < 0) {
		printf("cannot map the arena: %s\n", strerror(-r));
		return 1;
	}
	table_world(&world);
	for (size_t i = 0; i < table_n_cases; i++)
		failures += !try_tree(kernel, &table_cases[i], table_cases[i].condition, &world) +
			    !try_among_texts(kernel, &table_cases[i], &world);
	kernel_free(kernel);
	printf("%zu cases, %d wrong\n", table_n_cases, failures);
	return failures > 0 ? 1 : 0;
}
