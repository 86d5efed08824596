/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many sessions and lent filters of one user, each on a process of its own that traps all the time and
 * keeps its own tally; for tests in which the daemon comes and goes meanwhile.
 *
 * usage: streams SESSIONS LENT_FILTERS
 *
 * It says "ready", and answers each command line of stdin with one line:
 *   calls MS   calls of the daemon for so long, one after the other: how many, failed, the longest
 *   swap       the sessions' breakpoints are removed and added again
 *   numbers    the highest number of a session
 *   tally      all processes stand still; what they did, and what was heard of it
 *   quiet N    they do so much more; how many hits come of it
 * At the end of stdin it ends.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/targets/target.h"

enum {
	CALLS_A_TURN = 5,
	TURN_USEC = 20000,
	MAX_STREAMS = 128,
};

/* What a process does, shared with it. */
typedef struct Tally {
	atomic_uint acknowledged; /* of Control.pause */
	atomic_ulong calls, expected;
} Tally;

typedef struct Control {
	atomic_uint pause; /* counted up: even go, odd stand still */
	Tally tallies[MAX_STREAMS];
} Control;

typedef struct Stream {
	pid_t pid;
	bpcond_session *session;
	bpcond_breakpoint *breakpoint;
	bpcond_filter *filter;
	int event_fd; /* of a lent filter */
	uint64_t records;
	uint64_t calls_before, expected_before; /* its breakpoint was added */
	bool ended;
} Stream;

static Control *control;
static Stream streams[MAX_STREAMS];
static int n_streams, n_sessions;
static bpcond_client *client;
static char address[32];

void streams_work(long number);

static volatile long worked;

TARGET_FUNCTION void streams_work(long number)
{
	worked = worked + 1;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "streams: %s: %s\n", what, bpcond_client_error(client)->message);
	exit(1);
}

static _Noreturn void work(Tally *tally)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (long number = 0;;) {
		unsigned pause = atomic_load(&control->pause);

		if (pause & 1) {
			atomic_store(&tally->acknowledged, pause);
			usleep(1000);
			continue;
		}
		for (int i = 0; i < CALLS_A_TURN; i++, number++) {
			atomic_fetch_add(&tally->calls, 1);
			if (number % 10 == 3)
				atomic_fetch_add(&tally->expected, 1);
			streams_work(number);
		}
		usleep(TURN_USEC);
	}
}

static void stand_still(void)
{
	unsigned pause = atomic_fetch_add(&control->pause, 1) + 1;

	for (int i = 0; i < n_streams; i++)
		while (atomic_load(&control->tallies[i].acknowledged) != pause)
			usleep(1000);
}

static void go_on(void)
{
	atomic_fetch_add(&control->pause, 1);
}

static void read_hits(Stream *stream)
{
	const struct bpcond_hit *hit;
	int r = 0;

	while (!stream->ended) {
		r = stream->session ? bpcond_session_wait(stream->session, 0, &hit)
				    : bpcond_filter_wait(stream->filter, 0, &hit);
		if (r != 1)
			break;
		stream->records++;
	}
	if (r < 0) {
		fprintf(stderr, "streams: %s\n", bpcond_client_error(client)->message);
		stream->ended = true;
	}
}

static void arm(Stream *stream)
{
	bpcond_request request = {.size = sizeof(request),
				  .location = address,
				  .condition = "$rdi % 10 == 3",
				  .registers = "rdi"};
	Tally *tally = &control->tallies[stream - streams];

	stream->calls_before = atomic_load(&tally->calls);
	stream->expected_before = atomic_load(&tally->expected);
	if (bpcond_session_break(stream->session, &request, &stream->breakpoint) < 0)
		fail("cannot add a breakpoint");
}

static void open_session(Stream *stream)
{
	if (bpcond_session_open(client, stream->pid, NULL, &stream->session) < 0)
		fail("cannot open a session");
	arm(stream);
}

static void lend(Stream *stream)
{
	bpcond_filter_options options = {.size = sizeof(options), .hits_bytes = 65536};
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = (uintptr_t)streams_work,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	if (bpcond_filter_lend(client, "{\"==\": [{\"%\": [{\"reg\": \"rdi\"}, 10]}, 3]}", &options,
			       &stream->filter) < 0)
		fail("cannot borrow a filter");
	stream->event_fd =
		syscall(SYS_perf_event_open, &attr, stream->pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (stream->event_fd < 0 || bpcond_filter_attach(stream->filter, stream->event_fd) < 0 ||
	    ioctl(stream->event_fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		fprintf(stderr, "streams: cannot set an event: %s\n", strerror(errno));
		exit(1);
	}
}

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000) + now.tv_nsec / 1000;
}

static void make_calls(long ms)
{
	uint64_t end = now_usec() + ms * 1000, longest = 0, n = 0, failed = 0;

	while (now_usec() < end) {
		const Stream *stream = &streams[n % n_sessions];
		uint64_t before = now_usec(), took;
		bpcond_counts counts;

		if (bpcond_breakpoint_counts(stream->breakpoint, &counts) < 0) {
			fprintf(stderr, "streams: %s\n", bpcond_client_error(client)->message);
			failed++;
		}
		took = now_usec() - before;
		if (took > longest)
			longest = took;
		n++;
		usleep(500);
	}
	target_say("calls %" PRIu64 " failed %" PRIu64 " longest %" PRIu64 " us", n, failed,
		   longest);
}

static void swap(void)
{
	stand_still();
	for (int i = 0; i < n_sessions; i++) {
		read_hits(&streams[i]);
		if (bpcond_breakpoint_remove(streams[i].breakpoint) < 0)
			fail("cannot remove a breakpoint");
		arm(&streams[i]);
	}
	go_on();
	target_say("swapped");
}

static void tell_numbers(void)
{
	unsigned long highest = 0;

	for (int i = 0; i < n_sessions; i++) {
		const char *path = bpcond_session_path(streams[i].session);
		unsigned long number = strtoul(strrchr(path, '/') + 1, NULL, 10);

		if (number > highest)
			highest = number;
	}
	target_say("highest %lu", highest);
}

/* Of sessions all that the daemon says must agree with the processes' tally, of lent filters what the
 * kernel counted. */
static void tell_tally(void)
{
	uint64_t calls = 0, expected = 0, records = 0, lost = 0, dropped = 0, wrong = 0, ended = 0;

	stand_still();
	for (int i = 0; i < n_streams; i++) {
		Tally *tally = &control->tallies[i];
		uint64_t own = tally->calls - streams[i].calls_before;
		uint64_t own_hits = tally->expected - streams[i].expected_before;
		struct bpcond_counters counters;
		bpcond_counts counts;

		read_hits(&streams[i]);
		calls += tally->calls;
		expected += tally->expected;
		records += streams[i].records;
		ended += streams[i].ended;
		if (streams[i].session) {
			if (bpcond_breakpoint_counts(streams[i].breakpoint, &counts) < 0)
				fail("cannot read counts");
			lost += counts.lost;
			dropped += counts.dropped;
			wrong += counts.traps != own || counts.evaluated != own ||
				 counts.hits != own_hits;
		} else {
			bpcond_filter_counters(streams[i].filter, &counters);
			dropped += counters.dropped;
			wrong += counters.evaluated != own || counters.hits != own_hits;
		}
	}
	target_say("streams %d calls %" PRIu64 " hits %" PRIu64 " records %" PRIu64 " lost %" PRIu64
		   " dropped %" PRIu64 " wrong %" PRIu64 " ended %" PRIu64,
		   n_streams, calls, expected, records, lost, dropped, wrong, ended);
	go_on();
}

static void stay_quiet(long n)
{
	uint64_t calls = 0, records = 0, before = 0;

	for (int i = 0; i < n_streams; i++) {
		const struct bpcond_hit *hit;

		while (streams[i].filter && bpcond_filter_wait(streams[i].filter, 0, &hit) == 1)
			;
		before += atomic_load(&control->tallies[i].calls);
	}
	while (calls < before + n) {
		usleep(1000);
		calls = 0;
		for (int i = 0; i < n_streams; i++)
			calls += atomic_load(&control->tallies[i].calls);
	}
	for (int i = 0; i < n_streams; i++) {
		const struct bpcond_hit *hit;

		while (streams[i].filter && bpcond_filter_wait(streams[i].filter, 0, &hit) == 1)
			records++;
	}
	target_say("hits %" PRIu64, records);
}

static void serve(void)
{
	struct pollfd polls[MAX_STREAMS + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	char command[64];
	long number;

	for (;;) {
		for (int i = 0; i < n_streams; i++) {
			int fd = streams[i].session ? bpcond_session_fd(streams[i].session)
						    : bpcond_filter_fd(streams[i].filter);

			polls[i + 1] =
				(struct pollfd){.fd = streams[i].ended ? -1 : fd, .events = POLLIN};
		}
		if (poll(polls, n_streams + 1, -1) < 0)
			return;
		for (int i = 0; i < n_streams; i++)
			if (polls[i + 1].revents)
				read_hits(&streams[i]);
		if (!polls[0].revents)
			continue;
		if (!target_command(command, &number))
			return;
		if (strcmp(command, "calls") == 0)
			make_calls(number);
		else if (strcmp(command, "swap") == 0)
			swap();
		else if (strcmp(command, "numbers") == 0)
			tell_numbers();
		else if (strcmp(command, "tally") == 0)
			tell_tally();
		else if (strcmp(command, "quiet") == 0)
			stay_quiet(number);
		else
			target_say("unknown");
	}
}

int main(int argc, char *argv[])
{
	/* One line at a time is asked for and answered; poll must see what is left. */
	setvbuf(stdin, NULL, _IONBF, 0);
	if (argc != 3)
		return 2;
	n_sessions = atoi(argv[1]);
	n_streams = n_sessions + atoi(argv[2]);
	if (n_sessions < 1 || n_streams < n_sessions || n_streams > MAX_STREAMS)
		return 2;
	snprintf(address, sizeof(address), "0x%lx", (unsigned long)(uintptr_t)streams_work);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (control == MAP_FAILED)
		return 1;
	control->pause = 1;
	for (int i = 0; i < n_streams; i++) {
		streams[i].pid = fork();
		if (streams[i].pid == 0)
			work(&control->tallies[i]);
	}
	if (bpcond_client_new(&client) < 0)
		return 1;
	if (bpcond_client_connect(client, NULL) < 0)
		fail("cannot connect");
	for (int i = 0; i < n_streams; i++) {
		if (i < n_sessions)
			open_session(&streams[i]);
		else
			lend(&streams[i]);
	}
	go_on();
	target_say("ready");
	serve();
	bpcond_client_free(client);
	return 0;
}
