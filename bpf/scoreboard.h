/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Requests in flight: which one a packet belongs to, and whether it still counts. */
#ifndef HEDGEROW_SCOREBOARD_H
#define HEDGEROW_SCOREBOARD_H

/* The request of `key` unless there is none or it is older than the configured expiry. */
static inline struct request *scoreboard_live(struct request_key *key, struct config *config, u64 now_ns)
{
	struct request *request = scoreboard_get(key);

	if (request && now_ns - request->request_ns < config->expiry_ns)
		return request;
	return NULL;
}

/* The replica to hedge a request with: another one in turn by id, so that no replica gets all the hedges of its
 * neighbour, and so that a client which hedges by itself can choose the same. */
static inline u32 scoreboard_hedge_replica(struct service *service, u32 primary_replica, u64 id)
{
	u32 others = service->replicas - 1, replica;

	if (service->target != TARGET_OTHER || service->replicas < 2)
		return primary_replica;
	replica = primary_replica + 1 + id % others;
	return replica < service->replicas ? replica : replica - service->replicas;
}

/* Whether a response from `replica` can answer the request. While the hedger hedges, only the primary's replica and the
 * hedge's can: responses of others are to requests of the client's own. */
static inline bool scoreboard_expects(struct request *request, struct config *config, u32 replica)
{
	return config->mode != MODE_HEDGE || replica == request->primary_replica || replica == request->replica;
}

/* The first response of a generation wins, whichever CPUs the copies' responses arrive on. Only the insertion
 * decides: `request` may be a stale element that the map has since given to another request. */
static inline bool scoreboard_first_response(struct request_key *key, struct request *request, u64 now_ns)
{
	struct answer_key answer = {};

	answer.request = *key;
	answer.generation = request->request_ns;
	if (!answer_claim(&answer))
		return false;
	request->first_response_ns = now_ns;
	return true;
}

/* Notes for `request` how many responses to the earlier one with its id, `known`, are outstanding: while they may still
 * come, that one having been hedged or sent twice by the client, they cannot be distinguished from responses to the new
 * one. A lost response counts as outstanding until its request expires. */
static inline void scoreboard_inherit(struct request *request, struct request *known, struct config *config,
				      u64 now_ns)
{
	u64 until_ns = known->copies > known->responses ? known->request_ns + config->expiry_ns :
							  known->outstanding_until_ns;
	s32 outstanding = known->copies + known->outstanding - known->responses;

	if (outstanding <= 0 || until_ns <= now_ns)
		return;
	request->outstanding = outstanding < 255 ? outstanding : 255;
	request->outstanding_until_ns = until_ns;
	/* The loser of a hedge may come from there. */
	if (known->hedges > known->dropped || (known->outstanding && known->replica != known->primary_replica))
		request->replica = known->replica;
}

/* Whether a response from `replica` belongs to an earlier request with the same id: this one was never sent there. The
 * earlier one has been answered, or its id would not have been used again. */
static inline bool scoreboard_outdated(struct request *request, struct config *config, u32 replica)
{
	return config->mode == MODE_HEDGE && replica != request->primary_replica && !request->hedges;
}

#endif
