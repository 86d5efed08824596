/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Borrowing a filter, for tests in which nothing is to go wrong with that.
 */
#ifndef INTEGRATION_LENDING_H
#define INTEGRATION_LENDING_H

#include <bpcond/bpcond.h>

/* Return: a client on the test's bus (bpcond_client_free). */
bpcond_client *lending_connect(void);

/* Return: a filter of the client's. */
bpcond_filter *lending_lend(bpcond_client *client, const char *condition,
			    const bpcond_filter_options *options);

#endif
