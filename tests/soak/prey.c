/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/soak/worker.h"

enum {
	MAX_ROUNDS = 150,
	ANSWER_MS = 60000,
};

/* A line of the target's, without its end. */
static void read_line(Worker *worker, Prey *prey, char *line, size_t size)
{
	struct pollfd pollfd = {.fd = prey->out_fd, .events = POLLIN};
	size_t n = 0;

	while (n + 1 < size) {
		if (poll(&pollfd, 1, ANSWER_MS) != 1)
			worker_fail(worker, "target %d does not answer", prey->pid);
		if (read(prey->out_fd, line + n, 1) != 1)
			worker_fail(worker, "target %d has ended by itself", prey->pid);
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
}

static _Noreturn void become_target(const char *path, const int in[2], const int out[2],
				    int page_fd, uint32_t resident)
{
	char fd[16], threads[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0 ||
	    fcntl(page_fd, F_SETFD, 0) < 0)
		_exit(126);
	snprintf(fd, sizeof(fd), "%d", page_fd);
	snprintf(threads, sizeof(threads), "%u", resident);
	execl(path, "paced", fd, threads, NULL);
	_exit(127);
}

void prey_start(Worker *worker, Prey *prey)
{
	static const char *const names[PACED_SITES] = {"paced_work", "paced_other", "paced_value"};
	int in[2], out[2], page_fd;
	char line[128], name[64];
	unsigned long address;

	*prey = (Prey){.resident = 1 + random_below(&worker->random, 3)};
	page_fd = memfd_create("soak", MFD_CLOEXEC);
	if (page_fd < 0 || ftruncate(page_fd, sizeof(PacedPage)) < 0 || pipe2(in, O_CLOEXEC) < 0 ||
	    pipe2(out, O_CLOEXEC) < 0)
		worker_fail(worker, "cannot prepare a target: %s", strerror(errno));
	prey->page = mmap(NULL, sizeof(PacedPage), PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
	if (prey->page == MAP_FAILED)
		worker_fail(worker, "cannot map the page: %s", strerror(errno));
	prey->pid = fork();
	if (prey->pid < 0)
		worker_fail(worker, "cannot fork: %s", strerror(errno));
	if (prey->pid == 0)
		become_target(worker->target, in, out, page_fd, prey->resident);
	close(in[0]);
	close(out[1]);
	close(page_fd);
	prey->in_fd = in[1];
	prey->out_fd = out[0];
	for (;;) {
		read_line(worker, prey, line, sizeof(line));
		if (strcmp(line, "ready") == 0)
			break;
		if (sscanf(line, "address %63s 0x%lx", name, &address) != 2)
			continue;
		for (int i = 0; i < PACED_SITES; i++) {
			if (strcmp(name, names[i]) == 0)
				prey->addresses[i] = address;
		}
	}
}

void prey_kill(Prey *prey)
{
	if (!prey->pid)
		return;
	if (!prey->reaped) {
		kill(prey->pid, SIGKILL);
		waitpid(prey->pid, NULL, 0);
	}
	close(prey->in_fd);
	close(prey->out_fd);
	munmap(prey->page, sizeof(*prey->page));
	*prey = (Prey){0};
}

void prey_run(Worker *worker, Prey *prey, const long *kill_after_us)
{
	PacedPage *page = prey->page;
	char line[64];

	memset(page->begun, 0, sizeof(page->begun));
	memset(page->ended, 0, sizeof(page->ended));
	page->rounds = 1 + random_below(&worker->random, MAX_ROUNDS);
	page->resident = 1 + random_below(&worker->random, prey->resident);
	page->later = random_one_in(&worker->random, 2)
			      ? random_below(&worker->random, PACED_THREADS - prey->resident)
			      : 0;
	if (write(prey->in_fd, "run\n", 4) != 4)
		worker_fail(worker, "target %d does not listen", prey->pid);
	if (!kill_after_us) {
		read_line(worker, prey, line, sizeof(line));
		if (strncmp(line, "ran ", 4) != 0)
			worker_fail(worker, "target %d answers: %s", prey->pid, line);
		soak_count(worker->soak, SOAK_ROUNDS,
			   page->rounds * (page->resident + page->later));
		return;
	}
	usleep((useconds_t)*kill_after_us);
	kill(prey->pid, SIGKILL);
	waitpid(prey->pid, NULL, 0);
	prey->killed = true;
	prey->reaped = true;
	soak_count(worker->soak, SOAK_KILLED_TARGETS, 1);
}

void prey_first_thread(const Prey *prey, PacedPage *ret)
{
	*ret = *prey->page;
	for (int site = 0; site < PACED_SITES; site++) {
		for (int thread = 1; thread < PACED_THREADS; thread++) {
			ret->begun[site][thread] = 0;
			ret->ended[site][thread] = 0;
		}
	}
}
