/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the rules do not allow an administrator may: calls that wait for polkit's answer.
 *
 * A question is put about the caller's bus connection (a system-bus-name subject, which polkit
 * resolves itself) and never waited for: the call stays unanswered, the event loop goes on, and
 * polkit's reply continues the call, or refuses it. A question ends with its caller's connection,
 * with the process that it is about, and after a time; each counts against its user's quota
 * pending-questions while it waits.
 *
 * polkit that is not there, fails or does not answer has not said yes, except to root for what root
 * could do by other means.
 */
#ifndef BUS_POLKIT_H
#define BUS_POLKIT_H

#include "daemon/bus.h"
#include "daemon/process.h"
#include "daemon/refusal.h"

/* The actions of policy/org.bpcond1.policy. */
#define POLKIT_ATTACH_OTHER "org.bpcond1.attach-other"
#define POLKIT_MANAGE       "org.bpcond1.manage"

/*
 * Continues a call that was allowed, and replies to it. What the call is about may have gone
 * meanwhile. Return: as a method of sd-bus; negative, and *error.
 */
typedef int (*PolkitContinue)(Caller *caller, sd_bus_message *message, void *userdata,
			      sd_bus_error *error);

typedef struct PolkitRequest {
	const char *action; /* a constant */
	uid_t uid; /* whose process or object it is: for the dialog and for polkit's rules */
	pid_t pid; /* the process that it is about; 0: none */
	const Process *target;  /* with it the question ends (TargetExited); NULL: none */
	const Refusal *refusal; /* the answer if nobody allows it, without a full stop; copied */
	bool root_may;          /* where polkit does not answer, root needs none */
	PolkitContinue proceed;
	void *userdata; /* for it, and where *target lies; NULL: none */
	void (*free_userdata)(void *userdata);
} PolkitRequest;

/*
 * Puts the question. The userdata is the question's from now on, also on failure.
 *
 * Return: 1, the call will be answered; negative, and *error (a quota, no memory).
 */
int polkit_ask(Caller *caller, sd_bus_message *message, const PolkitRequest *request,
	       sd_bus_error *error);

/*
 * Whether the sender may end what `owner` owns: the owner's user may, of anybody else polkit is asked
 * (org.bpcond1.manage), and `proceed` continues the call. It looks the object up anew.
 *
 * Return: 0 yes, go on; 1 the call will be answered; negative, and *error.
 */
int polkit_check_manager(Bus *bus, const SessionOwner *owner, pid_t target, sd_bus_message *message,
			 PolkitContinue proceed, sd_bus_error *error);

/* Withdraws the questions of a caller that is gone; of all callers with NULL. */
void polkit_withdraw(Bus *bus, const Caller *caller);

#endif
