/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program and its library of the tests of locations say to each other: each prints where its
 * things really are, as lines "NAME ADDRESS". */
#ifndef LOCATION_LIBRARY_H
#define LOCATION_LIBRARY_H

#include <stdio.h>

void library_report(void);
int library_only(int x);
int library_indirect(int x);
int in_both(int x);

static inline void report(const char *name, const volatile void *address)
{
	printf("%s %lx\n", name, (unsigned long)address);
}

#endif
