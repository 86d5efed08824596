/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names in running processes: what symbols in conditions stand for and of which type they are, what is
 * watched, names of C++, and what addresses are called; each against what the program says of itself.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/symbols.h"
#include "tests/unit/location_fixture.h"

/* ---- Names in conditions --------------------------------------------------------------------- */

static void expect_symbol(const char *name, const bpcond_symbol *expected)
{
	bpcond_symbol symbol = {.size = 0};
	int r = bpcond_symbols_lookup(target.symbols, name, &symbol);

	ck_assert_msg(r == 0, "%s: %d", name, r);
	ck_assert_msg(symbol.address == expected->address, "%s: 0x%" PRIx64 ", not 0x%" PRIx64,
		      name, symbol.address, expected->address);
	ck_assert_msg(symbol.extent == expected->extent, "%s: %d bytes, not %d", name,
		      symbol.extent, expected->extent);
	ck_assert_msg(symbol.size == expected->size && symbol.is_signed == expected->is_signed &&
			      symbol.kind == expected->kind &&
			      symbol.pointers == expected->pointers,
		      "%s: size %d, signed %d, kind %d, pointers %u", name, symbol.size,
		      symbol.is_signed, symbol.kind, symbol.pointers);
	if (!expected->base_register)
		ck_assert_msg(symbol.base_register == NULL, "%s: %s", name, symbol.base_register);
	else
		ck_assert_str_eq(symbol.base_register, expected->base_register);
}

#define EXPECT(name, ...) \
	expect_symbol(name, &(const bpcond_symbol){.address = fact(name), __VA_ARGS__})

START_TEST(test_types_of_variables)
{
	EXPECT("counter", .size = 4, .is_signed = 1);
	EXPECT("static_counter", .size = 2);
	EXPECT("byte", .size = 1);
	EXPECT("is_set", .size = 1);
	EXPECT("colour", .size = 4);
	EXPECT("name", .size = 1, .is_signed = 1, .pointers = 1);
	EXPECT("pointers", .size = 4, .is_signed = 1, .pointers = 2);
	EXPECT("table", .size = 4, .is_signed = 1, .kind = BPCOND_SYMBOL_ARRAY);
	EXPECT("names", .size = 1, .is_signed = 1, .pointers = 1, .kind = BPCOND_SYMBOL_ARRAY);
	EXPECT("matrix", .kind = BPCOND_SYMBOL_ARRAY, .extent = 8);
	EXPECT("wide", .kind = BPCOND_SYMBOL_ARRAY, .extent = 12);
	EXPECT("point", .kind = BPCOND_SYMBOL_OTHER, .extent = 8);
	EXPECT("points", .kind = BPCOND_SYMBOL_ARRAY, .extent = 8);
	EXPECT("point_pointer", .pointers = 1, .extent = 8);
	EXPECT("unknown_pointer", .pointers = 1, .extent = -1);
	EXPECT("anything", .pointers = 1);
	EXPECT("real", .kind = BPCOND_SYMBOL_OTHER, .extent = 8);
	EXPECT("main", .kind = BPCOND_SYMBOL_FUNCTION);
	EXPECT("thread_local_variable", .size = 8, .is_signed = 1, .base_register = "fs_base");
	EXPECT("second_thread_local", .size = 4, .is_signed = 1, .base_register = "fs_base");
	expect_symbol("library_variable", &(const bpcond_symbol){
						  .address = fact("library:library_variable"),
						  .size = 8,
						  .is_signed = 1,
					  });
}
END_TEST

START_TEST(test_names_that_stand_for_nothing)
{
	bpcond_symbol symbol;

	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "nothing", &symbol), -ENOENT);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "local", &symbol), -ENOENT);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "duplicate_variable", &symbol),
			 -EEXIST);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "library_thread_local", &symbol),
			 -EOPNOTSUPP);
}
END_TEST

/* Without debug information: a signed integer of the symbol's size. */
START_TEST(test_variables_without_types)
{
	EXPECT("counter", .size = 4, .is_signed = 1);
	EXPECT("byte", .size = 1, .is_signed = 1);
	EXPECT("name", .size = 8, .is_signed = 1);
	EXPECT("table", .kind = BPCOND_SYMBOL_OTHER);
	EXPECT("thread_local_variable", .size = 8, .is_signed = 1, .base_register = "fs_base");
}
END_TEST

START_TEST(test_local_variables_at_a_line)
{
	bpcond_symbol symbol;
	char text[64];

	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:work:number"));
	bpcond_symbols_set_place(target.symbols, resolve(text).address);
	expect_symbol("local", &(const bpcond_symbol){.address = fact("frame:local"),
						      .size = 8,
						      .is_signed = 1,
						      .base_register = "rbp"});
	expect_symbol("first", &(const bpcond_symbol){.address = fact("frame:first"),
						      .size = 4,
						      .is_signed = 1,
						      .base_register = "rbp"});
	expect_symbol("other", &(const bpcond_symbol){.address = fact("frame:other"),
						      .size = 2,
						      .base_register = "rbp"});
	/* The innermost one, and globals still. */
	snprintf(text, sizeof(text), "location_target.c:%" PRIu64, fact("line:inner:number"));
	bpcond_symbols_set_place(target.symbols, resolve(text).address);
	expect_symbol("local", &(const bpcond_symbol){.address = fact("frame:inner_local"),
						      .size = 4,
						      .is_signed = 1,
						      .base_register = "rbp"});
	EXPECT("counter", .size = 4, .is_signed = 1);
	bpcond_symbols_set_place(target.symbols, 0);
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "local", &symbol), -ENOENT);
}
END_TEST

START_TEST(test_arguments_at_an_entry)
{
	bpcond_symbol symbol;

	bpcond_symbols_set_place(target.symbols, fact("work"));
	expect_symbol("first", &(const bpcond_symbol){.size = 4,
						      .is_signed = 1,
						      .kind = BPCOND_SYMBOL_IN_REGISTER,
						      .base_register = "rdi"});
	expect_symbol("third", &(const bpcond_symbol){.size = 1,
						      .kind = BPCOND_SYMBOL_IN_REGISTER,
						      .base_register = "rdx"});
	/* It has no value yet. */
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "local", &symbol), -EOPNOTSUPP);
	/* Arguments in vector registers do not count in the order of the others; we do not guess. */
	bpcond_symbols_set_place(target.symbols, fact("mixed"));
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "second", &symbol), -EOPNOTSUPP);
}
END_TEST

START_TEST(test_condition_with_names)
{
	bpcond_text_scope scope = {.lookup = bpcond_symbols_lookup, .userdata = target.symbols};
	char *json = NULL, expected[256];
	bpcond_text_error error;
	int r;

	bpcond_symbols_set_place(target.symbols, fact("work"));
	r = bpcond_condition_from_text("first == 5 && table[1] > static_counter", &scope, &json,
				       &error);
	ck_assert_msg(r == 0, "%s", error.message);
	snprintf(expected, sizeof(expected),
		 "{\"and\":[{\"==\":[{\"as\":\"s32\",\"of\":{\"reg\":\"rdi\"}},5]},{\">\":[{"
		 "\"load\":\"s32\","
		 "\"at\":\"0x%" PRIx64 "\"},{\"load\":\"u16\",\"at\":\"0x%" PRIx64 "\"}]}]}",
		 fact("table") + 4, fact("static_counter"));
	ck_assert_str_eq(json, expected);
	free(json);
}
END_TEST

/* A condition of a watchpoint at a location, as the library makes it. */
static void expect_condition(const char *location, unsigned length, const char *text,
			     const char *expected)
{
	bpcond_request request = {
		.size = sizeof(request),
		.location = location,
		.access = BPCOND_WRITE,
		.length = length,
		.condition = text,
	};
	bpcond_error error = {.message = ""};
	char *spec = NULL;
	int r = bpcond_spec_from_request(target.pid, &request, &spec, &error);

	ck_assert_msg(r == 0, "%s: %s", location, error.message);
	ck_assert_msg(strstr(spec, expected) != NULL, "%s: %s, not %s", location, spec, expected);
	free(spec);
}

START_TEST(test_types_of_watched_values)
{
	char address[32];

	expect_condition("counter", 0, "value < 0",
			 "{\"<\":[{\"as\":\"s32\",\"of\":{\"var\":\"value\"}},0]}");
	expect_condition("table+4", 4, "previous < 0",
			 "{\"<\":[{\"as\":\"s32\",\"of\":{\"var\":\"previous\"}},0]}");
	expect_condition("static_counter", 0, "value == 1",
			 "{\"==\":[{\"as\":\"u16\",\"of\":{\"var\":\"value\"}},1]}");
	/* What is watched is another thing than the variable, or has no integer type, or no name. */
	expect_condition("counter", 1, "value < 5", "{\"<\":[{\"var\":\"value\"},5]}");
	expect_condition("table", 0, "value < 5", "{\"<\":[{\"var\":\"value\"},5]}");
	expect_condition("name", 0, "value < 5", "{\"<\":[{\"var\":\"value\"},5]}");
	expect_condition("point", 4, "value < 5", "{\"<\":[{\"var\":\"value\"},5]}");
	snprintf(address, sizeof(address), "0x%" PRIx64, fact("counter"));
	expect_condition(address, 4, "value < 5", "{\"<\":[{\"var\":\"value\"},5]}");
}
END_TEST

START_TEST(test_watched_values_without_types)
{
	expect_condition("counter", 0, "value < 5", "{\"<\":[{\"var\":\"value\"},5]}");
}
END_TEST

START_TEST(test_names_of_cxx)
{
	bpcond_symbol symbol = {.size = 0};

	expect_address("shop::Order::total", fact("cxx:total"));
	expect_address("::shop::Order::total+1", fact("cxx:total") + 1);
	expect_address("location_target:shop::Order::total", fact("cxx:total"));
	expect_address("shop::helper", fact("cxx:helper"));
	expect_address("compute", fact("cxx:compute"));
	expect_address("shop::limit", fact("cxx:limit"));
	expect_address("_ZN4shop5Order3addEi", fact("cxx:add_int"));
	ck_assert_int_eq(bpcond_symbols_lookup(target.symbols, "shop::limit", &symbol), 0);
	ck_assert_uint_eq(symbol.address, fact("cxx:limit"));
	expect_condition("shop::limit", 0, "shop::limit == 0 ? 1 : shop::Order::total == 5",
			 "{\"load\":\"s32\",");
	expect_problem("shop::Order::add", BPCOND_LOCATION_AMBIGUOUS, "_ZN4shop5Order3addEi (0x");
	ck_assert_ptr_nonnull(strstr(target.error, "_ZN4shop5Order3addEl (0x"));
	/* Not part of a name, and no name that merely begins so. */
	expect_problem("shop::Order::tot", BPCOND_LOCATION_NOT_FOUND, "nm -C");
	expect_problem("Order::total", BPCOND_LOCATION_NOT_FOUND, "_ZNK4shop5Order5totalEv");
	expect_problem("shop::Box<int>::get", BPCOND_LOCATION_NOT_FOUND, "_ZN4shop3BoxIiE3getEv");
	expect_problem("location_target:shop::Order::total(int)", BPCOND_LOCATION_NOT_FOUND,
		       "_ZNK4shop5Order5totalEv");
}
END_TEST

/* Symbol tables are the target's: what merely looks like a mangled name is none. */
START_TEST(test_mangled_names)
{
	static const struct {
		const char *entry, *name;
		bool is;
	} CASES[] = {
		{"_ZN4shop5Order5totalEv", "shop::Order::total", true},
		{"_ZN4shop5Order5totalEv", "shop::Order", false},
		{"_ZN4shop5Order5totalEv", "shop::Order::total::x", false},
		{"_ZN4shop5Order5totalEv", "shop::Order::total::", false},
		{"_ZN4shop5Order5totalEv", "shop:Order:total", false},
		{"_ZN4shop5Order5totalEv", "", false},
		{"_ZN4shop5Order5totalEv.cold", "shop::Order::total", false},
		{"_ZN4shop5OrderC2Ei", "shop::Order::Order", true},
		{"_ZN4shop5OrderD0Ev", "shop::Order::~Order", true},
		{"_ZN4shop5OrderD0Ev", "shop::Order::Order", false},
		{"_ZN4shopL6hiddenE", "shop::hidden", true},
		{"_ZL5level", "level", true},
		{"_ZNKSt6vectorE", "std::vector", true},
		{"_ZSt9terminatev@@GLIBCXX_3.4", "std::terminate", true},
		{"_ZSt9terminatev", "terminate", false},
		{"_ZNVK1aB5cxx11B2v2E", "a", true},
		{"_ZZN4shop5totalEvE5count", "shop::total", false},
		{"_ZTVN4shop5OrderE", "shop::Order", false},
		{"_ZN12_GLOBAL__N_1E", "", false},
		{"_Z", "", false},
		{"_ZN", "a", false},
		{"_ZN1a", "a", false},
		{"_ZN1aB", "a", false},
		{"_ZN9a", "a", false},
		{"_ZN99999999999999999999999999a", "a", false},
		{"_ZN0aE", "a", false},
		{"_ZNC1E", "a", false},
		{"Z1a", "a", false},
	};

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		ck_assert_msg(symbols_is_mangled(CASES[i].entry, CASES[i].name) == CASES[i].is,
			      "%s, %s", CASES[i].entry, CASES[i].name);
}
END_TEST

/* Of several names of an address the plain one. */
START_TEST(test_plain_names)
{
	static const char *const names[] = {"libc.so.6:malloc", "libc.so.6:pthread_create"};
	char text[256], address[32];

	ck_assert_int_eq(
		bpcond_symbols_describe(target.symbols, fact("plainly") + 2, text, sizeof(text)),
		0);
	ck_assert_int_eq(strncmp(text, "plainly+0x2 (location_target", 28), 0);
	snprintf(address, sizeof(address), "0x%" PRIx64, fact("plainly"));
	ck_assert_str_eq(resolve(address).symbol, "plainly");
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(bpcond_symbols_describe(target.symbols, resolve(names[i]).address,
							 text, sizeof(text)),
				 0);
		ck_assert_uint_eq(strcspn(text, " "), strlen(names[i] + 10));
		ck_assert_int_eq(strncmp(text, names[i] + 10, strlen(names[i] + 10)), 0);
	}
}
END_TEST

START_TEST(test_descriptions)
{
	char text[256];

	ck_assert_int_eq(
		bpcond_symbols_describe(target.symbols, fact("work") + 5, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "work+0x5 (location_target)");
	ck_assert_int_eq(bpcond_symbols_describe(target.symbols, fact("library:library_static"),
						 text, sizeof(text)),
			 0);
	ck_assert_str_eq(text, "library_static (liblocation.so)");
}
END_TEST

/* Addresses out of a stack walk may be anything: those of no module are of none. */
START_TEST(test_no_description_outside_of_modules)
{
	static const uint64_t outside[] = {0,
					   16,
					   0x10000,
					   0x0000100000000000,
					   0x00007ffffffff000,
					   0x0000800000000000,
					   0x69667a7400524944,
					   0xffff800000000000,
					   0xffffffffff600000,
					   UINT64_MAX};
	char text[256] = "untouched", path[64], *line = NULL;
	uint64_t start, end, last = 0;
	size_t size = 0;
	FILE *maps;

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		ck_assert_msg(bpcond_symbols_describe(target.symbols, outside[i], text,
						      sizeof(text)) == -ENOENT,
			      "0x%" PRIx64 " is %s", outside[i], text);
	/* The first byte behind each mapping that no other one follows, the last module's too. */
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)target.pid);
	maps = fopen(path, "re");
	ck_assert_ptr_nonnull(maps);
	while (getline(&line, &size, maps) > 0) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2 ||
		    start >= 0xffff800000000000)
			continue;
		if (last != 0 && start - last >= 0x10000000)
			ck_assert_msg(bpcond_symbols_describe(target.symbols, last, text,
							      sizeof(text)) == -ENOENT,
				      "0x%" PRIx64 " is %s", last, text);
		last = end;
	}
	ck_assert_int_eq(bpcond_symbols_describe(target.symbols, last, text, sizeof(text)),
			 -ENOENT);
	ck_assert_str_eq(text, "untouched");
	free(line);
	fclose(maps);
}
END_TEST

static TCase *program_case(const char *name, void (*setup)(void))
{
	TCase *tests = tcase_create(name);

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, stop_target);
	return tests;
}

static Suite *symbols_suite(void)
{
	Suite *suite = suite_create("symbols");
	TCase *plain = program_case("plain", start_plain);
	TCase *fixed = program_case("fixed", start_fixed);
	TCase *stripped = program_case("stripped", start_stripped);

	tcase_add_test(plain, test_types_of_variables);
	tcase_add_test(plain, test_names_that_stand_for_nothing);
	tcase_add_test(plain, test_local_variables_at_a_line);
	tcase_add_test(plain, test_arguments_at_an_entry);
	tcase_add_test(plain, test_condition_with_names);
	tcase_add_test(plain, test_descriptions);
	tcase_add_test(plain, test_types_of_watched_values);
	tcase_add_test(plain, test_names_of_cxx);
	tcase_add_test(plain, test_mangled_names);
	tcase_add_test(plain, test_plain_names);
	tcase_add_test(plain, test_no_description_outside_of_modules);
	suite_add_tcase(suite, plain);
	tcase_add_test(fixed, test_no_description_outside_of_modules);
	tcase_add_test(fixed, test_types_of_variables);
	tcase_add_test(fixed, test_local_variables_at_a_line);
	suite_add_tcase(suite, fixed);
	tcase_add_test(stripped, test_watched_values_without_types);
	tcase_add_test(stripped, test_names_of_cxx);
	tcase_add_test(stripped, test_plain_names);
	tcase_add_test(stripped, test_variables_without_types);
	suite_add_tcase(suite, stripped);
	if (LOCATION_HAS_PACKED) {
		TCase *packed = program_case("packed", start_packed);

		tcase_add_test(packed, test_variables_without_types);
		suite_add_tcase(suite, packed);
	}
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(symbols_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
