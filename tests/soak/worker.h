/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of the soak: its targets, and what it holds on them. Failures end the process (worker_fail):
 * a soak has nothing to do after one.
 */
#ifndef SOAK_WORKER_H
#define SOAK_WORKER_H

#include <bpcond/bpcond.h>
#include <systemd/sd-bus.h>

#include "tests/soak/soak.h"
#include "tests/soak/watch.h"

enum {
	WORKER_PREYS = 2,
	WORKER_HOLDS = 3,
	WORKER_SLOTS = 4, /* of a thread, for breakpoints */
	WORKER_SEQUENCES = 1 << 17,
	WORKER_PATIENCE_MS = 20000,
};

/* A target process. */
typedef struct Prey {
	pid_t pid; /* 0: none */
	int in_fd, out_fd;
	PacedPage *page;
	uint64_t addresses[PACED_SITES];
	uint32_t resident;
	bool killed; /* or about to be: nobody needs to close anything on it */
	bool reaped;
} Prey;

enum hold_kind {
	HOLD_SESSION,
	HOLD_FORWARD,
	HOLD_LINGERING,
	HOLD_LENT,
	HOLD_KINDS,
};

typedef struct Item {
	Watch watch;
	bpcond_breakpoint *breakpoint; /* the session's */
	char path[160];                /* of a lingering session */
	uint32_t number;               /* in the records */
	uint64_t records;
	uint8_t *seen; /* by sequence number, a bit each */
} Item;

/* A session or a lent filter. */
typedef struct Hold {
	enum hold_kind kind;
	Prey *prey; /* NULL: this place is free */
	bpcond_session *session;
	bpcond_filter *filter;
	int event_fd; /* of a lent filter */
	char path[128];
	int sink_fd; /* where forwarded hits come out */
	bool sink_binary, sink_ended;
	char *bytes; /* that are not a whole record yet */
	size_t n_bytes;
	Item *items[WORKER_SLOTS];
	unsigned n_items;
	/* when it was last found well */
	unsigned seen_disturbances, seen_kills;
} Hold;

typedef struct Worker {
	Soak *soak;
	unsigned number;
	uint64_t seed;
	const char *target;
	Random random;
	bpcond_client *client;
	sd_bus *bus;                            /* for lingering sessions; NULL: none now */
	unsigned seen_disturbances, seen_kills; /* as the present step began */
	bool doubtful; /* a call was cut off: nobody knows what came of it */
	Prey preys[WORKER_PREYS];
	Hold holds[WORKER_HOLDS];
} Worker;

/* Says what is wrong, with the seed, and ends the process. */
_Noreturn void worker_fail(const Worker *worker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether the daemon's end explains that a call failed. */
bool worker_is_disturbed(const Worker *worker);
/* What has happened up to now is no excuse from now on. */
void worker_see(Worker *worker);
/* Waits until a daemon serves again. */
void worker_wait_settled(Worker *worker);
/* After a call that failed: true when it may be tried again, or what it was about given up: the daemon
 * ended, or the user's rate was spent. Fails otherwise. */
bool worker_excuses(Worker *worker, int r, const char *what);

/* ---- prey.c ---------------------------------------------------------------------------------- */

void prey_start(Worker *worker, Prey *prey);
/* Has it work; with kill_after_us it is killed so soon after it began, and reaped. */
void prey_run(Worker *worker, Prey *prey, const long *kill_after_us);
void prey_kill(Prey *prey);
/* The page as it concerns what sees the first thread only. */
void prey_first_thread(const Prey *prey, PacedPage *ret);

/* ---- hold.c ---------------------------------------------------------------------------------- */

/* Opens one of that kind. Return: false when it was excused. */
bool hold_open(Worker *worker, Hold *hold, enum hold_kind kind, Prey *prey);
/* Adds a breakpoint by chance. `full`: there is no debug register left, so it must be refused. */
void hold_add(Worker *worker, Hold *hold, bool full);
/* By chance: enables or disables one, or changes its parameter. */
void hold_change(Worker *worker, Hold *hold);
void hold_remove(Worker *worker, Hold *hold, unsigned index);
/* Ends it, in good order or by only forgetting it. */
void hold_close(Worker *worker, Hold *hold);

/* ---- compare.c ------------------------------------------------------------------------------- */

/* The target has done what its page says: expects that of all items. */
void hold_expect(Hold *hold, bool complete);
/* Compares everything with what is expected. An end that is due (of the target, or of the daemon) closes
 * the hold after that. */
void hold_compare(Worker *worker, Hold *hold);

/* ---- records.c ------------------------------------------------------------------------------- */

/* A record of item `number` with that sequence number and first argument. */
void hold_see(Worker *worker, Hold *hold, uint32_t number, uint64_t sequence, uint64_t argument);
/* Reads the ring or the sink as far as there is something. Return: what ended it, 0 or negative errno. */
int hold_read(Worker *worker, Hold *hold);

/* ---- linger.c: lingering sessions by the bare interface. Return: 0 or a negative errno, as the
 * client library's. -ENOENT: there is no such object any more. */

int linger_open(Worker *worker, pid_t pid, char path[static 128]);
int linger_add(Worker *worker, const char *session, const char *spec, char path[static 160]);
int linger_call(Worker *worker, const char *path, const char *interface, const char *method);
int linger_set_parameter(Worker *worker, const char *path, const char *name, uint64_t value);
int linger_counts(Worker *worker, const char *path, WatchCounts *ret);
/* The next call is made by another connection. */
void linger_leave(Worker *worker);

#endif
