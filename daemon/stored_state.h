/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is written down of sessions, breakpoints and lent filters for the daemon that comes after this
 * one. Each record is a memfd, sealed against any change, and stands in a box (box.h) before the
 * descriptors that it is about: n_fds of them, in the order that is said here.
 *
 * What a later daemon reads was written by one of the same version, or it is not believed: sizes,
 * seals, kinds and the ends of strings are checked here, what the descriptors are by those who take
 * them over. Whatever the kernel knows is not written down: whether a breakpoint is enabled, its counts
 * and its parameters are in its maps.
 */
#ifndef STORED_STATE_H
#define STORED_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counted up at each change of what is written down. A build may say another one: the tests' has one
 * from the future. */
#ifndef STORED_VERSION
#define STORED_VERSION 3
#endif

enum {
	STORED_SESSION = 1,
	STORED_BREAKPOINT = 2,
	STORED_LENT_FILTER = 3,
};

enum {
	STORED_MAX_NAME = 255, /* of a bus connection */
	STORED_MAX_CLIENT = 64,
	STORED_BUS_ID = 32,
};

typedef struct StoredHeader {
	char magic[8];
	uint32_t version;
	uint32_t kind;
	uint32_t bytes; /* of the whole record */
	uint32_t n_fds; /* that follow it */
} StoredHeader;

/* Whose it is: a connection of that bus, opened by that process. */
typedef struct StoredOwner {
	uint32_t uid;
	int32_t pid;
	char bus_id[STORED_BUS_ID + 1];
	char name[STORED_MAX_NAME + 1]; /* unique; "": it lingers without one */
} StoredOwner;

enum {
	STORED_APPROVED = 1 << 0,
	STORED_LINGERS = 1 << 1,
	STORED_RING_TAKEN = 1 << 2,
	STORED_FORWARDED = 1 << 3, /* and then the other two may be */
	STORED_HAS_SINK = 1 << 4,
	STORED_BINARY = 1 << 5,
	/* The daemon left in order: it has read no hit since this was written. */
	STORED_LEFT = 1 << 6,
	STORED_SINK_IS_PIPE = 1 << 7, /* with STORED_HAS_SINK */
	STORED_HAS_EXEC_WATCH = 1 << 8, /* on a kernel without BTF */
	STORED_SESSION_FLAGS = (1 << 9) - 1,
};

/* Then what was taken out of the ring and not yet delivered, unsent_bytes as forward.h has it. Followed
 * by: the target's pidfd, the ring, the owner's pidfd if there is an owner, the event that stands for the
 * target's exec if there is one (process.h), the sink if there is one: a socket, or of a pipe what
 * pipe_relay.h has, never the pipe. */
typedef struct StoredSession {
	StoredHeader header;
	uint32_t number;
	uint32_t flags;
	int32_t target_pid;
	uint32_t last_breakpoint;
	uint32_t n_breakpoints; /* records of breakpoints in the box, or more */
	uint32_t unsent_bytes;
	uint64_t target_exec_id;
	uint64_t ring_bytes;
	uint64_t removed_hits;
	uint64_t removed_dropped;
	uint64_t removed_delivered, removed_undelivered;
	StoredOwner owner;
	char client[STORED_MAX_CLIENT + 1];
} StoredSession;

enum {
	STORED_HAS_PARAMETERS = 1 << 0,
	STORED_HAS_COUNTER = 1 << 1,
	STORED_FILTER_FLAGS = (1 << 2) - 1,
};

/* Its descriptors: program, control, counters, then those that the flags name. */
typedef struct StoredFilter {
	uint32_t flags;
	uint32_t n_slots;
	uint32_t n_parameters;
	uint32_t n_insns;
} StoredFilter;

typedef struct StoredEvent {
	int32_t tid;
	uint32_t reserved; /* 0 */
	uint64_t id;
} StoredEvent;

/* Then n_events of StoredEvent and the spec's text, spec_bytes without a NUL. Followed by the filter's
 * descriptors and the events'. */
typedef struct StoredBreakpoint {
	StoredHeader header;
	uint32_t number;
	uint32_t n_events;
	uint32_t spec_bytes;
	StoredFilter filter;
	uint32_t reserved; /* 0 */
} StoredBreakpoint;

enum {
	STORED_HAS_RING = 1 << 0,
	STORED_LENT_FLAGS = (1 << 1) - 1,
};

/* Followed by: the owner's pidfd, the filter's descriptors, the ring if it has one. */
typedef struct StoredLentFilter {
	StoredHeader header;
	uint32_t number;
	uint32_t flags;
	uint64_t ring_bytes;
	StoredFilter filter;
	StoredOwner owner;
} StoredLentFilter;

/*
 * Writes a record: its fixed part, whose header is filled in but for `kind` and `n_fds`, and `more`.
 *
 * Return: the memfd; negative errno.
 */
int stored_write(StoredHeader *record, size_t bytes, const void *more, size_t more_bytes);

/*
 * Reads what stored_write wrote. `n_left` descriptors follow it in the box.
 *
 * Return: 0 and *ret (free()), one of the structs above by its kind, checked as far as it can be
 * without the kernel; -EBADMSG when it is no record, none of ours, or none of this version; -ENODATA
 * when it is whole but fewer descriptors follow it than it is about; another negative errno.
 */
int stored_read(int fd, size_t n_left, StoredHeader **ret);

/* What is behind a session's record that was read. */
const void *stored_unsent(const StoredSession *record);

/* The two parts behind a breakpoint's record that was read. */
const StoredEvent *stored_events(const StoredBreakpoint *record);
const char *stored_spec(const StoredBreakpoint *record);

/* Descriptors of a filter. */
size_t stored_filter_fds(const StoredFilter *filter);

#endif
