/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check: what the daemon thinks of a condition or of a whole spec, without a target.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bpcondctl.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/tree.h"

enum {
	MAX_SPEC = 1024 * 1024, /* far above what the daemon takes */
	OPTION_BUS = 256,
	OPTION_JSON,
	OPTION_PARAM,
	OPTION_DISASSEMBLE,
};

typedef struct Check {
	Tool *tool;
	const char *file; /* of -f */
	bool disassemble;
	char *text;      /* owned; the expression, or the file's contents */
	Options options; /* its parameters and pid */
} Check;

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

/* ---- What to check --------------------------------------------------------------------------- */

static ExitStatus read_spec(Check *check)
{
	FILE *file = strcmp(check->file, "-") == 0 ? stdin : fopen(check->file, "re");
	int failed = 0;
	char *text;
	size_t n;

	if (file == NULL) {
		complain("cannot read '%s': %s", check->file, strerror(errno));
		return STATUS_USAGE;
	}
	text = malloc(MAX_SPEC + 1);
	n = text == NULL ? 0 : fread(text, 1, MAX_SPEC + 1, file);
	if (ferror(file))
		failed = errno;
	if (file != stdin)
		fclose(file);
	if (failed != 0) {
		free(text);
		complain("cannot read '%s': %s", check->file, strerror(failed));
		return STATUS_USAGE;
	}
	if (text == NULL || n > MAX_SPEC) {
		free(text);
		complain("'%s' is too long for a spec", check->file);
		return STATUS_USAGE;
	}
	text[n] = '\0';
	check->text = text;
	/* D-Bus strings end at the first NUL: what is behind would go unchecked. */
	if (strlen(text) != n) {
		complain("'%s' holds a NUL byte; a spec is JSON text", check->file);
		return STATUS_USAGE;
	}
	return STATUS_HITS;
}

/* Compiles the expression. Return: 0 and *ret_tree (free()); 1 and *error. */
static ExitStatus compile(Check *check, char **ret_tree, bpcond_text_error *error)
{
	const char *names[OPTIONS_MAX_PARAMETERS];
	bpcond_symbols *symbols = NULL;
	char message[512] = "";
	int r = 0;

	for (size_t i = 0; i < check->options.request.n_parameters; i++)
		names[i] = check->options.parameters[i].name;
	if (check->options.pid != 0) {
		r = bpcond_symbols_new(check->options.pid, &symbols, message, sizeof(message));
		if (r < 0) {
			complain("%s", message);
			return r == -ESRCH ? STATUS_NO_TARGET : STATUS_REFUSED;
		}
	}
	const bpcond_text_scope scope = {
		.parameters = names,
		.n_parameters = check->options.request.n_parameters,
		/* With `value`, it is for a data breakpoint; without, it is good for both. */
		.data_breakpoint = 1,
		.lookup = symbols != NULL ? bpcond_symbols_lookup : NULL,
		.userdata = symbols,
	};
	r = bpcond_condition_from_text(check->text, &scope, ret_tree, error);
	bpcond_symbols_free(symbols);
	if (r < 0) {
		complain("cannot compile the condition: %s", strerror(-r));
		return STATUS_REFUSED;
	}
	return r > 0 ? STATUS_USAGE : STATUS_HITS;
}

/* Whether the tree needs watched memory. The text is what our own compiler wrote. */
static bool is_for_data(const char *tree)
{
	return strstr(tree, "{\"var\":\"value\"}") != NULL ||
	       strstr(tree, "{\"var\":\"previous\"}") != NULL ||
	       strstr(tree, "{\"var\": \"value\"}") != NULL ||
	       strstr(tree, "{\"var\": \"previous\"}") != NULL;
}

/* A spec around the tree; the address plays no part in the check. Return: NULL when memory is
 * short. */
static char *wrap(const Check *check, const char *tree)
{
	char *spec = NULL, *parameters = NULL;
	size_t size = 0;
	FILE *file;

	file = open_memstream(&parameters, &size);
	if (file == NULL)
		return NULL;
	for (size_t i = 0; i < check->options.request.n_parameters; i++) {
		struct json_object *name =
			json_object_new_string(check->options.parameters[i].name);

		fprintf(file, "%s%s:%" PRId64, i == 0 ? "" : ",",
			json_object_to_json_string_ext(name, JSON_C_TO_STRING_PLAIN),
			check->options.parameters[i].value);
		json_object_put(name);
	}
	if (fclose(file) != 0 ||
	    asprintf(&spec, "{\"address\":\"0x1000\",\"access\":\"%s\",\"condition\":%s%s%s%s}",
		     is_for_data(tree) ? "write" : "execute", tree,
		     *parameters == '\0' ? "" : ",\"parameters\":{", parameters,
		     *parameters == '\0' ? "" : "}") < 0)
		spec = NULL;
	free(parameters);
	return spec;
}

/* ---- What came out --------------------------------------------------------------------------- */

static void print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void report_text_error(const Check *check, const bpcond_text_error *error)
{
	struct json_object *report, *inner;
	const char *line = check->text;
	unsigned left = error->line;

	if (!check->tool->json) {
		complain("condition, column %u: %s", error->column, error->message);
		print_caret(check->text, error->line, error->column);
		options_hint(check->text);
		return;
	}
	while (left-- > 1)
		line = strchr(line, '\n') + 1;
	inner = json_object_new_object();
	json_object_object_add(inner, "name",
			       json_object_new_string("org.bpcond1.Error.InvalidCondition"));
	json_object_object_add(inner, "line", json_object_new_int64(error->line));
	json_object_object_add(inner, "column", json_object_new_int64(error->column));
	json_object_object_add(inner, "offset",
			       json_object_new_int64(line - check->text + error->column - 1));
	json_object_object_add(inner, "message", json_object_new_string(error->message));
	report = json_object_new_object();
	json_object_object_add(report, "ok", json_object_new_boolean(0));
	json_object_object_add(report, "error", inner);
	print_json(report);
	json_object_put(report);
}

static void print_offset_caret(const char *text, size_t offset)
{
	unsigned line = 1;
	const char *begin = text;

	if (offset > strlen(text))
		return;
	for (const char *p = text; p < text + offset; p++) {
		if (*p == '\n') {
			line++;
			begin = p + 1;
		}
	}
	print_caret(text, line, (unsigned)(text + offset - begin) + 1);
}

/* Numbers of instructions aligned on the right, as they come from the daemon: "12: …". */
static void print_code(struct json_object *code)
{
	size_t n = json_object_is_type(code, json_type_array) ? json_object_array_length(code) : 0;

	puts(n == 0 ? "\nno condition, no code of its own" : "\ncode of the condition");
	for (size_t i = 0; i < n; i++) {
		const char *line = json_object_get_string(json_object_array_get_idx(code, i));
		int digits = line == NULL ? 0 : (int)strspn(line, "0123456789");

		printf("%*s", digits < 6 ? 6 - digits : 0, "");
		print_safe(stdout, line == NULL ? "" : line);
		putchar('\n');
	}
}

static void print_good(const Check *check, struct json_object *report)
{
	struct json_object *spec = member(report, "spec"), *condition = member(spec, "condition");
	char *text = NULL;

	if (condition != NULL &&
	    bpcond_condition_to_text(json_object_to_json_string(condition), &text) == 0) {
		printf("condition    ");
		print_safe(stdout, text);
		printf("\n\n");
		free(text);
	}
	print_tree(check->file != NULL ? spec : condition);
	printf("\ninstructions %d\n", json_object_get_int(member(report, "instructions")));
	if (check->disassemble)
		print_code(member(report, "code"));
}

static ExitStatus show_report(const Check *check, const char *text)
{
	struct json_object *report, *error, *offset, *path;
	struct json_tokener *tokener;
	ExitStatus status = STATUS_HITS;

	tokener = json_tokener_new_ex(1024);
	report = tokener == NULL ? NULL : json_tokener_parse_ex(tokener, text, -1);
	json_tokener_free(tokener);
	if (!json_object_is_type(report, json_type_object)) {
		complain("the daemon's report makes no sense; use tools of its version");
		json_object_put(report);
		return STATUS_REFUSED;
	}
	error = member(report, "error");
	if (!json_object_get_boolean(member(report, "ok")))
		status = STATUS_USAGE;
	if (check->tool->json) {
		print_json(report);
	} else if (status == STATUS_HITS) {
		print_good(check, report);
	} else {
		path = member(error, "path");
		offset = member(error, "offset");
		complain("%s%s%s", path == NULL ? "" : json_object_get_string(path),
			 path == NULL ? "" : ": ",
			 json_object_get_string(member(error, "message")));
		/* The offset is one of the spec: of an expression there is none to show. */
		if (check->file != NULL && offset != NULL)
			print_offset_caret(check->text, (size_t)json_object_get_int64(offset));
	}
	json_object_put(report);
	return status;
}

/* ---- The command ----------------------------------------------------------------------------- */

static ExitStatus parse(Check *check, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"bus", required_argument, NULL, OPTION_BUS},
		{"json", no_argument, NULL, OPTION_JSON},
		{"param", required_argument, NULL, OPTION_PARAM},
		{"disassemble", no_argument, NULL, OPTION_DISASSEMBLE},
		{"file", required_argument, NULL, 'f'},
		{"pid", required_argument, NULL, 'p'},
		{},
	};
	ExitStatus status;
	uint64_t pid;

	optind = 0;
	argv[0] = program_invocation_short_name;
	for (;;) {
		/* The + keeps expressions like -1 == $edi apart from options. */
		int option = getopt_long(argc, argv, "+f:p:", long_options, NULL);

		if (option < 0)
			break;
		switch (option) {
		case OPTION_BUS:
			check->tool->bus = optarg;
			break;
		case OPTION_JSON:
			check->tool->json = true;
			break;
		case OPTION_PARAM:
			status = options_add_parameter(&check->options, optarg);
			if (status != STATUS_HITS)
				return status;
			break;
		case OPTION_DISASSEMBLE:
			check->disassemble = true;
			break;
		case 'f':
			check->file = optarg;
			break;
		case 'p':
			if (!parse_number(optarg, 1, INT_MAX, &pid))
				return complain_usage("-p wants a process id, not '%s'", optarg);
			check->options.pid = (pid_t)pid;
			break;
		default:
			fputs("Try 'bpcondctl --help'.\n", stderr);
			return STATUS_USAGE;
		}
	}
	if ((check->file != NULL) == (optind < argc))
		return complain_usage("check wants either an expression or -f SPEC.json");
	if (check->file != NULL)
		return read_spec(check);
	check->text = join_arguments(argv + optind, argc - optind);
	if (check->text == NULL) {
		complain("out of memory");
		return STATUS_REFUSED;
	}
	return STATUS_HITS;
}

static ExitStatus ask(Check *check, const char *spec)
{
	bpcond_client *client = NULL;
	char *report = NULL;
	ExitStatus status;
	int r;

	r = bpcond_client_new(&client);
	if (r < 0) {
		complain("out of memory");
		return STATUS_REFUSED;
	}
	r = bpcond_client_connect(client, check->tool->bus);
	if (r >= 0)
		r = bpcond_client_check_spec(client, spec, &report);
	if (r < 0)
		status = complain_error(bpcond_client_error(client), NULL);
	else
		status = show_report(check, report);
	free(report);
	bpcond_client_free(client);
	return status;
}

ExitStatus command_check(Tool *tool, int argc, char **argv)
{
	Check check = {.tool = tool};
	bpcond_text_error error = {};
	char *tree = NULL, *spec = NULL;
	ExitStatus status;

	check.options.request.parameters = check.options.parameters;
	status = parse(&check, argc, argv);
	if (status == STATUS_HITS && check.file != NULL) {
		status = ask(&check, check.text);
	} else if (status == STATUS_HITS) {
		status = compile(&check, &tree, &error);
		if (status == STATUS_USAGE) {
			report_text_error(&check, &error);
		} else if (status == STATUS_HITS) {
			spec = wrap(&check, tree);
			if (spec == NULL) {
				complain("out of memory");
				status = STATUS_REFUSED;
			} else {
				status = ask(&check, spec);
			}
		}
	}
	free(tree);
	free(spec);
	free(check.text);
	options_clear(&check.options);
	return status;
}
