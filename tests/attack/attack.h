/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The attacker's suite: what hostile clients and hostile targets try, each a test case. A case runs as an
 * ordinary user in a process of its own, and when that process has gone, with every descriptor and mapping
 * it had, all of these must hold, or the case has failed:
 *
 * - the daemon is the process that it was, has no more descriptors, and is at rest;
 * - the kernel has no program and no map of its any more that it had not before;
 * - it has grown by no more than a bound;
 * - another user is served;
 * - the attacker has all of his limits back.
 *
 * How refusals are worded is the integration tests' affair; here it matters that nothing gives way.
 */
#ifndef ATTACK_ATTACK_H
#define ATTACK_ATTACK_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/support/bus.h"
#include "tests/support/integration.h"

typedef struct AttackCase {
	const char *name;
	void (*attack)(void);
	const char *settings; /* of the daemon; NULL: as shipped */
} AttackCase;

/* main() of a program of the suite. Return: an exit status. */
int attack_run(const char *name, const AttackCase cases[], size_t n_cases, int argc, char *argv[]);

/* In an attack: another user gets a session, a breakpoint and its hits at this very moment. */
void attack_expect_others_served(void);

/* Runs `function` in a child of the attacker's, which must end well. For what cannot be undone. */
void attack_in_child(void (*function)(void *userdata), void *userdata);

/* The number that a /proc/PID/status file of the daemon's has behind a key, as "VmRSS:". */
long attack_daemon_status(const char *key);

/* One of the daemon's Limits. */
uint64_t attack_limit(sd_bus *bus, const char *name);

/* OpenSession by a pidfd, or what the daemon says instead. Return: the error's name after the last dot
 * ("NotAuthorized"), static text; NULL when there is a session. */
const char *attack_open(sd_bus *bus, pid_t pid, BusSession *ret);

/* Fails the case unless the name is one of the two; `second` may be NULL. */
void attack_expect_refusal(const char *name, const char *first, const char *second);

#endif
