/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shows each call of a function with a given first argument: thirty-lines PID FUNCTION ARGUMENT */
#include <bpcond/bpcond.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	bpcond_client *client;
	bpcond_session *session;
	const struct bpcond_hit *hit;

	if (argc != 4 || bpcond_client_new(&client) < 0)
		return fprintf(stderr, "usage: %s PID FUNCTION ARGUMENT\n", argv[0]), 2;
	bpcond_parameter wanted = {"wanted", strtoll(argv[3], NULL, 0)};
	bpcond_request request = {.size = sizeof(request), .location = argv[2]};
	request.condition = "$rdi == wanted";
	request.parameters = &wanted;
	request.n_parameters = 1;
	int r = bpcond_client_connect(client, NULL);
	r = r < 0 ? r : bpcond_session_open(client, atoi(argv[1]), NULL, &session);
	r = r < 0 ? r : bpcond_session_break(session, &request, NULL);
	int failed = r < 0;
	while (r >= 0) {
		r = bpcond_session_wait(session, -1, &hit);
		if (r > 0)
			printf("thread %u calls %s(%s)\n", hit->tid, argv[2], argv[3]);
		if (fflush(stdout) != 0)
			return 1;
	}
	fprintf(stderr, "%s\n", bpcond_client_error(client)->message);
	bpcond_client_free(client);
	return failed || r != -ESRCH; /* that the process ends at last is no failure */
}
