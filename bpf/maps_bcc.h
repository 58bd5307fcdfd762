/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The maps for bcc, which rewrites method calls in the main text, though not in macros: hence no macro for the lookups. */
#ifndef HEDGEROW_MAPS_BCC_H
#define HEDGEROW_MAPS_BCC_H

BPF_F_TABLE("array", int, struct config, config_map, 1, 0);
/* By a hash of (address, port): every replica of every service. */
BPF_F_TABLE("array", int, struct endpoint_slot, endpoint_map, ENDPOINT_SLOTS, ON_PAGES);
BPF_F_TABLE("array", int, struct service, service_map, MAX_SERVICES, 0);
BPF_F_TABLE("array", int, struct endpoint_key, replica_map, MAX_SERVICES * MAX_REPLICAS, 0);
BPF_F_TABLE("array", int, struct bucket, scoreboard_map, BUCKETS, ON_PAGES);
BPF_F_TABLE("array", int, struct budget, budget_map, MAX_SERVICES, 0);
/* The lanes of the delay line, and of the network fault `delay`. */
BPF_F_TABLE("array", int, struct lanes, lane_map, 2, 0);
/* The next number of each enum numbering. */
BPF_F_TABLE("array", int, struct numbers, number_map, 2, 0);
BPF_PERCPU_ARRAY(scratch_map, struct scratch, 1);
BPF_PERCPU_ARRAY(counts_map, struct counts, 1);

#ifdef ENGINE_QUEUE
BPF_F_TABLE("array", int, struct queue, queue_map, MAX_SERVICES, ON_PAGES);
BPF_F_TABLE("array", int, struct cell, cell_map, CELLS, ON_PAGES);
BPF_F_TABLE("array", int, struct settled, settled_map, CELLS, ON_PAGES);
BPF_F_TABLE("array", int, struct large_cell, large_map, LARGE_CELLS, 0);
BPF_F_TABLE("array", int, struct clock, clock_map, 1, 0);
#endif

#ifdef TESTBED
BPF_F_TABLE("array", int, struct faults, fault_map, 1, 0);
/* How many copies each rule has affected. */
BPF_F_TABLE("array", int, u64, fault_hit_map, MAX_FAULT_RULES, 0);
/* The class that netem's faults have for each replica's requests at the client's interface; 0: none. */
BPF_F_TABLE("array", int, u32, netem_map, MAX_REPLICAS, 0);
BPF_F_TABLE("array", int, struct saved_mark, saved_mark_map, SAVED_MARKS, 0);
#endif
BPF_RINGBUF_OUTPUT(event_map, EVENT_PAGES);

static inline struct config *config_at(int index)
{
	return config_map.lookup(&index);
}

static inline struct endpoint_slot *endpoint_at(int index)
{
	return endpoint_map.lookup(&index);
}

static inline struct service *service_at(int index)
{
	return service_map.lookup(&index);
}

static inline struct endpoint_key *replica_at(int index)
{
	return replica_map.lookup(&index);
}

static inline struct bucket *scoreboard_at(int index)
{
	return scoreboard_map.lookup(&index);
}

static inline struct budget *budget_at(int index)
{
	return budget_map.lookup(&index);
}

static inline struct lanes *lane_at(int index)
{
	return lane_map.lookup(&index);
}

static inline struct numbers *number_at(int index)
{
	return number_map.lookup(&index);
}

static inline struct scratch *scratch_at(int index)
{
	return scratch_map.lookup(&index);
}

static inline struct counts *counts_at(int index)
{
	return counts_map.lookup(&index);
}

#ifdef ENGINE_QUEUE
static inline struct queue *queue_at(int index)
{
	return queue_map.lookup(&index);
}

static inline struct cell *cell_at(int index)
{
	return cell_map.lookup(&index);
}

static inline struct settled *settled_at(int index)
{
	return settled_map.lookup(&index);
}

static inline struct large_cell *large_at(int index)
{
	return large_map.lookup(&index);
}

static inline struct clock *clock_at(int index)
{
	return clock_map.lookup(&index);
}
#endif

#ifdef TESTBED
static inline struct faults *fault_at(int index)
{
	return fault_map.lookup(&index);
}

static inline u64 *fault_hit_at(int index)
{
	return fault_hit_map.lookup(&index);
}

static inline u32 *netem_at(int index)
{
	return netem_map.lookup(&index);
}

static inline struct saved_mark *saved_mark_at(int index)
{
	return saved_mark_map.lookup(&index);
}
#endif

static inline struct event *event_reserve(void)
{
	return event_map.ringbuf_reserve(sizeof(struct event));
}

/* User space polls, so no reader needs waking on the packet path. */
static inline void event_submit(struct event *event)
{
	event_map.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#endif
