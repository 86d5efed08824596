/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers, stack slots, labels, and what is known where.
 *
 * A function with helper calls keeps what it was given in r6 to r9 as far as they go and in slots
 * beyond; r0 to r5 are then lost at each call. Whoever holds a value while another is computed
 * decides beforehand where it stays, so that the same holds on all ways through what is computed.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/filter.h"
#include "condition/emitter.h"

enum {
	CALL_SAVED = 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9,
};

int take_register(Emitter *e, int prefer)
{
	/* Call-saved ones last: each costs a push in the prologue, and they outlive calls. */
	static const int order[] = {0, 5, 4, 3, 2, 1, 9, 8, 7, 6};

	if (prefer >= 0 && e->free_registers & 1u << prefer) {
		e->free_registers &= ~(1u << prefer);
		return prefer;
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (e->free_registers & 1u << order[i]) {
			e->free_registers &= ~(1u << order[i]);
			return order[i];
		}
	}
	assert(!"no free register");
	return 0;
}

void release_register(Emitter *e, int reg)
{
	assert(!(e->free_registers & 1u << reg));
	e->free_registers |= 1u << reg;
}

int16_t slot_offset(int slot)
{
	return -8 * (slot + 1);
}

/* A slot that nobody owns; one whose remembered value is no longer of use if there is such a one. */
static int find_slot(const Emitter *e)
{
	for (int i = 0; i < N_SLOTS; i++) {
		if (e->busy_slots & 1ull << i)
			continue;
		if (e->known.slots[i] == NOTHING || e->remaining[e->known.slots[i]] == 0)
			return i;
	}
	return NO_SLOT;
}

int take_slot(Emitter *e)
{
	int slot = find_slot(e);

	for (int i = N_SLOTS - 1; slot == NO_SLOT && i >= 0; i--)
		if (!(e->busy_slots & 1ull << i))
			slot = i; /* a remembered value is lost, and computed again */
	assert(slot != NO_SLOT);
	e->busy_slots |= 1ull << slot;
	e->known.slots[slot] = NOTHING;
	return slot;
}

void release_slot(Emitter *e, int slot)
{
	e->busy_slots &= ~(1ull << slot);
}

static int take_call_saved(Emitter *e)
{
	for (int reg = 9; reg >= 6; reg--) {
		if (e->free_registers & CALL_SAVED & 1u << reg) {
			e->free_registers &= ~(1u << reg);
			return reg;
		}
	}
	return ANY_REGISTER;
}

static void move(Emitter *e, int dst, int src)
{
	assembler_emit(&e->as, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

Held put_aside(Emitter *e, Value value, const Expr *next)
{
	Held held = {value, NO_SLOT};

	if (!next->calls && __builtin_popcount(e->free_registers) >= WORKING_REGISTERS)
		return held;
	if (next->calls && CALL_SAVED & 1u << value.reg)
		return held;
	if (next->calls) {
		int reg = take_call_saved(e);

		if (reg >= 0) {
			move(e, reg, value.reg);
			release_register(e, value.reg);
			held.value.reg = reg;
			return held;
		}
	}
	held.slot = take_slot(e);
	assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, value.reg,
		       slot_offset(held.slot), 0);
	release_register(e, value.reg);
	return held;
}

Value take_back(Emitter *e, Held held)
{
	if (held.slot == NO_SLOT)
		return held.value;
	held.value.reg = take_register(e, ANY_REGISTER);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, held.value.reg, BPF_REG_10,
		       slot_offset(held.slot), 0);
	release_slot(e, held.slot);
	return held.value;
}

int new_label(Emitter *e)
{
	int label = assembler_label(&e->as);

	if ((size_t)label >= e->n_labels) {
		size_t n = e->n_labels ? 2 * e->n_labels : 64;
		LabelState *labels = reallocarray(e->labels, n, sizeof(*labels));

		if (!labels) {
			e->as.error = -ENOMEM;
			return 0;
		}
		e->labels = labels;
		e->n_labels = n;
	}
	e->labels[label].used = false;
	return label;
}

static void intersect(Known *known, const Known *other)
{
	for (int i = 0; i < N_SLOTS; i++)
		if (known->slots[i] != other->slots[i])
			known->slots[i] = NOTHING;
	known->readable &= other->readable;
}

void jump(Emitter *e, uint8_t code, int dst, int src, int32_t imm, int label)
{
	if (e->as.error < 0)
		return;
	if (e->as.reachable && !e->labels[label].used)
		e->labels[label] = (LabelState){e->known, true};
	else if (e->as.reachable)
		intersect(&e->labels[label].known, &e->known);
	assembler_jump(&e->as, code, dst, src, imm, label);
}

void jump_always(Emitter *e, int label)
{
	jump(e, BPF_JMP | BPF_JA, 0, 0, 0, label);
}

void bind_label(Emitter *e, int label)
{
	if (e->as.error < 0)
		return;
	if (e->labels[label].used && e->as.reachable)
		intersect(&e->known, &e->labels[label].known);
	else if (e->labels[label].used)
		e->known = e->labels[label].known;
	assembler_bind(&e->as, label, e->labels[label].used);
}

int borrow_base(Emitter *e, Base base)
{
	const Place *place = &e->bases[base];
	int reg;

	e->base_uses[base]++;
	if (place->reg >= 0)
		return place->reg;
	reg = take_register(e, ANY_REGISTER);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, reg, BPF_REG_10,
		       slot_offset(place->slot), 0);
	return reg;
}

void release_base(Emitter *e, Base base, int reg)
{
	if (e->bases[base].reg != reg)
		release_register(e, reg);
}

int load_from_base(Emitter *e, Base base, int16_t offset, int prefer)
{
	const Place *place = &e->bases[base];
	int reg = take_register(e, prefer);
	int from = place->reg;

	e->base_uses[base]++;
	if (from < 0) {
		assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, reg, BPF_REG_10,
			       slot_offset(place->slot), 0);
		from = reg;
	}
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, reg, from, offset, 0);
	return reg;
}

void make_opaque(Emitter *e, Value *value)
{
	int zero;

	if (value->opaque)
		return;
	value->opaque = true;
	zero = borrow_base(e, BASE_ZERO);
	assembler_emit(&e->as, BPF_ALU64 | BPF_XOR | BPF_X, value->reg, zero, 0, 0);
	release_base(e, BASE_ZERO, zero);
}

void prepare_jump(Emitter *e, Value *a, Value *b)
{
	if (!a->entangled && !(b && b->entangled))
		return;
	make_opaque(e, a);
	if (b)
		make_opaque(e, b);
}

int known_slot(const Emitter *e, const Expr *expr)
{
	for (int i = 0; i < N_SLOTS; i++)
		if (e->known.slots[i] == expr->number)
			return i;
	return NO_SLOT;
}

void remember(Emitter *e, const Expr *expr, Value *value)
{
	int home = e->homes[expr->number];
	int slot = find_slot(e);

	/* The same slot as elsewhere, so that it is still known where the ways meet. */
	if (home < N_SLOTS && !(e->busy_slots & 1ull << home) &&
	    (e->known.slots[home] == NOTHING || e->remaining[e->known.slots[home]] == 0))
		slot = home;
	if (slot == NO_SLOT || !e->as.reachable)
		return;
	assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, value->reg,
		       slot_offset(slot), 0);
	e->known.slots[slot] = expr->number;
	e->homes[expr->number] = slot;
	value->entangled = true;
}

void pass_over(Emitter *e, const Expr *expr)
{
	e->remaining[expr->number]--;
	for (unsigned int i = 0; i < expr->n_operands; i++)
		pass_over(e, expr->operands[i]);
}
