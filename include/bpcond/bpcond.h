/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libbpcond-client: conditional hardware breakpoints for a program of your own.
 *
 * The daemon bpcondd installs a breakpoint with a condition on every thread of a process that you may
 * debug. The kernel evaluates the condition at each trap; only the hits reach this library, through
 * a ring that the kernel writes and this process reads. The daemon is not in the path of a hit.
 *
 *	bpcond_client *client;
 *	bpcond_session *session;
 *	const struct bpcond_hit *hit;
 *	bpcond_request request = {.size = sizeof(request), .location = "libc.so.6:malloc",
 *				  .condition = "$rdi == 4096", .registers = "rip,rdi"};
 *
 *	bpcond_client_new(&client);
 *	bpcond_client_connect(client, NULL);
 *	bpcond_session_open(client, pid, NULL, &session);
 *	bpcond_session_break(session, &request, NULL);
 *	while (bpcond_session_wait(session, -1, &hit) > 0)
 *		printf("thread %u\n", hit->tid);
 *	bpcond_client_free(client);
 *
 * Errors. A function returns 0 or a negative errno; those that return something else say so. What
 * went wrong, in words, is in bpcond_client_error(). Errors of the daemon come as
 *	InvalidSpec, InvalidCondition -EINVAL	NoSuchTarget, TargetExited -ESRCH
 *	NotAuthorized -EACCES			NoFreeSlot -ENOSPC
 *	QuotaExceeded -EDQUOT			NotSupported -EOPNOTSUPP
 * A daemon that cannot be reached is -EHOSTUNREACH, one that does not answer -ETIMEDOUT, one that was
 * there and is gone, or whose bus is, -ECONNRESET; a client without a connection is told -ENOTCONN. `ret`
 * arguments are written only on success; where a comment does not say otherwise they must not be NULL.
 *
 * Ownership. A client owns its sessions and its lent filters, a session its breakpoints: freeing one
 * frees what it owns.
 * Strings and hits that are returned as const belong to the library.
 *
 * Threads. There is no state outside the objects. One client, with all that it owns, is for one
 * thread at a time; different clients are independent. bpcond_breakpoint_counters(),
 * bpcond_filter_counters() and stores to parameters are good from any thread as long as the breakpoint
 * or filter lives. The library installs no
 * signal handler, starts no thread, and never ends the process. A client does not survive fork().
 */
#ifndef BPCOND_BPCOND_H
#define BPCOND_BPCOND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <bpcond/hit.h>
#include <bpcond/text.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bpcond_client bpcond_client;
typedef struct bpcond_session bpcond_session;
typedef struct bpcond_breakpoint bpcond_breakpoint;
typedef struct bpcond_filter bpcond_filter;

/* ---- Errors ---------------------------------------------------------------------------------- */

enum bpcond_error_part {
	BPCOND_PART_NONE = 0,
	BPCOND_PART_LOCATION,
	BPCOND_PART_CONDITION,
	BPCOND_PART_MEMORY, /* part_index says which of bpcond_request.memory */
};

typedef struct bpcond_error {
	int number;         /* the negative errno that the function returned; 0: no error yet */
	char name[96];      /* the D-Bus error, as org.bpcond1.Error.NoFreeSlot */
	char message[1024]; /* for a person; says what to do */
	/* Of a text: which one, and where in it the mistake is, from 1, columns in bytes. */
	enum bpcond_error_part part;
	unsigned part_index;
	unsigned line, column;
} bpcond_error;

/* ---- Client ---------------------------------------------------------------------------------- */

/* Return: 0 and *ret (bpcond_client_free); -ENOMEM. Touches no bus. */
int bpcond_client_new(bpcond_client **ret);

/* Frees the client with its sessions and their breakpoints; the breakpoints end. Takes NULL.
 * Return: NULL. */
bpcond_client *bpcond_client_free(bpcond_client *client);

/*
 * Connects to a message bus and makes sure that the daemon answers there. `address` is a D-Bus
 * address; NULL is the system bus (which DBUS_SYSTEM_BUS_ADDRESS moves). A client connects once.
 *
 * Return: 0; -EHOSTUNREACH when there is no such bus or no daemon on it; -EISCONN; a negative errno.
 */
int bpcond_client_connect(bpcond_client *client, const char *address);

/* The last error of the client or of anything it owns. Never NULL; valid, and the same, until the
 * next call that fails. */
const bpcond_error *bpcond_client_error(const bpcond_client *client);

/* The daemon's version, as found by bpcond_client_connect; NULL before. */
const char *bpcond_client_daemon_version(const bpcond_client *client);

/*
 * Asks the daemon what it thinks of a spec, without side effects.
 *
 * Return: 0 and *ret_report (free()), JSON: {"ok": true, "spec": the normal form, "instructions": N,
 * "code": the condition's instructions as lines of text} or {"ok": false, "error": {"name", "path",
 * "offset", "message"}}.
 */
int bpcond_client_check_spec(bpcond_client *client, const char *spec, char **ret_report);

/* ---- Session --------------------------------------------------------------------------------- */

enum bpcond_forward {
	BPCOND_FORWARD_NONE = 0,
	BPCOND_FORWARD_JSON_LINES, /* as bpcond_hit_to_json, a line each */
	BPCOND_FORWARD_BINARY,     /* struct bpcond_hit and what follows it, one behind the other */
};

typedef struct bpcond_session_options {
	size_t size;         /* sizeof(bpcond_session_options) */
	uint64_t hits_bytes; /* of the ring, a power of two; 0: the daemon's default */
	const char *name;    /* of this program in listings; NULL: its short name */
	/*
	 * Has the daemon write every hit into forward_fd, and this process read none: the write end of a
	 * pipe, or a connected UNIX socket (of datagrams: a hit each), which stays the caller's and can be
	 * closed. bpcond_session_wait() then tells nothing but the end. The daemon never waits for the
	 * reader: what it does not read in time counts as dropped, and so does everything once it has
	 * closed its end; bpcond_breakpoint_counts() knows both, bpcond_breakpoint_counters() neither.
	 */
	enum bpcond_forward forward;
	int forward_fd; /* only looked at with `forward` */
} bpcond_session_options;

enum bpcond_end {
	BPCOND_RUNNING = 0,
	BPCOND_TARGET_EXITED,
	BPCOND_TARGET_EXEC, /* the target runs another program now */
	BPCOND_CLOSED,      /* by bpcond_session_close */
	BPCOND_CLOSED_BY_ADMINISTRATOR,
	BPCOND_DAEMON_STOPPED, /* in good order: no hits any more */
	/* It left the bus and did not come back with this session, or the bus left us. A daemon that
	 * systemd restarts comes back with it: then nothing is noticed but that calls take longer. */
	BPCOND_DAEMON_LOST,
};

/*
 * Opens a session on a process. `pid` is the process's own id, not that of another of its threads;
 * a pidfd names it beyond doubt and stays the caller's. `options` may be NULL.
 *
 * Return: 0 and *ret (bpcond_session_free, or with the client); -ESRCH, -EACCES, -EDQUOT,
 * -EOPNOTSUPP, -EHOSTUNREACH, …
 */
int bpcond_session_open(bpcond_client *client, pid_t pid, const bpcond_session_options *options,
			bpcond_session **ret);
int bpcond_session_open_pidfd(bpcond_client *client, int pidfd,
			      const bpcond_session_options *options, bpcond_session **ret);

/* Ends the session and waits until the daemon has: no breakpoint of it hits any more. Hits that are
 * in the ring can still be read. Return: 0 also when it had ended before; a negative errno. */
int bpcond_session_close(bpcond_session *session);

/* Closes and frees. Takes NULL. Return: NULL. */
bpcond_session *bpcond_session_free(bpcond_session *session);

/* The process looked at, in this process's pid namespace. */
pid_t bpcond_session_pid(const bpcond_session *session);

/* /org/bpcond1/session/N. */
const char *bpcond_session_path(const bpcond_session *session);

/*
 * A descriptor that polls readable (POLLIN) whenever bpcond_session_wait() may have something to say:
 * hits, the end of the session, or bus traffic that must be handled. It is the library's: do
 * not read or close it. When it is readable call bpcond_session_wait(session, 0, …) until it does not
 * return 1.
 */
int bpcond_session_fd(const bpcond_session *session);

/*
 * Waits for the next hit. `timeout_ms` 0 does not block, negative waits without an end.
 *
 * Hits are delivered in the order of the ring, and all that the ring holds before the session's end is
 * reported. *ret is checked (bpcond_hit_check) and valid until the next call with this session.
 *
 * Return: 1 and *ret; 0 when the time is up (with a timeout of 0 also after mere bus traffic); -ESRCH the
 * target has exited or has called exec; -ECONNRESET the daemon is lost; -ESHUTDOWN the session was closed
 * otherwise; -ENOENT another program removed a breakpoint of the session (bpcond_breakpoint_is_removed),
 * which is reported once for each, and the session goes on; -EINTR a signal handler ran; -EBADMSG a
 * record that makes no sense, which was skipped. The end of a session is reported by every further call,
 * except to a client that has taken events (bpcond_breakpoint_take_events): its events outlive the
 * daemon, so the loss is reported once and then waiting goes on.
 */
int bpcond_session_wait(bpcond_session *session, int timeout_ms, const struct bpcond_hit **ret);

/* Why the session is over, as far as bpcond_session_wait or another call has seen. */
enum bpcond_end bpcond_session_end(const bpcond_session *session);

/* ---- Breakpoint ------------------------------------------------------------------------------ */

/*
 * Adds a breakpoint from its JSON spec. For a data breakpoint whose condition uses `previous` and
 * whose spec does not say it, the watched memory is read first, as this process may.
 *
 * Return: 0 and, if ret is not NULL, *ret (the session's; bpcond_breakpoint_remove); -EINVAL, -ENOSPC,
 * -ESRCH, …
 */
int bpcond_session_add(bpcond_session *session, const char *spec, bpcond_breakpoint **ret);

enum bpcond_access {
	BPCOND_EXECUTE = 0,
	BPCOND_WRITE,
	BPCOND_READ_WRITE,
};

typedef struct bpcond_parameter {
	const char *name;
	int64_t value;
} bpcond_parameter;

typedef struct bpcond_memory_request {
	const char *at; /* a text expression, evaluated at the hit, as "$rsi + 8" */
	uint32_t length;
} bpcond_memory_request;

/* A breakpoint in words. All that is not set is left to the default. */
typedef struct bpcond_request {
	size_t size; /* sizeof(bpcond_request) */

	/* 0xADDR, SYMBOL[+OFF], MODULE:SYMBOL[+OFF] or FILE.c:LINE. */
	const char *location;
	enum bpcond_access access;
	/* Of data: 1, 2, 4 or 8. 0: the symbol's size if it is one of these, else 8; where the address is
	 * not divisible by 8 the size of the array's element that begins there. */
	uint32_t length;
	/* In C's syntax; NULL: always. */
	const char *condition;
	const bpcond_parameter *parameters;
	size_t n_parameters;

	uint64_t skip, every, limit;

	const char *registers; /* captured at a hit: "rip,rdi" or "all" */
	const bpcond_memory_request *memory;
	size_t n_memory;
	uint32_t stack; /* return addresses at the most */

	const char *signal; /* as "SIGSTOP", sent to the thread that hit */
	int kernel_accesses;
	int fault_is_rejection; /* a condition that cannot be computed is no hit */
	int events;             /* for bpcond_breakpoint_take_events */
	int disabled;           /* until bpcond_breakpoint_enable */
} bpcond_request;

/*
 * Resolves the location and the names in the texts in process `pid`, which needs the right to read
 * it, and writes the JSON spec of the request. `error` may be NULL.
 *
 * Return: 0 and *ret_spec (free()); -EINVAL for a text that is wrong, with its place in *error; -ENOENT
 * for a location that is not there; -ESRCH; -EACCES; a negative errno.
 */
int bpcond_spec_from_request(pid_t pid, const bpcond_request *request, char **ret_spec,
			     bpcond_error *error);

/* bpcond_spec_from_request and bpcond_session_add. ret may be NULL. */
int bpcond_session_break(bpcond_session *session, const bpcond_request *request,
			 bpcond_breakpoint **ret);

/* The breakpoint of a hit (hit->breakpoint); NULL when it has been removed. */
bpcond_breakpoint *bpcond_session_breakpoint(const bpcond_session *session, uint32_t number);

/* Ends the breakpoint and frees it. The object is gone also when the daemon cannot be told. */
int bpcond_breakpoint_remove(bpcond_breakpoint *breakpoint);

/*
 * Whether another program of the same user, or an administrator, has removed it ('bpcondctl rm N/M'),
 * as far as bpcond_session_wait or another call has seen. Its counts are the last ones then, steering
 * it is -ENOENT, and bpcond_breakpoint_remove frees it.
 *
 * Return: 1 or 0.
 */
int bpcond_breakpoint_is_removed(const bpcond_breakpoint *breakpoint);

int bpcond_breakpoint_enable(bpcond_breakpoint *breakpoint);
/* When this returns the counts are exact. */
int bpcond_breakpoint_disable(bpcond_breakpoint *breakpoint);

uint32_t bpcond_breakpoint_number(const bpcond_breakpoint *breakpoint);
/* /org/bpcond1/session/N/breakpoint/M. */
const char *bpcond_breakpoint_path(const bpcond_breakpoint *breakpoint);

/* The threads on which it was installed, in the daemon's pid namespace; *ret is the breakpoint's.
 * Threads that started later are covered too, and not listed. Return: how many. */
size_t bpcond_breakpoint_threads(const bpcond_breakpoint *breakpoint, const pid_t **ret);

/* The counts so far, from memory that the kernel writes: no call to anyone, any thread. Exact
 * while no trap is being judged. */
void bpcond_breakpoint_counters(const bpcond_breakpoint *breakpoint, struct bpcond_counters *ret);

typedef struct bpcond_counts {
	uint64_t traps, evaluated, hits, rejected, withheld, faults, dropped, unsignalled, lost;
} bpcond_counts;

/*
 * All counts, those too that only the daemon can read: the event's own count of traps, and the traps
 * that were never shown to the filter. Exact when disabled; while running `lost` is an upper
 * bound. After the session's end, or the breakpoint's removal by another program: what the daemon
 * said of them as it ended.
 *
 * Return: 0; -ENODATA after the end of a session whose daemon left no last word; a negative errno.
 */
int bpcond_breakpoint_counts(bpcond_breakpoint *breakpoint, bpcond_counts *ret);

/*
 * The place of a parameter in the page that the filter reads: a store of 8 bytes there, atomic by
 * nature, is in force at the next trap. Valid as long as the breakpoint. Return: NULL when the spec
 * has no such parameter.
 */
volatile int64_t *bpcond_breakpoint_parameter(const bpcond_breakpoint *breakpoint,
					      const char *name);

/* Stores through bpcond_breakpoint_parameter. Return: 0, -ENOENT. */
int bpcond_breakpoint_set_parameter(bpcond_breakpoint *breakpoint, const char *name, int64_t value);

typedef struct bpcond_event {
	pid_t tid; /* in the daemon's pid namespace */
	int fd;    /* the perf event, close-on-exec */
} bpcond_event;

/*
 * Takes the perf events themselves, of a breakpoint whose spec says "events": true: for F_SETSIG and
 * F_SETOWN_EX, or to have hits go on without the daemon.
 *
 * Return: 0, *ret (free(), and close each fd) and *ret_n; a negative errno.
 */
int bpcond_breakpoint_take_events(bpcond_breakpoint *breakpoint, bpcond_event **ret, size_t *ret_n);

/* ---- Lent filters ---------------------------------------------------------------------------- */

/*
 * For debuggers that open perf events themselves. The daemon only compiles and loads: the filter comes
 * as a program that this process attaches to events of its own, any number of them, of any kind the
 * kernel lets it open. So the kernel makes every check in this process's own name, and what only an
 * event's own holder can have is there: a signal by F_SETSIG, a synchronous SIGTRAP by attr.sigtrap,
 * PERF_EVENT_IOC_MODIFY_ATTRIBUTES to move a breakpoint. A trap that the filter rejects has no effect
 * on its event: no sample, no signal, no SIGTRAP (Linux 6.10 or later: `Features` of the daemon).
 *
 * A filter looks at tasks of this user only (all ids, the user namespace, dumpable, no capability
 * beyond this process's), and of these at user registers and user memory only, wherever its event
 * fires. Of other tasks not even counts are kept.
 *
 * It is called back (nothing is a hit any more) when it is returned, when this connection to the bus
 * ends, and when the daemon is stopped; not when it is restarted.
 */
typedef struct bpcond_filter_options {
	size_t size; /* sizeof(bpcond_filter_options) */

	/* What the condition's {"param": NAME} read, with their first values. */
	const bpcond_parameter *parameters;
	size_t n_parameters;

	uint64_t hits_bytes; /* of a ring of hits, a power of two; 0: none */
	const char *capture; /* into the hits; JSON, as "capture" of a spec; NULL: nothing */
	uint64_t skip, every, limit;
	int fault_is_rejection; /* a condition that cannot be computed is no hit */
	/* Nothing is a hit while no debugger traces the thread, so that a detached process is not
	 * killed by a SIGTRAP. */
	int only_when_traced;
} bpcond_filter_options;

/*
 * Borrows a filter. `condition` is a JSON tree; bpcond_condition_from_text() makes one of a text
 * (with bpcond_text_scope.lent_filter). `options` may be NULL.
 *
 * Return: 0 and *ret (bpcond_filter_free, or with the client); -EINVAL, -EDQUOT, -EACCES,
 * -EOPNOTSUPP on a kernel without BTF, …
 */
int bpcond_filter_lend(bpcond_client *client, const char *condition,
		       const bpcond_filter_options *options, bpcond_filter **ret);

/* Gives it back: when this returns nothing is a hit any more, on whatever event. Events, counters,
 * and hits that are in the ring stay. Return: 0 also when it was called back before; a negative errno. */
int bpcond_filter_return(bpcond_filter *filter);

/* Returns and frees. Takes NULL. Return: NULL. */
bpcond_filter *bpcond_filter_free(bpcond_filter *filter);

/* The program's descriptor, for PERF_EVENT_IOC_SET_BPF. It is the library's; what it is attached to
 * stays so when the filter is freed. */
int bpcond_filter_program(const bpcond_filter *filter);

/* Attaches it to a perf event, for good. Do so before the event is enabled, or it traps unfiltered
 * until then. Return: 0; -EEXIST when the event has a filter; a negative errno. */
int bpcond_filter_attach(bpcond_filter *filter, int event_fd);

/*
 * Makes a perf event of the caller's what {"var": "counter"} reads: its count, on the thread that it
 * counts (or the CPU, of one that counts a CPU); anywhere else, and before this, the variable is a
 * fault. The event must not be inherited; its descriptor may be closed. Another call puts another in
 * its place.
 *
 * Return: 0; -ENOENT when the condition does not use it; a negative errno.
 */
int bpcond_filter_set_counter(bpcond_filter *filter, int event_fd);

/* As bpcond_breakpoint_parameter() and bpcond_breakpoint_set_parameter(): a store of 8 bytes, in force
 * at the next trap, with no call to anyone. */
volatile int64_t *bpcond_filter_parameter(const bpcond_filter *filter, const char *name);
int bpcond_filter_set_parameter(bpcond_filter *filter, const char *name, int64_t value);

/* The counts over all events that the filter is attached to, from memory that the kernel writes. How
 * often an event trapped its own read(2) tells; what that has more than `evaluated` was never shown to
 * the filter, or happened in tasks that it does not look at. */
void bpcond_filter_counters(const bpcond_filter *filter, struct bpcond_counters *ret);

/*
 * The next hit of a filter with a ring, as bpcond_session_wait(); hit->breakpoint is
 * bpcond_filter_number(). hit->address is the event's own, 0 where it has none or it is the kernel's.
 *
 * Return: as bpcond_session_wait(), but -ENODATA of a filter without a ring; -ESHUTDOWN it was
 * returned; -ECONNRESET the daemon is gone, which is reported once: if it was killed hits go on.
 */
int bpcond_filter_wait(bpcond_filter *filter, int timeout_ms, const struct bpcond_hit **ret);

/* Polls readable whenever bpcond_filter_wait() may have something to say: as bpcond_session_fd(). */
int bpcond_filter_fd(const bpcond_filter *filter);

uint32_t bpcond_filter_number(const bpcond_filter *filter);
/* /org/bpcond1/filter/N. */
const char *bpcond_filter_path(const bpcond_filter *filter);

/* ---- Hits ------------------------------------------------------------------------------------ */

/*
 * Checks that `size` bytes at `record` (aligned to 8) are one whole record that the functions below
 * can read. bpcond_session_wait has done so already; for records out of a file or pipe (the
 * `binary` form of Forward).
 *
 * Return: 0; -EBADMSG.
 */
int bpcond_hit_check(const void *record, size_t size);

/* A captured register. Return: 0; -ENODATA when the record does not hold it. */
int bpcond_hit_register(const struct bpcond_hit *hit, enum bpcond_register id, uint64_t *ret);
int bpcond_hit_register_by_name(const struct bpcond_hit *hit, const char *name, uint64_t *ret);

/* "rax" … "gs_base". Return: NULL for a number that is no register. */
const char *bpcond_register_name(enum bpcond_register id);
/* Return: an enum bpcond_register; -ENOENT. */
int bpcond_register_by_name(const char *name);

typedef struct bpcond_piece {
	uint64_t at;       /* user address */
	uint32_t length;   /* bytes asked for */
	uint32_t read;     /* how many of them could be read */
	const void *bytes; /* `length` bytes, those that were not read are 0; as long as the hit */
} bpcond_piece;

/* The index-th captured piece of memory. Return: 0; -ENODATA. */
int bpcond_hit_memory(const struct bpcond_hit *hit, unsigned index, bpcond_piece *ret);

/* The user's return addresses, innermost first, without zeros that end them. *ret is as long as the
 * hit. Return: how many. */
size_t bpcond_hit_stack(const struct bpcond_hit *hit, const uint64_t **ret);

/*
 * The hit as one JSON object without a line end, its keys always all there and in this order:
 * breakpoint, sequence, pid, tid, cpu, time, address, flags, registers, memory, stack. The `data` of a
 * piece of memory holds the bytes that were read, and only those.
 *
 * Return: 0 and *ret_json (free()); -EBADMSG; -ENOMEM.
 */
int bpcond_hit_to_json(const struct bpcond_hit *hit, char **ret_json);

#ifdef __cplusplus
}
#endif

#endif
