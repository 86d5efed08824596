/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions and variables under the names that a C++ compiler gives them, so that the tests of locations
 * need none. */
#include "tests/targets/location_library.h"

int cxx_report(int x);

/* shop::Order::total() const */
int order_total(void) __asm__("_ZNK4shop5Order5totalEv");
/* shop::Order::add(int), shop::Order::add(long) */
int order_add_int(int x) __asm__("_ZN4shop5Order3addEi");
int order_add_long(long x) __asm__("_ZN4shop5Order3addEl");
/* shop::(anonymous namespace)::helper(int) */
int order_helper(int x) __asm__("_ZN4shop12_GLOBAL__N_16helperEi");
/* compute(double) */
int compute_double(double x) __asm__("_Z7computed");
/* shop::Box<int>::get() */
int box_get(void) __asm__("_ZN4shop3BoxIiE3getEv");
/* shop::limit */
int shop_limit __asm__("_ZN4shop5limitE") = 3;

int order_total(void)
{
	return shop_limit + 1;
}

int order_add_int(int x)
{
	return x + 1;
}

int order_add_long(long x)
{
	return (int)x + 2;
}

int order_helper(int x)
{
	return x + 3;
}

int compute_double(double x)
{
	return (int)x + 4;
}

int box_get(void)
{
	return 5;
}

int cxx_report(int x)
{
	report("cxx:total", (const void *)&order_total);
	report("cxx:add_int", (const void *)&order_add_int);
	report("cxx:helper", (const void *)&order_helper);
	report("cxx:compute", (const void *)&compute_double);
	report("cxx:limit", &shop_limit);
	return order_total() + order_add_int(x) + order_add_long(x) + order_helper(x) +
	       compute_double(x) + box_get();
}
