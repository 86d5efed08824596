/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lent filters on breakpoints of the borrower's own: each test case sets them on its own functions, so
 * that what must have happened is known to the call.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/integration/lending.h"
#include "tests/support/bus.h"
#include "tests/support/command.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/own_events.h"
#include "tests/targets/target.h"

#define FILTER_INTERFACE "org.bpcond1.Filter"
#define RDI_IS_WANTED    "{\"==\":[{\"reg\":\"" ARG1 "\"},{\"param\":\"wanted\"}]}"
#define RDI_IS_EVEN      "{\"==\":[{\"%\":[{\"reg\":\"" ARG1 "\"},2]},0]}"

enum {
	N_THREADS = 4,
};

void lend_work(long number);
void lend_tick(void);

volatile long lend_calls;

/* Where the breakpoints are: the number is in rdi. */
TARGET_FUNCTION void lend_work(long number)
{
	lend_calls = lend_calls + 1;
}

/* What `counter` counts. */
TARGET_FUNCTION void lend_tick(void)
{
	lend_calls = lend_calls + 1;
}

static void call_work(long n)
{
	for (long i = 0; i < n; i++)
		lend_work(i);
}

static const void *address_of_work(void)
{
	return (const void *)(uintptr_t)lend_work;
}

static void attach(bpcond_client *client, bpcond_filter *filter, int event_fd)
{
	ck_assert_msg(bpcond_filter_attach(filter, event_fd) == 0, "%s",
		      bpcond_client_error(client)->message);
}

/* What the filter has counted, in full. */
static void expect_counts(const bpcond_filter *filter, uint64_t evaluated, uint64_t hits,
			  uint64_t withheld, uint64_t faults)
{
	struct bpcond_counters counters;

	bpcond_filter_counters(filter, &counters);
	ck_assert_uint_eq(counters.evaluated, evaluated);
	ck_assert_uint_eq(counters.hits, hits);
	ck_assert_uint_eq(counters.withheld, withheld);
	ck_assert_uint_eq(counters.rejected, evaluated - hits - withheld);
	ck_assert_uint_eq(counters.faults, faults);
	ck_assert_uint_eq(counters.unsignalled, 0);
}

/* ---- Signals --------------------------------------------------------------------------------- */

enum {
	MAX_SEEN = 2048,
};

static struct {
	volatile unsigned n;
	uint64_t pc[MAX_SEEN], argument[MAX_SEEN];
	pid_t tid[MAX_SEEN];
	siginfo_t info[MAX_SEEN];
} seen;

static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *state = context;
	unsigned i = __atomic_fetch_add(&seen.n, 1, __ATOMIC_RELAXED);

	if (i >= MAX_SEEN)
		return;
	seen.pc[i] = CONTEXT_PC(state);
	seen.argument[i] = CONTEXT_ARG1(state);
	seen.tid[i] = (pid_t)syscall(SYS_gettid);
	seen.info[i] = *info;
}

static void catch_signal(int number)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

	ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

/* ---- Test cases ------------------------------------------------------------------------------ */

START_TEST(parameters_and_counters)
{
	if (bus_signals_are_refused())
		return;

	/* not in the order of their names, in which the values lie */
	const bpcond_parameter parameters[] = {{"wanted", 5}, {"beyond", -1}, {"Before", 77}};
	const bpcond_filter_options options = {
		.size = sizeof(options), .parameters = parameters, .n_parameters = 3};
	bpcond_client *client = lending_connect();
	bpcond_filter *filter = lending_lend(client, RDI_IS_WANTED, &options);
	int event_fd = own_breakpoint(0, address_of_work());
	volatile int64_t *wanted = bpcond_filter_parameter(filter, "wanted");
	sd_bus *bus = bus_connect();

	/* On arm64 the instruction would trap again behind the handler, for ever. */
	if (MACHINE_X86) {
		catch_signal(SIGUSR1);
		own_event_signal(event_fd, getpid(), SIGUSR1);
	}
	attach(client, filter, event_fd);
	ck_assert_int_eq(bpcond_filter_attach(filter, event_fd), -EEXIST);
	own_event_enable(event_fd);
	ck_assert_int_eq(*wanted, 5);
	ck_assert_int_eq(*bpcond_filter_parameter(filter, "beyond"), -1);
	ck_assert(bpcond_filter_parameter(filter, "Before") == wanted - 2);
	ck_assert_int_eq(wanted[-2], 77);
	ck_assert(bpcond_filter_parameter(filter, "absent") == NULL);
	ck_assert_int_eq(bpcond_filter_set_parameter(filter, "absent", 1), -ENOENT);

	call_work(100);
	expect_counts(filter, 100, 1, 0, 0);
	*wanted = 7;
	call_work(100);
	ck_assert_int_eq(bpcond_filter_set_parameter(filter, "wanted", 1000), 0);
	call_work(100);
	expect_counts(filter, 300, 2, 0, 0);
	ck_assert_uint_eq(own_event_count(event_fd), 300);
	ck_assert_uint_eq(seen.n, MACHINE_X86 ? 2 : 0);
	for (unsigned i = 0; i < seen.n; i++) {
		ck_assert_uint_eq(seen.pc[i], (uintptr_t)lend_work);
		ck_assert_uint_eq(seen.argument[i], i == 0 ? 5 : 7);
		ck_assert_int_eq(seen.info[i].si_fd, event_fd);
	}

	/* the same by the bus, also to another connection of this user */
	ck_assert_uint_eq(
		bus_number(bus, bpcond_filter_path(filter), FILTER_INTERFACE, "Evaluated"), 300);
	ck_assert_uint_eq(bus_number(bus, bpcond_filter_path(filter), FILTER_INTERFACE, "Hits"), 2);
	ck_assert_uint_eq(bus_number(bus, bpcond_filter_path(filter), FILTER_INTERFACE, "Rejected"),
			  298);
	ck_assert_uint_eq(bus_number(bus, bpcond_filter_path(filter), FILTER_INTERFACE, "Withheld"),
			  0);
	ck_assert_uint_eq(
		bus_number(bus, bpcond_filter_path(filter), FILTER_INTERFACE, "Unsignalled"), 0);
	sd_bus_flush_close_unref(bus);
	bpcond_client_free(client);
	close(event_fd);
}
END_TEST

/* A thread with an event of its own, which the kernel turns into a synchronous SIGTRAP. */
static void *trapped_thread(void *userdata)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = 4, /* HW_BREAKPOINT_X */
		.bp_addr = (uintptr_t)lend_work,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};
	bpcond_filter *filter = userdata;
	int event_fd;

	attr.sig_data = (uint64_t)syscall(SYS_gettid);
	event_fd = own_event(&attr, 0, -1);
	ck_assert_int_eq(ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, bpcond_filter_program(filter)), 0);
	own_event_enable(event_fd);
	call_work(300);
	close(event_fd);
	return NULL;
}

START_TEST(sigtrap_stops_exactly_at_the_accepted)
{
	if (bus_signals_are_refused())
		return;

	bpcond_client *client = lending_connect();
	bpcond_filter *filter =
		lending_lend(client, "{\"==\":[{\"%\":[{\"reg\":\"" ARG1 "\"},3]},0]}", NULL);
	pthread_t threads[N_THREADS];

	catch_signal(SIGTRAP);
	for (unsigned i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, trapped_thread, filter), 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	expect_counts(filter, 300 * N_THREADS, 100 * N_THREADS, 0, 0);
	ck_assert_uint_eq(seen.n, 100 * N_THREADS);
	for (unsigned i = 0; i < seen.n; i++) {
		ck_assert_uint_eq(seen.pc[i], (uintptr_t)lend_work);
		ck_assert_uint_eq(seen.argument[i] % 3, 0);
		ck_assert_int_eq(seen.info[i].si_code, 6 /* TRAP_PERF */);
		ck_assert_ptr_eq(seen.info[i].si_addr, address_of_work());
#ifdef si_perf_data
		ck_assert_uint_eq(seen.info[i].si_perf_data, (uint64_t)seen.tid[i]);
#endif
	}
	bpcond_client_free(client);
}
END_TEST

static void *work_once(void *userdata)
{
	int event_fd = own_breakpoint(0, address_of_work());

	ck_assert_int_eq(ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, bpcond_filter_program(userdata)),
			 0);
	own_event_enable(event_fd);
	call_work(1);
	close(event_fd);
	return NULL;
}

/* As a replayer counts ticks: all else equal, this is the 26th. */
START_TEST(counter_is_the_borrowers_event)
{
	if (bus_signals_are_refused())
		return;

	const bpcond_filter_options options = {
		.size = sizeof(options), .fault_is_rejection = 1, .hits_bytes = 65536};
	bpcond_client *client = lending_connect();
	bpcond_filter *filter =
		lending_lend(client, "{\"==\":[{\"var\":\"counter\"},26]}", &options);
	bpcond_filter *without = lending_lend(client, RDI_IS_EVEN, NULL);
	struct perf_event_attr inherited = {.type = PERF_TYPE_SOFTWARE,
					    .config = PERF_COUNT_SW_TASK_CLOCK,
					    .inherit = 1,
					    .exclude_kernel = 1};
	struct perf_event_attr clock = {.type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.exclude_kernel = 1};
	int tick_fd = own_breakpoint(0, (const void *)(uintptr_t)lend_tick);
	int event_fd = own_breakpoint(0, address_of_work()), inherited_fd, clock_fd;
	const struct bpcond_hit *hit;
	pthread_t thread;

	attach(client, filter, event_fd);
	own_event_enable(event_fd);
	own_event_enable(tick_fd);
	lend_tick();
	call_work(1);
	/* no counter yet */
	expect_counts(filter, 1, 0, 0, 1);

	ck_assert_int_eq(bpcond_filter_set_counter(filter, tick_fd), 0);
	for (unsigned i = 0; i < 40; i++) {
		call_work(1);
		expect_counts(filter, 2 + i, i >= 25 ? 1 : 0, 0, 1);
		lend_tick();
	}
	/* on another thread it is a fault, whose value nobody learns */
	ck_assert_int_eq(pthread_create(&thread, NULL, work_once, filter), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	expect_counts(filter, 42, 1, 0, 2);
	ck_assert_int_eq(bpcond_filter_wait(filter, 0, &hit), 1);
	ck_assert_uint_eq(hit->flags, 0);

	/* another event in its place, and its descriptor closed: a count of nanoseconds is not 26 */
	clock_fd = own_event(&clock, 0, -1);
	own_event_enable(clock_fd);
	ck_assert_int_eq(bpcond_filter_set_counter(filter, clock_fd), 0);
	close(clock_fd);
	call_work(1);
	expect_counts(filter, 43, 1, 0, 2);

	inherited_fd = own_event(&inherited, 0, -1);
	ck_assert_int_lt(bpcond_filter_set_counter(filter, inherited_fd), 0);
	ck_assert_int_lt(bpcond_filter_set_counter(filter, STDIN_FILENO), 0);
	ck_assert_int_eq(bpcond_filter_set_counter(without, tick_fd), -ENOENT);
	bpcond_client_free(client);
	close(inherited_fd);
	close(event_fd);
	close(tick_fd);
}
END_TEST

START_TEST(hits_come_by_the_ring)
{
	const bpcond_filter_options options = {
		.size = sizeof(options),
		.hits_bytes = 65536,
		.capture = "{\"registers\":[\"" ARG1 "\",\"" PC "\"],\"stack\":4,"
			   "\"memory\":[{\"at\":{\"reg\":\"" PC "\"},\"length\":8}]}",
		.skip = 2,
		.every = 3,
		.limit = 4,
	};
	bpcond_client *client = lending_connect();
	bpcond_filter *filter = lending_lend(client, RDI_IS_EVEN, &options);
	struct pollfd poll_fd = {.fd = bpcond_filter_fd(filter), .events = POLLIN};
	int event_fd = own_breakpoint(0, address_of_work());
	const struct bpcond_hit *hit;
	const uint64_t *stack;
	bpcond_piece piece;
	uint64_t value;

	attach(client, filter, event_fd);
	own_event_enable(event_fd);
	while (poll(&poll_fd, 1, 0) > 0)
		ck_assert_int_eq(bpcond_filter_wait(filter, 0, &hit), 0);
	call_work(100);
	own_event_disable(event_fd);
	expect_counts(filter, 100, 4, 46, 0);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(poll(&poll_fd, 1, 1000), 1);
		ck_assert_int_eq(bpcond_filter_wait(filter, 1000, &hit), 1);
		ck_assert_uint_eq(hit->breakpoint, bpcond_filter_number(filter));
		ck_assert_uint_eq(hit->sequence, i);
		ck_assert_uint_eq(hit->pid, (uint32_t)getpid());
		ck_assert_uint_eq(hit->tid, (uint32_t)syscall(SYS_gettid));
		ck_assert_uint_eq(hit->address, (uintptr_t)lend_work);
		ck_assert_uint_eq(hit->flags, 0);
		ck_assert_int_eq(bpcond_hit_register(hit, REG_ARG1, &value), 0);
		ck_assert_uint_eq(value, 2 * (2 + 3 * i));
		ck_assert_int_eq(bpcond_hit_register(hit, BPCOND_REG_PC, &value), 0);
		ck_assert_uint_eq(value, (uintptr_t)lend_work);
		ck_assert_int_eq(bpcond_hit_memory(hit, 0, &piece), 0);
		ck_assert_uint_eq(piece.read, 8);
		ck_assert_mem_eq(piece.bytes, address_of_work(), 8);
		ck_assert_uint_ge(bpcond_hit_stack(hit, &stack), 1);
		ck_assert_uint_eq(stack[0], (uintptr_t)lend_work);
	}
	ck_assert_int_eq(bpcond_filter_wait(filter, 50, &hit), 0);
	ck_assert_int_eq(bpcond_filter_return(filter), 0);
	ck_assert_int_eq(bpcond_filter_wait(filter, -1, &hit), -ESHUTDOWN);
	bpcond_client_free(client);
	close(event_fd);
}
END_TEST

/* ---- only-when-traced ------------------------------------------------------------------------ */

typedef struct Worker {
	pid_t pid;
	int in_fd, out_fd;
} Worker;

/* A child that calls lend_work ten times for each byte that it reads. */
static Worker start_worker(void)
{
	int in[2], out[2];
	Worker worker;
	char byte;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	worker.pid = fork();
	ck_assert_int_ge(worker.pid, 0);
	if (worker.pid == 0) {
		close(in[1]);
		while (read(in[0], &byte, 1) == 1) {
			call_work(10);
			if (write(out[1], &byte, 1) != 1)
				break;
		}
		_exit(0);
	}
	close(in[0]);
	close(out[1]);
	worker.in_fd = in[1];
	worker.out_fd = out[0];
	return worker;
}

static void worker_calls(const Worker *worker)
{
	char byte = 'c';

	ck_assert_int_eq(write(worker->in_fd, &byte, 1), 1);
	ck_assert_int_eq(read(worker->out_fd, &byte, 1), 1);
}

START_TEST(only_when_traced)
{
	if (bus_signals_are_refused())
		return;

	const bpcond_filter_options options = {.size = sizeof(options), .only_when_traced = 1};
	bpcond_client *client = lending_connect();
	bpcond_filter *filter = lending_lend(client, "1", &options);
	bpcond_filter *always = lending_lend(client, "1", NULL);
	Worker worker = start_worker();
	int event_fd = own_breakpoint(worker.pid, address_of_work());
	int always_fd = own_breakpoint(worker.pid, address_of_work());

	attach(client, filter, event_fd);
	attach(client, always, always_fd);
	own_event_enable(event_fd);
	own_event_enable(always_fd);
	worker_calls(&worker);
	expect_counts(filter, 10, 0, 10, 0);

	ck_assert_int_eq(ptrace(PTRACE_SEIZE, worker.pid, NULL, NULL), 0);
	worker_calls(&worker);
	expect_counts(filter, 20, 10, 10, 0);

	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, worker.pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(worker.pid, NULL, 0), worker.pid);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, worker.pid, NULL, NULL), 0);
	worker_calls(&worker);
	expect_counts(filter, 30, 10, 20, 0);
	expect_counts(always, 30, 30, 0, 0);

	close(worker.in_fd);
	ck_assert_int_eq(waitpid(worker.pid, NULL, 0), worker.pid);
	bpcond_client_free(client);
}
END_TEST

/* ---- The example ----------------------------------------------------------------------------- */

START_TEST(ten_thousand_arms)
{
	if (bus_signals_are_refused())
		return;

	Command command;

	command_start(&command,
		      (const char *[]){integration_program("examples/own-events"), "10000", NULL});
	ck_assert_int_eq(command_finish(&command), 0);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDOUT, "10000 arms"), 1);
	ck_assert_uint_eq(command_count(&command, COMMAND_STDOUT, " us an arm"), 1);
	command_end(&command);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("lend");

	integration_add(suite, "parameters and counters are memory", parameters_and_counters);
	if (MACHINE_X86)
		integration_add(suite, "SIGTRAP stops at exactly the accepted traps",
				sigtrap_stops_exactly_at_the_accepted);
	integration_add(suite, "`counter` is the borrower's event", counter_is_the_borrowers_event);
	integration_add(suite, "hits come by the ring", hits_come_by_the_ring);
	integration_add(suite, "nothing is a hit unless traced", only_when_traced);
	if (MACHINE_X86)
		integration_add(suite, "an own event is moved and armed 10,000 times",
				ten_thousand_arms);
	return integration_run(suite, argc, argv);
}
