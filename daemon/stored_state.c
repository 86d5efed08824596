/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "daemon/stored_state.h"
#include "daemon/util.h"
#include "json/utf8.h"

/* Far above the largest that is ever written: a spec's text and its events. */
#define MAX_RECORD_BYTES (16 * 1024 * 1024)

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const char magic[8] = "bpcondst";

int stored_write(StoredHeader *record, size_t bytes, const void *more, size_t more_bytes)
{
	struct iovec parts[] = {{record, bytes}, {(void *)more, more_bytes}};
	_cleanup_close_ int fd = -EBADF;
	ssize_t written;

	memcpy(record->magic, magic, sizeof(magic));
	record->version = STORED_VERSION;
	record->bytes = bytes + more_bytes;
	fd = memfd_create("bpcond-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	written = writev(fd, parts, more_bytes > 0 ? 2 : 1);
	if (written < 0)
		return -errno;
	if ((size_t)written != bytes + more_bytes)
		return -ENOSPC;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return take_fd(&fd);
}

/* It ends, and can be sent over the bus: one that cannot would take every listing with it. */
static bool is_text(const char *text, size_t room)
{
	size_t at = 0, length;

	if (!memchr(text, '\0', room))
		return false;
	while (text[at]) {
		length = utf8_length(text + at, room - at);
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

static bool owner_is_whole(const StoredOwner *owner, bool needed)
{
	return owner->pid > 0 && is_text(owner->bus_id, sizeof(owner->bus_id)) &&
	       is_text(owner->name, sizeof(owner->name)) &&
	       (owner->name[0] == ':' || (!needed && owner->name[0] == '\0'));
}

static bool filter_is_whole(const StoredFilter *filter)
{
	return !(filter->flags & ~(uint32_t)STORED_FILTER_FLAGS) && filter->n_slots > 0 &&
	       !!filter->n_parameters == !!(filter->flags & STORED_HAS_PARAMETERS);
}

static bool session_is_whole(const StoredSession *record)
{
	const uint32_t flags = record->flags;
	const bool has_sink = flags & STORED_HAS_SINK;
	const bool is_pipe = flags & STORED_SINK_IS_PIPE;
	const uint32_t n_sink_fds = is_pipe ? 3 : has_sink;

	if (record->header.bytes != sizeof(*record) + (uint64_t)record->unsent_bytes ||
	    flags & ~(uint32_t)STORED_SESSION_FLAGS ||
	    (flags & STORED_RING_TAKEN && flags & STORED_FORWARDED) ||
	    (!(flags & STORED_FORWARDED) && flags & (STORED_HAS_SINK | STORED_BINARY)) ||
	    (record->unsent_bytes > 0 && !has_sink) || (is_pipe && !has_sink))
		return false;
	return record->number > 0 && record->target_pid > 0 && record->target_exec_id > 0 &&
	       owner_is_whole(&record->owner, !(flags & STORED_LINGERS)) &&
	       is_text(record->client, sizeof(record->client)) &&
	       record->header.n_fds == 2U + (record->owner.name[0] != '\0') +
					       !!(flags & STORED_HAS_EXEC_WATCH) + n_sink_fds;
}

static bool breakpoint_is_whole(const StoredBreakpoint *record)
{
	const StoredEvent *events = stored_events(record);

	if (record->header.bytes < sizeof(*record) || record->number == 0 ||
	    record->reserved != 0 || !filter_is_whole(&record->filter) ||
	    record->filter.flags & STORED_HAS_COUNTER)
		return false;
	if (record->header.n_fds != stored_filter_fds(&record->filter) + (uint64_t)record->n_events)
		return false;
	if (record->header.bytes !=
	    sizeof(*record) + record->n_events * (uint64_t)sizeof(StoredEvent) + record->spec_bytes)
		return false;
	for (uint32_t i = 0; i < record->n_events; i++)
		if (events[i].tid <= 0 || events[i].reserved != 0)
			return false;
	return true;
}

static bool lent_filter_is_whole(const StoredLentFilter *record)
{
	const uint32_t ring = record->flags & STORED_HAS_RING;

	return record->header.bytes == sizeof(*record) && record->number > 0 &&
	       !(record->flags & ~(uint32_t)STORED_LENT_FLAGS) && !!ring == !!record->ring_bytes &&
	       filter_is_whole(&record->filter) && owner_is_whole(&record->owner, true) &&
	       record->header.n_fds == 1 + stored_filter_fds(&record->filter) + !!ring;
}

static size_t fixed_bytes(uint32_t kind)
{
	switch (kind) {
	case STORED_SESSION:
		return sizeof(StoredSession);
	case STORED_BREAKPOINT:
		return sizeof(StoredBreakpoint);
	case STORED_LENT_FILTER:
		return sizeof(StoredLentFilter);
	}
	return SIZE_MAX;
}

static bool is_whole(const StoredHeader *record)
{
	switch (record->kind) {
	case STORED_SESSION:
		return session_is_whole((const StoredSession *)record);
	case STORED_BREAKPOINT:
		return breakpoint_is_whole((const StoredBreakpoint *)record);
	case STORED_LENT_FILTER:
		return lent_filter_is_whole((const StoredLentFilter *)record);
	}
	return false;
}

int stored_read(int fd, size_t n_left, StoredHeader **ret)
{
	_cleanup_free_ StoredHeader *record = NULL;
	struct stat st;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EBADMSG;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(*record) || st.st_size > MAX_RECORD_BYTES)
		return -EBADMSG;
	record = malloc(st.st_size);
	if (!record)
		return -ENOMEM;
	if (pread(fd, record, st.st_size, 0) != st.st_size)
		return -EBADMSG;
	if (memcmp(record->magic, magic, sizeof(magic)) != 0 || record->version != STORED_VERSION ||
	    record->bytes != st.st_size || record->bytes < fixed_bytes(record->kind) ||
	    !is_whole(record))
		return -EBADMSG;
	if (record->n_fds > n_left)
		return -ENODATA;
	*ret = record;
	record = NULL;
	return 0;
}

const void *stored_unsent(const StoredSession *record)
{
	return record + 1;
}

const StoredEvent *stored_events(const StoredBreakpoint *record)
{
	return (const StoredEvent *)(record + 1);
}

const char *stored_spec(const StoredBreakpoint *record)
{
	return (const char *)(stored_events(record) + record->n_events);
}

size_t stored_filter_fds(const StoredFilter *filter)
{
	return 3 + !!(filter->flags & STORED_HAS_PARAMETERS) +
	       !!(filter->flags & STORED_HAS_COUNTER);
}
