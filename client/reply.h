/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon's replies have in common: the object they made, and descriptors by name.
 */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* N of a path that ends in /N. Return: 0 and *ret; -EPROTO. */
int reply_number_of_path(const char *path, uint32_t *ret);

typedef struct ReplyFd {
	const char *name;
	int *ret_fd;
} ReplyFd;

/* Reads the descriptors of a{sh}, which stay the message's; what is not there stays as it is, and names
 * that are not in the table are left alone. Return: 0 or more; a negative errno. */
int reply_read_fds(sd_bus_message *m, const ReplyFd table[], size_t n);

#endif
