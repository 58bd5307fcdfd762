/* SPDX-License-Identifier: MIT */
/* Which replica a request goes to, and which its hedge: the choice of hedgerow_node/workload.py. */
#ifndef HEDGEROW_REPLICAS_H
#define HEDGEROW_REPLICAS_H

#include <stdint.h>

#include "udp.h"

#define MAX_REPLICAS 16

enum spread { SPREAD_FIRST, SPREAD_ROUND_ROBIN };
enum target { TARGET_SAME, TARGET_OTHER };

struct replicas {
	struct address addresses[MAX_REPLICAS];
	uint32_t count;
	enum spread spread;
	enum target target;
};

static inline uint32_t asked_replica(const struct replicas *replicas, uint64_t request_id)
{
	return replicas->spread == SPREAD_ROUND_ROBIN ? (uint32_t)(request_id % replicas->count) : 0;
}

static inline uint32_t hedge_replica(const struct replicas *replicas, uint32_t asked, uint64_t request_id)
{
	if (replicas->target == TARGET_SAME)
		return asked;
	return (uint32_t)((asked + 1 + request_id % (replicas->count - 1)) % replicas->count);
}

/* Whether any request is asked of, or hedged with, `replica`: to the others no socket is opened. */
static inline bool replica_in_use(const struct replicas *replicas, uint32_t replica)
{
	return replica == 0 || replicas->spread == SPREAD_ROUND_ROBIN || replicas->target == TARGET_OTHER;
}

#endif
