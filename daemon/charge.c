/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Charges whose object is gone wait in the book until the kernel's objects that were named are gone as
 * well. Whether they are is looked up
 *
 *   - when their user is about to be refused something, since that is when it matters;
 *   - now and then while any wait, less and less often, so that the book and what the kernel still has
 *     do not drift apart. When none waits there is no timer.
 *
 * A look walks over all BPF objects of the machine, and its time is that of the user whose call needs
 * it.
 */
#include "daemon/charge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/util.h"

#define FIRST_LOOK_USEC UINT64_C(1000000)
#define LAST_LOOK_USEC  UINT64_C(64000000)

struct Charge {
	ChargeBook *book;
	Charge *next; /* in ChargeBook.waiting, once released */
	uid_t uid;
	QuotaAmounts amounts;
	KernelObjects objects;
	bool dying;
};

struct ChargeBook {
	QuotaTable *quota;
	AliveReader *reader; /* NULL where the kernel does not tell: then nothing waits */
	sd_event *event;
	sd_event_source *timer;
	uint64_t pause_usec;
	Charge *waiting; /* list by Charge.next; owns */
};

static bool names_objects(const Charge *charge)
{
	static const KernelObjects none;

	return memcmp(&charge->objects, &none, sizeof(none)) != 0;
}

static Charge *charge_bury(Charge *charge)
{
	QuotaTable *quota = charge->book->quota;

	if (charge->dying) {
		quota_bury(quota, charge->uid, &charge->amounts);
	} else {
		quota_unkeep(quota, charge->uid, &charge->amounts);
		quota_give_back_all(quota, charge->uid, &charge->amounts);
	}
	free(charge);
	return NULL;
}

/* Return: whether the charge waits on. */
static bool charge_update(Charge *charge, const AliveList *alive)
{
	QuotaTable *quota = charge->book->quota;

	switch (alive_list_state(alive, &charge->objects)) {
	case KERNEL_HELD:
		return true;
	case KERNEL_DYING:
		if (!charge->dying) {
			quota_unkeep(quota, charge->uid, &charge->amounts);
			quota_let_die(quota, charge->uid, &charge->amounts);
			charge->dying = true;
		}
		return true;
	case KERNEL_GONE:
		break;
	}
	return false;
}

static void look(ChargeBook *book)
{
	AliveList *alive;
	int r;

	r = alive_reader_read(book->reader, &alive);
	if (r < 0) {
		log_error("cannot see which BPF objects there are, so quotas stay taken: %s",
			  strerror(-r));
		return;
	}
	for (const Charge *at = book->waiting; at; at = at->next)
		alive_list_hold_shared(alive, &at->objects);
	for (Charge **at = &book->waiting; *at;) {
		Charge *charge = *at;

		if (charge_update(charge, alive)) {
			at = &charge->next;
			continue;
		}
		*at = charge->next;
		charge_bury(charge);
	}
	alive_list_free(alive);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	ChargeBook *book = userdata;
	int r;

	look(book);
	if (!book->waiting)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	book->pause_usec *= 2;
	if (book->pause_usec > LAST_LOOK_USEC)
		book->pause_usec = LAST_LOOK_USEC;
	r = sd_event_source_set_time_relative(source, book->pause_usec);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Unless it runs, and soon. */
static int start_timer(ChargeBook *book)
{
	int enabled = SD_EVENT_OFF, r;

	if (book->timer) {
		r = sd_event_source_get_enabled(book->timer, &enabled);
		if (r < 0)
			return r;
	}
	if (enabled != SD_EVENT_OFF && book->pause_usec == FIRST_LOOK_USEC)
		return 0;
	book->pause_usec = FIRST_LOOK_USEC;
	if (!book->timer)
		return sd_event_add_time_relative(book->event, &book->timer, CLOCK_MONOTONIC,
						  book->pause_usec, book->pause_usec / 4, on_timer,
						  book);
	r = sd_event_source_set_time_relative(book->timer, book->pause_usec);
	return r < 0 ? r : sd_event_source_set_enabled(book->timer, SD_EVENT_ONESHOT);
}

static void reclaim(uid_t uid, void *userdata)
{
	ChargeBook *book = userdata;

	for (const Charge *at = book->waiting; at; at = at->next) {
		if (at->uid != uid)
			continue;
		look(book);
		return;
	}
}

int charge_book_new(sd_event *event, QuotaTable *quota, ChargeBook **ret)
{
	ChargeBook *book = calloc(1, sizeof(*book));
	int r;

	if (!book)
		return -ENOMEM;
	r = alive_reader_new(&book->reader);
	if (r < 0 && r != -EOPNOTSUPP) {
		free(book);
		return r;
	}
	book->event = event;
	book->quota = quota;
	quota_set_reclaim(quota, reclaim, book);
	*ret = book;
	return 0;
}

ChargeBook *charge_book_free(ChargeBook *book)
{
	if (!book)
		return NULL;
	quota_set_reclaim(book->quota, NULL, NULL);
	while (book->waiting) {
		Charge *next = book->waiting->next;

		charge_bury(book->waiting);
		book->waiting = next;
	}
	sd_event_source_disable_unref(book->timer);
	alive_reader_free(book->reader);
	free(book);
	return NULL;
}

static int charge_make(ChargeBook *book, uid_t uid, const QuotaAmounts *amounts, Charge **ret)
{
	Charge *charge = calloc(1, sizeof(*charge));

	if (!charge)
		return -ENOMEM;
	charge->book = book;
	charge->uid = uid;
	charge->amounts = *amounts;
	*ret = charge;
	return 0;
}

int charge_new(ChargeBook *book, uid_t uid, const QuotaAmounts *amounts, Charge **ret,
	       Refusal *refusal)
{
	Charge *charge;
	int r;

	r = charge_make(book, uid, amounts, &charge);
	if (r < 0)
		return r;
	r = quota_take_all(book->quota, uid, amounts, refusal);
	if (r != 0) {
		free(charge);
		return r;
	}
	*ret = charge;
	return 0;
}

int charge_restore(ChargeBook *book, uid_t uid, const QuotaAmounts *amounts, Charge **ret)
{
	Charge *charge;
	int r;

	r = charge_make(book, uid, amounts, &charge);
	if (r < 0)
		return r;
	r = quota_restore(book->quota, uid, amounts);
	if (r < 0) {
		free(charge);
		return r;
	}
	*ret = charge;
	return 0;
}

int charge_add(Charge *charge, QuotaResource resource, uint64_t amount, Refusal *refusal)
{
	int r;

	r = quota_take(charge->book->quota, charge->uid, resource, amount, refusal);
	if (r != 0)
		return r;
	charge->amounts.of[resource] += amount;
	return 0;
}

void charge_take_away(Charge *charge, QuotaResource resource, uint64_t amount)
{
	quota_give_back(charge->book->quota, charge->uid, resource, amount);
	charge->amounts.of[resource] -= amount;
}

static int find_map_id(int map_fd, uint32_t *ret)
{
	return map_fd < 0 ? 0 : alive_map_id(map_fd, ret);
}

int charge_name(Charge *charge, const ChargeNames *names)
{
	KernelObjects objects = {};
	int r = 0;

	if (names->program_fd >= 0)
		r = alive_program_id(names->program_fd, &objects.program);
	for (size_t i = 0; i < sizeof(objects.maps) / sizeof(objects.maps[0]) && r >= 0; i++)
		r = find_map_id(names->map_fds[i], &objects.maps[i]);
	if (r >= 0)
		r = find_map_id(names->shared_ring_fd, &objects.shared_ring);
	if (r < 0)
		return r;
	charge->objects = objects;
	return 0;
}

Charge *charge_release(Charge *charge)
{
	ChargeBook *book;
	int r;

	if (!charge)
		return NULL;
	book = charge->book;
	if (!book->reader || !names_objects(charge)) {
		quota_give_back_all(book->quota, charge->uid, &charge->amounts);
		free(charge);
		return NULL;
	}
	quota_keep(book->quota, charge->uid, &charge->amounts);
	charge->next = book->waiting;
	book->waiting = charge;
	r = start_timer(book);
	/* Where the event loop has ended, so has the daemon. */
	if (r < 0 && r != -ESTALE)
		log_error("cannot set a timer, so quotas are looked at only when they are full: %s",
			  strerror(-r));
	return NULL;
}
