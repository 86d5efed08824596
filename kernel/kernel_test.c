/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpcond-kernel-test: whether this kernel does what filtered breakpoints rest on, as a small static
 * program for any initramfs: give it as init, or run it. It needs the rights to open perf events and to
 * load BPF programs, and no file but itself.
 *
 * The report is TAP: a line for each thing that a trap does or does not do, by the kind of breakpoint
 * and by whose trap it is, then the features that bpcondd would publish, as comments. The exit status
 * says whether all is well; as init it restarts the machine when it is done, which ends a virtual one
 * that is told not to restart.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/events.h"
#include "kernel/features.h"

#define TRAPS 10
/* Fewer than TRAPS. */
#define LIMIT 3

/* Whose traps: those of the thread that the event was opened on, or of what inherited it. */
typedef enum Place {
	PLACE_OWN,
	PLACE_THREAD,
	PLACE_PROCESS,
	PLACES,
} Place;

static const char *const kind_names[] = {
	[TRAP_EXECUTE] = "execution breakpoint",
	[TRAP_WRITE] = "data breakpoint",
	[TRAP_PAGE_FAULT] = "page fault",
};

static const char *const place_names[] = {
	[PLACE_OWN] = "own thread",
	[PLACE_THREAD] = "thread started later",
	[PLACE_PROCESS] = "child process",
};

static unsigned int n_tests, n_failed;

static void report(bool passed, const char *why, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void report(bool passed, const char *why, const char *format, ...)
{
	va_list arguments;

	printf("%sok %u - ", passed ? "" : "not ", ++n_tests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	if (!passed) {
		n_failed++;
		printf("# %s\n", why);
	}
}

/* What traps did. Counted where the parent sees it, whoever trapped. */
typedef struct Effects {
	uint64_t sigtraps; /* by the handler */
	uint64_t signals;  /* by the descriptor */
	uint64_t hangups;
	uint64_t count; /* the event's */
	uint64_t runs;  /* of the program */
} Effects;

typedef struct Trial {
	TrapKind kind;
	Place place;
	bool accept;
	bool sigtrap;         /* attr.sigtrap, and no descriptor's signal */
	unsigned int refresh; /* limit of overflows; 0: none */
	int fd;
	volatile uint64_t *sigtraps; /* shared with children */
} Trial;

static int trap_all(const Trial *trial)
{
	for (int i = 0; i < TRAPS; i++) {
		int r;

		/* An event that sends SIGTRAP is switched off by each. */
		if (trial->sigtrap && ioctl(trial->fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
			return -errno;
		r = trap_once(trial->kind);
		if (r < 0)
			return r;
	}
	return 0;
}

static void *trap_in_thread(void *trial)
{
	return (void *)(intptr_t)trap_all(trial);
}

static int trap_there(Trial *trial)
{
	pthread_t thread;
	int status, r;
	void *result;
	pid_t pid;

	switch (trial->place) {
	case PLACE_THREAD:
		r = pthread_create(&thread, NULL, trap_in_thread, trial);
		if (r != 0)
			return -r;
		pthread_join(thread, &result);
		return (intptr_t)result;
	case PLACE_PROCESS:
		fflush(stdout);
		pid = fork();
		if (pid < 0)
			return -errno;
		if (pid == 0)
			_exit(trap_all(trial) < 0 ? 1 : 0);
		if (waitpid(pid, &status, 0) != pid)
			return -errno;
		return status == 0 ? 0 : -ECHILD;
	default:
		return trap_all(trial);
	}
}

/* Return: 0 and *ret; negative errno, with *ret_step what failed. */
static int try_traps(Trial *trial, Effects *ret, const char **ret_step)
{
	struct perf_event_attr attr = trap_attr(trial->kind);
	Effects effects = {};
	Verdict verdict = VERDICT_NONE;
	unsigned int hangups;
	int r;

	attr.inherit = trial->place != PLACE_OWN;
	attr.inherit_thread = trial->place == PLACE_THREAD;
	attr.sigtrap = trial->sigtrap;
	attr.remove_on_exec = trial->sigtrap;

	*ret_step = "loading the program";
	r = verdict_new(VERDICT_PLAIN, 0, &verdict);
	if (r < 0)
		return r;
	verdict.shared->accept = trial->accept;
	*ret_step = "opening the event";
	r = event_open_filtered(&attr, &verdict);
	if (r < 0) {
		verdict_clear(&verdict);
		return r;
	}
	trial->fd = r;
	*trial->sigtraps = 0;
	if (trial->sigtrap) {
		sigtrap_catch(trial->fd, trial->sigtraps);
	} else {
		*ret_step = "asking for the descriptor's signal";
		r = event_signal_me(trial->fd, SIGRTMIN);
		if (r < 0)
			goto finish;
	}
	*ret_step = "enabling the event";
	if (ioctl(trial->fd, trial->refresh ? PERF_EVENT_IOC_REFRESH : PERF_EVENT_IOC_ENABLE,
		  trial->refresh) < 0) {
		r = -errno;
		goto finish;
	}
	*ret_step = "trapping";
	r = trap_there(trial);
	if (r < 0)
		goto finish;
	ioctl(trial->fd, PERF_EVENT_IOC_DISABLE, 0);
	*ret_step = "reading the event";
	r = event_read(trial->fd, &effects.count);
	if (r < 0)
		goto finish;
	effects.signals = take_signals(SIGRTMIN, &hangups);
	effects.hangups = hangups;
	effects.sigtraps = *trial->sigtraps;
	effects.runs = verdict.shared->runs;
	*ret = effects;
finish:
	close(trial->fd);
	verdict_clear(&verdict);
	return r;
}

/* What a rejected trap has not done, and the feature that says so. */
static struct Suppressed {
	const char *what;
	const char *feature;
	bool fails;
} suppressed[] = {
	{.what = "no sample", .feature = "suppress-sample"},
	{.what = "no SIGIO", .feature = "suppress-signal"},
	{.what = "no SIGTRAP", .feature = "suppress-sigtrap"},
	{.what = "the limit is not spent", .feature = "suppress-limit"},
};
#define N_SUPPRESSED (sizeof(suppressed) / sizeof(suppressed[0]))

/* One line: whether `what` of the effects is as expected, and that of traps that the program was asked about:
 * of none there would be no effect either. */
static void check_count(const Trial *trial, int error, const char *step, uint64_t runs,
			const char *what, uint64_t expected, uint64_t found)
{
	/* Accepted ones end at the limit. */
	const uint64_t traps = trial->refresh && trial->accept ? trial->refresh : TRAPS;
	const bool passed = error == 0 && runs == traps && found == expected;
	char why[160];

	for (size_t i = 0; i < N_SUPPRESSED; i++)
		if (!passed && strcmp(what, suppressed[i].what) == 0)
			suppressed[i].fails = true;

	if (error < 0)
		snprintf(why, sizeof(why), "%s: %s", step, strerror(-error));
	else if (runs != traps)
		snprintf(why, sizeof(why), "of %llu traps %llu were evaluated",
			 (unsigned long long)traps, (unsigned long long)runs);
	else
		snprintf(why, sizeof(why), "of %d traps: %llu, expected %llu", TRAPS,
			 (unsigned long long)found, (unsigned long long)expected);
	report(passed, why, "%s, %s, %s: %s", kind_names[trial->kind], place_names[trial->place],
	       trial->accept ? "accepted" : "rejected", what);
}

static void test_effects(TrapKind kind, Place place, bool accept, volatile uint64_t *sigtraps)
{
	const uint64_t each = accept ? TRAPS : 0;
	Trial trial = {.kind = kind, .place = place, .accept = accept, .sigtraps = sigtraps};
	Effects effects = {};
	const char *step = "";
	int r;

	r = try_traps(&trial, &effects, &step);
	check_count(&trial, r, step, effects.runs, "every trap evaluated", TRAPS, effects.runs);
	check_count(&trial, r, step, effects.runs, accept ? "one SIGIO each" : "no SIGIO", each,
		    effects.signals);

	trial.sigtrap = true;
	effects = (Effects){};
	r = try_traps(&trial, &effects, &step);
	check_count(&trial, r, step, effects.runs,
		    accept ? "one SIGTRAP (TRAP_PERF) each" : "no SIGTRAP", each, effects.sigtraps);

	/* Inherited events take no limit. */
	if (place != PLACE_OWN)
		return;
	trial.sigtrap = false;
	trial.refresh = LIMIT;
	effects = (Effects){};
	r = try_traps(&trial, &effects, &step);
	check_count(&trial, r, step, effects.runs,
		    accept ? "the limit ends it" : "the limit is not spent", accept ? LIMIT : TRAPS,
		    effects.count);
	check_count(&trial, r, step, effects.runs,
		    accept ? "the last SIGIO says POLL_HUP" : "no POLL_HUP", accept ? 1 : 0,
		    effects.hangups);
}

/* Samples in the event's own ring. */
static void test_samples(TrapKind kind, bool accept)
{
	const size_t record = sizeof(struct perf_event_header) + sizeof(uint64_t);
	const Trial trial = {.kind = kind, .accept = accept};
	const size_t page_bytes = sysconf(_SC_PAGESIZE);
	struct perf_event_attr attr = trap_attr(kind);
	struct perf_event_mmap_page *ring;
	Verdict verdict = VERDICT_NONE;
	uint64_t samples = 0, runs = 0;
	const char *step;
	int fd = -EBADF, r;

	attr.sample_type = PERF_SAMPLE_TID;
	step = "loading the program";
	r = verdict_new(VERDICT_PLAIN, 0, &verdict);
	if (r < 0)
		goto finish;
	verdict.shared->accept = accept;
	step = "opening the event";
	fd = event_open_filtered(&attr, &verdict);
	if (fd < 0) {
		r = fd;
		goto finish;
	}
	step = "mapping the event";
	ring = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED) {
		r = -errno;
		goto finish;
	}
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	for (int i = 0; i < TRAPS; i++)
		trap_once(kind);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	samples = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE) / record;
	munmap(ring, 2 * page_bytes);
	runs = verdict.shared->runs;
finish:
	if (fd >= 0)
		close(fd);
	verdict_clear(&verdict);
	check_count(&trial, r, step, runs, accept ? "one sample each" : "no sample",
		    accept ? TRAPS : 0, samples);
}

/* Whether the probe, by other means, found of rejected traps what was found here. */
static bool features_agree(const Features *features, const char **ret_why)
{
	for (size_t i = 0; i < N_SUPPRESSED; i++)
		for (int f = 0; f < N_FEATURE_NAMES; f++)
			if (strcmp(feature_names[f].name, suppressed[i].feature) == 0 &&
			    feature_get(features, &feature_names[f]) == suppressed[i].fails) {
				*ret_why = suppressed[i].feature;
				return false;
			}
	return true;
}

static void print_features(void)
{
	const char *why = "";
	Features features;
	bool agree;
	int r;

	r = features_probe(&features);
	if (r < 0)
		why = strerror(-r);
	agree = r == 0 && features_agree(&features, &why);
	report(agree, why, "the probe of features ends well, and with the same");
	if (r < 0)
		return;
	printf("# feature hardware-slots %u\n", features.hardware_slots);
	for (int i = 0; i < N_FEATURE_NAMES; i++)
		printf("# feature %s %s\n", feature_names[i].name,
		       feature_get(&features, &feature_names[i]) ? "yes" : "no");
	printf("# feature perf-event-paranoid %d\n", features.perf_event_paranoid);
}

/* Where nothing else would: the probe reads a setting and looks for the kernel's types. */
static void mount_for_probe(void)
{
	mkdir("/proc", 0555);
	mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mkdir("/sys", 0555);
	mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int run_tests(void)
{
	static const TrapKind kinds[] = {TRAP_EXECUTE, TRAP_WRITE};
	volatile uint64_t *sigtraps;
	struct utsname system;
	sigset_t set;

	sigtraps = mmap(NULL, sizeof(*sigtraps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (sigtraps == MAP_FAILED) {
		printf("Bail out! no memory\n");
		return EXIT_FAILURE;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	/* Sent instead of one that cannot be queued (RLIMIT_SIGPENDING); it would end us. */
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);

	puts("TAP version 13");
	uname(&system);
	printf("# %s %s\n", system.release, system.machine);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (int accept = 0; accept <= 1; accept++) {
			for (int place = 0; place < PLACES; place++)
				test_effects(kinds[k], place, accept, sigtraps);
			test_samples(kinds[k], accept);
		}
	}
	print_features();
	printf("1..%u\n", n_tests);
	printf("# %u passed, %u failed\n", n_tests - n_failed, n_failed);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(void)
{
	bool is_init = getpid() == 1;
	int status;

	if (is_init)
		mount_for_probe();
	/* Lines as they come: a kernel that hangs shows where. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	status = run_tests();
	if (is_init) {
		sync();
		reboot(RB_AUTOBOOT);
	}
	return status;
}
