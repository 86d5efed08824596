/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "daemon/box.h"
#include "daemon/log.h"
#include "daemon/store.h"
#include "daemon/util.h"

/* systemd is given this long to take what was sent, when the daemon leaves. */
#define BARRIER_USEC 5000000

#define NUMBERS_NAME  "numbers"
#define NUMBERS_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static const char numbers_magic[8] = "bpcondnr";

/* ---- systemd's side -------------------------------------------------------------------------- */

static int push(int fd, const char *name)
{
	char text[64];
	int r;

	/* Without FDPOLL=0 systemd would drop what polls as ended. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	return r < 0 ? r : 0;
}

static void withdraw(const char *name)
{
	int r = sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);

	if (r < 0)
		log_error("cannot take \"%s\" out of the descriptor store: %s", name, strerror(-r));
}

static void box_name(const StoreBox *box, char ret[static 16])
{
	snprintf(ret, 16, "b%" PRIx32, box->id);
}

static StoreBox *box_free(StoreBox *box)
{
	close_fd(box->fd);
	free(box);
	return NULL;
}

void store_discard(Store *store, StoreBox *box)
{
	char name[16];

	box_name(box, name);
	withdraw(name);
	store->n_boxes--;
	box_empty(box->fd);
	box_free(box);
}

static int box_make(Store *store, StoreBox **ret)
{
	StoreBox *box = calloc(1, sizeof(*box));
	char name[16];
	int r;

	if (!box)
		return -ENOMEM;
	box->id = store->last_id + 1;
	box->fd = box_new();
	r = box->fd;
	if (r >= 0) {
		box_name(box, name);
		r = push(box->fd, name);
	}
	if (r < 0) {
		box_free(box);
		return r;
	}
	store->last_id++;
	store->n_boxes++;
	*ret = box;
	return 0;
}

int store_take(Store *store, uint32_t limit, StoreBox **ret)
{
	StoreBox *box = store->spare;

	if (!box) {
		if (store->n_boxes >= limit)
			return -EDQUOT;
		return box_make(store, ret);
	}
	store->spare = NULL;
	*ret = box;
	return 0;
}

void store_release(Store *store, StoreBox **box)
{
	StoreBox *released = *box;

	*box = NULL;
	if (!released)
		return;
	if (store->spare) {
		store_discard(store, released);
		return;
	}
	box_empty(released->fd);
	store->spare = released;
}

int store_have_spare(Store *store)
{
	return store->spare ? 0 : box_make(store, &store->spare);
}

int store_settle(void)
{
	int r = sd_notify_barrier(0, BARRIER_USEC);

	return r < 0 ? r : 0;
}

void store_leave(StoreBox **box)
{
	if (*box)
		*box = box_free(*box);
}

/* ---- The numbers ----------------------------------------------------------------------------- */

/* Return: the mapping; NULL and errno. */
static StoreNumbers *numbers_map(int fd)
{
	void *memory = mmap(NULL, sizeof(StoreNumbers), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int numbers_new(Store *store)
{
	_cleanup_close_ int fd = -EBADF;
	StoreNumbers *numbers;
	int r;

	fd = memfd_create("bpcond-numbers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(*numbers)) < 0 || fcntl(fd, F_ADD_SEALS, NUMBERS_SEALS) < 0)
		return -errno;
	numbers = numbers_map(fd);
	if (!numbers)
		return -errno;
	memcpy(numbers->magic, numbers_magic, sizeof(numbers_magic));
	r = push(fd, NUMBERS_NAME);
	if (r < 0) {
		munmap(numbers, sizeof(*numbers));
		return r;
	}
	store->numbers = numbers;
	store->numbers_fd = take_fd(&fd);
	return 0;
}

/* Takes fd over, on success. Return: 0; negative errno. */
static int numbers_adopt(Store *store, int fd)
{
	StoreNumbers *numbers;
	struct stat st;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & NUMBERS_SEALS) != NUMBERS_SEALS || fstat(fd, &st) < 0 ||
	    st.st_size != sizeof(*numbers))
		return -EBADMSG;
	numbers = numbers_map(fd);
	if (!numbers)
		return -errno;
	if (memcmp(numbers->magic, numbers_magic, sizeof(numbers_magic)) != 0) {
		munmap(numbers, sizeof(*numbers));
		return -EBADMSG;
	}
	store->numbers = numbers;
	store->numbers_fd = fd;
	return 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* The id in a box's name. Return: whether it is one. */
static bool parse_box_name(const char *name, uint32_t *ret)
{
	char again[16];
	StoreBox box;

	if (name[0] != 'b' || strlen(name) > 9)
		return false;
	box.id = strtoul(name + 1, NULL, 16);
	box_name(&box, again);
	*ret = box.id;
	return strcmp(again, name) == 0;
}

/* Takes fd over. Return: 0; negative errno. */
static int find(Store *store, int fd, const char *name)
{
	StoreBox *box;
	uint32_t id;
	int r;

	if (strcmp(name, NUMBERS_NAME) == 0 && !store->numbers) {
		r = numbers_adopt(store, fd);
		if (r >= 0)
			return 0;
	} else if (parse_box_name(name, &id) && box_is_one(fd)) {
		box = calloc(1, sizeof(*box));
		if (!box) {
			close(fd);
			return -ENOMEM;
		}
		*box = (StoreBox){.next = store->found, .id = id, .fd = fd};
		store->found = box;
		store->n_boxes++;
		if (id > store->last_id)
			store->last_id = id;
		return 0;
	}
	log_warning("\"%s\" in the descriptor store is not bpcondd's, and is taken out", name);
	withdraw(name);
	close(fd);
	return 0;
}

static void free_names(char **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int store_new(Store **ret)
{
	char **names = NULL;
	Store *store;
	int n, r = 0;

	if (!getenv("NOTIFY_SOCKET")) {
		*ret = NULL;
		return 0;
	}
	n = sd_listen_fds_with_names(1, &names);
	if (n < 0)
		return n;
	store = calloc(1, sizeof(*store));
	if (!store) {
		free_names(names, n);
		return -ENOMEM;
	}
	store->numbers_fd = -EBADF;
	for (int i = 0; i < n && r >= 0; i++)
		r = find(store, SD_LISTEN_FDS_START + i, names[i]);
	free_names(names, n);
	if (r >= 0 && !store->numbers)
		r = numbers_new(store);
	if (r < 0) {
		store_free(store);
		return r;
	}
	*ret = store;
	return 0;
}

static void free_boxes(StoreBox *box)
{
	while (box) {
		StoreBox *next = box->next;

		box_free(box);
		box = next;
	}
}

Store *store_free(Store *store)
{
	if (!store)
		return NULL;
	free_boxes(store->found);
	if (store->spare)
		box_free(store->spare);
	if (store->numbers)
		munmap(store->numbers, sizeof(*store->numbers));
	close_fd(store->numbers_fd);
	free(store);
	return NULL;
}
