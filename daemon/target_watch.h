/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when a target has exited or has executed another program. Exit is the pidfd's to tell; exec
 * is told by a dummy perf event that the kernel removes at exec (bpf_attach.h, exec_watch_open).
 */
#ifndef TARGET_WATCH_H
#define TARGET_WATCH_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/broker.h"
#include "daemon/process.h"
#include "daemon/task_reader.h"

typedef struct TargetWatch TargetWatch;

/* `exited`, or executed another program. May free the watch; where it does not, more of the same may be
 * told, as when what was executed exits. */
typedef void (*TargetEnded)(bool exited, void *userdata);

/*
 * Watches `target`, which is pinned to its exec and outlives the watch; `tasks` are its threads as
 * they were last seen. `broker` is borrowed; what it takes to look at the target is the time of the user `payer`.
 *
 * Return: 0 and *ret (target_watch_free); -ESRCH when no thread lives; negative errno.
 */
int target_watch_new(Broker *broker, uid_t payer, const Process *target, const TaskFactsList *tasks,
		     TargetEnded on_end, void *userdata, TargetWatch **ret);
TargetWatch *target_watch_free(TargetWatch *watch);

#endif
