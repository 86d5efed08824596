/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets with more threads than a message has room for descriptors, and than a user may have events.
 */
#include <stdio.h>
#include <string.h>

#include "tests/attack/attack.h"
#include "tests/support/hits.h"
#include "tests/support/target.h"

enum {
	CROWD = 300,
	GREAT_CROWD = 5000, /* more than a user may have events */
};

static void more_threads_than_descriptors(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	int fds[CROWD + 64];
	BusSession session;
	BusCounts counts;
	char number[16];
	Target target;
	unsigned n;

	snprintf(number, sizeof(number), "%d", CROWD);
	target_start(&target, "chorus", number, NULL);
	bus_open_session(bus, target.pid, &session);
	bus_add(&session, &breakpoint, "{'address':'0x%lx','events':true}",
		target_address_of(&target, "chorus_work"));
	ck_assert_uint_eq(breakpoint.n_threads, CROWD + 1);
	n = bus_take_events(&breakpoint, fds, CROWD + 64);
	ck_assert_uint_eq(n, CROWD + 1);
	/* numbers beyond them */
	for (uint32_t first = UINT32_MAX; first > UINT32_MAX - 3; first--) {
		ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", breakpoint.path,
						    BREAKPOINT_INTERFACE, "TakeEvents", &error,
						    NULL, "u", first),
				 0);
		sd_bus_error_free(&error);
	}
	ck_assert_int_eq(target_ask(&target, "calls", "call 3"), 3 * CROWD);
	bus_counts(&breakpoint, &counts);
	ck_assert_uint_eq(counts.hits, 3 * CROWD);
	bus_counts_check(&counts);
	attack_expect_others_served();
	target_kill(&target);
}

static void thousands_of_threads(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();
	BusBreakpoint breakpoint;
	BusSession session;
	Objects before;
	char number[16];
	Target target;

	snprintf(number, sizeof(number), "%d", GREAT_CROWD);
	target_start(&target, "crowd", number, NULL);
	bus_open_session(bus, target.pid, &session);
	ck_assert_int_eq(helper_objects(helper_daemon_pid(), &before), 0);
	ck_assert_int_eq(bus_try_add(&session, &breakpoint, &error, "{'address':'0x%lx'}",
				     target_address_of(&target, "crowd_work")),
			 1);
	bus_expect_error(&error, "QuotaExceeded", "\"events\"");
	attack_expect_others_served();
	/* one of them is as good as any other target */
	bus_add(&session, &breakpoint, "{'address':'0x%lx','threads':[%d]}",
		target_address_of(&target, "crowd_work"), target.pid);
	bus_breakpoint_call(&breakpoint, "Remove");
	bus_breakpoint_close(&breakpoint);
	helper_expect_descriptors(helper_daemon_pid(), &before);
	target_kill(&target);
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"more threads than a message has descriptors", more_threads_than_descriptors,
		 NULL},
		{"thousands of threads", thousands_of_threads, NULL},
	};

	return attack_run("attack-crowds", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
