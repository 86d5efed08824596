/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages for the administrator: into the journal, with fields by which they can be found, where
 * standard error leads there; else a line each on standard error.
 */
#ifndef LOG_H
#define LOG_H

#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

/* MESSAGE_ID of what the message catalog explains (systemd/bpcond.catalog), as the journal wants it. */
#define LOG_ID_SESSION_OPENED "MESSAGE_ID=7dc31ee2553e4372b8b04f311613eeb4"
#define LOG_ID_SESSION_ENDED  "MESSAGE_ID=0e286ec481694be5b2e1a0c9dbb7378d"
#define LOG_ID_REFUSED        "MESSAGE_ID=28ef6485befe46878b94afce850b583c"
#define LOG_ID_APPROVED       "MESSAGE_ID=599ffd312ed84e59bafb90eb659aeac1"
#define LOG_ID_INSIDE         "MESSAGE_ID=4c136a573483497fa52ed8486881567d"
#define LOG_ID_CANNOT_SERVE   "MESSAGE_ID=dc0501aaca0849aeab0736ca7dcb54c0"
#define LOG_ID_NOT_RESTORED   "MESSAGE_ID=e5ca8e46cc7b42c4b87ab58f7dd046ef"

/* What a message is about: the fields that the journal gets beside the text. */
typedef struct LogContext {
	const char *message_id; /* LOG_ID_*; NULL: none */
	uint32_t session;       /* BPCOND_SESSION=; 0: none */
	uid_t uid;              /* BPCOND_UID=, the client's; (uid_t)-1: none */
	pid_t pid;              /* BPCOND_PID=, the target's; 0: none */
} LogContext;

#define LOG_NOTHING (&(LogContext){.uid = (uid_t)-1})

/* `priority` as syslog(3) has it: LOG_ERR … */
void log_message(int priority, const LogContext *context, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Gives the journal time for what was said: from a process that it finds gone it takes the words, but does not
 * show them as the unit's. For one that ends as soon as it has begun. */
void log_settle(void);

#define log_error(...)   log_message(LOG_ERR, LOG_NOTHING, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, LOG_NOTHING, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, LOG_NOTHING, __VA_ARGS__)

#endif
