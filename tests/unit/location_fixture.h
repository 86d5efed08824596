/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running program for the tests of locations and symbols, which has said where its things are: what it
 * printed are the facts that our answers are held against. A program of its own for each test, started
 * and stopped by the test case's fixture.
 */
#ifndef LOCATION_FIXTURE_H
#define LOCATION_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <bpcond/bpcond.h>

enum {
	MAX_FACTS = 64,
};

/* What the program printed. */
typedef struct Target {
	pid_t pid;
	int input_fd;
	struct {
		char name[64];
		uint64_t value;
	} facts[MAX_FACTS];
	size_t n_facts;
	bpcond_symbols *symbols;
	char error[1024]; /* of the last question that failed */
} Target;

extern Target target;

/* Starts a program of the build. Traced: it stops before its first instruction. */
pid_t start_program(const char *program, bool traced, int *ret_input_fd, FILE **ret_output);

/* Starts the target and takes its facts; ends it. */
void start_target(const char *program);
void stop_target(void);

/* The kinds of program there are. */
void start_plain(void);
void start_fixed(void);
void start_stripped(void);
void start_packed(void);

/* What the target printed of a thing. */
uint64_t fact(const char *name);

/* What a location resolves to, which must be found; must be at the address; must not be found, with a
 * message that says so. */
bpcond_location resolve(const char *location);
void expect_address(const char *location, uint64_t address);
void expect_problem(const char *location, int problem, const char *says);

#endif
