/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon runs with CAP_BPF and CAP_PERFMON and nothing else, and never touches a bus with more.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

/*
 * Leaves the process with exactly the two capabilities, permitted and effective, in every set that
 * may keep them (none in the inheritable, ambient and, where it can be lowered, bounding set beyond
 * them), with no_new_privs, and as an unprivileged user without supplementary groups.
 *
 * Started as root it becomes `user` first. Started as another user it stays that user and only
 * gives up what is too much; supplementary groups it then keeps if it has no right to drop them,
 * except root's, which is an error. The process must have one thread only.
 *
 * Return: 0; -EPERM when a capability is missing, -ESRCH when `user` is no user or is root, another
 * negative errno; *ret_message (a constant or static text) says what to do.
 */
int privileges_reduce(const char *user, const char **ret_message);

#endif
