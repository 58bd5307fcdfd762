/* SPDX-License-Identifier: MIT */
/* How the proxy spreads and hedges: one block's settings. */
#ifndef HEDGEROW_PROXY_SETTINGS_H
#define HEDGEROW_PROXY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "replicas.h"
#include "request_id.h"

struct proxy_settings {
	int64_t channel_fd;
	struct address listen;
	struct replicas replicas;
	int64_t payload; /* bytes of the longest request */
	int64_t timeout_ns, hedge_delay_ns, drain_ns;
	int64_t capacity; /* requests in flight at most */
	int64_t clients;  /* client addresses at most */
	struct id_place request_id, response_id;
};

/* False, after a message on stderr, where an argument is wrong or missing. */
bool read_settings(int argc, char **argv, struct proxy_settings *settings);

#endif
