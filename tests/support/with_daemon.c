/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * with-daemon --build DIR [--user NAME] COMMAND…
 *
 * Runs COMMAND as an ordinary user on a private bus with bpcondd on it and returns its exit status
 * (128 + N when signal N killed it, 125 when bus or daemon could not be started, 126 or 127 when
 * COMMAND could not). Ends everything in any case: whatever COMMAND left running, daemon, bus and
 * files. Needs root, to become three users.
 *
 * Ctrl-C reaches COMMAND from the terminal and is ignored here; a signal from elsewhere is passed on
 * to COMMAND, which has 5 seconds to end.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/environment.h"

enum {
	EXIT_HARNESS = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	GRACE_SECONDS = 5,
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: with-daemon --build DIR [--user NAME] COMMAND...\n");
	return status;
}

static void block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGQUIT);
	sigaddset(ret, SIGCHLD);
	sigprocmask(SIG_BLOCK, ret, NULL);
}

static bool from_terminal(const siginfo_t *info)
{
	return info->si_code == SI_KERNEL;
}

/* Return: a signal that came in while bus and daemon were being started, or 0. */
static int signal_meanwhile(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigismember(&pending, numbers[i]))
			return numbers[i];
	}
	return 0;
}

/* Waits for COMMAND, passing signals on. Return: its status as by waitpid(2). */
static int supervise(pid_t command, const sigset_t *signals)
{
	struct timespec patience = {.tv_sec = 3600};
	int64_t deadline = INT64_MAX;
	siginfo_t info;
	int status, number;

	for (;;) {
		if (waitpid(command, &status, WNOHANG) == command)
			return status;
		if (now_ms() > deadline) {
			kill(command, SIGKILL);
			deadline = INT64_MAX;
		}
		number = sigtimedwait(signals, &info, &patience);
		if (number < 0 || number == SIGCHLD || from_terminal(&info))
			continue;
		kill(command, number);
		patience = (struct timespec){.tv_nsec = 100000000};
		if (deadline == INT64_MAX)
			deadline = now_ms() + GRACE_SECONDS * 1000;
	}
}

static int run_command(const Environment *e, const Identity *who, char *argv[],
		       const sigset_t *signals)
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	char **variables = NULL;
	pid_t command;
	int r;

	for (char **argument = argv; *argument; argument++) {
		r = environment_path(e, *argument, argument);
		if (r < 0)
			return EXIT_HARNESS;
	}
	r = environment_variables(e, who, &variables);
	if (r < 0)
		return EXIT_HARNESS;
	/* the lookup of COMMAND is by the PATH that it gets */
	for (char **v = variables; *v; v++) {
		if (strncmp(*v, "PATH=", 5) == 0)
			setenv("PATH", *v + 5, 1);
	}

	options.who = who;
	options.stdin_fd = STDIN_FILENO;
	options.environ = variables;
	r = process_spawn((const char *const *)argv, &options, &command);
	environment_variables_free(variables);
	if (r < 0) {
		fprintf(stderr, "%s as %s: %s\n", argv[0], who->name, strerror(-r));
		return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	}
	return process_exit_status(supervise(command, signals));
}

int main(int argc, char *argv[])
{
	static const struct option long_options[] = {
		{"build", required_argument, NULL, 'b'},
		{"user", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *user = ENVIRONMENT_USER_A;
	char build_dir[PATH_MAX] = "";
	Environment *environment = NULL;
	sigset_t signals;
	Identity who;
	int c, r, status;

	while (true) {
		c = getopt_long(argc, argv, "+hu:", long_options, NULL);
		if (c < 0)
			break;
		if (c == 'h')
			return usage(stdout, EXIT_SUCCESS);
		else if (c == 'u')
			user = optarg;
		else if (c != 'b')
			return usage(stderr, EXIT_HARNESS);
		else if (!realpath(optarg, build_dir)) {
			fprintf(stderr, "%s: %s\n", optarg, strerror(errno));
			return EXIT_HARNESS;
		}
	}
	if (optind == argc || build_dir[0] == '\0')
		return usage(stderr, EXIT_HARNESS);
	if (geteuid() != 0) {
		fprintf(stderr, "with-daemon: needs root; ./run with-daemon uses sudo\n");
		return EXIT_HARNESS;
	}
	r = identity_by_name(user, &who);
	if (r < 0) {
		fprintf(stderr, "user %s: %s\n", user, r == -ESRCH ? "no such user" : strerror(-r));
		return EXIT_HARNESS;
	}

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	block_signals(&signals);
	r = environment_start(build_dir, &environment);
	if (r < 0) {
		process_end_all_children();
		return EXIT_HARNESS;
	}
	status = signal_meanwhile();
	if (status > 0)
		status += 128;
	else
		status = run_command(environment, &who, argv + optind, &signals);
	if (!environment_daemon_lives(environment)) {
		fprintf(stderr, "with-daemon: bpcondd is no longer there\n");
		environment_show_log(environment);
	}
	environment_stop(environment);
	process_end_all_children();
	return status;
}
