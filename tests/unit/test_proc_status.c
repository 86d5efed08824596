/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of /proc taken apart: as the kernel writes them, with names that pretend to be more than a
 * name, and cut off at each byte.
 */
#include "daemon/proc_status.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char whole[] = "Name:\tloop\n"
			    "Umask:\t0022\n"
			    "State:\tS (sleeping)\n"
			    "Tgid:\t4711\n"
			    "Ngid:\t0\n"
			    "Pid:\t4712\n"
			    "PPid:\t17\n"
			    "TracerPid:\t18\n"
			    "Uid:\t1000\t1001\t1002\t1003\n"
			    "Gid:\t100\t101\t102\t4294967295\n"
			    "FDSize:\t64\n"
			    "Groups:\t4 24 \n"
			    "NStgid:\t4711\n"
			    "NSpid:\t4712\t2\n"
			    "VmPeak:\t    3776 kB\n"
			    "VmSize:\t    3760 kB\n"
			    "Threads:\t3\n"
			    "SigQ:\t2/96365\n"
			    "CapInh:\t0000000000000000\n"
			    "CapPrm:\t000001fffeffffff\n"
			    "CapEff:\t00000000000000a0\n"
			    "NoNewPrivs:\t1\n"
			    "Seccomp:\t2\n"
			    "voluntary_ctxt_switches:\t1\n"
			    "nonvoluntary_ctxt_switches:\t0\n";

static const char stat_rest[] =
	" S 17 4711 7450 0 -1 4194308 2845 6547 2 1 3 1 4 1 20 0 1 0 2326635 "
	"16961536 3338 18446744073709551615 1 1 0 0\n";

/* The text with one occurrence of `part` replaced; static. */
static const char *with(const char *part, const char *by)
{
	static char text[sizeof(whole) + 512];
	const char *at = strstr(whole, part);

	ck_assert_msg(at != NULL, "no %s", part);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - whole), whole, by, at + strlen(part));
	return text;
}

static void expect_bad(const char *text)
{
	ProcStatus status;

	ck_assert_msg(proc_status_parse(text, &status) == -EBADMSG, "believed: %s", text);
}

START_TEST(test_status)
{
	ProcStatus status;

	ck_assert_int_eq(proc_status_parse(whole, &status), 0);
	ck_assert_uint_eq(status.tgid, 4711);
	ck_assert_uint_eq(status.pid, 4712);
	ck_assert_uint_eq(status.parent, 17);
	ck_assert_uint_eq(status.tracer, 18);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_eq(status.uids[i], 1000 + i);
	ck_assert_uint_eq(status.gids[0], 100);
	ck_assert_uint_eq(status.gids[3], UINT32_MAX);
	ck_assert_uint_eq(status.n_levels, 2);
	ck_assert_uint_eq(status.n_threads, 3);
	ck_assert_uint_eq(status.caps_permitted, UINT64_C(0x1fffeffffff));
	ck_assert_uint_eq(status.caps_effective, 0xa0);
	ck_assert(status.has_memory && status.no_new_privs && status.seccomp);
}
END_TEST

/* What a kernel may be built without, and what a thread may lack. */
START_TEST(test_status_with_less)
{
	ProcStatus status;

	ck_assert_int_eq(proc_status_parse(with("NSpid:\t4712\t2\n", ""), &status), 0);
	ck_assert_uint_eq(status.n_levels, 0);
	ck_assert_int_eq(proc_status_parse(with("VmSize:\t    3760 kB\n", ""), &status), 0);
	ck_assert(!status.has_memory);
	ck_assert_int_eq(proc_status_parse(with("Seccomp:\t2\n", ""), &status), 0);
	ck_assert(!status.seccomp);
	ck_assert_int_eq(proc_status_parse(with("Seccomp:\t2", "Seccomp:\t0"), &status), 0);
	ck_assert(!status.seccomp);
	ck_assert_int_eq(proc_status_parse(with("NoNewPrivs:\t1", "NoNewPrivs:\t0"), &status), 0);
	ck_assert(!status.no_new_privs);
}
END_TEST

/* A program chooses its name: whatever gets through, it never becomes a fact. */
START_TEST(test_status_names)
{
	static const char *const harmless[] = {
		"",   " ",         "a b",          ")",       "Uid:\t0\t0\t0\t0", "x\\nUid:\\t0",
		"\t", "NSpid:\t1", "Name:\tName:", "\xff\xfe"};
	static const char *const hostile[] = {
		"x\nUid:\t0\t0\t0\t0", "x\nCapEff:\t0000000000000000",      "x\nNSpid:\t1",
		"x\nName:\ty",         "x\nnonvoluntary_ctxt_switches:\t0",
	};
	ProcStatus status;

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		ck_assert_int_eq(proc_status_parse(with("loop", harmless[i]), &status), 0);
		ck_assert_uint_eq(status.uids[0], 1000);
		ck_assert_uint_eq(status.n_levels, 2);
	}
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		expect_bad(with("loop", hostile[i]));
}
END_TEST

START_TEST(test_status_cut)
{
	/* all but what stands behind the last line that is looked at */
	for (size_t length = 0; length < sizeof(whole) - 1; length++) {
		char text[sizeof(whole)];

		memcpy(text, whole, length);
		text[length] = '\0';
		expect_bad(text);
	}
}
END_TEST

START_TEST(test_status_mistakes)
{
	static const char *const needed[] = {
		"Name:\tloop\n",
		"Tgid:\t4711\n",
		"\nPid:\t4712",
		"PPid:\t17\n",
		"TracerPid:\t18\n",
		"Uid:\t1000\t1001\t1002\t1003\n",
		"Gid:\t100\t101\t102\t4294967295\n",
		"Threads:\t3\n",
		"CapPrm:\t000001fffeffffff\n",
		"CapEff:\t00000000000000a0\n",
		"NoNewPrivs:\t1\n",
		"nonvoluntary_ctxt_switches:\t0\n",
	};
	static const char *const changes[][2] = {
		{"1000\t1001", "1000 1001"},
		{"\t1003\n", "\n"},
		{"\t1003\n", "\t1003\t5\n"},
		{"\t4294967295", "\t4294967296"},
		{"\t1000", "\t-1"},
		{"\t1000", "\t"},
		{"\t1000", "\t+1000"},
		{"\t1000", "\t 1000"},
		{"4711\n", "4711 \n"},
		{"4711\n", "0x10\n"},
		{"00000000000000a0", "00000000000000A0"},
		{"00000000000000a0", "100000000000000a0"},
		{"00000000000000a0", ""},
		{"4712\t2", "4712\t"},
		{"4712\t2", "4712\tx"},
		{"NoNewPrivs:\t1", "NoNewPrivs:\tyes"},
		{"Seccomp:\t2", "Seccomp:\t"},
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		expect_bad(with(needed[i], ""));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		expect_bad(with(changes[i][0], changes[i][1]));
}
END_TEST

static int parse_stat(const char *name, ProcStat *ret)
{
	char text[512];

	snprintf(text, sizeof(text), "4712 (%s)%s", name, stat_rest);
	return proc_stat_parse(text, ret);
}

START_TEST(test_stat)
{
	static const char *const names[] = {
		"loop", "",    "a b", ") R 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
		"(((",  ")))", "\n",  "\xff",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ProcStat stat;

		ck_assert_int_eq(parse_stat(names[i], &stat), 0);
		ck_assert_int_eq(stat.state, 'S');
		ck_assert_uint_eq(stat.flags, 4194308);
		ck_assert_uint_eq(stat.run_time, 4);
		ck_assert_uint_eq(stat.start, 2326635);
	}
}
END_TEST

START_TEST(test_stat_mistakes)
{
	char text[512];
	ProcStat stat;
	int length = snprintf(text, sizeof(text), "4712 (loop)%s", stat_rest);

	while (length-- > 0) {
		text[length] = '\0';
		ck_assert_int_eq(proc_stat_parse(text, &stat), -EBADMSG);
	}
	ck_assert_int_eq(proc_stat_parse("1 (a) S x", &stat), -EBADMSG);
	ck_assert_int_eq(proc_stat_parse("1 (a)S 1\n", &stat), -EBADMSG);
	ck_assert_int_eq(
		proc_stat_parse("1 (a) S 1 1 1 1 1 -4 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", &stat),
		-EBADMSG);
}
END_TEST

static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* What this kernel says of a process. Not of this one: an emulator of another machine's programs makes
 * its own files of that up. */
START_TEST(test_child)
{
	char text[65536];
	ProcStatus status;
	ProcStat stat;
	pid_t pid;

	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
	read_proc(pid, "status", text, sizeof(text));
	ck_assert_int_eq(proc_status_parse(text, &status), 0);
	ck_assert_uint_eq(status.tgid, pid);
	ck_assert_uint_eq(status.parent, getpid());
	ck_assert_uint_eq(status.uids[1], geteuid());
	ck_assert(status.has_memory);
	read_proc(pid, "stat", text, sizeof(text));
	ck_assert_int_eq(proc_stat_parse(text, &stat), 0);
	ck_assert_int_eq(stat.state, 'T');
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proc status");
	TCase *tcase = tcase_create("proc status");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_status);
	tcase_add_test(tcase, test_status_with_less);
	tcase_add_test(tcase, test_status_names);
	tcase_add_test(tcase, test_status_cut);
	tcase_add_test(tcase, test_status_mistakes);
	tcase_add_test(tcase, test_stat);
	tcase_add_test(tcase, test_stat_mistakes);
	tcase_add_test(tcase, test_child);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
