/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* An engine holds a copy of each request until its deadline, and then brings it to the rescuer. That one and all that is
 * decided about requests (policy.h) are the same for every engine. An engine has these functions:
 *
 *   engine_reserve    a place for the hedge of a request that leaves, under a ticket by which it is told from others;
 *                     else why there is none
 *   engine_give_back  of a place that is not needed: the packet is no new request, or must not be hedged
 *   engine_arm        keeps the packet there; the counter of the outcome, COUNT_armed or why not
 *   engine_cancel     the request was answered: its hedge need not be brought to the rescuer any more
 *   engine_brought    a packet has come to the rescuer
 *   engine_finish     makes it fit to be sent on; false where that is not possible
 *
 * The ticket's lower 16 bits stand in the mark of what the engine brings, MARK_CLONE. Which engine it is, is decided when
 * the programs are compiled: -DENGINE_QUEUE or -DENGINE_CLONE. */
#ifndef HEDGEROW_ENGINE_H
#define HEDGEROW_ENGINE_H

#ifdef ENGINE_QUEUE
#include "queue.h"
#include "clock_htb.h"
#include "engine_queue.h"
#else
#include "engine_clone.h"
#endif

#endif
