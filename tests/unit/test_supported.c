/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each feature that a kernel lacks refuses what needs it, by name, and nothing else. */
#include "daemon/supported.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const Features all = {
	.hardware_slots = 4,
	.data_breakpoints = true,
	.suppress_sample = true,
	.suppress_signal = true,
	.suppress_sigtrap = true,
	.suppress_limit = true,
	.inherit_thread = true,
	.send_signal_thread = true,
	.kernel_accesses = true,
	.btf = true,
	.perf_event_paranoid = 2,
};

/* As Linux 6.1 is. */
static Features long_term(void)
{
	Features features = all;

	features.suppress_signal = false;
	features.suppress_sigtrap = false;
	features.suppress_limit = false;
	return features;
}

static int ask(const Features *features, const char *text, Refusal *refusal)
{
	Spec *spec;
	int r;

	ck_assert_int_eq(spec_parse(text, strlen(text), &spec, refusal), 0);
	r = supported_spec(features, spec, refusal);
	spec_free(spec);
	return r;
}

static void expect_refused_as(const Features *features, const char *text, RefusalKind kind,
			      const char *says)
{
	Refusal refusal = {};

	ck_assert_int_eq(ask(features, text, &refusal), kind);
	ck_assert_int_eq(refusal.kind, kind);
	ck_assert_msg(strstr(refusal.text, says) != NULL, "\"%s\" lacks \"%s\"", refusal.text,
		      says);
}

static void expect_refused(const Features *features, const char *text, const char *says)
{
	expect_refused_as(features, text, REFUSED_NOT_SUPPORTED, says);
}

static void expect_supported(const Features *features, const char *text)
{
	Refusal refusal = {};

	ck_assert_msg(ask(features, text, &refusal) == 0, "%s: %s", text, refusal.text);
}

#define PLAIN     "{\"address\":\"0x1000\"}"
#define LISTED    "{\"address\":\"0x1000\",\"threads\":[1]}"
#define WRITE     "{\"address\":\"0x1000\",\"access\":\"write\"}"
#define SIGNAL    "{\"address\":\"0x1000\",\"signal\":\"SIGSTOP\"}"
#define EVENTS    "{\"address\":\"0x1000\",\"events\":true}"
#define IN_KERNEL "{\"address\":\"0x1000\",\"access\":\"write\",\"kernel-accesses\":true}"

START_TEST(all_is_supported)
{
	static const char *const specs[] = {PLAIN, LISTED, WRITE, SIGNAL, EVENTS, IN_KERNEL};

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		expect_supported(&all, specs[i]);
}
END_TEST

START_TEST(each_lack_is_named)
{
	Features features;

	features = all;
	features.data_breakpoints = false;
	expect_refused(&features, WRITE, "$.access");
	expect_supported(&features, PLAIN);

	/* Not known is not lacking. */
	features = all;
	features.data_breakpoints = features.kernel_accesses = false;
	features.slots_taken = true;
	expect_refused_as(&features, WRITE, REFUSED_NO_FREE_SLOT, "call again");
	expect_refused_as(&features, IN_KERNEL, REFUSED_NO_FREE_SLOT, "call again");
	expect_supported(&features, PLAIN);

	/* Where execution has registers of its own, as on arm64, only those may be taken. */
	features = all;
	features.slots_taken = true;
	expect_supported(&features, WRITE);

	features = all;
	features.inherit_thread = false;
	expect_refused(&features, PLAIN, "$.threads");
	expect_supported(&features, LISTED);

	features = all;
	features.send_signal_thread = false;
	expect_refused(&features, SIGNAL, "$.signal");
	expect_supported(&features, PLAIN);

	features = all;
	features.kernel_accesses = false;
	expect_refused(&features, IN_KERNEL, "raise no trap");
	expect_supported(&features, WRITE);

	features = all;
	features.btf = false;
	expect_refused(&features, IN_KERNEL, "CONFIG_DEBUG_INFO_BTF");
	expect_supported(&features, WRITE);
}
END_TEST

START_TEST(long_term_kernels_lack_descriptor_signals_only)
{
	const Features features = long_term();

	expect_refused(&features, EVENTS, "Linux 6.10");
	expect_supported(&features, PLAIN);
	expect_supported(&features, WRITE);
	expect_supported(&features, SIGNAL);
	expect_supported(&features, IN_KERNEL);
}
END_TEST

START_TEST(without_perf_events_the_refusal_is_of_them)
{
	const Features features = {.perf_error = -EACCES, .perf_event_paranoid = 3};
	Refusal refusal = {};

	expect_refused(&features, PLAIN, "perf");
	ck_assert_int_eq(supported_lent(&features, true, false, &refusal), REFUSED_NOT_SUPPORTED);
	ck_assert_ptr_nonnull(strstr(refusal.text, "perf"));
}
END_TEST

START_TEST(lent_filters)
{
	Features features = long_term();
	Refusal refusal = {};

	ck_assert_int_eq(supported_lent(&all, false, true, &refusal), 0);
	ck_assert_int_eq(supported_lent(&all, true, false, &refusal), 0);

	/* A ring holds exactly the hits on any kernel; an event of the borrower's does not. */
	ck_assert_int_eq(supported_lent(&features, true, false, &refusal), 0);
	ck_assert_int_eq(supported_lent(&features, false, false, &refusal), REFUSED_NOT_SUPPORTED);
	ck_assert_ptr_nonnull(strstr(refusal.text, "Linux 6.10"));
	ck_assert_ptr_nonnull(strstr(refusal.text, "hits-bytes"));

	features = all;
	features.btf = false;
	ck_assert_int_eq(supported_lent(&features, true, false, &refusal), REFUSED_NOT_SUPPORTED);
	ck_assert_ptr_nonnull(strstr(refusal.text, "LendFilter"));
	ck_assert_int_eq(supported_lent(&features, true, true, &refusal), REFUSED_NOT_SUPPORTED);
	ck_assert_ptr_nonnull(strstr(refusal.text, "only-when-traced"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("supported");
	TCase *tests = tcase_create("supported");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, all_is_supported);
	tcase_add_test(tests, each_lack_is_named);
	tcase_add_test(tests, long_term_kernels_lack_descriptor_signals_only);
	tcase_add_test(tests, without_perf_events_the_refusal_is_of_them);
	tcase_add_test(tests, lent_filters);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
