/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives the daemon: each session and each lent filter has a box (box.h) with its records
 * (stored_state.h) and descriptors, and systemd's file descriptor store holds all boxes. restore.c takes
 * up what lies there.
 *
 * One descriptor an object, however many threads it is on: systemd hands the names of all it holds on
 * in one string of the environment, of at most 128 KiB, and compares each that it gets with all it has.
 * One free box is kept for whatever comes next: who opens and closes a session after another, or has
 * one written anew, does not trouble systemd.
 *
 * Whoever starts the daemon without a descriptor store (no NOTIFY_SOCKET) has none of this: the functions
 * do nothing then, and take a NULL.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/broker.h"
#include "daemon/refusal.h"

/* Of all users; bpcondd.service allows a few more (FileDescriptorStoreMax=). With the longest names
 * that there can be they make 96 KiB of environment. */
#define STORE_MAX_BOXES 8192

typedef struct StoreBox {
	struct StoreBox *next; /* of Store.found */
	uint32_t id;
	int fd;
} StoreBox;

/* In a page that the daemons share, one after the other: numbers are never used twice. */
typedef struct StoreNumbers {
	char magic[8];
	uint32_t last_session;
	uint32_t last_lent_filter;
} StoreNumbers;

typedef struct Store {
	StoreBox *found;  /* left by the daemon before this one; owned */
	StoreBox *spare;  /* empty; owned; NULL: none */
	uint32_t n_boxes; /* that systemd holds */
	uint32_t last_id;
	StoreNumbers *numbers;
	int numbers_fd;
} Store;

/*
 * Takes the descriptors that systemd passed, and the environment's word on them away.
 *
 * Return: 0 and *ret (store_free), NULL where there is no descriptor store; negative errno.
 */
int store_new(Store **ret);

/* Closes all that is not taken up. systemd keeps it. Return: NULL. */
Store *store_free(Store *store);

/* A box that is empty and in the store. Return: 0 and *ret; -EDQUOT when there are `limit` of them and
 * none is free; another negative errno. */
int store_take(Store *store, uint32_t limit, StoreBox **ret);

/* Has one free box at hand. Return: 0; negative errno. */
int store_have_spare(Store *store);

/* Waits until systemd has taken all that was sent to it. Return: 0; negative errno. */
int store_settle(void);

/* The object is at its end: what lies in its box is closed, and the box is for others. */
void store_release(Store *store, StoreBox **box);

/* The object goes on under the next daemon, its box with it. */
void store_leave(StoreBox **box);

/* Takes a box of `found` out of the store: for what can be of no more use. */
void store_discard(Store *store, StoreBox *box);

#endif
