/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * C's arithmetic, held against a C compiler: random expressions over variables of all integer types are
 * compiled by the compiler that built this (with -fwrapv) and run, and compiled by the text form to a
 * tree that the condition's reference evaluator runs, over the same values. Every value must be equal,
 * and every tree must survive the way to text and back.
 *
 * BPCOND_TEST_SEED and BPCOND_TEST_EXPRESSIONS choose other expressions; both are printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include <bpcond/bpcond.h>

#include "condition/condition.h"

enum {
	DEFAULT_SEED = 1,
	DEFAULT_EXPRESSIONS = 1500,
	WORLDS = 6,
	MAX_DEPTH = 4,
	MAX_EXPRESSION = 4096,
	ARRAY_LENGTH = 8,
};

#define MEMORY_BASE 0x10000u

/* The variables, in C and in the target's memory. An array has ARRAY_LENGTH elements. */
static const struct Variable {
	const char *name, *c_type;
	int size, is_signed, is_array;
	uint64_t address;
} VARIABLES[] = {
	{"uc", "unsigned char", 1, 0, 0, MEMORY_BASE},
	{"sc", "signed char", 1, 1, 0, MEMORY_BASE + 8},
	{"us", "unsigned short", 2, 0, 0, MEMORY_BASE + 16},
	{"ss", "short", 2, 1, 0, MEMORY_BASE + 24},
	{"ui", "unsigned", 4, 0, 0, MEMORY_BASE + 32},
	{"si", "int", 4, 1, 0, MEMORY_BASE + 40},
	{"ul", "unsigned long", 8, 0, 0, MEMORY_BASE + 48},
	{"sl", "long", 8, 1, 0, MEMORY_BASE + 56},
	{"ai", "int", 4, 1, 1, MEMORY_BASE + 64},
	{"as", "unsigned short", 2, 0, 1, MEMORY_BASE + 128},
	{"al", "long", 8, 1, 1, MEMORY_BASE + 192},
};

enum {
	N_VARIABLES = sizeof(VARIABLES) / sizeof(VARIABLES[0]),
	N_SCALARS = 8,
	MEMORY_SIZE = 256,
};

/* ---- Random numbers and expressions ----------------------------------------------------------- */

/* xorshift64*: the same sequence everywhere. */
static uint64_t state;

static uint64_t any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned n)
{
	return (unsigned)((any() >> 33) % n);
}

typedef struct Text {
	char text[MAX_EXPRESSION];
	size_t length;
} Text;

__attribute__((format(printf, 2, 3))) static void add(Text *text, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text->text + text->length, sizeof(text->text) - text->length, format, list);
	va_end(list);
	text->length += (size_t)n;
	if (text->length >= sizeof(text->text)) {
		fprintf(stderr, "an expression is longer than %d bytes\n", MAX_EXPRESSION);
		exit(EXIT_FAILURE);
	}
}

static void add_constant(Text *text)
{
	static const char *const CONSTANTS[] = {
		"0",
		"1",
		"-1",
		"2",
		"127",
		"128",
		"255",
		"256",
		"32767",
		"32768",
		"65535",
		"65536",
		"2147483647",
		"0x7fffffff",
		"2147483648",
		"0xffffffff",
		"4294967296",
		"0u",
		"1u",
		"-1u",
		"1l",
		"-1l",
		"1ul",
		"-1ul",
		"0x8000000000000000",
		"9223372036854775807",
		"(-9223372036854775807 - 1)",
		"'a'",
		"'\\377'",
		"0x80000000",
		"(-2147483647 - 1)",
	};

	add(text, "%s", CONSTANTS[below(sizeof(CONSTANTS) / sizeof(CONSTANTS[0]))]);
}

static const char *any_type(void)
{
	static const char *const TYPES[] = {
		"unsigned char",      "signed char", "char",          "unsigned short", "short int",
		"unsigned",           "int",         "unsigned long", "long",           "long long",
		"unsigned long long", "_Bool",
	};

	return TYPES[below(sizeof(TYPES) / sizeof(TYPES[0]))];
}

static void add_expression(Text *text, unsigned depth);

static void add_leaf(Text *text)
{
	unsigned kind = below(10);
	const struct Variable *array = &VARIABLES[N_SCALARS + below(N_VARIABLES - N_SCALARS)];

	if (kind < 6)
		add(text, "%s", VARIABLES[below(N_SCALARS)].name);
	else if (kind < 8)
		add_constant(text);
	else if (kind < 9)
		add(text, "%s[%u]", array->name, below(ARRAY_LENGTH));
	else
		add(text, "*(%s + %u)", array->name, below(ARRAY_LENGTH));
}

/* An index into an array. */
static void add_index(Text *text, unsigned depth)
{
	add(text, "((");
	add_expression(text, depth);
	add(text, ") & %d)", ARRAY_LENGTH - 1);
}

static void add_pointer_expression(Text *text, unsigned depth)
{
	const char *name = VARIABLES[N_SCALARS + below(N_VARIABLES - N_SCALARS)].name;

	switch (below(4)) {
	case 0:
		add(text, "%s[", name);
		add_index(text, depth);
		add(text, "]");
		return;
	case 1:
		add(text, "*(");
		add_index(text, depth);
		add(text, " + %s)", name);
		return;
	case 2:
		add(text, "(&%s[", name);
		add_index(text, depth);
		add(text, "] - %s)", name);
		return;
	default:
		add(text, "(%s + ", name);
		add_index(text, depth);
		add(text, " %s &%s[", below(2) ? "<" : ">=", name);
		add_index(text, depth);
		add(text, "])");
	}
}

static void add_binary(Text *text, unsigned depth)
{
	static const char *const OPERATORS[] = {
		"+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "&&", "||",
	};
	bool enclosed = below(3) > 0;

	/* Without parentheses on both sides: precedence is part of the test. */
	if (enclosed)
		add(text, "(");
	add_expression(text, depth - 1);
	add(text, " %s ", OPERATORS[below(sizeof(OPERATORS) / sizeof(OPERATORS[0]))]);
	add_expression(text, depth - 1);
	if (enclosed)
		add(text, ")");
}

/* Division and shifts with right operands for which C defines the result. */
static void add_defined_binary(Text *text, unsigned depth)
{
	unsigned kind = below(6);

	add(text, kind == 5 ? "((long)(" : "((");
	add_expression(text, depth - 1);
	add(text, ") ");
	if (kind < 2) {
		add(text, "%s (((", below(2) ? "/" : "%");
		add_expression(text, depth - 1);
		add(text, ") & 0xff) | 1))");
	} else if (kind == 2) {
		add(text, "%s (-2 - ((", below(2) ? "/" : "%");
		add_expression(text, depth - 1);
		add(text, ") & 0xff)))");
	} else if (kind < 5) {
		add(text, "%s ((", below(2) ? "<<" : ">>");
		add_expression(text, depth - 1);
		add(text, ") & 31))");
	} else {
		add(text, "%s ((", below(2) ? "<<" : ">>");
		add_expression(text, depth - 1);
		add(text, ") & 63))");
	}
}

static void add_expression(Text *text, unsigned depth)
{
	static const char *const UNARY[] = {"-", "~", "!", "+"};
	unsigned kind = below(20);

	if (depth == 0) {
		add_leaf(text);
	} else if (kind < 9) {
		add_binary(text, depth);
	} else if (kind < 12) {
		add_defined_binary(text, depth);
	} else if (kind < 15) {
		add(text, "(%s)", any_type());
		add(text, below(2) ? "(" : "(+ ");
		add_expression(text, depth - 1);
		add(text, ")");
	} else if (kind < 17) {
		add(text, "%s(", UNARY[below(4)]);
		add_expression(text, depth - 1);
		add(text, ")");
	} else if (kind < 18) {
		add(text, "(");
		add_expression(text, depth - 1);
		add(text, " ? ");
		add_expression(text, depth - 1);
		add(text, " : ");
		add_expression(text, depth - 1);
		add(text, ")");
	} else if (kind < 19) {
		add_pointer_expression(text, depth - 1);
	} else if (below(4) == 0) {
		add(text, "sizeof(");
		add_expression(text, depth - 1);
		add(text, ")");
	} else {
		add_leaf(text);
	}
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Bits near the borders of the types, or any. */
static uint64_t any_value(void)
{
	static const uint64_t BORDERS[] = {
		0, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX,
	};

	if (below(3) == 0)
		return any();
	return BORDERS[below(sizeof(BORDERS) / sizeof(BORDERS[0]))] + below(4) - 1;
}

typedef struct World {
	unsigned char memory[MEMORY_SIZE];
} World;

static void fill_world(World *world)
{
	for (size_t i = 0; i < sizeof(world->memory); i += 8) {
		uint64_t value = any_value();

		memcpy(&world->memory[i], &value, sizeof(value));
	}
	/* Elements of arrays get borders of their own width. */
	for (size_t i = N_SCALARS; i < N_VARIABLES; i++) {
		for (size_t j = 0; j < ARRAY_LENGTH; j++) {
			uint64_t value = any_value();

			memcpy(&world->memory[VARIABLES[i].address - MEMORY_BASE +
					      j * (size_t)VARIABLES[i].size],
			       &value, (size_t)VARIABLES[i].size);
		}
	}
}

static int read_memory(void *userdata, uint64_t address, void *buffer, size_t length)
{
	const World *world = userdata;

	if (address < MEMORY_BASE || address + length > MEMORY_BASE + MEMORY_SIZE)
		return -EFAULT;
	memcpy(buffer, &world->memory[address - MEMORY_BASE], length);
	return 0;
}

/* ---- The compiler's side ---------------------------------------------------------------------- */

static void write_program(FILE *file, const Text *expressions, size_t n, const World *worlds)
{
	fprintf(file, "#include <stdio.h>\n#include <string.h>\n");
	for (size_t i = 0; i < N_VARIABLES; i++)
		fprintf(file, "static %s %s%s;\n", VARIABLES[i].c_type, VARIABLES[i].name,
			VARIABLES[i].is_array ? "[8]" : "");
	for (size_t i = 0; i < n; i++)
		fprintf(file, "static unsigned long f%zu(void) { return (unsigned long)(%s); }\n",
			i, expressions[i].text);
	fprintf(file, "static unsigned long (*const f[])(void) = {");
	for (size_t i = 0; i < n; i++)
		fprintf(file, "f%zu,", i);
	fprintf(file, "};\nstatic const unsigned char worlds[][%d] = {\n", MEMORY_SIZE);
	for (size_t i = 0; i < WORLDS; i++) {
		fprintf(file, "{");
		for (size_t j = 0; j < MEMORY_SIZE; j++)
			fprintf(file, "%u,", worlds[i].memory[j]);
		fprintf(file, "},\n");
	}
	fprintf(file, "};\nint main(void) {\nfor (int w = 0; w < %d; w++) {\n", WORLDS);
	for (size_t i = 0; i < N_VARIABLES; i++)
		fprintf(file, "memcpy(&%s, &worlds[w][%u], sizeof(%s));\n", VARIABLES[i].name,
			(unsigned)(VARIABLES[i].address - MEMORY_BASE), VARIABLES[i].name);
	fprintf(file,
		"for (int i = 0; i < %zu; i++) printf(\"%%lx\\n\", f[i]());\n}\nreturn 0; }\n", n);
}

static void remove_files(const char *directory)
{
	static const char *const NAMES[] = {"expressions.c", "expressions"};
	char path[64];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, NAMES[i]);
		unlink(path);
	}
	rmdir(directory);
}

/* Compiles and runs. Return: what the program prints, n * WORLDS values; NULL. */
static uint64_t *run_compiler(const char *directory, const Text *expressions, size_t n,
			      const World *worlds)
{
	uint64_t *values = calloc(n * WORLDS, sizeof(*values));
	char source[64], command[512];
	size_t read = 0;
	FILE *file;

	snprintf(source, sizeof(source), "%s/expressions.c", directory);
	snprintf(command, sizeof(command),
		 "%s -w -O0 -fwrapv -o %s/expressions %s && %s/expressions", TEST_CC, directory,
		 source, directory);
	file = fopen(source, "we");
	if (!file || !values) {
		perror(source);
		free(values);
		return NULL;
	}
	write_program(file, expressions, n, worlds);
	fclose(file);
	file = popen(command, "re");
	while (file && read < n * WORLDS && fscanf(file, "%" SCNx64, &values[read]) == 1)
		read++;
	if (file && pclose(file) == 0 && read == n * WORLDS)
		return values;
	fprintf(stderr, "%s: %zu of %zu values\n", command, read, n * WORLDS);
	free(values);
	return NULL;
}

/* ---- Our side -------------------------------------------------------------------------------- */

static int look_up(void *userdata, const char *name, bpcond_symbol *ret)
{
	for (size_t i = 0; i < N_VARIABLES; i++) {
		if (strcmp(VARIABLES[i].name, name) != 0)
			continue;
		ret->address = VARIABLES[i].address;
		ret->size = VARIABLES[i].size;
		ret->is_signed = VARIABLES[i].is_signed;
		ret->kind = VARIABLES[i].is_array ? BPCOND_SYMBOL_ARRAY : BPCOND_SYMBOL_INTEGER;
		return 0;
	}
	return -ENOENT;
}

static const bpcond_text_scope SCOPE = {.lookup = look_up};

static char *compile(const char *text)
{
	bpcond_text_error error;
	char *json;
	int r = bpcond_condition_from_text(text, &SCOPE, &json, &error);

	if (r == 0)
		return json;
	fprintf(stderr, "%s\n%d, column %u: %s\n", text, r, error.column, error.message);
	return NULL;
}

/* Return: NULL for a tree above the daemon's limits, which is nobody's fault. */
static Condition *parse(const char *json, bool *ret_failed)
{
	static const ConditionScope NOTHING = {.use = CONDITION_FOR_EXECUTE};
	struct json_object *tree = json_tokener_parse(json);
	Condition *condition = NULL;
	ConditionError error;
	int r = condition_from_json(tree, "$", &NOTHING, &condition, &error);

	*ret_failed = r != 0 && !strstr(error.message, "256") && !strstr(error.message, "32");
	if (*ret_failed)
		fprintf(stderr, "%s\n%s: %s\n", json, error.path, error.message);
	json_object_put(tree);
	return r == 0 ? condition : NULL;
}

static bool is_stable(const char *json)
{
	char *text = NULL, *again = NULL;
	int r = bpcond_condition_to_text(json, &text);
	bool same;

	if (r != 0) {
		fprintf(stderr, "%s\nhas no text: %d\n", json, r);
		return false;
	}
	again = compile(text);
	same = again && strcmp(json, again) == 0;
	if (!same)
		fprintf(stderr, "not stable: %s\n as text %s\n gives %s\n", json, text,
			again ? again : "nothing");
	free(again);
	free(text);
	return same;
}

/* Return: 0; 1 when it differs; -1 when it is too large to be judged. */
static int check_expression(const char *text, const World *worlds, const uint64_t *expected,
			    size_t stride)
{
	uint64_t registers[64] = {0};
	char *json = compile(text);
	Condition *condition;
	bool failed;

	if (!json || !is_stable(json)) {
		free(json);
		return 1;
	}
	condition = parse(json, &failed);
	for (size_t i = 0; condition && !failed && i < WORLDS; i++) {
		World world = worlds[i];
		ConditionWorld outside = {
			.registers = registers, .read_memory = read_memory, .userdata = &world};
		uint64_t value = 0;
		int r = condition_evaluate_value(condition, &outside, &value);

		failed = r != 0 || value != expected[i * stride];
		if (failed)
			fprintf(stderr,
				"%s\n%s\nworld %zu: 0x%" PRIx64 " (%d), the compiler 0x%" PRIx64
				"\n",
				text, json, i, value, r, expected[i * stride]);
	}
	free(json);
	if (failed) {
		condition_free(condition);
		return 1;
	}
	if (!condition)
		return -1;
	condition_free(condition);
	return 0;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
	uint64_t seed = from_environment("BPCOND_TEST_SEED", DEFAULT_SEED);
	size_t n = from_environment("BPCOND_TEST_EXPRESSIONS", DEFAULT_EXPRESSIONS);
	char directory[] = "/tmp/bpcond-text-XXXXXX";
	Text *expressions = calloc(n, sizeof(*expressions));
	size_t differ = 0, too_large = 0;
	World worlds[WORLDS];
	uint64_t *expected;
	bool passed;

	printf("seed %" PRIu64 ", %zu expressions, %d worlds\n", seed, n, WORLDS);
	if (!expressions || !mkdtemp(directory)) {
		perror(directory);
		return EXIT_FAILURE;
	}
	state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (size_t i = 0; i < WORLDS; i++)
		fill_world(&worlds[i]);
	for (size_t i = 0; i < n; i++)
		add_expression(&expressions[i], 1 + below(MAX_DEPTH));
	expected = run_compiler(directory, expressions, n, worlds);
	for (size_t i = 0; expected && i < n; i++) {
		int r = check_expression(expressions[i].text, worlds, &expected[i], n);

		differ += r > 0;
		too_large += r < 0;
	}
	remove_files(directory);
	free(expressions);
	printf("%zu differ, %zu above the limits of a condition\n", differ, too_large);
	/* Limits must not swallow the test. */
	passed = expected && differ == 0 && too_large < n / 4;
	free(expected);
	return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
