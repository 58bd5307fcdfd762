/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The measuring instrument, the same for every strategy: sees each copy leave and each first response arrive. */
#ifndef HEDGEROW_TAP_H
#define HEDGEROW_TAP_H

static inline struct event *tap_event(struct request_key *key, struct request *request, u8 type)
{
	struct event *event = event_reserve();

	if (!event)
		return NULL;
	event->request_ns = request->request_ns;
	event->deadline_ns = request->deadline_ns;
	event->departure_ns = 0;
	event->first_response_ns = request->first_response_ns;
	event->id = key->id;
	event->client[0] = key->client[0];
	event->client[1] = key->client[1];
	event->client[2] = key->client[2];
	event->client[3] = key->client[3];
	event->block = key->block;
	event->client_port = key->client_port;
	event->service = key->service;
	event->type = type;
	event->copy = request->copies;
	event->replica = request->replica;
	event->winner = WINNER_NONE;
	event->pad = 0;
	return event;
}

/* The hedge of `request` leaves: the kernel's, or the second copy of a client that hedges by itself. */
static inline void tap_hedge(struct request_key *key, struct request *request, u32 replica, u64 now_ns)
{
	struct event *event;

	request->replica = replica;
	count(COUNT_hedges_sent);
	event = tap_event(key, request, EVENT_DEPARTURE);
	if (!event)
		return;
	event->departure_ns = now_ns;
	if (request->first_response_ns) /* only the first copy can have been answered */
		event->winner = WINNER_PRIMARY;
	event_submit(event);
}

/* Which copy the first response answers, as far as that is proven: by its replica. Where both copies went to the same
 * one, the ordinal that our server writes is the order of arrival there, so 2 is the hedge, but 1 may be the hedge of a
 * primary that was lost; the other copy's response decides later (tap_later_answer). Where a network fault may have let
 * copies overtake each other, or come twice, the order of arrival proves nothing. */
static inline u8 tap_winner(struct request *request, u32 replica, u64 ordinal)
{
	if (request->copies < 2)
		return WINNER_PRIMARY;
	if (request->replica != request->primary_replica) {
		if (replica == request->replica)
			return WINNER_HEDGE;
		return replica == request->primary_replica ? WINNER_PRIMARY : WINNER_UNKNOWN;
	}
	return ordinal > 1 && !request->disordered ? WINNER_HEDGE : WINNER_UNKNOWN;
}

static inline void tap_histogram(u64 latency_ns)
{
	/* bpf_log2l counts from 1; the bits below the leading one choose among a power's buckets. */
	u32 power = bpf_log2l(latency_ns | 1) - 1, sub = 0;

	if (power >= HISTOGRAM_SUB_BITS)
		sub = (latency_ns >> (power - HISTOGRAM_SUB_BITS)) & ((1 << HISTOGRAM_SUB_BITS) - 1);
	histogram_add((power << HISTOGRAM_SUB_BITS) | sub);
}

static inline void tap_answer_event(struct request_key *key, struct request *request, u8 winner)
{
	struct event *event = tap_event(key, request, EVENT_ANSWER);

	if (!event)
		return;
	event->winner = winner;
	event_submit(event);
}

static inline void tap_answer(struct request_key *key, struct request *request, u32 replica, u64 ordinal, u64 now_ns)
{
	u8 winner = tap_winner(request, replica, ordinal);

	count(COUNT_answered);
	tap_histogram(now_ns - request->request_ns);
	request->first_ordinal = ordinal;
	if (request->copies < 2)
		return;
	if (winner == WINNER_HEDGE)
		count(COUNT_hedges_won);
	if (winner == WINNER_UNKNOWN)
		count(COUNT_hedges_won_unknown);
	tap_answer_event(key, request, winner);
}

/* The second copy to reach the server has been answered too: then the first one was the primary. */
static inline void tap_later_answer(struct request_key *key, struct request *request, u64 ordinal)
{
	if (request->copies < 2 || request->replica != request->primary_replica || request->disordered)
		return;
	if (request->first_ordinal != 1 || ordinal != 2)
		return;
	count(COUNT_primaries_confirmed);
	tap_answer_event(key, request, WINNER_PRIMARY);
}

#endif
