/* SPDX-License-Identifier: MIT */
/* The proxy's one loop: requests come from clients and go to a replica, the first response goes back, and a request
 * that has none when the hedge delay has passed since it went out is sent once more. */
#ifndef HEDGEROW_PROXY_LOOP_H
#define HEDGEROW_PROXY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "deadline_heap.h"
#include "proxy_counters.h"
#include "proxy_flights.h"
#include "proxy_sessions.h"
#include "proxy_settings.h"
#include "waiter.h"

struct proxy {
	const struct proxy_settings *settings;
	struct proxy_counters counters;
	struct waiter waiter;
	struct deadline_heap deadlines; /* one a flight: its hedge, then its expiry */
	struct flights flights;
	struct sessions sessions;
	int listening_fd;
	uint8_t *buffer;
};

/* Both return false, with errno set, where the kernel refuses. */
bool proxy_init(struct proxy *proxy, const struct proxy_settings *settings);

/* Serves until the channel is written to or closed; then the counters are complete. */
bool proxy_serve(struct proxy *proxy);

#endif
