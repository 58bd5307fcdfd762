/* SPDX-License-Identifier: MIT */
/* The compiled client's one loop, the counterpart of loop.py under the policy app-deadline: the hedge leaves
 * when the hedge delay has passed since the request left, the request is given up when its time-out has passed since
 * it was meant to, and what has arrived by then is looked at first. */
#ifndef HEDGEROW_APP_LOOP_H
#define HEDGEROW_APP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "app_settings.h"
#include "arrivals.h"
#include "ledger.h"
#include "waiter.h"

struct app_loop {
	const struct app_settings *settings;
	int64_t realtime_offset_ns;
	/* What no ledger can count: datagrams that answer nothing, and errors, mostly ICMP's, that are passed over. */
	int64_t stray_copies, socket_errors;
	struct waiter waiter;
	struct deadline_heap deadlines;
	struct ledger *ledger;	/* of the requests that are being sent */
	struct ledger *earlier; /* of those before them, copies of which may still come, or NULL */
	struct arrivals *arrivals;
	/* How long nothing has come: when something last did, how many requests were given up since, which of them,
	 * and when that was last reported. */
	int64_t heard_ns, reported_ns;
	uint32_t given_up, first_given_up, last_given_up;
	int *sockets; /* of user u and replica r at u * replicas + r; -1 where none is needed */
	uint8_t *payload, *buffer;
};

/* These return false, with errno set, where memory, sockets or timers cannot be had. */
bool loop_init(struct app_loop *loop, const struct app_settings *settings, int64_t realtime_offset_ns);

/* Sends the requests of `ledger` as `arrivals`, begun already, say; returns when each has been answered or given up. */
bool loop_run(struct app_loop *loop, struct ledger *ledger, struct arrivals *arrivals);

/* Receives what still comes until CLOCK_MONOTONIC reaches until_ns. */
bool loop_drain(struct app_loop *loop, int64_t until_ns);

/* Says {"event": "silent"} on the channel if nothing has come for the settings' patience by time_ns while requests were
 * given up. A channel that nobody reads shows at the block's end. */
void loop_report_silence(struct app_loop *loop, int64_t time_ns);

#endif
