/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the client library reads out of specs and errors, and how it answers without any bus. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpcond/bpcond.h"
#include "client/error.h"
#include "client/spec_json.h"

START_TEST(test_parameter_names_in_byte_order)
{
	char **names;
	size_t n;

	ck_assert_int_eq(
		spec_parameter_names("{\"address\":1,\"parameters\":{\"b\":1,\"a_\":2,\"Z\":3,"
				     "\"a\":4,\"\xc3\xa4\":5,\"a1\":6}}",
				     &names, &n),
		0);
	ck_assert_uint_eq(n, 6);
	ck_assert_str_eq(names[0], "Z");
	ck_assert_str_eq(names[1], "a");
	ck_assert_str_eq(names[2], "a1");
	ck_assert_str_eq(names[3], "a_");
	ck_assert_str_eq(names[4], "b");
	ck_assert_str_eq(names[5], "\xc3\xa4");
	spec_free_names(names, n);

	ck_assert_int_eq(spec_parameter_names("{\"address\":1}", &names, &n), 0);
	ck_assert_uint_eq(n, 0);
	spec_free_names(names, n);
	ck_assert_int_eq(spec_parameter_names("[1]", &names, &n), -EPROTO);
	ck_assert_int_eq(spec_parameter_names("", &names, &n), -EPROTO);
}
END_TEST

START_TEST(test_previous_is_wanted)
{
	static const struct {
		const char *spec;
		uint64_t address; /* 0: not wanted */
		size_t length;
	} table[] = {
		{"{\"address\":\"0x1000\",\"access\":\"write\",\"condition\":"
		 "{\"!=\":[{\"var\":\"value\"},{\"var\":\"previous\"}]}}",
		 0x1000, 8},
		{"{\"address\":4096,\"access\":\"read-write\",\"length\":2,\"condition\":"
		 "{\"and\":[1,{\"<\":[{\"+\":[{\"var\":\"previous\"},1]},7]}]}}",
		 4096, 2},
		{"{\"address\":\"0xfffffffffffffff8\",\"access\":\"write\",\"condition\":"
		 "{\"var\":\"previous\"}}",
		 0xfffffffffffffff8, 8},
		/* said already; not used; only a text; no data; nonsense */
		{.spec = "{\"address\":1,\"access\":\"write\",\"previous\":0,\"condition\":"
			 "{\"var\":\"previous\"}}"},
		{.spec = "{\"address\":1,\"access\":\"write\",\"condition\":{\"var\":\"value\"}}"},
		{.spec = "{\"address\":1,\"access\":\"write\",\"condition\":"
			 "{\"string-equals\":[1,\"previous\"]}}"},
		{.spec = "{\"address\":1,\"condition\":{\"var\":\"previous\"}}"},
		{.spec = "{\"address\":1,\"access\":\"execute\",\"condition\":{\"var\":"
			 "\"previous\"}}"},
		{.spec = "{\"address\":1,\"access\":\"write\",\"length\":3,\"condition\":"
			 "{\"var\":\"previous\"}}"},
		{.spec = "{\"address\":\"12z\",\"access\":\"write\",\"condition\":{\"var\":"
			 "\"previous\"}}"},
		{.spec = "{\"address\":1,\"access\":\"write\",\"condition\":{\"var\":"
			 "\"previous\"}"},
		{.spec = "nonsense"},
		{.spec = ""},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t address = 0;
		size_t length = 0;

		ck_assert_int_eq(spec_lacks_previous(table[i].spec, &address, &length),
				 table[i].address != 0);
		ck_assert_uint_eq(address, table[i].address);
		ck_assert_uint_eq(length, table[i].length);
	}
}
END_TEST

START_TEST(test_previous_is_added_last)
{
	static const char spec[] = " {\"address\":1, \"parameters\":{\"a\":1} } \n";
	char *text = NULL;

	ck_assert_int_eq(spec_add_previous(spec, UINT64_MAX, &text), 0);
	ck_assert_str_eq(text, " {\"address\":1, \"parameters\":{\"a\":1} ,"
			       "\"previous\":\"0xffffffffffffffff\"} \n");
	free(text);
}
END_TEST

START_TEST(test_error_numbers)
{
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.InvalidSpec"), -EINVAL);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.InvalidCondition"), -EINVAL);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.NoSuchTarget"), -ESRCH);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.TargetExited"), -ESRCH);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.NotAuthorized"), -EACCES);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.NoFreeSlot"), -ENOSPC);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.QuotaExceeded"), -EDQUOT);
	ck_assert_int_eq(error_number_of("org.bpcond1.Error.NotSupported"), -EOPNOTSUPP);
	ck_assert_int_eq(error_number_of("org.freedesktop.DBus.Error.ServiceUnknown"),
			 -EHOSTUNREACH);
	ck_assert_int_eq(error_number_of("org.freedesktop.DBus.Error.Spawn.ChildExited"),
			 -EHOSTUNREACH);
	ck_assert_int_eq(error_number_of("org.freedesktop.DBus.Error.NameHasNoOwner"),
			 -EHOSTUNREACH);
	ck_assert_int_eq(error_number_of("org.freedesktop.DBus.Error.TimedOut"), -EHOSTUNREACH);
	ck_assert_int_eq(error_number_of("org.freedesktop.systemd1.UnitMasked"), -EHOSTUNREACH);
	ck_assert_int_eq(error_number_of("org.freedesktop.systemd1.NoSuchUnit"), -EHOSTUNREACH);
	ck_assert_int_eq(error_number_of("org.freedesktop.DBus.Error.NoReply"), -ETIMEDOUT);
	ck_assert_int_eq(error_number_of("org.example.Unheard.Of"), -EIO);
}
END_TEST

static void assert_unreachable(const char *address)
{
	bpcond_client *client = NULL;

	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_int_eq(bpcond_client_error(client)->number, 0);
	ck_assert_int_eq(bpcond_client_connect(client, address), -EHOSTUNREACH);
	ck_assert_int_eq(bpcond_client_error(client)->number, -EHOSTUNREACH);
	ck_assert_str_ne(bpcond_client_error(client)->message, "");
	ck_assert_ptr_null(bpcond_client_daemon_version(client));
	ck_assert_ptr_null(bpcond_client_free(client));
}

START_TEST(test_no_bus)
{
	assert_unreachable("unix:path=/nonexistent/bpcond");
	assert_unreachable("no address at all");
	ck_assert_ptr_null(bpcond_client_free(NULL));
	ck_assert_ptr_null(bpcond_session_free(NULL));
}
END_TEST

START_TEST(test_not_connected)
{
	bpcond_session *session = NULL;
	bpcond_client *client = NULL;

	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_int_eq(bpcond_session_open(client, getpid(), NULL, &session), -ENOTCONN);
	ck_assert_int_eq(bpcond_session_open(client, 0, NULL, &session), -ESRCH);
	ck_assert_int_eq(bpcond_session_open(client, -1, NULL, &session), -ESRCH);
	ck_assert_int_eq(bpcond_session_open_pidfd(client, STDERR_FILENO, NULL, &session), -EBADF);
	ck_assert_ptr_null(session);
	bpcond_client_free(client);
}
END_TEST

/* A request of this very process: the spec that it becomes, and the places of its mistakes. */
static int watched = 7;

START_TEST(test_request)
{
	const bpcond_parameter parameters[] = {{"max", -3}, {"b", 2}};
	const bpcond_memory_request memory[] = {{"$rsi + 8", 16}};
	char location[32], expected[1024], *spec = NULL;
	bpcond_request request = {
		.size = sizeof(request),
		.location = location,
		.access = BPCOND_WRITE,
		.length = 4,
		.condition = "value > max",
		.parameters = parameters,
		.n_parameters = 2,
		.skip = 1,
		.every = 2,
		.limit = 3,
		.registers = "rip, $rdi",
		.memory = memory,
		.n_memory = 1,
		.stack = 5,
		.signal = "SIGSTOP",
		.kernel_accesses = 1,
		.fault_is_rejection = 1,
		.events = 1,
		.disabled = 1,
	};
	bpcond_error error;

	snprintf(location, sizeof(location), "0x%lx", (unsigned long)&watched);
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), 0);
	snprintf(expected, sizeof(expected),
		 "{\"address\":\"%s\",\"access\":\"write\",\"length\":4,"
		 "\"condition\":{\">\":[{\"var\":\"value\"},{\"param\":\"max\"}]},"
		 "\"parameters\":{\"max\":-3,\"b\":2},\"on-fault\":\"reject\","
		 "\"skip\":1,\"every\":2,\"limit\":3,\"capture\":{\"registers\":[\"rip\",\"rdi\"],"
		 "\"memory\":[{\"at\":{\"+\":[{\"reg\":\"rsi\"},8]},\"length\":16}],\"stack\":5},"
		 "\"signal\":\"SIGSTOP\",\"events\":true,\"kernel-accesses\":true,"
		 "\"enabled\":false}",
		 location);
	ck_assert_str_eq(spec, expected);
	free(spec);
}
END_TEST

START_TEST(test_request_mistakes)
{
	const bpcond_memory_request memory[] = {{"$rsi", 8}, {"$rsi +\n)", 8}};
	const bpcond_parameter twice[] = {{"a", 1}, {"a", 2}};
	bpcond_request request = {.size = sizeof(request), .location = "0x1000"};
	bpcond_error error = {};
	char *spec = NULL;

	request.condition = "$rdi == ";
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);
	ck_assert_int_eq(error.part, BPCOND_PART_CONDITION);
	ck_assert_uint_eq(error.line, 1);
	ck_assert_uint_ge(error.column, 8);

	request.condition = NULL;
	request.memory = memory;
	request.n_memory = 2;
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);
	ck_assert_int_eq(error.part, BPCOND_PART_MEMORY);
	ck_assert_uint_eq(error.part_index, 1);
	ck_assert_uint_eq(error.line, 2);
	ck_assert_uint_eq(error.column, 1);

	request.n_memory = 0;
	request.registers = "rip,,rdi";
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);
	request.registers = "eax";
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.message, "'eax'"));

	request.registers = NULL;
	request.parameters = twice;
	request.n_parameters = 2;
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);

	request.n_parameters = 0;
	request.location = "no_such_symbol_anywhere";
	ck_assert_int_lt(bpcond_spec_from_request(getpid(), &request, &spec, &error), 0);
	ck_assert_int_eq(error.part, BPCOND_PART_LOCATION);
	ck_assert_int_lt(bpcond_spec_from_request(getpid(), &request, &spec, NULL), 0);

	request.location = NULL;
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);
	request.size = 0;
	ck_assert_int_eq(bpcond_spec_from_request(getpid(), &request, &spec, &error), -EINVAL);
	ck_assert_ptr_null(spec);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tests = tcase_create("client");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_parameter_names_in_byte_order);
	tcase_add_test(tests, test_previous_is_wanted);
	tcase_add_test(tests, test_previous_is_added_last);
	tcase_add_test(tests, test_error_numbers);
	tcase_add_test(tests, test_no_bus);
	tcase_add_test(tests, test_not_connected);
	tcase_add_test(tests, test_request);
	tcase_add_test(tests, test_request_mistakes);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
