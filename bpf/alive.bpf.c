/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of the kernel's BPF maps and programs there are, by their ids, which are never used twice; and
 * how many descriptors and mappings hold a map, beside the programs that use it. It runs when the
 * daemon reads the iterators, and writes one struct alive_map or alive_program each.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/alive.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter_meta {
	struct seq_file *seq;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct bpf_map {
	__u32 id;
	atomic64_t usercnt;
};

struct bpf_prog_aux {
	__u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};

struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};

#pragma clang attribute pop

SEC("iter/bpf_map")
int read_map(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;
	struct alive_map record;

	if (!map)
		return 0;
	record.id = map->id;
	/* The walk itself holds the map it is at, but not by this count. */
	record.held = BPF_CORE_READ(map, usercnt.counter) > 0;
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

SEC("iter/bpf_prog")
int read_program(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *program = ctx->prog;
	struct alive_program record;

	if (!program)
		return 0;
	record.id = BPF_CORE_READ(program, aux, id);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
