/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who calls: the connections that have called us, each with its user and, held by a pidfd, the process
 * that opened it.
 *
 * The user is what the bus knows of the connection's socket. The process comes best as the bus's own
 * descriptor, which it got with the socket (ProcessFD). A bus that has none to give knows a number
 * only, which may have come to mean another process by the time that we open it; so the bus is asked
 * once more whether the connection is there, since as a rule it goes with its process. What remains
 * is a connection that was handed on by a process that then exited and whose number was used again;
 * the rules of authority.c then look at a process that is not the caller's, and all of whose threads
 * must have the connection's user id.
 *
 * The bus is asked over a connection of its own (Bus.asker): an answer on the other one would come behind
 * all that clients have sent, which would have to be taken up first, at each new caller anew. Who looks for
 * that connection can send signals there too, which no policy forbids. So it takes descriptors only from a
 * bus that has some to give, and nothing stays that came before an answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/bus.h"
#include "daemon/bus_listen.h"
#include "daemon/bus_polkit.h"
#include "daemon/descriptors.h"
#include "daemon/util.h"

#define DBUS_NAME      "org.freedesktop.DBus"
#define DBUS_PATH      "/org/freedesktop/DBus"
#define DBUS_INTERFACE DBUS_NAME

/* The bus itself answers at once, or something is badly wrong. */
#define ASK_USEC UINT64_C(5000000)

static Caller *caller_free(Caller *caller)
{
	if (!caller)
		return NULL;
	sd_event_source_disable_unref(caller->doubt_timer);
	sd_event_source_disable_unref(caller->exit_source);
	process_clear(&caller->process);
	free(caller->name);
	free(caller);
	return NULL;
}

/* The chain that a name belongs to (by FNV-1a). */
static Caller **chain_of(Bus *bus, const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return &bus->callers[hash % BUS_CALLER_CHAINS];
}

/* Where the caller of that name is linked in, or NULL. */
static Caller **find_link(Bus *bus, const char *name)
{
	Caller **at;

	for (at = chain_of(bus, name); *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0)
			return at;
	return NULL;
}

/* The connection is gone, and what lives no longer than it goes too. */
static void lose(Bus *bus, Caller **link)
{
	const unsigned long long before = work_usec();
	Caller *caller = *link;

	polkit_withdraw(bus, caller);
	broker_end_owner(bus->broker, caller);
	rate_charge(bus->broker->rates, caller->uid, work_usec() - before);
	*link = caller->next;
	bus_listen_forget_caller(caller);
	caller_free(caller);
}

/*
 * One match for all names, since the bus limits how many a connection may have. A caller's messages come
 * before the news of its end, so a caller that is made for a message is always told of. The match lets
 * through what any client sends to us directly, whatever sender it names; only the bus's word counts.
 */
int bus_on_name_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	Bus *bus = userdata;
	const char *name, *sender = sd_bus_message_get_sender(message);
	Caller **link;
	int r;

	if (!sender || strcmp(sender, DBUS_NAME) != 0)
		return 0;
	r = sd_bus_message_read(message, "s", &name);
	if (r < 0)
		return r;
	link = find_link(bus, name);
	if (link)
		lose(bus, link);
	return 0;
}

static int ask_over(sd_bus *connection, const char *member, const char *name, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
	int r;

	r = sd_bus_message_new_method_call(connection, &question, DBUS_NAME, DBUS_PATH,
					   DBUS_INTERFACE, member);
	if (r < 0)
		return r;
	r = sd_bus_message_append(question, "s", name);
	if (r < 0)
		return r;
	return sd_bus_call(connection, question, ASK_USEC, NULL, ret);
}

/* What was taken up before the answer. Many callers can be asked after in one turn of the event loop, in
 * which it lets go of one message. */
static void let_go_of_the_rest(sd_bus *connection)
{
	uint64_t n;

	while (sd_bus_get_n_queued_read(connection, &n) >= 0 && n > 0 &&
	       sd_bus_process(connection, NULL) > 0)
		;
}

static int ask_bus(Bus *bus, const char *member, const char *name, sd_bus_message **ret)
{
	int r;

	r = ask_over(bus->asker, member, name, ret);
	/* The descriptors of a message that came meanwhile did not fit, and it is lost. */
	if (r == -EXFULL)
		bus_break(bus, r);
	else
		let_go_of_the_rest(bus->asker);
	return r;
}

/* Return: 1 while the bus has the connection, 0 when it has not; negative errno. */
static int is_connected(Bus *bus, const char *name)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int there = 0, r;

	r = ask_bus(bus, "NameHasOwner", name, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &there);
	return r < 0 ? r : there;
}

/* ---- Whose end nobody told ----------------------------------------------------------------------- */

/* A bus drops the news of a connection's end where more waits for us than it keeps, as when somebody
 * sends us descriptors or data without end. So the end of its process raises a doubt, and the bus is
 * asked: when the news must have come, and, since a process can leave its connection to another, ever
 * more seldom then. */
#define FIRST_DOUBT_USEC UINT64_C(1000000)
#define MAX_DOUBT_USEC   UINT64_C(64000000)

static int on_doubt(sd_event_source *source, uint64_t usec, void *userdata)
{
	Caller *caller = userdata;
	Caller **link = find_link(caller->bus, caller->name);
	int r;

	r = is_connected(caller->bus, caller->name);
	if (r == 0 && link) {
		lose(caller->bus, link);
		return 0;
	}
	if (caller->doubt_usec < MAX_DOUBT_USEC)
		caller->doubt_usec *= 2;
	r = sd_event_source_set_time_relative(source, caller->doubt_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_process_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	Caller *caller = userdata;

	caller->exit_source = sd_event_source_disable_unref(caller->exit_source);
	caller->doubt_usec = FIRST_DOUBT_USEC;
	return sd_event_add_time_relative(caller->bus->broker->event, &caller->doubt_timer,
					  CLOCK_MONOTONIC, caller->doubt_usec, 0, on_doubt, caller);
}

/* Return: 0 or negative errno. A process that cannot be seen from here raises no doubt. */
static int watch_process(Caller *caller)
{
	if (caller->process.pidfd < 0)
		return 0;
	return sd_event_add_io(caller->bus->broker->event, &caller->exit_source,
			       caller->process.pidfd, EPOLLIN, on_process_exit, caller);
}

/* What the bus says of a connection. The descriptor is the message's. */
typedef struct Credentials {
	uint32_t uid;
	uint32_t pid; /* 0: not said */
	int pidfd;    /* -EBADF: not said */
	bool has_uid;
} Credentials;

static int read_credential(sd_bus_message *reply, const char *name, Credentials *credentials)
{
	int r;

	if (strcmp(name, "UnixUserID") == 0) {
		r = sd_bus_message_read(reply, "v", "u", &credentials->uid);
		credentials->has_uid = r >= 0;
		return r;
	}
	if (strcmp(name, "ProcessID") == 0)
		return sd_bus_message_read(reply, "v", "u", &credentials->pid);
	if (strcmp(name, "ProcessFD") == 0)
		return sd_bus_message_read(reply, "v", "h", &credentials->pidfd);
	return sd_bus_message_skip(reply, "v");
}

/* Takes GetConnectionCredentials' answer apart. Return: 0 and *ret; negative errno. */
static int read_credentials(sd_bus_message *reply, Credentials *ret)
{
	Credentials credentials = {.pidfd = -EBADF};
	int r;

	r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
		const char *name;

		r = sd_bus_message_read(reply, "s", &name);
		if (r >= 0)
			r = read_credential(reply, name, &credentials);
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!credentials.has_uid)
		return -ENODATA;
	*ret = credentials;
	return 0;
}

int bus_tells_by_descriptor(sd_bus *connection, bool *ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	Credentials credentials;
	const char *name;
	int r;

	r = sd_bus_get_unique_name(connection, &name);
	if (r >= 0)
		r = ask_over(connection, "GetConnectionCredentials", name, &reply);
	if (r >= 0)
		r = read_credentials(reply, &credentials);
	if (r < 0)
		return r;
	*ret = credentials.pidfd >= 0;
	return 0;
}

/* Return: 0 and *ret, PROCESS_NONE where the process cannot be seen from here; negative errno. */
static int find_process(Bus *bus, const char *name, const Credentials *credentials, Process *ret)
{
	_cleanup_(process_clear) Process process = PROCESS_NONE;
	Refusal refusal;
	int r;

	if (credentials->pidfd >= 0) {
		descriptors_for_clients();
		r = process_from_pidfd(credentials->pidfd, ret, &refusal);
		descriptors_for_bus();
		return r > 0 ? 0 : r;
	}
	if (credentials->pid == 0)
		return 0;
	descriptors_for_clients();
	r = process_from_pid(credentials->pid, &process, &refusal);
	descriptors_for_bus();
	if (r != 0)
		return r > 0 ? 0 : r;
	r = is_connected(bus, name);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOTCONN;
	*ret = process;
	process = PROCESS_NONE;
	return 0;
}

static int caller_new(Bus *bus, const char *name, Caller **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	Credentials credentials;
	Caller *caller, **chain;
	int r;

	r = ask_bus(bus, "GetConnectionCredentials", name, &reply);
	if (r < 0)
		return r;
	r = read_credentials(reply, &credentials);
	if (r < 0)
		return r;
	caller = calloc(1, sizeof(*caller));
	if (!caller)
		return -ENOMEM;
	caller->bus = bus;
	caller->uid = credentials.uid;
	caller->process = PROCESS_NONE;
	caller->name = strdup(name);
	r = caller->name ? find_process(bus, name, &credentials, &caller->process) : -ENOMEM;
	if (r >= 0)
		r = watch_process(caller);
	if (r < 0) {
		caller_free(caller);
		return r;
	}
	chain = chain_of(bus, name);
	caller->next = *chain;
	*chain = caller;
	*ret = caller;
	return 0;
}

/* Whether the connection is still that user's. Names are never used twice on one run of a bus. */
static bool is_still_there(Bus *bus, const OwnerDescription *description)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	Credentials credentials;

	if (strcmp(description->bus_id, bus->bus_id) != 0 ||
	    ask_bus(bus, "GetConnectionCredentials", description->name, &reply) < 0 ||
	    read_credentials(reply, &credentials) < 0)
		return false;
	return credentials.uid == description->uid;
}

int bus_find_owner(const OwnerDescription *description, SessionOwner *ret, void *userdata)
{
	Caller **link, *caller, **chain;
	Bus *bus = userdata;
	int r;

	link = find_link(bus, description->name);
	/* It is believed no more for being known already. */
	if (link &&
	    ((*link)->uid != description->uid || strcmp(description->bus_id, bus->bus_id) != 0))
		return -ENOENT;
	if (link) {
		*ret = bus_owner(*link);
		return 0;
	}
	if (!is_still_there(bus, description))
		return -ENOENT;
	caller = calloc(1, sizeof(*caller));
	if (!caller)
		return -ENOMEM;
	caller->bus = bus;
	caller->uid = description->uid;
	caller->process = PROCESS_NONE;
	caller->name = strdup(description->name);
	if (!caller->name) {
		caller_free(caller);
		return -ENOMEM;
	}
	/* The very process that the sessions were opened for. */
	caller->process = *description->process;
	*description->process = PROCESS_NONE;
	r = watch_process(caller);
	if (r < 0) {
		caller_free(caller);
		return r;
	}
	chain = chain_of(bus, caller->name);
	caller->next = *chain;
	*chain = caller;
	*ret = bus_owner(caller);
	return 0;
}

int bus_sender(Bus *bus, sd_bus_message *message, Caller **ret, sd_bus_error *error)
{
	const char *sender = sd_bus_message_get_sender(message);
	Caller **link;
	int r;

	if (!sender)
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
					"The call has no sender: use a message bus.");
	link = find_link(bus, sender);
	if (link) {
		*ret = *link;
		return 0;
	}
	r = caller_new(bus, sender, ret);
	/* It has gone meanwhile, which is nobody's mistake, and nobody hears the answer. */
	if (r == -ENXIO || r == -ENOTCONN || r == -ESRCH)
		return sd_bus_error_set(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
					"The connection that called is gone: connect anew.");
	if (r < 0)
		return bus_fail(r, NULL, message, error);
	return 0;
}

int bus_caller(Bus *bus, sd_bus_message *message, Caller **ret, sd_bus_error *error)
{
	Caller *caller;
	int r;

	r = bus_sender(bus, message, &caller, error);
	if (r < 0)
		return r;
	if (caller->process.pidfd < 0)
		return sd_bus_error_set(
			error, refusal_error_name(REFUSED_NOT_AUTHORIZED),
			"The process that opened this bus connection cannot be seen "
			"from here: connect anew, from bpcondd's pid namespace.");
	*ret = caller;
	return 0;
}

void bus_callers_free(Bus *bus)
{
	for (size_t i = 0; i < BUS_CALLER_CHAINS; i++) {
		while (bus->callers[i]) {
			Caller *next = bus->callers[i]->next;

			caller_free(bus->callers[i]);
			bus->callers[i] = next;
		}
	}
}
