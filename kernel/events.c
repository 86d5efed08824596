/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/hw_breakpoint.h>

#include "kernel/events.h"

/* For a signal that is still on its way: the kernel sends it by an interrupt to the same CPU. */
#define LATE_NSEC 10000000

#ifndef TRAP_PERF
#define TRAP_PERF 6
#endif

/* No page is larger on the architectures that this runs on. */
#define PAGE_BYTES 65536

static void *page; /* mapped when first wanted, for good */
static volatile uint64_t watched __attribute__((aligned(8)));

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

#define INSTRUCTION(c, d, s, o, i) \
	((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MAX_INSTRUCTIONS 16

/* The program's text: see enum VerdictKind. Return: the number of instructions. */
static unsigned int write_program(VerdictKind kind, int signal, int map_fd, struct bpf_insn *to)
{
	struct bpf_insn *at = to;

	/* r6: what is shared */
	*at++ = INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_6, BPF_PSEUDO_MAP_VALUE, 0, map_fd);
	*at++ = INSTRUCTION(0, 0, 0, 0, 0);
	*at++ = INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1);
	*at++ = INSTRUCTION(BPF_STX | BPF_DW | BPF_ATOMIC, BPF_REG_6, BPF_REG_1,
			    offsetof(struct verdict, runs), BPF_ADD);
	if (kind == VERDICT_SIGNALS) {
		*at++ = INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, signal);
		*at++ = INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_send_signal_thread);
		*at++ = INSTRUCTION(BPF_STX | BPF_DW | BPF_MEM, BPF_REG_6, BPF_REG_0,
				    offsetof(struct verdict, sent), 0);
	} else if (kind == VERDICT_TASK) {
		*at++ = INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_task_btf);
	}
	*at++ = INSTRUCTION(BPF_LDX | BPF_DW | BPF_MEM, BPF_REG_0, BPF_REG_6,
			    offsetof(struct verdict, accept), 0);
	*at++ = INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return at - to;
}

static int new_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(struct verdict),
		.max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

static int load_program(VerdictKind kind, int signal, int map_fd)
{
	struct bpf_insn text[MAX_INSTRUCTIONS];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_PERF_EVENT,
		.insns = (uintptr_t)text,
		.license = (uintptr_t) "GPL",
	};

	attr.insn_cnt = write_program(kind, signal, map_fd, text);
	return bpf(BPF_PROG_LOAD, &attr);
}

int verdict_new(VerdictKind kind, int signal, Verdict *ret)
{
	Verdict verdict = VERDICT_NONE;
	void *shared;
	int r;

	verdict.map_fd = new_map();
	if (verdict.map_fd < 0)
		return verdict.map_fd;
	shared = mmap(NULL, sizeof(struct verdict), PROT_READ | PROT_WRITE, MAP_SHARED,
		      verdict.map_fd, 0);
	if (shared == MAP_FAILED) {
		r = -errno;
		verdict_clear(&verdict);
		return r;
	}
	verdict.shared = shared;
	verdict.program_fd = load_program(kind, signal, verdict.map_fd);
	if (verdict.program_fd < 0) {
		r = verdict.program_fd;
		verdict_clear(&verdict);
		return r;
	}
	*ret = verdict;
	return 0;
}

void verdict_clear(Verdict *verdict)
{
	if (verdict->shared)
		munmap(verdict->shared, sizeof(struct verdict));
	if (verdict->program_fd >= 0)
		close(verdict->program_fd);
	if (verdict->map_fd >= 0)
		close(verdict->map_fd);
	*verdict = VERDICT_NONE;
}

static __attribute__((noinline)) void stopped_at(void)
{
	__asm__ volatile("" ::: "memory");
}

void *trap_watched(void)
{
	return (void *)&watched;
}

struct perf_event_attr trap_attr(TrapKind kind)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	switch (kind) {
	case TRAP_EXECUTE:
		attr.bp_type = HW_BREAKPOINT_X;
		attr.bp_addr = (uintptr_t)stopped_at;
#ifdef __aarch64__
		attr.bp_len = 4;
#else
		attr.bp_len = sizeof(long);
#endif
		break;
	case TRAP_WRITE:
		attr.bp_type = HW_BREAKPOINT_W;
		attr.bp_addr = (uintptr_t)&watched;
		attr.bp_len = sizeof(watched);
		break;
	default:
		attr.type = PERF_TYPE_SOFTWARE;
		attr.config = PERF_COUNT_SW_PAGE_FAULTS;
		break;
	}
	return attr;
}

int trap_once(TrapKind kind)
{
	switch (kind) {
	case TRAP_EXECUTE:
		stopped_at();
		return 0;
	case TRAP_WRITE:
		watched = 1;
		return 0;
	default:
		if (!page) {
			void *memory = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (memory == MAP_FAILED)
				return -errno;
			page = memory;
		}
		if (madvise(page, PAGE_BYTES, MADV_DONTNEED) < 0)
			return -errno;
		*(volatile char *)page = 1;
		return 0;
	}
}

int event_open(const struct perf_event_attr *attr)
{
	long fd = syscall(SYS_perf_event_open, attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int event_open_filtered(const struct perf_event_attr *attr, const Verdict *verdict)
{
	int fd, r;

	fd = event_open(attr);
	if (fd < 0 || !verdict)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, verdict->program_fd) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int event_read(int fd, uint64_t *ret)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	if (n < 0)
		return -errno;
	/* The end of the file: it could not be put on the CPU. */
	if (n != sizeof(count))
		return -ENODATA;
	*ret = count;
	return 0;
}

int event_signal_me(int fd, int signal)
{
	const struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = syscall(SYS_gettid)};

	if (fcntl(fd, F_SETOWN_EX, &owner) < 0 || fcntl(fd, F_SETSIG, signal) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) < 0)
		return -errno;
	return 0;
}

unsigned int take_signals(int signal, unsigned int *ret_hangups)
{
	const struct timespec late = {.tv_nsec = LATE_NSEC};
	unsigned int n = 0, hangups = 0;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	for (;;) {
		int r = sigtimedwait(&set, &info, &late);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			break;
		n++;
		if (info.si_code == POLL_HUP)
			hangups++;
	}
	if (ret_hangups)
		*ret_hangups = hangups;
	return n;
}

static int caught_fd;
static volatile uint64_t *caught;

static void on_sigtrap(int signal, siginfo_t *info, void *context)
{
	int error = errno;

	if (info->si_code != TRAP_PERF)
		_exit(2);
	ioctl(caught_fd, PERF_EVENT_IOC_DISABLE, 0);
	__atomic_fetch_add(caught, 1, __ATOMIC_RELAXED);
	errno = error;
}

void sigtrap_catch(int fd, volatile uint64_t *count)
{
	const struct sigaction action = {.sa_sigaction = on_sigtrap, .sa_flags = SA_SIGINFO};

	caught_fd = fd;
	caught = count;
	sigaction(SIGTRAP, &action, NULL);
}
