/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Down to CAP_BPF and CAP_PERFMON, for good, before a bus or a byte of anyone's input is touched.
 * A bug in what follows is then worth those two capabilities and no more: no user id of a person,
 * no file, no way back through a set-user-ID program (no_new_privs) or an exec (nothing inheritable,
 * nothing ambient, and no bounding set to gain from).
 *
 * The order matters. The bounding set and the groups need capabilities that go with the rest; the
 * user id goes with the permitted set kept (PR_SET_KEEPCAPS); the securebits are locked while
 * CAP_SETPCAP is still there; the two capabilities are all that remains at the end. Then everything
 * is read back, from the calls and from /proc, and one bit too many is an error: this function is
 * the only thing between a mistake in a unit file or a script and a daemon with root's rights.
 *
 * Started unprivileged, the process has no right to give up its bounding set or its supplementary
 * groups: the first gives nothing without inheritable sets or set-user-ID programs, and of the second
 * only root's is refused.
 *
 * Not dumpable: a process that became this user by other means (another service of the same user, a
 * shell as "nobody") must not read or copy the daemon's descriptors, or make it dump the core that
 * holds what users sent. The change of user id has this effect already; it is made sure of for every
 * way of starting. A process may always read its own /proc.
 *
 * Capabilities belong to a thread: this must run before any other thread starts.
 */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define CAPABILITY(number) (UINT64_C(1) << (number))
#define KEPT               (CAPABILITY(CAP_BPF) | CAPABILITY(CAP_PERFMON))

typedef struct CapabilitySets {
	uint64_t permitted, effective, inheritable;
} CapabilitySets;

/* What must be true at the end. */
typedef struct Expected {
	uid_t uid;
	gid_t gid;
	bool no_groups;    /* else: not root's */
	bool bounding_two; /* else: not looked at */
} Expected;

static char message[384];

/* Return: r, for `return explain(…)`. */
__attribute__((format(printf, 3, 4))) static int explain(int r, const char **ret_message,
							 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	*ret_message = message;
	return r;
}

/* A step that should not fail did: most likely a container or a unit forbids the call. */
static int explain_errno(const char *step, const char **ret_message)
{
	int error = errno;

	return explain(
		-error, ret_message,
		"giving up privileges failed at %s: %s; start bpcondd from its systemd unit, "
		"or as root with no restriction on that call",
		step, strerror(error));
}

static int capabilities_get(CapabilitySets *ret)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	int r = (int)syscall(SYS_capget, &header, data);

	if (r < 0)
		return -errno;
	*ret = (CapabilitySets){
		.permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted,
		.effective = (uint64_t)data[1].effective << 32 | data[0].effective,
		.inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable,
	};
	return 0;
}

static int capabilities_set(const CapabilitySets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int r;

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i] = (struct __user_cap_data_struct){
			.permitted = (uint32_t)(sets->permitted >> 32 * i),
			.effective = (uint32_t)(sets->effective >> 32 * i),
			.inheritable = (uint32_t)(sets->inheritable >> 32 * i),
		};
	r = (int)syscall(SYS_capset, &header, data);
	return r < 0 ? -errno : 0;
}

static int check_both_held(const CapabilitySets *sets, const char **ret_message)
{
	uint64_t missing = KEPT & ~sets->permitted;
	const char *name;

	if (missing == 0)
		return 0;
	name = missing == KEPT ? "CAP_BPF and CAP_PERFMON"
			       : (missing == CAPABILITY(CAP_BPF) ? "CAP_BPF" : "CAP_PERFMON");
	return explain(-EPERM, ret_message,
		       "%s missing: start bpcondd as root, or as its own user with "
		       "AmbientCapabilities=CAP_BPF CAP_PERFMON (and, in a container, with both "
		       "granted to it)",
		       name);
}

/* Only the one who may change the sets can make the effective one whole. */
static int raise_effective(CapabilitySets *sets, const char **ret_message)
{
	int r;

	sets->effective = sets->permitted;
	r = capabilities_set(sets);
	if (r < 0) {
		errno = -r;
		return explain_errno("capset", ret_message);
	}
	return 0;
}

static int look_up_user(const char *user, uid_t *ret_uid, gid_t *ret_gid, const char **ret_message)
{
	struct passwd entry, *found = NULL;
	char *strings;
	size_t size;
	int r;

	for (size = 4096;; size *= 2) {
		strings = malloc(size);
		if (strings == NULL)
			return explain(-ENOMEM, ret_message, "out of memory");
		r = getpwnam_r(user, &entry, strings, size, &found);
		if (r != ERANGE || size >= 1024 * 1024)
			break;
		free(strings);
	}
	if (found != NULL) {
		*ret_uid = entry.pw_uid;
		*ret_gid = entry.pw_gid;
	}
	free(strings);
	if (found == NULL)
		return explain(-ESRCH, ret_message,
			       "there is no user \"%.64s\" to run as: create it "
			       "(systemd-sysusers does), or name another",
			       user);
	if (*ret_uid == 0 || *ret_gid == 0)
		return explain(-ESRCH, ret_message,
			       "the user \"%.64s\" is root, or in root's group: name an "
			       "unprivileged user to run as",
			       user);
	return 0;
}

/* Needs CAP_SETPCAP. */
static int drop_bounding_set(const char **ret_message)
{
	for (int number = 0; number < 64; number++) {
		int r = prctl(PR_CAPBSET_READ, number, 0, 0, 0);

		if (r < 0)
			return 0; /* past the last one that this kernel knows */
		if (r == 0 || (CAPABILITY(number) & KEPT) != 0)
			continue;
		r = prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
		if (r < 0)
			return explain_errno("PR_CAPBSET_DROP", ret_message);
	}
	return 0;
}

/* To one user and one group in every place of the process, real, effective, saved and file system. */
static int become(const Expected *expected, bool from_root, const char **ret_message)
{
	int r;

	if (expected->no_groups) {
		r = setgroups(0, NULL);
		if (r < 0)
			return explain_errno("setgroups", ret_message);
	}
	r = setresgid(expected->gid, expected->gid, expected->gid);
	if (r < 0)
		return explain_errno("setresgid", ret_message);
	/* Another user's change of id does not touch the capabilities, and the flag may be locked. */
	if (from_root) {
		r = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
		if (r < 0)
			return explain_errno("PR_SET_KEEPCAPS", ret_message);
	}
	r = setresuid(expected->uid, expected->uid, expected->uid);
	if (r < 0)
		return explain_errno("setresuid", ret_message);
	if (from_root) {
		r = prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
		if (r < 0)
			return explain_errno("PR_SET_KEEPCAPS", ret_message);
	}
	return 0;
}

/* Needs CAP_SETPCAP. From here on user id 0 means nothing to an exec, and what decides about
 * capabilities cannot be changed back. */
static int lock_securebits(const char **ret_message)
{
	int r = prctl(PR_SET_SECUREBITS,
		      SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			      SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			      SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		      0, 0, 0);

	if (r < 0)
		return explain_errno("PR_SET_SECUREBITS", ret_message);
	return 0;
}

/* What needs no capability, down to the two. */
static int keep_the_two(const char **ret_message)
{
	const CapabilitySets two = {.permitted = KEPT, .effective = KEPT};
	int r;

	r = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (r < 0)
		return explain_errno("PR_CAP_AMBIENT_CLEAR_ALL", ret_message);
	r = capabilities_set(&two);
	if (r < 0) {
		errno = -r;
		return explain_errno("capset", ret_message);
	}
	r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r < 0)
		return explain_errno("PR_SET_NO_NEW_PRIVS", ret_message);
	r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return explain_errno("PR_SET_DUMPABLE", ret_message);
	return 0;
}

static int left_over(const char *what, const char **ret_message)
{
	return explain(
		-EPERM, ret_message,
		"after giving up privileges %s is not what it should be, so bpcondd does not "
		"start: start it from its systemd unit, or as root",
		what);
}

static int verify_ids(const Expected *expected, const char **ret_message)
{
	uid_t uids[3];
	gid_t gids[3];
	gid_t *groups;
	int r, count;

	r = getresuid(&uids[0], &uids[1], &uids[2]);
	if (r < 0)
		return explain_errno("getresuid", ret_message);
	r = getresgid(&gids[0], &gids[1], &gids[2]);
	if (r < 0)
		return explain_errno("getresgid", ret_message);
	for (int i = 0; i < 3; i++) {
		if (uids[i] != expected->uid || uids[i] == 0)
			return left_over("a user id", ret_message);
		if (gids[i] != expected->gid || gids[i] == 0)
			return left_over("a group id", ret_message);
	}
	count = getgroups(0, NULL);
	if (count < 0)
		return explain_errno("getgroups", ret_message);
	if (count == 0)
		return 0;
	if (expected->no_groups)
		return left_over("the list of supplementary groups", ret_message);
	groups = calloc((size_t)count, sizeof(*groups));
	if (groups == NULL)
		return explain(-ENOMEM, ret_message, "out of memory");
	count = getgroups(count, groups);
	r = count < 0 ? explain_errno("getgroups", ret_message) : 0;
	for (int i = 0; i < count && r == 0; i++)
		if (groups[i] == 0)
			r = left_over("the list of supplementary groups (root's is in it)",
				      ret_message);
	free(groups);
	return r;
}

typedef struct StatusLine {
	const char *name; /* with the colon */
	int base;
	uint64_t value;
	int count; /* how many equal values the line has */
} StatusLine;

/* Return: whether what follows the name is line->value, line->count times. */
static bool status_says(const char *values, const StatusLine *line)
{
	for (int i = 0; i < line->count; i++) {
		char *end;
		unsigned long long value;

		errno = 0;
		value = strtoull(values, &end, line->base);
		if (end == values || errno != 0 || value != line->value)
			return false;
		values = end;
	}
	return *values == '\n';
}

/* Each line must be there, and say what is expected. */
static int verify_lines(FILE *status, const StatusLine lines[], size_t n_lines,
			const char **ret_message)
{
	size_t n_right = 0;
	size_t size = 0;
	char *text = NULL;

	while (getline(&text, &size, status) > 0)
		for (size_t i = 0; i < n_lines; i++) {
			size_t length = strlen(lines[i].name);
			char what[64];

			if (strncmp(text, lines[i].name, length) != 0)
				continue;
			if (status_says(text + length, &lines[i])) {
				n_right++;
				continue;
			}
			free(text);
			snprintf(what, sizeof(what), "\"%s\" in /proc/self/status", lines[i].name);
			return left_over(what, ret_message);
		}
	free(text);
	if (n_right != n_lines)
		return left_over("/proc/self/status (a line is missing)", ret_message);
	return 0;
}

static int verify_status(const Expected *expected, const char **ret_message)
{
	const StatusLine lines[] = {
		{"Uid:", 10, expected->uid, 4}, {"Gid:", 10, expected->gid, 4},
		{"CapInh:", 16, 0, 1},          {"CapPrm:", 16, KEPT, 1},
		{"CapEff:", 16, KEPT, 1},       {"CapAmb:", 16, 0, 1},
		{"NoNewPrivs:", 10, 1, 1},      {"Threads:", 10, 1, 1},
		{"CapBnd:", 16, KEPT, 1}, /* last: may be left out */
	};
	size_t n_lines = sizeof(lines) / sizeof(lines[0]) - (expected->bounding_two ? 0 : 1);
	FILE *status = fopen("/proc/self/status", "re");
	int r;

	if (status == NULL)
		return explain_errno("reading /proc/self/status", ret_message);
	r = verify_lines(status, lines, n_lines, ret_message);
	fclose(status);
	return r;
}

static int verify(const Expected *expected, const char **ret_message)
{
	CapabilitySets sets = {0};
	int r;

	r = capabilities_get(&sets);
	if (r < 0) {
		errno = -r;
		return explain_errno("capget", ret_message);
	}
	if (sets.permitted != KEPT || sets.effective != KEPT || sets.inheritable != 0)
		return left_over("a capability set", ret_message);
	r = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	if (r != 0)
		return left_over("PR_GET_DUMPABLE", ret_message);
	r = verify_ids(expected, ret_message);
	if (r < 0)
		return r;
	return verify_status(expected, ret_message);
}

/* Whom to become: `user` when any user id is root's, else the one this is. */
static int choose_ids(const char *user, const CapabilitySets *sets, Expected *expected,
		      bool *ret_from_root, const char **ret_message)
{
	uid_t real, effective, saved;
	int r;

	r = getresuid(&real, &effective, &saved);
	if (r < 0)
		return explain_errno("getresuid", ret_message);
	expected->bounding_two = (sets->permitted & CAPABILITY(CAP_SETPCAP)) != 0;
	*ret_from_root = real == 0 || effective == 0 || saved == 0;
	if (*ret_from_root) {
		expected->no_groups = true;
		return look_up_user(user, &expected->uid, &expected->gid, ret_message);
	}
	expected->no_groups = (sets->permitted & CAPABILITY(CAP_SETGID)) != 0;
	expected->uid = real;
	expected->gid = getgid();
	if (expected->gid == 0)
		return explain(-EPERM, ret_message,
			       "bpcondd was started in root's group: start it with a group of its "
			       "own (Group=, or setpriv --regid), or as root");
	return 0;
}

int privileges_reduce(const char *user, const char **ret_message)
{
	Expected expected = {0};
	CapabilitySets sets = {0};
	bool from_root = false;
	int r;

	r = capabilities_get(&sets);
	if (r < 0) {
		errno = -r;
		return explain_errno("capget", ret_message);
	}
	r = check_both_held(&sets, ret_message);
	if (r < 0)
		return r;
	r = choose_ids(user, &sets, &expected, &from_root, ret_message);
	if (r < 0)
		return r;
	r = raise_effective(&sets, ret_message);
	if (r < 0)
		return r;
	if (expected.bounding_two) {
		r = drop_bounding_set(ret_message);
		if (r < 0)
			return r;
	}
	r = become(&expected, from_root, ret_message);
	if (r < 0)
		return r;
	/* The change of user id has emptied the effective set. */
	r = raise_effective(&sets, ret_message);
	if (r < 0)
		return r;
	if (expected.bounding_two) {
		r = lock_securebits(ret_message);
		if (r < 0)
			return r;
	}
	r = keep_the_two(ret_message);
	if (r < 0)
		return r;
	return verify(&expected, ret_message);
}
