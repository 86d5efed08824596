/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the code generator: what its parts share. emit.c has the plan and the frame of a function,
 * emit_state.c registers, slots and labels, emit_value.c values, emit_branch.c truth values as jumps,
 * emit_memory.c reads of user memory.
 */
#ifndef CONDITION_EMITTER_H
#define CONDITION_EMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "condition/assembler.h"
#include "condition/condition.h"
#include "condition/expr.h"

enum {
	ANY_REGISTER = -1,
	NO_SLOT = -1,
	N_SLOTS = CONDITION_MAX_STACK / 8,
	NOTHING = UINT16_MAX, /* in a slot */
	/* Registers that must be free wherever a value is begun: the most that one operation uses,
	 * its operands included. */
	WORKING_REGISTERS = 4,
};

/* What the function is given, and where it lies once the prologue has run. */
typedef enum Base {
	BASE_REGISTERS,
	BASE_INPUTS,
	BASE_ZERO, /* not the control page but its opaque zero */
	BASE_PARAMETERS,
	BASE_EXTRA, /* scratch, or where values are stored */
	BASE_COUNT,
} Base;

typedef struct Place {
	int reg;  /* ANY_REGISTER: in the slot */
	int slot; /* NO_SLOT and ANY_REGISTER: not kept */
} Place;

/* A value in a register that its holder owns and may change. */
typedef struct Value {
	int reg;
	/* The verifier may know something of it that differs from one way here to another: it came
	 * out of a branch, or is also kept elsewhere. */
	bool entangled;
	/* The opaque zero was just XORed in: the verifier knows nothing of it. */
	bool opaque;
} Value;

/* A value put aside while another one is computed. */
typedef struct Held {
	Value value;
	int slot; /* NO_SLOT: still in value.reg */
} Held;

/*
 * What has been computed on every way to this point: known at each instruction because jumps only go
 * forward, and intersected where ways meet.
 */
typedef struct Known {
	uint16_t slots
		[N_SLOTS]; /* number of the expression whose value the slot holds, or NOTHING */
	uint8_t readable;  /* INPUT_*_UNREADABLE bits that were found clear */
} Known;

typedef struct LabelState {
	Known known;
	bool used;
} LabelState;

typedef struct Emitter {
	Assembler as;
	Known known;
	LabelState *labels;
	size_t n_labels;

	Place bases[BASE_COUNT];
	unsigned int base_uses[BASE_COUNT];
	bool calls; /* the function calls helpers: r1 to r5 are lost */

	uint16_t free_registers; /* bit per register */
	uint64_t busy_slots;     /* those that hold bases, values put aside, the read buffer */
	bool by_function;        /* texts are compared by the function behind the code */
	size_t longest_read;     /* of the short texts; 0: there is none */
	int read_slot;           /* the lowest of the read buffer, where it begins */
	int address_slot;        /* of a short text that is being read */
	int forgotten_slot;      /* the same, of which the verifier knows nothing */

	unsigned int *remaining; /* by number: occurrences that are still to be generated */
	uint8_t *homes;          /* by number: the slot that held it last */

	int fault; /* label */
} Emitter;

/* emit_state.c */
int take_register(Emitter *e, int prefer);
void release_register(Emitter *e, int reg);
int take_slot(Emitter *e);
void release_slot(Emitter *e, int slot);
int16_t slot_offset(int slot);
Held put_aside(Emitter *e, Value value, const Expr *next);
Value take_back(Emitter *e, Held held);
int new_label(Emitter *e);
void jump(Emitter *e, uint8_t code, int dst, int src, int32_t imm, int label);
void jump_always(Emitter *e, int label);
void bind_label(Emitter *e, int label);
/* A register that holds the base: its own, or a new one, to be given to release_base(). */
int borrow_base(Emitter *e, Base base);
void release_base(Emitter *e, Base base, int reg);
/* A new register with the 8 bytes at that offset from the base. */
int load_from_base(Emitter *e, Base base, int16_t offset, int prefer);
void make_opaque(Emitter *e, Value *value);
/* To be called for what a conditional jump looks at. */
void prepare_jump(Emitter *e, Value *a, Value *b);
/* The slot that holds the expression's value here, or NO_SLOT. */
int known_slot(const Emitter *e, const Expr *expr);
void remember(Emitter *e, const Expr *expr, Value *value);
/* The occurrence was served from a slot, with all below it. */
void pass_over(Emitter *e, const Expr *expr);

/* emit_value.c: `covered` is how many later occurrences of an enclosing expression will be served
 * from a slot, this expression with them. */
Value emit_value(Emitter *e, const Expr *expr, int prefer, unsigned int covered);
void emit_two_values(Emitter *e, const Expr *a, const Expr *b, int prefer, unsigned int covered,
		     Value *ret_a, Value *ret_b);
bool fits_immediate(const Expr *expr);

/* emit_branch.c: jumps to `yes` or `no`, except that it falls through to `next`, which is one of the
 * two and is bound next. */
void emit_branch(Emitter *e, const Expr *expr, int yes, int no, int next, unsigned int covered);
/* The same when the caller has already counted the occurrence. */
void emit_branch_here(Emitter *e, const Expr *expr, int yes, int no, int next,
		      unsigned int covered);

/* emit_function.c: where the function and its callers find things in the scratch buffer. */
enum {
	FUNCTION_CUT_SHORT = 0,
	FUNCTION_TEXT = 8, /* as it should be */
	FUNCTION_FOUND = FUNCTION_TEXT + CONDITION_MAX_TEXT + 8,
};

/* Puts the function behind the code, *insns, which grows, if the code calls it; its calls lead there.
 * `longest` is the longest text in bytes. Return: 0; -ENOMEM. */
int append_function(size_t longest, struct bpf_insn **insns, size_t *n_insns);

/* emit_memory.c */
Value emit_load(Emitter *e, const Expr *expr, int prefer, unsigned int covered);
/* The same as 0 or 1, where texts are compared by function. */
Value emit_text_value(Emitter *e, const Expr *expr, unsigned int covered);
void emit_text_branch(Emitter *e, const Expr *expr, int yes, int no, int next,
		      unsigned int covered);

#endif
