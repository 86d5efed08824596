/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client keeps of what he has closed, where nobody sees it: it stays counted as his for as long as
 * the kernel has it, and gives him no hit more.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpcond/hit.h>

#include "tests/attack/attack.h"
#include "tests/support/hits.h"
#include "tests/support/own_events.h"
#include "tests/support/target.h"
#include "tests/support/uring.h"

enum {
	PAGE = 4096,
	RINGS = 16, /* of the default size in 4 MiB */
};

/* Nothing more is to be had: at once, and not only by what was had since. */
static void expect_quota(sd_bus *bus, pid_t pid)
{
	BusSession session;

	attack_expect_refusal(attack_open(bus, pid, &session), "QuotaExceeded", NULL);
}

static void send_descriptor(int socket_fd, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (char[]){'x'}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(socket_fd, &message, 0), 1);
}

/* In no process's table: on their way through a socket; and in a child that only has it mapped. */
static void rings_kept_out_of_sight(void)
{
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;
	int pair[2];
	pid_t child;
	void *memory;

	target_start(&target, "loop", NULL, NULL);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bus_open_session(bus, target.pid, &session);
	bus_take_hits(&session);
	send_descriptor(pair[0], session.ring_fd);
	bus_close_session(&session);
	bus_open_session(bus, target.pid, &session);
	bus_take_hits(&session);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, session.ring_fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		close(session.ring_fd);
		pause();
		_exit(0);
	}
	munmap(memory, PAGE);
	bus_close_session(&session);
	expect_quota(bus, target.pid);
	attack_expect_others_served();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	bus_open_session(bus, target.pid, &session);
	close(pair[0]);
	close(pair[1]);
	bus_close_session(&session);
	target_kill(&target);
}

/* By a name in a BPF file system, where the administrator lets users write to one: as good as any. */
static void rings_kept_by_a_name(void)
{
	const char *path = "/sys/fs/bpf/bpcond-attack";
	sd_bus *bus = bus_connect();
	union bpf_attr attr;
	BusSession session;
	Target target;
	int r;

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_take_hits(&session);
	attr = (union bpf_attr){.pathname = (uintptr_t)path, .bpf_fd = (uint32_t)session.ring_fd};
	r = (int)syscall(SYS_bpf, BPF_OBJ_PIN, &attr, sizeof(attr));
	bus_close_session(&session);
	if (r < 0)
		/* then it is gone with its descriptor */
		ck_assert_ptr_null(attack_open(bus, target.pid, &session));
	else
		expect_quota(bus, target.pid);
	unlink(path);
	target_kill(&target);
}

/* Opened, taken and closed for as long as there is anything to be had. */
static void rings_in_a_row(void)
{
	sd_bus *bus = bus_connect();
	long kept = 0;
	BusSession session;
	Target target;
	int n;

	target_start(&target, "loop", NULL, NULL);
	for (n = 0; n < 1000 && attack_open(bus, target.pid, &session) == NULL; n++) {
		bus_take_hits(&session);
		session.ring_fd = -EBADF; /* kept */
		bus_close_session(&session);
		kept++;
	}
	/* a quota of them, and as many that were being freed */
	ck_assert_int_ge(kept, RINGS);
	ck_assert_int_le(kept, 2 * RINGS);
	expect_quota(bus, target.pid);
	attack_expect_others_served();
	target_kill(&target);
}

/* Ring, counters and event as registered files of io_uring, and taken out again when all is closed. */
static void kept_by_io_uring(void)
{
	struct bpcond_counters before, after;
	BusBreakpoint breakpoint;
	sd_bus *bus = bus_connect();
	BusSession session;
	Target target;
	Uring uring;
	Hits *hits;
	int fds[3];

	target_start(&target, "loop", NULL, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_take_hits(&session);
	bus_add(&session, &breakpoint, "{'address':'0x%lx','events':true}",
		target_address_of(&target, "loop_work"));
	fds[0] = session.ring_fd;
	fds[1] = breakpoint.counters_fd;
	fds[2] = bus_take_event(&breakpoint);
	if (!uring_keep(fds, 3, &uring))
		test_skip("this user may not use io_uring");
	ck_assert_int_eq(target_ask(&target, "called", "call 10"), 10);
	close(fds[2]);
	bus_breakpoint_close(&breakpoint);
	bus_close_session(&session);
	expect_quota(bus, target.pid);
	attack_expect_others_served();

	for (unsigned i = 0; i < 3; i++)
		fds[i] = uring_take(&uring, i);
	if (fds[0] == -EINVAL) {
		uring_close(&uring);
		target_kill(&target);
		return;
	}
	hits = hits_new(fds[0], NULL, NULL);
	ck_assert_uint_eq(hits_read(hits), 10);
	hits_counters(fds[1], &before);
	own_event_enable(fds[2]);
	ck_assert_int_eq(target_ask(&target, "called", "call 10"), 10);
	hits_counters(fds[1], &after);
	ck_assert_uint_eq(after.evaluated, before.evaluated);
	ck_assert_uint_eq(hits_read(hits), 10);
	hits_free(hits);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	expect_quota(bus, target.pid);
	uring_close(&uring);
	target_kill(&target);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"rings kept out of sight", rings_kept_out_of_sight, "sessions=2\n"},
		{"rings kept by a name", rings_kept_by_a_name, "sessions=1\n"},
		{"rings kept in a row", rings_in_a_row, "ring-bytes=4M\n"},
		{"ring, counters and event kept by io_uring", kept_by_io_uring, "sessions=1\n"},
	};

	return attack_run("attack-kept", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
