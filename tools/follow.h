/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Following an armed breakpoint to its end: hits, live line, signals, limit, timeout, summary.
 */
#ifndef TOOLS_FOLLOW_H
#define TOOLS_FOLLOW_H

#include "tools/options.h"

typedef struct Follow {
	const Tool *tool;
	const Options *options;
	bpcond_client *client;
	bpcond_session *session;
	bpcond_breakpoint *breakpoint;
	bool value_first; /* the first piece of memory of a hit is what is watched */
	uint64_t start;   /* ns, CLOCK_MONOTONIC: before any hit */
	pid_t child;      /* of `run`: the target, to be reaped; 0: none */
	bool pass_on;     /* the child hears of the terminal's signals only by us */
	/* Called once the breakpoint is armed and signals are watched, before `ready`. NULL: nothing.
	 * Return: STATUS_HITS to go on. */
	ExitStatus (*begin)(void *userdata);
	void *userdata;
} Follow;

/* Says `ready`, shows hits until it is over, then the summary. Return: the exit status. */
ExitStatus follow(const Follow *follow);

#endif
