/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filter's program is its template (bpf_engine.c) with the code generated for its spec spliced in.
 * Its own maps are created here one by one:
 *
 *   config      read-only to the program and frozen, so that the verifier knows its content; most loads
 *               from it become constants beforehand (bpf_fold.c)
 *   control     mapped by the daemon, which alone may write it beside the program
 *   counters    frozen for user space: whoever gets the descriptor can only read
 *   parameters  the client's to write
 *
 * Values are stored through mappings wherever the kernel allows it: a bpf() update would make it
 * skip the filters that trap on the same CPU in that moment.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "condition/condition.h"
#include "condition/registers.h"
#include "daemon/bpf_filter.h"
#include "daemon/bpf_fold.h"
#include "daemon/bpf_splice.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* A condition of more nodes may have many uses of registers. */
#define SHORT_CONDITION_NODES 48

/* The verifier's log, and as much of its end as goes into ours. */
#define VERIFIER_LOG_BYTES  (1 << 20)
#define VERIFIER_TAIL_BYTES 800

static uint32_t spec_needs(const Spec *spec)
{
	uint32_t needs = spec->condition ? condition_needs(spec->condition) : 0;

	for (size_t i = 0; i < spec->n_pieces; i++)
		needs |= condition_needs(spec->pieces[i].at);
	return needs;
}

static int choose_template(FilterEngine *engine, const Spec *spec, const Template **ret,
			   Refusal *refusal)
{
	const char *what;

	if (spec->kernel_accesses)
		what = "\"kernel-accesses\"";
	else if (spec_needs(spec) & CONDITION_NEEDS_BASES ||
		 spec->capture_registers & register_inputs())
		what = "fs_base and gs_base";
	else if (MACHINE_ARM64 && spec->signal)
		what = "\"signal\"";
	else
		what = NULL;

	if (!what) {
		*ret = &engine->user_template;
		return 0;
	}
	if (!engine->task)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"This kernel has no BTF (/sys/kernel/btf/vmlinux), which %s needs; leave "
			"it out, or run a kernel built with CONFIG_DEBUG_INFO_BTF.",
			what);
	*ret = &engine->task_template;
	return 0;
}

/* Only loads from a context cost more than one instruction; see filter_body.h. */
static bool copies_registers(const FilterEngine *engine, const Template *template, const Spec *spec)
{
	return template == &engine->user_template && spec->condition &&
	       condition_nodes(spec->condition) > SHORT_CONDITION_NODES;
}

static uint32_t record_bytes(const Spec *spec)
{
	size_t bytes = sizeof(struct bpcond_hit);

	bytes += __builtin_popcountll(spec->capture_registers) * sizeof(uint64_t);
	for (size_t i = 0; i < spec->n_pieces; i++)
		bytes += sizeof(struct bpcond_memory) + (spec->pieces[i].length + 7) / 8 * 8;
	bytes += spec->capture_stack * sizeof(uint64_t);
	return bytes;
}

static struct filter_config make_config(const FilterEngine *engine, const Spec *spec,
					uint32_t breakpoint)
{
	uint32_t needs = spec_needs(spec);
	struct filter_config config = {
		.breakpoint = breakpoint,
		.cpu_mask = engine->n_slots - 1,
		.address = spec->address,
		.before_access = MACHINE_ARM64 && spec->access != SPEC_EXECUTE,
		.needs = needs,
		.fault_is_hit = spec->fault_is_hit,
		.signal = spec->signal,
		.skip = spec->skip,
		.every = spec->every,
		.limit = spec->limit,
		.registers = spec->capture_registers,
		.stack = spec->capture_stack,
		.pieces = spec->n_pieces,
		.record_bytes = record_bytes(spec),
		.pidns_dev = engine->pidns_dev,
		.pidns_ino = engine->pidns_ino,
	};

	if (needs & (CONDITION_NEEDS_VALUE | CONDITION_NEEDS_PREVIOUS))
		config.value_length = spec->length;
	for (size_t i = 0; i < spec->n_pieces; i++)
		config.piece_bytes[i] = spec->pieces[i].length;
	return config;
}

/* An array of one element of `bytes`. */
static int array_new(const char *name, uint32_t bytes, uint32_t flags)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), bytes, 1, &options);
}

static int config_new(const struct filter_config *config)
{
	_cleanup_close_ int fd = -EBADF;
	uint32_t zero = 0;
	int r;

	fd = array_new("bpcond_config", sizeof(*config), BPF_F_RDONLY_PROG);
	if (fd < 0)
		return fd;
	r = bpf_map_update_elem(fd, &zero, config, BPF_ANY);
	if (r < 0)
		return r;
	r = bpf_map_freeze(fd);
	if (r < 0)
		return r;
	return take_fd(&fd);
}

/* A new array, mapped. Return: its descriptor; negative errno. */
static int mapped_array_new(const char *name, size_t bytes, int protection, void **ret_memory)
{
	int fd = array_new(name, bytes, BPF_F_MMAPABLE);
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_memory = memory;
	return fd;
}

static size_t counters_bytes(const Filter *filter)
{
	return filter->n_slots * sizeof(struct bpcond_counters);
}

/* Where the borrower of a filter puts his counting event. The kernel lets whoever has the
 * descriptor do so, with what events he may open himself. */
static int make_counter(Filter *filter)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "bpcond_counter", sizeof(uint32_t),
				sizeof(uint32_t), 1, NULL);

	if (fd < 0)
		return fd;
	filter->counter_fd = fd;
	return 0;
}

static int make_maps(Filter *filter, const Spec *spec)
{
	void *memory;
	int r;

	r = mapped_array_new(FILTER_CONTROL_NAME, sizeof(*filter->control), PROT_READ | PROT_WRITE,
			     &memory);
	if (r < 0)
		return r;
	filter->control_fd = r;
	filter->control = memory;
	filter->control->previous = spec->previous;
	filter->control->previous_known = spec->has_previous;

	r = mapped_array_new("bpcond_counters", counters_bytes(filter), PROT_READ, &memory);
	if (r < 0)
		return r;
	filter->counters_fd = r;
	filter->counters = memory;
	r = bpf_map_freeze(filter->counters_fd);
	if (r < 0)
		return r;

	filter->n_parameters = spec->n_parameters;
	if (spec->n_parameters == 0)
		return 0;
	r = mapped_array_new("bpcond_params", spec->n_parameters * sizeof(uint64_t),
			     PROT_READ | PROT_WRITE, &memory);
	if (r < 0)
		return r;
	filter->parameters_fd = r;
	filter->parameters = memory;
	memcpy(filter->parameters, spec->parameter_values, spec->n_parameters * sizeof(uint64_t));
	return 0;
}

/* The two generated functions of a spec. */
typedef struct Generated {
	struct bpf_insn *insns[FILTER_PLACES];
	size_t n_insns[FILTER_PLACES];
} Generated;

static void generated_clear(Generated *generated)
{
	for (int i = 0; i < FILTER_PLACES; i++)
		free(generated->insns[i]);
}

/* A function that returns a constant. */
static int emit_constant(int value, struct bpf_insn **ret, size_t *ret_n_insns)
{
	const struct bpf_insn body[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_insn *insns = malloc(sizeof(body));

	if (!insns)
		return -ENOMEM;
	memcpy(insns, body, sizeof(body));
	*ret = insns;
	*ret_n_insns = sizeof(body) / sizeof(body[0]);
	return 0;
}

static int generate(const Spec *spec, Generated *ret)
{
	const Condition *at[SPEC_MAX_PIECES];
	int r;

	if (spec->condition)
		r = condition_emit(spec->condition, &ret->insns[FILTER_CONDITION],
				   &ret->n_insns[FILTER_CONDITION]);
	else
		r = emit_constant(CONDITION_TRUE, &ret->insns[FILTER_CONDITION],
				  &ret->n_insns[FILTER_CONDITION]);
	if (r < 0)
		return r;

	if (spec->n_pieces == 0)
		return emit_constant(0, &ret->insns[FILTER_ADDRESSES],
				     &ret->n_insns[FILTER_ADDRESSES]);
	for (size_t i = 0; i < spec->n_pieces; i++)
		at[i] = spec->pieces[i].at;
	return condition_emit_values(at, spec->n_pieces, &ret->insns[FILTER_ADDRESSES],
				     &ret->n_insns[FILTER_ADDRESSES]);
}

/* Generates the code of a spec and splices it into its template. */
static int build(const Template *template, const Spec *spec, int config_fd, const Filter *filter,
		 int ring_fd, struct bpf_insn **ret, size_t *ret_n_insns)
{
	/* Without parameters the generated code reads none; any value that can be written will do
	 * in their place. */
	int parameters_fd = filter->parameters_fd >= 0 ? filter->parameters_fd : filter->control_fd;
	int counter_fd = filter->counter_fd >= 0 ? filter->counter_fd : template->counter_fd;
	const SpliceMap maps[] = {
		{template->config_fd, config_fd},
		{template->control_fd, filter->control_fd},
		{template->counters_fd, filter->counters_fd},
		{template->parameters_fd, parameters_fd},
		{template->ring_fd, ring_fd >= 0 ? ring_fd : template->ring_fd},
		{template->scratch_fd, template->scratch_fd},
		{template->counter_fd, counter_fd},
	};
	_cleanup_(generated_clear) Generated generated = {};
	SpliceCode places[FILTER_PLACES];
	int r;

	r = generate(spec, &generated);
	if (r < 0)
		return r;
	for (int i = 0; i < FILTER_PLACES; i++)
		places[i] = (SpliceCode){generated.insns[i], generated.n_insns[i]};
	return bpf_splice(template->code, places, maps, sizeof(maps) / sizeof(maps[0]), ret,
			  ret_n_insns);
}

int filter_count_insns(FilterEngine *engine, const Spec *spec, uint32_t *ret, Refusal *refusal)
{
	const Filter unloaded = {.parameters_fd = -EBADF,
				 .control_fd = -EBADF,
				 .counters_fd = -EBADF,
				 .counter_fd = -EBADF};
	_cleanup_free_ struct bpf_insn *insns = NULL;
	struct filter_config config;
	const Template *template;
	size_t n_insns;
	int r;

	r = choose_template(engine, spec, &template, refusal);
	if (r != 0)
		return r;
	r = build(template, spec, template->config_fd, &unloaded, -EBADF, &insns, &n_insns);
	if (r < 0)
		return r;
	config = make_config(engine, spec, 0);
	config.copies_registers = copies_registers(engine, template, spec);
	r = bpf_fold(insns, &n_insns, template->config_fd, &config, sizeof(config));
	if (r < 0)
		return r;
	*ret = n_insns;
	return 0;
}

/* Loads again what the kernel refused, for the verifier's last words: none of our programs should
 * ever be refused, and the log is where the reason can be found when one is. */
static void log_refused_program(const FunctionTypes *types, const struct bpf_insn *insns,
				size_t n_insns)
{
	_cleanup_free_ char *text = malloc(VERIFIER_LOG_BYTES);
	DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, options, .log_level = 1, .log_buf = text,
			    .log_size = VERIFIER_LOG_BYTES);
	const char *tail;
	size_t length;
	int fd;

	if (!text)
		return;
	text[0] = '\0';
	fd = bpf_load(types, BPF_PROG_TYPE_PERF_EVENT, "bpcond_filter", insns, n_insns, &options);
	close_fd(fd);
	length = strlen(text);
	tail = length > VERIFIER_TAIL_BYTES ? text + length - VERIFIER_TAIL_BYTES : text;
	log_error("the kernel refused a filter of %zu instructions: %s", n_insns, tail);
}

static Filter *filter_alloc(const FilterEngine *engine)
{
	Filter *filter = calloc(1, sizeof(*filter));

	if (!filter)
		return NULL;
	filter->program_fd = -EBADF;
	filter->counters_fd = -EBADF;
	filter->parameters_fd = -EBADF;
	filter->control_fd = -EBADF;
	filter->counter_fd = -EBADF;
	filter->n_slots = engine->n_slots;
	return filter;
}

static int load(const FunctionTypes *types, const Template *template, const Spec *spec,
		const struct filter_config *config, int ring_fd, Filter *filter)
{
	DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, options);
	_cleanup_free_ struct bpf_insn *insns = NULL;
	_cleanup_close_ int config_fd = -EBADF;
	size_t n_insns;
	int r;

	r = make_maps(filter, spec);
	if (r < 0)
		return r;
	if (config->needs & CONDITION_NEEDS_COUNTER) {
		r = make_counter(filter);
		if (r < 0)
			return r;
	}
	config_fd = config_new(config);
	if (config_fd < 0)
		return config_fd;
	r = build(template, spec, config_fd, filter, ring_fd, &insns, &n_insns);
	if (r < 0)
		return r;
	r = bpf_fold(insns, &n_insns, config_fd, config, sizeof(*config));
	if (r < 0)
		return r;
	r = bpf_load(types, BPF_PROG_TYPE_PERF_EVENT, "bpcond_filter", insns, n_insns, &options);
	if (r < 0) {
		log_refused_program(types, insns, n_insns);
		return r;
	}
	filter->program_fd = r;
	filter->n_insns = n_insns;
	filter_set_state(filter, FILTER_DISABLED);
	return 0;
}

int filter_new(FilterEngine *engine, const Spec *spec, uint32_t breakpoint, int ring_fd,
	       Filter **ret, Refusal *refusal)
{
	struct filter_config config = make_config(engine, spec, breakpoint);
	const Template *template;
	Filter *filter;
	int r;

	r = choose_template(engine, spec, &template, refusal);
	if (r != 0)
		return r;
	config.copies_registers = copies_registers(engine, template, spec);
	filter = filter_alloc(engine);
	if (!filter)
		return -ENOMEM;
	r = load(&engine->types, template, spec, &config, ring_fd, filter);
	if (r < 0) {
		filter_free(filter);
		return r;
	}
	*ret = filter;
	return 0;
}

int filter_new_lent(FilterEngine *engine, const Spec *spec, const FilterLoan *loan, uint32_t number,
		    int ring_fd, Filter **ret, Refusal *refusal)
{
	struct filter_config config = make_config(engine, spec, number);
	Filter *filter;
	int r;

	if (!engine->lent)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"This kernel has no BTF (/sys/kernel/btf/vmlinux), which lent filters "
			"need; open a session instead, or run a kernel built with "
			"CONFIG_DEBUG_INFO_BTF.");
	config.borrower_uid = loan->borrower_uid;
	config.borrower_gid = loan->borrower_gid;
	config.borrower_userns = loan->borrower_userns;
	config.borrower_caps = loan->borrower_caps;
	config.borrower_start = loan->borrower_start;
	config.only_when_traced = loan->only_when_traced;
	if (ring_fd < 0)
		config.record_bytes = 0;

	filter = filter_alloc(engine);
	if (!filter)
		return -ENOMEM;
	r = load(&engine->types, &engine->lent_template, spec, &config, ring_fd, filter);
	if (r < 0) {
		filter_free(filter);
		return r;
	}
	*ret = filter;
	return 0;
}

Filter *filter_leave(Filter *filter)
{
	if (!filter)
		return NULL;
	if (filter->control)
		munmap(filter->control, sizeof(*filter->control));
	if (filter->counters)
		munmap((void *)filter->counters, counters_bytes(filter));
	if (filter->parameters)
		munmap(filter->parameters, filter->n_parameters * sizeof(uint64_t));
	close_fd(filter->program_fd);
	close_fd(filter->counters_fd);
	close_fd(filter->parameters_fd);
	close_fd(filter->control_fd);
	close_fd(filter->counter_fd);
	free(filter);
	return NULL;
}

Filter *filter_free(Filter *filter)
{
	if (filter && filter->control)
		filter_set_state(filter, FILTER_REVOKED);
	return filter_leave(filter);
}

bool filter_is_revoked(const Filter *filter)
{
	return __atomic_load_n(&filter->control->state, __ATOMIC_SEQ_CST) == FILTER_REVOKED;
}

void filter_set_state(Filter *filter, enum filter_state state)
{
	__atomic_store_n(&filter->control->state, state, __ATOMIC_SEQ_CST);
}

void filter_restart_counting(Filter *filter)
{
	__atomic_store_n(&filter->control->accepted, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&filter->control->reported, 0, __ATOMIC_SEQ_CST);
}

void filter_read_counts(const Filter *filter, struct bpcond_counters *ret)
{
	struct bpcond_counters sum = {};

	for (uint32_t i = 0; i < filter->n_slots; i++) {
		const volatile struct bpcond_counters *cpu = &filter->counters[i];

		sum.evaluated += cpu->evaluated;
		sum.hits += cpu->hits;
		sum.rejected += cpu->rejected;
		sum.withheld += cpu->withheld;
		sum.faults += cpu->faults;
		sum.dropped += cpu->dropped;
		sum.unsignalled += cpu->unsignalled;
	}
	*ret = sum;
}

int filter_check_ring_bytes(uint64_t bytes, Refusal *refusal)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	if (bytes < page || bytes & (bytes - 1) || bytes > UINT32_MAX / 2 + 1ULL)
		return refuse(
			refusal, REFUSED_INVALID_ARGUMENT,
			"hits-bytes is %llu: it must be a power of two from %llu to 2147483648.",
			(unsigned long long)bytes, (unsigned long long)page);
	return 0;
}

int filter_ring_new(uint64_t bytes)
{
	return bpf_map_create(BPF_MAP_TYPE_RINGBUF, "bpcond_hits", 0, 0, bytes, NULL);
}
