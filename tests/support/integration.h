/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An integration test: a program with its own bus and its own daemon, whose test cases run as an
 * ordinary user.
 *
 *	int main(int argc, char *argv[])
 *	{
 *		Suite *suite = suite_create("lifetime");
 *
 *		integration_add(suite, "a session ends with its target", ends_with_target);
 *		return integration_run(suite, argc, argv);
 *	}
 */
#ifndef SUPPORT_INTEGRATION_H
#define SUPPORT_INTEGRATION_H

#include <check.h>

#include "tests/support/helper.h"
#include "tests/support/tap.h"

/* Adds a test case, a START_TEST function; it may take a minute. */
void integration_add(Suite *suite, const char *name, const TTest *function);

/* The same for one of many that share a function: there `_i` is the number. */
void integration_add_loop(Suite *suite, const char *name, const TTest *function, int number);

/*
 * argv[1] is the build directory, where argv is what meson.build says. Starts bus and daemon, runs
 * every test case as bpcond-test-a with DBUS_SYSTEM_BUS_ADDRESS set, ends all. Return: an exit
 * status.
 */
int integration_run(Suite *suite, int argc, char *argv[]);

/* ck_assert_msg for what is looked at in each of very many records: Check tells its runner of every
 * assertion, by a write. */
#define check_often(condition, ...)                \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* How often a test does what it does very often: n, or the BPCOND_TEST_PART-th part of it (at least 1) on
 * a machine that is slow. For what is true of any number. */
unsigned integration_volume(unsigned n);

/* In a test case: the path of a built program, as "tools/bpcondctl", where this user can run it.
 * Static text, good until the next call but three. */
char *integration_program(const char *name);

#endif
