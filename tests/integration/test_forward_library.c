/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding, asked for by the library: its session has no ring of the client's, so waiting tells the end only,
 * and the counts tell what became of each hit.
 */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/integration.h"
#include "tests/support/machine.h"
#include "tests/support/reader.h"
#include "tests/support/target.h"

/* Hits of one thread: far more than a pipe holds, and not so far where a hit takes long. */
#define FLOOD (integration_volume(2) < 2 ? 3000U : 5000U)

static void open_session(Reader *reader, Target *target, enum bpcond_forward forward,
			 bpcond_client **ret_client, bpcond_session **ret_session,
			 bpcond_breakpoint **ret)
{
	bpcond_session_options options = {.size = sizeof(options),
					  .hits_bytes = 1 << 20,
					  .forward = forward,
					  .forward_fd = reader->write_fd};
	bpcond_request request = {.size = sizeof(request), .registers = ARG1};
	char location[32];

	snprintf(location, sizeof(location), "0x%lx", target_address_of(target, "instruction"));
	request.location = location;
	ck_assert_int_eq(bpcond_client_new(ret_client), 0);
	ck_assert_int_eq(bpcond_client_connect(*ret_client, NULL), 0);
	ck_assert_msg(bpcond_session_open(*ret_client, target->pid, &options, ret_session) == 0,
		      "%s", bpcond_client_error(*ret_client)->message);
	ck_assert_msg(bpcond_session_break(*ret_session, &request, ret) == 0, "%s",
		      bpcond_client_error(*ret_client)->message);
	reader_close_sink(reader);
}

/* Waiting tells the end only; the counts after it say what became of every hit. */
static void expect_end(bpcond_session *session, bpcond_breakpoint *breakpoint, Reader *reader)
{
	const struct bpcond_hit *hit;
	bpcond_counts counts;

	ck_assert_int_eq(bpcond_session_wait(session, 10000, &hit), -ESRCH);
	ck_assert_int_eq(bpcond_session_end(session), BPCOND_TARGET_EXITED);
	/* one that did not read may find the last record cut */
	do
		reader_read(reader);
	while (!reader->ended);
	ck_assert_int_eq(bpcond_breakpoint_counts(breakpoint, &counts), 0);
	ck_assert_uint_eq(counts.hits, FLOOD);
	ck_assert_uint_eq(reader->records + counts.dropped, counts.hits);
}

START_TEST(waiting_tells_the_end)
{
	for (int format = 0; format < 2; format++) {
		const struct bpcond_hit *hit;
		bpcond_breakpoint *breakpoint;
		bpcond_session *session;
		bpcond_client *client;
		Reader reader;
		Target target;

		/* one that reads, and one that does not */
		for (int reads = 0; reads < 2; reads++) {
			target_start(&target, "counter", NULL, NULL);
			reader_open(&reader, "pipe", format ? "binary" : "json-lines",
				    (uint32_t)target.pid);
			open_session(&reader, &target,
				     format ? BPCOND_FORWARD_BINARY : BPCOND_FORWARD_JSON_LINES,
				     &client, &session, &breakpoint);
			ck_assert_int_eq(target_ask(&target, "calls", "call %u", FLOOD), FLOOD);
			ck_assert_int_eq(bpcond_session_wait(session, 10, &hit), 0);
			if (reads)
				reader_wait(&reader, FLOOD);
			target_kill(&target);
			expect_end(session, breakpoint, &reader);
			ck_assert(reads ? reader.records == FLOOD : reader.records < FLOOD);
			reader_close(&reader);
			bpcond_client_free(client);
		}
	}
}
END_TEST

START_TEST(refusals)
{
	bpcond_session_options options = {.size = sizeof(options)};
	bpcond_session *session;
	bpcond_client *client;
	Target target;
	int fds[2];

	target_start(&target, "counter", NULL, NULL);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_int_eq(bpcond_client_connect(client, NULL), 0);
	options.forward = BPCOND_FORWARD_BINARY;
	options.forward_fd = fds[0];
	ck_assert_int_lt(bpcond_session_open(client, target.pid, &options, &session), 0);
	ck_assert_ptr_nonnull(strstr(bpcond_client_error(client)->message, "read end"));
	options.forward = 3;
	ck_assert_int_eq(bpcond_session_open(client, target.pid, &options, &session), -EINVAL);
	bpcond_client_free(client);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite = suite_create("forward_library");

	integration_add(suite, "waiting tells the end, counts the hits", waiting_tells_the_end);
	integration_add(suite, "refusals", refusals);
	return integration_run(suite, argc, argv);
}
