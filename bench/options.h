/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benchmarks of this directory share on their command lines, and where they run.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>

typedef struct BenchOptions {
	bool check; /* hold the figures against what is promised */
	bool quick; /* fewer rounds */
} BenchOptions;

/* Reads --check, --quick and --help. Return: -1 to go on with *ret; else the exit status to end with. */
int bench_options(int argc, char *argv[], BenchOptions *ret);

/* Binds this process to the last CPU that it may use. Return: its number; negative errno. */
int bench_pin(void);

#endif
