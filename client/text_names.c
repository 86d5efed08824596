/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Variables and functions of conditions in text, and looking up names: registers are the machine's. */
#include <string.h>

#include "client/machine.h"
#include "client/text_names.h"

#define SIGNED_TYPE(bytes)                       \
	{                                        \
		.size = bytes, .is_signed = true \
	}

#define INT_RANGE                   \
	{                           \
		0, INT32_MAX, false \
	}
#define WHOLE_RANGE                 \
	{                           \
		0, UINT64_MAX, true \
	}

static const TextVariable VARIABLES[] = {
	{.name = "tid", .c_type = SIGNED_TYPE(4), .range = INT_RANGE},
	{.name = "pid", .c_type = SIGNED_TYPE(4), .range = INT_RANGE},
	{.name = "cpu", .c_type = SIGNED_TYPE(4), .range = INT_RANGE},
	{.name = "time", .c_type = {.size = 8}, .range = WHOLE_RANGE},
	{.name = "evaluated", .c_type = {.size = 8}, .range = WHOLE_RANGE},
	{.name = "value", .c_type = {.size = 8}, .range = WHOLE_RANGE, .for_data = true},
	{.name = "previous", .c_type = {.size = 8}, .range = WHOLE_RANGE, .for_data = true},
	{.name = "counter", .c_type = {.size = 8}, .range = WHOLE_RANGE, .for_lent = true},
};

/* Of several names for one function the first is the one that is printed. */
static const TextFunction FUNCTIONS[] = {
	{"streq", TREE_STRING_EQUALS, "streq(ADDRESS, \"text\")"},
	{"$_streq", TREE_STRING_EQUALS, "$_streq(ADDRESS, \"text\")"},
	{"string_equals", TREE_STRING_EQUALS, "string_equals(ADDRESS, \"text\")"},
	{"strstarts", TREE_STRING_STARTS, "strstarts(ADDRESS, \"text\")"},
	{"string_starts", TREE_STRING_STARTS, "string_starts(ADDRESS, \"text\")"},
	{"bytes_equal", TREE_BYTES_EQUAL, "bytes_equal(ADDRESS, \"hex digits\")"},
	{"in_range", TREE_IN, "in_range(VALUE, LOW, HIGH)"},
	{"masked", TREE_MASKED, "masked(VALUE, MASK, EXPECTED)"},
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool is(const char *name, size_t length, const char *other)
{
	return strlen(other) == length && memcmp(name, other, length) == 0;
}

const TextRegister *text_register_find(const char *name, size_t length)
{
	for (size_t i = 0; i < n_machine_second_names; i++) {
		if (is(name, length, machine_second_names[i].name)) {
			name = machine_second_names[i].same;
			length = strlen(name);
			break;
		}
	}
	for (size_t i = 0; i < n_machine_text_registers; i++)
		if (is(name, length, machine_text_registers[i].name))
			return &machine_text_registers[i];
	return NULL;
}

const TextVariable *text_variable_find(const char *name, size_t length)
{
	for (size_t i = 0; i < LENGTH(VARIABLES); i++)
		if (is(name, length, VARIABLES[i].name))
			return &VARIABLES[i];
	return NULL;
}

const TextFunction *text_function_find(const char *name, size_t length)
{
	for (size_t i = 0; i < LENGTH(FUNCTIONS); i++)
		if (is(name, length, FUNCTIONS[i].name))
			return &FUNCTIONS[i];
	return NULL;
}

const TextFunction *text_function_at(size_t i)
{
	return i < LENGTH(FUNCTIONS) ? &FUNCTIONS[i] : NULL;
}

enum {
	LONGEST_NAME = 24,
};

/* How many characters must be put in, left out or replaced to get from one name to the other. */
static unsigned distance(const char *a, size_t a_length, const char *b)
{
	size_t b_length = strlen(b);
	unsigned row[LONGEST_NAME + 1];

	if (a_length > LONGEST_NAME || b_length > LONGEST_NAME)
		return LONGEST_NAME;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
			unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = best < replaced ? best : replaced;
		}
	}
	return row[b_length];
}

typedef struct Nearest {
	const char *name;
	unsigned distance;
} Nearest;

static void consider(Nearest *nearest, const char *name, size_t length, const char *candidate)
{
	unsigned d = distance(name, length, candidate);

	if (d < nearest->distance) {
		nearest->distance = d;
		nearest->name = candidate;
	}
}

const char *text_nearest_dollar_name(const char *name, size_t length)
{
	/* The variables as they are written, in the order of their table. */
	static const char *const WRITTEN[LENGTH(VARIABLES)] = {
		"_tid", "_pid", "_cpu", "_time", "_evaluated", "_value", "_previous", "_counter",
	};
	/* Short names are all near each other: one letter is enough there. */
	Nearest nearest = {.distance = length <= 3 ? 2 : 3};

	for (size_t i = 0; i < n_machine_text_registers; i++)
		consider(&nearest, name, length, machine_text_registers[i].name);
	for (size_t i = 0; i < LENGTH(VARIABLES); i++) {
		consider(&nearest, name, length, WRITTEN[i]);
		if (is(name, length, VARIABLES[i].name))
			return WRITTEN[i];
	}
	return nearest.name;
}

const char *text_nearest_function(const char *name, size_t length)
{
	Nearest nearest = {.distance = 3};

	for (size_t i = 0; i < LENGTH(FUNCTIONS); i++)
		consider(&nearest, name, length, FUNCTIONS[i].name);
	return nearest.name;
}
