/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters: a spec becomes a loaded BPF program with the maps around it. A filter knows no process
 * and attaches to nothing; bpf_attach.c does that.
 */
#ifndef BPF_FILTER_DAEMON_H
#define BPF_FILTER_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpcond/hit.h"
#include "bpf/filter.h"
#include "daemon/bpf_engine.h"
#include "daemon/refusal.h"
#include "daemon/spec.h"

/* The name of every filter's control map, in all versions: where it is all zero, the filter is
 * revoked. */
#define FILTER_CONTROL_NAME "bpcond_control"

typedef struct Filter {
	int program_fd;
	int counters_fd;   /* array of struct bpcond_counters, frozen: may be passed on */
	int parameters_fd; /* n u64, may be passed on; -EBADF without parameters */
	int control_fd;    /* never leaves the daemon */
	int counter_fd;    /* lent: the borrower's array of one perf event; else -EBADF */
	struct filter_control *control;
	const struct bpcond_counters *counters;
	uint64_t *parameters; /* NULL without parameters */
	uint32_t n_slots; /* of counters: as many as there can be CPUs, or more */
	uint32_t n_parameters;
	uint32_t n_insns; /* of the whole program */
} Filter;

/*
 * Instructions of the program that the spec makes, without loading it.
 * Return: 0 and *ret; REFUSED_NOT_SUPPORTED and *refusal; negative errno.
 */
int filter_count_insns(FilterEngine *engine, const Spec *spec, uint32_t *ret, Refusal *refusal);

/*
 * Makes the maps, loads the program; its state is FILTER_DISABLED. Hits go into the ring that
 * ring_fd is, as those of breakpoint number `breakpoint`.
 *
 * Return: 0 and *ret (filter_free); REFUSED_NOT_SUPPORTED and *refusal; negative errno.
 */
int filter_new(FilterEngine *engine, const Spec *spec, uint32_t breakpoint, int ring_fd,
	       Filter **ret, Refusal *refusal);

/* For whom and how a filter is lent. */
typedef struct FilterLoan {
	uid_t borrower_uid;
	gid_t borrower_gid;
	uint32_t borrower_userns;
	uint64_t borrower_caps; /* 1 << CAP_… */
	/* When his process started: only it, its children and what it traces are looked at; 0: all his. */
	uint64_t borrower_start;
	bool only_when_traced;
} FilterLoan;

/*
 * The same for a filter that its borrower attaches to events of his own; ring_fd may be -EBADF, and
 * then hits leave no records. The spec's address, threads and signal mean nothing here.
 */
int filter_new_lent(FilterEngine *engine, const Spec *spec, const FilterLoan *loan, uint32_t number,
		    int ring_fd, Filter **ret, Refusal *refusal);

/* Revokes first: whoever else holds the program or an event with it gets nothing more.
 * Return: NULL. */
Filter *filter_free(Filter *filter);

/* Frees it without revoking: somebody keeps its descriptors, to go on with it. Return: NULL. */
Filter *filter_leave(Filter *filter);

/* For good: whoever holds it, nothing is a hit any more. */
bool filter_is_revoked(const Filter *filter);

/* A plain store that the next evaluation on any CPU sees. */
void filter_set_state(Filter *filter, enum filter_state state);

/* Starts skip, every and limit anew. */
void filter_restart_counting(Filter *filter);

/* The sum over all CPUs. */
void filter_read_counts(const Filter *filter, struct bpcond_counters *ret);

/* Whether a ring may have that size. Return: 0; REFUSED_INVALID_ARGUMENT. */
int filter_check_ring_bytes(uint64_t bytes, Refusal *refusal);

/* Creates a ring of `bytes`, a power of two and a multiple of the page size.
 * Return: its descriptor; negative errno. */
int filter_ring_new(uint64_t bytes);

#endif
