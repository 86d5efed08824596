/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A checkout can lie below a directory that only its owner enters (/root, a home of mode 700). What
 * other users are to run is then copied; the layout is kept since run paths are relative to it.
 */
#include "tests/support/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

bool staging_can_execute(const Identity *who, const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return false;
	if (pid == 0) {
		if (identity_become(who, 0) < 0)
			_exit(1);
		_exit(access(path, X_OK) == 0 ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int staging_copy_file(const char *from, const char *to)
{
	int from_fd, to_fd, r = 0;
	ssize_t n = 0;

	from_fd = open(from, O_RDONLY | O_CLOEXEC);
	if (from_fd < 0)
		return -errno;
	to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (to_fd < 0) {
		r = -errno;
		close(from_fd);
		return r;
	}
	do
		n = sendfile(to_fd, from_fd, NULL, 1 << 30);
	while (n > 0);
	if (n < 0)
		r = -errno;
	close(from_fd);
	if (close(to_fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static int copy_link(const char *from, const char *to)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlink(target, to) < 0 ? -errno : 0;
}

/* nftw(3) has no userdata */
static const char *stage_from, *stage_to;

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), n = strlen(suffix);

	return length >= n && strcmp(text + length - n, suffix) == 0;
}

static int stage_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + at->base;
	char to[PATH_MAX];
	int r = 0;

	if (snprintf(to, sizeof(to), "%s%s", stage_to, path + strlen(stage_from)) >=
	    (int)sizeof(to))
		r = -ENAMETOOLONG;
	else if (type == FTW_D && (has_suffix(name, ".p") || strncmp(name, "meson-", 6) == 0))
		return FTW_SKIP_SUBTREE; /* objects and meson's own */
	else if (type == FTW_D)
		r = mkdir(to, 0755) < 0 ? -errno : 0;
	else if (type == FTW_SL && strstr(name, ".so"))
		r = copy_link(path, to);
	else if (type == FTW_F && (st->st_mode & 0111 || strstr(name, ".so")))
		r = staging_copy_file(path, to);

	if (r < 0) {
		errno = -r;
		return FTW_STOP;
	}
	return FTW_CONTINUE;
}

int staging_copy(const char *from, const char *to)
{
	stage_from = from;
	stage_to = to;
	if (nftw(from, stage_entry, 16, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
		return -errno;
	return 0;
}
