/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The filter: the program that the kernel runs at each trap of a breakpoint, around the condition.
 * It tests the word by which the daemon can silence it, evaluates the condition, counts, and only
 * then, at a hit, captures and writes a record into the session's ring. Returning 0 makes the
 * kernel forget the trap; 1 lets the event's own signal, if its holder asked for one, go out.
 *
 * Everything in `config` is constant to the verifier, so a filter contains only the code that its
 * spec asks for. Where GENERATED stands the daemon puts the instructions generated for the spec
 * (daemon/bpf_splice.c): in place, because on many CPUs the return from a function costs more than a
 * short condition.
 *
 * Perf programs do not nest on a CPU (the kernel skips the inner one, which shows as "lost"), and
 * do not migrate: counters of a CPU have one writer and need no atomics. What counts over all
 * threads does.
 *
 * Three programs include this body, and differ in
 *
 *   is_admitted       whether this task may be looked at at all
 *   is_kept_back      whether nothing may be a hit at present
 *   user_registers    where the user's registers are
 *   from_kernel       whether the trap came from the kernel
 *   thread_bases      fs_base and gs_base
 *   read_counter      the client's own counter
 *   may_signal        whether the spec's signal may be sent to this thread now
 */
#ifndef FILTER_BODY_H
#define FILTER_BODY_H

#include "bpcond/hit.h"
#include "bpf/filter.h"
#include "bpf/filter_capture.h"
#include "condition/needs.h"

#define PAGE_BYTES      4096
#define TEMPLATE_CPUS   1024
#define TEMPLATE_PARAMS 64

/* PERF_CONTEXT_USER of linux/perf_event.h, which has types that we read by the kernel's names. */
#define USER_MARK ((__u64)-512)

/*
 * Each of these is one map; a filter gets its own in the place of all but scratch. What a filter does
 * not always need lies there and not on its stack: from Linux 6.13 on, a program that uses 64 bytes
 * of stack or more is given another stack, and each call of a helper takes longer.
 */
const volatile struct filter_config config SEC(".rodata.config");
struct filter_control control SEC(".data.control");
struct bpcond_counters counters[TEMPLATE_CPUS] SEC(".data.counters");
__u64 parameters[TEMPLATE_PARAMS] SEC(".data.parameters");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PAGE_BYTES);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct filter_scratch);
} scratch SEC(".maps");

/*
 * The places of the generated code: r1 to r5 are its arguments, r0 its result, and it may change every
 * register. What stands there marks the place and loads, as all of a template does; the daemon knows it
 * by its number.
 */
#define GENERATED(place, result, a1, a2, a3, a4, a5)                                        \
	do {                                                                                \
		register __u64 r0 asm("r0");                                                \
		register __u64 r1 asm("r1") = (__u64)(a1);                                  \
		register __u64 r2 asm("r2") = (__u64)(a2);                                  \
		register __u64 r3 asm("r3") = (__u64)(a3);                                  \
		register __u64 r4 asm("r4") = (__u64)(a4);                                  \
		register __u64 r5 asm("r5") = (__u64)(a5);                                  \
		asm volatile("%0 = %6 ll"                                                   \
			     : "=r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5)   \
			     : "i"(FILTER_PLACE + (place))                                  \
			     : "r6", "r7", "r8", "r9", "memory");                           \
		(result) = r0;                                                              \
	} while (0)

/* Its index is 0, and a zero is at hand. */
static __always_inline struct filter_scratch *find_room(void)
{
	return bpf_map_lookup_elem(&scratch, (__u32 *)&control.zero);
}

/* `room` is for what the kernel's helper returns. */
static __always_inline void read_ids(struct bpf_pidns_info *room, __u64 *ret_pid, __u64 *ret_tid)
{
	if (config.pidns_ino) {
		bpf_get_ns_current_pid_tgid(config.pidns_dev, config.pidns_ino, room,
					    sizeof(*room));
		*ret_pid = room->tgid;
		*ret_tid = room->pid;
	} else {
		__u64 ids = bpf_get_current_pid_tgid();

		*ret_pid = ids >> 32;
		*ret_tid = ids & 0xffffffff;
	}
}

/* What the watched memory holds now, and what it held at the evaluation before. (Where reads are
 * watched too, the kernel's included, this one traps again, is counted by the event, and shown to no
 * filter: such a breakpoint's traps are more than its evaluations.) The exchange is atomic, so of two
 * threads that evaluate at once each sees the other's value or the one before. */
static __always_inline void read_value(struct condition_inputs *inputs, __u32 needs)
{
	__u64 value, known;

	inputs->value = 0;
	inputs->previous = 0;
	if (bpf_probe_read_user(&inputs->value, config.value_length, (void *)config.address)) {
		inputs->unreadable |= INPUT_VALUE_UNREADABLE;
		return;
	}
	if (!(needs & CONDITION_NEEDS_PREVIOUS))
		return;

	value = inputs->value;
	/* Asked before the exchange: who sees it known finds what an exchange before this left. */
	known = *(volatile __u64 *)&control.previous_known;
	inputs->previous = __sync_lock_test_and_set(&control.previous, value);
	if (!known) {
		inputs->previous = value;
		*(volatile __u64 *)&control.previous_known = 1;
	}
}

static __always_inline void read_inputs(struct condition_inputs *inputs, __u32 needs, __u64 cpu)
{
	inputs->unreadable = 0;
	if (needs & CONDITION_NEEDS_IDS)
		read_ids(&inputs->ids, &inputs->pid, &inputs->tid);
	if (needs & CONDITION_NEEDS_CPU)
		inputs->cpu = cpu;
	if (needs & CONDITION_NEEDS_TIME)
		inputs->time = bpf_ktime_get_ns();
	if (needs & CONDITION_NEEDS_EVALUATED)
		inputs->evaluated = __sync_fetch_and_add(&control.evaluated, 1) + 1;
	if (needs & CONDITION_NEEDS_BASES)
		thread_bases(&inputs->fs_base, &inputs->gs_base);
	if (needs & CONDITION_NEEDS_COUNTER && read_counter(&inputs->counter))
		inputs->unreadable |= INPUT_COUNTER_UNREADABLE;
	if (needs & (CONDITION_NEEDS_VALUE | CONDITION_NEEDS_PREVIOUS))
		read_value(inputs, needs);
}

/*
 * For a long condition. The kernel makes two instructions of each load from a context, and for each such
 * load it moves all of the program and what it knows of it: a hundred of them would take longer than
 * all the rest of loading.
 */
static __always_inline bpf_user_pt_regs_t *copy_registers(const bpf_user_pt_regs_t *regs,
							  struct filter_scratch *room)
{
#pragma unroll
	for (int i = 0; i < FILTER_REGISTERS; i++)
		room->registers[i] = ((const volatile __u64 *)regs)[i];
	return (bpf_user_pt_regs_t *)room->registers;
}

/* Whether skip, every and limit let this one through: exact, since each true condition takes a
 * number of its own, and each that passes skip and every another. */
static __always_inline int let_through(void)
{
	if (config.skip || config.every > 1) {
		__u64 nth = __sync_fetch_and_add(&control.accepted, 1);

		if (nth < config.skip)
			return 0;
		if (config.every > 1 && (nth - config.skip) % config.every)
			return 0;
	}
	if (config.limit) {
		/* Asked first so that a breakpoint past its limit cannot wrap the number. */
		if (*(volatile __u64 *)&control.reported >= config.limit)
			return 0;
		if (__sync_fetch_and_add(&control.reported, 1) >= config.limit)
			return 0;
	}
	return 1;
}

/*
 * One piece of user memory. Where all of it cannot be read, what lies before the first page end
 * can perhaps: a piece is at most a page long and so meets one page end.
 *
 * The ways through eight pieces must not multiply in the verifier: so nothing branches on `faulted`, and
 * the size of the second read takes a way through the record, of whose content it knows nothing, since
 * it would follow the size of a read back to all that it came from.
 */
static __always_inline __u64 *capture_piece(__u64 *data, __u64 at, __u64 faulted, __u32 bytes)
{
	struct bpcond_memory *piece = (void *)data;
	char *content = (char *)(piece + 1);
	/* An address that could not be computed is read like one that no user can have. */
	__u64 from = at | -faulted;
	__u64 head;

	piece->at = at;
	piece->length = bytes;
	*(volatile __u32 *)&piece->read = PAGE_BYTES - (from & (PAGE_BYTES - 1));
	head = *(volatile __u32 *)&piece->read;
	piece->read = 0;
	/* The ring holds older records, and the padding must not show them; what a failed read
	 * does not fill the kernel clears. */
	if (bytes % 8)
		*(__u64 *)(content + bytes / 8 * 8) = 0;
	if (!bpf_probe_read_user(content, bytes, (void *)from)) {
		piece->read = bytes;
	} else {
		/* In asm, so that the bound and the use are of one register: the verifier of 6.1
		 * does not carry the one over to another copy. */
		asm volatile("if %0 < %1 goto +1; %0 = 0" : "+r"(head) : "r"((__u64)bytes));
		if (!bpf_probe_read_user(content, head, (void *)from))
			piece->read = head;
	}
	return (__u64 *)(content + (bytes + 7) / 8 * 8);
}

static __always_inline __u64 *capture_memory(__u64 *data, bpf_user_pt_regs_t *regs)
{
	struct filter_scratch *room = find_room(); /* with the inputs that the condition had */
	__u64 *at, faults;

	if (!room)
		return data;
	at = room->addresses;
	GENERATED(FILTER_ADDRESSES, faults, regs, &room->inputs, &control, parameters, at);

#pragma unroll
	for (__u32 i = 0; i < FILTER_MAX_PIECES; i++) {
		if (i < config.pieces)
			data = capture_piece(data, at[i], faults >> i & 1, config.piece_bytes[i]);
	}
	return data;
}

/*
 * The address that a record names: the event's, which is not the spec's any more once a client that
 * holds the event has moved it. Events that have no address leave there what the kernel's stack held: what
 * is no user address is not told.
 */
static __always_inline __u64 trap_address(struct bpf_perf_event_data *ctx)
{
	__u64 address = ctx->addr;

	return address < MACHINE_USER_END ? address : 0;
}

/* Of an event that samples call chains itself the kernel gives its own, which have a mark, an address
 * of nothing, where the user's part begins. Zeros at the end are left to the reader: the verifier would
 * follow each branch here for every way through the pieces. Return: how many addresses. */
static __always_inline __u16 capture_stack(struct bpf_perf_event_data *ctx, __u64 *data)
{
	__u32 size = config.stack * sizeof(__u64);
	long bytes = bpf_get_stack(ctx, data, size, BPF_F_USER_STACK);

	if (bytes > 0 && *data == USER_MARK)
		bytes = bpf_get_stack(ctx, data, size, BPF_F_USER_STACK | 1);
	return bytes > 0 ? bytes / sizeof(__u64) : 0;
}

/*
 * Writes the record, or counts it as dropped when the ring is full. A function of its own, so that its
 * stack does not count as that of each evaluation.
 */
static __attribute__((noinline)) int record_hit(struct bpf_perf_event_data *ctx,
						__u64 cpu, __u32 flags)
{
	__u64 sequence = __sync_fetch_and_add(&control.sequence, 1);
	bpf_user_pt_regs_t *regs = user_registers(ctx);
	struct bpf_pidns_info ids = {};
	struct bpcond_hit *hit;
	__u64 pid, tid, *data;

	hit = bpf_ringbuf_reserve(&ring, config.record_bytes, 0);
	if (!hit) {
		counters[cpu & config.cpu_mask].dropped++;
		return 0;
	}
	read_ids(&ids, &pid, &tid);
	hit->size = config.record_bytes;
	hit->version = BPCOND_LAYOUT_VERSION;
	hit->flags = flags;
	hit->breakpoint = config.breakpoint;
	hit->cpu = cpu;
	hit->pid = pid;
	hit->tid = tid;
	hit->sequence = sequence;
	hit->time = bpf_ktime_get_ns();
	hit->address = trap_address(ctx);
	hit->register_mask = config.registers;
	hit->memory_count = config.pieces;
	hit->stack_count = 0;
	hit->reserved = 0;

	data = capture_registers((__u64 *)(hit + 1), regs);
	if (config.pieces)
		data = capture_memory(data, regs);
	if (config.stack)
		hit->stack_count = capture_stack(ctx, data);
	bpf_ringbuf_submit(hit, 0);
	return 0;
}

static __always_inline __u64 read_state(void)
{
	return *(volatile __u64 *)&control.state;
}

static __always_inline int filter_trap(struct bpf_perf_event_data *ctx)
{
	/* A mask bounds it for every verifier: that of 6.1 loses a comparison over a spill. */
	__u64 cpu = bpf_get_smp_processor_id() & config.cpu_mask;
	/* Stands for what is not needed. */
	struct filter_scratch *room = (void *)&control;
	__u32 needs = config.needs;
	struct bpcond_counters *count;
	bpf_user_pt_regs_t *regs;
	__u64 verdict;
	__u32 flags = 0;

	/* Before anything else: not even the counters may tell a silenced client something. */
	if (read_state() == FILTER_REVOKED || !is_admitted())
		return 0;

	count = &counters[cpu];
	count->evaluated++;

	regs = user_registers(ctx);
	if (needs || config.pieces || config.copies_registers) {
		room = find_room();
		if (!room)
			return 0;
		if (config.copies_registers)
			regs = copy_registers(regs, room);
		if (needs & ~CONDITION_NEEDS_SCRATCH)
			read_inputs(&room->inputs, needs, cpu);
	}
	GENERATED(FILTER_CONDITION, verdict, regs, &room->inputs, &control, parameters, room->text);

	if (verdict == CONDITION_FAULT) {
		count->faults++;
		flags |= BPCOND_HIT_FAULT;
		verdict = config.fault_is_hit;
	}
	if (!verdict) {
		count->rejected++;
		return 0;
	}
	if (read_state() != FILTER_ENABLED || is_kept_back() || !let_through()) {
		count->withheld++;
		return 0;
	}

	count->hits++;
	if (from_kernel(ctx))
		flags |= BPCOND_HIT_FROM_KERNEL;
	if (config.before_access)
		flags |= BPCOND_HIT_BEFORE_ACCESS;
	/* Before the record is written, so that the record can say that it was not sent. */
	if (config.signal && (!may_signal() || bpf_send_signal_thread(config.signal))) {
		count->unsignalled++;
		flags |= BPCOND_HIT_UNSIGNALLED;
	}
	if (config.record_bytes)
		record_hit(ctx, cpu, flags);
	return 1;
}

#endif
