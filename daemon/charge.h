/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an object of the daemon costs its user. An object's charge is taken before anything is allocated,
 * and ends with the object, except for what the kernel keeps longer because the user does, by a
 * descriptor, a mapping or an event that it was handed: that part stays until the kernel has it no
 * more.
 */
#ifndef CHARGE_H
#define CHARGE_H

#include <errno.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/bpf_alive.h"
#include "daemon/quota.h"

typedef struct Charge Charge;
typedef struct ChargeBook ChargeBook;

/* `event` and `quota` are borrowed. Return: 0 and *ret (charge_book_free); negative errno. */
int charge_book_new(sd_event *event, QuotaTable *quota, ChargeBook **ret);
ChargeBook *charge_book_free(ChargeBook *book);

/*
 * Takes all of `amounts` for uid, or nothing.
 *
 * Return: 0 and *ret (charge_release); REFUSED_QUOTA_EXCEEDED and *refusal; -ENOMEM.
 */
int charge_new(ChargeBook *book, uid_t uid, const QuotaAmounts *amounts, Charge **ret,
	       Refusal *refusal);

/* The same for an object that was there before a restart: whatever the limits are now. Return: 0 and
 * *ret; -ENOMEM. */
int charge_restore(ChargeBook *book, uid_t uid, const QuotaAmounts *amounts, Charge **ret);

/* One more of a resource, and less. Return: as charge_new. */
int charge_add(Charge *charge, QuotaResource resource, uint64_t amount, Refusal *refusal);
void charge_take_away(Charge *charge, QuotaResource resource, uint64_t amount);

/* Our descriptors of what a user may come to hold; -EBADF: none. */
typedef struct ChargeNames {
	int program_fd;
	int map_fds[4];
	int shared_ring_fd; /* that the program writes into, and another charge names */
} ChargeNames;

#define CHARGE_NAMES_NONE ((ChargeNames){-EBADF, {-EBADF, -EBADF, -EBADF, -EBADF}, -EBADF})

/* Says by which of the kernel's objects the charge lasts on. Return: 0; negative errno. */
int charge_name(Charge *charge, const ChargeNames *names);

/*
 * The object is gone, and our descriptors of what was named are closed. NULL is taken. Return: NULL.
 */
Charge *charge_release(Charge *charge);

#endif
