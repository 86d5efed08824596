/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spec: every key with its default and its limit, and the normal form, which must survive being
 * parsed. */
#include "bpcond/hit.h"
#include "daemon/signal_names.h"
#include "tests/unit/spec_checks.h"

#include <check.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Spec *parse(const char *text)
{
	Refusal refusal = {.text = ""};
	Spec *spec = NULL;
	int r = parse_bytes(text, strlen(text), &spec, &refusal);

	ck_assert_msg(r == 0, "%s: %d: %s", text, r, refusal.text);
	return spec;
}

START_TEST(test_defaults)
{
	Spec *spec = parse("{\"address\":\"0x401136\"}");

	ck_assert_uint_eq(spec->address, 0x401136);
	ck_assert_int_eq(spec->access, SPEC_EXECUTE);
	ck_assert_uint_eq(spec->length, 0);
	ck_assert_ptr_null(spec->threads);
	ck_assert_uint_eq(spec->n_threads, 0);
	ck_assert_ptr_null(spec->condition);
	ck_assert_uint_eq(spec->n_parameters, 0);
	ck_assert(spec->fault_is_hit);
	ck_assert(!spec->has_previous);
	ck_assert_uint_eq(spec->skip, 0);
	ck_assert_uint_eq(spec->every, 1);
	ck_assert_uint_eq(spec->limit, 0);
	ck_assert_uint_eq(spec->capture_registers, 0);
	ck_assert_uint_eq(spec->n_pieces, 0);
	ck_assert_uint_eq(spec->capture_stack, 0);
	ck_assert_int_eq(spec->signal, 0);
	ck_assert(!spec->events);
	ck_assert(!spec->kernel_accesses);
	ck_assert(spec->enabled);
	ck_assert_str_eq(
		spec->text,
		"{\"address\":\"0x401136\",\"access\":\"execute\",\"threads\":\"all\","
		"\"parameters\":{},\"on-fault\":\"hit\",\"skip\":0,\"every\":1,\"limit\":0,"
		"\"capture\":{\"registers\":[],\"memory\":[],\"stack\":0},"
		"\"events\":false,\"enabled\":true}");
	spec_free(spec);
	spec = parse("{\"access\":\"write\",\"address\":4096}");
	ck_assert_int_eq(spec->access, SPEC_WRITE);
	ck_assert_uint_eq(spec->length, 8);
	ck_assert_uint_eq(spec->address, 4096);
	ck_assert_str_eq(spec->text,
			 "{\"address\":\"0x1000\",\"access\":\"write\",\"length\":8,"
			 "\"threads\":\"all\",\"parameters\":{},\"on-fault\":\"hit\",\"skip\":0,"
			 "\"every\":1,\"limit\":0,"
			 "\"capture\":{\"registers\":[],\"memory\":[],\"stack\":0},"
			 "\"events\":false,\"kernel-accesses\":false,\"enabled\":true}");
	spec_free(spec);
	ck_assert_ptr_null(spec_free(NULL));
}
END_TEST

static const char everything[] =
	"{ \"address\": \"0x55d0c0de4010\",\n"
	"  \"access\": \"write\",\n"
	"  \"length\": 4,\n"
	"  \"threads\": [30, 10, 20],\n"
	"  \"condition\": {\"and\": [{\"==\": [{\"reg\": \"rdi\"}, 500]},\n"
	"    {\"<\": [{\"load\": \"s32\", \"at\": {\"+\": [{\"reg\": \"rsi\"}, 8]}},"
	" {\"param\": \"max\"}]}]},\n"
	"  \"parameters\": {\"max\": 10, \"Zed\": \"0xffffffffffffffff\", \"_a\": -5},\n"
	"  \"on-fault\": \"reject\",\n"
	"  \"previous\": \"0xFFFFFFFF\",\n"
	"  \"skip\": 3, \"every\": \"0x10\", \"limit\": 18446744073709551615,\n"
	"  \"capture\": {\"registers\": [\"rip\", \"rdi\", \"cs\", \"gs_base\"],\n"
	"    \"memory\": [{\"at\": {\"reg\": \"rsi\"}, \"length\": 64},"
	" {\"length\": 1, \"at\": \"0x1000\"}], \"stack\": 16},\n"
	"  \"signal\": \"SIGSTOP\",\n"
	"  \"events\": true,\n"
	"  \"kernel-accesses\": true,\n"
	"  \"enabled\": false }\n";

START_TEST(test_everything)
{
	Spec *spec = parse(everything);

	ck_assert_uint_eq(spec->address, 0x55d0c0de4010);
	ck_assert_int_eq(spec->access, SPEC_WRITE);
	ck_assert_uint_eq(spec->length, 4);
	ck_assert_uint_eq(spec->n_threads, 3);
	ck_assert_int_eq(spec->threads[0], 10);
	ck_assert_int_eq(spec->threads[1], 20);
	ck_assert_int_eq(spec->threads[2], 30);
	ck_assert_ptr_nonnull(spec->condition);
	ck_assert_uint_eq(spec->n_parameters, 3);
	ck_assert_str_eq(spec->parameters[0], "Zed");
	ck_assert_str_eq(spec->parameters[1], "_a");
	ck_assert_str_eq(spec->parameters[2], "max");
	ck_assert_uint_eq(spec->parameter_values[0], UINT64_MAX);
	ck_assert_uint_eq(spec->parameter_values[1], (uint64_t)-5);
	ck_assert_uint_eq(spec->parameter_values[2], 10);
	ck_assert(!spec->fault_is_hit);
	ck_assert(spec->has_previous);
	ck_assert_uint_eq(spec->previous, 0xffffffff);
	ck_assert_uint_eq(spec->skip, 3);
	ck_assert_uint_eq(spec->every, 16);
	ck_assert_uint_eq(spec->limit, UINT64_MAX);
	ck_assert_uint_eq(spec->capture_registers, 1u << BPCOND_REG_RIP | 1u << BPCOND_REG_RDI |
							   1u << BPCOND_REG_CS |
							   1u << BPCOND_REG_GS_BASE);
	ck_assert_uint_eq(spec->n_pieces, 2);
	ck_assert_uint_eq(spec->pieces[0].length, 64);
	ck_assert_uint_eq(spec->pieces[1].length, 1);
	ck_assert_ptr_nonnull(spec->pieces[0].at);
	ck_assert_ptr_nonnull(spec->pieces[1].at);
	ck_assert_uint_eq(spec->capture_stack, 16);
	ck_assert_int_eq(spec->signal, SIGSTOP);
	ck_assert(spec->events);
	ck_assert(spec->kernel_accesses);
	ck_assert(!spec->enabled);
	spec_free(spec);
}
END_TEST

/* Parts of the normal form, and that parsing it again changes nothing. */
static const struct {
	const char *text;
	const char *contains;
} normal_forms[] = {
	{everything, "{\"address\":\"0x55d0c0de4010\",\"access\":\"write\",\"length\":4,"
		     "\"threads\":[10,20,30],\"condition\":"},
	{everything, "\"parameters\":{\"Zed\":-1,\"_a\":-5,\"max\":10},\"on-fault\":\"reject\","
		     "\"previous\":\"0xffffffff\",\"skip\":3,\"every\":16,"
		     "\"limit\":18446744073709551615,"
		     "\"capture\":{\"registers\":[\"rdi\",\"rip\",\"cs\",\"gs_base\"],\"memory\":[{"
		     "\"at\":{\"reg\":\"rsi\"},\"length\":64},{\"at\":"},
	{everything, "\"length\":1}],\"stack\":16},\"signal\":\"SIGSTOP\",\"events\":true,"
		     "\"kernel-accesses\":true,\"enabled\":false}"},
	{"{\"address\":1,\"signal\":\"SIGRTMAX-1\"}", "\"signal\":\"SIGRTMIN+29\""},
	{"{\"address\":1,\"signal\":\"SIGRTMIN+0\"}", "\"signal\":\"SIGRTMIN\""},
	{"{\"address\":1,\"signal\":\"SIGKILL\"}", "\"signal\":\"SIGKILL\""},
	{"{\"address\":1,\"signal\":\"SIGPOLL\"}", "\"signal\":\"SIGIO\""},
	{"{\"address\":1,\"capture\":{\"registers\":\"all\"}}",
	 "{\"registers\":[\"rax\",\"rbx\",\"rcx\",\"rdx\",\"rsi\",\"rdi\",\"rbp\",\"rsp\",\"r8\","
	 "\"r9\",\"r10\",\"r11\",\"r12\",\"r13\",\"r14\",\"r15\",\"rip\",\"eflags\",\"cs\","
	 "\"ss\",\"orig_rax\",\"fs_base\",\"gs_base\"]"},
	{"{\"address\":1,\"capture\":{\"registers\":[\"pc\",\"sp\"]}}",
	 "{\"registers\":[\"rsp\",\"rip\"]"},
	{"{\"address\":1,\"condition\":1}", "\"condition\":1"},
	{"{\"address\":1,\"parameters\":{\"x\":18446744073709551615}}", "{\"x\":-1}"},
	{"{\"address\":\"0x7fffffffefff\"}", "\"address\":\"0x7fffffffefff\""},
	{"{\"address\":140737488351224,\"access\":\"read-write\"}",
	 "\"address\":\"0x7fffffffeff8\",\"access\":\"read-write\",\"length\":8"},
	{"{\"address\":\"0x7fffffffefff\",\"access\":\"write\",\"length\":1}", "\"length\":1"},
	{"{\"\\u0061ddress\":1,\"on-fault\":\"h\\u0069t\"}", "\"on-fault\":\"hit\""},
	{"{\"address\":6,\"access\":\"write\",\"length\":2,\"previous\":65535}",
	 "\"previous\":\"0xffff\""},
	{"{\"address\":8,\"access\":\"write\",\"previous\":\"0xffffffffffffffff\"}",
	 "\"previous\":\"0xffffffffffffffff\""},
	{"{\"address\":8,\"access\":\"write\",\"condition\":{\"!=\":[{\"var\":\"value\"},"
	 "{\"var\":\"previous\"}]}}",
	 "\"condition\":{\"!=\":[{\"var\":\"value\"},{\"var\":\"previous\"}]}"},
};

START_TEST(test_normal_form)
{
	Spec *spec = parse(normal_forms[_i].text);
	Spec *again = parse(spec->text);

	ck_assert_msg(strstr(spec->text, normal_forms[_i].contains) != NULL,
		      "%s does not contain %s", spec->text, normal_forms[_i].contains);
	ck_assert_str_eq(spec->text, again->text);
	ck_assert_uint_eq(spec->address, again->address);
	ck_assert_int_eq(spec->signal, again->signal);
	ck_assert_uint_eq(spec->capture_registers, again->capture_registers);
	ck_assert_uint_eq(spec->limit, again->limit);
	for (size_t i = 0; i < spec->n_parameters; i++)
		ck_assert_uint_eq(spec->parameter_values[i], again->parameter_values[i]);
	spec_free(spec);
	spec_free(again);
}
END_TEST

/* Condition errors too have the byte of the innermost place that they name. */
START_TEST(test_condition_offset)
{
	static const char text[] =
		EXECUTE("\"condition\":{\"and\":[1,{\"==\":[2,{\"reg\":\"rzz\"}]}]}");
	Refusal refusal;
	Spec *spec;
	size_t byte;
	char *at;

	ck_assert_int_eq(spec_parse(text, strlen(text), &spec, &refusal),
			 REFUSED_INVALID_CONDITION);
	at = strstr(refusal.text, "(byte ");
	ck_assert_ptr_nonnull(at);
	byte = strtoul(at + strlen("(byte "), NULL, 10);
	ck_assert_msg(strncmp(text + byte, "{\"reg\":\"rzz\"}", 13) == 0 ||
			      strncmp(text + byte, "\"rzz\"", 5) == 0,
		      "%s", refusal.text);
}
END_TEST

/* Builds {"address":8,"KEY":OPEN element,element,... CLOSE}. */
static char *listed(const char *key, const char *open, const char *element, size_t n,
		    const char *close)
{
	char *text = malloc(256 + n * (strlen(element) + 24));
	size_t length = (size_t)sprintf(text, "{\"address\":8,\"%s\":%s", key, open);

	for (size_t i = 0; i < n; i++) {
		length += (size_t)sprintf(text + length, "%s", i > 0 ? "," : "");
		length += (size_t)sprintf(text + length, element, (int)i + 1);
	}
	sprintf(text + length, "%s}", close);
	return text;
}

static void expect_limit(const char *key, const char *open, const char *element, size_t limit,
			 const char *close, const char *begin, const char *says)
{
	char *text = listed(key, open, element, limit, close);
	Spec *spec = parse(text);

	spec_free(parse(spec->text));
	spec_free(spec);
	free(text);
	text = listed(key, open, element, limit + 1, close);
	expect_refused(text, strlen(text), REFUSED_INVALID_SPEC, begin, says);
	free(text);
}

START_TEST(test_limits)
{
	expect_limit("threads", "[", "%d", SPEC_MAX_THREADS, "]", "$.threads (byte 23",
		     "limit is 4096");
	expect_limit("parameters", "{", "\"p%d\":1", CONDITION_MAX_PARAMETERS, "}",
		     "$.parameters (byte 26", "limit is 64");
	expect_limit("capture", "{\"memory\":[", "{\"at\":%d,\"length\":2048}", SPEC_MAX_PIECES,
		     "]}", "$.capture.memory (byte 33", "limit is 8");
	expect_limit("capture", "{\"memory\":[", "{\"at\":%d,\"length\":4096}", 4, "]}",
		     "$.capture.memory[4] (byte 126", "the limit of a hit is 16384");
	/* 16 nodes each */
	expect_limit("capture", "{\"memory\":[",
		     "{\"at\":{\"+\":[%d,2,3,4,5,6,7,8,9,10,11,12,13,14,15]},\"length\":1}",
		     SPEC_MAX_ADDRESS_NODES / 16, "]}", "$.capture.memory[4] (byte 282",
		     "have 80 nodes, and the limit is 64");
}
END_TEST

START_TEST(test_parameter_name_length)
{
	char text[256], name[80], begin[128];
	Spec *spec;

	memset(name, 'n', sizeof(name));
	name[CONDITION_MAX_PARAMETER_NAME] = '\0';
	snprintf(text, sizeof(text), EXECUTE("\"parameters\":{\"%s\":1}"), name);
	spec = parse(text);
	ck_assert_str_eq(spec->parameters[0], name);
	spec_free(spec);
	name[CONDITION_MAX_PARAMETER_NAME] = 'n';
	name[CONDITION_MAX_PARAMETER_NAME + 1] = '\0';
	snprintf(text, sizeof(text), EXECUTE("\"parameters\":{\"%s\":1}"), name);
	snprintf(begin, sizeof(begin), "$.parameters.%s (byte 94", name);
	expect_refused(text, strlen(text), REFUSED_INVALID_SPEC, begin, "1 to 63");
}
END_TEST

START_TEST(test_size)
{
	char *text = malloc(SPEC_MAX_BYTES + 1);
	Spec *spec = NULL;

	memset(text, ' ', SPEC_MAX_BYTES + 1);
	memcpy(text, "{\"address\":8}", 13);
	ck_assert_int_eq(spec_parse(text, SPEC_MAX_BYTES, &spec, NULL), 0);
	spec_free(spec);
	expect_refused(text, SPEC_MAX_BYTES + 1, REFUSED_INVALID_SPEC, "$ (byte 65536",
		       "65537 bytes, and the limit is 65536");
	free(text);
}
END_TEST

START_TEST(test_depth)
{
	char text[512] = "{\"address\":8,\"condition\":";
	Refusal refusal;
	Spec *spec;

	for (size_t i = 0; i < SPEC_MAX_JSON_DEPTH - 1; i++)
		strcat(text, "[");
	ck_assert_int_eq(spec_parse(text, strlen(text), &spec, &refusal), REFUSED_INVALID_SPEC);
	ck_assert_ptr_null(strstr(refusal.text, "deep"));
	strcat(text, "[");
	ck_assert_int_eq(spec_parse(text, strlen(text), &spec, &refusal), REFUSED_INVALID_SPEC);
	ck_assert_msg(strstr(refusal.text, "... (byte 124): ") != NULL &&
			      strstr(refusal.text, "more than 100 deep") != NULL,
		      "%s", refusal.text);
}
END_TEST

/* A condition, an address and threads that fill the spec to its last bytes, so that its normal form, which
 * adds the defaults, would be no spec any more. */
static char *filled_spec(size_t size)
{
	static const char parameter[] =
		"{\"param\":\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"},";
	char *text = malloc(SPEC_MAX_BYTES * 2);
	size_t length = (size_t)sprintf(
		text, "{\"address\":8,\"parameters\":{%.*s:1},\"condition\":{\"+\":[0,", 65,
		parameter + strlen("{\"param\":"));

	for (size_t i = 0; i < CONDITION_MAX_NODES - 3; i++)
		length += (size_t)sprintf(text + length, "%s", parameter);
	length += (size_t)sprintf(text + length,
				  "0]},\"capture\":{\"memory\":[{\"length\":1,\"at\":{\"+\":[0,");
	for (size_t i = 0; i < SPEC_MAX_ADDRESS_NODES - 3; i++)
		length += (size_t)sprintf(text + length, "%s", parameter);
	length += (size_t)sprintf(text + length, "0]}}]},\"threads\":[1");
	for (int i = 0; length + strlen(",1000000000]}") <= size; i++)
		length += (size_t)sprintf(text + length, ",%d", 1000000000 + i);
	sprintf(text + length, "]}");
	return text;
}

START_TEST(test_normal_form_fits)
{
	char *text = filled_spec(SPEC_MAX_BYTES - 1000);
	Spec *spec = parse(text);

	ck_assert_uint_gt(strlen(spec->text), strlen(text));
	spec_free(parse(spec->text));
	spec_free(spec);
	free(text);
	text = filled_spec(SPEC_MAX_BYTES);
	expect_refused(text, strlen(text), REFUSED_INVALID_SPEC, "$ (byte 0",
		       "with all defaults written out");
	free(text);
}
END_TEST

/* Every cut of a good spec is an error that has a path and a byte, and nothing leaks. */
START_TEST(test_every_cut)
{
	for (size_t length = 0; length < strlen(everything) - 2; length++) {
		Refusal refusal = {.text = ""};
		Spec *spec = NULL;

		ck_assert_int_eq(parse_bytes(everything, length, &spec, &refusal),
				 REFUSED_INVALID_SPEC);
		ck_assert_msg(refusal.text[0] == '$' && strstr(refusal.text, " (byte ") != NULL,
			      "%s", refusal.text);
	}
}
END_TEST

START_TEST(test_signal_names)
{
	char name[SIGNAL_NAME_SIZE];

	for (int number = 1; number <= SIGRTMAX; number++) {
		if (number > SIGSYS && number < SIGRTMIN)
			continue;
		signal_to_name(number, name);
		ck_assert_int_eq(signal_from_name(name), number);
	}
	ck_assert_int_eq(signal_from_name("SIGRTMAX"), SIGRTMAX);
	ck_assert_int_eq(signal_from_name("SIGRTMAX-30"), SIGRTMIN);
	ck_assert_int_eq(signal_from_name("SIGRTMAX-31"), 0);
	ck_assert_int_eq(signal_from_name("SIGRTMIN+"), 0);
	ck_assert_int_eq(signal_from_name("SIGRTMIN+ 1"), 0);
	ck_assert_int_eq(signal_from_name("SIGRTMIN+999999999999"), 0);
	ck_assert_int_eq(signal_from_name("SIG"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spec");
	TCase *tests = tcase_create("spec");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_defaults);
	tcase_add_test(tests, test_everything);
	tcase_add_loop_test(tests, test_normal_form, 0,
			    sizeof(normal_forms) / sizeof(normal_forms[0]));
	tcase_add_test(tests, test_condition_offset);
	tcase_add_test(tests, test_limits);
	tcase_add_test(tests, test_parameter_name_length);
	tcase_add_test(tests, test_size);
	tcase_add_test(tests, test_depth);
	tcase_add_test(tests, test_normal_form_fits);
	tcase_add_test(tests, test_every_cut);
	tcase_add_test(tests, test_signal_names);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
