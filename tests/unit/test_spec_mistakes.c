/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each mistake that a spec can have, with the path, the byte and the words that say so. */
#include "tests/unit/spec_checks.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	RefusalKind kind;
	const char *begin; /* up to the closing parenthesis */
	const char *says;
} mistakes[] = {
	/* The text as a whole. */
	{"", REFUSED_INVALID_SPEC, "$ (byte 0", "ends"},
	{"[]", REFUSED_INVALID_SPEC, "$ (byte 0", "an array"},
	{"null", REFUSED_INVALID_SPEC, "$ (byte 0", "null"},
	{" 7", REFUSED_INVALID_SPEC, "$ (byte 1", "an object"},
	{"{}", REFUSED_INVALID_SPEC, "$ (byte 0", "\"address\" is missing"},
	{"{\"address\":1} x", REFUSED_INVALID_SPEC, "$ (byte 14", "more text"},
	{"{\"address\":1}{\"address\":1}", REFUSED_INVALID_SPEC, "$ (byte 13", "more text"},
	{"{\"address\":1,}", REFUSED_INVALID_SPEC, "$ (byte 13", "key"},
	{"{'address':1}", REFUSED_INVALID_SPEC, "$ (byte 1", "double quotes"},
	{"{\"address\":NaN}", REFUSED_INVALID_SPEC, "$.address (byte 11", "NaN"},
	{"{\"address\":1,\"address\":1}", REFUSED_INVALID_SPEC, "$.address (byte 13", "twice"},
	{"{\"address\":1,\"\\u0061ddress\":1}", REFUSED_INVALID_SPEC, "$.address (byte 13",
	 "twice"},
	{EXECUTE("\"adress\":1"), REFUSED_INVALID_SPEC, "$.adress (byte 22",
	 "did you mean \"address\""},
	{EXECUTE("\"on_fault\":1"), REFUSED_INVALID_SPEC, "$.on_fault (byte 24",
	 "did you mean \"on-fault\""},
	{EXECUTE("\"kernelaccesses\":1"), REFUSED_INVALID_SPEC, "$.kernelaccesses (byte 30",
	 "did you mean \"kernel-accesses\""},
	{EXECUTE("\"zzz\":1"), REFUSED_INVALID_SPEC, "$.zzz (byte 19",
	 "access, length, address, threads, parameters, condition, on-fault, previous, skip, "
	 "every, "
	 "limit, capture, signal, events, kernel-accesses, enabled"},
	{EXECUTE("\"a b\":1"), REFUSED_INVALID_SPEC, "$[\"a b\"] (byte 19", "no such key"},
	{EXECUTE("\"\\u001b[1m\xc3\xa9\":1"), REFUSED_INVALID_SPEC,
	 "$[\"\\u001b[1m\\u00e9\"] (byte 27", "no such key"},

	/* address */
	{"{\"address\":null}", REFUSED_INVALID_SPEC, "$.address (byte 11", "null"},
	{"{\"address\":true}", REFUSED_INVALID_SPEC, "$.address (byte 11", "true"},
	{"{\"address\":1.0}", REFUSED_INVALID_SPEC, "$.address (byte 11", "fraction"},
	{"{\"address\":\"401136\"}", REFUSED_INVALID_SPEC, "$.address (byte 11", "0x"},
	{"{\"address\":\"main\"}", REFUSED_INVALID_SPEC, "$.address (byte 11", "0x"},
	{"{\"address\":\"0x10000000000000000\"}", REFUSED_INVALID_SPEC, "$.address (byte 11",
	 "64 bits"},
	{"{\"address\":18446744073709551616}", REFUSED_INVALID_SPEC, "$.address (byte 11",
	 "64 bits"},
	{"{\"address\":0}", REFUSED_INVALID_SPEC, "$.address (byte 11", "address 0"},
	{"{\"address\":\"0x0\"}", REFUSED_INVALID_SPEC, "$.address (byte 11", "address 0"},
	{"{\"address\":-1}", REFUSED_INVALID_SPEC, "$.address (byte 11", "below 0x7ffffffff000"},
	{"{\"address\":\"0x7ffffffff000\"}", REFUSED_INVALID_SPEC, "$.address (byte 11",
	 "0x7ffffffff000 is not a user address"},
	{"{\"address\":\"0xffffffff81000000\"}", REFUSED_INVALID_SPEC, "$.address (byte 11",
	 "0xffffffff81000000 is not a user address"},
	{"{\"address\":\"0xffffffffffffffff\",\"access\":\"write\"}", REFUSED_INVALID_SPEC,
	 "$.address (byte 11", "not a user address"},
	{"{\"address\":\"0x7ffffffff000\",\"access\":\"write\",\"length\":1}", REFUSED_INVALID_SPEC,
	 "$.address (byte 11", "below 0x7ffffffff000"},
	{"{\"address\":\"0x7fffffffefff\",\"access\":\"write\",\"length\":2}", REFUSED_INVALID_SPEC,
	 "$.address (byte 11", "below 0x7ffffffff000"},
	{"{\"address\":\"0x7fffffffeffc\",\"access\":\"write\"}", REFUSED_INVALID_SPEC,
	 "$.address (byte 11", "below 0x7ffffffff000"},
	{"{\"address\":12,\"access\":\"write\"}", REFUSED_INVALID_SPEC, "$.address (byte 11",
	 "0xc is not aligned to the length of 8"},
	{"{\"length\":2,\"address\":\"0x1001\",\"access\":\"read-write\"}", REFUSED_INVALID_SPEC,
	 "$.address (byte 22", "0x1001 is not aligned to the length of 2"},

	/* access and what depends on it */
	{EXECUTE("\"access\":1"), REFUSED_INVALID_SPEC, "$.access (byte 22", "a number"},
	{EXECUTE("\"access\":\"exec\""), REFUSED_INVALID_SPEC, "$.access (byte 22", "read-write"},
	{EXECUTE("\"access\":\"Write\""), REFUSED_INVALID_SPEC, "$.access (byte 22", "read-write"},
	{EXECUTE("\"access\":\"read\""), REFUSED_INVALID_SPEC, "$.access (byte 22", "reads alone"},
	{EXECUTE("\"access\":\"write\\u0000\""), REFUSED_INVALID_SPEC, "$.access (byte 22",
	 "zero byte"},
	{EXECUTE("\"length\":8"), REFUSED_INVALID_SPEC, "$.length (byte 22",
	 "\"length\" makes no sense with the access \"execute\""},
	{EXECUTE("\"length\":8,\"access\":\"execute\""), REFUSED_INVALID_SPEC, "$.length (byte 22",
	 "makes no sense"},
	{EXECUTE("\"previous\":0"), REFUSED_INVALID_SPEC, "$.previous (byte 24", "makes no sense"},
	{EXECUTE("\"kernel-accesses\":false"), REFUSED_INVALID_SPEC, "$.kernel-accesses (byte 31",
	 "makes no sense"},
	{WRITE("\"length\":3"), REFUSED_INVALID_SPEC, "$.length (byte 39", "1, 2, 4 or 8"},
	{WRITE("\"length\":0"), REFUSED_INVALID_SPEC, "$.length (byte 39", "between 1 and 8"},
	{WRITE("\"length\":16"), REFUSED_INVALID_SPEC, "$.length (byte 39", "between 1 and 8"},
	{WRITE("\"length\":-8"), REFUSED_INVALID_SPEC, "$.length (byte 39", "between 1 and 8"},
	{WRITE("\"length\":18446744073709551608"), REFUSED_INVALID_SPEC, "$.length (byte 39",
	 "between 1 and 8, and this is 18446744073709551608"},
	{WRITE("\"length\":\"8\""), REFUSED_INVALID_SPEC, "$.length (byte 39", "a string"},
	{WRITE("\"length\":8.0"), REFUSED_INVALID_SPEC, "$.length (byte 39", "an integer"},

	/* threads */
	{EXECUTE("\"threads\":\"some\""), REFUSED_INVALID_SPEC, "$.threads (byte 23", "\"all\""},
	{EXECUTE("\"threads\":\"all\\u0000\""), REFUSED_INVALID_SPEC, "$.threads (byte 23",
	 "zero byte"},
	{EXECUTE("\"threads\":7"), REFUSED_INVALID_SPEC, "$.threads (byte 23", "\"all\""},
	{EXECUTE("\"threads\":[]"), REFUSED_INVALID_SPEC, "$.threads (byte 23", "no thread"},
	{EXECUTE("\"threads\":[1,0]"), REFUSED_INVALID_SPEC, "$.threads[1] (byte 26",
	 "between 1 and"},
	{EXECUTE("\"threads\":[-1]"), REFUSED_INVALID_SPEC, "$.threads[0] (byte 24",
	 "between 1 and"},
	{EXECUTE("\"threads\":[2147483648]"), REFUSED_INVALID_SPEC, "$.threads[0] (byte 24",
	 "between 1 and"},
	{EXECUTE("\"threads\":[\"1\"]"), REFUSED_INVALID_SPEC, "$.threads[0] (byte 24",
	 "an integer"},
	{EXECUTE("\"threads\":[5,7,5,9]"), REFUSED_INVALID_SPEC, "$.threads[2] (byte 28",
	 "thread 5 is in the list twice"},

	/* condition */
	{EXECUTE("\"condition\":{\"nonsense\":1}"), REFUSED_INVALID_CONDITION, "$.condition",
	 "nonsense"},
	{EXECUTE("\"condition\":{\"==\":[{\"reg\":\"rdi\"},{\"param\":\"max\"}]}"),
	 REFUSED_INVALID_CONDITION, "$.condition[\"==\"][1]", "max"},
	{EXECUTE("\"condition\":{\"var\":\"value\"}"), REFUSED_INVALID_CONDITION, "$.condition",
	 "value"},
	{EXECUTE("\"condition\":null"), REFUSED_INVALID_CONDITION, "$.condition", "null"},

	/* parameters */
	{EXECUTE("\"parameters\":[]"), REFUSED_INVALID_SPEC, "$.parameters (byte 26", "an object"},
	{EXECUTE("\"parameters\":{\"2a\":1}"), REFUSED_INVALID_SPEC,
	 "$.parameters[\"2a\"] (byte 32", "name"},
	{EXECUTE("\"parameters\":{\"\":1}"), REFUSED_INVALID_SPEC, "$.parameters[\"\"] (byte 30",
	 "name"},
	{EXECUTE("\"parameters\":{\"a-b\":1}"), REFUSED_INVALID_SPEC, "$.parameters.a-b (byte 33",
	 "name"},
	{EXECUTE("\"parameters\":{\"\xc3\xa9\":1}"), REFUSED_INVALID_SPEC,
	 "$.parameters[\"\\u00e9\"] (byte 32", "name"},
	{EXECUTE("\"parameters\":{\"a\":1,\"b\":1.5}"), REFUSED_INVALID_SPEC,
	 "$.parameters.b (byte 37", "fraction"},
	{EXECUTE("\"parameters\":{\"a\":null}"), REFUSED_INVALID_SPEC, "$.parameters.a (byte 31",
	 "null"},
	{EXECUTE("\"parameters\":{\"a\":\"10\"}"), REFUSED_INVALID_SPEC, "$.parameters.a (byte 31",
	 "0x"},
	{EXECUTE("\"parameters\":{\"a\":1,\"a\":1}"), REFUSED_INVALID_SPEC,
	 "$.parameters.a (byte 33", "twice"},

	/* on-fault, previous, the counts */
	{EXECUTE("\"on-fault\":\"miss\""), REFUSED_INVALID_SPEC, "$.on-fault (byte 24",
	 "\"reject\""},
	{EXECUTE("\"on-fault\":true"), REFUSED_INVALID_SPEC, "$.on-fault (byte 24", "a string"},
	{WRITE("\"previous\":-1"), REFUSED_INVALID_SPEC, "$.previous (byte 41", "negative"},
	{WRITE("\"previous\":true"), REFUSED_INVALID_SPEC, "$.previous (byte 41", "true"},
	{WRITE("\"length\":4,\"previous\":\"0x100000000\""), REFUSED_INVALID_SPEC,
	 "$.previous (byte 52", "0x100000000 does not fit the 4 bytes"},
	{WRITE("\"previous\":256,\"length\":1"), REFUSED_INVALID_SPEC, "$.previous (byte 41",
	 "does not fit the 1 bytes"},
	{EXECUTE("\"skip\":-1"), REFUSED_INVALID_SPEC, "$.skip (byte 20", "negative"},
	{EXECUTE("\"skip\":1e3"), REFUSED_INVALID_SPEC, "$.skip (byte 20", "exponent"},
	{EXECUTE("\"skip\":\"5\""), REFUSED_INVALID_SPEC, "$.skip (byte 20", "0x"},
	{EXECUTE("\"every\":0"), REFUSED_INVALID_SPEC, "$.every (byte 21", "every hit"},
	{EXECUTE("\"every\":-2"), REFUSED_INVALID_SPEC, "$.every (byte 21", "negative"},
	{EXECUTE("\"limit\":-9223372036854775808"), REFUSED_INVALID_SPEC, "$.limit (byte 21",
	 "-9223372036854775808 is negative"},
	{EXECUTE("\"limit\":18446744073709551616"), REFUSED_INVALID_SPEC, "$.limit (byte 21",
	 "64 bits"},

	/* capture */
	{EXECUTE("\"capture\":[]"), REFUSED_INVALID_SPEC, "$.capture (byte 23", "an object"},
	{EXECUTE("\"capture\":{\"register\":[]}"), REFUSED_INVALID_SPEC,
	 "$.capture.register (byte 35", "did you mean \"registers\""},
	{EXECUTE("\"capture\":{\"registers\":\"rip\"}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers (byte 36", "\"all\""},
	{EXECUTE("\"capture\":{\"registers\":\"all\\u0000,rip\"}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers (byte 36", "zero byte"},
	{EXECUTE("\"capture\":{\"registers\":[\"rip\",7]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[1] (byte 43", "a string"},
	{EXECUTE("\"capture\":{\"registers\":[\"eax\"]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[0] (byte 37", "write \"rax\""},
	{EXECUTE("\"capture\":{\"registers\":[\"ah\"]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[0] (byte 37", "write \"rax\""},
	{EXECUTE("\"capture\":{\"registers\":[\"r8d\"]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[0] (byte 37", "write \"r8\""},
	{EXECUTE("\"capture\":{\"registers\":[\"r16\"]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[0] (byte 37", "no such register"},
	{EXECUTE("\"capture\":{\"registers\":[\"xmm0\"]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[0] (byte 37", "vector"},
	{EXECUTE("\"capture\":{\"registers\":[\"rip\",\"pc\"]}"), REFUSED_INVALID_SPEC,
	 "$.capture.registers[1] (byte 43", "twice"},
	{EXECUTE("\"capture\":{\"memory\":{}}"), REFUSED_INVALID_SPEC, "$.capture.memory (byte 33",
	 "a list"},
	{EXECUTE("\"capture\":{\"memory\":[7]}"), REFUSED_INVALID_SPEC,
	 "$.capture.memory[0] (byte 34", "an object"},
	{EXECUTE("\"capture\":{\"memory\":[{\"at\":1}]}"), REFUSED_INVALID_SPEC,
	 "$.capture.memory[0] (byte 34", "\"length\" is missing"},
	{EXECUTE("\"capture\":{\"memory\":[{\"length\":1}]}"), REFUSED_INVALID_SPEC,
	 "$.capture.memory[0] (byte 34", "\"at\" is missing"},
	{EXECUTE("\"capture\":{\"memory\":[{\"at\":1,\"len\":1}]}"), REFUSED_INVALID_SPEC,
	 "$.capture.memory[0].len (byte 48", "no such key"},
	{EXECUTE("\"capture\":{\"memory\":[{\"at\":1,\"length\":0}]}"), REFUSED_INVALID_SPEC,
	 "$.capture.memory[0].length (byte 51", "between 1 and 4096"},
	{EXECUTE("\"capture\":{\"memory\":[{\"at\":1,\"length\":4097}]}"), REFUSED_INVALID_SPEC,
	 "$.capture.memory[0].length (byte 51", "between 1 and 4096"},
	{EXECUTE("\"capture\":{\"memory\":[{\"length\":8,\"at\":{\"reg\":\"rzz\"}}]}"),
	 REFUSED_INVALID_CONDITION, "$.capture.memory[0].at", "rzz"},
	{EXECUTE("\"capture\":{\"memory\":[{\"length\":8,\"at\":{\"string-equals\":[1,\"x\"]}}]}"),
	 REFUSED_INVALID_SPEC, "$.capture.memory[0].at (byte 51", "strings"},
	{EXECUTE("\"capture\":{\"stack\":128}"), REFUSED_INVALID_SPEC, "$.capture.stack (byte 32",
	 "between 0 and 127"},
	{EXECUTE("\"capture\":{\"stack\":-1}"), REFUSED_INVALID_SPEC, "$.capture.stack (byte 32",
	 "between 0 and 127"},
	{EXECUTE("\"capture\":{\"stack\":true}"), REFUSED_INVALID_SPEC, "$.capture.stack (byte 32",
	 "an integer"},

	/* signal */
	{EXECUTE("\"signal\":\"SIGTRAP\""), REFUSED_INVALID_SPEC, "$.signal (byte 22",
	 "for its own int3"},
	{EXECUTE("\"signal\":\"STOP\""), REFUSED_INVALID_SPEC, "$.signal (byte 22",
	 "write the whole name, \"SIGSTOP\""},
	{EXECUTE("\"signal\":\"sigstop\""), REFUSED_INVALID_SPEC, "$.signal (byte 22",
	 "no such signal"},
	{EXECUTE("\"signal\":\"SIGRTMIN+31\""), REFUSED_INVALID_SPEC, "$.signal (byte 22",
	 "no such signal"},
	{EXECUTE("\"signal\":\"SIGRTMIN+01\""), REFUSED_INVALID_SPEC, "$.signal (byte 22",
	 "no such signal"},
	{EXECUTE("\"signal\":\"SIGRTMIN-1\""), REFUSED_INVALID_SPEC, "$.signal (byte 22",
	 "no such signal"},
	{EXECUTE("\"signal\":\"\""), REFUSED_INVALID_SPEC, "$.signal (byte 22", "no such signal"},
	{EXECUTE("\"signal\":19"), REFUSED_INVALID_SPEC, "$.signal (byte 22", "a signal's name"},
	{EXECUTE("\"signal\":null"), REFUSED_INVALID_SPEC, "$.signal (byte 22", "null"},

	/* the booleans */
	{EXECUTE("\"events\":1"), REFUSED_INVALID_SPEC, "$.events (byte 22", "true or false"},
	{EXECUTE("\"enabled\":\"true\""), REFUSED_INVALID_SPEC, "$.enabled (byte 23",
	 "true or false"},
	{WRITE("\"kernel-accesses\":null"), REFUSED_INVALID_SPEC, "$.kernel-accesses (byte 48",
	 "true or false"},
};

START_TEST(test_mistake)
{
	const char *begin = mistakes[_i].begin;
	Refusal refusal = {.text = ""};
	Spec *spec = NULL;

	if (strstr(begin, "(byte") != NULL) {
		expect_refused(mistakes[_i].text, strlen(mistakes[_i].text), mistakes[_i].kind,
			       begin, mistakes[_i].says);
		return;
	}
	/* Which part of a condition is at fault is the condition's own affair. */
	ck_assert_int_eq(spec_parse(mistakes[_i].text, strlen(mistakes[_i].text), &spec, &refusal),
			 mistakes[_i].kind);
	ck_assert_msg(strncmp(refusal.text, begin, strlen(begin)) == 0 &&
			      strstr(refusal.text, " (byte ") != NULL &&
			      strstr(refusal.text, mistakes[_i].says) != NULL,
		      "\"%s\" does not begin with %s and say \"%s\"", refusal.text, begin,
		      mistakes[_i].says);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spec mistakes");
	TCase *tests = tcase_create("spec mistakes");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, test_mistake, 0, sizeof(mistakes) / sizeof(mistakes[0]));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
