/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* An engine holds a copy of each request until its deadline, and then brings it to the rescuer. That one and all that is
 * decided about requests (policy.h) are the same for every engine. An engine has these functions:
 *
 *   engine_reserve    a place for the hedge of a request that leaves, under a ticket by which it is told from others;
 *                     else why there is none
 *   engine_give_back  of a place that is not needed: the packet is no new request, or must not be hedged
 *   engine_arm        keeps the packet there; the counter of the outcome, COUNT_armed or why not
 *   engine_cancel     the request was answered: its hedge need not be brought to the rescuer any more
 *
 * The ticket's lower 16 bits stand in the mark of what the engine brings. */
#ifndef HEDGEROW_ENGINE_H
#define HEDGEROW_ENGINE_H

struct reservation {
	u32 ticket;
	u32 refused; /* the counter that says why there is no ticket; 0 (COUNT_out_seen): there is one */
};

#include "engine_clone.h"

#endif
