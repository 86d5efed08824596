/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lent filter that accepts everything and captures all it can, on every kind of event that its
 * borrower may open where the administrator is generous: CPU-wide, in the kernel, in software. It
 * runs with the daemon's rights in whatever task the event fires in, and must give nothing of other
 * users' tasks, of set-user-ID programs, and of the kernel.
 *
 * The ring is large enough for all that happens, unless this user does much else on the machine
 * meanwhile or the machine is slow; what is read and what was dropped are together what the counters say.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/own_events.h"
#include "tests/support/target.h"

#define BUSY "tests/targets/busy"

/* One past the last user address. */
#define USER_END MACHINE_USER_END

/* The kernel's addresses, but for the last 64 KiB, in which small negative numbers lie. */
#define KERNEL_START (MACHINE_X86 ? 0xffff800000000000ULL : 0xffff000000000000ULL)
#define KERNEL_END   0xffffffffffff0000ULL

enum {
	WATCH_MS = 1000,
	MAX_EVENTS = 64,
	MAX_OWN = 4,
};

static const char everything[] = "{\"registers\":\"all\",\"stack\":32,"
				 "\"memory\":[{\"at\":{\"reg\":\"sp\"},\"length\":64},{\"at\":{"
				 "\"reg\":\"pc\"},\"length\":16}]}";

typedef struct Watch {
	bpcond_client *client;
	bpcond_filter *filter;
	int events[MAX_EVENTS];
	unsigned n_events;
	/* This process and its busy ones, and how many hits they had; and those that must have none. */
	pid_t own[MAX_OWN], forbidden[MAX_OWN];
	unsigned n_own, n_forbidden;
	uint64_t hits[MAX_OWN];
	uint64_t n_records, n_from_kernel, n_addresses;
} Watch;

static void watch_begin(Watch *watch)
{
	const bpcond_filter_options options = {.size = sizeof(options),
					       .hits_bytes = integration_volume(8) < 8 ? 1 << 20
										       : 8 << 20,
					       .capture = everything};

	*watch = (Watch){.own = {getpid()}, .n_own = 1};
	ck_assert_int_eq(bpcond_client_new(&watch->client), 0);
	ck_assert_msg(bpcond_client_connect(watch->client, NULL) == 0 &&
			      bpcond_filter_lend(watch->client, "1", &options, &watch->filter) == 0,
		      "%s", bpcond_client_error(watch->client)->message);
}

/* Attaches the filter to an event and lets it run. */
static void watch_add(Watch *watch, uint32_t type, uint64_t config, uint64_t period,
		      uint64_t sample_type, pid_t tid, int cpu)
{
	struct perf_event_attr attr = {
		.type = type,
		.config = config,
		.sample_period = period,
		.sample_type = sample_type,
	};
	int fd;

	ck_assert_uint_lt(watch->n_events, MAX_EVENTS);
	fd = own_event_try(&attr, tid, cpu);
	/* A virtual machine may have no counting hardware. */
	if (type == PERF_TYPE_HARDWARE && (fd == -ENOENT || fd == -EOPNOTSUPP))
		return;
	ck_assert_msg(fd >= 0, "event %u/%lu on cpu %d: %s", type, (unsigned long)config, cpu,
		      strerror(-fd));
	ck_assert_msg(bpcond_filter_attach(watch->filter, fd) == 0, "%s",
		      bpcond_client_error(watch->client)->message);
	own_event_enable(fd);
	watch->events[watch->n_events++] = fd;
}

/* Every kind, on one CPU or thread. */
static void watch_add_all(Watch *watch, pid_t tid, int cpu)
{
	watch_add(watch, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1000000, 0, tid, cpu);
	/* whose stack then is the kernel's own sample of it */
	watch_add(watch, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1000000,
		  PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_ADDR, tid, cpu);
	watch_add(watch, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 1, PERF_SAMPLE_ADDR, tid,
		  cpu);
	watch_add(watch, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, 1, 0, tid, cpu);
	watch_add(watch, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 1000000, 0, tid, cpu);
}

static void check_address(uint64_t value, const char *what)
{
	check_often(value < USER_END, "%s is 0x%lx", what, (unsigned long)value);
}

static void check_value(uint64_t value, const char *what)
{
	check_often(value < KERNEL_START || value >= KERNEL_END, "%s is 0x%lx", what,
		    (unsigned long)value);
}

/*
 * What a user's registers hold is the user's affair: here the difference of two addresses, there half
 * of a string; and code without frame pointers leads the walk of the stack to any of it. Only of the
 * loop of the busy program it is known that nothing there looks like a kernel address.
 */
static void check_registers(const struct bpcond_hit *hit, bool is_busy)
{
	for (int id = 0; id < BPCOND_REG_COUNT; id++) {
		const char *name = bpcond_register_name((enum bpcond_register)id);
		uint64_t value;

		check_often(bpcond_hit_register(hit, (enum bpcond_register)id, &value) == 0,
			    "no %s", name);
		if (is_busy)
			check_value(value, name);
		if (id == BPCOND_REG_PC || id == BPCOND_REG_SP)
			check_address(value, name);
#if MACHINE_X86
		if (id == BPCOND_REG_FS_BASE || id == BPCOND_REG_GS_BASE)
			check_address(value, name);
		/* the user's, not the kernel's */
		if (id == BPCOND_REG_CS || id == BPCOND_REG_SS)
			check_often((value & 3) == 3 && value < 0x10000, "%s is 0x%lx", name,
				    (unsigned long)value);
#elif MACHINE_ARM64
		if (id == BPCOND_REG_PSTATE)
			check_often((value & 0xf) == 0, "%s is 0x%lx", name, (unsigned long)value);
#endif
	}
}

/* Whether all its user ids are ours, as of something else that this user runs meanwhile; one that has
 * ended is not held against the filter. */
static bool is_this_users(pid_t pid)
{
	unsigned ids[4], ours = getuid();
	char path[64], line[128];
	bool same = true;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Uid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4)
			same = ids[0] == ours && ids[1] == ours && ids[2] == ours;
	}
	fclose(file);
	return same;
}

static void check_process(const Watch *watch, pid_t pid)
{
	for (unsigned i = 0; i < watch->n_forbidden; i++)
		check_often(watch->forbidden[i] != pid, "a hit of process %d", pid);
	check_often(is_this_users(pid), "a hit of process %d, which is another user's", pid);
}

static void forbid(Watch *watch, pid_t pid)
{
	ck_assert_uint_lt(watch->n_forbidden, MAX_OWN);
	watch->forbidden[watch->n_forbidden++] = pid;
}

static void check_record(Watch *watch, const struct bpcond_hit *hit)
{
	const uint64_t *stack;
	bpcond_piece piece;
	unsigned who = 0;
	bool is_busy;
	size_t n;

	while (who < watch->n_own && watch->own[who] != (pid_t)hit->pid)
		who++;
	is_busy = who > 0 && who < watch->n_own;
	if (who < watch->n_own)
		watch->hits[who]++;
	else
		check_process(watch, (pid_t)hit->pid);
	watch->n_records++;
	watch->n_from_kernel += (hit->flags & BPCOND_HIT_FROM_KERNEL) != 0;
	watch->n_addresses += hit->address != 0;

	check_address(hit->address, "the address");
	check_registers(hit, is_busy);
	n = bpcond_hit_stack(hit, &stack);
	for (size_t i = 0; is_busy && i < n; i++)
		check_value(stack[i], "a return address");
	if (n > 0)
		check_address(stack[0], "the first return address");
	for (unsigned i = 0; i < 2; i++) {
		check_often(bpcond_hit_memory(hit, i, &piece) == 0, "no piece %u", i);
		check_address(piece.at, "a piece's address");
	}
}

/* To the end, but no longer than until then: a slow machine may have more hits of our reading them than
 * we can read. */
static void watch_read(Watch *watch, int64_t until)
{
	const struct bpcond_hit *hit;
	int r;

	while (now_ms() < until) {
		r = bpcond_filter_wait(watch->filter, 0, &hit);
		if (r == 0)
			return;
		check_often(r == 1, "%s", bpcond_client_error(watch->client)->message);
		check_record(watch, hit);
	}
}

/* Looks at everything for a while, then stops and sees that all is accounted for. */
static void watch_end(Watch *watch)
{
	int64_t deadline = now_ms() + WATCH_MS;
	struct bpcond_counters counters;

	while (now_ms() < deadline) {
		watch_read(watch, deadline);
		usleep(5000);
	}
	for (unsigned i = 0; i < watch->n_events; i++)
		own_event_disable(watch->events[i]);
	watch_read(watch, INT64_MAX);

	bpcond_filter_counters(watch->filter, &counters);
	ck_assert_uint_eq(counters.evaluated, counters.hits);
	ck_assert_uint_eq(counters.hits, watch->n_records + counters.dropped);
	ck_assert_uint_eq(counters.unsignalled, 0);
	for (unsigned i = 0; i < watch->n_events; i++)
		close(watch->events[i]);
	bpcond_client_free(watch->client);
}

static uint64_t total_count(const Watch *watch)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < watch->n_events; i++)
		sum += own_event_count(watch->events[i]);
	return sum;
}

static void watch_all_cpus(Watch *watch)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (int cpu = 0; cpu < n_cpus; cpu++)
		watch_add_all(watch, -1, cpu);
}

/* Of processes of this user, so that the silence of the others' means something. */
static void watch_own(Watch *watch, Target *target)
{
	target_start(target, "busy", NULL, NULL);
	watch->own[watch->n_own++] = target->pid;
}

START_TEST(nothing_of_other_users_cpu_wide)
{
	Target own, root, other;
	Watch watch;

	helper_set_paranoid(0);
	watch_begin(&watch);
	watch_own(&watch, &own);
	target_start_as(&root, "root", integration_program(BUSY), NULL);
	forbid(&watch, root.pid);
	target_start_as(&other, ENVIRONMENT_USER_B, integration_program(BUSY), NULL);
	forbid(&watch, other.pid);
	watch_all_cpus(&watch);
	watch_end(&watch);
	/* of ours there is all */
	ck_assert_uint_gt(watch.hits[1], 100);
	ck_assert_uint_gt(watch.n_from_kernel, 0);
	ck_assert_uint_gt(watch.n_addresses, 0);
}
END_TEST

/* The other users' are so busy that the events must have fired in them. */
START_TEST(not_even_counts_of_other_users)
{
	struct bpcond_counters counters;
	Target root, other;
	Watch watch;

	helper_set_paranoid(0);
	watch_begin(&watch);
	target_start_as(&root, "root", integration_program(BUSY), NULL);
	forbid(&watch, root.pid);
	target_start_as(&other, ENVIRONMENT_USER_B, integration_program(BUSY), NULL);
	forbid(&watch, other.pid);
	watch_all_cpus(&watch);
	usleep(WATCH_MS * 1000);
	for (unsigned i = 0; i < watch.n_events; i++)
		own_event_disable(watch.events[i]);
	bpcond_filter_counters(watch.filter, &counters);
	ck_assert_uint_gt(total_count(&watch), 1000);
	/* what remains is this user's own, which hardly does anything */
	ck_assert_uint_lt(counters.evaluated, total_count(&watch) / 4);
	watch_end(&watch);
}
END_TEST

/* A breakpoint that traps in every process at that address. */
START_TEST(nothing_by_cpu_wide_breakpoints)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = 4, /* HW_BREAKPOINT_X */
		.bp_len = sizeof(long),
		.sample_period = 1,
		.exclude_kernel = 1,
	};
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	Target other;
	Watch watch;

	helper_set_paranoid(0);
	watch_begin(&watch);
	target_start_as(&other, ENVIRONMENT_USER_B, integration_program(BUSY), NULL);
	forbid(&watch, other.pid);
	attr.bp_addr = target_address_of(&other, "busy_work");
	for (int cpu = 0; cpu < n_cpus; cpu++) {
		int fd = own_event(&attr, -1, cpu);

		ck_assert_int_eq(bpcond_filter_attach(watch.filter, fd), 0);
		own_event_enable(fd);
		watch.events[watch.n_events++] = fd;
	}
	watch_end(&watch);
	ck_assert_uint_eq(watch.n_records, 0);
}
END_TEST

START_TEST(nothing_of_the_kernel_at_paranoid_1)
{
	struct perf_event_attr cpu_wide = {.type = PERF_TYPE_SOFTWARE,
					   .config = PERF_COUNT_SW_CPU_CLOCK};
	Target own;
	Watch watch;

	helper_set_paranoid(1);
	ck_assert_int_eq(own_event_try(&cpu_wide, -1, 0), -EACCES);
	watch_begin(&watch);
	watch_own(&watch, &own);
	watch_add_all(&watch, own.pid, -1);
	watch_add_all(&watch, 0, -1);
	watch_end(&watch);
	ck_assert_uint_gt(watch.hits[1], 100);
	ck_assert_uint_gt(watch.n_from_kernel, 0);
	ck_assert_uint_gt(watch.n_addresses, 0);
}
END_TEST

/* Its real user id is the borrower's. */
START_TEST(nothing_of_own_set_user_id_children)
{
	Target own, child, root_child;
	char path[256];
	Watch watch;

	helper_set_paranoid(0);
	watch_begin(&watch);
	watch_own(&watch, &own);
	helper_make_set_user_id(integration_program(BUSY), ENVIRONMENT_USER_B, path);
	target_start_path(&child, path);
	forbid(&watch, child.pid);
	helper_make_set_user_id(integration_program(BUSY), "root", path);
	target_start_path(&root_child, path);
	forbid(&watch, root_child.pid);
	watch_all_cpus(&watch);
	watch_end(&watch);
	ck_assert_uint_gt(watch.hits[1], 100);
}
END_TEST

/* Of an own process that has made itself undumpable, as an agent that keeps keys does. */
START_TEST(nothing_of_undumpable_processes)
{
	Target own, undumpable;
	Watch watch;

	helper_set_paranoid(0);
	watch_begin(&watch);
	watch_own(&watch, &own);
	target_start(&undumpable, "busy", "--undumpable", NULL);
	forbid(&watch, undumpable.pid);
	watch_all_cpus(&watch);
	watch_end(&watch);
	ck_assert_uint_gt(watch.hits[1], 100);
}
END_TEST

/* Starts busy as root becomes this user by setpriv(1), with an option more. */
static pid_t start_by_setpriv(const char *group, const char *capabilities)
{
	const char *argv[] = {"setpriv",
			      "--reuid=" ENVIRONMENT_USER_A,
			      group,
			      "--clear-groups",
			      capabilities,
			      "--inh-caps=+net_raw",
			      integration_program(BUSY),
			      NULL};
	int out[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = helper_spawn("root", argv, -EBADF, out[1]);
	ck_assert_int_eq(read(out[0], &byte, 1), 1); /* it runs */
	return pid;
}

/* Of the same user ids, but ptrace would refuse them to us. */
START_TEST(nothing_of_other_groups_and_capabilities)
{
	Target own;
	Watch watch;

	helper_set_paranoid(0);
	watch_begin(&watch);
	watch_own(&watch, &own);
	forbid(&watch, start_by_setpriv("--regid=" ENVIRONMENT_USER_B, "--ambient-caps=-all"));
	forbid(&watch, start_by_setpriv("--regid=" ENVIRONMENT_USER_A, "--ambient-caps=+net_raw"));
	watch_all_cpus(&watch);
	watch_end(&watch);
	ck_assert_uint_gt(watch.hits[1], 100);
}
END_TEST

START_TEST(nothing_of_other_user_namespaces)
{
	Target own;
	Watch watch;
	int out[2];
	char byte;
	pid_t pid;

	helper_set_paranoid(0);
	watch_begin(&watch);
	watch_own(&watch, &own);
	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const char *argv[] = {integration_program(BUSY), NULL};

		dup2(out[1], STDOUT_FILENO);
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(77);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		execv(argv[0], (char *const *)argv);
		_exit(1);
	}
	close(out[1]);
	if (read(out[0], &byte, 1) != 1) {
		int status = 0;

		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			test_skip("this user may not make a user namespace");
		ck_abort_msg("the process did not start");
	}
	forbid(&watch, pid);
	watch_all_cpus(&watch);
	watch_end(&watch);
	kill(pid, SIGKILL);
	ck_assert_uint_gt(watch.hits[1], 100);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("lend-privacy");

	integration_add(suite, "CPU-wide: nothing of other users", nothing_of_other_users_cpu_wide);
	integration_add(suite, "CPU-wide: not even counts of them", not_even_counts_of_other_users);
	integration_add(suite, "CPU-wide breakpoints: nothing of other users",
			nothing_by_cpu_wide_breakpoints);
	integration_add(suite, "own processes: nothing of the kernel",
			nothing_of_the_kernel_at_paranoid_1);
	integration_add(suite, "nothing of own set-user-ID children",
			nothing_of_own_set_user_id_children);
	integration_add(suite, "nothing of undumpable processes", nothing_of_undumpable_processes);
	integration_add(suite, "nothing of other groups and capabilities",
			nothing_of_other_groups_and_capabilities);
	integration_add(suite, "nothing of other user namespaces",
			nothing_of_other_user_namespaces);
	return integration_run(suite, argc, argv);
}
