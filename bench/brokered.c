/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Through the daemon, as an ordinary client: one session, a breakpoint for each condition, enabled
 * for its own rounds only. After each round the counts must say that every call was evaluated and
 * rejected.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef struct Brokered {
	bpcond_client *client;
	bpcond_session *session;
	bpcond_breakpoint *breakpoint;
	uint64_t expected;
} Brokered;

/*
 * All 16 registers are really compared: fifteen comparisons are true, the last is false. That none
 * of them holds the number is by the number's choice.
 */
static const char *const conditions[] = {
	[BROKERED_ONE_REGISTER] = "$rdi == -1",
	[BROKERED_SIXTEEN_REGISTERS] =
		"$rax != 0x5ca1ab1e && $rbx != 0x5ca1ab1e && $rcx != 0x5ca1ab1e && "
		"$rdx != 0x5ca1ab1e && $rsi != 0x5ca1ab1e && $rbp != 0x5ca1ab1e && "
		"$rsp != 0x5ca1ab1e && $r8 != 0x5ca1ab1e && $r9 != 0x5ca1ab1e && "
		"$r10 != 0x5ca1ab1e && $r11 != 0x5ca1ab1e && $r12 != 0x5ca1ab1e && "
		"$r13 != 0x5ca1ab1e && $r14 != 0x5ca1ab1e && $r15 != 0x5ca1ab1e && "
		"$rdi == -1",
	[BROKERED_ONE_LOAD] = "*(int *)($rsi + 8) == -1",
};

static int start(Way *way, Brokered *state)
{
	bpcond_request request = {
		.size = sizeof(request),
		.condition = conditions[way->variant],
		.disabled = 1,
	};
	char location[32];
	int r;

	snprintf(location, sizeof(location), "0x%lx", way->loop->address);
	request.location = location;
	r = bpcond_client_connect(state->client, NULL);
	if (r >= 0)
		r = bpcond_session_open(state->client, way->loop->pid, NULL, &state->session);
	if (r >= 0)
		r = bpcond_session_break(state->session, &request, &state->breakpoint);
	if (r < 0)
		snprintf(way->why, sizeof(way->why), "%.150s",
			 bpcond_client_error(state->client)->message);
	return r;
}

int brokered_start(Way *way, const char *build_dir)
{
	Brokered *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return -ENOMEM;
	way->state = state;
	r = bpcond_client_new(&state->client);
	return r < 0 ? r : start(way, state);
}

int brokered_round(Way *way, long n, uint64_t *ret_ns)
{
	Brokered *state = way->state;
	bpcond_counts counts;
	int r;

	r = bpcond_breakpoint_enable(state->breakpoint);
	if (r >= 0)
		r = loop_begin(way->loop, n);
	if (r >= 0)
		r = loop_finish(way->loop, ret_ns);
	if (r >= 0)
		r = bpcond_breakpoint_disable(state->breakpoint);
	if (r >= 0)
		r = bpcond_breakpoint_counts(state->breakpoint, &counts);
	if (r < 0) {
		snprintf(way->why, sizeof(way->why), "%.150s",
			 bpcond_client_error(state->client)->message);
		return r;
	}
	state->expected += (uint64_t)n;
	if (counts.rejected + counts.lost != state->expected) {
		snprintf(way->why, sizeof(way->why), "%lu rejected and %lu lost of %lu calls",
			 counts.rejected, counts.lost, state->expected);
		return -EPROTO;
	}
	return 0;
}

void brokered_stop(Way *way)
{
	Brokered *state = way->state;

	if (state)
		bpcond_client_free(state->client);
	free(state);
	way->state = NULL;
}
