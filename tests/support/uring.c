/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/uring.h"

#include <check.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FIXED_FD_INSTALL = 54, /* IORING_OP_FIXED_FD_INSTALL, which older headers have not */
};

static struct io_uring_params params;

bool uring_keep(const int fds[], unsigned n, Uring *ret)
{
	memset(&params, 0, sizeof(params));
	*ret = (Uring){.fd = (int)syscall(SYS_io_uring_setup, 1, &params)};
	if (ret->fd < 0)
		return false;
	ck_assert(params.features & IORING_FEAT_SINGLE_MMAP);
	ret->ring_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	ret->entries_bytes = params.sq_entries * sizeof(struct io_uring_sqe);
	ret->ring = mmap(NULL, ret->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ret->fd,
			 IORING_OFF_SQ_RING);
	ret->entries = mmap(NULL, ret->entries_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ret->fd,
			    IORING_OFF_SQES);
	ck_assert_ptr_ne(ret->ring, MAP_FAILED);
	ck_assert_ptr_ne(ret->entries, MAP_FAILED);
	ck_assert_int_eq(syscall(SYS_io_uring_register, ret->fd, IORING_REGISTER_FILES, fds, n), 0);
	return true;
}

static uint32_t *at(const Uring *uring, uint32_t offset)
{
	return (uint32_t *)((char *)uring->ring + offset);
}

int uring_take(Uring *uring, unsigned number)
{
	struct io_uring_sqe *entry = uring->entries;
	const struct io_uring_cqe *done;
	uint32_t head;

	*entry = (struct io_uring_sqe){
		.opcode = FIXED_FD_INSTALL, .flags = IOSQE_FIXED_FILE, .fd = (int)number};
	at(uring, params.sq_off.array)[0] = 0;
	__atomic_fetch_add(at(uring, params.sq_off.tail), 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(
		syscall(SYS_io_uring_enter, uring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
	head = *at(uring, params.cq_off.head);
	ck_assert_uint_ne(head, __atomic_load_n(at(uring, params.cq_off.tail), __ATOMIC_ACQUIRE));
	done = (const struct io_uring_cqe *)at(uring, params.cq_off.cqes) +
	       (head & *at(uring, params.cq_off.ring_mask));
	__atomic_store_n(at(uring, params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return done->res;
}

void uring_close(Uring *uring)
{
	munmap(uring->ring, uring->ring_bytes);
	munmap(uring->entries, uring->entries_bytes);
	close(uring->fd);
	uring->fd = -EBADF;
}
