/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "bpf/filter.h"
#include "condition/condition.h"
#include "daemon/bpf_load.h"
#include "daemon/util.h"

enum {
	/* The templates have two functions, the generated code three. */
	MAX_FUNCTIONS = 8,
};

/* The ids of what is added come one after the other, or as a negative errno, which the next call that
 * refers to it refuses. */
static int add_types(struct btf *btf, FunctionTypes *ret)
{
	int number, word, room, pointer, prototype, r;

	number = btf__add_int(btf, "int", sizeof(int), BTF_INT_SIGNED);
	word = btf__add_int(btf, "u64", sizeof(uint64_t), 0);
	room = btf__add_struct(btf, "room", FILTER_SCRATCH_BYTES);
	if (number < 0 || word < 0 || room < 0)
		return -ENOMEM;

	/* Of a local function nothing is asked. */
	prototype = btf__add_func_proto(btf, number);
	if (prototype < 0)
		return prototype;
	r = btf__add_func(btf, "local", BTF_FUNC_STATIC, prototype);
	if (r < 0)
		return r;
	ret->local_id = (uint32_t)r;

	pointer = btf__add_ptr(btf, room);
	if (pointer < 0)
		return pointer;
	prototype = btf__add_func_proto(btf, number);
	if (prototype < 0)
		return prototype;
	r = btf__add_func_param(btf, "room", pointer);
	if (r == 0)
		r = btf__add_func_param(btf, "address", word);
	if (r == 0)
		r = btf__add_func_param(btf, "length", word);
	if (r == 0)
		r = btf__add_func_param(btf, "may_be_cut_short", word);
	if (r < 0)
		return r;
	r = btf__add_func(btf, "compare", BTF_FUNC_GLOBAL, prototype);
	if (r < 0)
		return r;
	ret->global_id = (uint32_t)r;
	return 0;
}

int function_types_new(FunctionTypes *ret)
{
	FunctionTypes types = FUNCTION_TYPES_NONE;
	struct btf *btf = btf__new_empty();
	const void *data;
	uint32_t size;
	int r;

	if (!btf)
		return -errno;
	r = add_types(btf, &types);
	if (r == 0) {
		data = btf__raw_data(btf, &size);
		types.btf_fd = data ? bpf_btf_load(data, size, NULL) : -ENOMEM;
		r = types.btf_fd < 0 ? types.btf_fd : 0;
	}
	btf__free(btf);
	if (r < 0)
		return r;
	*ret = types;
	return 0;
}

void function_types_clear(FunctionTypes *types)
{
	close_fd(types->btf_fd);
	*types = FUNCTION_TYPES_NONE;
}

/* In the order of their places, the program itself first. Each once. */
typedef struct Functions {
	struct bpf_func_info info[MAX_FUNCTIONS];
	size_t n;
} Functions;

static int add_function(Functions *functions, uint32_t at, uint32_t type_id)
{
	size_t i = functions->n;

	for (size_t j = 0; j < functions->n; j++)
		if (functions->info[j].insn_off == at)
			return 0;
	if (functions->n == MAX_FUNCTIONS)
		return -E2BIG;
	for (; i > 0 && functions->info[i - 1].insn_off > at; i--)
		functions->info[i] = functions->info[i - 1];
	functions->info[i] = (struct bpf_func_info){.insn_off = at, .type_id = type_id};
	functions->n++;
	return 0;
}

/* Return: 1 when there is a global function; 0; -EINVAL; -E2BIG. */
static int find_functions(const FunctionTypes *types, const struct bpf_insn *insns, size_t n_insns,
			  Functions *ret)
{
	bool found = false;
	int r;

	r = add_function(ret, 0, types->local_id);
	for (size_t i = 0; r == 0 && i < n_insns; i++) {
		const struct bpf_insn *insn = &insns[i];
		bool global = insn->off == CONDITION_GLOBAL_CALL;

		if (insn->code == (BPF_LD | BPF_IMM | BPF_DW)) {
			i++;
			continue;
		}
		if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg != BPF_PSEUDO_CALL)
			continue;
		if (i + 1 + insn->imm >= n_insns)
			return -EINVAL;
		r = add_function(ret, i + 1 + insn->imm,
				 global ? types->global_id : types->local_id);
		found |= global;
	}
	return r < 0 ? r : found;
}

/* Return: a copy without the marks (free()); NULL: out of memory. */
static struct bpf_insn *without_marks(const struct bpf_insn *insns, size_t n_insns)
{
	struct bpf_insn *copy = calloc(n_insns, sizeof(*copy));

	if (!copy)
		return NULL;
	memcpy(copy, insns, n_insns * sizeof(*copy));
	for (size_t i = 0; i < n_insns; i++) {
		if (copy[i].code == (BPF_LD | BPF_IMM | BPF_DW))
			i++;
		else if (copy[i].code == (BPF_JMP | BPF_CALL) && copy[i].src_reg == BPF_PSEUDO_CALL)
			copy[i].off = 0;
	}
	return copy;
}

int bpf_load(const FunctionTypes *types, enum bpf_prog_type type, const char *name,
	     const struct bpf_insn *insns, size_t n_insns, const struct bpf_prog_load_opts *options)
{
	struct bpf_prog_load_opts with_functions = *options;
	_cleanup_free_ struct bpf_insn *unmarked = NULL;
	Functions functions = {.n = 0};
	int r;

	r = find_functions(types, insns, n_insns, &functions);
	if (r < 0)
		return r;
	if (r > 0) {
		unmarked = without_marks(insns, n_insns);
		if (!unmarked)
			return -ENOMEM;
		insns = unmarked;
		with_functions.prog_btf_fd = (uint32_t)types->btf_fd;
		with_functions.func_info = functions.info;
		with_functions.func_info_cnt = functions.n;
		with_functions.func_info_rec_size = sizeof(functions.info[0]);
	}
	r = bpf_prog_load(type, name, "GPL", insns, n_insns, &with_functions);
	return r < 0 ? -errno : r;
}
