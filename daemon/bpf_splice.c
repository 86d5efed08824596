/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf_splice.h"
#include "daemon/util.h"

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static bool is_wide_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static bool is_map_load(const struct bpf_insn *insn)
{
	return is_wide_load(insn) &&
	       (insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_VALUE);
}

/* Where the template's functions begin, in the order of their first calls; all must lie one behind
 * the other at the end, so that cutting at the first leaves the program itself. */
static int find_functions(SpliceCode template, size_t starts[static SPLICE_FUNCTIONS])
{
	size_t found = 0;

	for (size_t i = 0; i < template.n_insns; i++) {
		const struct bpf_insn *insn = &template.insns[i];
		size_t start, known;

		if (is_wide_load(insn)) {
			i++;
			continue;
		}
		if (!is_call(insn))
			continue;
		start = i + 1 + insn->imm;
		if (start <= i || start >= template.n_insns)
			return -EINVAL;
		for (known = 0; known < found && starts[known] != start; known++)
			;
		if (known < found)
			continue;
		if (found == SPLICE_FUNCTIONS || (found && start < starts[found - 1]))
			return -EINVAL;
		starts[found++] = start;
	}
	return found == SPLICE_FUNCTIONS ? 0 : -EINVAL;
}

static int exchange_map(struct bpf_insn *insn, const SpliceMap *maps, size_t n_maps)
{
	for (size_t i = 0; i < n_maps; i++) {
		if (insn->imm == maps[i].template_fd) {
			insn->imm = maps[i].fd;
			return 0;
		}
	}
	return -EINVAL;
}

int bpf_splice(SpliceCode template, const SpliceCode functions[static SPLICE_FUNCTIONS],
	       const SpliceMap *maps, size_t n_maps, struct bpf_insn **ret, size_t *ret_n_insns)
{
	_cleanup_free_ struct bpf_insn *insns = NULL;
	size_t old_starts[SPLICE_FUNCTIONS], starts[SPLICE_FUNCTIONS], body, n_insns;
	int r;

	r = find_functions(template, old_starts);
	if (r < 0)
		return r;
	body = old_starts[0];
	n_insns = body;
	for (size_t i = 0; i < SPLICE_FUNCTIONS; i++) {
		starts[i] = n_insns;
		n_insns += functions[i].n_insns;
	}

	insns = calloc(n_insns, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	memcpy(insns, template.insns, body * sizeof(*insns));
	for (size_t i = 0; i < SPLICE_FUNCTIONS; i++)
		memcpy(insns + starts[i], functions[i].insns,
		       functions[i].n_insns * sizeof(*insns));

	/* The generated code refers to no map and calls no function: only the body needs mending. */
	for (size_t i = 0; i < body; i++) {
		if (is_map_load(&insns[i])) {
			r = exchange_map(&insns[i], maps, n_maps);
			if (r < 0)
				return r;
		}
		if (is_wide_load(&insns[i])) {
			i++;
			continue;
		}
		if (is_call(&insns[i])) {
			size_t target = i + 1 + insns[i].imm;

			for (size_t f = 0; f < SPLICE_FUNCTIONS; f++)
				if (old_starts[f] == target)
					insns[i].imm = (int)(starts[f] - i - 1);
		}
	}

	*ret = insns;
	*ret_n_insns = n_insns;
	insns = NULL;
	return 0;
}
