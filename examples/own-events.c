/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A debugger that opens its breakpoint event itself, as a record-and-replay debugger does, and borrows
 * only the filter: it wants to stop a thread at a given instruction, but in one particular state of all
 * its registers, thousands of times.
 *
 *	own-events [ARMS]
 *
 * The thread runs a loop with four sites. Each arm names a site and the sixteen general registers that
 * the thread will have there a few rounds later, and costs no call to anyone but the kernel: sixteen
 * stores into the filter's parameters, PERF_EVENT_IOC_MODIFY_ATTRIBUTES to move the event, enable. What
 * the filter rejects the thread does not feel; what it accepts comes as a signal by F_SETSIG, to that
 * thread (F_SETOWN_EX), before the instruction.
 *
 * Exit status: 0 when every arm's signal came exactly once, at its site, with its registers, and the
 * filter judged exactly as many traps as the loop makes; 1 when not; 2 when it cannot run.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* F_SETSIG, F_SETOWN_EX */
#endif
#include <bpcond/bpcond.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SITES = 4,
	REGISTERS = 16,
	DEFAULT_ARMS = 10000,
	LONGEST_WAIT = 4, /* rounds from one arm to the next */
	SIGNAL = SIGURG,  /* ignored where nobody traces */
};

/*
 * The loop, entered with our own id in rdi. It stops itself once, so that its stack can be seen, and then
 * goes round: in round N, from 1 on, every register but rsp, rbp and r14 is N and a number of its own;
 * r14 is the site.
 */
void replay_loop(long pid);
extern const char replay_site_0[], replay_site_1[], replay_site_2[], replay_site_3[];

__asm__(".text\n"
	".globl replay_loop\n"
	".type replay_loop, @function\n"
	"replay_loop:\n"
	"	mov $62, %eax\n" /* kill(pid, SIGSTOP) */
	"	mov $19, %esi\n"
	"	syscall\n"
	"	xor %r15d, %r15d\n"
	"1:	inc %r15\n"
	"	lea 1(%r15), %rax\n"
	"	lea 2(%r15), %rbx\n"
	"	lea 3(%r15), %rcx\n"
	"	lea 4(%r15), %rdx\n"
	"	lea 5(%r15), %rsi\n"
	"	lea 6(%r15), %rdi\n"
	"	lea 7(%r15), %r8\n"
	"	lea 8(%r15), %r9\n"
	"	lea 9(%r15), %r10\n"
	"	lea 10(%r15), %r11\n"
	"	lea 11(%r15), %r12\n"
	"	lea 12(%r15), %r13\n"
	"	mov $0, %r14d\n"
	"replay_site_0:\n"
	"	mov $1, %r14d\n"
	"replay_site_1:\n"
	"	mov $2, %r14d\n"
	"replay_site_2:\n"
	"	mov $3, %r14d\n"
	"replay_site_3:\n"
	"	jmp 1b\n"
	".size replay_loop, . - replay_loop\n");

/* The registers in the byte order of their names, in which parameters lie; and what round N adds to. */
static const struct {
	const char *name;
	size_t offset;
	int64_t plus;
} registers[REGISTERS] = {
	{"r10", offsetof(struct user_regs_struct, r10), 9},
	{"r11", offsetof(struct user_regs_struct, r11), 10},
	{"r12", offsetof(struct user_regs_struct, r12), 11},
	{"r13", offsetof(struct user_regs_struct, r13), 12},
	{"r14", offsetof(struct user_regs_struct, r14), 0},
	{"r15", offsetof(struct user_regs_struct, r15), 0},
	{"r8", offsetof(struct user_regs_struct, r8), 7},
	{"r9", offsetof(struct user_regs_struct, r9), 8},
	{"rax", offsetof(struct user_regs_struct, rax), 1},
	{"rbp", offsetof(struct user_regs_struct, rbp), 0},
	{"rbx", offsetof(struct user_regs_struct, rbx), 2},
	{"rcx", offsetof(struct user_regs_struct, rcx), 3},
	{"rdi", offsetof(struct user_regs_struct, rdi), 6},
	{"rdx", offsetof(struct user_regs_struct, rdx), 4},
	{"rsi", offsetof(struct user_regs_struct, rsi), 5},
	{"rsp", offsetof(struct user_regs_struct, rsp), 0},
};

static const char *const sites[SITES] = {
	replay_site_0,
	replay_site_1,
	replay_site_2,
	replay_site_3,
};

typedef struct Replay {
	bpcond_client *client;
	bpcond_filter *filter;
	volatile int64_t *parameters; /* in the order of `registers` */
	pid_t pid;
	struct user_regs_struct stopped; /* at its stop before the loop */
	struct perf_event_attr attr;
	int event_fd;
	/* Where the thread stands, and how often the filter must have been asked. */
	int64_t round;
	unsigned site;
	uint64_t evaluated;
} Replay;

static uint64_t register_of(const struct user_regs_struct *regs, size_t index)
{
	uint64_t value;

	memcpy(&value, (const char *)regs + registers[index].offset, sizeof(value));
	return value;
}

/* What the register holds at a site in a round. */
static int64_t expected_register(const Replay *replay, size_t index, int64_t round, unsigned site)
{
	const char *name = registers[index].name;

	if (strcmp(name, "rsp") == 0 || strcmp(name, "rbp") == 0)
		return (int64_t)register_of(&replay->stopped, index);
	if (strcmp(name, "r14") == 0)
		return site;
	return round + registers[index].plus;
}

/* Starts the thread to be replayed. Return: 0 with it stopped before the loop; a negative errno. */
static int start_thread(Replay *replay)
{
	int status;

	replay->pid = fork();
	if (replay->pid < 0)
		return -errno;
	if (replay->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		replay_loop(getpid());
	}
	if (waitpid(replay->pid, &status, 0) < 0)
		return -errno;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
		return -ECHILD;
	if (ptrace(PTRACE_GETREGS, replay->pid, NULL, &replay->stopped) < 0)
		return -errno;
	return 0;
}

/* Borrows the filter: all sixteen registers at once, each against the parameter of its name. */
static int borrow_filter(Replay *replay)
{
	bpcond_filter_options options = {.size = sizeof(options), .only_when_traced = 1};
	bpcond_parameter parameters[REGISTERS];
	char condition[1024] = "{\"registers\":{";
	int r;

	for (size_t i = 0; i < REGISTERS; i++) {
		size_t length = strlen(condition);

		parameters[i] = (bpcond_parameter){.name = registers[i].name};
		snprintf(condition + length, sizeof(condition) - length,
			 "%s\"%s\":{\"param\":\"%s\"}", i > 0 ? "," : "", registers[i].name,
			 registers[i].name);
	}
	strcat(condition, "}}");
	options.parameters = parameters;
	options.n_parameters = REGISTERS;
	r = bpcond_filter_lend(replay->client, condition, &options, &replay->filter);
	if (r < 0)
		return r;
	replay->parameters = bpcond_filter_parameter(replay->filter, registers[0].name);
	return 0;
}

/* The event is ours: nobody else could have its signal sent, or move it. */
static int open_event(Replay *replay)
{
	struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = replay->pid};

	replay->attr = (struct perf_event_attr){
		.size = sizeof(replay->attr),
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = (uintptr_t)sites[0],
		.bp_len = sizeof(long),
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	replay->event_fd = (int)syscall(SYS_perf_event_open, &replay->attr, replay->pid, -1, -1,
					PERF_FLAG_FD_CLOEXEC);
	if (replay->event_fd < 0)
		return -errno;
	if (fcntl(replay->event_fd, F_SETOWN_EX, &owner) < 0 ||
	    fcntl(replay->event_fd, F_SETSIG, SIGNAL) < 0 ||
	    fcntl(replay->event_fd, F_SETFL, O_ASYNC) < 0)
		return -errno;
	return bpcond_filter_attach(replay->filter, replay->event_fd);
}

/* Wants the thread at a site in a round. */
static int arm(Replay *replay, int64_t round, unsigned site)
{
	for (size_t i = 0; i < REGISTERS; i++)
		replay->parameters[i] = expected_register(replay, i, round, site);
	replay->attr.bp_addr = (uintptr_t)sites[site];
	if (ioctl(replay->event_fd, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &replay->attr) < 0 ||
	    ioctl(replay->event_fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	/* It stands before the instruction of its present site, and goes on with that one. */
	replay->evaluated += (uint64_t)(round - replay->round) + (site > replay->site);
	replay->round = round;
	replay->site = site;
	return 0;
}

static int complain(const Replay *replay, const char *what, uint64_t is, uint64_t wanted)
{
	fprintf(stderr, "round %" PRId64 ", site %u: %s is 0x%" PRIx64 ", not 0x%" PRIx64 "\n",
		replay->round, replay->site, what, is, wanted);
	return 1;
}

/* Whether the thread stopped by the event's signal where it was to. Return: 0; 1 when not, told; a
 * negative errno. */
static int check_stop(const Replay *replay, int status)
{
	struct user_regs_struct regs;
	siginfo_t info;

	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGNAL)
		return complain(replay, "the thread's status", (uint64_t)status,
				SIGNAL << 8 | 0x7f);
	if (ptrace(PTRACE_GETSIGINFO, replay->pid, NULL, &info) < 0 ||
	    ptrace(PTRACE_GETREGS, replay->pid, NULL, &regs) < 0)
		return -errno;
	if (info.si_fd != replay->event_fd)
		return complain(replay, "si_fd", (uint64_t)info.si_fd, (uint64_t)replay->event_fd);
	if (regs.rip != (uintptr_t)sites[replay->site])
		return complain(replay, "rip", regs.rip, (uintptr_t)sites[replay->site]);
	for (size_t i = 0; i < REGISTERS; i++) {
		uint64_t is = register_of(&regs, i), wanted = (uint64_t)replay->parameters[i];

		if (is != wanted)
			return complain(replay, registers[i].name, is, wanted);
	}
	return 0;
}

/* Return: as check_stop. */
static int run_arms(Replay *replay, unsigned arms)
{
	int status, r;

	for (unsigned i = 0; i < arms; i++) {
		r = arm(replay, replay->round + 1 + i % LONGEST_WAIT, (i * 7 + i / SITES) % SITES);
		if (r < 0)
			return r;
		if (ptrace(PTRACE_CONT, replay->pid, NULL, NULL) < 0)
			return -errno;
		if (waitpid(replay->pid, &status, 0) < 0)
			return -errno;
		r = check_stop(replay, status);
		if (r != 0)
			return r;
		if (ioctl(replay->event_fd, PERF_EVENT_IOC_DISABLE, 0) < 0)
			return -errno;
	}
	return 0;
}

/* The kernel's own tally against what the loop must have done. */
static int check_counts(const Replay *replay, unsigned arms)
{
	struct bpcond_counters counters;
	uint64_t traps;

	if (read(replay->event_fd, &traps, sizeof(traps)) != sizeof(traps))
		return -errno;
	bpcond_filter_counters(replay->filter, &counters);
	if (traps != counters.evaluated)
		return complain(replay, "the event's count", traps, counters.evaluated);
	if (counters.evaluated != replay->evaluated)
		return complain(replay, "evaluated", counters.evaluated, replay->evaluated);
	if (counters.hits != arms)
		return complain(replay, "hits", counters.hits, arms);
	return 0;
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int replay_arms(Replay *replay, unsigned arms)
{
	double began;
	int r;

	r = bpcond_client_connect(replay->client, NULL);
	if (r >= 0)
		r = borrow_filter(replay);
	if (r < 0)
		return r;
	r = start_thread(replay);
	if (r < 0)
		return r;
	r = open_event(replay);
	if (r < 0)
		return r;

	began = now_us();
	r = run_arms(replay, arms);
	if (r == 0)
		r = check_counts(replay, arms);
	if (r == 0)
		printf("%u arms, each with one signal where it was to come; %" PRIu64
		       " traps rejected unseen; %.1f us an arm\n",
		       arms, replay->evaluated - arms, (now_us() - began) / arms);
	return r;
}

int main(int argc, char **argv)
{
	Replay replay = {.event_fd = -EBADF};
	unsigned arms = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : DEFAULT_ARMS;
	const bpcond_error *error;
	int r;

	if (argc > 2 || arms == 0) {
		fprintf(stderr, "usage: %s [ARMS]\n", argv[0]);
		return 2;
	}
	if (bpcond_client_new(&replay.client) < 0)
		return 2;
	r = replay_arms(&replay, arms);
	error = bpcond_client_error(replay.client);
	if (r < 0)
		fprintf(stderr, "%s\n", error->number == r ? error->message : strerror(-r));
	if (replay.pid > 0) {
		kill(replay.pid, SIGKILL);
		waitpid(replay.pid, NULL, 0);
	}
	if (replay.event_fd >= 0)
		close(replay.event_fd);
	bpcond_client_free(replay.client);
	return r < 0 ? 2 : r;
}
