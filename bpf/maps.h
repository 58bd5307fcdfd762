/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The maps. Each is an array, whose lookup the kernel compiles into a few instructions; NAME_at(index) is one's element.
 * maps_bcc.h and maps_btf.h say the same in the dialects of bcc and of plain clang. */
#ifndef HEDGEROW_MAPS_H
#define HEDGEROW_MAPS_H

struct counts {
	u64 counter[COUNTER_END];
	/* Of first responses in ns, log-linear: 8 buckets a power of two. */
	u64 latency[HISTOGRAM_BUCKETS];
};

struct scratch {
	u8 bytes[SCRATCH + 8];
};

/* Puts an array's elements on a page boundary, so that those whose size is a multiple of it keep to cache lines. */
#define ON_PAGES 1024 /* BPF_F_MMAPABLE */

#ifdef BCC_SEC
#include "maps_bcc.h"
#else
#include "maps_btf.h"
#endif

static inline struct config *config_get(void)
{
	return config_at(0);
}

static inline struct counts *counts_get(void)
{
	return counts_at(0);
}

static inline struct service *service_get(u32 index)
{
	return service_at(index);
}

/* Address of replica r of service s. */
static inline struct endpoint_key *replica_get(u32 service, u32 replica)
{
	return replica_at(service * MAX_REPLICAS + replica);
}

static inline struct bucket *bucket_get(u64 print)
{
	return scoreboard_at(print & (BUCKETS - 1));
}

static inline struct budget *budget_get(u32 service)
{
	return budget_at(service);
}

static inline struct scratch *scratch_get(void)
{
	return scratch_at(0);
}

#ifdef TESTBED
static inline void fault_hit(u32 rule)
{
	u64 *hits = fault_hit_at(rule);

	if (hits)
		__sync_fetch_and_add(hits, 1);
}

static inline u32 netem_class_of(u32 replica)
{
	u32 *class = netem_at(replica);

	return class ? *class : 0;
}
#endif

#endif
