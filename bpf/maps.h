/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The maps, and the only place with bcc's dialect: all else calls these functions. */
#ifndef HEDGEROW_MAPS_H
#define HEDGEROW_MAPS_H

struct counters {
	u64 n[COUNTER_END];
};

struct scratch {
	u8 bytes[SCRATCH + 8];
};

struct histogram {
	u64 n[HISTOGRAM_BUCKETS];
};

BPF_ARRAY(config_map, struct config, 1);
/* (address, port) of every replica of every service. */
BPF_HASH(endpoint_map, struct endpoint_key, struct endpoint, MAX_SERVICES * MAX_REPLICAS);
BPF_ARRAY(service_map, struct service, MAX_SERVICES);
/* Address of replica r of service s, at s * MAX_REPLICAS + r. */
BPF_ARRAY(replica_map, struct endpoint_key, MAX_SERVICES * MAX_REPLICAS);
/* Requests in flight. Least recently used ones make room, so it never fills; what is evicted is counted as lost. */
BPF_TABLE("lru_hash", struct request_key, struct request, scoreboard_map, SCOREBOARD_ENTRIES);
/* First responses. An entry stays after its request is done: were it deleted, the loser would look like a winner. */
BPF_TABLE("lru_hash", struct answer_key, u32, answer_map, SCOREBOARD_ENTRIES);
BPF_ARRAY(budget_map, struct budget, MAX_SERVICES);
/* The lanes of the delay line, and of the network fault `delay`. */
BPF_ARRAY(lane_map, struct lanes, 2);
BPF_ARRAY(fault_map, struct faults, 1);
/* How many copies each rule has affected. */
BPF_ARRAY(fault_hit_map, u64, MAX_FAULT_RULES);
/* The class that netem's faults have for each replica's requests at the client's interface; 0: none. */
BPF_ARRAY(netem_map, u32, MAX_REPLICAS);
BPF_ARRAY(saved_mark_map, struct saved_mark, SAVED_MARKS);
/* The next number of each enum numbering. */
BPF_ARRAY(number_map, struct numbers, 2);
BPF_PERCPU_ARRAY(scratch_map, struct scratch, 1);
BPF_PERCPU_ARRAY(counter_map, struct counters, 1);
/* Latency of first responses in ns, log-linear: 8 buckets a power of two. */
BPF_PERCPU_ARRAY(histogram_map, struct histogram, 1);
BPF_RINGBUF_OUTPUT(event_map, EVENT_PAGES);

static inline struct config *config_get(void)
{
	int zero = 0;
	return config_map.lookup(&zero);
}

static inline void count(u32 which)
{
	int zero = 0;
	struct counters *counters = counter_map.lookup(&zero);
	if (counters && which < COUNTER_END)
		counters->n[which]++;
}

static inline struct endpoint *endpoint_get(const u32 *address, u16 port)
{
	struct endpoint_key key = {};
	key.address[0] = address[0];
	key.address[1] = address[1];
	key.address[2] = address[2];
	key.address[3] = address[3];
	key.port = port;
	return endpoint_map.lookup(&key);
}

static inline struct service *service_get(int index)
{
	return service_map.lookup(&index);
}

static inline struct endpoint_key *replica_get(u32 service, u32 replica)
{
	int index = service * MAX_REPLICAS + replica;
	return replica_map.lookup(&index);
}

static inline struct request *scoreboard_get(struct request_key *key)
{
	return scoreboard_map.lookup(key);
}

static inline void scoreboard_put(struct request_key *key, struct request *request)
{
	scoreboard_map.update(key, request);
}

/* True for exactly one caller per key, on any number of CPUs. */
static inline bool answer_claim(struct answer_key *key)
{
	u32 one = 1;
	return answer_map.insert(key, &one) == 0;
}

static inline struct budget *budget_get(int service)
{
	return budget_map.lookup(&service);
}

static inline struct lanes *lanes_get(int which)
{
	return lane_map.lookup(&which);
}

static inline struct faults *faults_get(void)
{
	int zero = 0;
	return fault_map.lookup(&zero);
}

static inline void fault_hit(int rule)
{
	u64 *hits = fault_hit_map.lookup(&rule);
	if (hits)
		__sync_fetch_and_add(hits, 1);
}

static inline u32 netem_class_of(int replica)
{
	u32 *class = netem_map.lookup(&replica);
	return class ? *class : 0;
}

static inline struct saved_mark *saved_mark_get(int number)
{
	return saved_mark_map.lookup(&number);
}

static inline struct numbers *numbers_get(int which)
{
	return number_map.lookup(&which);
}

static inline struct scratch *scratch_get(void)
{
	int zero = 0;
	return scratch_map.lookup(&zero);
}

static inline void histogram_add(u32 bucket)
{
	int zero = 0;
	struct histogram *histogram = histogram_map.lookup(&zero);

	/* Newer compilers would check the bucket's parts instead, from which the verifier learns no bound. */
	asm volatile("" : "+r"(bucket));
	if (histogram && bucket < HISTOGRAM_BUCKETS)
		histogram->n[bucket]++;
}

static inline struct event *event_reserve(void)
{
	struct event *event = event_map.ringbuf_reserve(sizeof(struct event));
	if (!event)
		count(COUNT_events_lost);
	return event;
}

/* User space polls, so no reader needs waking on the packet path. */
static inline void event_submit(struct event *event)
{
	event_map.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#endif
