/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Specs that are bombs: for the reader of JSON, for the compiler, for the kernel's verifier, for memory.
 * Each is refused by name or works, cheaply; and the user pays for the time that his take.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/support/machine.h"
#include "tests/support/target.h"

enum {
	MAX_NODES = 256,
	MAX_TEXT = 4096,
	BOMBS = 40, /* of each shape, each a little different */
};

/* Text that grows. */
typedef struct Text {
	char *bytes;
	size_t size, allocated;
} Text;

static void add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(Text *text, const char *format, ...)
{
	va_list arguments;
	int n;

	if (text->allocated - text->size < 512) {
		text->allocated = text->allocated * 2 + 4096;
		text->bytes = realloc(text->bytes, text->allocated);
		ck_assert_ptr_nonnull(text->bytes);
	}
	va_start(arguments, format);
	n = vsnprintf(text->bytes + text->size, 512, format, arguments);
	va_end(arguments);
	ck_assert_int_lt(n, 512);
	text->size += (size_t)n;
}

static void add_times(Text *text, size_t times, const char *piece)
{
	size_t length = strlen(piece);

	text->allocated = text->size + times * length + 4096;
	text->bytes = realloc(text->bytes, text->allocated);
	ck_assert_ptr_nonnull(text->bytes);
	for (size_t i = 0; i < times; i++, text->size += length)
		memcpy(text->bytes + text->size, piece, length);
	text->bytes[text->size] = '\0';
}

static void text_clear(Text *text)
{
	free(text->bytes);
	*text = (Text){0};
}

/* The time that the daemon has computed, in ms. */
static long daemon_ms(void)
{
	char path[64];
	long ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", helper_daemon_pid());
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld", &ns), 1);
	fclose(file);
	return ns / 1000000;
}

/* Return: the error's name after its last dot, static text; NULL when it is taken. */
static const char *call_with(sd_bus *bus, const char *path, const char *interface,
			     const char *member, const char *text)
{
	static char name[128];
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call_method(bus, "org.bpcond1", path, interface, member, &error, NULL, "s",
			       text);
	if (r >= 0)
		return NULL;
	ck_assert_msg(sd_bus_error_is_set(&error), "%s: %s", member, strerror(-r));
	snprintf(name, sizeof(name), "%s", strrchr(error.name, '.') + 1);
	ck_assert_msg(strlen(error.message) > 10 && strlen(error.message) < 2000, "%s: %s", name,
		      error.message);
	sd_bus_error_free(&error);
	return name;
}

/* CheckSpec, AddBreakpoint and LendFilter say the same kind of thing of it. */
static void expect_bad(const BusSession *session, const Text *spec)
{
	const char *name;

	name = call_with(session->bus, session->path, SESSION_INTERFACE, "AddBreakpoint",
			 spec->bytes);
	ck_assert_msg(name, "%.100s… was let pass", spec->bytes);
	attack_expect_refusal(name, "InvalidSpec", "InvalidCondition");
	/* its report of an error is no error */
	name = call_with(session->bus, MANAGER_PATH, MANAGER_INTERFACE, "CheckSpec", spec->bytes);
	ck_assert_msg(!name, "CheckSpec: %s", name ? name : "");
}

static void size_and_depth(void)
{
	static const size_t sizes[] = {5000, 100000, 2000000};
	static const struct {
		const char *before, *piece, *middle, *closing;
	} shapes[] = {
		{"", "[", "", ""},
		{"", "[", "1", "]"},
		{"", "{\"a\":", "1", "}"},
		{"{\"address\":\"0x1000\",\"condition\":", "{\"!\":", "1", "}"},
		{"{\"address\":\"0x1000\",\"condition\":", "{\"and\":[1,", "1", "]}"},
		{"{\"address\":\"", "0", "1", ""},
		{"{\"address\":", "9", "", ""},
		{"{\"address\":\"0x1000\",\"x\":\"", "a", "\"", ""},
		{"{\"address\":\"0x1000\",\"parameters\":{\"", "a", "\":1}", ""},
		{"{\"address\":\"0x1000\",\"x\":\"", "\\u0000", "\"", ""},
		{"{\"address\":\"0x1000\",\"threads\":[1", ",1", "]", ""},
		{"{\"address\":\"0x1000\"", ",\"skip\":1", "", ""},
		{"{\"address\":\"0x1000\"", " ", "x", ""},
		{"{\"address\":\"0x1000\",\"capture\":{\"registers\":[\"pc\"", ",\"pc\"", "]}", ""},
		{"{\"address\":\"0x1000\",\"capture\":{\"memory\":[{\"at\":1,\"length\":8}",
		 ",{\"at\":1,\"length\":8}", "]}", ""},
	};
	sd_bus *bus = bus_connect();
	BusSession session;

	bus_open_session(bus, getpid(), &session);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			Text spec = {0};
			size_t n = sizes[k] / strlen(shapes[i].piece) + 1;

			add(&spec, "%s", shapes[i].before);
			add_times(&spec, n, shapes[i].piece);
			add(&spec, "%s", shapes[i].middle);
			if (shapes[i].closing[0])
				add_times(&spec, n, shapes[i].closing);
			if (shapes[i].before[0])
				add(&spec, "}");
			expect_bad(&session, &spec);
			text_clear(&spec);
		}
	}
}

static void numbers_and_names(void)
{
	static const char *const members[] = {
		"\"skip\":18446744073709551616",
		"\"skip\":-1",
		"\"skip\":-0.0",
		"\"skip\":1e400",
		"\"skip\":0x10",
		"\"skip\":01",
		"\"skip\":Infinity",
		"\"limit\":\"0x\"",
		"\"limit\":\"0xfffffffffffffffff\"",
		"\"limit\":\"0x-1\"",
		"\"every\":0",
		"\"length\":8",
		"\"access\":\"write\",\"length\":\"0xffffffffffffffff\"",
		"\"threads\":[-1]",
		"\"threads\":[4294967297]",
		"\"threads\":[0]",
		"\"threads\":[]",
		"\"threads\":[99999999999999999999]",
		"\"signal\":65",
		"\"signal\":\"SIGTRAP\"",
		"\"signal\":\"\\u0000\"",
		"\"capture\":{\"stack\":4294967296}",
		"\"capture\":{\"stack\":-1}",
		"\"capture\":{\"memory\":[{\"at\":0,\"length\":4294967295}]}",
		"\"capture\":{\"memory\":[{\"at\":0,\"length\":-8}]}",
		"\"parameters\":{\"a\":1,\"a\":2}",
		"\"parameters\":{\"a\":1,\"\\u0061\":2}",
		"\"parameters\":{\"\":1}",
		"\"parameters\":{\"a\":9223372036854775808.0}",
		"\"\\u0061ddress\":\"0x2000\"",
		"\"address\":\"0x2000\"",
		"\"condition\":1,\"condition\":1",
		"\"condition\":{\"and\":[1,1],\"and\":[1,1]}",
		"\"condition\":{\"==\":[1,1],\"!=\":[1,1]}",
		"\"condition\":{\"%\":[1]}",
		"\"condition\":{\"reg\":\"../../etc\"}",
		"\"condition\":{\"param\":\"%s%n\"}",
		"\"condition\":\"\xff\xfe\"",
		"\"condition\":\"\\ud800\"",
		"\"condition\":{\"string-equals\":[0,\"\\u0000\"]}",
		"\"condition\":{\"bytes-equal\":[0,\"0\"]}",
		"\"condition\":{\"bytes-equal\":[0,\"gg\"]}",
	};
	sd_bus *bus = bus_connect();
	BusSession session;

	bus_open_session(bus, getpid(), &session);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		Text spec = {0};

		/* what is no UTF-8 does not pass the bus, where it is sent as a string */
		add(&spec, "{\"address\":\"0x1000\",%s}", members[i]);
		if (strchr(members[i], '\xff')) {
			sd_bus_error error = SD_BUS_ERROR_NULL;

			ck_assert_int_lt(sd_bus_call_method(bus, "org.bpcond1", session.path,
							    SESSION_INTERFACE, "AddBreakpoint",
							    &error, NULL, "s", spec.bytes),
					 0);
			sd_bus_error_free(&error);
			/* which cost us the connection */
			sd_bus_close_unref(bus);
			bus = bus_connect();
			bus_open_session(bus, getpid(), &session);
		} else {
			expect_bad(&session, &spec);
		}
		text_clear(&spec);
	}
}

/* ---- For the verifier ---------------------------------------------------------------------------- */

/* Fills a condition up to its limits with one shape. `number` makes each another one. */
static void add_bomb(Text *spec, unsigned shape, unsigned number)
{
	size_t start;

	add(spec, "{\"address\":\"0x1000\",\"enabled\":false,\"condition\":");
	start = spec->size;
	switch (shape) {
	case 0: /* a sum of choices: two ways each */
		add(spec, "{\"==\":[{\"+\":[%u", number);
		for (int i = 0; i < 40 && spec->size - start < MAX_TEXT - 100; i++)
			add(spec, ",{\"if\":[{\"reg\":\"" ARG1 "\"},%d,%d]}", i, i + 1);
		add(spec, "]},7]}");
		break;
	case 1: /* comparisons of loads */
		add(spec, "{\"and\":[%u", number + 1);
		for (int i = 0; i < 55 && spec->size - start < MAX_TEXT - 100; i++)
			add(spec, ",{\"!=\":[{\"load\":\"u8\",\"at\":{\"reg\":\"" ARG2 "\"}},%d]}",
			    i);
		add(spec, "]}");
		break;
	case 2: /* loads by loads */
		for (int i = 0; i < 30; i++)
			add(spec, "{\"load\":\"u64\",\"at\":");
		add(spec, "%u", number);
		add_times(spec, 30, "}");
		break;
	case 3: /* long strings */
		add(spec, "{\"or\":[{\"==\":[%u,1]}", number + 2);
		for (int i = 0; i < 12; i++)
			add(spec, ",{\"string-equals\":[{\"reg\":\"" ARG1 "\"},\"%0200d\"]}", i);
		add(spec, "]}");
		break;
	case 4: /* signed divisions */
		add(spec, "{\"==\":[{\"+\":[%u", number);
		for (int i = 0; i < 60 && spec->size - start < MAX_TEXT - 100; i++)
			add(spec, ",{\"/\":[{\"reg\":\"" ARG1 "\"},{\"reg\":\"" ARG2 "\"}]}");
		add(spec, "]},7]}");
		break;
	default: /* ranges of ranges */
		add(spec, "{\"or\":[{\"==\":[%u,1]}", number + 2);
		for (int i = 0; i < 50 && spec->size - start < MAX_TEXT - 100; i++)
			add(spec, ",{\"in\":[{\"reg\":\"" ARG3 "\"},{\"reg\":\"" ARG3 "\"},%d]}",
			    i);
		add(spec, "]}");
		break;
	}
	add(spec, "}");
}

/* All of them load, none takes long, and the whole is bounded by what a user may have computed. */
static void verifier_bombs(void)
{
	sd_bus *bus = bus_connect();
	BusSession session;
	long before, most = 0;

	bus_open_session(bus, getpid(), &session);
	for (unsigned shape = 0; shape < 6; shape++) {
		for (unsigned number = 0; number < BOMBS; number++) {
			sd_bus_error error = SD_BUS_ERROR_NULL;
			BusBreakpoint breakpoint;
			Text spec = {0};

			add_bomb(&spec, shape, number);
			before = daemon_ms();
			if (bus_try_add_text(&session, &breakpoint, &error, spec.bytes) == 0) {
				bus_breakpoint_call(&breakpoint, "Remove");
				bus_breakpoint_close(&breakpoint);
			} else {
				/* only for what he has had computed before */
				bus_expect_error(&error, "QuotaExceeded", "milliseconds");
				usleep(100000);
				number--;
			}
			most = daemon_ms() - before > most ? daemon_ms() - before : most;
			text_clear(&spec);
		}
	}
	/* one call, its program, its verification; facts of a slow machine, times ten */
	ck_assert_msg(most < 500, "one spec took the daemon %ld ms", most);
	attack_expect_others_served();
}

int main(int argc, char *argv[])
{
	static const AttackCase cases[] = {
		{"size and depth", size_and_depth, NULL},
		{"numbers, names and texts", numbers_and_names, NULL},
		{"bombs for the verifier", verifier_bombs, NULL},
	};

	return attack_run("attack-specs", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
