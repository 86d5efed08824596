/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target program (tests/targets/) under a test: started, its addresses read, asked for work. Every
 * failure and every answer that does not come within ten seconds fails the test case.
 */
#ifndef SUPPORT_TARGET_H
#define SUPPORT_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct Target {
	pid_t pid;
	bool by_helper; /* not our child */
	int in_fd;      /* leads to its stdin */
	int out_fd;     /* comes from its stdout */
	char buffer[4096];
	size_t buffered;
	struct {
		char name[32];
		uint64_t address;
	} addresses[16];
	unsigned n_addresses;
} Target;

/* Starts build/tests/targets/NAME with up to two arguments (NULL: none) as this user; returns once
 * it is ready. */
void target_start(Target *target, const char *name, const char *argument1, const char *argument2);

/* The same for another user, or for an absolute path (a set-user-ID copy). */
void target_start_as(Target *target, const char *user, const char *path, const char *argument);
void target_start_path(Target *target, const char *path);

/* The address that the target has told under this name. */
uint64_t target_address_of(const Target *target, const char *name);

/* Sends a command line and does not wait for its answer. */
void target_send(Target *target, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits for the next line, which must be "WORD NUMBER" with that word. Return: the number. */
long target_answer(Target *target, const char *word);

/* target_send and target_answer. */
long target_ask(Target *target, const char *word, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Waits until the target says "ready" again, as after an exec. */
void target_wait_ready(Target *target);

/* Kills it and waits for its end. */
void target_kill(Target *target);

#endif
