/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soak: clients of two users that open, add, change and close by chance (worker.c), while clients
 * are killed, their targets are killed, and the service is killed and restarted. Each client compares
 * all counts with what its targets did by their own account. In between everybody is told to rest with
 * nothing open: then what the daemon holds must be what it held when it had just started, nothing of
 * what it ever held may be left in the kernel, and in the end its memory must be what it was at the
 * first rest of that daemon.
 *
 * Everything is derived from the seed but the moments at which things happen to each other.
 *
 * usage: soak [--survives] SECONDS SEED TARGET    as root, where systemd runs the service
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/differential/random.h"
#include "tests/soak/soak.h"
#include "tests/support/objects.h"
#include "tests/support/process.h"

enum {
	CLIENTS = 6,
	STEP_US = 50000,
	REST_MS = 120000,
	GONE_MS = 10000,
	SERVE_MS = 30000,
	/* What malloc may keep that nothing is in: it serves sizes by chance. */
	MEMORY_SLACK_KIB = 1024,
	/* What systemd keeps of a daemon with nothing: the numbers of objects, and one free box. */
	STORED_OF_NOTHING = 2,
};

static const char *const users[] = {"bpcond-test-a", "bpcond-test-b"};

typedef struct Driver {
	Soak *soak;
	Random random;
	const char *target;
	pid_t clients[CLIENTS];
	uint64_t seed, next_client;
	pid_t daemon;
	Objects *base;     /* of a daemon that has just started */
	Objects *held;     /* all that has been seen since everybody rested */
	long first_memory; /* KiB, at this daemon's first rest; 0: none yet */
	long last_memory;
	unsigned kills, restarts, client_kills, rests;
} Driver;

static bool failed(Driver *driver, const char *what)
{
	fprintf(stderr, "soak: seed %" PRIu64 ": %s\n", driver->seed, what);
	atomic_fetch_add(&driver->soak->failures, 1);
	return false;
}

/* ---- The service ----------------------------------------------------------------------------- */

static int run(const char *const argv[])
{
	ProcessOptions options = PROCESS_OPTIONS_INIT;
	int status, r;
	pid_t pid;

	r = process_spawn(argv, &options, &pid);
	if (r >= 0)
		r = process_wait(pid, SERVE_MS, &status);
	return r < 0 ? r : process_exit_status(status);
}

/* How many descriptors systemd keeps for it; -1 when nobody says. */
static int stored_descriptors(void)
{
	int n = -1;
	FILE *pipe;

	pipe = popen("systemctl show --property=NFileDescriptorStore --value bpcondd", "re");
	if (!pipe)
		return -1;
	if (fscanf(pipe, "%d", &n) != 1)
		n = -1;
	pclose(pipe);
	return n;
}

/* Its process; 0 while it does not serve. */
static pid_t service_pid(void)
{
	char state[32] = "";
	int pid = 0;
	FILE *pipe;

	pipe = popen("systemctl show --property=MainPID,ActiveState --value bpcondd", "re");
	if (!pipe)
		return 0;
	if (fscanf(pipe, "%d %31s", &pid, state) != 2)
		pid = 0;
	pclose(pipe);
	return strcmp(state, "active") == 0 ? pid : 0;
}

/* Waits until another process than `former` serves. */
static bool wait_service(Driver *driver, pid_t former)
{
	int64_t deadline = now_ms() + SERVE_MS;
	pid_t pid = service_pid();

	while (pid == 0 || pid == former) {
		if (now_ms() > deadline)
			return failed(driver, "the service does not come back");
		usleep(STEP_US / 2);
		pid = service_pid();
	}
	driver->daemon = pid;
	driver->first_memory = 0;
	return true;
}

static bool disturb(Driver *driver)
{
	pid_t former = driver->daemon;
	bool kills = random_one_in(&driver->random, 2);

	atomic_fetch_add(&driver->soak->disturbances, 1);
	atomic_fetch_add(&driver->soak->kills, kills);
	if (kills)
		kill(former, SIGKILL);
	else if (run((const char *[]){"systemctl", "restart", "bpcondd", NULL}) != 0)
		return failed(driver, "systemctl restart bpcondd");
	driver->kills += kills;
	driver->restarts += !kills;
	if (!wait_service(driver, former))
		return false;
	atomic_store(&driver->soak->settled, atomic_load(&driver->soak->disturbances));
	return true;
}

/* Private memory of the daemon, in KiB; 0 when it cannot be read. */
static long daemon_memory(const Driver *driver)
{
	char path[64], line[128];
	long value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", driver->daemon);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Anonymous: %ld kB", &value) == 1)
			break;
	}
	fclose(file);
	return value;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static bool start_client(Driver *driver, unsigned number)
{
	uint64_t seed = driver->seed + 1000 * ++driver->next_client;
	Identity who;
	pid_t pid;
	int r;

	r = identity_by_name(users[number % 2], &who);
	if (r < 0)
		return failed(driver, "there are no users to test as");
	fflush(NULL);
	atomic_store(&driver->soak->rested[number], 0);
	pid = fork();
	if (pid < 0)
		return failed(driver, "cannot fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		signal(SIGPIPE, SIG_IGN);
		/* a change of ids makes a process undumpable until its next exec */
		if (identity_become(&who, 0) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
			_exit(EXIT_FAILURE);
		soak_worker(driver->soak, number, seed, driver->target);
	}
	driver->clients[number] = pid;
	return true;
}

/* Notices those that ended by themselves: none may. */
static bool clients_live(Driver *driver)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (waitpid(driver->clients[i], NULL, WNOHANG) == driver->clients[i])
			return failed(driver, "a client has ended");
	}
	return true;
}

static bool kill_client(Driver *driver)
{
	unsigned number = random_below(&driver->random, CLIENTS);

	kill(driver->clients[number], SIGKILL);
	waitpid(driver->clients[number], NULL, 0);
	driver->client_kills++;
	return start_client(driver, number);
}

/* ---- Rest ------------------------------------------------------------------------------------ */

static void look(Driver *driver)
{
	Objects *now = malloc(sizeof(*now));

	if (now && objects_of(driver->daemon, now) == 0)
		objects_join(driver->held, now);
	free(now);
}

static bool wait_rested(Driver *driver, unsigned order)
{
	int64_t deadline = now_ms() + REST_MS;

	for (unsigned i = 0; i < CLIENTS; i++) {
		while (atomic_load(&driver->soak->rested[i]) != order) {
			if (!clients_live(driver))
				return false;
			if (now_ms() > deadline)
				return failed(driver, "a client does not come to rest");
			usleep(STEP_US);
		}
	}
	return true;
}

/* Nothing may be left of what was open. A daemon's first rest says what it holds of nothing. */
static bool nothing_is_left(Driver *driver)
{
	int64_t deadline = now_ms() + GONE_MS;
	size_t alive;
	int stored;
	Objects *now = malloc(sizeof(*now));
	bool same, few;

	if (!now)
		return failed(driver, "out of memory");
	do {
		usleep(STEP_US);
		same = objects_of(driver->daemon, now) == 0;
		if (!driver->first_memory) {
			/* Another daemon: what it has loaded for itself is its own. */
			driver->base->n_programs = 0;
			driver->base->n_maps = 0;
			objects_join(driver->base, now);
		}
		same = same && now->n_fds == driver->base->n_fds && now->n_perf_events == 0;
		alive = objects_alive(driver->held, driver->base);
		stored = stored_descriptors();
		few = stored >= 0 && stored <= STORED_OF_NOTHING;
	} while ((!same || alive > 0 || !few) && now_ms() < deadline);
	if (!same)
		fprintf(stderr,
			"soak: the daemon holds %u descriptors, %u of them events; as it started "
			"it "
			"held %u\n",
			now->n_fds, now->n_perf_events, driver->base->n_fds);
	if (alive > 0)
		fprintf(stderr, "soak: %zu programs and maps are left\n", alive);
	if (!few)
		fprintf(stderr, "soak: systemd still keeps %d descriptors (-1: it does not say)\n",
			stored);
	free(now);
	return same && alive == 0 && few ? true : failed(driver, "something is left");
}

static bool rest(Driver *driver)
{
	unsigned order = atomic_fetch_add(&driver->soak->rest, 1) + 1;
	bool ok;

	ok = wait_rested(driver, order) && nothing_is_left(driver);
	if (ok) {
		driver->last_memory = daemon_memory(driver);
		if (driver->last_memory == 0)
			ok = failed(driver, "the daemon's memory cannot be read");
		if (!driver->first_memory)
			driver->first_memory = driver->last_memory;
		driver->held->n_programs = 0;
		driver->held->n_maps = 0;
		driver->rests++;
	}
	atomic_fetch_add(&driver->soak->rest, 1);
	return ok;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void report(const Driver *driver)
{
#define TEXT(name, text) text,
	static const char *const texts[SOAK_N_TALLIES] = {SOAK_TALLIES(TEXT)};
#undef TEXT

	for (int i = 0; i < SOAK_N_TALLIES; i++)
		printf("# %-44s %12lu\n", texts[i], atomic_load(&driver->soak->tallies[i]));
	printf("# %-44s %12u\n", "clients killed", driver->client_kills);
	printf("# %-44s %12u\n", "the daemon killed", driver->kills);
	printf("# %-44s %12u\n", "the daemon restarted", driver->restarts);
	printf("# %-44s %12u\n", "rests with nothing left", driver->rests);
	printf("# %-44s %12u\n", "descriptors of the resting daemon", driver->base->n_fds);
	printf("# %-44s %5ld, %5ld\n", "its memory in KiB, first and last rest",
	       driver->first_memory, driver->last_memory);
	fflush(stdout);
}

/* Nothing that was held against a target's account is wrong: nor would it be, had there been nothing. */
static bool much_was_compared(Driver *driver)
{
	static const enum soak_tally wanted[] = {SOAK_EXACT, SOAK_HITS, SOAK_RECORDS, SOAK_LENT};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (atomic_load(&driver->soak->tallies[wanted[i]]) == 0)
			return failed(driver, "nothing was compared");
	return true;
}

/* Disturbs for the first two thirds; the last daemon is left alone, so that its memory can be compared
 * after much and after little. */
static bool drive(Driver *driver, int64_t seconds)
{
	int64_t start = now_ms(), end = start + seconds * 1000, calm = start + seconds * 2000 / 3;
	int64_t rest_at = start + 5000, disturb_at = start + 3000, now = start;
	int64_t rest_every = seconds * 1000 / 12 > 60000 ? 60000 : seconds * 1000 / 12;

	for (; now < end; now = now_ms()) {
		usleep(STEP_US);
		if (!clients_live(driver))
			return false;
		if (random_one_in(&driver->random, 10))
			look(driver);
		if (random_one_in(&driver->random, 60) && !kill_client(driver))
			return false;
		if (now > disturb_at && now < calm) {
			if (!disturb(driver))
				return false;
			disturb_at = now_ms() + 2500 + random_below(&driver->random, 5000);
		}
		if (now > rest_at) {
			if (!rest(driver))
				return false;
			rest_at = now_ms() + rest_every;
		}
	}
	if (!rest(driver))
		return false;
	if (driver->last_memory > driver->first_memory + MEMORY_SLACK_KIB)
		return failed(driver, "the daemon's memory has grown");
	return true;
}

static bool end_clients(Driver *driver)
{
	bool ok = true;
	int status;

	atomic_store(&driver->soak->over, true);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (process_wait(driver->clients[i], REST_MS, &status) < 0 || status != 0)
			ok = failed(driver, "a client did not end well");
	}
	return ok;
}

int main(int argc, char *argv[])
{
	bool survives = argc == 5 && strcmp(argv[1], "--survives") == 0, ok;
	Driver driver = {0};

	if (argc != 4 && !survives) {
		fprintf(stderr, "usage: %s [--survives] SECONDS SEED TARGET\n", argv[0]);
		return 2;
	}
	argv += survives;
	driver.seed = strtoull(argv[2], NULL, 10);
	driver.random.state = driver.seed;
	driver.target = argv[3];
	driver.base = calloc(1, sizeof(*driver.base));
	driver.held = calloc(1, sizeof(*driver.held));
	driver.soak = mmap(NULL, sizeof(*driver.soak), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!driver.base || !driver.held || driver.soak == MAP_FAILED)
		return 1;
	driver.soak->survives = survives;
	printf("# soak of %s s, seed %" PRIu64 "\n", argv[1], driver.seed);
	fflush(stdout);

	ok = wait_service(&driver, 0);
	if (ok && objects_of(driver.daemon, driver.base) < 0)
		ok = failed(&driver, "cannot look into the daemon");
	for (unsigned i = 0; ok && i < CLIENTS; i++)
		ok = start_client(&driver, i);
	ok = ok && drive(&driver, atol(argv[1]));
	ok = ok && end_clients(&driver) && much_was_compared(&driver);
	report(&driver);
	return ok && atomic_load(&driver.soak->failures) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
