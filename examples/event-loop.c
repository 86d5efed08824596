/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hits in a program with an event loop of its own: poll() on the session's descriptor beside
 * whatever else there is (here: lines from standard input, each a new value of the parameter `least`,
 * in force at the next trap without a call to anyone).
 *
 *	event-loop PID FUNCTION
 *
 * shows calls of FUNCTION whose first argument is at least `least`.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where a function's first argument is. */
#ifdef __aarch64__
#define ARGUMENT "x0"
#else
#define ARGUMENT "rdi"
#endif

/* Return: 1 to go on, 0 at the end of the input. */
static int take_line(bpcond_breakpoint *breakpoint)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n <= 0)
		return 0;
	line[n] = '\0';
	bpcond_breakpoint_set_parameter(breakpoint, "least", strtoll(line, NULL, 0));
	return 1;
}

/* Return: 0 when the ring is empty; a negative errno at the session's end. */
static int show_hits(bpcond_session *session)
{
	const struct bpcond_hit *hit;
	uint64_t argument;
	int r;

	for (;;) {
		r = bpcond_session_wait(session, 0, &hit);
		if (r <= 0)
			return r;
		if (bpcond_hit_register_by_name(hit, ARGUMENT, &argument) == 0)
			printf("thread %u: %" PRId64 "\n", hit->tid, (int64_t)argument);
	}
}

static int loop(bpcond_session *session, bpcond_breakpoint *breakpoint)
{
	struct pollfd fds[] = {
		{.fd = bpcond_session_fd(session), .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
	};
	int r;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return -errno;
		if (fds[1].revents != 0 && !take_line(breakpoint))
			return 0;
		r = show_hits(session);
		if (r < 0)
			return r;
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	const bpcond_parameter least = {.name = "least", .value = 0};
	bpcond_request request = {
		.size = sizeof(request),
		.condition = "$" ARGUMENT " >= least",
		.parameters = &least,
		.n_parameters = 1,
		.registers = ARGUMENT,
	};
	bpcond_client *client;
	bpcond_session *session;
	bpcond_breakpoint *breakpoint;
	bpcond_counts counts;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: %s PID FUNCTION\n", argv[0]);
		return 2;
	}
	if (bpcond_client_new(&client) < 0)
		return 1;
	request.location = argv[2];
	r = bpcond_client_connect(client, NULL);
	if (r >= 0)
		r = bpcond_session_open(client, atoi(argv[1]), NULL, &session);
	if (r >= 0)
		r = bpcond_session_break(session, &request, &breakpoint);
	if (r >= 0)
		r = loop(session, breakpoint);
	if (r >= 0)
		r = bpcond_breakpoint_counts(breakpoint, &counts);
	if (r >= 0)
		printf("%" PRIu64 " of %" PRIu64 " calls\n", counts.hits, counts.traps);
	else
		fprintf(stderr, "%s\n", bpcond_client_error(client)->message);
	bpcond_client_free(client);
	return r < 0;
}
