/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hit's record says of registers, memory and stack, held against a target that knows what it
 * had there; and that the kernel's own accesses are seen when asked for, without a trace of the
 * kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpcond/bpcond.h"
#include "tests/support/bus.h"
#include "tests/support/hits.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

#define PATTERN 0x1122334455667700UL
#define GS_BASE 0x123456789000UL
#define KERNEL  0xffff800000000000UL

enum {
	MAX_RECORD = 65536,
	ACCESSES = 2000,
};

/* The last record, and how many there were. */
typedef struct Last {
	uint64_t records;
	union {
		struct bpcond_hit hit;
		unsigned char bytes[MAX_RECORD];
	};
} Last;

static void keep(void *userdata, const struct bpcond_hit *hit)
{
	Last *last = userdata;

	ck_assert_uint_le(hit->size, sizeof(last->bytes));
	memcpy(last->bytes, hit, hit->size);
	last->records++;
}

typedef struct Scene {
	Target target;
	BusSession session;
	Hits *hits;
	Last last;
} Scene;

static Scene *scene_new(HitsVisitor visit)
{
	Scene *scene = calloc(1, sizeof(*scene));

	ck_assert_ptr_nonnull(scene);
	target_start(&scene->target, "machine", NULL, NULL);
	bus_open_session_with_ring(bus_connect(), scene->target.pid, 1 << 20, &scene->session);
	bus_take_hits(&scene->session);
	scene->hits = hits_new(scene->session.ring_fd, visit, &scene->last);
	return scene;
}

static void scene_free(Scene *scene)
{
	hits_free(scene->hits);
	free(scene);
}

static uint64_t address(const Scene *scene, const char *name)
{
	return target_address_of(&scene->target, name);
}

/* What follows the registers. */
static const unsigned char *behind_registers(const struct bpcond_hit *hit)
{
	return (const unsigned char *)(hit + 1) + 8 * __builtin_popcountll(hit->register_mask);
}

/* The registers that have PATTERN plus their place in this list, but the stack pointer. */
#if MACHINE_X86
static const enum bpcond_register patterned[] = {
	BPCOND_REG_RAX, BPCOND_REG_RBX, BPCOND_REG_RCX, BPCOND_REG_RDX,
	BPCOND_REG_RSI, BPCOND_REG_RDI, BPCOND_REG_RBP, BPCOND_REG_RSP,
	BPCOND_REG_R8,  BPCOND_REG_R9,  BPCOND_REG_R10, BPCOND_REG_R11,
	BPCOND_REG_R12, BPCOND_REG_R13, BPCOND_REG_R14, BPCOND_REG_R15,
};
#define N_PATTERNED (sizeof(patterned) / sizeof(patterned[0]))
#define PART_OF_ONE "'ah': '0x77', 'cl': 2"

static void check_others(const Scene *scene, const struct bpcond_hit *hit)
{
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_EFLAGS) & 1, 1);
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_CS), 0x33);
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_SS), 0x2b);
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_ORIG_RAX), UINT64_MAX);
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_FS_BASE), address(scene, "fs_base"));
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_GS_BASE), GS_BASE);
}
#elif MACHINE_ARM64
#define patterned_at(i) ((enum bpcond_register)(BPCOND_REG_X0 + (i)))
#define N_PATTERNED     31
#define PART_OF_ONE     "'w1': '0x55667701', 'lr': '0x112233445566771e'"

static void check_others(const Scene *scene, const struct bpcond_hit *hit)
{
	/* carry, and neither negative nor zero nor overflow */
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_PSTATE) >> 28, 2);
}
#endif

static enum bpcond_register patterned_register(size_t i)
{
#if MACHINE_X86
	return patterned[i];
#elif MACHINE_ARM64
	return patterned_at(i);
#endif
}

START_TEST(all_registers)
{
	Scene *scene = scene_new(keep);
	const struct bpcond_hit *hit = &scene->last.hit;
	BusBreakpoint breakpoint;

	bus_add(&scene->session, &breakpoint,
		"{'address': '0x%lx', 'capture': {'registers': 'all'}}",
		address(scene, "registers"));
	target_ask(&scene->target, "done", "registers 1");
	hits_wait(scene->hits, 1);
	ck_assert_uint_eq(hit->register_mask, (1UL << BPCOND_REG_COUNT) - 1);
	for (size_t i = 0; i < N_PATTERNED; i++) {
		if (patterned_register(i) != BPCOND_REG_SP)
			ck_assert_uint_eq(hits_register(hit, patterned_register(i)), PATTERN + i);
	}
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_SP), address(scene, "sp"));
	ck_assert_uint_eq(hits_register(hit, BPCOND_REG_PC), address(scene, "registers"));
	check_others(scene, hit);
	ck_assert_uint_eq(hit->memory_count, 0);
	ck_assert_uint_eq(hit->stack_count, 0);
	ck_assert_uint_eq(hit->flags, 0);
	scene_free(scene);
}
END_TEST

/* The same registers, as the condition sees them. */
START_TEST(all_registers_in_the_condition)
{
	Scene *scene = scene_new(keep);
	BusBreakpoint breakpoint;
	BusCounts counts;
	char list[2048];
	size_t n = 0;

	for (size_t i = 0; i < N_PATTERNED; i++)
		if (patterned_register(i) != BPCOND_REG_SP)
			n += snprintf(list + n, sizeof(list) - n, "\"%s\": \"0x%lx\",",
				      bpcond_register_name(patterned_register(i)), PATTERN + i);
#if MACHINE_X86
	snprintf(list + n, sizeof(list) - n, "\"fs_base\": \"0x%lx\", \"gs_base\": \"0x%lx\",",
		 address(scene, "fs_base"), GS_BASE);
#endif
	bus_add(&scene->session, &breakpoint,
		"{'address': '0x%lx', 'condition': {'registers': {%s"
		"'" SP "': '0x%lx', '" PC "': '0x%lx', " PART_OF_ONE "}}}",
		address(scene, "registers"), list, address(scene, "sp"),
		address(scene, "registers"));
	target_ask(&scene->target, "done", "registers 10");
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.hits, 10);
	scene_free(scene);
}
END_TEST

/* Reads the next piece and checks its head and bytes, which follow each other from `first`. Return:
 * what is behind it. */
static const unsigned char *check_piece(const unsigned char *at, uint64_t from, uint32_t length,
					uint32_t read, unsigned char first)
{
	struct bpcond_memory piece;
	uint32_t i;

	memcpy(&piece, at, sizeof(piece));
	at += sizeof(piece);
	ck_assert_uint_eq(piece.at, from);
	ck_assert_uint_eq(piece.length, length);
	ck_assert_uint_eq(piece.read, read);
	for (i = 0; i < read; i++)
		check_often(at[i] == (unsigned char)(first + i), "byte %u is %u", i, at[i]);
	/* what was not read is 0, the padding too */
	for (; i < (length + 7) / 8 * 8; i++)
		check_often(at[i] == 0, "byte %u is %u", i, at[i]);
	return at + i;
}

START_TEST(memory)
{
	Scene *scene = scene_new(keep);
	const struct bpcond_hit *hit = &scene->last.hit;
	uint64_t end = address(scene, "page_end");
	const unsigned char *at;
	BusBreakpoint breakpoint;
	BusCounts counts;

	bus_add(&scene->session, &breakpoint,
		"{'address': '0x%lx', 'capture': {'registers': ['" ARG1 "'], 'memory': ["
		"{'at': {'reg': '" ARG1 "'}, 'length': 16},"
		"{'at': {'+': [{'reg': '" ARG1 "'}, 3]}, 'length': 5},"
		"{'at': {'+': [{'reg': '" ARG1 "'}, 9]}, 'length': 100},"
		"{'at': {'+': [{'reg': '" ARG1 "'}, 15]}, 'length': 4096},"
		"{'at': {'+': [{'reg': '" ARG1 "'}, 16]}, 'length': 8},"
		"{'at': 0, 'length': 1},"
		"{'at': {'load': 'u64', 'at': 8}, 'length': 7},"
		"{'at': '0xffffffff81000000', 'length': 8}]}}",
		address(scene, "pieces"));
	/* more than once round the ring, so that what was there before would show */
	for (int i = 0; i < 300; i++) {
		target_ask(&scene->target, "done", "pieces 1");
		hits_wait(scene->hits, (uint64_t)i + 1);
		ck_assert_uint_eq(hit->memory_count, 8);
		ck_assert_uint_eq(hits_register(hit, REG_ARG1), end);
		at = behind_registers(hit);
		at = check_piece(at, end, 16, 16, 0xf0);
		at = check_piece(at, end + 3, 5, 5, 0xf3);
		at = check_piece(at, end + 9, 100, 7, 0xf9);
		at = check_piece(at, end + 15, 4096, 1, 0xff);
		at = check_piece(at, end + 16, 8, 0, 0);
		at = check_piece(at, 0, 1, 0, 0);
		at = check_piece(at, 0, 7, 0, 0);
		at = check_piece(at, 0xffffffff81000000, 8, 0, 0);
		ck_assert_uint_eq((uint64_t)(at - scene->last.bytes), hit->size);
	}
	bus_counts(&breakpoint, &counts);
	/* an address that cannot be computed is no fault of the condition */
	ck_assert_uint_eq(counts.faults, 0);
	scene_free(scene);
}
END_TEST

static void check_stack(unsigned depth)
{
	Scene *scene = scene_new(keep);
	const struct bpcond_hit *hit = &scene->last.hit;
	BusBreakpoint breakpoint;
	uint64_t addresses[128];

	bus_add(&scene->session, &breakpoint,
		"{'address': '0x%lx', 'access': 'write',"
		" 'capture': {'registers': ['" PC "'], 'stack': %u}}",
		address(scene, "stack_sink"), depth);
	target_ask(&scene->target, "done", "stack 1");
	hits_wait(scene->hits, 1);
	ck_assert_uint_le(hit->stack_count, depth);
	ck_assert_uint_ge(hit->stack_count, depth < 3 ? depth : 3);
	memcpy(addresses, behind_registers(hit), hit->stack_count * sizeof(addresses[0]));
	ck_assert_uint_eq(addresses[0], hits_register(hit, BPCOND_REG_PC));
	if (depth > 1)
		ck_assert_uint_eq(addresses[1], address(scene, "returns_1"));
	if (depth > 2)
		ck_assert_uint_eq(addresses[2], address(scene, "returns_2"));
	for (unsigned i = 0; i < hit->stack_count; i++)
		ck_assert_uint_lt(addresses[i], KERNEL);
	scene_free(scene);
}

START_TEST(stack)
{
	check_stack(127);
}
END_TEST

/* Where code without frame pointers ends the chain, callers at zero are none. */
START_TEST(stack_without_an_end)
{
	Scene *scene = scene_new(keep);
	const struct bpcond_hit *hit = &scene->last.hit;
	BusBreakpoint breakpoint;
	const uint64_t *callers;

	bus_add(&scene->session, &breakpoint, "{'address': '0x%lx', 'capture': {'stack': 127}}",
		address(scene, "chain"));
	target_ask(&scene->target, "done", "chain 1");
	hits_wait(scene->hits, 1);
	ck_assert_uint_gt(hit->stack_count, 1);
	ck_assert_uint_eq(bpcond_hit_stack(hit, &callers), 1);
	ck_assert_uint_eq(callers[0], address(scene, "chain"));
	scene_free(scene);
}
END_TEST

START_TEST(stack_of_limited_depth)
{
	check_stack(1);
	check_stack(2);
}
END_TEST

/* A fault is flagged, whatever it is made of. */
START_TEST(fault_flag)
{
	Scene *scene = scene_new(keep);
	BusBreakpoint breakpoint;

	bus_add(&scene->session, &breakpoint,
		"{'address': '0x%lx', 'condition': {'==': [{'load': 'u8', 'at': {'+':"
		" [{'reg': '" ARG1 "'}, 16]}}, 1]}}",
		address(scene, "pieces"));
	target_ask(&scene->target, "done", "pieces 1");
	hits_wait(scene->hits, 1);
	ck_assert_uint_eq(scene->last.hit.flags, BPCOND_HIT_FAULT);
	ck_assert_uint_eq(scene->last.hit.size, sizeof(struct bpcond_hit));
	scene_free(scene);
}
END_TEST

typedef struct Kernel {
	uint64_t from_kernel, from_user;
	uint64_t read_return, buffer;
} Kernel;

/* No word of a record is an address of the kernel's. Small negative numbers are errors: rax inside a
 * system call is -ENOSYS. On arm64, where no record comes from within the kernel, the general registers
 * are left out: programs compute differences of addresses in them, which look like one. */
static void expect_no_kernel_address(const struct bpcond_hit *hit)
{
	const char *at = (const char *)hit;

	for (uint32_t i = 0; i + 8 <= hit->size; i += 8) {
		uint64_t word;

		if (MACHINE_ARM64 && i >= sizeof(*hit) &&
		    i < sizeof(*hit) + 8 * (uint32_t)BPCOND_REG_SP)
			continue;

		memcpy(&word, at + i, sizeof(word));
		check_often(word < KERNEL || word >= (uint64_t)-4096, "%#lx at byte %u of a record",
			    (unsigned long)word, i);
	}
}

static void see_access(void *userdata, const struct bpcond_hit *hit)
{
	Kernel *kernel = userdata;
	uint64_t word;

	expect_no_kernel_address(hit);
	check_often(hit->address == kernel->buffer, "another address");
#if MACHINE_X86
	check_often(hits_register(hit, BPCOND_REG_CS) == 0x33, "cs is the kernel's");
#endif
	if (hit->flags & BPCOND_HIT_FROM_KERNEL) {
		kernel->from_kernel++;
		check_often(hits_register(hit, BPCOND_REG_PC) == kernel->read_return, "another pc");
#if MACHINE_X86
		check_often(hits_register(hit, BPCOND_REG_RSI) == kernel->buffer, "another rsi");
		check_often(hits_register(hit, BPCOND_REG_ORIG_RAX) == 0, "another system call");
#endif
	} else {
		kernel->from_user++;
	}
	/* the pc first in the stack as well */
	check_often(hit->stack_count >= 1, "no stack");
	memcpy(&word, behind_registers(hit), sizeof(word));
	check_often(word == hits_register(hit, BPCOND_REG_PC), "the stack begins elsewhere");
}

static void watch_buffer(const char *accesses, uint64_t least)
{
	Target target;
	BusSession session;
	BusBreakpoint breakpoint;
	BusCounts counts;
	Kernel kernel = {0};
	Hits *hits;

	target_start(&target, "machine", NULL, NULL);
	kernel.buffer = target_address_of(&target, "buffer");
	kernel.read_return = target_address_of(&target, "read_return");
	bus_open_session_with_ring(bus_connect(), target.pid, 16 << 20, &session);
	bus_take_hits(&session);
	hits = hits_new(session.ring_fd, see_access, &kernel);
	bus_add(&session, &breakpoint,
		"{'address': '0x%lx', 'access': 'write', 'kernel-accesses': %s,"
		" 'capture': {'registers': 'all', 'stack': 32}}",
		kernel.buffer, accesses);
	target_ask(&target, "done", "read %d", ACCESSES);
	target_ask(&target, "done", "poke 100");
	bus_breakpoint_call(&breakpoint, "Disable");
	hits_read(hits);
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.lost, 0);
	ck_assert_uint_eq(counts.dropped, 0);
	ck_assert_uint_eq(kernel.from_user, 100);
	/* The kernel may copy a word in pieces: each is an access. */
	ck_assert_uint_ge(kernel.from_kernel, least);
	if (least == 0)
		ck_assert_uint_eq(kernel.from_kernel, 0);
	hits_free(hits);
}

#if MACHINE_X86
START_TEST(kernel_accesses)
{
	watch_buffer("true", ACCESSES);
}
END_TEST
#elif MACHINE_ARM64
/* Never reported there, and so refused by name. */
START_TEST(kernel_accesses)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	Scene *scene = scene_new(keep);
	BusBreakpoint breakpoint;

	ck_assert_int_eq(bus_try_add(&scene->session, &breakpoint, &error,
				     "{'address': '0x%lx', 'access': 'write',"
				     " 'kernel-accesses': true}",
				     address(scene, "buffer")),
			 1);
	bus_expect_error(&error, "NotSupported", "kernel-accesses");
	scene_free(scene);
}
END_TEST
#endif

START_TEST(no_kernel_accesses)
{
	watch_buffer("false", 0);
}
END_TEST

/* What the filter itself reads of watched memory is evaluated by nobody; and where only writes are
 * watched, not even counted as a trap. */
static void watch_what_is_read(const char *access, bool counted)
{
	Scene *scene = scene_new(keep);
	BusBreakpoint breakpoint;
	BusCounts counts;

	bus_add(&scene->session, &breakpoint,
		"{'address': '0x%lx', 'access': '%s', 'kernel-accesses': %s,"
		" 'condition': {'!=': [{'var': 'value'}, {'var': 'previous'}]},"
		" 'capture': {'memory': [{'at': '0x%lx', 'length': 8}]}}",
		address(scene, "buffer"), access, MACHINE_X86 ? "true" : "false",
		address(scene, "buffer"));
	target_ask(&scene->target, "done", "poke 1000");
	bus_breakpoint_call(&breakpoint, "Disable");
	bus_counts(&breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.evaluated, 1000);
	/* from 0 to 0, 1, 2, …; the last change shows at an access that there is not where they are
	 * reported before it */
	ck_assert_uint_eq(counts.hits, MACHINE_X86 ? 999 : 998);
	if (!counted)
		ck_assert_uint_eq(counts.lost, 0);
	scene_free(scene);
}

START_TEST(filter_does_not_see_itself)
{
	watch_what_is_read("write", false);
	watch_what_is_read("read-write", true);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("records");

	integration_add(suite, "all registers", all_registers);
	integration_add(suite, "all registers in the condition", all_registers_in_the_condition);
	integration_add(suite, "memory", memory);
	integration_add(suite, "the stack", stack);
	integration_add(suite, "the stack without an end", stack_without_an_end);
	integration_add(suite, "the stack to a limited depth", stack_of_limited_depth);
	integration_add(suite, "the fault flag", fault_flag);
	integration_add(suite, "the kernel's accesses", kernel_accesses);
	integration_add(suite, "not the kernel's accesses", no_kernel_accesses);
	integration_add(suite, "the filter does not see itself", filter_does_not_see_itself);
	return integration_run(suite, argc, argv);
}
