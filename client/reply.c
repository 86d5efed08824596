/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/reply.h"

int reply_number_of_path(const char *path, uint32_t *ret)
{
	const char *slash = strrchr(path, '/');
	unsigned long number;
	char *end;

	if (slash == NULL || slash[1] < '0' || slash[1] > '9')
		return -EPROTO;
	errno = 0;
	number = strtoul(slash + 1, &end, 10);
	if (errno != 0 || *end != '\0' || number > UINT32_MAX)
		return -EPROTO;
	*ret = (uint32_t)number;
	return 0;
}

int reply_read_fds(sd_bus_message *m, const ReplyFd table[], size_t n)
{
	const char *name;
	int fd, r;

	r = sd_bus_message_enter_container(m, 'a', "{sh}");
	if (r < 0)
		return r;
	for (;;) {
		r = sd_bus_message_read(m, "{sh}", &name, &fd);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		for (size_t i = 0; i < n; i++) {
			if (strcmp(table[i].name, name) == 0)
				*table[i].ret_fd = fd;
		}
	}
	return sd_bus_message_exit_container(m);
}
