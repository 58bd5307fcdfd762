/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The measuring instrument, the same for every strategy: sees each copy leave and each first response arrive. What it
 * reports is a copy of the request as it was when that was decided. */
#ifndef HEDGEROW_TAP_H
#define HEDGEROW_TAP_H

/* By hand one latency in so many is measured, since each costs a reading of the clock. Which ones, the request's own
 * time decides: its lower digits are as good as drawn. */
#define LATENCY_SAMPLE 8
#define SAMPLE_SHIFT 8

static inline struct event *tap_event(struct context *context, struct packet *packet, struct subject *subject,
				      struct request *seen, u32 direction, u8 type)
{
	u32 *client = direction == DIRECTION_REQUESTS ? packet->source : packet->destination;
	bool flow = !IS_TESTBED || context->config->identity == IDENTITY_FLOW;
	struct event *event = event_reserve();

	if (!event) {
		COUNT(context, events_lost);
		return NULL;
	}
	event->request_ns = seen->request_ns;
	event->deadline_ns = seen->deadline_ns;
	event->departure_ns = 0;
	event->first_response_ns = seen->first_response_ns;
	event->id = subject->id;
	event->client[0] = flow ? client[0] : 0;
	event->client[1] = flow ? client[1] : 0;
	event->client[2] = flow ? client[2] : 0;
	event->client[3] = flow ? client[3] : 0;
	event->block = context->config->block;
	event->client_port = !flow ? 0 :
			     direction == DIRECTION_REQUESTS ? packet->source_port : packet->destination_port;
	event->service = subject->service_number;
	event->type = type;
	event->copy = seen->copies;
	event->replica = subject->replica;
	event->winner = WINNER_NONE;
	event->pad = 0;
	return event;
}

/* A hedge leaves: the kernel's, or the second copy of a client that hedges by itself. */
static inline void tap_hedge(struct context *context, struct packet *packet, struct subject *subject,
			     struct request *seen)
{
	struct event *event = tap_event(context, packet, subject, seen, DIRECTION_REQUESTS, EVENT_DEPARTURE);

	if (!event)
		return;
	event->departure_ns = context->now_ns;
	if (seen->first_response_ns) /* only the first copy can have been answered */
		event->winner = WINNER_PRIMARY;
	event_submit(event);
}

/* Which copy the first response answers, as far as that is proven: by its replica. Where both copies went to the same
 * one, the ordinal that our server writes is the order of arrival there, so 2 is the hedge, but 1 may be the hedge of a
 * primary that was lost; the other copy's response decides later (tap_later_answer). Where a network fault may have let
 * copies overtake each other, or come twice, the order of arrival proves nothing. */
static inline u8 tap_winner(struct request *seen, u32 replica, u64 ordinal)
{
	if (!(seen->hedged & bit_of(seen->primary_replica))) {
		if (replica == seen->primary_replica)
			return WINNER_PRIMARY;
		return seen->hedged & bit_of(replica) ? WINNER_HEDGE : WINNER_UNKNOWN;
	}
	return ordinal > 1 && !(seen->flags & REQUEST_DISORDERED) ? WINNER_HEDGE : WINNER_UNKNOWN;
}

/* Places in a number's binary digits before its first one, counted from 0 for 1. */
static inline u32 log2_of(u64 value)
{
	u32 power = 0;

#pragma unroll
	for (u32 step = 32; step; step /= 2) {
		u64 large = value >> step ? step : 0;

		power += large;
		value >>= large;
	}
	return power;
}

static inline void tap_latency(struct context *context, u64 latency_ns)
{
	u32 power = log2_of(latency_ns | 1), sub = 0, bucket;

	/* The digits behind the leading one choose among a power's buckets. */
	if (power >= HISTOGRAM_SUB_BITS)
		sub = (latency_ns >> (power - HISTOGRAM_SUB_BITS)) & ((1 << HISTOGRAM_SUB_BITS) - 1);
	bucket = (power << HISTOGRAM_SUB_BITS) | sub;
	/* Newer compilers would check the bucket's parts instead, from which the verifier learns no bound. */
	asm volatile("" : "+r"(bucket));
	if (bucket < HISTOGRAM_BUCKETS)
		context->counts->latency[bucket]++;
}

/* Only the testbed keeps records of who won; by hand what is counted is all there is. */
static inline void tap_answer_event(struct context *context, struct packet *packet, struct subject *subject,
				    struct request *seen, u8 winner)
{
	struct event *event;

	if (!IS_TESTBED)
		return;
	event = tap_event(context, packet, subject, seen, DIRECTION_RESPONSES, EVENT_ANSWER);
	if (!event)
		return;
	event->winner = winner;
	event_submit(event);
}

static inline void tap_answer(struct context *context, struct packet *packet, struct subject *subject,
			      struct request *seen, u64 ordinal)
{
	u8 winner;

	COUNT(context, answered);
	if (IS_TESTBED || !(seen->request_ns >> SAMPLE_SHIFT & (LATENCY_SAMPLE - 1)))
		tap_latency(context, (context->now_ns ? context->now_ns : bpf_ktime_get_ns()) - seen->request_ns);
	if (!seen->hedged)
		return;
	winner = tap_winner(seen, subject->replica, ordinal);
	if (winner == WINNER_HEDGE)
		COUNT(context, hedges_won);
	if (winner == WINNER_UNKNOWN)
		COUNT(context, hedges_won_unknown);
	tap_answer_event(context, packet, subject, seen, winner);
}

/* The second copy to reach the server has been answered too: then the first one was the primary. */
static inline void tap_later_answer(struct context *context, struct packet *packet, struct subject *subject,
				    struct request *seen, u64 ordinal)
{
	if (!(seen->hedged & bit_of(seen->primary_replica)) || (seen->flags & REQUEST_DISORDERED))
		return;
	if (seen->first_ordinal != 1 || ordinal != 2)
		return;
	COUNT(context, primaries_confirmed);
	tap_answer_event(context, packet, subject, seen, WINNER_PRIMARY);
}

#endif
