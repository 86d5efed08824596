/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who calls (daemon/bus_caller.c), as message buses tell it: those that have a descriptor of the process to
 * give, and those that know a number. The bus is played by a child of each test case; the broker and the
 * other parts of the daemon are stubs that note what they are told.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/bpf_adopt.h"
#include "daemon/bus.h"
#include "daemon/bus_listen.h"
#include "daemon/bus_polkit.h"
#include "daemon/descriptors.h"

#define CALLER ":1.7"
#define UID    4711
#define CROWD  100

/* What the bus says of the connection. */
typedef struct Said {
	int process_fd; /* -EBADF: nothing */
	pid_t pid;      /* 0: nothing */
	bool no_uid;
	bool wrong_type; /* of ProcessFD */
	bool gone;       /* by the time that it is asked again */
	bool crowded;    /* others send us something before each answer */
} Said;

typedef struct Scene {
	Bus bus;
	Broker broker;
	sd_bus_message *call;
	pid_t played;
} Scene;

/* ---- The rest of the daemon ---------------------------------------------------------------------- */

static unsigned ended;

void polkit_withdraw(Bus *bus, const Caller *caller)
{
}

void broker_end_owner(Broker *broker, const void *mark)
{
	ended++;
}

void bus_listen_forget_caller(Caller *caller)
{
}

void bus_break(Bus *bus, int error)
{
	ck_abort_msg("the bus is broken: %s", strerror(-error));
}

int bus_fail(int r, const Refusal *refusal, sd_bus_message *message, sd_bus_error *error)
{
	return sd_bus_error_set(error, SD_BUS_ERROR_FAILED, strerror(-r));
}

SessionOwner bus_owner(const Caller *caller)
{
	return (SessionOwner){.mark = caller};
}

int task_reader_read(TaskReader *reader, pid_t pid, TaskFactsList *ret)
{
	return -EOPNOTSUPP;
}

bool task_reader_sees_all(const TaskReader *reader)
{
	return true;
}

/* Of a caller nobody asks whether it has executed another program. */
int exec_watch_open(pid_t tid, void **ret_memory)
{
	return -EOPNOTSUPP;
}

int exec_watch_adopt(int fd, void **ret_memory)
{
	return -EOPNOTSUPP;
}

bool exec_watch_is_over(int fd)
{
	return true;
}

void exec_watch_close(int fd, void *memory)
{
}

int refuse_executing(Refusal *refusal)
{
	return -EOPNOTSUPP;
}

/* ---- The bus ------------------------------------------------------------------------------------- */

static int append_credentials(sd_bus_message *reply, const Said *said)
{
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{sv}");
	/* what nobody asks for comes first */
	if (r >= 0)
		r = sd_bus_message_append(reply, "{sv}", "LinuxSecurityLabel", "ay", 2, 'x', 0);
	if (r >= 0 && said->wrong_type)
		r = sd_bus_message_append(reply, "{sv}", "ProcessFD", "s", "3");
	if (r >= 0 && said->process_fd >= 0)
		r = sd_bus_message_append(reply, "{sv}", "ProcessFD", "h", said->process_fd);
	if (r >= 0 && said->pid > 0)
		r = sd_bus_message_append(reply, "{sv}", "ProcessID", "u", (uint32_t)said->pid);
	if (r >= 0 && !said->no_uid)
		r = sd_bus_message_append(reply, "{sv}", "UnixUserID", "u", UID);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int on_question(sd_bus_message *question, void *userdata, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const Said *said = userdata;
	const char *name;
	int r;

	if (!sd_bus_message_is_method_call(question, "org.freedesktop.DBus", NULL))
		return 0;
	r = sd_bus_message_read(question, "s", &name);
	if (r < 0 || strcmp(name, CALLER) != 0)
		_exit(2);
	for (int i = 0; said->crowded && i < CROWD; i++)
		if (sd_bus_emit_signal(sd_bus_message_get_bus(question), "/", "org.example",
				       "Signal", "") < 0)
			_exit(4);
	if (strcmp(sd_bus_message_get_member(question), "NameHasOwner") == 0)
		return sd_bus_reply_method_return(question, "b", !said->gone);
	r = sd_bus_message_new_method_return(question, &reply);
	if (r >= 0)
		r = append_credentials(reply, said);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static sd_bus *make_bus(int fd, bool server)
{
	sd_bus *bus = NULL;
	sd_id128_t id;

	ck_assert_int_ge(sd_id128_randomize(&id), 0);
	ck_assert_int_ge(sd_bus_new(&bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(bus, fd, fd), 0);
	ck_assert_int_ge(sd_bus_negotiate_fds(bus, 1), 0);
	if (server)
		ck_assert_int_ge(sd_bus_set_server(bus, 1, id), 0);
	ck_assert_int_ge(sd_bus_set_anonymous(bus, 1), 0);
	return bus;
}

static void play_the_bus(int fd, const Said *said)
{
	sd_bus *bus = make_bus(fd, true);
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (sd_bus_add_filter(bus, NULL, on_question, (void *)said) < 0 || sd_bus_start(bus) < 0)
		_exit(3);
	while (r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	_exit(0);
}

/* ---- The scene ----------------------------------------------------------------------------------- */

static void scene_start(Scene *scene, const Said *said)
{
	const uint64_t rates[RATE_RESOURCES] = {1000, 1000};
	int ends[2];

	*scene = (Scene){.bus = {.broker = &scene->broker}};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
			 0);
	scene->played = fork();
	if (scene->played == 0) {
		close(ends[0]);
		play_the_bus(ends[1], said);
	}
	close(ends[1]);
	ck_assert_int_eq(rate_new(rates, &scene->broker.rates), 0);
	ck_assert_int_ge(sd_event_new(&scene->broker.event), 0);
	scene->bus.bus = make_bus(ends[0], false);
	ck_assert_int_ge(sd_bus_start(scene->bus.bus), 0);
	scene->bus.asker = scene->bus.bus;
	ck_assert_int_ge(sd_bus_message_new_method_call(scene->bus.bus, &scene->call, "org.bpcond1",
							"/", "org.example", "Call"),
			 0);
	ck_assert_int_ge(sd_bus_message_set_sender(scene->call, CALLER), 0);
}

static void scene_end(Scene *scene)
{
	bus_callers_free(&scene->bus);
	sd_bus_message_unref(scene->call);
	sd_bus_flush_close_unref(scene->bus.bus);
	sd_event_unref(scene->broker.event);
	rate_free(scene->broker.rates);
	waitpid(scene->played, NULL, 0);
}

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* A process of ours that waits. */
static pid_t start_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		pause();
		_exit(0);
	}
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The connection is known, and the process behind it is not: nothing but a look is let. */
static void expect_no_process(const Said *said)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	Caller *caller = NULL;
	Scene scene;

	scene_start(&scene, said);
	ck_assert_int_eq(bus_sender(&scene.bus, scene.call, &caller, &error), 0);
	ck_assert_uint_eq(caller->uid, UID);
	ck_assert_int_lt(caller->process.pidfd, 0);
	ck_assert_int_lt(bus_caller(&scene.bus, scene.call, &caller, &error), 0);
	ck_assert_str_eq(error.name, "org.bpcond1.Error.NotAuthorized");
	sd_bus_error_free(&error);
	scene_end(&scene);
}

static void expect_process(const Said *said, pid_t pid)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	Caller *caller = NULL, *again = NULL;
	Scene scene;

	scene_start(&scene, said);
	ck_assert_int_eq(bus_caller(&scene.bus, scene.call, &caller, &error), 0);
	ck_assert_uint_eq(caller->uid, UID);
	ck_assert_int_eq(caller->process.pid, pid);
	ck_assert(!process_has_exited(&caller->process));
	/* a connection is asked for once */
	end_process(scene.played);
	ck_assert_int_eq(bus_caller(&scene.bus, scene.call, &again, &error), 0);
	ck_assert_ptr_eq(again, caller);
	scene_end(&scene);
}

static void expect_error(const Said *said, const char *name)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	Caller *caller = NULL;
	Scene scene;

	scene_start(&scene, said);
	ck_assert_int_lt(bus_sender(&scene.bus, scene.call, &caller, &error), 0);
	ck_assert_str_eq(error.name, name);
	ck_assert_ptr_null(caller);
	sd_bus_error_free(&error);
	scene_end(&scene);
}

/* ---- The cases ----------------------------------------------------------------------------------- */

/* The descriptor is believed, whatever number comes with it, and the bus is asked no more. */
START_TEST(test_process_fd)
{
	pid_t pid = start_process();
	int fd = open_pidfd(pid);

	expect_process(&(Said){.process_fd = fd}, pid);
	expect_process(&(Said){.process_fd = fd, .pid = getpid()}, pid);
	expect_process(&(Said){.process_fd = fd, .pid = pid, .gone = true}, pid);
	close(fd);
	end_process(pid);
}
END_TEST

/* One whose process is gone does not become whoever has the number now. */
START_TEST(test_process_fd_of_the_dead)
{
	pid_t pid = start_process();
	int fd = open_pidfd(pid);

	end_process(pid);
	expect_no_process(&(Said){.process_fd = fd, .pid = getpid()});
	close(fd);
}
END_TEST

START_TEST(test_process_fd_that_is_none)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	expect_no_process(&(Said){.process_fd = fd, .pid = getpid()});
	close(fd);
	expect_error(&(Said){.process_fd = -EBADF, .wrong_type = true},
		     SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}
END_TEST

START_TEST(test_number)
{
	pid_t pid = start_process(), dead = start_process();

	expect_process(&(Said){.process_fd = -EBADF, .pid = pid}, pid);
	/* it may be another's by now */
	expect_error(&(Said){.process_fd = -EBADF, .pid = pid, .gone = true},
		     SD_BUS_ERROR_NAME_HAS_NO_OWNER);
	end_process(dead);
	expect_no_process(&(Said){.process_fd = -EBADF, .pid = dead});
	end_process(pid);
}
END_TEST

START_TEST(test_neither)
{
	expect_no_process(&(Said){.process_fd = -EBADF});
	expect_error(&(Said){.process_fd = -EBADF, .pid = getpid(), .no_uid = true},
		     SD_BUS_ERROR_FAILED);
}
END_TEST

/* What others sent there before the answers does not pile up. */
START_TEST(test_crowd)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	uint64_t n = UINT64_MAX;
	Caller *caller = NULL;
	Scene scene;

	scene_start(&scene,
		    &(Said){.process_fd = -EBADF, .pid = getpid(), .crowded = true});
	ck_assert_int_eq(bus_sender(&scene.bus, scene.call, &caller, &error), 0);
	ck_assert_int_eq(caller->process.pid, getpid());
	ck_assert_int_ge(sd_bus_get_n_queued_read(scene.bus.asker, &n), 0);
	ck_assert_uint_eq(n, 0);
	scene_end(&scene);
}
END_TEST

/* Nothing stays open, whoever it was. */
START_TEST(test_descriptors)
{
	int fd = open_pidfd(getpid()), before, after;

	before = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	close(before);
	expect_process(&(Said){.process_fd = fd}, getpid());
	expect_process(&(Said){.process_fd = -EBADF, .pid = getpid()}, getpid());
	expect_error(&(Said){.process_fd = -EBADF, .pid = getpid(), .gone = true},
		     SD_BUS_ERROR_NAME_HAS_NO_OWNER);
	after = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(after, before);
	close(after);
	close(fd);
}
END_TEST

/* A connection's end is the bus's word and nobody else's. */
START_TEST(test_end)
{
	static const char *const senders[] = {CALLER, "org.freedesktop.DBus"};
	const Said said = {.process_fd = -EBADF, .pid = getpid()};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	Caller *caller;
	Scene scene;

	scene_start(&scene, &said);
	ck_assert_int_eq(bus_caller(&scene.bus, scene.call, &caller, &error), 0);
	for (unsigned i = 0; i < 2; i++) {
		sd_bus_message *news = NULL;

		ck_assert_int_ge(sd_bus_message_new_signal(scene.bus.bus, &news, "/",
							   "org.freedesktop.DBus",
							   "NameOwnerChanged"),
				 0);
		ck_assert_int_ge(sd_bus_message_set_sender(news, senders[i]), 0);
		ck_assert_int_ge(sd_bus_message_append(news, "sss", CALLER, CALLER, ""), 0);
		ck_assert_int_ge(sd_bus_message_seal(news, 1, 0), 0);
		ck_assert_int_ge(bus_on_name_lost(news, &scene.bus, &error), 0);
		ck_assert_uint_eq(ended, i);
		sd_bus_message_unref(news);
	}
	scene_end(&scene);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("caller");
	TCase *tests = tcase_create("caller");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_process_fd);
	tcase_add_test(tests, test_process_fd_of_the_dead);
	tcase_add_test(tests, test_process_fd_that_is_none);
	tcase_add_test(tests, test_number);
	tcase_add_test(tests, test_neither);
	tcase_add_test(tests, test_crowd);
	tcase_add_test(tests, test_descriptors);
	tcase_add_test(tests, test_end);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
