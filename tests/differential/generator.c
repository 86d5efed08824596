/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grows a tree from a budget of nodes. Subtrees are now and then repeated, because what is computed
 * once for two places is where a compiler goes wrong; operands are drawn so that both outcomes of a
 * comparison, and addresses that can be read, are common.
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "condition/node.h"
#include "bpf/machine.h"
#include "tests/differential/generator.h"
#include "tests/differential/world.h"

enum {
	N_KEPT = 6,
	MANY_TEXTS_NODES = 40, /* with addresses of one node */
};

typedef struct Generator {
	Random *random;
	ConditionUse use;
	bool text;
	int budget;                       /* nodes that may still be made */
	size_t text_left;                 /* bytes */
	struct json_object *kept[N_KEPT]; /* subtrees to repeat */
	int kept_nodes[N_KEPT];
} Generator;

static struct json_object *expression(Generator *g, unsigned int depth);

static struct json_object *object(const char *key, struct json_object *value)
{
	struct json_object *made = json_object_new_object();

	json_object_object_add(made, key, value);
	return made;
}

static struct json_object *number(uint64_t bits, bool as_string)
{
	char text[24];

	if (as_string) {
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)bits);
		return json_object_new_string(text);
	}
	/* The same bits are two numbers. */
	if (bits > INT64_MAX && bits % 3 == 0)
		return json_object_new_uint64(bits);
	return json_object_new_int64((int64_t)bits);
}

static struct json_object *constant(Generator *g)
{
	g->budget--;
	return number(interesting_number(g->random), random_one_in(g->random, 3));
}

static struct json_object *any_register(Generator *g)
{
	unsigned int n = 0;

	while (register_at(n))
		n++;
	g->budget--;
	return object("reg", json_object_new_string(register_at(random_below(g->random, n))->name));
}

static struct json_object *pointer_register(Generator *g)
{
	static const char *const names[] = {
#if MACHINE_X86
		"rsi", "rdi", "rbp", "rsp",
#elif MACHINE_ARM64
		"x4", "x5", "x6", "x7",
#endif
	};

	g->budget--;
	return object("reg", json_object_new_string(names[random_below(g->random, 4)]));
}

static struct json_object *variable(Generator *g)
{
	unsigned int i;

	do
		i = random_below(g->random, VARIABLE_COUNT);
	while (!(variables[i].uses & 1u << g->use));
	g->budget--;
	return object("var", json_object_new_string(variables[i].name));
}

static struct json_object *leaf(Generator *g)
{
	switch (random_below(g->random, 8)) {
	case 0:
	case 1:
	case 2:
		return constant(g);
	case 3:
		return variable(g);
	case 4:
		g->budget--;
		return object(
			"param",
			json_object_new_string(
				world_parameter_names[random_below(g->random, WORLD_PARAMETERS)]));
	default:
		return any_register(g);
	}
}

static struct json_object *address(Generator *g, unsigned int depth)
{
	struct json_object *operands;

	switch (random_below(g->random, g->budget > 6 ? 8 : 4)) {
	case 0:
		g->budget--;
		return number(arena_address(g->random), true);
	case 4:
	case 5:
		g->budget--;
		operands = json_object_new_array();
		json_object_array_add(operands, pointer_register(g));
		json_object_array_add(operands, number(random_below(g->random, 40), false));
		g->budget--;
		return object("+", operands);
	case 6:
		return depth < CONDITION_MAX_DEPTH ? expression(g, depth) : pointer_register(g);
	default:
		return pointer_register(g);
	}
}

static struct json_object *type(Generator *g)
{
	return json_object_new_string(value_type_name(random_below(g->random, TYPE_COUNT)));
}

static struct json_object *load(Generator *g, unsigned int depth)
{
	struct json_object *made = object("load", type(g));

	g->budget--;
	json_object_object_add(made, "at", address(g, depth + 1));
	return made;
}

/* What stands in the arena, or nearly. */
static struct json_object *text_operand(Generator *g, bool hex)
{
	const char *phrase = world_phrases[random_below(g->random, WORLD_PHRASES)];
	size_t n = strlen(phrase);
	char text[64], digits[2 * sizeof(text) + 1];

	memcpy(text, phrase, n + 1);
	if (n > 0 && random_one_in(g->random, 4))
		n = random_below(g->random, n + 1);
	if (n > 0 && random_one_in(g->random, 4))
		text[random_below(g->random, n)] = 'x';
	g->text_left -= n;
	if (!hex)
		return json_object_new_string_len(text, n);
	for (size_t i = 0; i < n; i++)
		snprintf(digits + 2 * i, 3, "%02x", (unsigned char)text[i]);
	return json_object_new_string_len(digits, 2 * n);
}

static struct json_object *text(Generator *g, unsigned int depth)
{
	static const char *const keys[] = {"string-equals", "string-starts", "bytes-equal"};
	unsigned int i = random_below(g->random, 3);
	struct json_object *operands = json_object_new_array();

	g->budget--;
	json_object_array_add(operands, address(g, depth + 1));
	json_object_array_add(operands, text_operand(g, i == 2));
	return object(keys[i], operands);
}

/* So many that a function compares them. */
static struct json_object *many_texts(Generator *g)
{
	static const char *const keys[] = {"or", "and", "+", "^"};
	unsigned int n = CONDITION_FEW_TEXTS + 1 + random_below(g->random, 4);
	struct json_object *operands = json_object_new_array();

	g->budget -= (int)n + 1; /* their constants */
	for (unsigned int i = 0; i < n; i++)
		json_object_array_add(operands, text(g, 2));
	return object(keys[random_below(g->random, 4)], operands);
}

static struct json_object *registers(Generator *g, unsigned int depth)
{
	struct json_object *entries = json_object_new_object();
	unsigned int n = 1 + random_below(g->random, 4);

	g->budget--;
	for (unsigned int i = 0; i < n && (i == 0 || g->budget > 2); i++) {
		struct json_object *reg = any_register(g);
		const char *name = json_object_get_string(json_object_object_get(reg, "reg"));

		if (!json_object_object_get_ex(entries, name, NULL))
			json_object_object_add(entries, name,
					       number(random_below(g->random, 4), false));
		json_object_put(reg);
	}
	return object("registers", entries);
}

static struct json_object *many(Generator *g, NodeOp op, unsigned int depth)
{
	unsigned int n = operators[op].min_operands;
	struct json_object *operands = json_object_new_array();

	g->budget--;
	if (operators[op].max_operands > n) {
		unsigned int more = operators[op].max_operands > 3 ? 3 : 1;

		n += random_below(g->random, more + 1);
	}
	g->budget -= n; /* each operand is a node at least */
	for (unsigned int i = 0; i < n; i++) {
		g->budget++;
		json_object_array_add(operands, expression(g, depth + 1));
	}
	return object(operators[op].key, operands);
}

static struct json_object *as(Generator *g, unsigned int depth)
{
	struct json_object *made = object("as", type(g));

	g->budget--;
	json_object_object_add(made, "of", expression(g, depth + 1));
	return made;
}

static struct json_object *copy(struct json_object *tree)
{
	struct json_object *made = NULL;

	json_object_deep_copy(tree, &made, NULL);
	return made;
}

static unsigned int depth_of(struct json_object *tree)
{
	unsigned int deepest = 0, depth;

	if (json_object_get_type(tree) == json_type_object) {
		json_object_object_foreach(tree, key, value)
		{
			(void)key;
			depth = depth_of(value);
			deepest = depth > deepest ? depth : deepest;
		}
		return deepest + 1;
	}
	if (json_object_get_type(tree) == json_type_array) {
		for (size_t i = 0; i < json_object_array_length(tree); i++) {
			depth = depth_of(json_object_array_get_idx(tree, i));
			deepest = depth > deepest ? depth : deepest;
		}
		return deepest;
	}
	return 1;
}

/* Every part of it that is an operator, evenly. */
static NodeOp any_operator(Random *random)
{
	return NODE_ADD + random_below(random, NODE_MASKED - NODE_ADD + 1);
}

static struct json_object *grow(Generator *g, unsigned int depth)
{
	if (depth + 2 >= CONDITION_MAX_DEPTH || g->budget < 8 || random_one_in(g->random, 6))
		return leaf(g);
	switch (random_below(g->random, 12)) {
	case 0:
	case 1:
		return load(g, depth);
	case 2:
		return as(g, depth);
	case 3:
		return g->text && g->text_left > 64 ? text(g, depth) : load(g, depth);
	case 4:
		return registers(g, depth);
	default:
		return many(g, any_operator(g->random), depth);
	}
}

static struct json_object *expression(Generator *g, unsigned int depth)
{
	unsigned int slot = random_below(g->random, N_KEPT);
	struct json_object *made;
	int before = g->budget;

	if (g->kept[slot] && g->kept_nodes[slot] < g->budget - 4 && random_one_in(g->random, 4) &&
	    depth + depth_of(g->kept[slot]) <= CONDITION_MAX_DEPTH) {
		g->budget -= g->kept_nodes[slot];
		return copy(g->kept[slot]);
	}
	made = grow(g, depth);
	if (before - g->budget > 1 && before - g->budget < 30 && random_one_in(g->random, 3) &&
	    !strstr(json_object_to_json_string(made), "string") &&
	    !strstr(json_object_to_json_string(made), "bytes")) {
		json_object_put(g->kept[slot]);
		g->kept[slot] = copy(made);
		g->kept_nodes[slot] = before - g->budget;
	}
	return made;
}

struct json_object *generate_condition(Random *random, ConditionUse use, unsigned int max_nodes,
				       bool text)
{
	Generator g = {.random = random,
		       .use = use,
		       .text = text,
		       .budget = max_nodes,
		       .text_left = CONDITION_MAX_TEXT};
	struct json_object *made;

	if (text && max_nodes >= MANY_TEXTS_NODES && random_one_in(random, 16))
		made = many_texts(&g);
	else if (random_one_in(random, 30)) /* A leaf alone is seldom of interest. */
		made = expression(&g, 1);
	else
		made = many(&g, any_operator(random), 1);
	for (int i = 0; i < N_KEPT; i++)
		json_object_put(g.kept[i]);
	return made;
}
