/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of the bus: connecting, calling, and hearing what becomes of the daemon and of
 * the sessions.
 *
 * sd-bus does nothing by itself: it wants its descriptor watched for certain events, and to be
 * called again at certain times. Both are folded into one epoll descriptor (client_rearm), which
 * every session's own epoll contains, so that a program that waits for hits in any way also hears
 * that the daemon is gone.
 *
 * Any peer of the bus can send us a signal that looks like the daemon's. Signals are believed only
 * from the unique name that answered when we connected, and from the one that the bus says owns
 * org.bpcond1 after it: the bus decides who may.
 *
 * What becomes of sessions when the daemon leaves the bus is asked in comeback.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/internal.h"

static bool from_daemon(const bpcond_client *client, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender != NULL && client->daemon_owner != NULL &&
	       strcmp(sender, client->daemon_owner) == 0;
}

static bpcond_session *find_session(const bpcond_client *client, const char *path)
{
	for (bpcond_session *s = client->sessions; s != NULL; s = s->next) {
		if (path != NULL && strcmp(s->path, path) == 0)
			return s;
	}
	return NULL;
}

static void daemon_lost(bpcond_client *client)
{
	for (bpcond_session *s = client->sessions; s != NULL; s = s->next)
		session_ended(s, BPCOND_DAEMON_LOST);
	for (bpcond_filter *f = client->filters; f != NULL; f = f->next)
		filter_lost(f);
}

static int on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_client *client = userdata;
	const char *sender = sd_bus_message_get_sender(m), *name, *before, *after;
	int r;

	if (sender == NULL || strcmp(sender, "org.freedesktop.DBus") != 0)
		return 0;
	r = sd_bus_message_read(m, "sss", &name, &before, &after);
	if (r < 0)
		return 0;
	if (strcmp(name, BPCOND_SERVICE) != 0)
		return 0;
	/* Until greet has the first answer there is nothing that could be lost. */
	if (client->daemon_owner == NULL)
		return 0;
	if (*after != '\0') {
		char *owner = strdup(after);

		if (owner == NULL) {
			daemon_lost(client);
			return 0;
		}
		free(client->daemon_owner);
		client->daemon_owner = owner;
	}
	if (strcmp(after, before) != 0 && *before != '\0')
		client_ask_for_all(client);
	return 0;
}

static enum bpcond_end end_of_reason(const char *reason)
{
	static const struct {
		const char *reason;
		enum bpcond_end end;
	} table[] = {
		{"target-exited", BPCOND_TARGET_EXITED},
		{"target-exec", BPCOND_TARGET_EXEC},
		{"daemon-stopping", BPCOND_DAEMON_STOPPED},
		{"administrator", BPCOND_CLOSED_BY_ADMINISTRATOR},
		{"not-restored", BPCOND_DAEMON_LOST},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].reason, reason) == 0)
			return table[i].end;
	}
	return BPCOND_CLOSED;
}

static int on_session_closed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_client *client = userdata;
	const char *path, *reason;
	bpcond_session *session;
	int r;

	if (!from_daemon(client, m))
		return 0;
	r = sd_bus_message_read(m, "os", &path, &reason);
	if (r < 0)
		return 0;
	session = find_session(client, path);
	if (session != NULL)
		session_ended(session, end_of_reason(reason));
	return 0;
}

static int on_filter_returned(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_client *client = userdata;
	const char *path, *reason;
	int r;

	if (!from_daemon(client, m))
		return 0;
	r = sd_bus_message_read(m, "os", &path, &reason);
	if (r < 0)
		return 0;
	for (bpcond_filter *f = client->filters; f != NULL; f = f->next) {
		if (f->path != NULL && strcmp(f->path, path) == 0)
			filter_called_back(f);
	}
	return 0;
}

/* The daemon's last word on a breakpoint's counts, before its object goes. */
static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_client *client = userdata;
	const char *path = sd_bus_message_get_path(m), *interface;
	int r;

	if (!from_daemon(client, m) || path == NULL)
		return 0;
	r = sd_bus_message_read(m, "s", &interface);
	if (r < 0 || strcmp(interface, BPCOND_BREAKPOINT_INTERFACE) != 0)
		return 0;
	for (bpcond_session *s = client->sessions; s != NULL; s = s->next) {
		for (bpcond_breakpoint *b = s->breakpoints; b != NULL; b = b->next) {
			if (strcmp(b->path, path) == 0) {
				/* Of less than all counts, as when it is disabled, no notice. */
				if (breakpoint_read_counts(m, &b->last_word) >= 0)
					b->has_last_word = true;
				return 0;
			}
		}
	}
	return 0;
}

/* The breakpoints of a session are others now; which ones, their last words tell. */
static int on_breakpoints_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bpcond_client *client = userdata;
	bpcond_session *session;

	if (!from_daemon(client, m))
		return 0;
	session = find_session(client, sd_bus_message_get_path(m));
	if (session != NULL)
		session_breakpoints_changed(session);
	return 0;
}

int bpcond_client_new(bpcond_client **ret)
{
	bpcond_client *client;

	client = calloc(1, sizeof(*client));
	if (client == NULL)
		return -ENOMEM;
	client->poll_fd = -EBADF;
	client->timer_fd = -EBADF;
	client->bus_fd = -EBADF;
	*ret = client;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void disconnect(bpcond_client *client)
{
	close_fd(client->poll_fd);
	close_fd(client->timer_fd);
	client->poll_fd = -EBADF;
	client->timer_fd = -EBADF;
	client->bus_fd = -EBADF;
	client->bus = sd_bus_close_unref(client->bus);
	free(client->daemon_owner);
	free(client->daemon_version);
	client->daemon_owner = NULL;
	client->daemon_version = NULL;
}

bpcond_client *bpcond_client_free(bpcond_client *client)
{
	if (client == NULL)
		return NULL;
	while (client->sessions != NULL)
		bpcond_session_free(client->sessions);
	while (client->filters != NULL)
		bpcond_filter_free(client->filters);
	disconnect(client);
	free(client);
	return NULL;
}

const bpcond_error *bpcond_client_error(const bpcond_client *client)
{
	return &client->error;
}

const char *bpcond_client_daemon_version(const bpcond_client *client)
{
	return client->daemon_version;
}

static int open_bus(const char *address, sd_bus **ret)
{
	sd_bus *bus = NULL;
	int r;

	if (address == NULL)
		return sd_bus_open_system(ret);
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, 1);
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus, 1);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

static int subscribe(bpcond_client *client)
{
	static const struct {
		const char *rule;
		sd_bus_message_handler_t handler;
	} matches[] = {
		{"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
		 "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
		 "arg0='" BPCOND_SERVICE "'",
		 on_name_owner_changed},
		{"type='signal',sender='" BPCOND_SERVICE "',path='" BPCOND_OBJECT "',"
		 "interface='" BPCOND_MANAGER_INTERFACE "',member='SessionClosed'",
		 on_session_closed},
		{"type='signal',sender='" BPCOND_SERVICE "',path='" BPCOND_OBJECT "',"
		 "interface='" BPCOND_MANAGER_INTERFACE "',member='FilterReturned'",
		 on_filter_returned},
		{"type='signal',sender='" BPCOND_SERVICE "',"
		 "path_namespace='" BPCOND_OBJECT "/session',"
		 "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
		 "arg0='" BPCOND_BREAKPOINT_INTERFACE "'",
		 on_properties_changed},
		{"type='signal',sender='" BPCOND_SERVICE "',"
		 "path_namespace='" BPCOND_OBJECT "/session',"
		 "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
		 "arg0='" BPCOND_SESSION_INTERFACE "'",
		 on_breakpoints_changed},
	};

	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		int r = sd_bus_add_match(client->bus, NULL, matches[i].rule, matches[i].handler,
					 client);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_poll_fd(bpcond_client *client)
{
	struct epoll_event event = {.events = EPOLLIN};

	client->bus_fd = sd_bus_get_fd(client->bus);
	if (client->bus_fd < 0)
		return client->bus_fd;
	client->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->poll_fd < 0)
		return -errno;
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (client->timer_fd < 0)
		return -errno;
	if (epoll_ctl(client->poll_fd, EPOLL_CTL_ADD, client->timer_fd, &event) < 0 ||
	    epoll_ctl(client->poll_fd, EPOLL_CTL_ADD, client->bus_fd, &event) < 0)
		return -errno;
	client->bus_events = EPOLLIN;
	return 0;
}

/* Asks for the version: the one call that shows that the daemon is there, starting it where the bus
 * can, and that tells its unique name. */
static int greet(bpcond_client *client)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *version;
	int r;

	r = sd_bus_get_property(client->bus, BPCOND_SERVICE, BPCOND_OBJECT,
				BPCOND_MANAGER_INTERFACE, "Version", &error, &reply, "s");
	if (r < 0) {
		r = error.name != NULL ? error_number_of(error.name) : r;
		/* Whether the bus waits longer than we for a daemon that it starts is chance. */
		if (r != -EACCES)
			r = -EHOSTUNREACH;
		error_set(&client->error, r, CLIENT_ERROR_UNREACHABLE, CLIENT_NO_DAEMON_TEXT,
			  error.message != NULL ? error.message : strerror(-r));
		goto finish;
	}
	r = sd_bus_message_read(reply, "s", &version);
	if (r < 0) {
		r = client_bad_reply(client, "Version");
		goto finish;
	}
	client->daemon_version = strdup(version);
	client->daemon_owner = strdup(sd_bus_message_get_sender(reply));
	if (client->daemon_version == NULL || client->daemon_owner == NULL)
		r = error_no_memory(&client->error);
	else
		r = 0;
finish:
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return r;
}

int bpcond_client_connect(bpcond_client *client, const char *address)
{
	int r;

	if (client->bus != NULL)
		return error_set(&client->error, -EISCONN, CLIENT_ERROR_FAILED,
				 "a client connects once; make another client for another bus");

	r = open_bus(address, &client->bus);
	if (r >= 0)
		r = subscribe(client);
	if (r == -ENOMEM) {
		disconnect(client);
		return error_no_memory(&client->error);
	}
	if (r < 0) {
		disconnect(client);
		return error_set(&client->error, -EHOSTUNREACH, CLIENT_ERROR_UNREACHABLE,
				 "cannot connect to the %s%s%s: %s; start the message bus, or give "
				 "the address of the one that bpcondd is on",
				 address == NULL ? "system bus" : "bus '",
				 address == NULL ? "" : address, address == NULL ? "" : "'",
				 strerror(-r));
	}
	r = make_poll_fd(client);
	if (r < 0) {
		disconnect(client);
		return error_set(&client->error, r, CLIENT_ERROR_FAILED,
				 "cannot make a descriptor to wait on: %s", strerror(-r));
	}
	r = greet(client);
	if (r < 0) {
		disconnect(client);
		return r;
	}
	client_rearm(client);
	return 0;
}

void client_rearm(bpcond_client *client)
{
	struct itimerspec timer = {};
	uint64_t usec;
	uint32_t wanted = 0;
	int events;

	if (client->bus_fd < 0)
		return;
	events = sd_bus_get_events(client->bus);
	if (events < 0) {
		/* The connection is gone: its descriptor would poll ready for ever. */
		epoll_ctl(client->poll_fd, EPOLL_CTL_DEL, client->bus_fd, NULL);
		client->bus_fd = -EBADF;
		timerfd_settime(client->timer_fd, 0, &timer, NULL);
		daemon_lost(client);
		return;
	}
	/* poll's and epoll's bits have the same values on Linux. */
	wanted = (uint32_t)events;
	if (wanted != client->bus_events) {
		struct epoll_event event = {.events = wanted};

		epoll_ctl(client->poll_fd, EPOLL_CTL_MOD, client->bus_fd, &event);
		client->bus_events = wanted;
	}
	if (sd_bus_get_timeout(client->bus, &usec) >= 0 && usec != UINT64_MAX) {
		timer.it_value.tv_sec = (time_t)(usec / 1000000);
		timer.it_value.tv_nsec = (long)(usec % 1000000) * 1000;
		/* Zero would disarm: "at once" is the earliest time after zero. */
		if (usec == 0)
			timer.it_value.tv_nsec = 1;
	}
	timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

void client_dispatch(bpcond_client *client)
{
	int r;

	if (client->bus_fd < 0)
		return;
	do
		r = sd_bus_process(client->bus, NULL);
	while (r > 0);
	if (r < 0)
		daemon_lost(client);
	client_rearm(client);
}

int client_bad_reply(bpcond_client *client, const char *member)
{
	return error_set(&client->error, -EPROTO, CLIENT_ERROR_FAILED,
			 "the daemon's answer to %s is not what this library expects; use a "
			 "library and a daemon of the same version",
			 member);
}

static int tell_lost(bpcond_client *client)
{
	return error_set(
		&client->error, -ECONNRESET, CLIENT_ERROR_DAEMON_LOST,
		"the connection to the message bus is lost; see that the bus runs, then make "
		"another client and connect that");
}

int client_check_connection(bpcond_client *client)
{
	if (client->bus_fd >= 0)
		return 0;
	if (client->bus != NULL)
		return tell_lost(client);
	return error_set(&client->error, -ENOTCONN, CLIENT_ERROR_UNREACHABLE,
			 "this client has no connection to a bus; connect it first");
}

/* The texts are the daemon's, but for what the bus says in its stead. */
static void tell_error(bpcond_client *client, int number, const char *member,
		       const sd_bus_error *error)
{
	if (number == -ETIMEDOUT)
		error_set(&client->error, number, error->name,
			  "bpcondd has not answered %s (%s); see why ('journalctl -u bpcondd'), "
			  "then ask again",
			  member, error->message);
	else if (number == -EHOSTUNREACH)
		error_set(&client->error, number, CLIENT_ERROR_UNREACHABLE, CLIENT_NO_DAEMON_TEXT,
			  error->message);
	else
		error_set(&client->error, number, error->name, "%s", error->message);
}

int client_call(bpcond_client *client, const char *path, const char *interface, const char *member,
		FillMessage fill, const void *userdata, sd_bus_message **ret_reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *call = NULL, *reply = NULL;
	int r;

	r = client_check_connection(client);
	if (r < 0)
		return r;
	r = sd_bus_message_new_method_call(client->bus, &call, BPCOND_SERVICE, path, interface,
					   member);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(call, 1);
	if (r >= 0 && fill != NULL)
		r = fill(call, userdata);
	if (r < 0) {
		error_set(&client->error, r, CLIENT_ERROR_FAILED, "cannot write the call %s: %s",
			  member, strerror(-r));
		goto finish;
	}
	r = sd_bus_call(client->bus, call, CALL_TIMEOUT_SECONDS * UINT64_C(1000000), &error,
			&reply);
	if (r < 0) {
		if (sd_bus_is_open(client->bus) <= 0) {
			r = tell_lost(client);
		} else if (error.name != NULL) {
			r = error_number_of(error.name);
			tell_error(client, r, member, &error);
		} else {
			error_set(&client->error, r, CLIENT_ERROR_FAILED, "%s failed: %s", member,
				  strerror(-r));
		}
		goto finish;
	}
	r = 0;
	if (ret_reply != NULL) {
		*ret_reply = reply;
		reply = NULL;
	}
finish:
	sd_bus_message_unref(call);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	client_rearm(client);
	return r;
}

int client_call_away(bpcond_client *client, const char *path, const char *interface,
		     const char *member)
{
	int r;

	r = client_call(client, path, interface, member, NULL, NULL, NULL);
	if (r >= 0 || strcmp(client->error.name, SD_BUS_ERROR_NO_REPLY) != 0)
		return r;
	r = client_call(client, path, interface, member, NULL, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}

static int fill_string(sd_bus_message *m, const void *userdata)
{
	return sd_bus_message_append(m, "s", (const char *)userdata);
}

int bpcond_client_check_spec(bpcond_client *client, const char *spec, char **ret_report)
{
	sd_bus_message *reply;
	const char *report;
	char *copy;
	int r;

	r = client_call(client, BPCOND_OBJECT, BPCOND_MANAGER_INTERFACE, "CheckSpec", fill_string,
			spec, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "s", &report);
	if (r < 0) {
		r = client_bad_reply(client, "CheckSpec");
	} else {
		copy = strdup(report);
		if (copy == NULL)
			r = error_no_memory(&client->error);
		else
			*ret_report = copy;
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : 0;
}
