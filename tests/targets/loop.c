/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls a function with known arguments: "call N" calls loop_work(i, &record) for i in 0…N-1, where
 * record.count, an int at offset 8, is i modulo 100. "exec" starts the program anew in this process,
 * "sleep" says nothing any more. With --undumpable the process cannot be debugged by its own user.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/targets/target.h"

struct loop_record {
	uint64_t tag;
	int32_t count;
	char text[16];
};

void loop_work(long number, struct loop_record *record);

volatile long loop_calls;
struct loop_record loop_record = {.tag = 0x1122334455667788, .text = "GET /index"};

TARGET_FUNCTION void loop_work(long number, struct loop_record *record)
{
	loop_calls = loop_calls + 1;
}

static void call(long n)
{
	for (long i = 0; i < n; i++) {
		loop_record.count = (int32_t)(i % 100);
		loop_work(i, &loop_record);
	}
}

int main(int argc, char *argv[])
{
	char command[64];
	long number;

	if (argc > 1 && strcmp(argv[1], "--undumpable") == 0)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	target_address("loop_work", (const void *)(uintptr_t)loop_work);
	target_address("loop_calls", (const void *)(uintptr_t)&loop_calls);
	target_address("loop_record", &loop_record);
	target_say("ready");
	while (target_command(command, &number)) {
		if (strcmp(command, "call") == 0) {
			call(number);
			target_say("called %ld", number);
		} else if (strcmp(command, "pid") == 0) {
			target_say("pid %d", getpid());
		} else if (strcmp(command, "exec") == 0) {
			execl("/proc/self/exe", argv[0], NULL);
			return errno;
		} else if (strcmp(command, "exit") == 0) {
			return (int)number;
		}
	}
	return 0;
}
