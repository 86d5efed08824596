/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program of the tests of locations. It prints where everything is, as the compiler has it, then
 * "ready", and waits for the end of its standard input.
 */
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "tests/targets/location_library.h"

int cxx_report(int x);
int other_report(int x);
long work(int first, long second, unsigned char third);
double mixed(double first, int second);

typedef unsigned short Short;
enum colour {
	RED,
	GREEN = 5
};
struct point {
	int x, y;
};

int counter = 1;
static Short static_counter = 2;
unsigned char byte = 3;
bool is_set = true;
enum colour colour = GREEN;
const char *name = "name";
const int *const *pointers;
int table[4] = {1, 2, 3, 4};
const char *names[2] = {"a", "b"};
int matrix[2][2];
struct point point = {1, 2};
struct point points[3];
struct point *point_pointer = &point;
struct unknown *unknown_pointer;
const void *anything;
int wide[2][3];
double real = 1.5;
__thread long thread_local_variable = 11;
__thread int second_thread_local = 12;
static int duplicate_variable = 6;
volatile long sink;

static __attribute__((noinline)) int duplicate(int x)
{
	return x - duplicate_variable;
}

static __attribute__((noinline, used)) int twice_static(int x)
{
	return x + 2;
}

int in_both(int x)
{
	return x + 1;
}

/* One function under two names: the plain one is the one to show. */
int __plainly(int x);
int plainly(int x) __attribute__((alias("__plainly")));

__attribute__((noinline)) int __plainly(int x)
{
	return x + 7;
}

static inline __attribute__((always_inline)) void inlined(long x)
{
	sink += x * 3;
}

static const int inlined_line = __LINE__ - 3;

__attribute__((noinline)) long work(int first, long second, unsigned char third)
{
	long local = first + second;
	Short other = third;

here:
	sink += local;
	report("line:work", &&here);
	printf("line:work:number %x\n", __LINE__ - 2);
	{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
		int local = first * 2; /* hides the outer one: on purpose */
#pragma GCC diagnostic pop

	inner:
		sink += local;
		report("line:inner", &&inner);
		printf("line:inner:number %x\n", __LINE__ - 2);
		report("frame:inner_local",
		       (void *)((char *)&local - (char *)__builtin_frame_address(0)));
	}
	report("frame:local", (void *)((char *)&local - (char *)__builtin_frame_address(0)));
	report("frame:first", (void *)((char *)&first - (char *)__builtin_frame_address(0)));
	report("frame:other", (void *)((char *)&other - (char *)__builtin_frame_address(0)));
	inlined(first);
	return local + other;
}

__attribute__((noinline)) double mixed(double first, int second)
{
	return first + second;
}

int main(void)
{
	char byte_read;

	report("counter", &counter);
	report("static_counter", &static_counter);
	report("byte", &byte);
	report("is_set", &is_set);
	report("colour", &colour);
	report("name", &name);
	report("pointers", &pointers);
	report("table", table);
	report("names", names);
	report("matrix", matrix);
	report("point", &point);
	report("real", &real);
	report("points", points);
	report("point_pointer", &point_pointer);
	report("unknown_pointer", &unknown_pointer);
	report("anything", &anything);
	report("wide", wide);
	report("plainly", (const void *)&plainly);
	report("duplicate", (const void *)&duplicate);
	report("twice_static", (const void *)&twice_static);
	report("in_both", (const void *)&in_both);
	report("work", (const void *)&work);
	report("mixed", (const void *)&mixed);
	report("main", (const void *)&main);
	report("thread_local_variable",
	       (void *)((char *)&thread_local_variable - (char *)__builtin_thread_pointer()));
	report("second_thread_local",
	       (void *)((char *)&second_thread_local - (char *)__builtin_thread_pointer()));
	printf("inlined:number %x\n", inlined_line);
	library_report();
	inlined(other_report(1) + cxx_report(2) + plainly(3));
	sink += work(1, 2, 3) + (long)mixed(1.5, 2);
	sink += library_only(1) + library_indirect(2) + duplicate(3) + twice_static(4) +
		in_both(static_counter++);
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte_read, 1) > 0)
		;
	return 0;
}
