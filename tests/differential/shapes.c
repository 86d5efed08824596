/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conditions at the limits, written out. Part i of a shape differs from its other parts by register
 * and number. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "condition/condition.h"
#include "tests/differential/registers.h"
#include "tests/differential/shapes.h"

static void put(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(Text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->n += vsnprintf(text->at + text->n, text->size - text->n, format, arguments);
	va_end(arguments);
	if (text->n >= text->size)
		abort();
}

static const char *const names[] = {RAX, RBX, RCX, RDX, RSI, RDI, R8,	 R9,
				    R10, R11, R12, R13, R14, R15, PART_S, PART_H};

static const char *name(int i)
{
	return names[i % 16];
}

static void put_reg(Text *text, int i)
{
	put(text, "{\"reg\":\"%s\"}", name(i));
}

/* {"OP":[first, 1st, 2nd, ...]} of n parts. */
static void put_many(Text *text, const char *op, int n, void (*part)(Text *text, int i))
{
	put(text, "{\"%s\":[", op);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			put(text, ",");
		part(text, i);
	}
	put(text, "]}");
}

static void part_if(Text *text, int i)
{
	put(text, "{\"if\":[{\"reg\":\"%s\"},%d,%d]}", name(i), i + 1, 100 * i + 7);
}

static void part_if_or_one(Text *text, int i)
{
	put(text, "{\"|\":[{\"if\":[{\"reg\":\"%s\"},%d,%d]},1]}", name(i), 2 * i, 64 * i);
}

static void part_compare(Text *text, int i)
{
	put(text, "{\"<\":[{\"reg\":\"%s\"},%d]}", name(i), i * 3);
}

static void part_either(Text *text, int i)
{
	put(text, "{\"or\":[{\"<\":[{\"reg\":\"%s\"},%d]},{\">\":[{\"reg\":\"%s\"},%d]}]}", name(i),
	    i, name(i), i + 5);
}

static void part_load(Text *text, int i)
{
	put(text, "{\"load\":\"u%d\",\"at\":{\"+\":[{\"reg\":\"%s\"},%d]}}", 8 << i % 4, name(i),
	    i);
}

static void part_small_load(Text *text, int i)
{
	put(text, "{\"load\":\"s32\",\"at\":%d}", 4096 * i);
}

static void part_same_load(Text *text, int i)
{
	put(text, "{\"==\":[{\"load\":\"u64\",\"at\":{\"reg\":\"" RDI "\"}},%d]}", i);
}

static void part_string(Text *text, int i)
{
	put(text, "{\"string-equals\":[{\"reg\":\"%s\"},\"%047d\"]}", name(i), i);
}

static void part_string_at_if(Text *text, int i)
{
	put(text,
	    "{\"string-starts\":[{\"if\":[{\"reg\":\"%s\"},{\"reg\":\"" RSI "\"},%d]},\"text %d\"]}",
	    name(i), 4096 * i + 4095, i);
}

/* The address is one sum of branches that all of them share. */
static void part_string_at_sum(Text *text, int i)
{
	put(text, "{\"string-equals\":[");
	put_many(text, "+", 4, part_if);
	put(text, ",\"text %d\"]}", i);
}

static void part_same_sum(Text *text, int i)
{
	put(text, "{\"==\":[");
	put_many(text, "+", 5, part_if);
	put(text, ",%d]}", i * 1000);
}

static void part_quotient(Text *text, int i)
{
	put(text, "{\"/\":[{\"reg\":\"%s\"},{\"|\":[{\"<\":[{\"reg\":\"" RAX "\"},%d]},1]}]}", name(i),
	    i);
}

static void part_remainder(Text *text, int i)
{
	put(text,
	    "{\"%%\":[{\"if\":[{\"reg\":\"%s\"},%d,3]},{\"+\":[{\">\":[1,{\"reg\":\"%s\"}]},1]}]}",
	    name(i), i, name(i + 1));
}

static void part_in(Text *text, int i)
{
	put(text,
	    "{\"in\":[{\"if\":[{\"reg\":\"%s\"},1,2]},{\"if\":[{\"reg\":\"%s\"},0,1]},"
	    "{\"&\":[{\"reg\":\"" RCX "\"},7]}]}",
	    name(i), name(i + 1));
}

static void part_truth(Text *text, int i)
{
	put(text, "{\"and\":[{\"==\":[{\"reg\":\"%s\"},%d]},{\"reg\":\"%s\"}]}", name(i), i,
	    name(i + 3));
}

static void write_sum_of_ifs(Text *text)
{
	put(text, "{\"==\":[");
	put_many(text, "+", 63, part_if);
	put(text, ",12345]}");
}

/* (sum of branches | 1) is never 0: the verifier sees that too. */
static void write_odd_divisors(Text *text)
{
	put(text, "{\"/\":[{\"reg\":\"" RAX "\"},");
	put_many(text, "|", 42, part_if_or_one);
	put(text, "]}");
}

/* A comparison that the verifier could decide, had it followed the masks. */
static void write_decided(Text *text)
{
	put(text, "{\"and\":[{\"<\":[{\"as\":\"u64\",\"of\":");
	put_many(text, "+", 30, part_if);
	put(text, "},{\"&\":[{\"&\":[{\"reg\":\"" RIP "\"},{\"reg\":\"" CS "\"}]},1]}]},{\">\":[{\"&\":[");
	put_many(text, "^", 28, part_if);
	put(text, ",1]},3]}]}");
}

static void write_if_chain(Text *text)
{
	for (int i = 0; i < 30; i++)
		put(text,
		    "{\"if\":[{\"<\":[{\"reg\":\"%s\"},%d]},{\"load\":\"u8\",\"at\":{\"reg\":\"%"
		    "s\"}},",
		    name(i), i, name(i + 1));
	put(text, "1");
	for (int i = 0; i < 30; i++)
		put(text, "]}");
}

static void write_ifs_in_conditions(Text *text)
{
	for (int i = 0; i < 31; i++)
		put(text, "{\"if\":[");
	put(text, "{\"reg\":\"" RAX "\"}");
	for (int i = 0; i < 31; i++)
		put(text, ",{\"reg\":\"%s\"},{\"param\":\"max\"}]}", name(i));
}

static void write_products_of_sums(Text *text)
{
	put(text, "{\"*\":[");
	for (int i = 0; i < 6; i++) {
		put(text, i ? "," : "");
		put_many(text, "+", 10, part_if);
	}
	put(text, "]}");
}

static void write_wide_and(Text *text)
{
	put_many(text, "and", 85, part_compare);
}

static void write_sum_of_comparisons(Text *text)
{
	put_many(text, "+", 85, part_compare);
}

static void write_ands_of_ors(Text *text)
{
	put_many(text, "and", 36, part_either);
}

static void write_sum_of_truths(Text *text)
{
	put_many(text, "+", 51, part_truth);
}

static void write_alternating(Text *text)
{
	for (int i = 0; i < 30; i++)
		put(text, "{\"%s\":[{\"<\":[{\"reg\":\"%s\"},{\"reg\":\"%s\"}]},",
		    i % 2 ? "or" : "and", name(i), name(i + 1));
	put(text, "{\"!\":[{\"reg\":\"" RAX "\"}]}");
	for (int i = 0; i < 30; i++)
		put(text, "]}");
}

static void write_chained_loads(Text *text)
{
	for (int i = 0; i < 31; i++)
		put(text, "{\"load\":\"u64\",\"at\":");
	put(text, "{\"reg\":\"" RDI "\"}");
	for (int i = 0; i < 31; i++)
		put(text, "}");
}

static void write_many_loads(Text *text)
{
	put_many(text, "+", 63, part_load);
}

static void write_most_loads(Text *text)
{
	put_many(text, "^", 127, part_small_load);
}

static void put_tree(Text *text, const char *op, int depth, int i)
{
	if (depth == 0) {
		put(text, "{\"load\":\"s16\",\"at\":{\"reg\":\"%s\"}}", name(i));
		return;
	}
	put(text, "{\"%s\":[", op);
	put_tree(text, op, depth - 1, 2 * i);
	put(text, ",");
	put_tree(text, op, depth - 1, 2 * i + 1);
	put(text, "]}");
}

static void write_tree_of_quotients(Text *text)
{
	put_tree(text, "/", 6, 1);
}

static void write_tree_of_shifts(Text *text)
{
	put_tree(text, ">>", 6, 1);
}

static void put_registers_tree(Text *text, const char *op, int depth, int i)
{
	if (depth == 0) {
		put_reg(text, i);
		return;
	}
	put(text, "{\"%s\":[", op);
	put_registers_tree(text, op, depth - 1, 2 * i);
	put(text, ",");
	put_registers_tree(text, op, depth - 1, 2 * i + 1);
	put(text, "]}");
}

static void write_tree_of_remainders(Text *text)
{
	put_registers_tree(text, "%", 7, 1);
}

static void write_tree_of_ands(Text *text)
{
	put_registers_tree(text, "and", 7, 1);
}

static void write_tree_of_comparisons(Text *text)
{
	put_registers_tree(text, "<", 7, 1);
}

static void put_ins(Text *text, int depth, int i)
{
	if (depth == 0) {
		put(text, i % 3 ? "{\"reg\":\"%s\"}" : "{\"load\":\"u8\",\"at\":{\"reg\":\"%s\"}}",
		    name(i));
		return;
	}
	put(text, "{\"in\":[");
	for (int j = 0; j < 3; j++) {
		put(text, j ? "," : "");
		put_ins(text, depth - 1, 3 * i + j);
	}
	put(text, "]}");
}

static void write_tree_of_ins(Text *text)
{
	put_ins(text, 4, 1);
}

static void write_ins(Text *text)
{
	put_many(text, "+", 21, part_in);
}

/* Each level needs the one below on its right, with a call. */
static void write_right_deep(Text *text)
{
	for (int i = 0; i < 30; i++)
		put(text, "{\"-\":[{\"load\":\"u32\",\"at\":{\"reg\":\"%s\"}},", name(i));
	put(text, "{\"reg\":\"" RAX "\"}");
	for (int i = 0; i < 30; i++)
		put(text, "]}");
}

static void write_one_long(Text *text, const char *op, const char *byte, int n)
{
	put(text, "{\"%s\":[{\"reg\":\"" RDI "\"},\"", op);
	for (int i = 0; i < n; i++)
		put(text, "%s", byte);
	put(text, "\"]}");
}

static void write_long_string(Text *text)
{
	write_one_long(text, "string-equals", "\xc2\x80", CONDITION_MAX_TEXT / 2);
}

static void write_long_start(Text *text)
{
	write_one_long(text, "string-starts", "x", CONDITION_MAX_TEXT);
}

static void write_long_bytes(Text *text)
{
	write_one_long(text, "bytes-equal", "fe", CONDITION_MAX_TEXT);
}

static void write_strings(Text *text)
{
	put_many(text, "or", 85, part_string);
}

static void write_sum_of_strings(Text *text)
{
	put_many(text, "+", 85, part_string);
}

static void write_strings_at_ifs(Text *text)
{
	put_many(text, "or", 51, part_string_at_if);
}

static void write_strings_at_sums(Text *text)
{
	put_many(text, "+", 14, part_string_at_sum);
}

static void write_same_sum(Text *text)
{
	put_many(text, "or", 11, part_same_sum);
}

static void write_same_load(Text *text)
{
	put_many(text, "or", 63, part_same_load);
}

static void write_many_shared(Text *text)
{
	put(text, "{\"==\":[");
	put_many(text, "+", 31, part_load);
	put(text, ",");
	put_many(text, "^", 31, part_load);
	put(text, "]}");
}

static void write_quotients(Text *text)
{
	put_many(text, "+", 36, part_quotient);
}

static void write_remainders(Text *text)
{
	put_many(text, "+", 25, part_remainder);
}

static void write_registers(Text *text)
{
	put(text, "{\"registers\":{");
	for (int i = 0; i < 16; i++)
		put(text, "%s\"%s\":%d", i ? "," : "", name(i), i);
	put(text, "}}");
}

const Shape shapes[] = {
	{"sum of ifs", write_sum_of_ifs},
	{"odd divisors", write_odd_divisors},
	{"decided comparisons", write_decided},
	{"chain of ifs", write_if_chain},
	{"ifs in conditions", write_ifs_in_conditions},
	{"products of sums of ifs", write_products_of_sums},
	{"wide and", write_wide_and},
	{"sum of comparisons", write_sum_of_comparisons},
	{"ands of ors", write_ands_of_ors},
	{"sum of truths", write_sum_of_truths},
	{"alternating and, or", write_alternating},
	{"chained loads", write_chained_loads},
	{"many loads", write_many_loads},
	{"most loads", write_most_loads},
	{"tree of quotients of loads", write_tree_of_quotients},
	{"tree of shifts of loads", write_tree_of_shifts},
	{"tree of remainders", write_tree_of_remainders},
	{"tree of ands", write_tree_of_ands},
	{"tree of comparisons", write_tree_of_comparisons},
	{"tree of ins", write_tree_of_ins},
	{"sum of ins", write_ins},
	{"right-deep loads", write_right_deep},
	{"longest string", write_long_string},
	{"longest start", write_long_start},
	{"longest bytes", write_long_bytes},
	{"many strings", write_strings},
	{"sum of strings", write_sum_of_strings},
	{"strings at ifs", write_strings_at_ifs},
	{"strings at one sum of ifs", write_strings_at_sums},
	{"one sum of ifs, often", write_same_sum},
	{"one load, often", write_same_load},
	{"many loads, twice", write_many_shared},
	{"quotients by truths", write_quotients},
	{"remainders by truths", write_remainders},
	{"16 registers", write_registers},
};

const size_t n_shapes = sizeof(shapes) / sizeof(shapes[0]);
