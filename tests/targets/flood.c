/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile client: as many connections as its argument says call the daemon thousands of times a second,
 * and never read an answer. What they ask for is what takes the daemon longest: sessions on this process,
 * specs to be compiled, and reads of all properties. Says "ready" once all are connected; ends at the end
 * of stdin, or after a minute.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_CONNECTIONS = 512,
	MAX_QUEUED = 16,
	SECONDS = 60,
	TICK_MS = 10, /* much more than this makes the bus itself deaf to everybody */
	CALLS_A_TICK = 40,
};

#define DESTINATION "org.bpcond1"
#define PATH        "/org/bpcond1"
#define MANAGER     "org.bpcond1.Manager"

static int make_call(sd_bus *bus, unsigned number, int pidfd, sd_bus_message **ret)
{
	static const char spec[] =
		"{\"address\": \"0x1000\", \"condition\": {\"string-equals\": [{\"reg\": \"rdi\"},"
		" \"an answer that nobody waits for\"]}}";
	sd_bus_message *call = NULL;
	int r;

	switch (number % 3) {
	case 0:
		r = sd_bus_message_new_method_call(bus, &call, DESTINATION, PATH, MANAGER,
						   "OpenSession");
		if (r >= 0)
			r = sd_bus_message_append(call, "ha{sv}", pidfd, 1, "hits-bytes", "t",
						  UINT64_C(4096));
		break;
	case 1:
		r = sd_bus_message_new_method_call(bus, &call, DESTINATION, PATH, MANAGER,
						   "CheckSpec");
		if (r >= 0)
			r = sd_bus_message_append(call, "s", spec);
		break;
	default:
		r = sd_bus_message_new_method_call(bus, &call, DESTINATION, PATH,
						   "org.freedesktop.DBus.Properties", "GetAll");
		if (r >= 0)
			r = sd_bus_message_append(call, "s", MANAGER);
	}
	*ret = call;
	return r;
}

static int send_one(sd_bus *bus, unsigned number, int pidfd)
{
	sd_bus_message *call = NULL;
	uint64_t queued = 0;
	int r;

	sd_bus_get_n_queued_write(bus, &queued);
	if (queued > MAX_QUEUED)
		return 0;
	r = make_call(bus, number, pidfd, &call);
	if (r >= 0)
		r = sd_bus_send(bus, call, NULL);
	sd_bus_message_unref(call);
	return r < 0 ? r : 1;
}

int main(int argc, char *argv[])
{
	static sd_bus *buses[MAX_CONNECTIONS];
	int n = argc > 1 ? atoi(argv[1]) : 100, pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
	time_t started = time(NULL);

	if (n < 1 || n > MAX_CONNECTIONS)
		return 2;
	for (int i = 0; i < n; i++)
		if (sd_bus_open_system(&buses[i]) < 0)
			return 1;
	puts("ready");
	fflush(stdout);
	for (unsigned number = 0; time(NULL) - started < SECONDS;) {
		for (int i = 0; i < CALLS_A_TICK; i++, number++)
			send_one(buses[number % (unsigned)n], number / (unsigned)n, pidfd);
		if (poll(&end, 1, TICK_MS) > 0)
			break;
	}
	_exit(0);
}
