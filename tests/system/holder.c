/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens a session that lingers, sets a breakpoint, says "session NUMBER", and stays connected to the bus
 * until the end of stdin. Each command line of stdin is answered by one line: "ok", what is said below, or the
 * text of the error.
 *   add          another breakpoint by the same spec
 *   remove       the breakpoint that was added last
 *   take-hits    the ring
 *   take-events  all events of that breakpoint, by descriptors that stay open: "events N"
 *   drop         closes those
 *   hear N       waits for signals of N hits in all: "heard N"
 *
 * usage: holder PID SPEC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define SERVICE    "org.bpcond1"
#define OBJECT     "/org/bpcond1"
#define MANAGER    "org.bpcond1.Manager"
#define SESSION    "org.bpcond1.Session"
#define BREAKPOINT "org.bpcond1.Breakpoint"

enum {
	MAX_EVENTS = 64,
	A_LOOK_USEC = 50000,
	LOOKS = 200,
};

static sd_bus *bus;
static char session[64], breakpoint[64];
static int events[MAX_EVENTS];
static unsigned n_events, n_heard;

static void check(int r, const char *what, const sd_bus_error *error)
{
	if (r >= 0)
		return;
	fprintf(stderr, "holder: %s: %s\n", what, error->message ? error->message : strerror(-r));
	exit(1);
}

static int on_hit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	n_heard++;
	return 0;
}

static int open_session(const char *pid, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *path;
	int r;

	r = sd_bus_call_method(bus, SERVICE, OBJECT, MANAGER, "OpenSessionByPid", error, &reply,
			       "ua{sv}", (unsigned)atoi(pid), 1, "linger", "b", 1);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		snprintf(session, sizeof(session), "%s", path);
	sd_bus_message_unref(reply);
	return r;
}

static int add(const char *spec, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *path;
	int r;

	r = sd_bus_call_method(bus, SERVICE, session, SESSION, "AddBreakpoint", error, &reply, "s",
			       spec);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		snprintf(breakpoint, sizeof(breakpoint), "%s", path);
	sd_bus_message_unref(reply);
	return r;
}

/* Of at most twelve events: one call. */
static int take_events(sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	int fd, r;

	r = sd_bus_call_method(bus, SERVICE, breakpoint, BREAKPOINT, "TakeEvents", error, &reply,
			       "u", 0);
	if (r >= 0)
		r = sd_bus_message_skip(reply, "au");
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "h");
	while (r >= 0 && n_events < MAX_EVENTS) {
		r = sd_bus_message_read(reply, "h", &fd);
		if (r <= 0)
			break;
		events[n_events] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (events[n_events] < 0)
			r = -errno;
		else
			n_events++;
	}
	sd_bus_message_unref(reply);
	return r;
}

static void drop_events(void)
{
	while (n_events > 0)
		close(events[--n_events]);
}

static void hear(unsigned n)
{
	for (int i = 0; i < LOOKS; i++) {
		int r;

		do
			r = sd_bus_process(bus, NULL);
		while (r > 0);
		if (r < 0 || n_heard >= n)
			return;
		sd_bus_wait(bus, A_LOOK_USEC);
	}
}

static int obey(const char *line, const char *spec, sd_bus_error *error)
{
	if (strcmp(line, "add") == 0)
		return add(spec, error);
	if (strcmp(line, "remove") == 0)
		return sd_bus_call_method(bus, SERVICE, breakpoint, BREAKPOINT, "Remove", error,
					  NULL, "");
	if (strcmp(line, "take-hits") == 0)
		return sd_bus_call_method(bus, SERVICE, session, SESSION, "TakeHits", error, NULL,
					  "");
	if (strcmp(line, "take-events") == 0)
		return take_events(error);
	if (strcmp(line, "drop") == 0) {
		drop_events();
		return 0;
	}
	if (strncmp(line, "hear ", 5) == 0) {
		hear((unsigned)atoi(line + 5));
		return 0;
	}
	return -EINVAL;
}

static void answer(const char *line, const char *spec)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = obey(line, spec, &error);
	if (r < 0)
		puts(error.message ? error.message : strerror(-r));
	else if (strcmp(line, "take-events") == 0)
		printf("events %u\n", n_events);
	else if (strncmp(line, "hear ", 5) == 0)
		printf("heard %u\n", n_heard);
	else
		puts("ok");
	sd_bus_error_free(&error);
}

int main(int argc, char *argv[])
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char line[64];
	int r;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* DBUS_SYSTEM_BUS_ADDRESS says which, where it is another. */
	r = sd_bus_open_system(&bus);
	check(r, "cannot connect", &error);
	r = sd_bus_match_signal(bus, NULL, SERVICE, NULL, SESSION, "Hit", on_hit, NULL);
	check(r, "cannot listen", &error);
	r = open_session(argv[1], &error);
	check(r, "OpenSessionByPid", &error);
	r = add(argv[2], &error);
	check(r, "AddBreakpoint", &error);
	printf("session %s\n", strrchr(session, '/') + 1);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		answer(line, argv[2]);
	}
	drop_events();
	sd_bus_flush_close_unref(bus);
	return 0;
}
