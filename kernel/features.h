/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the running kernel can do, found out by doing it and not by its version.
 *
 * Kernels differ in what becomes of a trap that a BPF program rejects: since 6.10 nothing at all, before
 * that only the sample is dropped, while the descriptor's signal and the synchronous SIGTRAP are sent
 * and the event's limit is spent. They differ in what a program may call, and in what the hardware
 * has. All of it is tried on the calling process itself, in a child that ends with the probe: no
 * other process is touched, and the caller's signals, descriptors and debug registers are as before.
 */
#ifndef FEATURES_H
#define FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Features {
	uint32_t
		hardware_slots; /* that a thread has for breakpoints of one kind; the least of both */
	bool data_breakpoints; /* each write to a watched word is one evaluation */
	bool suppress_sample;  /* a rejected trap writes no sample */
	bool suppress_signal;  /* …sends no signal by the descriptor (F_SETSIG) */
	bool suppress_sigtrap; /* …sends no synchronous SIGTRAP (attr.sigtrap) */
	bool suppress_limit; /* …does not count against the event's limit (PERF_EVENT_IOC_REFRESH) */
	bool inherit_thread;     /* threads that start later are filtered too; processes are not */
	bool send_signal_thread; /* a program can signal the very thread */
	bool kernel_accesses;    /* the kernel's own writes to watched user memory are traps */
	bool btf;                /* programs can use the kernel's types, and user space read them */
	/* Others, who watch whole CPUs, held every debug register at the time of the probe: hardware_slots,
	 * data_breakpoints and kernel_accesses could not be found out, and are 0 and false. Or every one of those
	 * for execution, or for data, where these are two kinds: then hardware_slots is 0, and of the rest that
	 * which needs them. */
	bool slots_taken;
	int perf_event_paranoid; /* of the moment of the probe; 2 where it cannot be read */
	int perf_error; /* 0, or the negative errno that a plain perf event was refused with */
	int bpf_error;  /* the same for a BPF program */
} Features;

/*
 * Takes some tens of milliseconds. Needs the rights that the daemon has: CAP_BPF and CAP_PERFMON. With
 * less, or where the kernel refuses perf events altogether, what depends on it is false, and
 * perf_error or bpf_error says why. Not for a process that has other children to wait for by
 * waitpid(-1).
 *
 * Return: 0 and *ret; negative errno when no child can be started; -ETIMEDOUT, -EPROTO when it does not
 * end, or not well.
 */
int features_probe(Features *ret);

/* The boolean ones by their names in org.bpcond1's Features. */
typedef struct FeatureName {
	const char *name;
	size_t offset; /* of the bool in Features */
} FeatureName;

enum {
	N_FEATURE_NAMES = 9,
};
extern const FeatureName feature_names[N_FEATURE_NAMES];

bool feature_get(const Features *features, const FeatureName *name);

/* kernel.perf_event_paranoid as it is now. Return: 0 and *ret; negative errno. */
int read_perf_event_paranoid(int *ret);

#endif
