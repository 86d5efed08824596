/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shared library of the tests of locations: names of its own, names that the program has too, a
 * static one, an indirect function, a thread-local variable. */
#include "tests/targets/location_library.h"

long library_variable = 7;
__thread int library_thread_local = 3;

int in_both(int x)
{
	return x + 2;
}

/* The library's own, where the name alone is bound to the program's. */
static int own_in_both(int x) __attribute__((alias("in_both")));

int library_only(int x)
{
	return in_both(x) * 3;
}

/* The names of static things are not exported: only the symbol table has them. */
static __attribute__((noinline, used)) int library_static(int x)
{
	return x - 1;
}

/* The program has one that is called like this, too. */
static __attribute__((noinline, used)) int twice_static(int x)
{
	return x - 2;
}

static int implementation(int x)
{
	return x + 100;
}

static __attribute__((used)) int (*choose(void))(int)
{
	return implementation;
}

int library_indirect(int x) __attribute__((ifunc("choose")));

void library_report(void)
{
	report("library:in_both", (const void *)&own_in_both);
	report("library:library_only", (const void *)&library_only);
	report("library:library_static", (const void *)&library_static);
	report("library:twice_static", (const void *)&twice_static);
	report("library:implementation", (const void *)&implementation);
	report("library:library_variable", &library_variable);
	library_thread_local += library_static(twice_static(1));
}
