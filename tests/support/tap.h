/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Check suites with a TAP report, which knows of skipped tests. */
#ifndef SUPPORT_TAP_H
#define SUPPORT_TAP_H

#include <check.h>

/*
 * Runs the suite and writes a TAP report to stdout: a line a test case. Return: an exit status, 0
 * when no test failed. With BPCOND_MUST_WORK=1 in the environment a skipped test has failed.
 */
int tap_run(Suite *suite);

/* A report of one line: the whole program cannot run here, for `reason`. Return: an exit status. */
int tap_skip_all(const char *reason);

/* Ends a test case as skipped. */
#define test_skip(...) ck_abort_msg("SKIP: " __VA_ARGS__)

#endif
