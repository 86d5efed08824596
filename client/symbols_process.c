/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The modules of a running process: libdwfl finds them in its maps; their files are opened below the
 * process's own root; the order in which they were loaded is read from the dynamic linker's list in its
 * memory, which is its word only and decides nothing but which of two equal names is meant.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/symbols.h"

enum {
	MAX_LIBRARIES = 4096,
	MAX_DYNAMIC = 512,
	MAX_AUXV = 64,
};

/* Whether the thread of that directory of /proc lives: its state stands behind its name, which can hold
 * anything, and so behind the last parenthesis. */
static bool thread_lives(const char *directory, const char *tid)
{
	char path[64], line[512] = "";
	const char *behind;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%.20s/stat", directory, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	behind = strrchr(line, ')');
	return behind && behind[1] == ' ' && !strchr("ZX", behind[2]);
}

pid_t symbols_living_thread(pid_t pid)
{
	char directory[64], leader[16];
	const struct dirent *entry;
	pid_t found = pid;
	DIR *tasks;

	snprintf(directory, sizeof(directory), "/proc/%d/task", (int)pid);
	snprintf(leader, sizeof(leader), "%d", (int)pid);
	if (thread_lives(directory, leader))
		return pid;
	tasks = opendir(directory);
	if (!tasks)
		return pid;
	do {
		entry = readdir(tasks);
		if (entry && entry->d_name[0] != '.' && thread_lives(directory, entry->d_name))
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	} while (entry && found == pid);
	closedir(tasks);
	return found;
}

int symbols_read(const bpcond_symbols *symbols, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
	char path[64];
	ssize_t n;
	int fd;

	n = process_vm_readv(symbols->pid, &local, 1, &remote, 1, 0);
	if (n == (ssize_t)size)
		return 0;
	if (n >= 0 || errno != ENOSYS)
		return n < 0 ? -errno : -EFAULT;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)symbols->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, buffer, size, (off_t)address);
	close(fd);
	return n == (ssize_t)size ? 0 : -EFAULT;
}

/* ---- Opening modules ------------------------------------------------------------------------- */

/* A regular file, without waiting for the other end of a pipe that has been put in its place. */
static int open_regular(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The file below the process's own root, and the program's own file also when it has been deleted. */
static int find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
		    char **ret_name, Elf **ret_elf)
{
	const bpcond_symbols *symbols = *userdata;
	char path[PATH_MAX + 32];
	int fd = -1;

	if (symbols && name[0] == '/') {
		if (snprintf(path, sizeof(path), "/proc/%d/root%s", (int)symbols->pid, name) <
		    (int)sizeof(path))
			fd = open_regular(path);
		if (fd < 0 && symbols->n_modules > 0 && symbols->modules[0].dwfl == module) {
			snprintf(path, sizeof(path), "/proc/%d/exe", (int)symbols->pid);
			fd = open_regular(path);
		}
	}
	if (fd < 0)
		return dwfl_linux_proc_find_elf(module, userdata, name, base, ret_name, ret_elf);
	*ret_name = strdup(name);
	if (!*ret_name) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Debug files of this machine. What DEBUGINFOD_URLS would fetch from the network is left alone: nobody
 * waits for a download to set a breakpoint. */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
			  const char *file, const char *link, GElf_Word crc, char **ret_name)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	int fd = dwfl_build_id_find_debuginfo(module, userdata, name, base, file, link, crc,
					      ret_name);

	if (fd >= 0 || (urls && *urls))
		return fd;
	return dwfl_standard_find_debuginfo(module, userdata, name, base, file, link, crc,
					    ret_name);
}

static const Dwfl_Callbacks CALLBACKS = {
	.find_elf = find_elf,
	.find_debuginfo = find_debuginfo,
};

/* ---- Modules --------------------------------------------------------------------------------- */

static int add_module(Dwfl_Module *dwfl, void **userdata, const char *name, Dwarf_Addr start,
		      void *data)
{
	bpcond_symbols *symbols = data;
	Module *modules, *module;
	Dwarf_Addr end;

	modules = realloc(symbols->modules, (symbols->n_modules + 1) * sizeof(*modules));
	if (!modules)
		return DWARF_CB_ABORT;
	symbols->modules = modules;
	module = &modules[symbols->n_modules++];
	*userdata = symbols;
	dwfl_module_info(dwfl, NULL, NULL, &end, NULL, NULL, NULL, NULL);
	*module = (Module){.dwfl = dwfl, .path = name, .name = name, .start = start, .end = end};
	if (strrchr(name, '/'))
		module->name = strrchr(name, '/') + 1;
	return DWARF_CB_OK;
}

const Module *symbols_module_at(const bpcond_symbols *symbols, uint64_t address)
{
	Dwfl_Module *dwfl = dwfl_addrmodule(symbols->dwfl, address);

	/* libdw takes all that lies behind the last module for a part of it. */
	for (size_t i = 0; i < symbols->n_modules; i++) {
		const Module *module = &symbols->modules[i];

		if (dwfl && module->dwfl == dwfl)
			return address >= module->start && address < module->end ? module : NULL;
	}
	return NULL;
}

/* Moves a module to a place further in front; those between move back by one. */
static void move_module(bpcond_symbols *symbols, const Module *module, size_t to)
{
	size_t from = (size_t)(module - symbols->modules);
	Module moved = *module;

	if (from <= to)
		return;
	memmove(&symbols->modules[to + 1], &symbols->modules[to], (from - to) * sizeof(moved));
	symbols->modules[to] = moved;
}

/* The program's entry point, from the values that the kernel gave it at its start. */
static int read_entry(const bpcond_symbols *symbols, uint64_t *ret)
{
	uint64_t auxv[MAX_AUXV][2];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)symbols->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, auxv, sizeof(auxv));
	close(fd);
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(auxv[0]); i++) {
		if (auxv[i][0] == AT_ENTRY) {
			*ret = auxv[i][1];
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- Load order ------------------------------------------------------------------------------ */

typedef struct Dynamic {
	bool has_interpreter; /* a dynamic linker loads the libraries */
	bool has_debug;       /* and says where its list is */
	uint64_t debug;       /* struct r_debug; 0: not yet */
} Dynamic;

static void read_dynamic(const bpcond_symbols *symbols, Elf *elf, uint64_t bias, Dynamic *ret)
{
	size_t n_headers;

	*ret = (Dynamic){.has_interpreter = false};
	if (elf_getphdrnum(elf, &n_headers) < 0)
		return;
	for (size_t i = 0; i < n_headers; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, (int)i, &header))
			continue;
		if (header.p_type == PT_INTERP)
			ret->has_interpreter = true;
		if (header.p_type != PT_DYNAMIC)
			continue;
		for (size_t j = 0; j < MAX_DYNAMIC; j++) {
			Elf64_Dyn entry;

			if (symbols_read(symbols, header.p_vaddr + bias + j * sizeof(entry), &entry,
					 sizeof(entry)) < 0 ||
			    entry.d_tag == DT_NULL)
				break;
			if (entry.d_tag == DT_DEBUG) {
				ret->has_debug = true;
				ret->debug = entry.d_un.d_ptr;
			}
		}
	}
}

/* Orders the modules behind the program as the dynamic linker's list has them. */
static void order_modules(bpcond_symbols *symbols, uint64_t first)
{
	uint64_t next = first;
	size_t place = 0;

	for (size_t i = 0; next != 0 && i < MAX_LIBRARIES; i++) {
		struct link_map entry;
		const Module *module;

		if (symbols_read(symbols, next, &entry, sizeof(entry)) < 0)
			return;
		module = symbols_module_at(symbols, (uint64_t)(uintptr_t)entry.l_ld);
		/* The kernel's vdso is in the list, but names are not bound to it. */
		if (module && module->path[0] == '/' &&
		    (size_t)(module - symbols->modules) >= place)
			move_module(symbols, module, place++);
		next = (uint64_t)(uintptr_t)entry.l_next;
	}
}

static void read_load_order(bpcond_symbols *symbols)
{
	GElf_Ehdr header;
	Dynamic dynamic;
	GElf_Addr bias;
	struct r_debug debug;
	Elf *elf = dwfl_module_getelf(symbols->modules[0].dwfl, &bias);

	symbols->libraries_ready = true;
	/* The structures of a 32-bit process look different; the order of its modules stays unknown. */
	if (!elf || !gelf_getehdr(elf, &header) || header.e_ident[EI_CLASS] != ELFCLASS64)
		return;
	read_dynamic(symbols, elf, bias, &dynamic);
	if (!dynamic.has_interpreter || !dynamic.has_debug)
		return;
	symbols->libraries_ready = false;
	if (dynamic.debug == 0 || symbols_read(symbols, dynamic.debug, &debug, sizeof(debug)) < 0)
		return;
	symbols->libraries_ready = debug.r_state == RT_CONSISTENT;
	order_modules(symbols, (uint64_t)(uintptr_t)debug.r_map);
}

int symbols_load_modules(bpcond_symbols *symbols)
{
	const Module *program;
	uint64_t entry;
	int r;

	symbols->dwfl = dwfl_begin(&CALLBACKS);
	if (!symbols->dwfl)
		return -ENOMEM;
	dwfl_report_begin(symbols->dwfl);
	r = dwfl_linux_proc_report(symbols->dwfl, symbols->pid);
	if (r != 0)
		return r > 0 ? -r : -EIO;
	if (dwfl_report_end(symbols->dwfl, NULL, NULL) != 0)
		return -EIO;
	if (dwfl_getmodules(symbols->dwfl, add_module, symbols, 0) != 0)
		return -ENOMEM;
	if (symbols->n_modules == 0)
		return -ESRCH;
	r = read_entry(symbols, &entry);
	program = r < 0 ? NULL : symbols_module_at(symbols, entry);
	if (program)
		move_module(symbols, program, 0);
	read_load_order(symbols);
	return 0;
}
