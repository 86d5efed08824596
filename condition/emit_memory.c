/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads of user memory, by bpf_probe_read_user (which reads all or nothing): loads and short texts
 * onto the stack, long texts into the scratch buffer, where they are compared in words against
 * immediates. The scratch buffer is a page of its own, which costs the CPU more to come by than the
 * comparison of a short text takes.
 *
 * A string that differs before an unreadable page is different, not a fault. So when the whole of it
 * cannot be read, the part on its first page is tried: the buffer is filled with the text itself,
 * the readable part is read over it, and the comparison that follows then says whether that part
 * is equal; if so, the missing rest is a fault. A text is at most a page and one byte long, so there
 * is never more than one page boundary that matters. (Pages may be larger than 4096: a boundary of
 * theirs is one of ours.)
 *
 * A condition with many texts has them compared by a function instead (emit_function.c).
 *
 * The verifier follows the size of a read back to where it came from, through all branches on the
 * way. The size of that part comes from the address, so this is taken from where the verifier has
 * forgotten what it knew: from the scratch buffer, which is a map; or, on the stack, from where a
 * helper has copied it.
 */
#include <assert.h>
#include <string.h>

#include "bpf/filter.h"
#include "condition/emitter.h"

enum {
	PAGE = 4096,
	WORDS_A_JUMP = 16,
	/* Before the text in the scratch buffer. */
	SCRATCH_ADDRESS = 0,
	SCRATCH_CUT_SHORT = 8,
	SCRATCH_TEXT = 16,
};

_Static_assert(CONDITION_MAX_TEXT + 1 <= PAGE + 1, "a text must not touch three pages");
_Static_assert(SCRATCH_TEXT + CONDITION_MAX_TEXT + 1 <= FILTER_SCRATCH_BYTES &&
		       SCRATCH_TEXT + PAGE <= FILTER_SCRATCH_BYTES,
	       "scratch buffer too small");

static void move(Emitter *e, int dst, int src)
{
	if (dst != src)
		assembler_emit(&e->as, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void call(Emitter *e, int helper)
{
	assembler_emit(&e->as, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

static void add(Emitter *e, int reg, int32_t imm)
{
	assembler_emit(&e->as, BPF_ALU64 | BPF_ADD | BPF_K, reg, 0, 0, imm);
}

/* The address of a slot. */
static void point_to_slot(Emitter *e, int reg, int slot)
{
	move(e, reg, BPF_REG_10);
	add(e, reg, slot_offset(slot));
}

static void set(Emitter *e, int reg, int32_t imm)
{
	assembler_emit(&e->as, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, imm);
}

/* The address into r3, which the caller then owns. */
static void emit_address(Emitter *e, const Expr *address, unsigned int covered)
{
	Value value = emit_value(e, address, BPF_REG_3, covered);

	if (value.reg != BPF_REG_3) {
		move(e, BPF_REG_3, value.reg);
		release_register(e, value.reg);
		take_register(e, BPF_REG_3);
	}
}

static uint8_t size_of(unsigned int bytes)
{
	switch (bytes) {
	case 1:
		return BPF_B;
	case 2:
		return BPF_H;
	case 4:
		return BPF_W;
	default:
		return BPF_DW;
	}
}

Value emit_load(Emitter *e, const Expr *expr, int prefer, unsigned int covered)
{
	unsigned int bytes = value_type_bytes(expr->type);
	Value value = {.reg = ANY_REGISTER};

	emit_address(e, expr->operands[0], covered);
	point_to_slot(e, BPF_REG_1, e->read_slot);
	set(e, BPF_REG_2, bytes);
	call(e, BPF_FUNC_probe_read_user);
	release_register(e, BPF_REG_3);
	jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, e->fault);
	value.reg = take_register(e, prefer);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | size_of(bytes), value.reg, BPF_REG_10,
		       slot_offset(e->read_slot), 0);
	return value;
}

/* The words that a text is compared in: as wide as it allows. */
typedef struct Word {
	size_t offset;
	unsigned int bytes;
} Word;

/* Where a text was read to. On the stack the verifier wants each word aligned; elsewhere the last one
 * overlaps the one before it, which is fewer. */
typedef struct Buffer {
	int base; /* register */
	int offset;
} Buffer;

static bool next_word(Buffer buffer, size_t n_text, unsigned int widest, Word *word)
{
	size_t rest;

	word->offset += word->bytes;
	rest = n_text - word->offset;
	if (rest == 0)
		return false;
	if (word->bytes == 0)
		word->bytes = widest;
	if (word->bytes <= rest)
		return true;
	if (buffer.base != BPF_REG_10 && word->offset > 0) {
		word->offset = n_text - word->bytes;
		return true;
	}
	while (word->bytes > rest)
		word->bytes /= 2;
	return true;
}

static uint64_t word_of(const Expr *expr, Word word)
{
	uint64_t bits = 0;

	/* Filter and daemon run on the same machine: its byte order. */
	memcpy(&bits, expr->text + word.offset, word.bytes);
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		bits >>= 64 - 8 * word.bytes;
	return bits;
}

static void jump_if_other(Emitter *e, int found, int wanted, unsigned int bytes, uint64_t bits,
			  int no)
{
	if (bytes == 4) {
		jump(e, BPF_JMP32 | BPF_JNE | BPF_K, found, 0, (int32_t)bits, no);
	} else if (bits == (uint64_t)(int32_t)bits) {
		jump(e, BPF_JMP | BPF_JNE | BPF_K, found, 0, (int32_t)bits, no);
	} else {
		assembler_constant(&e->as, wanted, bits);
		jump(e, BPF_JMP | BPF_JNE | BPF_X, found, wanted, 0, no);
	}
}

/* Jumps to `no` if a word differs. A jump costs the verifier a copy of its state, and a word costs the
 * CPU next to nothing beside the read: so one jump for many words; in a long text also one after the
 * first word, which is the most likely to differ. */
static void compare_words(Emitter *e, const Expr *expr, Buffer buffer, int no)
{
	int differences = take_register(e, ANY_REGISTER);
	int found = take_register(e, ANY_REGISTER), wanted = take_register(e, ANY_REGISTER);
	unsigned int gathered = 0;

	for (Word word = {0}; next_word(buffer, expr->n_text, 8, &word);) {
		bool first = word.offset == 0 && expr->n_text > 8 * WORDS_A_JUMP;
		bool last = word.offset + word.bytes == expr->n_text;
		int reg = gathered == 0 ? differences : found;

		assembler_emit(&e->as, BPF_LDX | BPF_MEM | size_of(word.bytes), reg, buffer.base,
			       buffer.offset + (int)word.offset, 0);
		if (first || (last && gathered == 0)) {
			jump_if_other(e, reg, wanted, word.bytes, word_of(expr, word), no);
			continue;
		}
		assembler_constant(&e->as, wanted, word_of(expr, word));
		assembler_emit(&e->as, BPF_ALU64 | BPF_XOR | BPF_X, reg, wanted, 0, 0);
		if (gathered > 0)
			assembler_emit(&e->as, BPF_ALU64 | BPF_OR | BPF_X, differences, found, 0,
				       0);
		gathered++;
		if (last || gathered == WORDS_A_JUMP) {
			jump(e, BPF_JMP | BPF_JNE | BPF_K, differences, 0, 0, no);
			gathered = 0;
		}
	}
	release_register(e, differences);
	release_register(e, found);
	release_register(e, wanted);
}

static void store_words(Emitter *e, const Expr *expr, Buffer buffer)
{
	for (Word word = {0}; next_word(buffer, expr->n_text, 4, &word);)
		assembler_emit(&e->as, BPF_ST | BPF_MEM | size_of(word.bytes), buffer.base, 0,
			       buffer.offset + (int)word.offset, (int32_t)word_of(expr, word));
}

/* From the address in a register: how many bytes there are up to the end of its page. */
static void bytes_to_page_end(Emitter *e, int reg)
{
	assembler_emit(&e->as, BPF_ALU64 | BPF_AND | BPF_K, reg, 0, 0, PAGE - 1);
	assembler_emit(&e->as, BPF_ALU64 | BPF_XOR | BPF_K, reg, 0, 0, PAGE - 1);
	add(e, reg, 1);
}

/* One byte is readable or not. */
static bool may_be_cut_short(const Expr *expr)
{
	return expr->op == EXPR_STRING && expr->n_text > 1;
}

/* The whole could not be read: no, or a fault. */
static void compare_first_page(Emitter *e, const Expr *expr, Buffer buffer, int no)
{
	point_to_slot(e, BPF_REG_1, e->forgotten_slot);
	set(e, BPF_REG_2, sizeof(uint64_t));
	point_to_slot(e, BPF_REG_3, e->address_slot);
	call(e, BPF_FUNC_probe_read_kernel);
	store_words(e, expr, buffer);

	take_register(e, BPF_REG_2);
	take_register(e, BPF_REG_3);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, BPF_REG_10,
		       slot_offset(e->forgotten_slot), 0);
	bytes_to_page_end(e, BPF_REG_2);
	/* All of it lies on that page. */
	jump(e, BPF_JMP | BPF_JGE | BPF_K, BPF_REG_2, 0, (int32_t)expr->n_text, e->fault);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_10,
		       slot_offset(e->address_slot), 0);
	move(e, BPF_REG_1, buffer.base);
	add(e, BPF_REG_1, buffer.offset);
	call(e, BPF_FUNC_probe_read_user);
	release_register(e, BPF_REG_2);
	release_register(e, BPF_REG_3);
	jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, e->fault);
	compare_words(e, expr, buffer, no);
	jump_always(e, e->fault);
}

static void emit_short_text(Emitter *e, const Expr *expr, int no)
{
	const Buffer buffer = {BPF_REG_10, slot_offset(e->read_slot)};
	int whole = new_label(e);

	if (may_be_cut_short(expr))
		assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_3,
			       slot_offset(e->address_slot), 0);
	point_to_slot(e, BPF_REG_1, e->read_slot);
	set(e, BPF_REG_2, (int32_t)expr->n_text);
	call(e, BPF_FUNC_probe_read_user);
	release_register(e, BPF_REG_3);
	if (may_be_cut_short(expr)) {
		jump(e, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, whole);
		compare_first_page(e, expr, buffer, no);
		bind_label(e, whole);
	} else {
		jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, e->fault);
	}
	compare_words(e, expr, buffer, no);
}

/* The whole could not be read: falls through with the buffer ready for comparison, and the mark that
 * equality is not enough, or faults. Where the whole lies on the first page, up to whose end this
 * reads, it faults again. */
static void read_first_page(Emitter *e, const Expr *expr)
{
	int scratch = borrow_base(e, BASE_EXTRA);

	take_register(e, BPF_REG_2);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, scratch, SCRATCH_ADDRESS, 0);
	bytes_to_page_end(e, BPF_REG_2);
	store_words(e, expr, (Buffer){scratch, SCRATCH_TEXT});
	assembler_emit(&e->as, BPF_ST | BPF_MEM | BPF_DW, scratch, 0, SCRATCH_CUT_SHORT, 1);
	take_register(e, BPF_REG_3);
	assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, scratch, SCRATCH_ADDRESS, 0);
	move(e, BPF_REG_1, scratch);
	add(e, BPF_REG_1, SCRATCH_TEXT);
	call(e, BPF_FUNC_probe_read_user);
	release_register(e, BPF_REG_2);
	release_register(e, BPF_REG_3);
	release_base(e, BASE_EXTRA, scratch);
	jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, e->fault);
}

/* The scratch buffer's address into r1. */
static void scratch_argument(Emitter *e)
{
	e->base_uses[BASE_EXTRA]++;
	if (e->bases[BASE_EXTRA].reg >= 0)
		move(e, BPF_REG_1, e->bases[BASE_EXTRA].reg);
	else
		assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_10,
			       slot_offset(e->bases[BASE_EXTRA].slot), 0);
}

static void emit_long_text(Emitter *e, const Expr *expr, int no)
{
	int scratch, whole;

	scratch_argument(e);
	if (may_be_cut_short(expr)) {
		assembler_emit(&e->as, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_3,
			       SCRATCH_ADDRESS, 0);
		assembler_emit(&e->as, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_1, 0, SCRATCH_CUT_SHORT,
			       0);
	}
	add(e, BPF_REG_1, SCRATCH_TEXT);
	set(e, BPF_REG_2, (int32_t)expr->n_text);
	call(e, BPF_FUNC_probe_read_user);
	release_register(e, BPF_REG_3);
	if (may_be_cut_short(expr)) {
		whole = new_label(e);
		jump(e, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, whole);
		read_first_page(e, expr);
		bind_label(e, whole);
	} else {
		jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, e->fault);
	}

	scratch = borrow_base(e, BASE_EXTRA);
	compare_words(e, expr, (Buffer){scratch, SCRATCH_TEXT}, no);
	if (may_be_cut_short(expr)) {
		int cut_short = take_register(e, ANY_REGISTER);

		assembler_emit(&e->as, BPF_LDX | BPF_MEM | BPF_DW, cut_short, scratch,
			       SCRATCH_CUT_SHORT, 0);
		jump(e, BPF_JMP | BPF_JNE | BPF_K, cut_short, 0, 0, e->fault);
		release_register(e, cut_short);
	}
	release_base(e, BASE_EXTRA, scratch);
}

/* With the address in r3. Its result in r0, which nobody owns. */
static void call_function(Emitter *e, const Expr *expr)
{
	int scratch = borrow_base(e, BASE_EXTRA);

	store_words(e, expr, (Buffer){scratch, FUNCTION_TEXT});
	move(e, BPF_REG_1, scratch);
	release_base(e, BASE_EXTRA, scratch);
	move(e, BPF_REG_2, BPF_REG_3);
	set(e, BPF_REG_3, (int32_t)expr->n_text);
	set(e, BPF_REG_4, may_be_cut_short(expr));
	assembler_emit(&e->as, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, CONDITION_GLOBAL_CALL, 0);
	release_register(e, BPF_REG_3);
}

Value emit_text_value(Emitter *e, const Expr *expr, unsigned int covered)
{
	Value value = {.entangled = true};

	emit_address(e, expr->operands[0], covered);
	call_function(e, expr);
	value.reg = take_register(e, BPF_REG_0);
	jump(e, BPF_JMP | BPF_JGT | BPF_K, value.reg, 0, CONDITION_TRUE, e->fault);
	return value;
}

void emit_text_branch(Emitter *e, const Expr *expr, int yes, int no, int next, unsigned int covered)
{
	emit_address(e, expr->operands[0], covered);
	if (e->by_function) {
		call_function(e, expr);
		jump(e, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, CONDITION_FALSE, no);
		jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, CONDITION_TRUE, e->fault);
	} else if (expr->n_text <= CONDITION_SHORT_TEXT) {
		emit_short_text(e, expr, no);
	} else {
		emit_long_text(e, expr, no);
	}
	if (next != yes)
		jump_always(e, yes);
}
