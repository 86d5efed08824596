/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds the lock of the pipe that its standard output is, for as long as it is told: it writes a byte
 * into it from a page that is not there, and serves the fault itself (userfaultfd, for which it is to be
 * root). The kernel copies the byte under the lock, and waits. It says "held", lets the page come at the
 * first byte of its standard input, or its end, and says "released": to standard input, which is a
 * socket, or into a file. Standard output is opened anew, so that the open file that it was given is the
 * giver's alone.
 *
 * usage: pipe_holder [FILE]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static int pipe_fd, news_fd = STDIN_FILENO;

static int fail(const char *what)
{
	fprintf(stderr, "pipe_holder: %s: %s\n", what, strerror(errno));
	return 1;
}

static void *write_from(void *page)
{
	ssize_t n = write(pipe_fd, page, 1);

	return n == 1 ? page : NULL;
}

static int register_page(int faults_fd, void *page)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)page, .len = PAGE},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(faults_fd, UFFDIO_API, &api) < 0 ||
			       ioctl(faults_fd, UFFDIO_REGISTER, &range) < 0
		       ? -1
		       : 0;
}

int main(int argc, char *argv[])
{
	struct uffdio_zeropage zero = {};
	struct uffd_msg fault;
	pthread_t writer;
	int faults_fd;
	char byte;
	void *page;

	if (argc > 1)
		news_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pipe_fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC);
	if (pipe_fd < 0)
		return fail("open");
	close(STDOUT_FILENO);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return fail("mmap");
	faults_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (faults_fd < 0 || register_page(faults_fd, page) < 0)
		return fail("userfaultfd");
	if (pthread_create(&writer, NULL, write_from, page) != 0)
		return fail("pthread_create");
	if (read(faults_fd, &fault, sizeof(fault)) != sizeof(fault))
		return fail("no fault");
	if (write(news_fd, "held\n", 5) != 5)
		return fail("write");
	if (read(STDIN_FILENO, &byte, 1) < 0)
		return fail("read");
	zero.range = (struct uffdio_range){.start = (uintptr_t)page, .len = PAGE};
	if (ioctl(faults_fd, UFFDIO_ZEROPAGE, &zero) < 0)
		return fail("UFFDIO_ZEROPAGE");
	pthread_join(writer, NULL);
	close(pipe_fd);
	return write(news_fd, "released\n", 9) == 9 ? 0 : fail("write");
}
