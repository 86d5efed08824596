/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes out of rings and sinks: each record is of a hit that may be, and comes once. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/worker.h"
#include "tests/support/machine.h"

enum {
	ROOM = 1 << 18,
};

void hold_see(Worker *worker, Hold *hold, uint32_t number, uint64_t sequence, uint64_t argument)
{
	for (unsigned i = 0; i < hold->n_items; i++) {
		Item *item = hold->items[i];

		if (item->number != number)
			continue;
		if (sequence >= WORKER_SEQUENCES)
			worker_fail(worker, "a record has the sequence number %" PRIu64, sequence);
		if (item->seen[sequence / 8] & 1 << sequence % 8)
			worker_fail(worker, "%s, breakpoint %u: hit %" PRIu64 " came twice",
				    hold->path, number, sequence);
		if (!watch_may_record(&item->watch, argument))
			worker_fail(worker, "%s, breakpoint %u: a hit with %" PRIu64, hold->path,
				    number, argument);
		item->seen[sequence / 8] |= (uint8_t)(1 << sequence % 8);
		item->records++;
		soak_count(worker->soak, SOAK_RECORDS, 1);
		return;
	}
	/* Of one that was removed: it was compared before that, with nothing left to read. */
	worker_fail(worker, "%s: a record of breakpoint %u, which there is not", hold->path,
		    number);
}

static void see_hit(Worker *worker, Hold *hold, const struct bpcond_hit *hit)
{
	uint64_t argument;

	if (bpcond_hit_register(hit, REG_ARG1, &argument) < 0)
		worker_fail(worker, "a hit without the register that was asked for");
	if (!hold->prey->killed && hit->pid != (uint32_t)hold->prey->pid)
		worker_fail(worker, "a hit of process %u, not %d", hit->pid, hold->prey->pid);
	hold_see(worker, hold, hit->breakpoint, hit->sequence, argument);
}

static int read_ring(Worker *worker, Hold *hold)
{
	const struct bpcond_hit *hit;
	int r;

	for (;;) {
		r = hold->kind == HOLD_LENT ? bpcond_filter_wait(hold->filter, 0, &hit)
					    : bpcond_session_wait(hold->session, 0, &hit);
		if (r != 1)
			break;
		see_hit(worker, hold, hit);
	}
	if (r == -EBADMSG)
		worker_fail(worker, "%s: a record that makes no sense", hold->path);
	return r == -EINTR ? 0 : r;
}

/* Return: how many bytes the first record has; 0 when not all of it is there. */
static size_t see_first(Worker *worker, Hold *hold, char *at, size_t have)
{
	static const char before_argument[] = "\"" ARG1 "\":\"0x";
	unsigned long number, sequence, argument;
	const char *registers;
	char *end;

	if (hold->sink_binary) {
		union {
			struct bpcond_hit hit;
			char bytes[16384];
		} record;

		if (have < sizeof(record.hit))
			return 0;
		memcpy(&record.hit, at, sizeof(record.hit));
		if (record.hit.size > sizeof(record))
			worker_fail(worker, "a record of %u bytes", record.hit.size);
		if (have < record.hit.size)
			return 0;
		memcpy(record.bytes, at, record.hit.size);
		if (bpcond_hit_check(&record.hit, record.hit.size) < 0)
			worker_fail(worker, "%s: a record in the sink makes no sense", hold->path);
		see_hit(worker, hold, &record.hit);
		return record.hit.size;
	}
	end = memchr(at, '\n', have);
	if (!end)
		return 0;
	*end = '\0';
	registers = strstr(at, before_argument);
	if (sscanf(at, "{\"breakpoint\":%lu,\"sequence\":%lu,", &number, &sequence) != 2 ||
	    !registers || sscanf(registers + strlen(before_argument), "%lx", &argument) != 1 ||
	    end[-1] != '}')
		worker_fail(worker, "%s: a line in the sink is no hit: %s", hold->path, at);
	hold_see(worker, hold, (uint32_t)number, sequence, argument);
	return (size_t)(end - at) + 1;
}

static void read_sink(Worker *worker, Hold *hold)
{
	size_t at, size;
	ssize_t n;

	if (!hold->bytes)
		hold->bytes = malloc(ROOM);
	if (!hold->bytes)
		worker_fail(worker, "out of memory");
	while (!hold->sink_ended) {
		n = read(hold->sink_fd, hold->bytes + hold->n_bytes, ROOM - hold->n_bytes);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			worker_fail(worker, "reading a sink: %s", strerror(errno));
		hold->sink_ended = n == 0;
		hold->n_bytes += (size_t)n;
		for (at = 0; at < hold->n_bytes; at += size) {
			size = see_first(worker, hold, hold->bytes + at, hold->n_bytes - at);
			if (size == 0)
				break;
		}
		memmove(hold->bytes, hold->bytes + at, hold->n_bytes - at);
		hold->n_bytes -= at;
	}
	if (hold->n_bytes > 0)
		worker_fail(worker, "%s: the sink ends within a record", hold->path);
}

int hold_read(Worker *worker, Hold *hold)
{
	if (hold->kind == HOLD_LINGERING)
		return 0;
	if (hold->kind == HOLD_FORWARD)
		read_sink(worker, hold);
	return read_ring(worker, hold);
}
