/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boxes keep what lies in them for whoever comes, in whole; records are believed only when they are
 * exactly what was written. */
#include "daemon/box.h"
#include "daemon/stored_state.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LABEL ((BoxLabel){.version = 1, .kind = 2, .number = 3, .generation = 4})

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The pipe's other end hears when the last copy of this one is closed. */
static bool is_closed(int reader)
{
	char byte;

	return read(reader, &byte, 1) == 0;
}

static void make_pipe(int ends[static 2])
{
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

START_TEST(test_box_keeps_all_in_order)
{
	enum {
		N = 600
	};
	int before = count_fds(), box = box_new(), fds[N], again = -1;
	BoxContent content;

	ck_assert_int_ge(box, 0);
	for (int i = 0; i < N; i++) {
		fds[i] = memfd_create("test", MFD_CLOEXEC);
		ck_assert_int_eq(pwrite(fds[i], &i, sizeof(i), 0), sizeof(i));
	}
	ck_assert_int_eq(box_put(box, &LABEL, fds, N), 0);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	/* twice: looking takes nothing out */
	for (int look = 0; look < 2; look++) {
		ck_assert_int_eq(box_look(box, &content), 0);
		ck_assert_uint_eq(content.n_fds, N);
		ck_assert(content.has_label && !content.mixed);
		ck_assert_mem_eq(&content.label, &LABEL, sizeof(BoxLabel));
		for (int i = 0; i < N; i++) {
			ck_assert_int_eq(pread(content.fds[i], &again, sizeof(again), 0),
					 sizeof(again));
			ck_assert_int_eq(again, i);
			ck_assert(fcntl(content.fds[i], F_GETFD) & FD_CLOEXEC);
		}
		box_content_clear(&content);
	}
	close(box);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(test_box_outlives_its_filler)
{
	int box = box_new(), ends[2], status;
	BoxContent content;
	pid_t child;

	make_pipe(ends);
	child = fork();
	if (child == 0) {
		if (box_put(box, &LABEL, &ends[1], 1) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	close(ends[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert(!is_closed(ends[0]));
	ck_assert_int_eq(box_look(box, &content), 0);
	ck_assert_uint_eq(content.n_fds, 1);
	ck_assert_int_eq(write(content.fds[0], "x", 1), 1);
	box_content_clear(&content);

	/* and can be filled on by another */
	ck_assert_int_eq(box_put(box, &LABEL, &ends[0], 1), 0);
	ck_assert_int_eq(box_look(box, &content), 0);
	ck_assert_uint_eq(content.n_fds, 2);
	box_content_clear(&content);
	close(ends[0]);
	close(box);
}
END_TEST

START_TEST(test_box_emptied_closes)
{
	int box = box_new(), ends[2];
	BoxContent content;
	char byte;

	make_pipe(ends);
	ck_assert_int_eq(box_put(box, &LABEL, &ends[1], 1), 0);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	box_empty(box);
	ck_assert(is_closed(ends[0]));
	ck_assert_int_eq(box_look(box, &content), 0);
	ck_assert_uint_eq(content.n_fds, 0);
	ck_assert(!content.has_label && !content.mixed);
	box_content_clear(&content);
	close(ends[0]);
	close(box);
}
END_TEST

static unsigned n_visited;

static void visit_byte(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
	n_visited++;
}

/* Where there are not descriptors enough to look at all, all can be had one after the other. */
START_TEST(test_box_is_taken_apart)
{
	enum {
		N = 600,
		ROOM = 300
	};
	int box = box_new(), ends[2], fds[N];
	struct rlimit before, few;
	BoxContent content;
	char bytes[N + 1];

	make_pipe(ends);
	for (int i = 0; i < N; i++)
		fds[i] = ends[1];
	ck_assert_int_eq(box_put(box, &LABEL, fds, N), 0);
	close(ends[1]);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = ROOM;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(box_look(box, &content), -EMFILE);
	n_visited = 0;
	box_take_apart(box, visit_byte);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_uint_eq(n_visited, N);
	ck_assert_int_eq(read(ends[0], bytes, sizeof(bytes)), N);
	ck_assert(is_closed(ends[0]));
	close(ends[0]);
	close(box);
}
END_TEST

static void connect_to(int fd, const struct sockaddr_un *address, socklen_t length)
{
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)address, length), 0);
}

/* What is put into what looks like a box must not reach anybody. */
START_TEST(test_box_is_told_from_others)
{
	int box = box_new(), pair[2], own = socket(AF_UNIX, SOCK_DGRAM, 0),
	    other = socket(AF_UNIX, SOCK_DGRAM, 0), file = open("/dev/null", O_RDONLY);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(address);

	ck_assert(box_is_one(box));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	ck_assert(!box_is_one(pair[0]));
	ck_assert(!box_is_one(own));
	ck_assert(!box_is_one(file));
	ck_assert(!box_is_one(-EBADF));
	/* connected to another one, by no name of its own and by one */
	ck_assert_int_eq(bind(other, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(other, (struct sockaddr *)&address, &length), 0);
	connect_to(own, &address, length);
	ck_assert(!box_is_one(own));
	ck_assert_int_eq(bind(own, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	ck_assert(!box_is_one(own));
	close(own);
	close(other);

	/* a name in the file system that was its own, and is another's by now */
	own = socket(AF_UNIX, SOCK_DGRAM, 0);
	other = socket(AF_UNIX, SOCK_DGRAM, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test_stored-%d", getpid());
	ck_assert_int_eq(bind(own, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(unlink(address.sun_path), 0);
	ck_assert_int_eq(bind(other, (const struct sockaddr *)&address, sizeof(address)), 0);
	connect_to(own, &address, sizeof(address));
	ck_assert_int_eq(unlink(address.sun_path), 0);
	ck_assert(!box_is_one(own));
	close(own);
	close(other);
	close(pair[0]);
	close(pair[1]);
	close(file);
	close(box);
}
END_TEST

START_TEST(test_box_full_does_not_wait)
{
	int box = box_new(), r = 0, n = 0;
	const int one[] = {STDIN_FILENO};

	while (r == 0 && n < 100000) {
		r = box_put(box, &LABEL, one, 1);
		n++;
	}
	ck_assert_int_eq(r, -EAGAIN);
	/* a session with all the breakpoints and events that a user may have fits in */
	ck_assert_int_gt(n, 300);
	box_empty(box);
	ck_assert_int_eq(box_put(box, &LABEL, one, 1), 0);
	close(box);
}
END_TEST

START_TEST(test_box_takes_nothing_from_others)
{
	int box = box_new(), stranger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t length = sizeof(address);

	ck_assert_int_eq(getsockname(box, (struct sockaddr *)&address, &length), 0);
	ck_assert_int_eq(connect(stranger, (struct sockaddr *)&address, length), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(sendto(stranger, "x", 1, 0, (struct sockaddr *)&address, length), -1);
	ck_assert_int_eq(errno, EPERM);
	close(stranger);
	close(box);
}
END_TEST

START_TEST(test_box_tells_what_is_not_its_own)
{
	const BoxLabel other = {.version = 1, .kind = 2, .number = 3, .generation = 5};
	const int one[] = {STDIN_FILENO};
	int box = box_new();
	BoxContent content;

	ck_assert_int_eq(box_put(box, &LABEL, one, 1), 0);
	ck_assert_int_eq(box_put(box, &other, one, 1), 0);
	ck_assert_int_eq(box_look(box, &content), 0);
	ck_assert(content.mixed);
	box_content_clear(&content);

	for (size_t length = 1; length < 64; length++) {
		char bytes[64] = "bpcondbx";

		box_empty(box);
		ck_assert_int_eq(send(box, bytes, length, 0), length);
		ck_assert_int_eq(box_look(box, &content), 0);
		ck_assert_int_eq(content.mixed, length != 24);
		box_content_clear(&content);
	}
	ck_assert_int_lt(box_look(STDIN_FILENO, &content), 0);
	close(box);
}
END_TEST

/* ---- Records --------------------------------------------------------------------------------- */

static StoredSession a_session(void)
{
	return (StoredSession){
		.header = {.kind = STORED_SESSION, .n_fds = 3},
		.number = 7,
		.flags = STORED_RING_TAKEN,
		.target_pid = 100,
		.target_exec_id = 3,
		.ring_bytes = 4096,
		.owner = {.uid = 1000, .pid = 99, .bus_id = "0123", .name = ":1.5"},
		.client = "test",
	};
}

static int read_session(StoredSession *session, size_t n_left)
{
	StoredHeader *header;
	int fd, r;

	fd = stored_write(&session->header, sizeof(*session), NULL, 0);
	ck_assert_int_ge(fd, 0);
	r = stored_read(fd, n_left, &header);
	if (r == 0) {
		ck_assert_mem_eq(header, session, sizeof(*session));
		free(header);
	}
	close(fd);
	return r;
}

#define check_refused(change)                                          \
	do {                                                           \
		StoredSession session = a_session();                   \
                                                                       \
		change;                                                \
		ck_assert_int_eq(read_session(&session, 3), -EBADMSG); \
	} while (0)

START_TEST(test_session_record)
{
	StoredSession whole = a_session();

	ck_assert_int_eq(read_session(&whole, 3), 0);
	ck_assert_int_eq(read_session(&whole, 300), 0);
	ck_assert_int_eq(read_session(&whole, 2), -ENODATA);
	whole.flags = STORED_LINGERS;
	whole.owner.name[0] = '\0';
	whole.header.n_fds = 2;
	ck_assert_int_eq(read_session(&whole, 2), 0);
	whole.flags |= STORED_FORWARDED | STORED_HAS_SINK | STORED_BINARY;
	whole.header.n_fds = 3;
	ck_assert_int_eq(read_session(&whole, 3), 0);
	/* the event that stands for an exec */
	whole = a_session();
	whole.flags |= STORED_HAS_EXEC_WATCH;
	whole.header.n_fds = 4;
	ck_assert_int_eq(read_session(&whole, 4), 0);
	check_refused(session.flags |= STORED_HAS_EXEC_WATCH);
	check_refused(session.header.n_fds = 4);
	check_refused(session.header.kind = 4);
	check_refused(session.header.kind = STORED_BREAKPOINT);
	check_refused(session.header.n_fds = 2);
	check_refused(session.header.n_fds = UINT32_MAX);
	check_refused(session.number = 0);
	check_refused(session.flags = 1 << 30);
	check_refused(session.target_pid = 0);
	check_refused(session.target_pid = -1);
	check_refused(session.target_exec_id = 0);
	check_refused(session.unsent_bytes = 1);
	check_refused(session.flags = STORED_HAS_SINK);
	check_refused(session.flags = STORED_BINARY);
	check_refused(session.flags = STORED_FORWARDED | STORED_RING_TAKEN);
	check_refused(session.flags = STORED_FORWARDED | STORED_HAS_SINK);
	check_refused(session.owner.name[0] = '\0');
	check_refused(session.owner.name[0] = '\0'; session.flags = STORED_LINGERS);
	check_refused(session.owner.pid = 0);
	check_refused(session.owner.name[0] = 'a');
	check_refused(memset(session.owner.name, ':', sizeof(session.owner.name)));
	check_refused(memset(session.owner.bus_id, '1', sizeof(session.owner.bus_id)));
	check_refused(memset(session.client, 'c', sizeof(session.client)));
	check_refused(session.client[0] = '\xff');
	/* the first byte of two */
	check_refused(memcpy(session.client, "name\xc3", 6));
	check_refused(session.owner.name[1] = '\x80');
}
END_TEST

START_TEST(test_record_as_a_file)
{
	StoredSession session = a_session();
	char bytes[sizeof(session) + 1] = {};
	StoredHeader *header;
	int sealed, fd;

	sealed = stored_write(&session.header, sizeof(session), NULL, 0);
	ck_assert_int_eq(fcntl(sealed, F_GET_SEALS),
			 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	ck_assert_int_eq(pwrite(sealed, "x", 1, 0), -1);

	/* the same bytes, but not sealed */
	ck_assert_int_eq(pread(sealed, bytes, sizeof(bytes), 0), sizeof(session));
	fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(write(fd, bytes, sizeof(session)), sizeof(session));
	ck_assert_int_eq(stored_read(fd, 3, &header), -EBADMSG);

	/* sealed, but each of another length */
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		int other = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		ck_assert_int_eq(write(other, bytes, length), length);
		ck_assert_int_eq(fcntl(other, F_ADD_SEALS, fcntl(sealed, F_GET_SEALS)), 0);
		if (length == sizeof(session)) {
			ck_assert_int_eq(stored_read(other, 3, &header), 0);
			free(header);
		} else {
			ck_assert_int_eq(stored_read(other, 3, &header), -EBADMSG);
		}
		close(other);
	}

	/* another version, or none */
	for (size_t at = 0; at < 12; at++) {
		int other = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		bytes[at]++;
		ck_assert_int_eq(write(other, bytes, sizeof(session)), sizeof(session));
		ck_assert_int_eq(fcntl(other, F_ADD_SEALS, fcntl(sealed, F_GET_SEALS)), 0);
		ck_assert_int_eq(stored_read(other, 3, &header), -EBADMSG);
		bytes[at]--;
		close(other);
	}
	ck_assert_int_eq(stored_read(STDIN_FILENO, 3, &header), -EBADMSG);
	close(fd);
	close(sealed);
}
END_TEST

static int read_breakpoint(uint32_t n_events, uint32_t spec_bytes, uint32_t flags, uint32_t n_fds,
			   const StoredEvent *first, StoredHeader **ret)
{
	static const char spec[] = "{\"address\":\"0x1000\"}";
	StoredBreakpoint record = {
		.header = {.kind = STORED_BREAKPOINT, .n_fds = n_fds},
		.number = 2,
		.n_events = n_events,
		.spec_bytes = spec_bytes,
		.filter = {.flags = flags,
			   .n_slots = 2,
			   .n_parameters = flags & STORED_HAS_PARAMETERS ? 1 : 0},
	};
	char more[2 * sizeof(StoredEvent) + sizeof(spec)];
	StoredEvent events[2] = {*first, {.tid = 5, .id = 6}};
	int fd, r;

	memcpy(more, events, sizeof(events));
	memcpy(more + sizeof(events), spec, sizeof(spec));
	fd = stored_write(&record.header, sizeof(record), more, sizeof(events) + sizeof(spec) - 1);
	ck_assert_int_ge(fd, 0);
	r = stored_read(fd, 100, ret);
	close(fd);
	return r;
}

START_TEST(test_breakpoint_record)
{
	const StoredEvent event = {.tid = 4, .id = 9}, no_thread = {.tid = 0, .id = 9};
	const uint32_t spec_bytes = strlen("{\"address\":\"0x1000\"}");
	const StoredBreakpoint *breakpoint;
	StoredHeader *header;

	ck_assert_int_eq(read_breakpoint(2, spec_bytes, 0, 5, &event, &header), 0);
	breakpoint = (const StoredBreakpoint *)header;
	ck_assert_int_eq(stored_events(breakpoint)[0].tid, 4);
	ck_assert_uint_eq(stored_events(breakpoint)[1].id, 6);
	ck_assert_mem_eq(stored_spec(breakpoint), "{\"address\"", 10);
	free(header);
	ck_assert_int_eq(read_breakpoint(2, spec_bytes, STORED_HAS_PARAMETERS, 6, &event, &header),
			 0);
	free(header);

	ck_assert_int_eq(read_breakpoint(2, spec_bytes, 0, 5, &no_thread, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(2, spec_bytes, 0, 6, &event, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(1, spec_bytes, 0, 4, &event, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(3, spec_bytes, 0, 6, &event, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(UINT32_MAX, spec_bytes, 0, 2, &event, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(2, spec_bytes - 1, 0, 5, &event, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(2, UINT32_MAX, 0, 5, &event, &header), -EBADMSG);
	ck_assert_int_eq(read_breakpoint(2, spec_bytes, STORED_HAS_COUNTER, 6, &event, &header),
			 -EBADMSG);
	ck_assert_int_eq(read_breakpoint(2, spec_bytes, 1 << 5, 5, &event, &header), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stored");
	TCase *tests = tcase_create("stored");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_box_keeps_all_in_order);
	tcase_add_test(tests, test_box_outlives_its_filler);
	tcase_add_test(tests, test_box_emptied_closes);
	tcase_add_test(tests, test_box_is_taken_apart);
	tcase_add_test(tests, test_box_is_told_from_others);
	tcase_add_test(tests, test_box_full_does_not_wait);
	tcase_add_test(tests, test_box_takes_nothing_from_others);
	tcase_add_test(tests, test_box_tells_what_is_not_its_own);
	tcase_add_test(tests, test_session_record);
	tcase_add_test(tests, test_record_as_a_file);
	tcase_add_test(tests, test_breakpoint_record);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
