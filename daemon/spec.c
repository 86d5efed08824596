/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spec of a breakpoint, from hostile JSON to a struct in which every member is in range. What
 * spec_parse accepts, the rest of the daemon uses without asking again.
 *
 * One table has a row for each key, in the order in which they are read: what a later key is judged
 * by (the access, the parameters' names) comes before it. A key that the client did not write keeps
 * its default, which spec_new sets.
 *
 * spec->text is the same spec in normal form: parsed again it gives the same struct and the same
 * text, so it can be stored, shown and compared.
 */
#include "bpf/machine.h"
#include "daemon/spec.h"
#include "daemon/signal_names.h"
#include "daemon/spec_reader.h"
#include "json/strict_json.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*ReadKey)(SpecReader *reader, struct json_object *value, const char *path);

static int read_access(SpecReader *reader, struct json_object *value, const char *path)
{
	static const struct {
		const char *name;
		SpecAccess access;
	} names[] = {
		{"execute", SPEC_EXECUTE},
		{"write", SPEC_WRITE},
		{"read-write", SPEC_READ_WRITE},
	};
	const char *name;
	int r;

	r = spec_read_string(reader, value, path, &name);
	if (r != 0)
		return r;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i].name) == 0) {
			reader->spec->access = names[i].access;
			if (reader->spec->access != SPEC_EXECUTE)
				reader->spec->length = 8;
			return 0;
		}
	if (strcmp(name, "read") == 0)
		return spec_fail(reader, path,
				 "the processor has no breakpoint for reads alone; write "
				 "\"read-write\", or \"write\" or \"execute\"");
	return spec_fail(reader, path,
			 "there is no such access; write \"execute\", \"write\" or \"read-write\"");
}

static int read_length(SpecReader *reader, struct json_object *value, const char *path)
{
	int64_t length;
	int r;

	r = spec_read_integer(reader, value, path, "a length", 1, 8, &length);
	if (r != 0)
		return r;
	/* On arm64 any number of bytes, in one aligned doubleword: read_address sees to that. */
	if (MACHINE_X86 && (length & (length - 1)) != 0)
		return spec_fail(reader, path,
				 "the processor watches 1, 2, 4 or 8 bytes, not %" PRId64
				 "; write one of these, or set two breakpoints",
				 length);
	reader->spec->length = (uint32_t)length;
	return 0;
}

/* What debug registers can hold. */
static int check_alignment(SpecReader *reader, uint64_t address, const char *path)
{
	uint64_t length = reader->spec->length;

	if (length == 0) {
		if (address % MACHINE_INSTRUCTION_SIZE == 0)
			return 0;
		return spec_fail(reader, path,
				 "%#" PRIx64
				 " is no address of an instruction, which is divisible by "
				 "%d on " MACHINE_NAME "; write that of an instruction",
				 address, MACHINE_INSTRUCTION_SIZE);
	}
	if (MACHINE_ARM64 && address % 8 + length > 8)
		return spec_fail(
			reader, path,
			"the %" PRIu64 " bytes at %#" PRIx64 " lie in two doublewords, and the "
			"processor watches bytes of one; write a \"length\" of at most %" PRIu64
			", and set a second breakpoint for the rest",
			length, address, 8 - address % 8);
	if (MACHINE_X86 && address % length != 0)
		return spec_fail(
			reader, path,
			"%#" PRIx64 " is not aligned to the length of %" PRIu64
			" bytes; write an address divisible by it, or a smaller \"length\"",
			address, length);
	return 0;
}

static int read_address(SpecReader *reader, struct json_object *value, const char *path)
{
	uint64_t address, length = reader->spec->length > 0 ? reader->spec->length : 1;
	int r;

	r = spec_read_number(reader, value, path, &address);
	if (r != 0)
		return r;
	if (address == 0)
		return spec_fail(
			reader, path,
			"address 0 is no address of a program; write that of code or data");
	if (MACHINE_ARM64 && address >> 56 != 0)
		return spec_fail(reader, path,
				 "%#" PRIx64
				 " has a tag in its top byte, which the processor does not "
				 "compare; write the address without it, %#" PRIx64,
				 address, address & (UINT64_MAX >> 8));
	if (address >= MACHINE_USER_END || MACHINE_USER_END - address < length)
		return spec_fail(reader, path,
				 "%#" PRIx64 " is not a user address; those are above 0, and with "
				 "all the bytes watched below %#" PRIx64,
				 address, (uint64_t)MACHINE_USER_END);
	r = check_alignment(reader, address, path);
	if (r != 0)
		return r;
	reader->spec->address = address;
	return 0;
}

typedef struct ListedThread {
	pid_t tid;
	size_t index;
} ListedThread;

static int compare_threads(const void *a, const void *b)
{
	const ListedThread *first = a, *second = b;

	if (first->tid != second->tid)
		return first->tid < second->tid ? -1 : 1;
	return first->index < second->index ? -1 : 1;
}

static int read_thread_list(SpecReader *reader, struct json_object *value, const char *path,
			    ListedThread *listed)
{
	Spec *spec = reader->spec;
	size_t n_threads = json_object_array_length(value);
	char element_path[JSON_MAX_PATH];

	for (size_t i = 0; i < n_threads; i++) {
		struct json_object *element = json_object_array_get_idx(value, i);
		int64_t tid;
		int r;

		json_path_index(element_path, path, i);
		r = spec_read_integer(reader, element, element_path, "a thread id", 1, INT32_MAX,
				      &tid);
		if (r != 0)
			return r;
		listed[i] = (ListedThread){.tid = (pid_t)tid, .index = i};
	}
	qsort(listed, n_threads, sizeof(*listed), compare_threads);
	for (size_t i = 1; i < n_threads; i++)
		if (listed[i].tid == listed[i - 1].tid) {
			json_path_index(element_path, path, listed[i].index);
			return spec_fail(reader, element_path,
					 "thread %d is in the list twice; remove one",
					 listed[i].tid);
		}
	spec->threads = calloc(n_threads, sizeof(*spec->threads));
	if (spec->threads == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n_threads; i++)
		spec->threads[i] = listed[i].tid;
	spec->n_threads = n_threads;
	return 0;
}

static int read_threads(SpecReader *reader, struct json_object *value, const char *path)
{
	ListedThread *listed;
	size_t n_threads;
	int r;

	if (json_object_is_type(value, json_type_string)) {
		const char *word;

		r = spec_read_string(reader, value, path, &word);
		if (r != 0)
			return r;
		if (strcmp(word, "all") == 0)
			return 0;
		return spec_fail(reader, path, "write \"all\" or a list of thread ids");
	}
	if (!json_object_is_type(value, json_type_array))
		return spec_fail_type(reader, path, value, "\"all\" or a list of thread ids");
	n_threads = json_object_array_length(value);
	if (n_threads == 0)
		return spec_fail(reader, path,
				 "this list names no thread; write \"all\" or at least one id");
	if (n_threads > SPEC_MAX_THREADS)
		return spec_fail(
			reader, path,
			"%zu threads are listed, and the limit is %d; write \"all\", or set "
			"several breakpoints",
			n_threads, SPEC_MAX_THREADS);
	listed = calloc(n_threads, sizeof(*listed));
	if (listed == NULL)
		return -ENOMEM;
	r = read_thread_list(reader, value, path, listed);
	free(listed);
	return r;
}

/* What a condition, a C expression and a command line can all spell. */
static bool is_parameter_name(const char *name)
{
	if (name[0] >= '0' && name[0] <= '9')
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
		    !(*c >= '0' && *c <= '9') && *c != '_')
			return false;
	return name[0] != '\0' && strlen(name) <= CONDITION_MAX_PARAMETER_NAME;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *first = a;
	const char *const *second = b;

	return strcmp(*first, *second);
}

static int read_parameters(SpecReader *reader, struct json_object *value, const char *path)
{
	Spec *spec = reader->spec;
	char name_path[JSON_MAX_PATH];
	size_t n_parameters;

	if (!json_object_is_type(value, json_type_object))
		return spec_fail_type(reader, path, value,
				      "an object of names and first values, as in {\"max\": 10}");
	n_parameters = (size_t)json_object_object_length(value);
	if (n_parameters > CONDITION_MAX_PARAMETERS)
		return spec_fail(reader, path, "there are %zu parameters, and the limit is %d",
				 n_parameters, CONDITION_MAX_PARAMETERS);
	if (n_parameters == 0)
		return 0;
	spec->parameters = calloc(n_parameters, sizeof(*spec->parameters));
	spec->parameter_values = calloc(n_parameters, sizeof(*spec->parameter_values));
	if (spec->parameters == NULL || spec->parameter_values == NULL)
		return -ENOMEM;
	json_object_object_foreach(value, name, first)
	{
		(void)first;
		if (!is_parameter_name(name)) {
			json_path_member(name_path, path, name);
			return spec_fail(reader, name_path,
					 "a parameter's name is 1 to %d letters, digits and "
					 "underscores, and begins with no digit",
					 CONDITION_MAX_PARAMETER_NAME);
		}
		spec->parameters[spec->n_parameters] = strdup(name);
		if (spec->parameters[spec->n_parameters] == NULL)
			return -ENOMEM;
		spec->n_parameters++;
	}
	qsort(spec->parameters, n_parameters, sizeof(*spec->parameters), compare_names);
	for (size_t i = 0; i < n_parameters; i++) {
		struct json_object *first_value =
			json_object_object_get(value, spec->parameters[i]);
		int r;

		json_path_member(name_path, path, spec->parameters[i]);
		r = spec_read_number(reader, first_value, name_path, &spec->parameter_values[i]);
		if (r != 0)
			return r;
	}
	return 0;
}

static int read_condition(SpecReader *reader, struct json_object *value, const char *path)
{
	return spec_read_condition(reader, value, path, &reader->spec->condition);
}

static int read_on_fault(SpecReader *reader, struct json_object *value, const char *path)
{
	const char *name;
	int r;

	r = spec_read_string(reader, value, path, &name);
	if (r != 0)
		return r;
	reader->spec->fault_is_hit = strcmp(name, "hit") == 0;
	if (!reader->spec->fault_is_hit && strcmp(name, "reject") != 0)
		return spec_fail(reader, path, "a fault is a \"hit\" or a \"reject\"; write one");
	return 0;
}

/* The value is zero-extended as `value` is, so it has as many bits as are watched. */
static int read_previous(SpecReader *reader, struct json_object *value, const char *path)
{
	Spec *spec = reader->spec;
	uint64_t previous;
	int r;

	r = spec_read_count(reader, value, path, &previous);
	if (r != 0)
		return r;
	if (spec->length < 8 && previous >> 8 * spec->length != 0)
		return spec_fail(reader, path,
				 "%#" PRIx64 " does not fit the %" PRIu32
				 " bytes watched; write what they hold, zero-extended",
				 previous, spec->length);
	spec->previous = previous;
	spec->has_previous = true;
	return 0;
}

static int read_skip(SpecReader *reader, struct json_object *value, const char *path)
{
	return spec_read_count(reader, value, path, &reader->spec->skip);
}

static int read_every(SpecReader *reader, struct json_object *value, const char *path)
{
	uint64_t every;
	int r;

	r = spec_read_count(reader, value, path, &every);
	if (r != 0)
		return r;
	if (every == 0)
		return spec_fail(reader, path,
				 "every 0th hit is none; write 1 for every hit, 2 for every other");
	reader->spec->every = every;
	return 0;
}

static int read_limit(SpecReader *reader, struct json_object *value, const char *path)
{
	return spec_read_count(reader, value, path, &reader->spec->limit);
}

static int read_signal(SpecReader *reader, struct json_object *value, const char *path)
{
	char prefixed[SIGNAL_NAME_SIZE + 4] = "SIG";
	const char *name;
	int r, number;

	if (!json_object_is_type(value, json_type_string))
		return spec_fail_type(reader, path, value, "a signal's name, as in \"SIGSTOP\"");
	r = spec_read_string(reader, value, path, &name);
	if (r != 0)
		return r;
	number = signal_from_name(name);
	if (number == SIGTRAP)
		return spec_fail(reader, path,
				 "a debugger takes SIGTRAP for its own int3 and resumes one byte "
				 "early; write another signal, or use LendFilter and attr.sigtrap");
	if (number > 0) {
		reader->spec->signal = number;
		return 0;
	}
	strncat(prefixed, name, SIGNAL_NAME_SIZE);
	if (signal_from_name(prefixed) > 0)
		return spec_fail(reader, path, "write the whole name, \"%s\"", prefixed);
	return spec_fail(
		reader, path,
		"there is no such signal; write a name as in \"SIGSTOP\" or \"SIGRTMIN+1\"");
}

static int read_events(SpecReader *reader, struct json_object *value, const char *path)
{
	return spec_read_boolean(reader, value, path, &reader->spec->events);
}

static int read_kernel_accesses(SpecReader *reader, struct json_object *value, const char *path)
{
	return spec_read_boolean(reader, value, path, &reader->spec->kernel_accesses);
}

static int read_enabled(SpecReader *reader, struct json_object *value, const char *path)
{
	return spec_read_boolean(reader, value, path, &reader->spec->enabled);
}

static const struct {
	const char *name;
	ReadKey read;
	bool data_only;
	bool lent; /* a lent filter has it too */
} spec_keys[] = {
	{"access", read_access, false, false},
	{"length", read_length, true, false},
	{"address", read_address, false, false},
	{"threads", read_threads, false, false},
	{"parameters", read_parameters, false, true},
	{"condition", read_condition, false, true},
	{"on-fault", read_on_fault, false, true},
	{"previous", read_previous, true, false},
	{"skip", read_skip, false, true},
	{"every", read_every, false, true},
	{"limit", read_limit, false, true},
	{"capture", spec_read_capture, false, true},
	{"signal", read_signal, false, false},
	{"events", read_events, false, false},
	{"kernel-accesses", read_kernel_accesses, true, false},
	{"enabled", read_enabled, false, false},
};

enum {
	N_SPEC_KEYS = sizeof(spec_keys) / sizeof(spec_keys[0]),
};

const char *spec_key(size_t i)
{
	return i < N_SPEC_KEYS ? spec_keys[i].name : NULL;
}

static int read_key(SpecReader *reader, struct json_object *root, size_t row)
{
	struct json_object *value;
	char path[JSON_MAX_PATH];

	if (!json_object_object_get_ex(root, spec_keys[row].name, &value))
		return 0;
	json_path_member(path, "$", spec_keys[row].name);
	if (spec_keys[row].data_only && reader->spec->access == SPEC_EXECUTE)
		return spec_fail(reader, path,
				 "\"%s\" makes no sense with the access \"execute\", which is the "
				 "default; remove it, or write \"access\": \"write\" or "
				 "\"read-write\"",
				 spec_keys[row].name);
	return spec_keys[row].read(reader, value, path);
}

static int read_root(SpecReader *reader, struct json_object *root)
{
	const char *required = reader->spec->lent ? "condition" : "address";
	const char *names[N_SPEC_KEYS];
	size_t n_names = 0;
	int r;

	if (!json_object_is_type(root, json_type_object))
		return spec_fail_type(reader, "$", root,
				      "an object, as in {\"address\": \"0x401136\"}");
	for (size_t i = 0; i < N_SPEC_KEYS; i++)
		if (!reader->spec->lent || spec_keys[i].lent)
			names[n_names++] = spec_keys[i].name;
	r = spec_check_keys(reader, root, "$", names, n_names);
	if (r != 0)
		return r;
	if (!json_object_object_get_ex(root, required, NULL))
		return spec_fail(reader, "$", "the key \"%s\" is missing; write \"%s\": %s",
				 required, required, reader->spec->lent ? "{...}" : "\"0x...\"");
	for (size_t i = 0; i < N_SPEC_KEYS; i++) {
		r = read_key(reader, root, i);
		if (r != 0)
			return r;
	}
	return 0;
}

static int parse_text(SpecReader *reader)
{
	struct json_object *root;
	JsonError error;
	int r;

	if (reader->length > SPEC_MAX_BYTES) {
		char sentence[96];

		snprintf(sentence, sizeof(sentence),
			 "the spec has %zu bytes, and the limit is %d; shorten it", reader->length,
			 SPEC_MAX_BYTES);
		return refuse_at(reader->refusal, REFUSED_INVALID_SPEC, "$", SPEC_MAX_BYTES,
				 sentence);
	}
	r = json_parse_strict(reader->text, reader->length, SPEC_MAX_JSON_DEPTH, &root, &error);
	if (r < 0)
		return r;
	if (r > 0)
		return refuse_at(reader->refusal, REFUSED_INVALID_SPEC, error.path, error.offset,
				 error.message);
	r = read_root(reader, root);
	json_object_put(root);
	return r;
}

/* The normal form has every default written out, and must itself be a spec. */
static int write_text(SpecReader *reader)
{
	size_t length;
	int r;

	r = spec_to_text(reader->spec, &reader->spec->text);
	if (r < 0)
		return r;
	length = strlen(reader->spec->text);
	if (length > SPEC_MAX_BYTES)
		return spec_fail(reader, "$",
				 "with all defaults written out the spec has %zu bytes, and the "
				 "limit is %d; shorten it",
				 length, SPEC_MAX_BYTES);
	return 0;
}

static Spec *spec_new(void)
{
	Spec *spec = calloc(1, sizeof(*spec));

	if (spec == NULL)
		return NULL;
	spec->access = SPEC_EXECUTE;
	spec->fault_is_hit = true;
	spec->every = 1;
	spec->enabled = true;
	return spec;
}

static int parse(const char *text, size_t length, bool lent, Spec **ret, Refusal *refusal)
{
	SpecReader reader = {.text = text, .length = length, .refusal = refusal};
	int r;

	reader.spec = spec_new();
	if (reader.spec == NULL)
		return -ENOMEM;
	reader.spec->lent = lent;
	r = parse_text(&reader);
	if (r == 0 && !lent)
		r = write_text(&reader);
	if (r != 0) {
		spec_free(reader.spec);
		return r;
	}
	*ret = reader.spec;
	return 0;
}

int spec_parse(const char *text, size_t length, Spec **ret, Refusal *refusal)
{
	return parse(text, length, false, ret, refusal);
}

int spec_parse_lent(const char *text, size_t length, Spec **ret, Refusal *refusal)
{
	return parse(text, length, true, ret, refusal);
}

Spec *spec_free(Spec *spec)
{
	if (spec == NULL)
		return NULL;
	free(spec->threads);
	/* Conditions borrow the parameters' names. */
	condition_free(spec->condition);
	for (size_t i = 0; i < spec->n_pieces; i++)
		condition_free(spec->pieces[i].at);
	for (size_t i = 0; i < spec->n_parameters; i++)
		free(spec->parameters[i]);
	free(spec->parameters);
	free(spec->parameter_values);
	free(spec->text);
	free(spec);
	return NULL;
}
