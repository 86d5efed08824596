/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See kernel.h. The context is laid out as struct run_context. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>

#include "bpcond/hit.h"
#include "bpf/filter.h"
#include "condition/registers.h"
#include "daemon/bpf_load.h"
#include "tests/differential/kernel.h"

enum {
	LOG_BYTES = 1 << 20,
	FRAME_MAX = 96,
	INPUT_WORDS = sizeof(struct condition_inputs) / 8,
	/* On the frame's stack. */
	INPUTS_AT = -(int)sizeof(struct condition_inputs),
	VALUES_AT = INPUTS_AT - 8 * KERNEL_MAX_VALUES,
};

struct run_context {
	bpf_user_pt_regs_t registers;
	struct condition_inputs inputs;
	uint64_t result;
	uint64_t values[KERNEL_MAX_VALUES];
};

struct Kernel {
	FunctionTypes types;
	int control_fd, parameters_fd, scratch_fd;
	uint64_t *parameters; /* the map's page */
	char *log;
};

static int create_map(const char *name, uint32_t value_size, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, value_size, 1, &options);

	return fd < 0 ? -errno : fd;
}

int kernel_new(Kernel **ret)
{
	Kernel *kernel = calloc(1, sizeof(*kernel));
	int r = 0;

	if (!kernel)
		return -ENOMEM;
	kernel->control_fd = create_map("control", sizeof(struct filter_control), 0);
	kernel->parameters_fd =
		create_map("parameters", 8 * CONDITION_MAX_PARAMETERS, BPF_F_MMAPABLE);
	kernel->scratch_fd = create_map("scratch", FILTER_SCRATCH_BYTES, 0);
	kernel->log = malloc(LOG_BYTES);
	kernel->parameters = MAP_FAILED;
	r = function_types_new(&kernel->types);
	if (r < 0)
		kernel->types = FUNCTION_TYPES_NONE;
	else if (kernel->control_fd < 0)
		r = kernel->control_fd;
	else if (kernel->parameters_fd < 0 || kernel->scratch_fd < 0 || !kernel->log)
		r = -ENOMEM;
	if (r == 0) {
		kernel->parameters =
			mmap(NULL, 8 * CONDITION_MAX_PARAMETERS, PROT_READ | PROT_WRITE, MAP_SHARED,
			     kernel->parameters_fd, 0);
		if (kernel->parameters == MAP_FAILED)
			r = -errno;
	}
	if (r < 0) {
		kernel_free(kernel);
		return r;
	}
	*ret = kernel;
	return 0;
}

Kernel *kernel_free(Kernel *kernel)
{
	if (!kernel)
		return NULL;
	if (kernel->parameters != MAP_FAILED)
		munmap(kernel->parameters, 8 * CONDITION_MAX_PARAMETERS);
	if (kernel->control_fd >= 0)
		close(kernel->control_fd);
	if (kernel->parameters_fd >= 0)
		close(kernel->parameters_fd);
	if (kernel->scratch_fd >= 0)
		close(kernel->scratch_fd);
	function_types_clear(&kernel->types);
	free(kernel->log);
	free(kernel);
	return NULL;
}

const char *kernel_log(const Kernel *kernel)
{
	return kernel->log;
}

static struct bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	return (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

static size_t map_address(struct bpf_insn *at, uint8_t reg, int map_fd)
{
	at[0] = insn(BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_VALUE, 0, map_fd);
	at[1] = insn(0, 0, 0, 0, 0);
	return 2;
}

/* What the filter does around the code: inputs on the stack, r1 to r5, the call. */
static size_t write_frame(const Kernel *kernel, struct bpf_insn *at, size_t n_values)
{
	size_t n = 0, call;

	at[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
	for (int i = 0; i < INPUT_WORDS; i++) {
		at[n++] = insn(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_6,
			       offsetof(struct run_context, inputs) + 8 * i, 0);
		at[n++] = insn(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_0, INPUTS_AT + 8 * i,
			       0);
	}
	at[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0);
	at[n++] = insn(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, INPUTS_AT);
	n += map_address(at + n, BPF_REG_3, kernel->control_fd);
	n += map_address(at + n, BPF_REG_4, kernel->parameters_fd);
	if (n_values == 0) {
		n += map_address(at + n, BPF_REG_5, kernel->scratch_fd);
	} else {
		at[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_5, BPF_REG_10, 0, 0);
		at[n++] = insn(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_5, 0, 0, VALUES_AT);
	}
	call = n;
	at[n++] = insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
	at[n++] = insn(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_0,
		       offsetof(struct run_context, result), 0);
	for (size_t i = 0; i < n_values; i++) {
		at[n++] = insn(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_10, VALUES_AT + 8 * i,
			       0);
		at[n++] = insn(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_0,
			       offsetof(struct run_context, values) + 8 * i, 0);
	}
	at[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	at[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	at[call].imm = n - call - 1;
	return n;
}

static int load(Kernel *kernel, const struct bpf_insn *insns, size_t n, uint32_t log_level)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE,
		    .log_level = log_level, .log_buf = log_level ? kernel->log : NULL,
		    .log_size = log_level ? LOG_BYTES : 0);

	return bpf_load(&kernel->types, BPF_PROG_TYPE_SYSCALL, "differential", insns, n, &options);
}

/* Frame and code in one. Return: NULL: out of memory. */
static struct bpf_insn *framed(const Kernel *kernel, const struct bpf_insn *code, size_t n_code,
			       size_t n_values, size_t *ret_n)
{
	struct bpf_insn *insns = calloc(FRAME_MAX + n_code, sizeof(*insns));
	size_t n;

	if (!insns)
		return NULL;
	n = write_frame(kernel, insns, n_values);
	memcpy(insns + n, code, n_code * sizeof(*code));
	*ret_n = n + n_code;
	return insns;
}

size_t kernel_frame_length(const Kernel *kernel, size_t n_values)
{
	struct bpf_insn frame[FRAME_MAX];

	return write_frame(kernel, frame, n_values);
}

int kernel_trace(Kernel *kernel, const struct bpf_insn *code, size_t n_code, size_t n_values)
{
	size_t n;
	struct bpf_insn *insns = framed(kernel, code, n_code, n_values, &n);
	int fd;

	if (!insns)
		return -ENOMEM;
	kernel->log[0] = '\0';
	fd = load(kernel, insns, n, 2);
	free(insns);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int kernel_load(Kernel *kernel, const struct bpf_insn *code, size_t n_code, size_t n_values,
		unsigned int *ret_processed)
{
	size_t n;
	struct bpf_insn *insns = framed(kernel, code, n_code, n_values, &n);
	const char *processed;
	int fd;

	if (!insns)
		return -ENOMEM;
	kernel->log[0] = '\0';
	fd = load(kernel, insns, n, ret_processed ? 4 : 0);
	if (fd < 0)
		load(kernel, insns, n, 1);
	free(insns);
	if (fd < 0)
		return fd;
	if (ret_processed) {
		processed = strstr(kernel->log, "processed ");
		*ret_processed = processed ? strtoul(processed + 10, NULL, 10) : 0;
	}
	return fd;
}

static void set_register(struct run_context *context, unsigned int whole, uint64_t value)
{
	bool is_input = register_inputs() >> whole & 1;
	char *base = is_input ? (char *)&context->inputs : (char *)&context->registers;

	memcpy(base + register_offset(whole), &value, sizeof(value));
}

int kernel_run(Kernel *kernel, int program_fd, const ConditionWorld *world, size_t n_parameters,
	       uint64_t *ret, uint64_t ret_values[KERNEL_MAX_VALUES])
{
	struct run_context context = {
		.inputs = {.tid = world->tid,
			   .pid = world->pid,
			   .cpu = world->cpu,
			   .time = world->time,
			   .evaluated = world->evaluated,
			   .value = world->value,
			   .previous = world->previous,
			   .counter = world->counter,
			   .unreadable =
				   (world->value_unreadable ? INPUT_VALUE_UNREADABLE : 0) |
				   (world->counter_unreadable ? INPUT_COUNTER_UNREADABLE : 0)},
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &context, .ctx_size_in = sizeof(context));

	for (int i = 0; i < BPCOND_REG_COUNT; i++)
		set_register(&context, i, world->registers[i]);
	for (size_t i = 0; i < n_parameters; i++)
		__atomic_store_n(&kernel->parameters[i], world->parameters[i], __ATOMIC_RELAXED);
	if (bpf_prog_test_run_opts(program_fd, &options) < 0)
		return -errno;
	*ret = context.result;
	if (ret_values)
		memcpy(ret_values, context.values, sizeof(context.values));
	return 0;
}
