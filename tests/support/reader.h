/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reading end of forwarded hits: pipe or socket, whole records only. Every record is looked at:
 * that it is whole, of one breakpoint with the captured register rdi, and that no sequence number comes
 * twice.
 */
#ifndef SUPPORT_READER_H
#define SUPPORT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	READER_MAX_SEQUENCES = 1 << 17,
};

typedef struct Reader {
	int read_fd, write_fd;
	bool binary;   /* else a line of JSON a record */
	bool messages; /* a record a message */
	bool ended;    /* at the end of the stream */
	char *bytes;   /* what is not a whole record yet */
	size_t n_bytes;
	uint64_t records;
	bool *sequences;
	uint32_t pid; /* that each record must name */
} Reader;

/* "pipe", "stream", "dgram" or "seqpacket". */
void reader_open(Reader *reader, const char *kind, const char *format, uint32_t pid);
/* This process's copy of the end that the daemon writes to. */
void reader_close_sink(Reader *reader);
void reader_close(Reader *reader);

/* Reads what is there now. */
void reader_read(Reader *reader);

/* Waits until there is something to be read; fails the test case after 20 s. */
void reader_wait_readable(const Reader *reader);

/* Reads until so many records have come, in all; fails the test case after 20 s. */
void reader_wait(Reader *reader, uint64_t records);

/* Reads until the other end has been closed; nothing of a record may be left over. */
void reader_wait_end(Reader *reader);

#endif
