/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By /proc/PID/fdinfo, where the kernel tells the id of each program and map, and by the programs'
 * own lists of maps.
 */
#include "tests/support/objects.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : r;
}

static int fd_by_id(int command, uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id; /* the same place as map_id */
	return bpf(command, &attr);
}

static bool contains(const uint32_t *ids, uint32_t n, uint32_t id)
{
	for (uint32_t i = 0; i < n; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

static void add(uint32_t *ids, uint32_t *n, uint32_t id)
{
	if (!contains(ids, *n, id) && *n < OBJECTS_MAX)
		ids[(*n)++] = id;
}

static void add_maps_of_program(Objects *objects, uint32_t id)
{
	struct bpf_prog_info info;
	uint32_t maps[64];
	union bpf_attr attr;
	int fd;

	fd = fd_by_id(BPF_PROG_GET_FD_BY_ID, id);
	if (fd < 0)
		return;
	memset(&info, 0, sizeof(info));
	info.nr_map_ids = sizeof(maps) / sizeof(maps[0]);
	info.map_ids = (uintptr_t)maps;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) >= 0) {
		for (uint32_t i = 0; i < info.nr_map_ids && i < sizeof(maps) / sizeof(maps[0]); i++)
			add(objects->maps, &objects->n_maps, maps[i]);
	}
	close(fd);
}

static void read_fdinfo(pid_t pid, const char *name, Objects *objects)
{
	char path[300], line[256];
	unsigned id;
	ssize_t n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, name);
	n = readlink(path, line, sizeof(line) - 1);
	if (n < 0)
		return; /* closed meanwhile */
	line[n] = '\0';
	objects->n_fds++;
	if (strstr(line, "[perf_event]"))
		objects->n_perf_events++;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "prog_id: %u", &id) == 1)
			add(objects->programs, &objects->n_programs, id);
		else if (sscanf(line, "map_id: %u", &id) == 1)
			add(objects->maps, &objects->n_maps, id);
	}
	fclose(file);
}

int objects_of(pid_t pid, Objects *ret)
{
	struct dirent *entry;
	Objects *objects;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	objects = calloc(1, sizeof(*objects));
	if (!objects) {
		closedir(dir);
		return -ENOMEM;
	}
	for (entry = readdir(dir); entry; entry = readdir(dir)) {
		if (entry->d_name[0] != '.')
			read_fdinfo(pid, entry->d_name, objects);
	}
	closedir(dir);
	for (uint32_t i = 0; i < objects->n_programs; i++)
		add_maps_of_program(objects, objects->programs[i]);
	*ret = *objects;
	free(objects);
	return 0;
}

static size_t count_alive(int command, const uint32_t *ids, uint32_t n, const uint32_t *except,
			  uint32_t n_except)
{
	size_t alive = 0;
	int fd;

	for (uint32_t i = 0; i < n; i++) {
		if (contains(except, n_except, ids[i]))
			continue;
		fd = fd_by_id(command, ids[i]);
		if (fd == -ENOENT)
			continue;
		if (fd >= 0)
			close(fd);
		alive++;
	}
	return alive;
}

size_t objects_alive(const Objects *objects, const Objects *except)
{
	static const Objects none;

	if (!except)
		except = &none;
	return count_alive(BPF_PROG_GET_FD_BY_ID, objects->programs, objects->n_programs,
			   except->programs, except->n_programs) +
	       count_alive(BPF_MAP_GET_FD_BY_ID, objects->maps, objects->n_maps, except->maps,
			   except->n_maps);
}

void objects_join(Objects *objects, const Objects *more)
{
	for (uint32_t i = 0; i < more->n_programs; i++)
		add(objects->programs, &objects->n_programs, more->programs[i]);
	for (uint32_t i = 0; i < more->n_maps; i++)
		add(objects->maps, &objects->n_maps, more->maps[i]);
}

static int next_id(int command, uint32_t id, uint32_t *ret)
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.start_id = id;
	r = bpf(command, &attr);
	if (r < 0)
		return r;
	*ret = attr.next_id;
	return 0;
}

static int greatest_id(int command, uint32_t *ret)
{
	uint32_t id = 0;
	int r;

	do
		r = next_id(command, id, &id);
	while (r == 0);
	*ret = id;
	return r == -ENOENT ? 0 : r;
}

int objects_mark(ObjectMarks *ret)
{
	ObjectMarks marks;
	int r;

	r = greatest_id(BPF_PROG_GET_NEXT_ID, &marks.program);
	if (r == 0)
		r = greatest_id(BPF_MAP_GET_NEXT_ID, &marks.map);
	if (r == 0)
		*ret = marks;
	return r;
}

static bool is_called_as_the_daemons(int fd, bool is_map)
{
	union {
		struct bpf_prog_info program;
		struct bpf_map_info map;
	} info;
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = is_map ? sizeof(info.map) : sizeof(info.program);
	attr.info.info = (uintptr_t)&info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
		return false;
	return strncmp(is_map ? info.map.name : info.program.name, "bpcond", 6) == 0;
}

static void add_new(Objects *objects, const ObjectMarks *marks, bool is_map)
{
	int next = is_map ? BPF_MAP_GET_NEXT_ID : BPF_PROG_GET_NEXT_ID;
	int get = is_map ? BPF_MAP_GET_FD_BY_ID : BPF_PROG_GET_FD_BY_ID;
	uint32_t id = is_map ? marks->map : marks->program;

	while (next_id(next, id, &id) == 0) {
		int fd = fd_by_id(get, id);

		if (fd < 0)
			continue;
		if (is_called_as_the_daemons(fd, is_map)) {
			if (is_map)
				add(objects->maps, &objects->n_maps, id);
			else
				add(objects->programs, &objects->n_programs, id);
		}
		close(fd);
	}
}

static int add_held_by_others(Objects *objects, pid_t pid)
{
	struct dirent *entry;
	Objects *held;
	DIR *dir;

	held = malloc(sizeof(*held));
	dir = held ? opendir("/proc") : NULL;
	if (!dir) {
		free(held);
		return -errno;
	}
	for (entry = readdir(dir); entry; entry = readdir(dir)) {
		pid_t other = (pid_t)strtol(entry->d_name, NULL, 10);

		if (other > 0 && other != pid && objects_of(other, held) == 0)
			objects_join(objects, held);
	}
	closedir(dir);
	free(held);
	return 0;
}

int objects_left(const ObjectMarks *marks, pid_t pid)
{
	Objects *made = calloc(1, sizeof(*made)), *others = calloc(1, sizeof(*others));
	int r = -ENOMEM;

	if (made && others) {
		add_new(made, marks, false);
		add_new(made, marks, true);
		r = made->n_programs + made->n_maps > 0 ? add_held_by_others(others, pid) : 0;
	}
	if (r == 0)
		r = (int)objects_alive(made, others);
	free(made);
	free(others);
	return r;
}
