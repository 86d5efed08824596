/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/hw_breakpoint.h>

#include "kernel/events.h"
#include "kernel/features.h"
#include "kernel/types.h"

#define TRAPS 8
/* After so long the child is ended: a kernel on which a trap never ends must not hold the caller up. */
#define GIVE_UP_MSEC 5000
/* More than any hardware has. */
#define MAX_SLOTS 64
/* A program's signal goes by a slot of the CPU, which can be busy: then it is tried again. */
#define SEND_TRIES 20

const FeatureName feature_names[N_FEATURE_NAMES] = {
	{"data-breakpoints", offsetof(Features, data_breakpoints)},
	{"suppress-sample", offsetof(Features, suppress_sample)},
	{"suppress-signal", offsetof(Features, suppress_signal)},
	{"suppress-sigtrap", offsetof(Features, suppress_sigtrap)},
	{"suppress-limit", offsetof(Features, suppress_limit)},
	{"inherit-thread", offsetof(Features, inherit_thread)},
	{"send-signal-thread", offsetof(Features, send_signal_thread)},
	{"kernel-accesses", offsetof(Features, kernel_accesses)},
	{"btf", offsetof(Features, btf)},
};

bool feature_get(const Features *features, const FeatureName *name)
{
	return *(const bool *)((const char *)features + name->offset);
}

static bool trap(TrapKind kind, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++)
		if (trap_once(kind) < 0)
			return false;
	return true;
}

/* Traps with the event on, then off. */
static bool trap_enabled(int fd, TrapKind kind, unsigned int times)
{
	return ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) == 0 && trap(kind, times) &&
	       ioctl(fd, PERF_EVENT_IOC_DISABLE, 0) == 0;
}

/* *taken: set where there is none, since all that there are have been taken. */
static uint32_t count_slots(TrapKind kind, bool *taken)
{
	const struct perf_event_attr attr = trap_attr(kind);
	int fds[MAX_SLOTS];
	uint32_t n = 0;

	while (n < MAX_SLOTS) {
		fds[n] = event_open(&attr);
		if (fds[n] < 0)
			break;
		n++;
	}
	if (n == 0 && fds[0] == -ENOSPC)
		*taken = true;
	for (uint32_t i = 0; i < n; i++)
		close(fds[i]);
	return n;
}

/* Each of these returns whether the kernel can: what fails is what it cannot. */

static bool try_breakpoint(TrapKind kind, Verdict *reject)
{
	const struct perf_event_attr attr = trap_attr(kind);
	uint64_t before, count = 0;
	bool works;
	int fd;

	fd = event_open_filtered(&attr, reject);
	if (fd < 0)
		return false;
	before = reject->shared->runs;
	works = trap_enabled(fd, kind, TRAPS) && event_read(fd, &count) == 0 && count == TRAPS &&
		reject->shared->runs - before == TRAPS;
	close(fd);
	return works;
}

/* Samples that TRAPS traps leave in the event's own ring. */
static bool count_samples(Verdict *verdict, bool accept, uint64_t *ret)
{
	struct perf_event_attr attr = trap_attr(TRAP_PAGE_FAULT);
	const size_t page_bytes = sysconf(_SC_PAGESIZE);
	struct perf_event_mmap_page *ring;
	bool works;
	int fd;

	attr.sample_type = PERF_SAMPLE_TID;
	verdict->shared->accept = accept;
	fd = event_open_filtered(&attr, verdict);
	if (fd < 0)
		return false;
	ring = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED) {
		close(fd);
		return false;
	}
	works = trap_enabled(fd, TRAP_PAGE_FAULT, TRAPS);
	/* Records of one size: a header, and a process and thread id. */
	*ret = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE) /
	       (sizeof(struct perf_event_header) + sizeof(uint64_t));
	munmap(ring, 2 * page_bytes);
	close(fd);
	return works;
}

static bool count_signals(Verdict *verdict, bool accept, uint64_t *ret)
{
	const struct perf_event_attr attr = trap_attr(TRAP_PAGE_FAULT);
	bool works;
	int fd;

	verdict->shared->accept = accept;
	fd = event_open_filtered(&attr, verdict);
	if (fd < 0)
		return false;
	works = event_signal_me(fd, SIGRTMIN) == 0 && trap_enabled(fd, TRAP_PAGE_FAULT, TRAPS);
	*ret = take_signals(SIGRTMIN, NULL);
	close(fd);
	return works;
}

static bool count_sigtraps(Verdict *verdict, bool accept, uint64_t *ret)
{
	struct perf_event_attr attr = trap_attr(TRAP_PAGE_FAULT);
	static volatile uint64_t caught;
	bool works = true;
	int fd;

	attr.sigtrap = 1;
	attr.remove_on_exec = 1;
	verdict->shared->accept = accept;
	fd = event_open_filtered(&attr, verdict);
	if (fd < 0)
		return false;
	caught = 0;
	sigtrap_catch(fd, &caught);
	/* The handler switches the event off: one trap at a time. */
	for (int i = 0; i < TRAPS && works; i++)
		works = trap_enabled(fd, TRAP_PAGE_FAULT, 1);
	close(fd);
	*ret = caught;
	return works;
}

/* Traps that an event counts which may overflow half as often. */
static bool count_limited(Verdict *verdict, bool accept, uint64_t *ret)
{
	const struct perf_event_attr attr = trap_attr(TRAP_PAGE_FAULT);
	bool works;
	int fd;

	verdict->shared->accept = accept;
	fd = event_open_filtered(&attr, verdict);
	if (fd < 0)
		return false;
	/* Refresh enables it. */
	works = ioctl(fd, PERF_EVENT_IOC_REFRESH, TRAPS / 2) == 0 && trap(TRAP_PAGE_FAULT, TRAPS) &&
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0) == 0 && event_read(fd, ret) == 0;
	close(fd);
	return works;
}

/* Whether rejected traps have no effect of a kind that accepted ones have. */
static bool try_suppression(bool (*count)(Verdict *verdict, bool accept, uint64_t *ret),
			    Verdict *verdict)
{
	uint64_t accepted = 0, rejected = 0;
	bool works;

	works = count(verdict, true, &accepted) && count(verdict, false, &rejected);
	verdict->shared->accept = 0;
	return works && accepted >= TRAPS && rejected == 0;
}

static bool try_limit(Verdict *verdict)
{
	uint64_t accepted = 0, rejected = 0;
	bool works;

	works = count_limited(verdict, true, &accepted) && count_limited(verdict, false, &rejected);
	verdict->shared->accept = 0;
	return works && accepted < TRAPS && rejected >= TRAPS;
}

static void *trap_in_thread(void *kind)
{
	trap(*(const TrapKind *)kind, TRAPS);
	return NULL;
}

static bool trap_in_process(TrapKind kind)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(trap(kind, TRAPS) ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool try_inherit_thread(TrapKind kind, Verdict *reject)
{
	struct perf_event_attr attr = trap_attr(kind);
	uint64_t before, of_thread = 0, count = 0;
	bool works = false;
	pthread_t thread;
	int fd;

	attr.inherit = 1;
	attr.inherit_thread = 1;
	fd = event_open_filtered(&attr, reject);
	if (fd < 0)
		return false;
	before = reject->shared->runs;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) == 0 &&
	    pthread_create(&thread, NULL, trap_in_thread, &kind) == 0) {
		pthread_join(thread, NULL);
		of_thread = reject->shared->runs - before;
		works = trap_in_process(kind) && event_read(fd, &count) == 0;
	}
	close(fd);
	/* A thread's start and end fault on pages of their own, and forking on those it shares. */
	if (kind == TRAP_PAGE_FAULT)
		return works && of_thread >= TRAPS;
	return works && of_thread == TRAPS && count == TRAPS;
}

static bool try_send_signal(void)
{
	const struct perf_event_attr attr = trap_attr(TRAP_PAGE_FAULT);
	Verdict sends = VERDICT_NONE;
	bool works = false;
	int fd;

	if (verdict_new(VERDICT_SIGNALS, SIGRTMIN, &sends) < 0)
		return false;
	fd = event_open_filtered(&attr, &sends);
	for (int i = 0; i < SEND_TRIES && fd >= 0 && !works; i++)
		works = trap_enabled(fd, TRAP_PAGE_FAULT, 1) && take_signals(SIGRTMIN, NULL) > 0;
	if (fd >= 0)
		close(fd);
	verdict_clear(&sends);
	return works;
}

static bool try_btf(void)
{
	Verdict task = VERDICT_NONE;

	if (!kernel_has_types())
		return false;
	if (verdict_new(VERDICT_TASK, 0, &task) < 0)
		return false;
	verdict_clear(&task);
	return true;
}

/* The kernel writes to the watched word, and nobody else. */
static bool try_kernel_accesses(Verdict *reject)
{
	struct perf_event_attr attr = trap_attr(TRAP_WRITE);
	const uint64_t word = 1;
	bool works = false;
	int fd, fds[2];
	uint64_t before;

	attr.exclude_kernel = 0;
	fd = event_open_filtered(&attr, reject);
	if (fd < 0)
		return false;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		close(fd);
		return false;
	}
	before = reject->shared->runs;
	if (write(fds[1], &word, sizeof(word)) == sizeof(word) &&
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) == 0)
		works = read(fds[0], trap_watched(), sizeof(word)) == sizeof(word) &&
			ioctl(fd, PERF_EVENT_IOC_DISABLE, 0) == 0 && reject->shared->runs > before;
	close(fds[0]);
	close(fds[1]);
	close(fd);
	return works;
}

int read_perf_event_paranoid(int *ret)
{
	int fd, r, paranoid;
	ssize_t length;
	char text[16], *end;

	fd = open("/proc/sys/kernel/perf_event_paranoid", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text) - 1);
	r = length < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	text[length] = '\0';
	paranoid = strtol(text, &end, 10);
	if (end == text)
		return -EBADMSG;
	*ret = paranoid;
	return 0;
}

/* All of it, in a process of its own. */
static void probe(Features *features)
{
	const struct perf_event_attr plain = trap_attr(TRAP_PAGE_FAULT);
	Verdict verdict = VERDICT_NONE;
	sigset_t sigtrap, later;
	uint32_t data_slots;
	TrapKind kind;
	int fd;

	sigemptyset(&sigtrap);
	sigaddset(&sigtrap, SIGTRAP);
	sigprocmask(SIG_UNBLOCK, &sigtrap, NULL);
	sigemptyset(&later);
	sigaddset(&later, SIGRTMIN);
	/* Sent instead of one that cannot be queued (RLIMIT_SIGPENDING); it would end us. */
	sigaddset(&later, SIGIO);
	sigprocmask(SIG_BLOCK, &later, NULL);

	features->perf_event_paranoid = 2;
	read_perf_event_paranoid(&features->perf_event_paranoid);

	features->bpf_error = verdict_new(VERDICT_PLAIN, 0, &verdict);
	if (features->bpf_error == 0)
		features->btf = try_btf();
	fd = event_open(&plain);
	if (fd < 0) {
		features->perf_error = fd;
		return;
	}
	close(fd);
	if (features->bpf_error < 0)
		return;

	/* So that what is touched for the first time now is not counted. */
	trap(TRAP_PAGE_FAULT, 2);
	features->hardware_slots = count_slots(TRAP_EXECUTE, &features->slots_taken);
	data_slots = count_slots(TRAP_WRITE, &features->slots_taken);
	if (data_slots < features->hardware_slots)
		features->hardware_slots = data_slots;
	features->data_breakpoints = try_breakpoint(TRAP_WRITE, &verdict);
	features->suppress_sample = try_suppression(count_samples, &verdict);
	features->suppress_signal = try_suppression(count_signals, &verdict);
	features->suppress_sigtrap = try_suppression(count_sigtraps, &verdict);
	features->suppress_limit = try_limit(&verdict);
	kind = features->data_breakpoints ? TRAP_WRITE : TRAP_PAGE_FAULT;
	features->inherit_thread = try_inherit_thread(kind, &verdict);
	features->send_signal_thread = try_send_signal();
	features->kernel_accesses = features->data_breakpoints && try_kernel_accesses(&verdict);
	verdict_clear(&verdict);
}

/* Waits for what the child found out. Return: 0 and *ret; -ETIMEDOUT, -EPROTO. */
static int receive(int fd, Features *ret)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	Features features;
	int r;

	do
		r = poll(&poll_fd, 1, GIVE_UP_MSEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	/* Written at once, and small: a pipe keeps it whole. */
	if (read(fd, &features, sizeof(features)) != sizeof(features))
		return -EPROTO;
	*ret = features;
	return 0;
}

int features_probe(Features *ret)
{
	pid_t pid, parent = getpid();
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid == 0) {
		Features features = {};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* Nothing of the caller's is held open meanwhile. */
		if (dup2(fds[1], STDIN_FILENO) < 0)
			_exit(1);
		syscall(SYS_close_range, STDIN_FILENO + 3, ~0U, 0);
		probe(&features);
		_exit(write(STDIN_FILENO, &features, sizeof(features)) == sizeof(features) ? 0 : 1);
	}
	close(fds[1]);
	r = receive(fds[0], ret);
	close(fds[0]);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
