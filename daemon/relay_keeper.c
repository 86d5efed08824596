/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/log.h"
#include "daemon/relay_keeper.h"
#include "daemon/util.h"

typedef struct Leaving {
	struct Leaving *next; /* of RelayKeeper.leaving */
	RelayKeeper *keeper;
	uid_t uid;
	PipeRelay relay;
	bool counted;
	sd_event_source *later, *gone;
} Leaving;

struct RelayKeeper {
	sd_event *event;
	QuotaTable *quota;
	Leaving *leaving; /* list by Leaving.next; owns */
};

/* What a process of a pipe that hangs costs. */
static QuotaAmounts one_session(void)
{
	QuotaAmounts amounts = {};

	amounts.of[QUOTA_SESSIONS] = 1;
	return amounts;
}

int relay_keeper_new(sd_event *event, QuotaTable *quota, RelayKeeper **ret)
{
	RelayKeeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return -ENOMEM;
	keeper->event = event;
	keeper->quota = quota;
	*ret = keeper;
	return 0;
}

static void leaving_free(Leaving *leaving)
{
	const QuotaAmounts amounts = one_session();

	if (leaving->counted)
		quota_bury(leaving->keeper->quota, leaving->uid, &amounts);
	sd_event_source_disable_unref(leaving->later);
	sd_event_source_disable_unref(leaving->gone);
	pipe_relay_clear(&leaving->relay);
	free(leaving);
}

RelayKeeper *relay_keeper_free(RelayKeeper *keeper)
{
	if (!keeper)
		return NULL;
	while (keeper->leaving) {
		Leaving *next = keeper->leaving->next;

		leaving_free(keeper->leaving);
		keeper->leaving = next;
	}
	free(keeper);
	return NULL;
}

static int on_later(sd_event_source *source, void *userdata)
{
	Leaving *leaving = userdata;

	leaving->relay.socket_fd = close_fd(leaving->relay.socket_fd);
	leaving->relay.queue_fd = close_fd(leaving->relay.queue_fd);
	return 0;
}

static int on_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	Leaving *leaving = userdata;
	siginfo_t status;
	Leaving **at;

	/* An earlier daemon's child is not ours, and somebody else's to reap. */
	waitid(P_PIDFD, (id_t)leaving->relay.process_fd, &status, WEXITED | WNOHANG);
	for (at = &leaving->keeper->leaving; *at != leaving; at = &(*at)->next)
		;
	*at = leaving->next;
	leaving_free(leaving);
	return 0;
}

static int leaving_new(RelayKeeper *keeper, uid_t uid, PipeRelay *relay)
{
	const QuotaAmounts amounts = one_session();
	Leaving *leaving = calloc(1, sizeof(*leaving));
	int r;

	if (!leaving)
		return -ENOMEM;
	leaving->keeper = keeper;
	leaving->uid = uid;
	leaving->relay = PIPE_RELAY_NONE;
	r = sd_event_add_defer(keeper->event, &leaving->later, on_later, leaving);
	if (r >= 0)
		r = sd_event_add_io(keeper->event, &leaving->gone, relay->process_fd, EPOLLIN,
				    on_gone, leaving);
	/* The session that it was for is still counted, and a dying one takes its place. */
	if (r >= 0)
		r = quota_restore(keeper->quota, uid, &amounts);
	if (r < 0) {
		leaving_free(leaving);
		return r;
	}
	quota_let_die(keeper->quota, uid, &amounts);
	leaving->counted = true;
	leaving->relay = *relay;
	leaving->next = keeper->leaving;
	keeper->leaving = leaving;
	return 0;
}

void relay_keeper_release(RelayKeeper *keeper, PipeRelay *relay, uid_t uid)
{
	int r;

	if (relay->process_fd < 0)
		return;
	r = leaving_new(keeper, uid, relay);
	if (r < 0) {
		/* Where the event loop has ended, so has the daemon. */
		if (r != -ESTALE)
			log_error("the process of a pipe of user %u is not counted: %s", uid,
				  strerror(-r));
		pipe_relay_clear(relay);
		return;
	}
	*relay = PIPE_RELAY_NONE;
}
