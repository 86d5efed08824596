/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second file of the program: it has a static function and variable called as those of the first. */
#include "tests/targets/location_library.h"

int other_report(int x);

static int duplicate_variable = 5;

static __attribute__((noinline)) int duplicate(int x)
{
	return x * duplicate_variable;
}

int other_report(int x)
{
	report("other:duplicate", (const void *)&duplicate);
	return duplicate(x);
}
