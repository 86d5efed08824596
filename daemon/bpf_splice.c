/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf_splice.h"
#include "daemon/util.h"

enum {
	MAX_STACK = 512, /* the kernel's limit */
	/* Up to so many bytes: the kernel's BPF_PRIV_STACK_MIN_SIZE is 64, and it rounds up to 16. */
	SMALL_STACK = 48,
	NO_PLACE = -1,
};

static bool is_wide_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static bool is_map_load(const struct bpf_insn *insn)
{
	return is_wide_load(insn) &&
	       (insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_VALUE);
}

static bool is_exit(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_EXIT);
}

static bool is_function_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static bool is_jump(const struct bpf_insn *insn)
{
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}

/* How the code is put into the template. */
typedef struct Plan {
	int frame; /* bytes of the template's own stack, below which that of code in place lies */
	bool in_place[FILTER_PLACES]; /* else it is a function */
} Plan;

/* A register plus a constant. */
static bool is_addition(const struct bpf_insn *insn, int reg)
{
	return insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && insn->dst_reg == reg;
}

static bool is_stack_address(const struct bpf_insn *insn)
{
	return insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->src_reg == BPF_REG_10;
}

/* Through r10, a load or a store. */
static bool is_stack_access(const struct bpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LDX:
		return insn->src_reg == BPF_REG_10;
	case BPF_ST:
	case BPF_STX:
		return insn->dst_reg == BPF_REG_10;
	default:
		return false;
	}
}

/* Which code the (wide) instruction stands for. */
static int place_of(const struct bpf_insn *insn)
{
	uint64_t value;

	if (!is_wide_load(insn) || insn->src_reg != 0)
		return NO_PLACE;
	value = (uint64_t)(uint32_t)insn[1].imm << 32 | (uint32_t)insn->imm;
	return value - FILTER_PLACE < FILTER_PLACES ? (int)(value - FILTER_PLACE) : NO_PLACE;
}

/* How far down the stack of the code's first function goes, in bytes. */
static int stack_bytes(SpliceCode code)
{
	size_t end = code.n_insns;
	int lowest = 0;

	for (size_t i = 0; i < end; i++) {
		const struct bpf_insn *insn = &code.insns[i];
		int at = 0;

		if (is_wide_load(insn)) {
			i++;
			continue;
		}
		if (is_function_call(insn) && i + 1 + insn->imm < end)
			end = i + 1 + insn->imm;
		else if (is_stack_access(insn))
			at = insn->off;
		else if (is_stack_address(insn) && i + 1 < end &&
			 is_addition(insn + 1, insn->dst_reg))
			at = insn[1].imm;
		if (at < lowest)
			lowest = at;
	}
	return (-lowest + 7) / 8 * 8;
}

static bool calls_helpers(SpliceCode code)
{
	for (size_t i = 0; i < code.n_insns; i++) {
		if (is_wide_load(&code.insns[i]))
			i++;
		else if (code.insns[i].code == (BPF_JMP | BPF_CALL))
			return true;
	}
	return false;
}

/* Beside helpers. */
static bool calls_functions(SpliceCode code)
{
	for (size_t i = 0; i < code.n_insns; i++) {
		if (is_wide_load(&code.insns[i]))
			i++;
		else if (is_function_call(&code.insns[i]))
			return true;
	}
	return false;
}

/* Decides which code stands in place. */
static void plan(SpliceCode template, const SpliceCode places[static FILTER_PLACES], Plan *ret)
{
	ret->frame = stack_bytes(template);
	for (int i = 0; i < FILTER_PLACES; i++) {
		int stack = ret->frame + stack_bytes(places[i]);

		/* Addresses are computed in the template's other function, where nothing is hot. */
		ret->in_place[i] = i == FILTER_CONDITION && stack <= MAX_STACK &&
				   (stack <= SMALL_STACK || !calls_helpers(places[i])) &&
				   !calls_functions(places[i]);
	}
}

/* Copies generated code to where it shall stand, its stack below the frame. */
static int place_code(SpliceCode code, int frame, struct bpf_insn *ret)
{
	for (size_t i = 0; i < code.n_insns; i++) {
		struct bpf_insn *insn = &ret[i];
		int lowest = 0;

		*insn = code.insns[i];
		if (is_wide_load(insn)) {
			if (insn->src_reg != 0 || i + 1 == code.n_insns)
				return -EINVAL;
			i++;
			ret[i] = code.insns[i];
		} else if (is_exit(insn)) {
			size_t rest = code.n_insns - i - 1;

			if (rest > INT16_MAX)
				return -E2BIG;
			*insn = (struct bpf_insn){.code = BPF_JMP | BPF_JA, .off = (int16_t)rest};
		} else if (is_stack_access(insn)) {
			lowest = insn->off - frame;
			insn->off = (int16_t)lowest;
		} else if (is_stack_address(insn)) {
			if (i + 1 == code.n_insns ||
			    !is_addition(&code.insns[i + 1], insn->dst_reg))
				return -EINVAL;
			i++;
			ret[i] = code.insns[i];
			ret[i].imm -= frame;
			lowest = ret[i].imm;
		} else if (insn->src_reg == BPF_REG_10 || insn->dst_reg == BPF_REG_10) {
			return -EINVAL;
		}
		if (lowest < -MAX_STACK)
			return -E2BIG;
	}
	return 0;
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

/* Where each of the template's instructions comes to stand; at n_insns, where they end. */
static int lay_out(SpliceCode template, const SpliceCode places[static FILTER_PLACES],
		   const Plan *plan, size_t *ret)
{
	bool found[FILTER_PLACES] = {};
	size_t at = 0;

	for (size_t i = 0; i < template.n_insns; i++) {
		int place = i + 1 < template.n_insns ? place_of(&template.insns[i]) : NO_PLACE;

		ret[i] = at++;
		if (!is_wide_load(&template.insns[i]))
			continue;
		i++;
		ret[i] = at++;
		if (place != NO_PLACE) {
			if (found[place])
				return -EINVAL;
			found[place] = true;
			at = at - 2 + (plan->in_place[place] ? places[place].n_insns : 1);
		}
	}
	ret[template.n_insns] = at;
	for (int place = 0; place < FILTER_PLACES; place++)
		if (!found[place] || places[place].n_insns == 0)
			return -EINVAL;
	return 0;
}

/* One of the template's jumps or calls, where it and its target stand now. */
static int relocate(struct bpf_insn *insn, SpliceCode template, const size_t *positions, size_t i)
{
	size_t target = i + 1 + (is_jump(insn) ? insn->off : insn->imm);
	int64_t distance;

	if (target >= template.n_insns)
		return -EINVAL;
	distance = (int64_t)positions[target] - (int64_t)positions[i] - 1;
	if (!is_jump(insn)) {
		insn->imm = (int32_t)distance;
		return 0;
	}
	if (distance < INT16_MIN || distance > INT16_MAX)
		return -E2BIG;
	insn->off = (int16_t)distance;
	return 0;
}

static int assemble(SpliceCode template, const SpliceCode places[static FILTER_PLACES],
		    const Plan *plan, const SpliceMap *maps, size_t n_maps, const size_t *positions,
		    struct bpf_insn *ret)
{
	size_t function = positions[template.n_insns];

	for (size_t i = 0; i < template.n_insns; i++) {
		struct bpf_insn *insn = &ret[positions[i]];
		int place = i + 1 < template.n_insns ? place_of(&template.insns[i]) : NO_PLACE;
		int r = 0;

		*insn = template.insns[i];
		if (place != NO_PLACE && !plan->in_place[place]) {
			*insn = (struct bpf_insn){.code = BPF_JMP | BPF_CALL,
						  .src_reg = BPF_PSEUDO_CALL,
						  .imm = (int)(function - positions[i] - 1)};
			memcpy(ret + function, places[place].insns,
			       places[place].n_insns * sizeof(*ret));
			function += places[place].n_insns;
		} else if (place != NO_PLACE) {
			r = place_code(places[place], plan->frame, insn);
		} else if (is_map_load(insn)) {
			r = exchange_map(insn, maps, n_maps);
		} else if (is_jump(insn) || is_function_call(insn)) {
			r = relocate(insn, template, positions, i);
		}
		if (r < 0)
			return r;
		if (is_wide_load(&template.insns[i])) {
			i++;
			if (place == NO_PLACE)
				insn[1] = template.insns[i];
		}
	}
	return 0;
}

int bpf_splice(SpliceCode template, const SpliceCode places[static FILTER_PLACES],
	       const SpliceMap *maps, size_t n_maps, struct bpf_insn **ret, size_t *ret_n_insns)
{
	_cleanup_free_ size_t *positions = calloc(template.n_insns + 1, sizeof(*positions));
	_cleanup_free_ struct bpf_insn *insns = NULL;
	size_t n_insns;
	Plan chosen;
	int r;

	if (!positions)
		return -ENOMEM;
	plan(template, places, &chosen);
	r = lay_out(template, places, &chosen, positions);
	if (r < 0)
		return r;
	n_insns = positions[template.n_insns];
	for (int place = 0; place < FILTER_PLACES; place++)
		if (!chosen.in_place[place])
			n_insns += places[place].n_insns;
	insns = calloc(n_insns, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	r = assemble(template, places, &chosen, maps, n_maps, positions, insns);
	if (r < 0)
		return r;
	*ret = insns;
	*ret_n_insns = n_insns;
	insns = NULL;
	return 0;
}
