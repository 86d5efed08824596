/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Specs all the way into the kernel: whatever spec_parse takes, or spec_parse_lent, makes a filter
 * that the kernel loads, as the daemon makes it: maps, template, generated code, captured addresses.
 * An input is a spec of a breakpoint, or of a lent filter, which has no address.
 *
 * Needs root, or CAP_BPF and CAP_PERFMON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bpf_filter.h"
#include "daemon/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	SKIPPED = 77,
};

static FilterEngine *engine;
static int ring_fd = -EBADF;

__attribute__((noreturn)) static void found(const char *what, int r)
{
	fprintf(stderr, "%s: %s\n", what, r < 0 ? strerror(-r) : "");
	abort();
}

static void fuzz_breakpoint(const Spec *spec)
{
	Filter *filter = NULL;
	uint32_t n_insns;
	Refusal refusal;
	int r;

	r = filter_count_insns(engine, spec, &n_insns, &refusal);
	if (r != 0)
		found("the instructions of a good spec cannot be counted", r);
	r = filter_new(engine, spec, 1, ring_fd, &filter, &refusal);
	if (r != 0)
		found("a good spec makes no filter", r);
	if (filter->n_insns != n_insns)
		found("instructions counted and loaded differ", 0);
	filter_free(filter);
}

static void fuzz_lent(const Spec *spec)
{
	/* Both with a ring for its hits and without. */
	const int rings[] = {ring_fd, -EBADF};
	FilterLoan loan = {.borrower_uid = 1000, .borrower_gid = 1000, .borrower_userns = 1};

	for (int i = 0; i < 2; i++) {
		Filter *filter = NULL;
		Refusal refusal;
		int r;

		loan.only_when_traced = i == 0;
		r = filter_new_lent(engine, spec, &loan, 1, rings[i], &filter, &refusal);
		if (r != 0)
			found("a good spec makes no lent filter", r);
		filter_free(filter);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *must_work = getenv("BPCOND_MUST_WORK");
	int r;

	r = filter_engine_new(&engine);
	if (r == 0) {
		r = filter_ring_new(4096);
		ring_fd = r;
	}
	if (r < 0) {
		fprintf(stderr, "cannot load BPF programs: %s; run as root\n", strerror(-r));
		exit(must_work && strcmp(must_work, "1") == 0 ? EXIT_FAILURE : SKIPPED);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Spec *spec = NULL;
	Refusal refusal;

	if (spec_parse((const char *)data, size, &spec, &refusal) == 0)
		fuzz_breakpoint(spec);
	spec = spec_free(spec);
	if (engine->lent && spec_parse_lent((const char *)data, size, &spec, &refusal) == 0)
		fuzz_lent(spec);
	spec_free(spec);
	return 0;
}
