/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What is decided about a request, the same for every engine: whether a packet is its first copy, whether it may be
 * hedged and where to, which response is the first, which one is dropped. Each is decided once, under the lock of the
 * request's bucket; `*seen` is the request as it was then. */
#ifndef HEDGEROW_POLICY_H
#define HEDGEROW_POLICY_H

/* What a qdisc may be early by, which counts in ticks of 64 ns. */
#define EARLY_SLACK_NS 1000

enum noted { NOTED_NEW = 0, NOTED_REUSED_EARLY = 1, NOTED_AGAIN = 2 };

/* The replica to hedge a request with: another one in turn by id, so that no replica gets all the hedges of its
 * neighbour, and so that a client which hedges by itself can choose the same. */
static inline u32 policy_hedge_replica(struct subject *subject)
{
	struct service *service = subject->service;
	u32 others = service->replicas - 1, replica;

	if (service->target != TARGET_OTHER || service->replicas < 2)
		return subject->replica;
	replica = subject->replica + 1 + subject->id % others;
	return replica < service->replicas ? replica : replica - service->replicas;
}

static inline u16 bit_of(u32 replica)
{
	return 1 << (replica & (MAX_REPLICAS - 1));
}

static inline void saturate(u8 *counted)
{
	if (*counted < 255)
		*counted += 1;
}

/* Notes for `request` how many responses to the earlier one with its id, `known`, are outstanding: while they may still
 * come, that one having been hedged or sent twice by the client, they cannot be distinguished from responses to the new
 * one. A lost response counts as outstanding until its request expires. */
static inline void policy_inherit(struct request *request, struct request *known, struct config *config)
{
	u64 until_ns = known->copies > known->responses ? known->request_ns + config->expiry_ns :
							  known->outstanding_until_ns;
	s32 outstanding = known->copies + known->outstanding - known->responses;

	if (outstanding <= 0 || until_ns <= request->request_ns)
		return;
	request->outstanding = outstanding < 255 ? outstanding : 255;
	request->outstanding_until_ns = until_ns;
	request->flags &= ~REQUEST_ARMED;
	/* Where the loser of a hedge may come from. */
	if (known->hedges > known->dropped)
		request->owed = known->hedged | bit_of(known->primary_replica);
	if (known->outstanding)
		request->owed |= known->owed;
}

/* Whether a request on the scoreboard is older than requests may be for one that leaves at `now_ns`. It may even be
 * younger: two CPUs read their clocks before either has the lock. */
static inline bool policy_expired(struct request *known, struct config *config, u64 now_ns)
{
	return (s64)(now_ns - known->request_ns) >= (s64)config->expiry_ns;
}

/* Puts a new `request` on the scoreboard, unless the packet is a further copy of one there. */
static inline int policy_note(struct context *context, struct subject *subject, struct request *request,
			      struct request *seen, bool *evicts)
{
	struct bucket *bucket = bucket_get(subject->print);
	struct config *config = context->config;
	int noted = NOTED_NEW;
	struct request *place;
	u64 way;

	*evicts = false;
	if (!bucket)
		return NOTED_AGAIN;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way < BUCKET_WAYS) {
		place = &bucket->request[way];
		if (!policy_expired(place, config, request->request_ns)) {
			/* A flow may use an answered id again; within a block of the testbed ids are used once. */
			if (!place->first_response_ns || (IS_TESTBED && config->identity == IDENTITY_BLOCK)) {
				noted = NOTED_AGAIN;
				saturate(&place->copies);
				if (config->mode == MODE_TAP && place->copies == 2)
					place->hedged = bit_of(subject->replica);
				*seen = *place;
				bpf_spin_unlock(&bucket->lock);
				return noted;
			}
			policy_inherit(request, place, config);
			if (request->outstanding)
				noted = NOTED_REUSED_EARLY;
		}
	} else {
		way = bucket_victim(bucket, config, request->request_ns);
		if (way >= BUCKET_WAYS) /* never */
			way = 0;
		place = &bucket->request[way];
		*evicts = bucket->print[way] && !policy_expired(place, config, request->request_ns) &&
			  rank_of(place, place->first_response_ns) >= RANK_LIVE;
		bucket->print[way] = subject->print;
	}
	*place = *request;
	bucket_rank(bucket, way, request);
	bpf_spin_unlock(&bucket->lock);
	return noted;
}

static inline bool ticket_is(struct request *request, u32 mark)
{
	return (request->flags & REQUEST_ARMED) && (request->ticket & MARK_VALUE) == (mark & MARK_VALUE);
}

/* Whether the request whose ticket is in `mark` may be hedged: COUNT_rescued, or the counter that says why not. */
static inline u32 policy_may_hedge(struct context *context, struct subject *subject, u32 mark, struct request *seen)
{
	struct bucket *bucket = bucket_get(subject->print);
	u64 way = NO_WAY;

	if (!bucket)
		return COUNT_lost;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way < BUCKET_WAYS)
		*seen = bucket->request[way];
	bpf_spin_unlock(&bucket->lock);
	if (way >= BUCKET_WAYS)
		return COUNT_lost;
	if (!ticket_is(seen, mark))
		return COUNT_outdated;
	if (seen->first_response_ns)
		return COUNT_cancelled;
	if (context->now_ns + EARLY_SLACK_NS < seen->deadline_ns)
		return COUNT_early;
	if (context->now_ns > seen->deadline_ns + context->config->max_late_ns)
		return COUNT_late;
	return COUNT_rescued;
}

/* Whether the hedge whose ticket is in `mark` still may leave: it may have waited for its neighbour's address.
 * COUNT_hedges_sent, and then it is counted as one that has left; or the counter that says why not. */
static inline u32 policy_leave(struct context *context, struct subject *subject, u32 mark, struct request *seen)
{
	struct bucket *bucket = bucket_get(subject->print);
	u32 verdict = COUNT_hedges_untracked;
	struct request *request;
	u64 way;

	if (!bucket)
		return verdict;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way < BUCKET_WAYS) {
		request = &bucket->request[way];
		verdict = COUNT_late_dropped;
		if (ticket_is(request, mark) && !request->first_response_ns && !request->hedges &&
		    context->now_ns <= request->deadline_ns + context->config->max_late_ns) {
			verdict = COUNT_hedges_sent;
			saturate(&request->copies);
			saturate(&request->hedges);
			request->hedged |= bit_of(subject->replica);
			bucket_rank(bucket, way, request);
			*seen = *request;
		}
	}
	bpf_spin_unlock(&bucket->lock);
	return verdict;
}

enum answer {
	ANSWER_UNMATCHED = 0,
	ANSWER_FOREIGN = 1, /* from another replica: nothing is decided before it has the primary's address */
	ANSWER_FIRST = 2,
	ANSWER_LATER = 3,
	ANSWER_OUTDATED = 4, /* to an earlier request with the same id */
	ANSWER_DROP = 8,     /* added to the latter two: one too many, since a hedge was sent */
};

/* A response from the subject's replica: what becomes of it. It is taken for the request's however late it comes. While
 * the hedger hedges, only the primary's replica and those hedged with can answer: responses of others are to requests of
 * the client's own. `here` says that it has the primary's address, or is not to get it. */
static inline int policy_answer(struct context *context, struct subject *subject, u64 ordinal, bool here,
				struct request *seen)
{
	struct bucket *bucket = bucket_get(subject->print);
	bool hedging = context->config->mode == MODE_HEDGE;
	u16 bit = bit_of(subject->replica);
	int answer = ANSWER_UNMATCHED;
	struct request *request;
	u64 way;
	u32 most;

	if (!bucket)
		return answer;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way >= BUCKET_WAYS)
		goto out;
	request = &bucket->request[way];
	if (hedging && subject->replica != request->primary_replica) {
		if (request->hedged & bit)
			answer = here ? ANSWER_FIRST : ANSWER_FOREIGN;
		else if (request->owed & bit)
			answer = ANSWER_OUTDATED;
	} else {
		answer = ANSWER_FIRST;
	}
	if (answer < ANSWER_FIRST) {
		seen->primary_replica = request->primary_replica;
		goto out;
	}
	saturate(&request->responses);
	if (answer == ANSWER_FIRST && !request->first_response_ns) {
		request->first_response_ns = context->now_ns ? context->now_ns : ANSWERED;
		request->first_ordinal = ordinal;
	} else {
		if (answer == ANSWER_FIRST)
			answer = ANSWER_LATER;
		most = answer == ANSWER_OUTDATED ? request->outstanding : request->hedges;
		if (request->dropped < most) {
			request->dropped++;
			answer += ANSWER_DROP;
		}
	}
	bucket_rank(bucket, way, request);
	*seen = *request;
out:
	bpf_spin_unlock(&bucket->lock);
	return answer;
}

/* The first fragment of a response too large for one packet: true where it is the first response. One that cannot get
 * the primary's address, since the fragments that follow could not be given it, cannot be delivered. */
static inline bool policy_answer_fragment(struct context *context, struct subject *subject, struct request *seen)
{
	struct bucket *bucket = bucket_get(subject->print);
	bool hedging = context->config->mode == MODE_HEDGE, is_first = false;
	struct request *request;
	u64 way;

	if (!bucket)
		return false;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way < BUCKET_WAYS) {
		request = &bucket->request[way];
		is_first = !request->first_response_ns;
		if (hedging && subject->replica != request->primary_replica) {
			is_first = false;
			if ((request->hedged | request->owed) & bit_of(subject->replica))
				saturate(&request->responses);
		} else {
			saturate(&request->responses);
		}
		if (is_first)
			request->first_response_ns = context->now_ns ? context->now_ns : ANSWERED;
		bucket_rank(bucket, way, request);
		*seen = *request;
	}
	bpf_spin_unlock(&bucket->lock);
	return is_first;
}

#endif
