/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code generation: the frame of the two functions, and the plan.
 *
 * The result is straight-line code with immediates and forward jumps, for Linux 6.1 and later: no
 * instruction beyond cpu v3. What follows must hold for every tree within the limits, since nothing
 * that the verifier refuses may reach a user:
 *
 * - Nothing unreachable is written, no jump goes backwards, the stack stays within
 *   CONDITION_MAX_STACK: slots for what is put aside (at most about ten, see emit_value.c) and for
 *   what was given come first, results worth keeping take what is left.
 *
 * - Verification is linear. The verifier walks both sides of a conditional jump, and gives up one of
 *   them where they meet only if it need not tell their states apart. It must tell them apart once it
 *   has decided a later jump by itself from what it knew of a value: then all that this value came
 *   from becomes "precise", back through every place where two ways met, and each combination of
 *   ways is walked. So no jump may ever be decided by such a value: what came out of a branch, or
 *   lives on while a jump looks at it, has filter_control.zero XORed in before the jump. The
 *   verifier cannot know that zero. What comes straight from a register, a parameter or memory and
 *   dies at the jump needs no such thing: whatever is known of it is known on all ways.
 *
 * - Each value computed on all ways to a point, and worth it, is taken from its slot there (Known in
 *   emitter.h), so that equal loads and strings are read once. Nothing is computed earlier than its
 *   place in the tree, and nothing that short-circuit leaves out.
 *
 * The frame is laid out by what the code uses, which generating it shows: code is generated until
 * the uses are those that the frame was laid out for, two or three times.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/filter.h"
#include "condition/emitter.h"

enum {
	CALL_SAVED_BASES = 3, /* of r6 to r9; the others are for values put aside */
	MAX_VALUES = 8,
};

static void count_occurrences(Emitter *e, const Expr *expr)
{
	e->remaining[expr->number]++;
	for (unsigned int i = 0; i < expr->n_operands; i++)
		count_occurrences(e, expr->operands[i]);
}

/* The longest text of at most so many bytes. */
static size_t longest_text(const Expr *expr, size_t most)
{
	size_t longest = expr->n_text <= most ? expr->n_text : 0;

	for (unsigned int i = 0; i < expr->n_operands; i++) {
		size_t below = longest_text(expr->operands[i], most);

		if (below > longest)
			longest = below;
	}
	return longest;
}

/* First of all, so that the slots of the read buffer are neighbours. */
static void take_read_slots(Emitter *e)
{
	size_t bytes = e->longest_read;

	e->read_slot = take_slot(e);
	while (bytes > sizeof(uint64_t)) {
		e->read_slot = take_slot(e);
		bytes -= sizeof(uint64_t);
	}
	if (e->longest_read > 0) {
		e->address_slot = take_slot(e);
		e->forgotten_slot = take_slot(e);
	}
}

static int argument_of(Base base)
{
	return BPF_REG_1 + base;
}

/* Moves what was given to where it outlives calls: the most used ones into registers. */
static void save_bases(Emitter *e, const unsigned int uses[BASE_COUNT])
{
	bool placed[BASE_COUNT] = {false};

	for (int i = 0; i < BASE_COUNT; i++) {
		Base most = BASE_COUNT;

		for (int base = 0; base < BASE_COUNT; base++)
			if (!placed[base] && uses[base] > 0 &&
			    (most == BASE_COUNT || uses[base] > uses[most]))
				most = base;
		if (most == BASE_COUNT)
			break;
		placed[most] = true;
		if (i < CALL_SAVED_BASES) {
			e->bases[most].reg = BPF_REG_6 + i;
			e->free_registers &= ~(1u << (BPF_REG_6 + i));
			assembler_emit(&e->as, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6 + i,
				       argument_of(most), 0, 0);
		} else {
			e->bases[most].slot = take_slot(e);
			assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10,
				       argument_of(most), slot_offset(e->bases[most].slot), 0);
		}
	}
}

static void emit_prologue(Emitter *e, const unsigned int uses[BASE_COUNT])
{
	e->free_registers = (1u << 10) - 1;
	for (int base = 0; base < BASE_COUNT; base++)
		e->bases[base] = (Place){ANY_REGISTER, NO_SLOT};
	if (uses[BASE_ZERO] > 0)
		assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_3,
			       offsetof(struct filter_control, zero), 0);
	if (e->calls) {
		take_read_slots(e);
		save_bases(e, uses);
		return;
	}
	for (int base = 0; base < BASE_COUNT; base++) {
		if (uses[base] == 0)
			continue;
		e->bases[base].reg = argument_of(base);
		e->free_registers &= ~(1u << argument_of(base));
	}
}

static void emit_verdict(Emitter *e, const Expr *root)
{
	int yes = new_label(e), no = new_label(e);

	emit_branch(e, root, yes, no, yes, 0);
	bind_label(e, yes);
	assembler_return(&e->as, CONDITION_TRUE);
	bind_label(e, no);
	assembler_return(&e->as, CONDITION_FALSE);
	bind_label(e, e->fault);
	assembler_return(&e->as, CONDITION_FAULT);
}

/*
 * Each value to its place, or 0 and its bit; the mask in a slot. What a slot holds belongs to the
 * state that the verifier compares, and Linux 6.1 takes a store other than by r10 for a use of all
 * that the value came from. So everything stored is opaque, the zeros too.
 */
static void emit_stores(Emitter *e, Expr *const roots[], size_t n)
{
	int mask = take_slot(e), zero, out;
	Value value;

	zero = borrow_base(e, BASE_ZERO);
	assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, zero, slot_offset(mask), 0);
	release_base(e, BASE_ZERO, zero);
	for (size_t i = 0; i < n; i++) {
		int done = new_label(e);

		e->fault = new_label(e);
		value = emit_value(e, roots[i], ANY_REGISTER, 0);
		make_opaque(e, &value);
		out = borrow_base(e, BASE_EXTRA);
		assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, out, value.reg, 8 * i, 0);
		release_base(e, BASE_EXTRA, out);
		release_register(e, value.reg);
		jump_always(e, done);

		bind_label(e, e->fault);
		out = borrow_base(e, BASE_EXTRA);
		zero = borrow_base(e, BASE_ZERO);
		assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, out, zero, 8 * i, 0);
		release_base(e, BASE_ZERO, zero);
		release_base(e, BASE_EXTRA, out);
		value = (Value){.reg = take_register(e, ANY_REGISTER), .entangled = true};
		assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, value.reg, BPF_REG_10,
			       slot_offset(mask), 0);
		assembler_emit(&e->as, BPF_ALU64 | BPF_OR | BPF_K, value.reg, 0, 0, 1 << i);
		make_opaque(e, &value);
		assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, value.reg,
			       slot_offset(mask), 0);
		release_register(e, value.reg);
		bind_label(e, done);
	}
	value = (Value){.reg = take_register(e, BPF_REG_0), .entangled = true};
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_10, slot_offset(mask),
		       0);
	make_opaque(e, &value);
	assembler_emit(&e->as, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* One generation. Return: 0 and the uses that it saw, which may be more than those it is laid out
 * for: then it is no good. */
static int generate(Emitter *e, Expr *const roots[], size_t n, bool verdict, unsigned int n_numbers,
		    const unsigned int uses[BASE_COUNT])
{
	assembler_clear(&e->as);
	assembler_start(&e->as);
	memset(e->remaining, 0, n_numbers * sizeof(*e->remaining));
	memset(e->homes, 0xff, n_numbers * sizeof(*e->homes));
	memset(e->base_uses, 0, sizeof(e->base_uses));
	for (int i = 0; i < N_SLOTS; i++)
		e->known.slots[i] = NOTHING;
	e->known.readable = 0;
	e->busy_slots = 0;
	for (size_t i = 0; i < n; i++)
		count_occurrences(e, roots[i]);

	emit_prologue(e, uses);
	if (verdict) {
		e->fault = new_label(e);
		emit_verdict(e, roots[0]);
	} else {
		emit_stores(e, roots, n);
	}
	return e->as.error;
}

/* Return: whether anything was used that the frame was not laid out for. */
static bool add_uses(unsigned int uses[BASE_COUNT], const unsigned int seen[BASE_COUNT])
{
	bool more = false;

	for (int base = 0; base < BASE_COUNT; base++) {
		if (seen[base] > 0 && uses[base] == 0) {
			uses[base] = seen[base];
			more = true;
		}
	}
	return more;
}

static int emit(Expr *const roots[], size_t n, bool verdict, bool many_texts,
		unsigned int n_numbers, struct bpf_insn **ret, size_t *ret_count)
{
	unsigned int uses[BASE_COUNT] = {1, 1, 1, 1, 1};
	Emitter e = {.by_function = many_texts};
	size_t longest = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		size_t text = longest_text(roots[i], many_texts ? SIZE_MAX : CONDITION_SHORT_TEXT);

		e.calls |= roots[i]->calls;
		if (text > longest)
			longest = text;
	}
	if (!many_texts)
		e.longest_read = longest;
	e.remaining = calloc(n_numbers, sizeof(*e.remaining));
	e.homes = calloc(n_numbers, sizeof(*e.homes));
	r = e.remaining && e.homes ? 0 : -ENOMEM;
	/* For all that could be used, then for what was; and for more, should that turn up. */
	if (r == 0)
		r = generate(&e, roots, n, verdict, n_numbers, uses);
	memcpy(uses, e.base_uses, sizeof(uses));
	while (r == 0) {
		r = generate(&e, roots, n, verdict, n_numbers, uses);
		if (r < 0 || !add_uses(uses, e.base_uses))
			break;
	}
	if (r == 0)
		r = assembler_finish(&e.as, ret, ret_count);
	if (r == 0 && many_texts) {
		r = append_function(longest, ret, ret_count);
		if (r < 0)
			free(*ret);
	}
	assembler_clear(&e.as);
	free(e.labels);
	free(e.remaining);
	free(e.homes);
	return r;
}

static int lower_and_emit(const Condition *const conditions[], size_t n, bool verdict,
			  struct bpf_insn **ret, size_t *ret_count)
{
	Exprs exprs = {0};
	Expr *roots[MAX_VALUES];
	size_t n_texts = 0;
	int r = 0;

	assert(n <= MAX_VALUES);
	for (size_t i = 0; i < n && r == 0; i++) {
		n_texts += condition_texts(conditions[i]);
		roots[i] = expr_from_node(&exprs, conditions[i]->root);
		if (!roots[i])
			r = -ENOMEM;
	}
	if (r == 0)
		r = emit(roots, n, verdict, verdict && n_texts > CONDITION_FEW_TEXTS,
			 exprs.n_numbers, ret, ret_count);
	exprs_clear(&exprs);
	return r;
}

int condition_emit(const Condition *condition, struct bpf_insn **ret, size_t *ret_count)
{
	return lower_and_emit(&condition, 1, true, ret, ret_count);
}

int condition_emit_values(const Condition *const expressions[], size_t n, struct bpf_insn **ret,
			  size_t *ret_count)
{
	return lower_and_emit(expressions, n, false, ret, ret_count);
}
