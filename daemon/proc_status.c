/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/proc_status.h"

/* The fields of `stat` behind the name, counted as proc(5) does. */
enum {
	STAT_STATE = 3,
	STAT_FLAGS = 9,
	STAT_UTIME = 14,
	STAT_STIME = 15,
	STAT_START = 22,
};

typedef enum Base {
	DECIMAL = 10,
	HEXADECIMAL = 16,
} Base;

static int digit_value(char c, Base base)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (base == HEXADECIMAL && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Digits and nothing else. Return: what comes behind; NULL where there is none, or one above `max`. */
static const char *read_number(const char *at, Base base, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;

	if (digit_value(*at, base) < 0)
		return NULL;
	for (; digit_value(*at, base) >= 0; at++) {
		const uint64_t digit = digit_value(*at, base);

		if (number > (max - digit) / base)
			return NULL;
		number = number * base + digit;
	}
	*ret = number;
	return at;
}

/* The one number of a line. */
static int read_only(const char *value, Base base, uint64_t max, uint64_t *ret)
{
	const char *end = read_number(value, base, max, ret);

	return end && *end == '\n' ? 0 : -EBADMSG;
}

static int read_id(const char *value, uint32_t *ret)
{
	uint64_t number;

	if (read_only(value, DECIMAL, UINT32_MAX, &number) < 0)
		return -EBADMSG;
	*ret = number;
	return 0;
}

static int read_flag(const char *value, bool *ret)
{
	uint64_t number;

	if (read_only(value, DECIMAL, UINT32_MAX, &number) < 0)
		return -EBADMSG;
	*ret = number != 0;
	return 0;
}

/* Four of them, with tabs between. */
static int read_ids(const char *value, uint32_t ret[4])
{
	for (int i = 0; i < 4; i++) {
		uint64_t number;

		value = read_number(value, DECIMAL, UINT32_MAX, &number);
		if (!value || *value != (i < 3 ? '\t' : '\n'))
			return -EBADMSG;
		ret[i] = number;
		value++;
	}
	return 0;
}

/* How many numbers, with tabs between. */
static int count_ids(const char *value, uint32_t *ret)
{
	uint32_t n = 0;

	for (;;) {
		uint64_t number;

		value = read_number(value, DECIMAL, UINT32_MAX, &number);
		if (!value)
			return -EBADMSG;
		n++;
		if (*value == '\n')
			break;
		if (*value++ != '\t')
			return -EBADMSG;
	}
	*ret = n;
	return 0;
}

enum {
	LINE_NAME,
	LINE_TGID,
	LINE_PID,
	LINE_PARENT,
	LINE_TRACER,
	LINE_UIDS,
	LINE_GIDS,
	LINE_LEVELS,
	LINE_SIZE,
	LINE_THREADS,
	LINE_CAPS_PERMITTED,
	LINE_CAPS_EFFECTIVE,
	LINE_NO_NEW_PRIVS,
	LINE_SECCOMP,
	LINE_LAST,
	N_LINES,
};

/* NSpid is there with pid namespaces in the kernel, VmSize with memory, Seccomp with seccomp in the
 * kernel, and each of the others always. The last is near the end: a text with it is not cut short. */
static const struct {
	const char *key;
	bool optional;
} lines[N_LINES] = {
	[LINE_NAME] = {"Name:\t", false},
	[LINE_TGID] = {"Tgid:\t", false},
	[LINE_PID] = {"Pid:\t", false},
	[LINE_PARENT] = {"PPid:\t", false},
	[LINE_TRACER] = {"TracerPid:\t", false},
	[LINE_UIDS] = {"Uid:\t", false},
	[LINE_GIDS] = {"Gid:\t", false},
	[LINE_LEVELS] = {"NSpid:\t", true},
	[LINE_SIZE] = {"VmSize:\t", true},
	[LINE_THREADS] = {"Threads:\t", false},
	[LINE_CAPS_PERMITTED] = {"CapPrm:\t", false},
	[LINE_CAPS_EFFECTIVE] = {"CapEff:\t", false},
	[LINE_NO_NEW_PRIVS] = {"NoNewPrivs:\t", false},
	[LINE_SECCOMP] = {"Seccomp:\t", true},
	[LINE_LAST] = {"nonvoluntary_ctxt_switches:\t", false},
};

static int read_line(int line, const char *value, ProcStatus *status)
{
	switch (line) {
	case LINE_TGID:
		return read_id(value, &status->tgid);
	case LINE_PID:
		return read_id(value, &status->pid);
	case LINE_PARENT:
		return read_id(value, &status->parent);
	case LINE_TRACER:
		return read_id(value, &status->tracer);
	case LINE_UIDS:
		return read_ids(value, status->uids);
	case LINE_GIDS:
		return read_ids(value, status->gids);
	case LINE_LEVELS:
		return count_ids(value, &status->n_levels);
	case LINE_SIZE:
		status->has_memory = true;
		return 0;
	case LINE_THREADS:
		return read_id(value, &status->n_threads);
	case LINE_CAPS_PERMITTED:
		return read_only(value, HEXADECIMAL, UINT64_MAX, &status->caps_permitted);
	case LINE_CAPS_EFFECTIVE:
		return read_only(value, HEXADECIMAL, UINT64_MAX, &status->caps_effective);
	case LINE_NO_NEW_PRIVS:
		return read_flag(value, &status->no_new_privs);
	case LINE_SECCOMP:
		return read_flag(value, &status->seccomp);
	}
	return 0;
}

int proc_status_parse(const char *text, ProcStatus *ret)
{
	ProcStatus status = {};
	bool seen[N_LINES] = {};

	if (strncmp(text, lines[LINE_NAME].key, strlen(lines[LINE_NAME].key)) != 0)
		return -EBADMSG;
	while (*text) {
		const char *end = strchr(text, '\n');

		if (!end)
			return -EBADMSG;
		for (int i = 0; i < N_LINES; i++) {
			const size_t length = strlen(lines[i].key);

			if (strncmp(text, lines[i].key, length) != 0)
				continue;
			if (seen[i] || read_line(i, text + length, &status) < 0)
				return -EBADMSG;
			seen[i] = true;
		}
		text = end + 1;
	}
	for (int i = 0; i < N_LINES; i++)
		if (!seen[i] && !lines[i].optional)
			return -EBADMSG;
	*ret = status;
	return 0;
}

static bool is_asked_for(int field)
{
	return field == STAT_FLAGS || field == STAT_UTIME || field == STAT_STIME ||
	       field == STAT_START;
}

int proc_stat_parse(const char *text, ProcStat *ret)
{
	/* Behind the name there are numbers only. */
	const char *at = strrchr(text, ')');
	ProcStat stat = {};

	if (!at || at[1] != ' ' || at[2] < 'A' || at[3] != ' ')
		return -EBADMSG;
	stat.state = at[2];
	at += 4;
	for (int field = STAT_STATE + 1; field <= STAT_START; field++) {
		uint64_t number;

		/* Some are negative; none that is asked for. */
		if (*at == '-' && !is_asked_for(field))
			at++;
		at = read_number(at, DECIMAL, UINT64_MAX, &number);
		if (!at || *at != ' ')
			return -EBADMSG;
		at++;
		if (field == STAT_FLAGS)
			stat.flags = number;
		if (field == STAT_UTIME || field == STAT_STIME)
			stat.run_time += number;
		if (field == STAT_START)
			stat.start = number;
	}
	at = strchr(at, '\n');
	if (!at || at[1] != '\0')
		return -EBADMSG;
	*ret = stat;
	return 0;
}
