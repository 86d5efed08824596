/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a target program of the tests says and hears. On stdout it names its addresses
 * ("address NAME 0x…"), then says "ready", then answers each command line of stdin with one line.
 * At the end of stdin it ends.
 */
#ifndef TARGETS_TARGET_H
#define TARGETS_TARGET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call that is really made, with its arguments in their registers. */
#ifdef __clang__
#define TARGET_FUNCTION __attribute__((noinline, optnone))
#else
#define TARGET_FUNCTION __attribute__((noinline, noipa))
#endif

static inline void target_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void target_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static inline void target_address(const char *name, const void *address)
{
	target_say("address %s 0x%lx", name, (unsigned long)(uintptr_t)address);
}

/* The next command with its number (0 if it has none). Return: false at the end of stdin. */
static inline bool target_command(char command[static 64], long *number)
{
	char line[128];

	if (!fgets(line, sizeof(line), stdin))
		return false;
	*number = 0;
	command[0] = '\0';
	sscanf(line, "%63s %li", command, number);
	return true;
}

#endif
