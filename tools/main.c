/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpcondctl: the daemon's services from a shell, for a person and, with --json, for a program.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/bpcondctl.h"

static const char help[] =
	"Usage:\n"
	"  bpcondctl status                                       daemon, kernel features, limits\n"
	"  bpcondctl check [OPTIONS] 'EXPR' | -f SPEC.json        compile only\n"
	"  bpcondctl break [OPTIONS] -p PID LOCATION [if EXPR]    hits of an execution breakpoint\n"
	"  bpcondctl watch [OPTIONS] -p PID LOCATION [if EXPR]    hits of a data breakpoint\n"
	"  bpcondctl run [OPTIONS] break|watch LOCATION [if EXPR] -- PROGRAM ARGS...\n"
	"  bpcondctl list                                         sessions and breakpoints\n"
	"  bpcondctl rm OBJECT                                    end one: N or N/M, or its path\n"
	"\n"
	"With every command:\n"
	"  --bus ADDRESS         the message bus; else the system bus\n"
	"  --json                print JSON\n"
	"  --help, --version\n"
	"\n"
	"LOCATION: 0xADDR, SYMBOL[+OFF], MODULE:SYMBOL[+OFF] or FILE.c:LINE. Options stand before "
	"it;\n"
	"all that follows 'if' is the condition, in C's syntax: '$rdi == 500 && *(int *)$rsi < "
	"7'.\n"
	"\n"
	"Of break, watch and run:\n"
	"  -p, --pid PID         the process (break, watch)\n"
	"  --regs LIST|all       show registers, as --regs rip,rdi\n"
	"  --mem EXPR:LEN        show LEN bytes of memory at EXPR; can be given 8 times\n"
	"  --stack[=N]           show N return addresses, 16 if not said\n"
	"  --skip N              not the first N hits\n"
	"  --every N             then only every N-th\n"
	"  --limit N             and no more than N\n"
	"  --stop                stop the process at a hit (SIGSTOP)\n"
	"  --signal NAME         send the thread that hit a signal: SIGUSR1, USR1 or 10\n"
	"  --param NAME=VALUE    a 64-bit input of the condition; can be given more than once\n"
	"  --on-fault hit|reject  what a condition that cannot be computed is; else a hit\n"
	"  --timeout SECONDS     end after so long\n"
	"Of watch:\n"
	"  --rw                  reads too, not only writes\n"
	"  --length N            1, 2, 4 or 8 bytes; else the symbol's size if it is one of these, "
	"or 8\n"
	"  --kernel-accesses     also the kernel's own accesses on the process's behalf\n"
	"Of check:\n"
	"  -f, --file SPEC.json  a whole spec ('-': standard input)\n"
	"  -p PID, --param       whose symbols EXPR may use, and its parameters\n"
	"  --disassemble         also the condition's BPF instructions\n"
	"\n"
	"Exit status: 0 at least one hit (other commands: done), 1 no hit, 2 wrong use or spec,\n"
	"3 refused, 4 no such target, 5 daemon not reachable.\n";

static const struct {
	const char *name;
	ExitStatus (*command)(Tool *tool, int argc, char **argv);
} commands[] = {
	{"status", command_status}, {"check", command_check}, {"break", command_break},
	{"watch", command_watch},   {"run", command_run},     {"list", command_list},
	{"rm", command_rm},
};

enum {
	OPTION_BUS = 256,
	OPTION_JSON,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"bus", required_argument, NULL, OPTION_BUS},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{},
};

/* What was printed is worth nothing if it was not written: a full disk is no success. */
static int check_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	/* Who reads has enough of it, and knows. */
	if (errno != EPIPE)
		complain("cannot write the output: %s; make room where it goes", strerror(errno));
	return status == STATUS_HITS || status == STATUS_NO_HITS ? STATUS_REFUSED : status;
}

static int run(int argc, char **argv)
{
	Tool tool = {};
	int option;

	for (;;) {
		option = getopt_long(argc, argv, "+h", long_options, NULL);
		if (option < 0)
			break;
		switch (option) {
		case OPTION_BUS:
			tool.bus = optarg;
			break;
		case OPTION_JSON:
			tool.json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_HITS;
		case OPTION_VERSION:
			puts("bpcondctl " BPCOND_VERSION);
			return STATUS_HITS;
		default:
			fputs("Try 'bpcondctl --help'.\n", stderr);
			return STATUS_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		return complain_usage("there is no command; give status, check, break, watch, run, "
				      "list or rm");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[0], commands[i].name) == 0) {
			if (argc > 1 &&
			    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
				fputs(help, stdout);
				return STATUS_HITS;
			}
			return commands[i].command(&tool, argc, argv);
		}
	}
	return complain_usage(
		"'%s' is no command; give status, check, break, watch, run, list or rm", argv[0]);
}

int main(int argc, char **argv)
{
	return check_output(run(argc, argv));
}
