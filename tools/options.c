/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines of break, watch and run. Options stand before LOCATION, so that everything behind
 * `if` is the condition, whatever characters it begins with.
 */
#include "tools/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"

enum {
	OPTION_BUS = 256,
	OPTION_JSON,
	OPTION_REGS,
	OPTION_MEM,
	OPTION_STACK,
	OPTION_SKIP,
	OPTION_EVERY,
	OPTION_LIMIT,
	OPTION_STOP,
	OPTION_SIGNAL,
	OPTION_PARAM,
	OPTION_KERNEL_ACCESSES,
	OPTION_TIMEOUT,
	OPTION_RW,
	OPTION_LENGTH,
	OPTION_ON_FAULT,
	MAX_TIMEOUT = 1000000000, /* seconds */
};

static const struct option long_options[] = {
	{"bus", required_argument, NULL, OPTION_BUS},
	{"json", no_argument, NULL, OPTION_JSON},
	{"pid", required_argument, NULL, 'p'},
	{"regs", required_argument, NULL, OPTION_REGS},
	{"mem", required_argument, NULL, OPTION_MEM},
	{"stack", optional_argument, NULL, OPTION_STACK},
	{"skip", required_argument, NULL, OPTION_SKIP},
	{"every", required_argument, NULL, OPTION_EVERY},
	{"limit", required_argument, NULL, OPTION_LIMIT},
	{"stop", no_argument, NULL, OPTION_STOP},
	{"signal", required_argument, NULL, OPTION_SIGNAL},
	{"param", required_argument, NULL, OPTION_PARAM},
	{"kernel-accesses", no_argument, NULL, OPTION_KERNEL_ACCESSES},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"on-fault", required_argument, NULL, OPTION_ON_FAULT},
	{"rw", no_argument, NULL, OPTION_RW},
	{"length", required_argument, NULL, OPTION_LENGTH},
	{},
};

bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret)
{
	bool hex = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0;
	const char *digits = hex ? text + 2 : text;
	unsigned long long value;

	/* strtoull takes signs and blanks, and wraps. */
	if (*digits == '\0' ||
	    digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
		return false;
	errno = 0;
	value = strtoull(digits, NULL, hex ? 16 : 10);
	if (errno != 0 || value < low || value > high)
		return false;
	*ret = value;
	return true;
}

char *join_arguments(char **argv, int argc)
{
	size_t size = 1;
	char *text, *p;

	for (int i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	text = malloc(size);
	if (text == NULL)
		return NULL;
	p = text;
	*p = '\0';
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			*p++ = ' ';
		p = stpcpy(p, argv[i]);
	}
	return text;
}

/* Keeps a string until options_clear. Return: it; NULL when memory is short, and that is said. */
static char *own(Options *options, char *text)
{
	if (text == NULL) {
		complain("out of memory");
		return NULL;
	}
	options->owned[options->n_owned++] = text;
	return text;
}

void options_clear(Options *options)
{
	for (size_t i = 0; i < options->n_owned; i++)
		free(options->owned[i]);
	options->n_owned = 0;
}

ExitStatus options_add_parameter(Options *options, const char *text)
{
	const char *equals = strchr(text, '='), *digits;
	bpcond_parameter *parameter;
	uint64_t bits;
	bool negative;
	char *name;

	if (equals == NULL || equals == text)
		return complain_usage("--param wants NAME=VALUE, not '%s'", text);
	digits = equals + 1;
	negative = *digits == '-';
	if (negative)
		digits++;
	/* -2^63 … 2^64-1, as a spec has it. */
	if (!parse_number(digits, 0, negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX, &bits))
		return complain_usage(
			"--param %.*s: '%s' is no 64-bit integer; write it in decimal "
			"or as 0x…",
			(int)(equals - text), text, equals + 1);
	if (options->request.n_parameters == OPTIONS_MAX_PARAMETERS)
		return complain_usage("there are at most %d parameters", OPTIONS_MAX_PARAMETERS);
	name = own(options, strndup(text, (size_t)(equals - text)));
	if (name == NULL)
		return STATUS_REFUSED;
	parameter = &options->parameters[options->request.n_parameters++];
	parameter->name = name;
	parameter->value = (int64_t)(negative ? -bits : bits);
	return STATUS_HITS;
}

static ExitStatus add_memory(Options *options, const char *text)
{
	const char *colon = strrchr(text, ':');
	bpcond_memory_request *piece;
	uint64_t length;
	char *at;

	if (colon == NULL || colon == text || !parse_number(colon + 1, 1, UINT32_MAX, &length))
		return complain_usage("--mem wants EXPR:LEN, as '$rsi:64', not '%s'", text);
	if (options->request.n_memory == OPTIONS_MAX_MEMORY)
		return complain_usage("there are at most %d pieces of memory", OPTIONS_MAX_MEMORY);
	at = own(options, strndup(text, (size_t)(colon - text)));
	if (at == NULL)
		return STATUS_REFUSED;
	piece = &options->memory[options->request.n_memory++];
	piece->at = at;
	piece->length = (uint32_t)length;
	return STATUS_HITS;
}

/* 19, STOP, stop and SIGSTOP as SIGSTOP. Return: the name (free()); NULL when memory is short. Whether
 * there is such a signal the daemon says. */
static char *signal_name(const char *text)
{
	const char *abbreviation = NULL;
	uint64_t number;
	char *name;

	if (parse_number(text, 1, (uint64_t)SIGRTMAX, &number)) {
		if (number >= (uint64_t)SIGRTMIN)
			return asprintf(&name, "SIGRTMIN+%d", (int)number - SIGRTMIN) < 0 ? NULL
											  : name;
		abbreviation = sigabbrev_np((int)number);
	}
	if (abbreviation == NULL)
		abbreviation = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	if (asprintf(&name, "SIG%s", abbreviation) < 0)
		return NULL;
	for (char *c = name; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return name;
}

static ExitStatus set_signal(Options *options, const char *name)
{
	char *text;

	if (options->request.signal != NULL)
		return complain_usage("give one of --stop and --signal, once");
	text = own(options, signal_name(name));
	if (text == NULL)
		return STATUS_REFUSED;
	options->request.signal = text;
	return STATUS_HITS;
}

static ExitStatus set_timeout(Options *options, const char *text)
{
	double seconds;
	char *end;

	seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(seconds > 0) || seconds > MAX_TIMEOUT)
		return complain_usage("--timeout wants a number of seconds above 0, at most %d, "
				      "not '%s'; without it there is no end to the time",
				      MAX_TIMEOUT, text);
	options->timeout_ms = (int64_t)(seconds * 1000);
	if (options->timeout_ms == 0)
		options->timeout_ms = 1;
	return STATUS_HITS;
}

static ExitStatus set_count(const char *name, const char *text, uint64_t low, uint64_t high,
			    uint64_t *ret)
{
	if (parse_number(text, low, high, ret))
		return STATUS_HITS;
	if (high < UINT32_MAX)
		return complain_usage("--%s wants a number from %llu to %llu, not '%s'", name,
				      (unsigned long long)low, (unsigned long long)high, text);
	return complain_usage("--%s wants a number of at least %llu, not '%s'", name,
			      (unsigned long long)low, text);
}

static ExitStatus set_on_fault(Options *options, const char *text)
{
	if (strcmp(text, "hit") != 0 && strcmp(text, "reject") != 0)
		return complain_usage("--on-fault wants hit or reject, not '%s'", text);
	options->request.fault_is_rejection = strcmp(text, "reject") == 0;
	return STATUS_HITS;
}

static ExitStatus take_option(Options *options, Tool *tool, int option)
{
	bpcond_request *request = &options->request;
	ExitStatus status;
	uint64_t number;

	switch (option) {
	case OPTION_BUS:
		tool->bus = optarg;
		return STATUS_HITS;
	case OPTION_JSON:
		tool->json = true;
		return STATUS_HITS;
	case 'p':
		if (options->run)
			return complain_usage("run starts the program itself: leave out -p");
		if (!parse_number(optarg, 1, INT_MAX, &number))
			return complain_usage("-p wants a process id, not '%s'", optarg);
		options->pid = (pid_t)number;
		return STATUS_HITS;
	case OPTION_REGS:
		request->registers = optarg;
		return STATUS_HITS;
	case OPTION_MEM:
		return add_memory(options, optarg);
	case OPTION_STACK:
		number = OPTIONS_DEFAULT_STACK;
		if (optarg != NULL && !parse_number(optarg, 1, UINT32_MAX, &number))
			return complain_usage("--stack=N wants a number of addresses, not '%s'",
					      optarg);
		request->stack = (uint32_t)number;
		options->stack_by_itself = optarg == NULL;
		return STATUS_HITS;
	case OPTION_SKIP:
		return set_count("skip", optarg, 0, UINT64_MAX, &request->skip);
	case OPTION_EVERY:
		return set_count("every", optarg, 1, UINT64_MAX, &request->every);
	case OPTION_LIMIT:
		return set_count("limit", optarg, 1, UINT64_MAX, &request->limit);
	case OPTION_STOP:
		return set_signal(options, "SIGSTOP");
	case OPTION_SIGNAL:
		return set_signal(options, optarg);
	case OPTION_PARAM:
		return options_add_parameter(options, optarg);
	case OPTION_KERNEL_ACCESSES:
		request->kernel_accesses = 1;
		return STATUS_HITS;
	case OPTION_TIMEOUT:
		return set_timeout(options, optarg);
	case OPTION_ON_FAULT:
		return set_on_fault(options, optarg);
	case OPTION_RW:
		request->access = BPCOND_READ_WRITE;
		return STATUS_HITS;
	case OPTION_LENGTH:
		status = set_count("length", optarg, 1, 8, &number);
		if (status == STATUS_HITS)
			request->length = (uint32_t)number;
		return status;
	default:
		/* getopt has said what is wrong. */
		fputs("Try 'bpcondctl --help'. Options stand before LOCATION.\n", stderr);
		return STATUS_USAGE;
	}
}

static ExitStatus take_options(Options *options, Tool *tool, int argc, char **argv)
{
	int option;

	/* getopt says "bpcondctl: unrecognized option …" with it. */
	argv[0] = program_invocation_short_name;
	for (;;) {
		ExitStatus status;

		option = getopt_long(argc, argv, "+p:", long_options, NULL);
		if (option < 0)
			return STATUS_HITS;
		status = take_option(options, tool, option);
		if (status != STATUS_HITS)
			return status;
	}
}

static bool is_decimal(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* LOCATION [if CONDITION…], n arguments. */
static ExitStatus take_place(Options *options, int n, char **arguments)
{
	char *condition;

	if (n == 0)
		return complain_usage("there is no LOCATION; give 0xADDR, SYMBOL, MODULE:SYMBOL or "
				      "FILE.c:LINE");
	options->request.location = arguments[0];
	if (options->stack_by_itself && is_decimal(arguments[0]))
		return complain_usage("'%s' is no LOCATION; a number for --stack is given as "
				      "--stack=%s",
				      arguments[0], arguments[0]);
	if (n == 1)
		return STATUS_HITS;
	if (strcmp(arguments[1], "if") != 0)
		return complain_usage(
			"'%s' stands behind LOCATION, where only 'if' and a condition "
			"can; options go before it",
			arguments[1]);
	if (n == 2)
		return complain_usage("there is no condition behind 'if'; if a $name stood there, "
				      "the shell took it: put the condition in single quotes");
	condition = own(options, join_arguments(arguments + 2, n - 2));
	if (condition == NULL)
		return STATUS_REFUSED;
	options->request.condition = condition;
	return STATUS_HITS;
}

static ExitStatus check_sense(const Options *options)
{
	const bpcond_request *request = &options->request;

	if (!options->run && options->pid == 0)
		return complain_usage("there is no process; give -p PID, or use 'bpcondctl run'");
	if (!options->watch && (request->access != BPCOND_EXECUTE || request->length != 0))
		return complain_usage("--rw and --length are for watch");
	if (!options->watch && request->kernel_accesses)
		return complain_usage("--kernel-accesses is for watch: the kernel does not execute "
				      "the program's code");
	return STATUS_HITS;
}

/* run [OPTIONS] break|watch [OPTIONS] LOCATION [if …] -- PROGRAM ARGS… */
static ExitStatus parse_run(Options *options, Tool *tool, int argc, char **argv)
{
	ExitStatus status;
	int first, dashes;

	status = take_options(options, tool, argc, argv);
	if (status != STATUS_HITS)
		return status;
	if (optind >= argc ||
	    (strcmp(argv[optind], "break") != 0 && strcmp(argv[optind], "watch") != 0))
		return complain_usage("run wants: run [OPTIONS] break|watch LOCATION [if EXPR] -- "
				      "PROGRAM ARGS...");
	options->watch = strcmp(argv[optind], "watch") == 0;
	argc -= optind;
	argv += optind;
	optind = 0;
	status = take_options(options, tool, argc, argv);
	if (status != STATUS_HITS)
		return status;
	first = optind;
	/* getopt ends at a "--" and steps over it. */
	if (strcmp(argv[first - 1], "--") == 0)
		return take_place(options, 0, NULL);
	for (dashes = first; dashes < argc && strcmp(argv[dashes], "--") != 0; dashes++)
		;
	if (dashes + 1 >= argc)
		return complain_usage("there is no program; put '-- PROGRAM ARGS...' at the end");
	options->program = argv + dashes + 1;
	return take_place(options, dashes - first, argv + first);
}

ExitStatus options_parse(Options *options, Tool *tool, int argc, char **argv)
{
	bpcond_request *request = &options->request;
	ExitStatus status;

	request->size = sizeof(*request);
	request->parameters = options->parameters;
	request->memory = options->memory;
	/* 0 makes getopt start afresh, also with the first character of the option string. */
	optind = 0;
	if (options->run) {
		status = parse_run(options, tool, argc, argv);
	} else {
		status = take_options(options, tool, argc, argv);
		if (status == STATUS_HITS)
			status = take_place(options, argc - optind, argv + optind);
	}
	if (status == STATUS_HITS)
		status = check_sense(options);
	if (status != STATUS_HITS)
		return status;
	if (options->watch && request->access == BPCOND_EXECUTE)
		request->access = BPCOND_WRITE;
	return STATUS_HITS;
}

/* ---- Mistakes that show later ---------------------------------------------------------------- */

const char *options_of_path(const char *path)
{
	static const struct {
		const char *path, *option;
	} table[] = {
		{"$.capture.memory", "--mem"}, {"$.capture.stack", "--stack"},
		{"$.signal", "--signal"},      {"$.length", "--length"},
		{"$.parameters", "--param"},   {"$.capture.registers", "--regs"},
		{"$.skip", "--skip"},          {"$.every", "--every"},
		{"$.limit", "--limit"},        {"$.kernel-accesses", "--kernel-accesses"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t n = strlen(table[i].path);

		if (strncmp(path, table[i].path, n) == 0 && !isalnum((unsigned char)path[n]) &&
		    path[n] != '-')
			return table[i].option;
	}
	return NULL;
}

/* The first word that is one of our options: its length and *ret, or 0. */
static size_t find_option(const char *text, const char **ret)
{
	for (const char *word = strstr(text, " --"); word != NULL; word = strstr(word + 1, " --")) {
		size_t n = strcspn(word + 3, " =");

		for (const struct option *o = long_options; o->name != NULL; o++) {
			if (strlen(o->name) == n && strncmp(o->name, word + 3, n) == 0) {
				*ret = word + 1;
				return n + 2;
			}
		}
	}
	return 0;
}

/* Whether an operand is missing: nothing, or an operator, stands where one has to. */
static bool operand_is_missing(const char *p)
{
	bool wanted = true;

	while (*p != '\0') {
		size_t word = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789_$.");
		bool two = p[1] != '\0' && strchr("&|=<>", p[0]) != NULL && p[0] == p[1];

		if (word > 0) {
			wanted = false;
			p += word;
		} else if (*p == '"' || *p == '\'') {
			size_t inside = strcspn(p + 1, *p == '"' ? "\"" : "'");

			wanted = false;
			p += 1 + inside + (p[1 + inside] != '\0');
		} else if (strchr(" \t\n", *p) != NULL) {
			p++;
		} else if (*p == '(' || *p == '[') {
			wanted = true;
			p++;
		} else if (wanted && (two || strchr("~!-+*&", *p) == NULL || p[1] == '=')) {
			return true;
		} else {
			/* A closing one ends an operand, any other wants one. */
			wanted = *p != ')' && *p != ']';
			p += two || p[1] == '=' || (*p == '-' && p[1] == '>') ? 2 : 1;
		}
	}
	return wanted;
}

void options_hint(const char *text)
{
	const char *option;
	size_t n = find_option(text, &option);

	if (n > 0)
		complain(
			"options stand before LOCATION: put '%.*s' there; all that follows 'if' is "
			"the condition",
			(int)n, option);
	if (strchr(text, '$') == NULL && operand_is_missing(text))
		complain("if a $name stood there, the shell took it: put the text in single "
			 "quotes");
}
