/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages for the administrator: to the journal through standard error, with its priorities. */
#ifndef LOG_H
#define LOG_H

#include <systemd/sd-daemon.h>

void log_message(const char *priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)   log_message(SD_ERR, __VA_ARGS__)
#define log_warning(...) log_message(SD_WARNING, __VA_ARGS__)
#define log_info(...)    log_message(SD_INFO, __VA_ARGS__)

#endif
