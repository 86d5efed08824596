/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's D-Bus interface as a client without a library sees it. For tests whose point is the
 * interface itself; a call that a test expects to work fails the test case when it does not.
 */
#ifndef SUPPORT_BUS_H
#define SUPPORT_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define MANAGER_PATH         "/org/bpcond1"
#define MANAGER_INTERFACE    "org.bpcond1.Manager"
#define SESSION_INTERFACE    "org.bpcond1.Session"
#define BREAKPOINT_INTERFACE "org.bpcond1.Breakpoint"

/* A connection of this process's user to the private bus (sd_bus_close_unref). */
sd_bus *bus_connect(void);

typedef struct BusSession {
	sd_bus *bus; /* borrowed */
	char path[128];
	int ring_fd; /* once taken */
} BusSession;

/* OpenSession by a pidfd. Return: 0; 1 when the daemon refused, and *error (sd_bus_error_free). */
int bus_try_open_session(sd_bus *bus, pid_t pid, BusSession *ret, sd_bus_error *error);
void bus_open_session(sd_bus *bus, pid_t pid, BusSession *ret);
/* With a ring of so many bytes, a power of two. */
void bus_open_session_with_ring(sd_bus *bus, pid_t pid, uint64_t bytes, BusSession *ret);
/* OpenSession with a descriptor of any kind (borrowed). Return: as bus_try_open_session. */
int bus_try_open_descriptor(sd_bus *bus, int fd, uint64_t hits_bytes, BusSession *ret,
			    sd_bus_error *error);
/* OpenSessionByPid. */
int bus_try_open_session_by_pid(sd_bus *bus, pid_t pid, BusSession *ret, sd_bus_error *error);
void bus_close_session(BusSession *session);
void bus_take_hits(BusSession *session);
/* Forward into a descriptor (borrowed). Return: 0; 1 when the daemon refused, and *error. */
int bus_try_forward(const BusSession *session, int sink_fd, const char *format,
		    sd_bus_error *error);
void bus_forward(const BusSession *session, int sink_fd, const char *format);

typedef struct BusBreakpoint {
	sd_bus *bus; /* borrowed */
	char path[128];
	int counters_fd, parameters_fd; /* -EBADF where not given */
	unsigned n_threads;
	pid_t threads[128];
} BusBreakpoint;

/* AddBreakpoint; the spec is formatted, with `'` standing for `"` in the format. */
int bus_try_add(const BusSession *session, BusBreakpoint *ret, sd_bus_error *error,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
void bus_add(const BusSession *session, BusBreakpoint *ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with the spec's text as it is. */
int bus_try_add_text(const BusSession *session, BusBreakpoint *ret, sd_bus_error *error,
		     const char *spec);
/* Closes the descriptors that came with it. */
void bus_breakpoint_close(BusBreakpoint *breakpoint);

/* A method of a breakpoint without arguments: Enable, Disable, Remove. */
void bus_breakpoint_call(const BusBreakpoint *breakpoint, const char *method);

/* TakeEvents until there are no more, some a message. Return: how many; ret_fds are the caller's. */
unsigned bus_take_events(const BusBreakpoint *breakpoint, int ret_fds[], unsigned most);

/* Of a breakpoint on one thread: its event, the caller's to close. */
int bus_take_event(const BusBreakpoint *breakpoint);

typedef struct BusCounts {
	uint64_t traps, evaluated, hits, rejected, withheld, faults, dropped, unsignalled, lost;
} BusCounts;

/* The breakpoint's properties. */
void bus_counts(const BusBreakpoint *breakpoint, BusCounts *ret);

/* Fails the test case unless the counts add up: evaluated = hits + rejected + withheld, traps =
 * evaluated + lost. */
void bus_counts_check(const BusCounts *counts);

/* A property of type t or u of any object. */
uint64_t bus_number(sd_bus *bus, const char *path, const char *interface, const char *name);

/* Whether the daemon says that this kernel has the feature. */
bool bus_kernel_can(const char *feature);

/*
 * For test cases of what only an event's owner gets: its descriptor's signals, its SIGTRAP. On a kernel
 * that sends them for rejected traps too there is only the refusal to be tested, which this does.
 * Return: whether that was all.
 */
bool bus_signals_are_refused(void);

/* The same of a kernel without BTF: tests that no filter is lent, and that the reason is said. */
bool bus_lending_is_refused(void);

/* Fails the test case unless the error has this name (after org.bpcond1.Error.) and a text that
 * holds `part` (may be NULL). Frees the error. */
void bus_expect_error(sd_bus_error *error, const char *name, const char *part);

#endif
