/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check writes TAP by itself, but a test of it either passes or fails; here one can also be skipped,
 * by a failure whose message says so.
 */
#include "tests/support/tap.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIP_PREFIX "SKIP: "

static bool must_work(void)
{
	const char *value = getenv("BPCOND_MUST_WORK");

	return value && strcmp(value, "1") == 0;
}

/* Return: whether the test counts as failed. */
static bool report(unsigned number, TestResult *result)
{
	const char *message = tr_msg(result) ? tr_msg(result) : "";
	bool failed = tr_rtype(result) != CK_PASS;
	bool skipped = tr_rtype(result) == CK_FAILURE &&
		       strncmp(message, SKIP_PREFIX, strlen(SKIP_PREFIX)) == 0;

	if (skipped && !must_work()) {
		printf("ok %u - %s # SKIP %s\n", number, tr_tcname(result),
		       message + strlen(SKIP_PREFIX));
		return false;
	}
	printf("%s %u - %s\n", failed ? "not ok" : "ok", number, tr_tcname(result));
	/* to stderr, since meson keeps the report to itself */
	if (failed)
		fprintf(stderr, "%s: %s:%d:\n%s\n", tr_tcname(result),
			tr_lfile(result) ? tr_lfile(result) : "?", tr_lno(result), message);
	return failed;
}

int tap_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	TestResult **results;
	unsigned n;
	bool failed = false;

	srunner_run_all(runner, CK_SILENT);
	n = (unsigned)srunner_ntests_run(runner);
	results = srunner_results(runner);
	printf("1..%u\n", n);
	for (unsigned i = 0; i < n; i++) {
		if (report(i + 1, results[i]))
			failed = true;
	}
	free(results);
	srunner_free(runner);
	fflush(stdout);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int tap_skip_all(const char *reason)
{
	if (must_work()) {
		printf("1..1\nnot ok 1 - %s\n", reason);
		return EXIT_FAILURE;
	}
	printf("1..0 # SKIP %s\n", reason);
	return EXIT_SUCCESS;
}
