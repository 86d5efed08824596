/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client does with the descriptors that it was given: writes where it may only read, updates,
 * freezes, pins, moves, attaches and asks; and what it does with those that it kept after they were called
 * back. Whatever it tries, state and counts stay what the kernel and the daemon made them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpcond/hit.h>

#include "tests/attack/attack.h"
#include "tests/support/hits.h"
#include "tests/support/own_events.h"
#include "tests/support/target.h"

enum {
	PAGE = 4096,
	RING = 65536,
};

typedef struct Scene {
	sd_bus *bus;
	Target target;
	BusSession session;
	BusBreakpoint breakpoint;
	uint64_t address;
	int event_fd; /* of the target's only thread; -EBADF: not taken */
	uint64_t calls;
} Scene;

static void scene_start_with(Scene *scene, const char *members)
{
	*scene = (Scene){.bus = bus_connect(), .event_fd = -EBADF};
	target_start(&scene->target, "loop", NULL, NULL);
	scene->address = target_address_of(&scene->target, "loop_work");
	bus_open_session_with_ring(scene->bus, scene->target.pid, RING, &scene->session);
	bus_take_hits(&scene->session);
	bus_add(&scene->session, &scene->breakpoint,
		"{'address':'0x%lx','events':true,'parameters':{'yes':1},"
		"'condition':{'param':'yes'}%s}",
		scene->address, members);
	scene->event_fd = bus_take_event(&scene->breakpoint);
}

static void scene_start(Scene *scene)
{
	scene_start_with(scene, "");
}

/* The breakpoint counts as if nothing had been tried. */
static void scene_expect_sound(Scene *scene)
{
	BusCounts counts;

	ck_assert_int_eq(target_ask(&scene->target, "called", "call 10"), 10);
	scene->calls += 10;
	bus_counts(&scene->breakpoint, &counts);
	bus_counts_check(&counts);
	ck_assert_uint_eq(counts.traps, scene->calls);
	ck_assert_uint_eq(counts.hits, scene->calls);
	ck_assert_uint_eq(bus_number(scene->bus, scene->session.path, SESSION_INTERFACE, "Hits"),
			  scene->calls);
}

/* ---- Maps ---------------------------------------------------------------------------------------- */

static int bpf(int command, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : r;
}

static size_t value_size(int map_fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr attr = {.info = {.bpf_fd = (uint32_t)map_fd,
					.info_len = sizeof(info),
					.info = (uintptr_t)&info}};

	ck_assert_int_eq(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr), 0);
	return info.value_size;
}

/* Every way to write into a map by its descriptor. */
static void expect_no_writing(int map_fd, const char *name)
{
	static char value[65536];
	uint32_t key = 0, count = 1;
	union bpf_attr element = {
		.map_fd = (uint32_t)map_fd, .key = (uintptr_t)&key, .value = (uintptr_t)value};
	union bpf_attr batch = {.batch = {.map_fd = (uint32_t)map_fd,
					  .keys = (uintptr_t)&key,
					  .values = (uintptr_t)value,
					  .count = count}};
	void *memory;

	memset(value, 0xff, sizeof(value));
	ck_assert_msg(bpf(BPF_MAP_UPDATE_ELEM, &element) < 0, "%s: updated", name);
	ck_assert_msg(bpf(BPF_MAP_DELETE_ELEM, &element) < 0, "%s: deleted", name);
	ck_assert_msg(bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &element) < 0, "%s: taken out", name);
	ck_assert_msg(bpf(BPF_MAP_UPDATE_BATCH, &batch) < 0, "%s: updated by batch", name);
	ck_assert_msg(bpf(BPF_MAP_DELETE_BATCH, &batch) < 0, "%s: deleted by batch", name);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	ck_assert_msg(memory == MAP_FAILED, "%s: mapped for writing", name);
	memory = mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_SHARED, map_fd, 0);
	ck_assert_msg(memory == MAP_FAILED, "%s: mapped for execution", name);
	memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, map_fd, 0);
	ck_assert_msg(memory != MAP_FAILED, "%s: not mapped for reading", name);
	ck_assert_msg(mprotect(memory, PAGE, PROT_READ | PROT_WRITE) < 0, "%s: mprotect", name);
	munmap(memory, PAGE);
	/* what lies behind it */
	memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, map_fd, (off_t)1 << 30);
	ck_assert_msg(memory == MAP_FAILED, "%s: mapped behind its end", name);
}

/* A map that is frozen can be written by nobody, the daemon included. */
static void expect_no_freezing(int map_fd, const char *name)
{
	union bpf_attr attr = {.map_fd = (uint32_t)map_fd};

	ck_assert_msg(bpf(BPF_MAP_FREEZE, &attr) < 0, "%s: frozen", name);
}

static void counters_are_the_kernels(void)
{
	Scene scene;

	scene_start(&scene);
	ck_assert_uint_le(value_size(scene.breakpoint.counters_fd), 65536);
	expect_no_writing(scene.breakpoint.counters_fd, "counters");
	expect_no_freezing(scene.breakpoint.counters_fd, "counters");
	scene_expect_sound(&scene);
}

/* A client writes parameters, and that is all: it can neither freeze nor grow them. */
static void parameters_are_values_only(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	uint64_t *memory;
	void *behind;
	Scene scene;
	int fd;

	scene_start(&scene);
	fd = scene.breakpoint.parameters_fd;
	expect_no_freezing(fd, "parameters");
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	behind = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	ck_assert_ptr_eq(behind, MAP_FAILED);
	ck_assert_int_lt(mprotect(memory, PAGE, PROT_READ | PROT_EXEC), 0);
	/* all of its page, where there is one value */
	for (size_t i = 0; i < PAGE / sizeof(*memory); i++)
		memory[i] = UINT64_MAX - i;
	scene_expect_sound(&scene);
	ck_assert_msg(sd_bus_call_method(scene.bus, "org.bpcond1", scene.breakpoint.path,
					 BREAKPOINT_INTERFACE, "SetParameter", &error, NULL, "st",
					 "yes", UINT64_C(7)) >= 0,
		      "%s", error.message);
	ck_assert_uint_eq(memory[0], 7);
	scene_expect_sound(&scene);
	munmap(memory, PAGE);
}

/* ---- The ring ------------------------------------------------------------------------------------ */

/* Whatever the positions say, hits are counted, and nobody but the ring's taker is concerned. */
static void ring_positions_overwritten(void)
{
	static const uint64_t positions[] = {
		UINT64_MAX, UINT64_C(1) << 63, RING, 7, UINT64_MAX - 7, RING * 1024, 0,
	};
	uint64_t *consumer, *producer;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	struct bpcond_counters counters;
	Scene scene;
	int fd;

	scene_start(&scene);
	fd = scene.session.ring_fd;
	consumer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(consumer, MAP_FAILED);
	/* the producer's page and the records are not his to write */
	producer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
	ck_assert_ptr_eq(producer, MAP_FAILED);
	producer = mmap(NULL, PAGE + 2 * RING, PROT_READ, MAP_SHARED, fd, PAGE);
	ck_assert_ptr_ne(producer, MAP_FAILED);
	ck_assert_int_lt(mprotect(producer, PAGE, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_lt(mprotect((char *)producer + PAGE, RING, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		*(volatile uint64_t *)consumer = positions[i];
		scene_expect_sound(&scene);
		hits_counters(scene.breakpoint.counters_fd, &counters);
		ck_assert_uint_le(counters.dropped, counters.hits);
	}
	/* he may make it useless to himself */
	ck_assert_int_eq(bpf(BPF_MAP_FREEZE, &(union bpf_attr){.map_fd = (uint32_t)fd}) > 0, 0);
	scene_expect_sound(&scene);
	/* the daemon reads none that was handed out */
	ck_assert_int_eq(bus_try_forward(&scene.session, STDOUT_FILENO, "binary", &error), 1);
	sd_bus_error_free(&error);
	attack_expect_others_served();
	munmap(consumer, PAGE);
	munmap(producer, PAGE + 2 * RING);
	bus_close_session(&scene.session);
}

/* ---- Events -------------------------------------------------------------------------------------- */

static struct perf_event_attr like_the_breakpoint(const Scene *scene)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(struct perf_event_attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = scene->address,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
}

static int modify(int event_fd, const struct perf_event_attr *attr)
{
	return ioctl(event_fd, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, attr) < 0 ? -errno : 0;
}

static void events_are_not_the_kernels(void)
{
	static const uint64_t kernel_addresses[] = {
		UINT64_C(0xffffffff81000000),
		UINT64_C(0xffff888000000000),
		UINT64_MAX - 7,
		UINT64_C(0x800000000000) - 1,
		UINT64_C(1) << 63,
	};
	/* struct perf_event_query_bpf: room for 8 ids, how many there are, ids */
	uint32_t query[10] = {8};
	struct perf_event_attr attr;
	uint64_t number = 1;
	int fd, own;
	Scene scene;

	scene_start(&scene);
	fd = scene.event_fd;
	for (size_t i = 0; i < sizeof(kernel_addresses) / sizeof(kernel_addresses[0]); i++) {
		attr = like_the_breakpoint(&scene);
		attr.bp_addr = kernel_addresses[i];
		ck_assert_msg(modify(fd, &attr) < 0, "moved to 0x%lx", (unsigned long)attr.bp_addr);
		attr.bp_type = HW_BREAKPOINT_RW;
		attr.bp_len = 8;
		ck_assert_msg(modify(fd, &attr) < 0, "watches 0x%lx", (unsigned long)attr.bp_addr);
	}
	/* of another kind, or of what it would tell more */
	attr = like_the_breakpoint(&scene);
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_CPU_CLOCK;
	ck_assert_int_lt(modify(fd, &attr), 0);
	attr = like_the_breakpoint(&scene);
	attr.type = PERF_TYPE_TRACEPOINT;
	ck_assert_int_lt(modify(fd, &attr), 0);
	attr = like_the_breakpoint(&scene);
	attr.sample_type = PERF_SAMPLE_REGS_INTR | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_ADDR;
	ck_assert_int_lt(modify(fd, &attr), 0);
	attr = like_the_breakpoint(&scene);
	attr.exclude_kernel = 0;
	ck_assert_int_lt(modify(fd, &attr), 0);
	attr = like_the_breakpoint(&scene);
	attr.remove_on_exec = 0;
	attr.inherit = 1;
	ck_assert_int_lt(modify(fd, &attr), 0);
	attr = like_the_breakpoint(&scene);
	attr.bp_type = HW_BREAKPOINT_INVALID;
	modify(fd, &attr);
	ck_assert_int_lt(modify(fd, (const void *)8), 0);
	/* its program: not to be seen, not to be exchanged */
	ck_assert_int_lt(ioctl(fd, PERF_EVENT_IOC_QUERY_BPF, query), 0);
	for (int other = 0; other < 64; other++)
		ck_assert_int_lt(ioctl(fd, PERF_EVENT_IOC_SET_BPF, other), 0);
	ck_assert_int_lt(ioctl(fd, PERF_EVENT_IOC_SET_FILTER, "common_pid == 1"), 0);
	/* its period, and where its output goes */
	ioctl(fd, PERF_EVENT_IOC_PERIOD, &number);
	ck_assert_int_lt(ioctl(fd, PERF_EVENT_IOC_REFRESH, 1), 0);
	own = own_breakpoint(0, (const void *)(uintptr_t)strlen);
	ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, own);
	ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, -1);
	close(own);
	ck_assert_ptr_eq(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
			 MAP_FAILED);
	/* and after all that it is the breakpoint that it was */
	attr = like_the_breakpoint(&scene);
	modify(fd, &attr);
	own_event_enable(fd);
	scene_expect_sound(&scene);
}

/* ---- Called back --------------------------------------------------------------------------------- */

/* The event is switched on again, then moved; neither counts nor ring show anything of it. */
static void expect_silence(Scene *scene, int counters_fd, int ring_fd)
{
	struct bpcond_counters before, after;
	struct perf_event_attr attr = like_the_breakpoint(scene);
	Hits *hits = ring_fd >= 0 ? hits_new(ring_fd, NULL, NULL) : NULL;
	uint64_t records = hits ? hits_read(hits) : 0;

	hits_counters(counters_fd, &before);
	for (int i = 0; i < 3; i++) {
		ioctl(scene->event_fd, PERF_EVENT_IOC_ENABLE, 0);
		ck_assert_int_eq(target_ask(&scene->target, "called", "call 10"), 10);
		if (i == 1) {
			attr.bp_addr = target_address_of(&scene->target, "loop_calls");
			attr.bp_type = HW_BREAKPOINT_RW;
			attr.bp_len = sizeof(long);
		}
		modify(scene->event_fd, &attr);
	}
	hits_counters(counters_fd, &after);
	ck_assert_uint_eq(after.evaluated, before.evaluated);
	ck_assert_uint_eq(after.hits, before.hits);
	if (hits)
		ck_assert_uint_eq(hits_read(hits), records);
	hits_free(hits);
}

static void close_by_root(const char *path)
{
	const char *argv[] = {integration_program("tests/targets/intruder"), path,
			      SESSION_INTERFACE, "Close", NULL};
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(helper_wait(helper_spawn("root", argv, -EBADF, null_fd), 10000), 0);
	close(null_fd);
}

static void called_back(const char *how)
{
	int counters_fd, ring_fd;
	Scene scene;

	scene_start(&scene);
	scene_expect_sound(&scene);
	counters_fd = scene.breakpoint.counters_fd;
	ring_fd = scene.session.ring_fd;
	scene.session.ring_fd = -EBADF;
	if (strcmp(how, "Close") == 0)
		bus_close_session(&scene.session);
	else if (strcmp(how, "Remove") == 0)
		bus_breakpoint_call(&scene.breakpoint, "Remove");
	else if (strcmp(how, "administrator") == 0)
		close_by_root(scene.session.path);
	else
		sd_bus_flush_close_unref(scene.bus);
	/* the last one is not told when it is done */
	if (strcmp(how, "disconnect") == 0) {
		sd_bus *other = bus_connect();

		while (bus_number(other, MANAGER_PATH, MANAGER_INTERFACE, "Sessions") > 0)
			usleep(1000);
	}
	expect_silence(&scene, counters_fd, ring_fd);
	target_kill(&scene.target);
}

static void called_back_by_close(void)
{
	called_back("Close");
}

static void called_back_by_remove(void)
{
	called_back("Remove");
}

static void called_back_by_administrator(void)
{
	called_back("administrator");
}

static void called_back_by_disconnect(void)
{
	called_back("disconnect");
}

/* Disabled, or through with its limit: the event's holder does not switch it on. */
static void disabled_and_limited(void)
{
	BusCounts counts;
	Scene scene;

	scene_start_with(&scene, ",\"limit\":3");
	for (int i = 0; i < 20; i++) {
		own_event_enable(scene.event_fd);
		target_ask(&scene.target, "called", "call 10");
		if (i == 10)
			bus_breakpoint_call(&scene.breakpoint, "Disable");
	}
	bus_counts(&scene.breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 3);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"counters are the kernel's", counters_are_the_kernels, NULL},
		{"parameters are values only", parameters_are_values_only, NULL},
		{"a ring whose positions are overwritten", ring_positions_overwritten, NULL},
		{"taken events towards the kernel and other kinds", events_are_not_the_kernels,
		 NULL},
		{"events kept after Close", called_back_by_close, NULL},
		{"events kept after Remove", called_back_by_remove, NULL},
		{"events kept after an administrator's Close", called_back_by_administrator, NULL},
		{"events kept after the connection", called_back_by_disconnect, NULL},
		{"events of what is disabled or at its limit", disabled_and_limited, NULL},
	};

	return attack_run("attack-descriptors", cases, sizeof(cases) / sizeof(cases[0]), argc,
			  argv);
}
