/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * break, watch and run: from the command line to an armed breakpoint.
 *
 * `run` has to set its breakpoint while the program stands still and after its exec (a session ends
 * at exec), but as early as possible. A location in the program itself, or an address, is good
 * at the exec already. Anything else waits for the program's entry, where the shared libraries are
 * there and relocated: `malloc` looked up earlier could be another one than the program will call.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/follow.h"
#include "tools/launch.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/place.h"

/* The text that an error's place is in. */
static const char *text_of(const Options *options, const bpcond_error *error)
{
	switch (error->part) {
	case BPCOND_PART_CONDITION:
		return options->request.condition;
	case BPCOND_PART_MEMORY:
		return options->request.memory[error->part_index].at;
	case BPCOND_PART_LOCATION:
	case BPCOND_PART_NONE:
		break;
	}
	return NULL;
}

static ExitStatus connect_client(const Tool *tool, bpcond_client **ret)
{
	bpcond_client *client;
	ExitStatus status;
	int r;

	r = bpcond_client_new(&client);
	if (r < 0) {
		complain("out of memory");
		return STATUS_REFUSED;
	}
	r = bpcond_client_connect(client, tool->bus);
	if (r < 0) {
		status = complain_error(bpcond_client_error(client), NULL);
		bpcond_client_free(client);
		return status;
	}
	*ret = client;
	return STATUS_HITS;
}

/* A hit of a watchpoint is about who made the access, and what is there now (add_and_follow): shown
 * to a person without being asked for. */
static void set_defaults(const Tool *tool, Options *options)
{
	if (!options->watch || tool->json || options->request.registers != NULL)
		return;
	options->request.registers = bpcond_register_name(BPCOND_REG_PC);
	options->default_pc = true;
}

static ExitStatus open_session(const Tool *tool, const Options *options, pid_t pid, Follow *f)
{
	const bpcond_session_options session_options = {
		.size = sizeof(session_options),
		/* Ten thousand small records: a terminal is slow. */
		.hits_bytes = 1024 * 1024,
		.name = "bpcondctl",
	};
	int r;

	f->tool = tool;
	f->options = options;
	r = bpcond_session_open(f->client, pid, &session_options, &f->session);
	return r < 0 ? complain_error(bpcond_client_error(f->client), NULL) : STATUS_HITS;
}

/* Takes the spec's string over in *spec. */
static ExitStatus add(Follow *f, char **spec)
{
	const Options *options = f->options;
	int r;

	place_announce(bpcond_session_pid(f->session), options, *spec);
	if (options->watch && !f->tool->json)
		f->value_first = place_add_value(options, spec);
	/* What it is armed for can happen before the call has returned. */
	f->start = monotonic_ns();
	r = bpcond_session_add(f->session, *spec, &f->breakpoint);
	if (r == -EINVAL && options->watch && place_complain_unaligned(*spec))
		return STATUS_USAGE;
	if (r < 0)
		return complain_error(bpcond_client_error(f->client), NULL);
	return STATUS_HITS;
}

static ExitStatus attach(Tool *tool, int argc, char **argv, bool watch)
{
	Options options = {.watch = watch};
	bpcond_error error = {};
	Follow f = {};
	ExitStatus status;
	char *spec = NULL;
	int r;

	status = options_parse(&options, tool, argc, argv);
	if (status == STATUS_HITS)
		status = connect_client(tool, &f.client);
	/* First of all: whether this process may be debugged is the daemon's to say. */
	if (status == STATUS_HITS)
		status = open_session(tool, &options, options.pid, &f);
	if (status != STATUS_HITS)
		goto finish;
	set_defaults(tool, &options);
	r = bpcond_spec_from_request(options.pid, &options.request, &spec, &error);
	if (r < 0) {
		status = complain_error(&error, text_of(&options, &error));
		goto finish;
	}
	status = add(&f, &spec);
	if (status == STATUS_HITS)
		status = follow(&f);
finish:
	free(spec);
	bpcond_client_free(f.client);
	options_clear(&options);
	return status;
}

ExitStatus command_break(Tool *tool, int argc, char **argv)
{
	return attach(tool, argc, argv, false);
}

ExitStatus command_watch(Tool *tool, int argc, char **argv)
{
	return attach(tool, argc, argv, true);
}

/* ---- run ------------------------------------------------------------------------------------- */

/* Whether the location means the same now, at the exec, as it will when all libraries are there. */
static bool is_settled(pid_t pid, const char *location)
{
	char message[256], path[64], program[PATH_MAX];
	bpcond_location found;
	ssize_t n;

	if (bpcond_resolve(pid, location, &found, message, sizeof(message)) != 0)
		return false;
	if (strncmp(location, "0x", 2) == 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, program, sizeof(program) - 1);
	if (n < 0)
		return false;
	program[n] = '\0';
	return strcmp(found.module, program) == 0;
}

static ExitStatus run_to_entry(pid_t pid, const Options *options)
{
	int r = launch_run_to_entry(pid);

	if (r == -ESRCH) {
		complain("%s ended before its entry point; see why by running it alone",
			 options->program[0]);
		return STATUS_NO_TARGET;
	}
	if (r < 0) {
		complain("cannot run %s to its entry point: %s", options->program[0], strerror(-r));
		return STATUS_REFUSED;
	}
	return STATUS_HITS;
}

/* The spec of the request, in a program that stands at its exec; may let it run to its entry, and
 * says so in *ret_at_entry. */
static ExitStatus prepare(pid_t pid, const Options *options, char **ret_spec, bool *ret_at_entry)
{
	const bpcond_request *request = &options->request;
	bpcond_error error = {};
	ExitStatus status;
	int r;

	if (is_settled(pid, request->location) &&
	    bpcond_spec_from_request(pid, request, ret_spec, NULL) == 0)
		return STATUS_HITS;
	status = run_to_entry(pid, options);
	if (status != STATUS_HITS)
		return status;
	*ret_at_entry = true;
	r = bpcond_spec_from_request(pid, request, ret_spec, &error);
	if (r < 0)
		return complain_error(&error, text_of(options, &error));
	return STATUS_HITS;
}

static ExitStatus let_go(void *userdata)
{
	const pid_t *child = userdata;
	int r = launch_detach(*child);

	if (r < 0) {
		complain("cannot let the program go on: %s", strerror(-r));
		return STATUS_NO_TARGET;
	}
	return STATUS_HITS;
}

static ExitStatus run_program(Tool *tool, const Options *options, bpcond_client *client)
{
	const char *signal = options->request.signal;
	bool own_session = signal != NULL && strcmp(signal, "SIGSTOP") == 0;
	pid_t child = launch(options->program, own_session);
	Follow f = {
		.client = client,
		.child = child,
		.pass_on = own_session,
		.begin = let_go,
		.userdata = &child,
	};
	bool at_entry = false;
	ExitStatus status;
	char *spec = NULL;

	if (child < 0) {
		complain("cannot run '%s': %s", options->program[0], strerror(-child));
		return child == -ENOENT || child == -EACCES || child == -ENOEXEC ? STATUS_NO_TARGET
										 : STATUS_REFUSED;
	}
	status = prepare(child, options, &spec, &at_entry);
	if (status == STATUS_HITS)
		status = open_session(tool, options, child, &f);
	if (status == STATUS_HITS)
		status = add(&f, &spec);
	/* Where its libraries are can be seen only there, and hits are told by their names: a short
	 * program is gone when they are shown. What is hit on the way waits in the ring. */
	if (status == STATUS_HITS && !at_entry && !tool->json)
		status = run_to_entry(child, options);
	if (status == STATUS_HITS)
		status = follow(&f);
	free(spec);
	/* A program that was not let go dies with us (launch). */
	return status;
}

ExitStatus command_run(Tool *tool, int argc, char **argv)
{
	Options options = {.run = true};
	bpcond_client *client = NULL;
	ExitStatus status;

	status = options_parse(&options, tool, argc, argv);
	if (status == STATUS_HITS)
		status = connect_client(tool, &client);
	if (status == STATUS_HITS) {
		set_defaults(tool, &options);
		status = run_program(tool, &options, client);
	}
	bpcond_client_free(client);
	options_clear(&options);
	return status;
}
