/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From `ready` to the summary. One loop waits for the session (hits, its end), for signals and for
 * the clock. Signals are taken as descriptors from here on; before, Ctrl-C simply ends the process,
 * and the daemon cleans up behind a client that is gone.
 */
#include "tools/follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/output.h"

enum {
	/* How often the counters are looked at: for the live line, and for a limit whose last hit
	 * was dropped, of which no record tells. */
	TICK_MS = 200,
	/* Hits shown in a row before signals and the clock are looked at. */
	BURST = 1024,
	/* After the program has ended, how long the daemon may take to say so. */
	EXIT_GRACE_MS = 3000,
	/* How long a target may take to stop by a signal that was sent. */
	STOP_GRACE_MS = 100,
};

typedef enum Over {
	NOT_OVER = 0,
	OVER_SESSION, /* it ended: bpcond_session_end says why */
	OVER_REMOVED, /* the breakpoint, by another program */
	OVER_LIMIT,
	OVER_TIMEOUT,
	OVER_SIGNAL,
	OVER_OUTPUT, /* nobody reads what is printed */
	OVER_ERROR,
} Over;

typedef struct State {
	const Follow *follow;
	Output output;
	int signal_fd;
	int64_t deadline; /* ms; INT64_MAX: none */
	uint64_t received;
	bool child_over;
	int child_status;
	int terminal_signal; /* the terminal's, that ended it; 0: none */
	int error;           /* of OVER_ERROR and OVER_OUTPUT */
} State;

/* Return: NOT_OVER with the ring empty or a burst shown (*ret_more). */
static Over show_hits(State *state, bool *ret_more)
{
	const struct bpcond_hit *hit;

	for (int i = 0; i < BURST; i++) {
		int r = bpcond_session_wait(state->follow->session, 0, &hit);

		if (r == 0) {
			*ret_more = false;
			return NOT_OVER;
		}
		if (r == -EBADMSG) {
			complain("%s", bpcond_client_error(state->follow->client)->message);
			continue;
		}
		if (r == -ESRCH || r == -ECONNRESET || r == -ESHUTDOWN)
			return OVER_SESSION;
		if (r == -ENOENT && bpcond_breakpoint_is_removed(state->follow->breakpoint))
			return OVER_REMOVED;
		if (r == -EINTR)
			continue;
		if (r < 0) {
			state->error = r;
			return OVER_ERROR;
		}
		state->received++;
		r = output_hit(&state->output, hit);
		if (r < 0) {
			state->error = r;
			return OVER_OUTPUT;
		}
	}
	*ret_more = true;
	return NOT_OVER;
}

static void reap(State *state)
{
	int status;

	if (state->follow->child == 0 || state->child_over)
		return;
	if (waitpid(state->follow->child, &status, WNOHANG) != state->follow->child)
		return;
	state->child_over = true;
	state->child_status = status;
	/* The daemon will say that the session is over; if not, this does. */
	if (state->deadline > monotonic_ms() + EXIT_GRACE_MS)
		state->deadline = monotonic_ms() + EXIT_GRACE_MS;
}

/* A signal that ends us. What the terminal sends (Ctrl-C, its hangup) goes to a program that we run as
 * well; what somebody sends to us does not. */
static void take_end(State *state, const struct signalfd_siginfo *info)
{
	const Follow *f = state->follow;

	if (info->ssi_code != SI_KERNEL || f->child == 0 || state->child_over)
		return;
	if (f->pass_on)
		kill(f->child, (int)info->ssi_signo);
	else if (getpgid(f->child) != getpgrp())
		return;
	state->terminal_signal = (int)info->ssi_signo;
}

static Over take_signals(State *state)
{
	struct signalfd_siginfo info;
	Over over = NOT_OVER;

	while (read(state->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap(state);
		} else {
			take_end(state, &info);
			over = OVER_SIGNAL;
		}
	}
	return over;
}

static Over check_limit(const State *state, const struct bpcond_counters *counters)
{
	uint64_t limit = state->follow->options->request.limit;

	/* What is in the ring still is to be shown first. */
	if (limit > 0 && state->received + counters->dropped >= limit)
		return OVER_LIMIT;
	return NOT_OVER;
}

static int wait_time(const State *state)
{
	bool tick = state->output.live || state->follow->options->request.limit > 0;
	int64_t left = state->deadline - monotonic_ms();

	if (left < 0)
		left = 0;
	if (tick && left > TICK_MS)
		left = TICK_MS;
	return state->deadline == INT64_MAX && !tick ? -1 : left > 1000000 ? 1000000 : (int)left;
}

static Over loop(State *state)
{
	const Follow *f = state->follow;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = bpcond_session_fd(f->session), .events = POLLIN},
			{.fd = state->signal_fd, .events = POLLIN},
		};
		struct bpcond_counters counters;
		bool more = false;
		Over over;
		int r;

		over = show_hits(state, &more);
		if (over != NOT_OVER)
			return over;
		bpcond_breakpoint_counters(f->breakpoint, &counters);
		over = check_limit(state, &counters);
		if (over != NOT_OVER)
			return over;
		output_live(&state->output, &counters);
		/* Hits are seen as they come, but not one write(2) each when they come in bursts. */
		r = more ? 0 : output_flush(&state->output);
		if (r < 0) {
			state->error = r;
			return OVER_OUTPUT;
		}
		if (poll(fds, 2, more ? 0 : wait_time(state)) < 0 && errno != EINTR) {
			state->error = -errno;
			return OVER_ERROR;
		}
		over = take_signals(state);
		if (over != NOT_OVER)
			return over;
		if (monotonic_ms() >= state->deadline)
			return OVER_TIMEOUT;
	}
}

/* ---- The end --------------------------------------------------------------------------------- */

/*
 * Stops the breakpoint, shows what was in the ring, and takes the counts. Return: true when they
 * are whole.
 */
static bool settle(State *state, Over over, bpcond_counts *ret)
{
	const Follow *f = state->follow;
	struct bpcond_counters counters;
	bool more = true;
	int r;

	if (over != OVER_SESSION && over != OVER_REMOVED)
		bpcond_breakpoint_disable(f->breakpoint);
	while (more && over != OVER_OUTPUT && show_hits(state, &more) == NOT_OVER)
		;
	r = bpcond_breakpoint_counts(f->breakpoint, ret);
	if (r >= 0)
		return true;
	bpcond_breakpoint_counters(f->breakpoint, &counters);
	*ret = (bpcond_counts){
		.evaluated = counters.evaluated,
		.hits = counters.hits,
		.rejected = counters.rejected,
		.withheld = counters.withheld,
		.faults = counters.faults,
		.dropped = counters.dropped,
		.unsignalled = counters.unsignalled,
	};
	return false;
}

static void describe_end(const State *state, Over over, char *ret, size_t size)
{
	int status = state->child_status;

	switch (over) {
	case OVER_REMOVED:
		snprintf(ret, size, "The breakpoint was removed.");
		break;
	case OVER_LIMIT:
		snprintf(ret, size, "The limit is reached.");
		break;
	case OVER_TIMEOUT:
		snprintf(ret, size, "Time is up.");
		break;
	case OVER_SIGNAL:
		snprintf(ret, size, "Interrupted.");
		break;
	case OVER_SESSION:
		switch (bpcond_session_end(state->follow->session)) {
		case BPCOND_TARGET_EXITED:
			snprintf(ret, size, "The process has exited.");
			break;
		case BPCOND_TARGET_EXEC:
			snprintf(ret, size, "The process runs another program now.");
			break;
		case BPCOND_DAEMON_LOST:
		case BPCOND_DAEMON_STOPPED:
			snprintf(ret, size, "The daemon is gone.");
			break;
		case BPCOND_RUNNING:
		case BPCOND_CLOSED:
		case BPCOND_CLOSED_BY_ADMINISTRATOR:
			snprintf(ret, size, "The session was closed.");
			break;
		}
		break;
	case OVER_OUTPUT:
	case OVER_ERROR:
	case NOT_OVER:
		snprintf(ret, size, "Given up.");
		break;
	}
	if (!state->child_over)
		return;
	if (WIFEXITED(status))
		snprintf(ret, size, "The program has exited with status %d.", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(ret, size, "The program was ended by signal %d (%s).", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
}

/* Whether all of the process stands still by a signal. */
static bool is_stopped(pid_t pid)
{
	char path[64], line[512];
	const char *behind;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(line, sizeof(line), file) == NULL)
		*line = '\0';
	fclose(file);
	/* The name of the program can hold anything; the state stands behind its last parenthesis. */
	behind = strrchr(line, ')');
	return behind != NULL && behind[1] == ' ' && behind[2] == 'T';
}

/* A signal that a hit sent may have stopped the target, for good as far as we are concerned: who
 * sees that nothing goes on has to know why. */
static void describe_stop(const State *state, const bpcond_counts *counts, char *ret, size_t size)
{
	const char *name = state->follow->options->request.signal;
	pid_t pid = bpcond_session_pid(state->follow->session);

	*ret = '\0';
	if (name == NULL || counts->hits <= counts->unsignalled)
		return;
	if (strcmp(name, "SIGSTOP") != 0 && strcmp(name, "SIGTSTP") != 0 &&
	    strcmp(name, "SIGTTIN") != 0 && strcmp(name, "SIGTTOU") != 0)
		return;
	/* The signal is sent before the hit can be read, and acted on a little later. */
	for (int i = 0; i < STOP_GRACE_MS && !is_stopped(pid); i++)
		poll(NULL, 0, 1);
	if (is_stopped(pid))
		snprintf(ret, size,
			 "process %d is left stopped; continue it with 'kill -CONT %d', or see it "
			 "in a debugger first",
			 (int)pid, (int)pid);
}

static ExitStatus finish(State *state, Over over)
{
	const Follow *f = state->follow;
	enum bpcond_end end;
	bpcond_counts counts = {};
	char text[128], note[160];
	bool whole;
	int r = 0;

	if (over == OVER_ERROR)
		complain("cannot follow the hits: %s", strerror(-state->error));
	whole = settle(state, over, &counts);
	end = bpcond_session_end(f->session);
	/* The signal of the child can come after the daemon's word. */
	if (end == BPCOND_TARGET_EXITED && f->child != 0) {
		for (int i = 0; i < 100 && !state->child_over; i++) {
			struct pollfd fd = {.fd = state->signal_fd, .events = POLLIN};

			reap(state);
			if (!state->child_over)
				poll(&fd, 1, 10);
			take_signals(state);
		}
	}
	describe_end(state, over, text, sizeof(text));
	describe_stop(state, &counts, note, sizeof(note));
	if (over != OVER_OUTPUT)
		r = output_summary(&state->output, &counts, whole, text, note);
	if (*note != '\0' && (state->output.options.json || over == OVER_OUTPUT))
		complain("%s", note);
	if (f->child != 0 && !state->child_over && state->terminal_signal != 0)
		complain("the program, process %d, was sent SIG%s as well; if it goes on, it does "
			 "so "
			 "without the breakpoint",
			 (int)f->child, sigabbrev_np(state->terminal_signal));
	else if (f->child != 0 && !state->child_over)
		complain("the program, process %d, is left to itself, without the breakpoint",
			 (int)f->child);

	if (end == BPCOND_DAEMON_LOST || end == BPCOND_DAEMON_STOPPED) {
		complain("%s", end == BPCOND_DAEMON_LOST
				       ? "the connection to bpcondd is lost; see why with "
					 "'journalctl -u bpcondd', then start again"
				       : "bpcondd was stopped; start it with 'systemctl start "
					 "bpcondd', then start again");
		return STATUS_NO_DAEMON;
	}
	if (end == BPCOND_CLOSED_BY_ADMINISTRATOR)
		complain("an administrator closed the session");
	if (over == OVER_OUTPUT)
		r = state->error;
	if (r < 0) {
		/* Who reads has enough of them, and knows. */
		if (r != -EPIPE)
			complain("cannot write the hits out: %s; make room where they go",
				 strerror(-r));
		return STATUS_REFUSED;
	}
	return counts.hits > 0 ? STATUS_HITS : STATUS_NO_HITS;
}

static int watch_signals(State *state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (state->follow->child != 0)
		sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	state->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return state->signal_fd < 0 ? -errno : 0;
}

ExitStatus follow(const Follow *f)
{
	State state = {.follow = f, .signal_fd = -EBADF, .deadline = INT64_MAX};
	ExitStatus status;
	int r;

	r = watch_signals(&state);
	if (r < 0) {
		complain("cannot watch signals: %s; raise the limit of open files", strerror(-r));
		return STATUS_REFUSED;
	}
	r = output_start(&state.output, &(OutputOptions){
						.json = f->tool->json,
						.start = f->start,
						.pid = bpcond_session_pid(f->session),
						.value_first = f->value_first,
						.hide_registers = f->options->default_pc,
					});
	if (r < 0) {
		complain("out of memory");
		close(state.signal_fd);
		return STATUS_REFUSED;
	}
	status = f->begin == NULL ? STATUS_HITS : f->begin(f->userdata);
	if (status == STATUS_HITS) {
		fputs("ready\n", stderr);
		fflush(stderr);
		if (f->options->timeout_ms > 0)
			state.deadline = monotonic_ms() + f->options->timeout_ms;
		status = finish(&state, loop(&state));
	}
	output_clear(&state.output);
	close(state.signal_fd);
	return status;
}
