/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The maps for plain clang, as libbpf reads them. */
#ifndef HEDGEROW_MAPS_BTF_H
#define HEDGEROW_MAPS_BTF_H

#define MAP(kind, name, element, entries, flags)                     \
	struct {                                                     \
		__uint(type, kind);                                  \
		__uint(max_entries, entries);                        \
		__uint(map_flags, flags);                            \
		__type(key, u32);                                    \
		__type(value, element);                               \
	} name##_map SEC(".maps");                                   \
	static inline element *name##_at(u32 index)                  \
	{                                                            \
		return bpf_map_lookup_elem(&name##_map, &index);     \
	}

MAP(BPF_MAP_TYPE_ARRAY, config, struct config, 1, 0)
MAP(BPF_MAP_TYPE_ARRAY, endpoint, struct endpoint_slot, ENDPOINT_SLOTS, ON_PAGES)
MAP(BPF_MAP_TYPE_ARRAY, service, struct service, MAX_SERVICES, 0)
MAP(BPF_MAP_TYPE_ARRAY, replica, struct endpoint_key, MAX_SERVICES * MAX_REPLICAS, 0)
MAP(BPF_MAP_TYPE_ARRAY, scoreboard, struct bucket, BUCKETS, ON_PAGES)
MAP(BPF_MAP_TYPE_ARRAY, budget, struct budget, MAX_SERVICES, 0)
MAP(BPF_MAP_TYPE_ARRAY, lane, struct lanes, 2, 0)
MAP(BPF_MAP_TYPE_ARRAY, number, struct numbers, 2, 0)
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, scratch, struct scratch, 1, 0)
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, counts, struct counts, 1, 0)

#ifdef ENGINE_QUEUE
MAP(BPF_MAP_TYPE_ARRAY, queue, struct queue, MAX_SERVICES, ON_PAGES)
MAP(BPF_MAP_TYPE_ARRAY, cell, struct cell, CELLS, ON_PAGES)
MAP(BPF_MAP_TYPE_ARRAY, settled, struct settled, CELLS, ON_PAGES)
MAP(BPF_MAP_TYPE_ARRAY, large, struct large_cell, LARGE_CELLS, 0)
MAP(BPF_MAP_TYPE_ARRAY, clock, struct clock, 1, 0)
#endif

#ifdef TESTBED
MAP(BPF_MAP_TYPE_ARRAY, fault, struct faults, 1, 0)
MAP(BPF_MAP_TYPE_ARRAY, fault_hit, u64, MAX_FAULT_RULES, 0)
MAP(BPF_MAP_TYPE_ARRAY, netem, u32, MAX_REPLICAS, 0)
MAP(BPF_MAP_TYPE_ARRAY, saved_mark, struct saved_mark, SAVED_MARKS, 0)
#endif

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_PAGES * 4096);
} event_map SEC(".maps");

static inline struct event *event_reserve(void)
{
	return bpf_ringbuf_reserve(&event_map, sizeof(struct event), 0);
}

static inline void event_submit(struct event *event)
{
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#endif
