/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/options.h"

static int usage(FILE *to, const char *program, int status)
{
	fprintf(to, "usage: %s [--check] [--quick]\n", program);
	return status;
}

int bench_options(int argc, char *argv[], BenchOptions *ret)
{
	static const struct option long_options[] = {
		{"check", no_argument, NULL, 'c'},
		{"quick", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	BenchOptions options = {};

	while (true) {
		int c = getopt_long(argc, argv, "h", long_options, NULL);

		if (c < 0)
			break;
		if (c == 'h')
			return usage(stdout, argv[0], EXIT_SUCCESS);
		else if (c == 'c')
			options.check = true;
		else if (c == 'q')
			options.quick = true;
		else
			return usage(stderr, argv[0], 2);
	}
	*ret = options;
	return -1;
}

int bench_pin(void)
{
	cpu_set_t allowed, one;
	int last = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			last = cpu;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		return -errno;
	return last;
}
