/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of root that becomes a user's, but for one thing in one of its threads:
 *
 *	shifter UID GID leader|thread|leader-gone KIND
 *
 * KIND is which id remains 0 (ruid, suid, fsuid, rgid, sgid, fsgid), "caps" (it keeps CAP_NET_RAW),
 * "groups" (it keeps a supplementary group) or "none". It is the leader that is special, or the other
 * thread; with leader-gone that one goes on alone. By raw system calls, since the C library changes all threads. Dumpable at
 * the end, so that only the credentials tell. "call N" calls shifter_work in the other thread.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/targets/target.h"

void shifter_work(long number);

static uint32_t uid, gid;
static const char *thread_kind, *leader_kind;
static bool leader_goes;
static pthread_barrier_t changed;
static volatile long sink;

TARGET_FUNCTION void shifter_work(long number)
{
	sink = number;
}

static void check(long result)
{
	if (result < 0) {
		perror("shifter");
		_exit(1);
	}
}

static void keep_capabilities(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities},
		{.effective = (uint32_t)(capabilities >> 32),
		 .permitted = (uint32_t)(capabilities >> 32)},
	};

	check(syscall(SYS_capset, &header, data));
}

/* The calling thread's credentials, and no other's. */
static void become(const char *kind)
{
	const uint32_t group = 4;

#define UNLESS(name, id) (strcmp(kind, name) == 0 ? 0 : (id))
	check(syscall(SYS_setgroups, strcmp(kind, "groups") == 0 ? 1 : 0, &group));
	check(syscall(SYS_setresgid, UNLESS("rgid", gid), gid, UNLESS("sgid", gid)));
	check(syscall(SYS_setfsgid, UNLESS("fsgid", gid)));
	check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	check(syscall(SYS_setresuid, UNLESS("ruid", uid), uid, UNLESS("suid", uid)));
	keep_capabilities(1ULL << CAP_SETUID | 1ULL << CAP_NET_RAW);
	check(syscall(SYS_setfsuid, UNLESS("fsuid", uid)));
	keep_capabilities(strcmp(kind, "caps") == 0 ? 1ULL << CAP_NET_RAW : 0);
#undef UNLESS
}

static void *serve(void *argument)
{
	char command[64];
	long number;

	become(thread_kind);
	pthread_barrier_wait(&changed);
	pthread_barrier_wait(&changed);
	/* the leader's end is seen by the kernel before it is told here */
	while (leader_goes) {
		char state = 0, line[512];
		FILE *file = fopen("/proc/self/stat", "re");

		if (file && fgets(line, sizeof(line), file) && strrchr(line, ')'))
			state = strrchr(line, ')')[2];
		if (file)
			fclose(file);
		if (state == 'Z')
			break;
		usleep(1000);
	}
	target_address("shifter_work", (const void *)(uintptr_t)shifter_work);
	target_say("ready");
	while (target_command(command, &number)) {
		for (long i = 0; i < number; i++)
			shifter_work(i);
		target_say("called %ld", number);
	}
	exit(0);
}

int main(int argc, char *argv[])
{
	pthread_t server;

	if (argc != 5)
		return 2;
	uid = (uint32_t)strtoul(argv[1], NULL, 10);
	gid = (uint32_t)strtoul(argv[2], NULL, 10);
	leader_goes = strcmp(argv[3], "leader-gone") == 0;
	leader_kind = strcmp(argv[3], "leader") == 0 ? argv[4] : "none";
	thread_kind = strcmp(argv[3], "leader") == 0 ? "none" : argv[4];
	pthread_barrier_init(&changed, NULL, 2);
	if (pthread_create(&server, NULL, serve, NULL) != 0)
		return 1;
	pthread_barrier_wait(&changed);
	become(leader_kind);
	check(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	pthread_barrier_wait(&changed);
	if (leader_goes)
		syscall(SYS_exit, 0);
	pthread_join(server, NULL);
	return 0;
}
