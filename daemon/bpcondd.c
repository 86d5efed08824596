/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpcondd: conditional breakpoints, filtered in the kernel, for users without privilege.
 *
 * Everything happens in one thread: an event loop in which each call is a short piece of work. The
 * path of a call is bus_*.c (who asks, what for) -> session.c (what for: sessions, breakpoints, the
 * order that trust demands) -> access.c and authority.c (may they) and bpf_*.c (the kernel).
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

#include <bpf/libbpf.h>

#include "daemon/bus.h"
#include "daemon/bus_restart.h"
#include "daemon/descriptors.h"
#include "daemon/log.h"
#include "daemon/pipe_relay.h"
#include "daemon/privileges.h"
#include "daemon/restore.h"
#include "daemon/session.h"
#include "daemon/settings.h"
#include "daemon/store.h"
#include "daemon/supported.h"

#define log_cannot_serve(...)                                                                    \
	log_message(LOG_ERR, &(LogContext){.message_id = LOG_ID_CANNOT_SERVE, .uid = (uid_t)-1}, \
		    __VA_ARGS__)

/* Not started at all: nothing that starting it again at once would mend, while the next call starts
 * it anyway. */
#define EXIT_NOT_STARTED 2

/* Larger pieces of memory go back to the kernel as soon as they are free. */
#define LARGE_BYTES (128 * 1024)

typedef struct Options {
	const char *address; /* NULL: the system bus */
	const char *user;    /* to become when started as root */
	const char *config;  /* NULL: SETTINGS_FILE, if there is one */
} Options;

static void print_help(FILE *to)
{
	fputs("Usage: bpcondd [OPTION]...\n"
	      "Sets conditional breakpoints for users without privilege; see bpcondd(8).\n"
	      "\n"
	      "  --bus ADDRESS  serve on this bus, not on the system bus\n"
	      "  --config FILE  read the limits from this file (" SETTINGS_FILE ")\n"
	      "  --user NAME    user to become when started as root (bpcondd)\n"
	      "  --help         show this help\n"
	      "  --version      show the version\n",
	      to);
}

/* Return: 0 to go on, 1 to end well, 2 after a usage error. */
static int parse_options(int argc, char *argv[], Options *ret)
{
	static const struct option known[] = {
		{"bus", required_argument, NULL, 'b'},
		{"config", required_argument, NULL, 'c'},
		{"user", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{},
	};
	Options options = {.user = "bpcondd"};

	for (;;) {
		int option = getopt_long(argc, argv, "", known, NULL);

		if (option < 0)
			break;
		switch (option) {
		case 'b':
			options.address = optarg;
			break;
		case 'c':
			options.config = optarg;
			break;
		case 'u':
			options.user = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 1;
		case 'v':
			puts("bpcondd " BPCOND_VERSION);
			return 1;
		default:
			print_help(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		print_help(stderr);
		return 2;
	}
	*ret = options;
	return 0;
}

/* libbpf explains a refused program at length: worth a line in the log only when it is ours. */
static int on_libbpf_message(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char text[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_warning("%s", text);
	return 0;
}

/* How many users at all of their limits the descriptors are for. */
#define SHARING_USERS 64

/* Says so where the system allows fewer: one user's use would take another's. */
static void check_descriptor_limit(const Settings *settings)
{
	const uint64_t each = settings_descriptors(settings), limit = descriptors_limit();

	if (limit / SHARING_USERS < each)
		log_info("%llu descriptors are enough for %llu users at their limits, of %llu "
			 "descriptors each: raise the limit of open files that it is started with "
			 "(LimitNOFILE= of a unit, at most the sysctl fs.nr_open) or lower the "
			 "limits in " SETTINGS_FILE " where more users share this machine",
			 (unsigned long long)limit, (unsigned long long)(limit / each),
			 (unsigned long long)each);
}

/* The same of what systemd keeps. */
static void check_store_limit(const Settings *settings)
{
	const uint64_t each =
		settings->quotas[QUOTA_SESSIONS] + settings->quotas[QUOTA_LENT_FILTERS];

	if (STORE_MAX_BOXES / SHARING_USERS < each)
		log_info("%d sessions and lent filters can outlive a restart, which are enough for "
			 "%llu users at their limits, of %llu each: lower \"sessions\" or "
			 "\"lent-filters\" in " SETTINGS_FILE
			 " where more users share this machine",
			 STORE_MAX_BOXES, (unsigned long long)(STORE_MAX_BOXES / each),
			 (unsigned long long)each);
}

/* A file that was named must be there. Return: 0 and *ret; negative errno, said in the log. */
static int read_settings(const Options *options, Settings *ret)
{
	const char *path = options->config ? options->config : SETTINGS_FILE;
	char message[512];
	int r;

	r = settings_read(path, ret, message, sizeof(message));
	if (r == -ENOENT && !options->config) {
		settings_default(ret);
		return 0;
	}
	if (r < 0)
		log_cannot_serve("%s: %s", path, message);
	return r;
}

/* What a signal to end does. */
typedef struct Ending {
	Bus *bus;
	Broker *broker;
	bool leave; /* to the daemon after this one */
} Ending;

static int on_ending(sd_event_source *source, const struct signalfd_siginfo *signal, void *userdata)
{
	Ending *ending = userdata;
	const Store *store = ending->broker->store;

	/* The numbers lie there too. */
	if (store && signal->ssi_signo == SIGTERM)
		ending->leave = bus_is_restarting(ending->bus->bus, store->n_boxes + 1);
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int handle_signals(sd_event *event, Ending *ending)
{
	int r;

	r = sd_event_add_signal(event, NULL, SIGTERM, on_ending, ending);
	if (r < 0)
		return r;
	return sd_event_add_signal(event, NULL, SIGINT, on_ending, ending);
}

static int block_signals(void)
{
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	return sigprocmask(SIG_BLOCK, &ending, NULL) < 0 ? -errno : 0;
}

/* Takes up what is left of the daemon before this one, and the name. Return: 0; negative errno, and
 * the log says what failed. */
static int begin(sd_event *event, Bus *bus, Broker *broker)
{
	Restored *restored = NULL;
	Store *store = NULL;
	int r;

	r = bus_serve(bus, broker, event);
	if (r >= 0)
		r = store_new(&store);
	if (r >= 0)
		r = restore_begin(broker, store, &restored);
	if (r < 0) {
		log_cannot_serve("cannot take up what an earlier bpcondd left: %s", strerror(-r));
		return r;
	}
	r = bus_take_name(bus);
	if (r < 0)
		log_cannot_serve("cannot take the name " BUS_NAME " on the bus: %s", strerror(-r));
	restore_finish(broker, restored);
	return r;
}

/* Return: 0 after a signal to end; negative errno, with *ret_again whether starting it at once may mend
 * that: it had begun to serve, or there is no bus (yet) while systemd holds what it is to take up. */
static int serve(sd_event *event, const Options *options, const Settings *settings, bool *ret_again)
{
	Ending ending = {};
	Broker *broker = NULL;
	Bus *bus = NULL;
	BrokerHooks hooks;
	int r;

	r = block_signals();
	if (r < 0)
		return r;
	r = bus_new(options->address, &bus);
	if (r < 0) {
		log_cannot_serve("cannot connect to the %s%s: %s",
				 options->address ? "bus " : "system bus",
				 options->address ? options->address : "", strerror(-r));
		*ret_again = sd_listen_fds(0) > 0;
		return r;
	}
	hooks = bus_hooks(bus);
	r = broker_new(event, settings, &hooks, &broker);
	if (r < 0) {
		log_cannot_serve("cannot load the BPF programs: %s", strerror(-r));
		goto finish;
	}
	if (broker->features.perf_error < 0) {
		Refusal refusal;

		refuse_perf(&refusal, broker->features.perf_error);
		log_warning("%s", refusal.text);
	}
	ending = (Ending){.bus = bus, .broker = broker};
	r = handle_signals(event, &ending);
	if (r >= 0)
		r = begin(event, bus, broker);
	if (r < 0)
		goto finish;

	/* Where systemd wants to hear from the loop: from it, so that what hangs is not heard. */
	r = sd_event_set_watchdog(event, true);
	if (r < 0) {
		log_cannot_serve("cannot set the watchdog's timer: %s", strerror(-r));
		goto finish;
	}
	*ret_again = true;
	sd_notify(0, "READY=1");
	r = sd_event_loop(event);
	/* A signal to end ends it with 0; what is above is sd-bus's, when it has lost the bus. */
	if (r > 0) {
		log_error("the connection to the bus is lost");
		r = -ECONNRESET;
	}
	sd_notify(0, "STOPPING=1");
	if (ending.leave) {
		r = bus_leave_name(bus);
		broker_leave(broker, false);
		if (r == 0)
			r = store_settle();
	} else if (r < 0) {
		broker_leave(broker, true);
	}
finish:
	bus_stop(bus);
	broker_free(broker);
	bus_free(bus);
	return r;
}

/* The sanitizers' look for leaks traces this process, which nobody may trace that is not dumpable. Only in
 * such builds, which are for tests, and only when all that the daemon held is gone. */
static void allow_leak_check(void)
{
#if defined(__SANITIZE_ADDRESS__)
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#endif
}

/* Return: the exit status. */
static int run(const Options *options)
{
	sd_event *event = NULL;
	bool again = false;
	const char *message;
	Settings settings;
	int r;

	r = privileges_reduce(options->user, &message);
	if (r < 0) {
		log_cannot_serve("%s", message);
		return EXIT_NOT_STARTED;
	}
	/* A single message may have 128 MiB. By itself malloc would come to keep as much. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	/* A socket that hits are forwarded into can lose its reader at any time. */
	signal(SIGPIPE, SIG_IGN);
	libbpf_set_print(on_libbpf_message);
	/* Each thread of each breakpoint is a descriptor. */
	descriptors_begin();
	r = read_settings(options, &settings);
	if (r < 0)
		return EXIT_NOT_STARTED;
	check_descriptor_limit(&settings);
	check_store_limit(&settings);

	r = sd_event_default(&event);
	if (r >= 0)
		r = serve(event, options, &settings, &again);
	sd_event_unref(event);
	allow_leak_check();
	if (r < 0) {
		log_cannot_serve("ended: %s", strerror(-r));
		return again ? EXIT_FAILURE : EXIT_NOT_STARTED;
	}
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	Options options;
	int r, status;

	if (argc > 0 && strcmp(argv[0], RELAY_PROGRAM) == 0)
		return pipe_relay_run();
	r = parse_options(argc, argv, &options);
	if (r > 0)
		return r == 1 ? EXIT_SUCCESS : EXIT_NOT_STARTED;
	status = run(&options);
	if (status == EXIT_NOT_STARTED)
		log_settle();
	return status;
}
