/* SPDX-License-Identifier: MIT */
/* When requests are sent, and by whom: by users who wait for their answers, or by a schedule that does not wait.
 *
 * The counterpart of arrivals.py; the loop looks at `due_ns` and `user`, sends, and says so. */
#ifndef HEDGEROW_ARRIVALS_H
#define HEDGEROW_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "deadline_heap.h"

struct arrivals {
	int64_t due_ns; /* when the next request is to be sent; NEVER while there is none */
	uint32_t user;	/* whose request that is */
	uint32_t users, left;
	int64_t think_ns;
	struct deadline_heap thinking; /* closed: when each user who waits for nothing sends */
	const int64_t *offsets_ns;     /* open: the schedule, from start_ns; NULL where arrivals are closed */
	int64_t start_ns;
	uint32_t next;
};

/* Closed arrivals where `offsets_ns` is NULL. False where there is no memory. */
bool arrivals_init(struct arrivals *arrivals, uint32_t users, int64_t think_ns, uint32_t count,
		   const int64_t *offsets_ns);

/* The first request is due at start_ns. */
void arrivals_begin(struct arrivals *arrivals, int64_t start_ns);

/* The request that was due leaves now, at sent_ns; returns when it should have, its latency's beginning. */
int64_t arrivals_leave(struct arrivals *arrivals, int64_t sent_ns);

/* A request of `user` was answered or given up at ended_ns. */
void arrivals_end(struct arrivals *arrivals, uint32_t user, int64_t ended_ns);

#endif
