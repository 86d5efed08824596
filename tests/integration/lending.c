/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/integration/lending.h"

#include <check.h>

bpcond_client *lending_connect(void)
{
	bpcond_client *client = NULL;

	ck_assert_int_eq(bpcond_client_new(&client), 0);
	ck_assert_msg(bpcond_client_connect(client, NULL) == 0, "%s",
		      bpcond_client_error(client)->message);
	return client;
}

bpcond_filter *lending_lend(bpcond_client *client, const char *condition,
			    const bpcond_filter_options *options)
{
	bpcond_filter *filter = NULL;

	ck_assert_msg(bpcond_filter_lend(client, condition, options, &filter) == 0, "%s",
		      bpcond_client_error(client)->message);
	return filter;
}
