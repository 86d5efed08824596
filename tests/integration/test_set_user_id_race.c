/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target that executes a set-user-ID program while its session is being opened, its breakpoint added,
 * enabled, or its event handed out: at every moment, by chance, very often. Of what that program does
 * nothing may ever reach the client: no hit, no evaluation, no record. Before the exec the target is
 * allowed, so what it did until then may be seen; the two can be told apart by what they pass and store.
 *
 * The moment is drawn anew for each try: behind which of the client's calls the target is told to turn,
 * and how long after that it does. What became of the tries is printed, so that one sees that they meet
 * every side of the race.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/differential/random.h"
#include "tests/support/bus.h"
#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/own_events.h"
#include "tests/targets/turncoat.h"

enum {
	TRIES = 1000, /* of all variants; BPCOND_RACE_TRIES says otherwise */
	VARIANTS = 5,
	MOMENTS = 4, /* behind the start, the opening, the adding, the last call */
	LONGEST_US = 2500,
	RING_BYTES = 1 << 18,
	READY_MS = 10000,
};

enum outcome {
	NOT_OPENED,
	NOT_ADDED,
	NOT_USED, /* not enabled, or no event taken */
	USED,
	OUTCOMES,
};

typedef struct Try {
	bpcond_client *client;
	Random random;
	const char *guilty; /* the set-user-ID program */
	TurncoatPage *page;
	int page_fd;
	pid_t pid;
	unsigned moment;
	bool told;
	unsigned seen_innocent; /* tries that saw something, as they might */
	uint64_t innocent;      /* evaluations */
	unsigned outcomes[OUTCOMES];
	unsigned by_error[8];
} Try;

static unsigned tries(void)
{
	const char *text = getenv("BPCOND_RACE_TRIES");

	return (text ? (unsigned)strtoul(text, NULL, 10) : TRIES) / VARIANTS;
}

/* ---- The target ------------------------------------------------------------------------------ */

static void start_target(Try *try)
{
	int64_t deadline = now_ms() + READY_MS;
	char fd[16];

	memset(try->page, 0, sizeof(*try->page));
	snprintf(fd, sizeof(fd), "%d", try->page_fd);
	try->pid = fork();
	ck_assert_int_ge(try->pid, 0);
	if (try->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		fcntl(try->page_fd, F_SETFD, 0);
		execl(integration_program("tests/targets/turncoat"), "turncoat", fd, try->guilty,
		      NULL);
		_exit(127);
	}
	while (!__atomic_load_n(&try->page->work, __ATOMIC_SEQ_CST)) {
		ck_assert_msg(now_ms() < deadline && waitpid(try->pid, NULL, WNOHANG) == 0,
			      "the target does not start");
		sched_yield();
	}
	try->moment = random_below(&try->random, MOMENTS);
	try->told = false;
}

/* Tells it to turn, if this is the moment. */
static void pass(Try *try, unsigned moment)
{
	if (try->told || moment < try->moment)
		return;
	try->page->delay_ns = 1000ULL * random_below(&try->random, LONGEST_US);
	__atomic_store_n(&try->page->turn, 1, __ATOMIC_SEQ_CST);
	try->told = true;
}

static void wait_target(Try *try)
{
	int status;

	pass(try, MOMENTS);
	ck_assert_int_eq(waitpid(try->pid, &status, 0), try->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "the set-user-ID program ended with status %x", status);
}

/* ---- What was seen --------------------------------------------------------------------------- */

static void expect_innocent(Try *try, const struct bpcond_counters *counters, bool secret_only)
{
	ck_assert_msg(counters->evaluated <= try->page->begun,
		      "%" PRIu64 " evaluations of %" PRIu64 " rounds before the exec",
		      (uint64_t)counters->evaluated, try->page->begun);
	if (secret_only)
		ck_assert_msg(counters->hits == 0, "%" PRIu64 " hits of the set-user-ID program",
			      (uint64_t)counters->hits);
	try->seen_innocent += counters->evaluated > 0;
	try->innocent += counters->evaluated;
}

static void see(const struct bpcond_hit *hit)
{
	uint64_t argument;
	bpcond_piece piece;

	ck_assert_int_eq(bpcond_hit_register(hit, REG_ARG1, &argument), 0);
	ck_assert_msg(argument != TURNCOAT_SECRET, "a record of the set-user-ID program");
	if (bpcond_hit_memory(hit, 0, &piece) == 0 && piece.read == piece.length)
		ck_assert_msg(*(const uint64_t *)piece.bytes != TURNCOAT_SECRET,
			      "memory of the set-user-ID program");
}

static void read_session(bpcond_session *session)
{
	const struct bpcond_hit *hit;

	while (bpcond_session_wait(session, 0, &hit) == 1)
		see(hit);
}

/* Errors that such a target may bring about, and no others. */
static void expect_due(Try *try, int r)
{
	/* -ENOENT: its end came between two calls */
	ck_assert_msg(r == -EACCES || r == -ESRCH || r == -ENOENT, "%s",
		      bpcond_client_error(try->client)->message);
	try->by_error[r == -EACCES]++;
}

/* ---- Variants -------------------------------------------------------------------------------- */

enum variant {
	ALL_RECORDS,   /* every call, captured */
	SECRET_CALLS,  /* only what may never be, enabled later */
	SECRET_STORES, /* the same of data, its value and what is there now */
	TAKEN_EVENT, /* the event itself is in the client's hands, who enables it again and again */
	LENT_FILTER, /* on an event of the client's own */
};

static void write_spec(const Try *try, enum variant variant, char *text, size_t size)
{
	const bool data = variant == SECRET_STORES;
	char condition[256] = "1";

	if (variant == SECRET_CALLS)
		snprintf(condition, sizeof(condition), "{\"==\":[{\"reg\":\"" ARG1 "\"},%d]}",
			 TURNCOAT_SECRET);
	else if (data)
		snprintf(condition, sizeof(condition),
			 "{\"or\":[{\"==\":[{\"var\":\"value\"},%d]},"
			 "{\"==\":[{\"load\":\"s64\",\"at\":\"0x%" PRIx64
			 "\"},{\"param\":\"secret\"}]}]}",
			 TURNCOAT_SECRET, try->page->value);
	snprintf(text, size,
		 "{\"address\":\"0x%" PRIx64 "\",%s\"condition\":%s,%s%s"
		 "\"on-fault\":\"reject\",\"capture\":{\"registers\":[\"" ARG1
		 "\"],\"memory\":[{\"at\":\"0x%" PRIx64 "\",\"length\":8}]}}",
		 data ? try->page->value : try->page->work, data ? "\"access\":\"write\"," : "",
		 condition, data ? "\"parameters\":{\"secret\":6209255}," : "",
		 variant == TAKEN_EVENT    ? "\"events\":true,"
		 : variant == SECRET_CALLS ? "\"enabled\":false,"
					   : "",
		 try->page->value);
}

/* Uses the breakpoint. Return: 0; negative errno. */
static int use(Try *try, enum variant variant, bpcond_breakpoint *breakpoint)
{
	bpcond_event *events = NULL;
	siginfo_t info = {0};
	size_t n = 0;
	int r;

	if (variant == SECRET_CALLS)
		return bpcond_breakpoint_enable(breakpoint);
	if (variant != TAKEN_EVENT)
		return 0;
	r = bpcond_breakpoint_take_events(breakpoint, &events, &n);
	if (r < 0)
		return r;
	pass(try, MOMENTS);
	do {
		for (size_t i = 0; i < n; i++)
			ioctl(events[i].fd, PERF_EVENT_IOC_ENABLE, 0);
		info.si_pid = 0;
		waitid(P_PID, (id_t)try->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	} while (info.si_pid == 0);
	for (size_t i = 0; i < n; i++)
		close(events[i].fd);
	free(events);
	return 0;
}

static enum outcome try_session(Try *try, enum variant variant)
{
	bpcond_session_options options = {.size = sizeof(options), .hits_bytes = RING_BYTES};
	enum outcome outcome = NOT_OPENED;
	bpcond_breakpoint *breakpoint = NULL;
	struct bpcond_counters counters;
	bpcond_session *session = NULL;
	char spec[1024];
	int r;

	pass(try, 0);
	r = bpcond_session_open(try->client, try->pid, &options, &session);
	if (r == 0) {
		pass(try, 1);
		outcome = NOT_ADDED;
		write_spec(try, variant, spec, sizeof(spec));
		r = bpcond_session_add(session, spec, &breakpoint);
	}
	if (r == 0 && breakpoint) {
		pass(try, 2);
		outcome = NOT_USED;
		r = use(try, variant, breakpoint);
	}
	if (r == 0)
		outcome = USED;
	else
		expect_due(try, r);
	pass(try, 3);
	wait_target(try);
	if (session)
		read_session(session);
	if (breakpoint) {
		bpcond_breakpoint_counters(breakpoint, &counters);
		expect_innocent(try, &counters,
				variant == SECRET_CALLS || variant == SECRET_STORES);
	}
	bpcond_session_free(session);
	return outcome;
}

static enum outcome try_filter(Try *try)
{
	bpcond_filter_options options = {
		.size = sizeof(options),
		.hits_bytes = RING_BYTES,
		.capture = "{\"registers\":[\"" ARG1 "\"]}",
	};
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = try->page->work,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	enum outcome outcome = NOT_USED;
	struct bpcond_counters counters;
	const struct bpcond_hit *hit;
	bpcond_filter *filter = NULL;
	int fd;

	pass(try, 0);
	ck_assert_msg(bpcond_filter_lend(try->client, "1", &options, &filter) == 0, "%s",
		      bpcond_client_error(try->client)->message);
	pass(try, 1);
	fd = own_event_try(&attr, try->pid, -1);
	if (fd >= 0) {
		pass(try, 2);
		ck_assert_int_eq(bpcond_filter_attach(filter, fd), 0);
		own_event_enable(fd);
		outcome = USED;
	} else {
		ck_assert_msg(fd == -EACCES || fd == -ESRCH || fd == -EPERM, "%s", strerror(-fd));
	}
	pass(try, 3);
	wait_target(try);
	while (bpcond_filter_wait(filter, 0, &hit) == 1)
		see(hit);
	bpcond_filter_counters(filter, &counters);
	expect_innocent(try, &counters, false);
	if (fd >= 0)
		close(fd);
	bpcond_filter_free(filter);
	return outcome;
}

/* ---- The tries ------------------------------------------------------------------------------- */

static void run(enum variant variant, const char *name)
{
	const char *owners[] = {"root", ENVIRONMENT_USER_B};
	char guilty[2][256];
	Try try = {.random = {.state = 1 + variant}};
	unsigned n = tries();
	pid_t daemon = helper_daemon_pid();
	Objects before;

	for (int i = 0; i < 2; i++)
		helper_make_set_user_id(integration_program("tests/targets/turncoat"), owners[i],
					guilty[i]);
	try.page_fd = memfd_create("turncoat", MFD_CLOEXEC);
	ck_assert_int_ge(try.page_fd, 0);
	ck_assert_int_eq(ftruncate(try.page_fd, sizeof(*try.page)), 0);
	try.page =
		mmap(NULL, sizeof(*try.page), PROT_READ | PROT_WRITE, MAP_SHARED, try.page_fd, 0);
	ck_assert_ptr_ne(try.page, MAP_FAILED);
	ck_assert_int_eq(bpcond_client_new(&try.client), 0);
	ck_assert_int_eq(bpcond_client_connect(try.client, NULL), 0);
	ck_assert_int_eq(helper_objects(daemon, &before), 0);

	for (unsigned i = 0; i < n; i++) {
		try.guilty = guilty[i % 2];
		start_target(&try);
		try.outcomes[variant == LENT_FILTER ? try_filter(&try)
						    : try_session(&try, variant)]++;
	}
	printf("# %s: %u tries: %u not opened, %u not added, %u not used, %u used; %u refused as "
	       "not "
	       "allowed, %u as gone; %u saw %" PRIu64 " evaluations before the exec; after it: 0\n",
	       name, n, try.outcomes[NOT_OPENED], try.outcomes[NOT_ADDED], try.outcomes[NOT_USED],
	       try.outcomes[USED], try.by_error[1], try.by_error[0], try.seen_innocent,
	       try.innocent);
	fflush(stdout);
	/* It was a race, and each side came first at times. */
	if (n >= 100) {
		ck_assert_uint_gt(try.outcomes[USED], 0);
		ck_assert_uint_lt(try.outcomes[USED], n);
		ck_assert_uint_gt(try.seen_innocent, 0);
	}
	/* for a caller that is connected it may know who that is */
	helper_expect_descriptors(daemon, &(Objects){.n_fds = before.n_fds + 1});
	bpcond_client_free(try.client);
}

START_TEST(every_call)
{
	run(ALL_RECORDS, "every call");
}
END_TEST

START_TEST(calls_that_may_not_be)
{
	run(SECRET_CALLS, "calls, enabled later");
}
END_TEST

START_TEST(stores_that_may_not_be)
{
	run(SECRET_STORES, "stores");
}
END_TEST

START_TEST(a_taken_event)
{
	if (bus_signals_are_refused())
		return;

	run(TAKEN_EVENT, "a taken event");
}
END_TEST

START_TEST(a_lent_filter)
{
	if (!bus_lending_is_refused())
		run(LENT_FILTER, "a lent filter");
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("set-user-ID race");

	integration_add(suite, "every call", every_call);
	integration_add(suite, "calls that may not be, enabled later", calls_that_may_not_be);
	integration_add(suite, "stores that may not be", stores_that_may_not_be);
	integration_add(suite, "a taken event", a_taken_event);
	integration_add(suite, "a lent filter", a_lent_filter);
	return integration_run(suite, argc, argv);
}
