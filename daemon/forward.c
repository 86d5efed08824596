/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bpcond/bpcond.h"
#include "daemon/bpf_ring.h"
#include "daemon/breakpoint.h"
#include "daemon/forward.h"
#include "daemon/log.h"
#include "daemon/util.h"

/* What one turn of the loop takes out of the ring at the most. */
#define BATCH_RECORDS 64
#define BATCH_BYTES   16384

/* What a pipe or a stream takes as a whole or not at all: one buffer. */
#define CHUNK_BYTES 4096

/* Behind calls and the news of targets' ends. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

/* For the last hits of a session that is closed now; and of a target that has ended: a reader that has
 * taken nothing for so long is not waited for, and none for longer than that. */
#define LAST_USEC     10000
#define PATIENCE_USEC 500000
#define MAX_PATIENCE  60

/* Where in the batch a record ends, and whose it is. */
typedef struct Mark {
	size_t end;
	uint32_t breakpoint;
} Mark;

struct Forward {
	Session *session; /* borrowed: the owner */
	Sink sink;
	ForwardFormat format;
	HitRing *ring;
	sd_event_source *ring_source, *sink_source;
	sd_event_source *process_source; /* of what writes into a pipe; NULL: none */

	/* What was taken and is being written; the first `written` bytes, and the records before
	 * `next_mark`, are delivered. Empty when the sink has taken all. */
	char *bytes;
	size_t filled, written, allocated;
	Mark marks[BATCH_RECORDS];
	unsigned n_marks, next_mark;
	int take_error; /* of the visitor */

	ForwardDone done; /* the target has ended */
	sd_event_source *patience;
	unsigned patience_turns;
	uint64_t delivered_before; /* at the last look at a reader's progress */
};

int forward_parse_format(const char *name, ForwardFormat *ret, Refusal *refusal)
{
	if (strcmp(name, "json-lines") == 0)
		*ret = FORWARD_JSON_LINES;
	else if (strcmp(name, "binary") == 0)
		*ret = FORWARD_BINARY;
	else
		return refuse(refusal, REFUSED_INVALID_ARGUMENT,
			      "There is no format \"%s\": there are \"json-lines\" and \"binary\".",
			      name);
	return 0;
}

bool forward_has_ended(const Forward *forward)
{
	return !sink_is_open(&forward->sink);
}

/* All but the sink. */
static void clear(Forward *forward)
{
	forward->ring_source = sd_event_source_disable_unref(forward->ring_source);
	forward->sink_source = sd_event_source_disable_unref(forward->sink_source);
	forward->process_source = sd_event_source_disable_unref(forward->process_source);
	forward->patience = sd_event_source_disable_unref(forward->patience);
	forward->ring = hit_ring_free(forward->ring);
	free(forward->bytes);
	forward->bytes = NULL;
	forward->allocated = forward->filled = forward->written = 0;
	forward->n_marks = forward->next_mark = 0;
}

/* ---- From the ring into the batch --------------------------------------------------------------- */

static int append(Forward *forward, const void *bytes, size_t size)
{
	if (forward->filled + size > forward->allocated) {
		size_t wanted = forward->filled + size + BATCH_BYTES;
		char *larger = realloc(forward->bytes, wanted);

		if (!larger)
			return -ENOMEM;
		forward->bytes = larger;
		forward->allocated = wanted;
	}
	memcpy(forward->bytes + forward->filled, bytes, size);
	forward->filled += size;
	return 0;
}

static int append_line(Forward *forward, const struct bpcond_hit *hit)
{
	_cleanup_free_ char *json = NULL;
	size_t length;
	int r;

	r = bpcond_hit_to_json(hit, &json);
	if (r < 0)
		return r;
	/* the line end takes the place of the terminating zero */
	length = strlen(json);
	json[length] = '\n';
	return append(forward, json, length + 1);
}

static void take(const struct bpcond_hit *hit, void *userdata)
{
	Forward *forward = userdata;
	int r;

	if (forward->format == FORWARD_JSON_LINES)
		r = append_line(forward, hit);
	else
		r = append(forward, hit, hit->size);
	forward->take_error = r;
	if (r == 0)
		forward->marks[forward->n_marks++] =
			(Mark){.end = forward->filled, .breakpoint = hit->breakpoint};
}

/* Fills an empty batch with what the ring has. Return: 0; negative errno. */
static int fill(Forward *forward)
{
	unsigned most = forward->sink.kind == SINK_MESSAGES ? 1 : BATCH_RECORDS;
	int r;

	forward->filled = forward->written = 0;
	forward->n_marks = forward->next_mark = 0;
	do {
		forward->take_error = 0;
		r = hit_ring_next(forward->ring, take, forward);
		if (r > 0)
			r = forward->take_error == 0 ? 1 : forward->take_error;
	} while (r > 0 && forward->n_marks < most && forward->filled < BATCH_BYTES);
	return r < 0 ? r : 0;
}

/* ---- From the batch into the sink --------------------------------------------------------------- */

static void account_written(Forward *forward)
{
	while (forward->next_mark < forward->n_marks &&
	       forward->marks[forward->next_mark].end <= forward->written)
		session_count_hit(forward->session, forward->marks[forward->next_mark++].breakpoint,
				  true);
}

/* How much to write at once: whole records, so that none that fits a buffer is torn whatever comes next,
 * the daemon's own end by force included. A larger one goes alone. */
static size_t next_chunk(const Forward *forward)
{
	size_t end = forward->marks[forward->next_mark].end;

	for (unsigned i = forward->next_mark + 1; i < forward->n_marks; i++) {
		if (forward->marks[i].end - forward->written > CHUNK_BYTES)
			break;
		end = forward->marks[i].end;
	}
	return end - forward->written;
}

/* Return: 1 when the batch is written; 0 when the sink has no room; negative errno (-EPIPE: the reader is
 * gone). */
static int flush(Forward *forward)
{
	while (forward->written < forward->filled) {
		ssize_t n = sink_write(&forward->sink, &forward->session->broker->pages,
				       forward->bytes + forward->written, next_chunk(forward));

		if (n == -EAGAIN)
			return 0;
		if (n == -EMSGSIZE) {
			session_count_hit(forward->session,
					  forward->marks[forward->next_mark++].breakpoint, false);
			forward->written = forward->filled;
			return 1;
		}
		if (n < 0)
			return (int)n;
		forward->written += (size_t)n;
		account_written(forward);
	}
	return 1;
}

/* One turn: a batch, of messages as many as make one. Return: 1 when there may be more; 0 when the ring
 * is empty; -EAGAIN when the sink has no room; another negative errno ends it. */
static int turn(Forward *forward)
{
	unsigned batches = forward->sink.kind == SINK_MESSAGES ? BATCH_RECORDS : 1;
	int r;

	r = flush(forward);
	for (unsigned i = 0; i < batches && r == 1; i++) {
		r = fill(forward);
		if (r < 0)
			return r;
		if (forward->n_marks == 0)
			return 0;
		r = flush(forward);
	}
	return r == 0 ? -EAGAIN : r;
}

/* ---- The loop ----------------------------------------------------------------------------------- */

static void sleep_until_closed(Sink *sink, unsigned long long until)
{
	unsigned long long now = now_usec();

	if (now >= until)
		return;
	sink_close(sink, until - now);
	slept_usec(now_usec() - now);
}

/* What is on its way into a pipe comes back, and what came into it was delivered. `until` then the reader
 * should have its end; 0: as soon as may be. */
static void end(Forward *forward, unsigned long long until)
{
	Session *session = forward->session;

	forward->written += sink_recall(&forward->sink);
	account_written(forward);
	clear(forward);
	sleep_until_closed(&forward->sink, until);
	sink_release(&forward->sink, session->broker->relays, session->owner.uid);
}

static void log_end(const Forward *forward, int r)
{
	const Session *session = forward->session;
	const LogContext context = {
		.session = session->number, .uid = session->owner.uid, .pid = session->target.pid};

	if (r != -EPIPE)
		log_message(LOG_ERR, &context, "forwarding the hits of session %u ended: %s",
			    session->number,
			    r == -ECHILD ? "the process that wrote into its pipe is gone"
					 : strerror(-r));
}

static void end_with(Forward *forward, int r)
{
	log_end(forward, r);
	end(forward, 0);
}

/* Waits for the ring, or for room in the sink. Polls tell as long as it is so. */
static int wait_for(Forward *forward, bool room)
{
	int r;

	r = sd_event_source_set_io_events(forward->sink_source,
					  sink_poll_events(&forward->sink, room));
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(forward->ring_source, room ? SD_EVENT_OFF : SD_EVENT_ON);
}

/* The forwarding, and its session, may be gone when this returns. */
static void go_on(Forward *forward)
{
	bool is_empty;
	int r;

	r = turn(forward);
	is_empty = r == 0;
	if (r >= 0 || r == -EAGAIN)
		r = wait_for(forward, r == -EAGAIN);
	if (r < 0)
		end_with(forward, r);
	if (forward->done && (is_empty || forward_has_ended(forward)))
		forward->done(forward->session);
}

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	go_on(userdata);
	return 0;
}

static void end_and_tell(Forward *forward, int r)
{
	ForwardDone done = forward->done;

	end_with(forward, r);
	if (done)
		done(forward->session);
}

static int on_sink(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	Forward *forward = userdata;
	int r;

	r = revents & (EPOLLERR | EPOLLHUP) ? -EPIPE : sink_heed(&forward->sink);
	if (r < 0)
		end_and_tell(forward, r);
	else
		go_on(forward);
	return 0;
}

static int on_process(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	/* It ends by itself only after us: somebody has killed it, or it cannot be run. */
	end_and_tell(userdata, -ECHILD);
	return 0;
}

static int add_sources(Forward *forward)
{
	sd_event *event = forward->session->broker->event;
	int r;

	r = sd_event_add_io(event, &forward->ring_source, forward->session->ring_fd, EPOLLIN,
			    on_ring, forward);
	if (r >= 0)
		r = sd_event_add_io(event, &forward->sink_source, sink_poll_fd(&forward->sink),
				    sink_poll_events(&forward->sink, false), on_sink, forward);
	if (r >= 0 && sink_process_fd(&forward->sink) >= 0)
		r = sd_event_add_io(event, &forward->process_source,
				    sink_process_fd(&forward->sink), EPOLLIN, on_process, forward);
	if (r >= 0)
		r = sd_event_source_set_priority(forward->ring_source, PRIORITY);
	if (r >= 0)
		r = sd_event_source_set_priority(forward->sink_source, PRIORITY);
	/* What it said before its end comes first. */
	if (r >= 0 && forward->process_source)
		r = sd_event_source_set_priority(forward->process_source, PRIORITY + 1);
	return r < 0 ? r : 0;
}

int forward_new(Session *session, Sink *sink, ForwardFormat format, Forward **ret)
{
	Forward *forward = calloc(1, sizeof(*forward));
	int r;

	if (!forward)
		return -ENOMEM;
	forward->session = session;
	forward->sink = *sink;
	forward->format = format;
	r = hit_ring_new(session->ring_fd, &forward->ring);
	if (r == 0)
		r = add_sources(forward);
	if (r < 0) {
		/* The caller keeps the sink. */
		forward->sink = SINK_NONE;
		forward_free(forward);
		return r;
	}
	*sink = SINK_NONE;
	*ret = forward;
	return 0;
}

Forward *forward_free(Forward *forward)
{
	if (!forward)
		return NULL;
	clear(forward);
	sink_clear(&forward->sink);
	free(forward);
	return NULL;
}

Forward *forward_abandon(Forward *forward)
{
	if (!forward_has_ended(forward))
		end(forward, 0);
	return forward_free(forward);
}

/* Until when its reader is waited for at its end: others wait meanwhile, and so it is its user's time. */
static unsigned long long last_moment(const Forward *forward)
{
	const Session *session = forward->session;
	Broker *broker = session->broker;
	unsigned long long now = now_usec(), until = now + LAST_USEC;
	unsigned long long end_of_all = broker->readers_until;

	if (rate_is_overdrawn(broker->rates, session->owner.uid, now))
		return now;
	return end_of_all > 0 && end_of_all < until ? end_of_all : until;
}

/* Return: whether there is time until then, and an answer comes, if the sink is one that answers. */
static bool wait_until(Forward *forward, unsigned long long until)
{
	unsigned long long now = now_usec(), later;
	bool answers;

	if (now >= until)
		return false;
	answers = sink_wait(&forward->sink, until - now);
	later = now_usec();
	slept_usec(later - now);
	return answers && later < until;
}

void forward_end(Forward *forward)
{
	unsigned long long until = last_moment(forward);
	int r;

	if (forward_has_ended(forward))
		return;
	do
		r = turn(forward);
	while ((r > 0 && now_usec() < until) || (r == -EAGAIN && wait_until(forward, until)));
	log_end(forward, r < 0 && r != -EAGAIN ? r : -EPIPE);
	end(forward, until);
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	Forward *forward = userdata;
	Session *session = forward->session;
	int r;

	if (session_count_delivered(session) != forward->delivered_before &&
	    ++forward->patience_turns < MAX_PATIENCE) {
		forward->delivered_before = session_count_delivered(session);
		r = sd_event_source_set_time_relative(source, PATIENCE_USEC);
		if (r >= 0)
			r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
		if (r >= 0)
			return 0;
	}
	forward->done(session);
	return 0;
}

int forward_finish(Forward *forward, ForwardDone done)
{
	int r;

	if (forward_has_ended(forward)) {
		done(forward->session);
		return 0;
	}
	if (forward->done)
		return 0;
	forward->delivered_before = session_count_delivered(forward->session);
	r = sd_event_add_time_relative(forward->session->broker->event, &forward->patience,
				       CLOCK_MONOTONIC, PATIENCE_USEC, 0, on_patience, forward);
	if (r < 0)
		return r;
	forward->done = done;
	go_on(forward);
	return 0;
}

/* ---- From one daemon to the next ---------------------------------------------------------------- */

/* What forward_leave writes: this, n_marks marks whose ends count from the bytes' beginning,
 * and n_bytes. */
typedef struct Left {
	uint64_t n_bytes;
	uint64_t n_marks;
	uint64_t in_flight; /* of the bytes, the first: on their way into a pipe */
	struct LeftMark {
		uint64_t end;
		uint64_t breakpoint;
	} marks[];
} Left;

int forward_new_ended(Session *session, Forward **ret)
{
	Forward *forward = calloc(1, sizeof(*forward));

	if (!forward)
		return -ENOMEM;
	forward->session = session;
	forward->sink = SINK_NONE;
	*ret = forward;
	return 0;
}

const Sink *forward_sink(const Forward *forward)
{
	return &forward->sink;
}

ForwardFormat forward_format(const Forward *forward)
{
	return forward->format;
}

int forward_leave(Forward *forward, void **ret, size_t *ret_bytes)
{
	unsigned long long until = last_moment(forward);
	size_t n_bytes, n_marks, bytes;
	Left *left;
	int r;

	do
		r = flush(forward);
	while (r == 0 && wait_until(forward, until));
	if (r < 0)
		end_with(forward, r);
	*ret = NULL;
	*ret_bytes = 0;
	n_bytes = forward->filled - forward->written;
	n_marks = forward->n_marks - forward->next_mark;
	if (n_bytes == 0)
		return 0;
	bytes = sizeof(*left) + n_marks * sizeof(left->marks[0]) + n_bytes;
	left = calloc(1, bytes);
	if (!left)
		return -ENOMEM;
	left->n_bytes = n_bytes;
	left->n_marks = n_marks;
	left->in_flight = sink_in_flight(&forward->sink);
	for (size_t i = 0; i < n_marks; i++) {
		const Mark *mark = &forward->marks[forward->next_mark + i];

		left->marks[i].end = mark->end - forward->written;
		left->marks[i].breakpoint = mark->breakpoint;
	}
	memcpy(&left->marks[n_marks], forward->bytes + forward->written, n_bytes);
	*ret = left;
	*ret_bytes = bytes;
	return 0;
}

int forward_go_on(Forward *forward, const void *from, size_t bytes)
{
	const Left *left = from;
	uint64_t before = 0;
	int r;

	if (bytes < sizeof(*left) || left->n_marks == 0 || left->n_marks > BATCH_RECORDS ||
	    left->n_bytes >= bytes ||
	    bytes != sizeof(*left) + left->n_marks * sizeof(left->marks[0]) + left->n_bytes)
		return -EBADMSG;
	for (size_t i = 0; i < left->n_marks; i++) {
		if (left->marks[i].end <= before || left->marks[i].end > left->n_bytes ||
		    left->marks[i].breakpoint > UINT32_MAX)
			return -EBADMSG;
		before = left->marks[i].end;
		forward->marks[i] = (Mark){.end = before,
					   .breakpoint = (uint32_t)left->marks[i].breakpoint};
	}
	if (before != left->n_bytes || left->in_flight > left->n_bytes)
		return -EBADMSG;
	r = append(forward, &left->marks[left->n_marks], left->n_bytes);
	if (r < 0)
		return r;
	forward->n_marks = (unsigned)left->n_marks;
	sink_set_in_flight(&forward->sink, left->in_flight);
	return wait_for(forward, true);
}
