/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/machine.h"
#include "tests/support/reader.h"

#include <bpcond/bpcond.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/integration.h"
#include "tests/support/process.h"

enum {
	ROOM = 1 << 20,
	DEADLINE_MS = 20000,
};

void reader_open(Reader *reader, const char *kind, const char *format, uint32_t pid)
{
	int fds[2], type = SOCK_STREAM;

	*reader = (Reader){.binary = strcmp(format, "binary") == 0, .pid = pid};
	if (strcmp(kind, "pipe") == 0) {
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	} else {
		if (strcmp(kind, "dgram") == 0)
			type = SOCK_DGRAM;
		else if (strcmp(kind, "seqpacket") == 0)
			type = SOCK_SEQPACKET;
		reader->messages = type != SOCK_STREAM;
		ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	}
	reader->read_fd = fds[0];
	reader->write_fd = fds[1];
	reader->bytes = malloc(ROOM);
	reader->sequences = calloc(READER_MAX_SEQUENCES, sizeof(bool));
	ck_assert_ptr_nonnull(reader->bytes);
	ck_assert_ptr_nonnull(reader->sequences);
}

void reader_close_sink(Reader *reader)
{
	close(reader->write_fd);
	reader->write_fd = -EBADF;
}

void reader_close(Reader *reader)
{
	close(reader->read_fd);
	if (reader->write_fd >= 0)
		close(reader->write_fd);
	free(reader->bytes);
	free(reader->sequences);
}

static void see(Reader *reader, uint64_t sequence, uint32_t pid)
{
	check_often(pid == reader->pid && sequence < READER_MAX_SEQUENCES, "hit %lu of process %u",
		    (unsigned long)sequence, (unsigned)pid);
	check_often(!reader->sequences[sequence], "hit %lu came twice", (unsigned long)sequence);
	reader->sequences[sequence] = true;
	reader->records++;
}

/* A line to its last character, by what the contract says of its form. */
static void see_line(Reader *reader, const char *line, size_t length)
{
	unsigned long breakpoint, sequence, pid, tid, cpu, time, address, rdi;
	int n = 0, end = 0;

	sscanf(line,
	       "{\"breakpoint\":%lu,\"sequence\":%lu,\"pid\":%lu,\"tid\":%lu,\"cpu\":%lu,\"time\":%"
	       "lu,"
	       "\"address\":\"0x%lx\",\"flags\":[],\"registers\":{\"" ARG1
	       "\":\"0x%lx\"},\"memory\":[%"
	       "n",
	       &breakpoint, &sequence, &pid, &tid, &cpu, &time, &address, &rdi, &n);
	check_often(n > 0, "a line is not a hit: %.*s", (int)length, line);
	if (line[n] != ']') {
		ck_assert_int_eq(strncmp(line + n, "{\"at\":\"0x", 9), 0);
		n += (int)strspn(line + n, "{\"at:0123456789bcdefxr,}");
	}
	sscanf(line + n, "],\"stack\":[]}%n", &end);
	check_often(end > 0 && (size_t)(n + end) == length, "a line ends in %s", line + n);
	see(reader, sequence, (uint32_t)pid);
}

/* Return: how many bytes the first record has; 0 when it is not there as a whole. */
static size_t see_first(Reader *reader, size_t from)
{
	const char *at = reader->bytes + from;
	size_t have = reader->n_bytes - from;

	if (reader->binary) {
		union {
			struct bpcond_hit hit;
			char bytes[65536];
		} record;

		if (have < sizeof(record.hit))
			return 0;
		memcpy(&record.hit, at, sizeof(record.hit));
		check_often(record.hit.size <= sizeof(record), "%u bytes", record.hit.size);
		if (have < record.hit.size)
			return 0;
		memcpy(record.bytes, at, record.hit.size);
		check_often(bpcond_hit_check(&record.hit, record.hit.size) == 0, "no record");
		see(reader, record.hit.sequence, record.hit.pid);
		return record.hit.size;
	} else {
		char *end = memchr(at, '\n', have);

		if (!end)
			return 0;
		*end = '\0';
		see_line(reader, at, (size_t)(end - at));
		return (size_t)(end - at) + 1;
	}
}

static void take_apart(Reader *reader)
{
	size_t from = 0, size;

	do {
		size = see_first(reader, from);
		from += size;
	} while (size > 0 && from < reader->n_bytes);
	memmove(reader->bytes, reader->bytes + from, reader->n_bytes - from);
	reader->n_bytes -= from;
	if (reader->messages)
		check_often(reader->n_bytes == 0, "a message is not one hit");
}

/* Return: whether anything came. */
static bool read_some(Reader *reader, int timeout_ms)
{
	struct pollfd wait = {.fd = reader->read_fd, .events = POLLIN};
	ssize_t n;

	if (reader->ended || poll(&wait, 1, timeout_ms) <= 0)
		return false;
	ck_assert_uint_lt(reader->n_bytes, ROOM);
	n = read(reader->read_fd, reader->bytes + reader->n_bytes, ROOM - reader->n_bytes);
	ck_assert_int_ge(n, 0);
	if (n == 0) {
		reader->ended = true;
		return false;
	}
	reader->n_bytes += (size_t)n;
	take_apart(reader);
	return true;
}

void reader_read(Reader *reader)
{
	while (read_some(reader, 0))
		;
}

void reader_wait_readable(const Reader *reader)
{
	struct pollfd pollfd = {.fd = reader->read_fd, .events = POLLIN};

	ck_assert_msg(poll(&pollfd, 1, DEADLINE_MS) == 1, "nothing comes");
}

void reader_wait(Reader *reader, uint64_t records)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	while (reader->records < records) {
		ck_assert_msg(now_ms() < deadline && !reader->ended, "%lu records of %lu",
			      (unsigned long)reader->records, (unsigned long)records);
		read_some(reader, 50);
	}
}

void reader_wait_end(Reader *reader)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	while (!reader->ended) {
		ck_assert_msg(now_ms() < deadline, "the sink stays open");
		read_some(reader, 50);
	}
	ck_assert_msg(reader->n_bytes == 0, "the last record is torn, after %lu: %.*s",
		      (unsigned long)reader->records, (int)reader->n_bytes, reader->bytes);
}
