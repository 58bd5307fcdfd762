/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Requests in flight: which one a packet belongs to, and whether it still counts. */
#ifndef HEDGEROW_SCOREBOARD_H
#define HEDGEROW_SCOREBOARD_H

static inline void request_key_fill(struct request_key *key, struct config *config, const u32 *client,
				    u16 client_port, u16 service, u64 id)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->id = id;
	key->block = config->block;
	key->service = service;
	if (config->identity == IDENTITY_FLOW) {
		key->client[0] = client[0];
		key->client[1] = client[1];
		key->client[2] = client[2];
		key->client[3] = client[3];
		key->client_port = client_port;
	}
}

/* The request of `key` unless there is none or it is older than the configured expiry. */
static inline struct request *scoreboard_live(struct request_key *key, struct config *config, u64 now_ns)
{
	struct request *request = scoreboard_get(key);

	if (request && now_ns - request->request_ns < config->expiry_ns)
		return request;
	return NULL;
}

/* The replica to hedge a request with: another one in turn by id, so that none bears all the hedges of its neighbour,
 * and so that a client which hedges by itself can choose the same. */
static inline u32 scoreboard_hedge_replica(struct service *service, u32 asked, u64 id)
{
	u32 others = service->replicas - 1, replica;

	if (service->target != TARGET_OTHER || service->replicas < 2)
		return asked;
	replica = asked + 1 + id % others;
	return replica < service->replicas ? replica : replica - service->replicas;
}

/* Whether a response from `replica` can answer the request. While the hedger hedges, only the replica that was asked
 * and the one hedged with can: what others send, the client itself has asked for. */
static inline bool scoreboard_expects(struct request *request, struct config *config, u32 replica)
{
	return config->mode != MODE_HEDGE || replica == request->asked || replica == request->replica;
}

/* The first response of a generation wins, whichever CPUs the copies' responses arrive on. Only the insertion
 * decides: `request` may be a stale element that the map has given to another request meanwhile. */
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

/* Whether a response to an earlier request with the same id, hedged or sent twice by the client, may still come: it
 * could not be told from a response to the new one. */
static inline bool scoreboard_awaits_more(struct request *request)
{
	return request->responses < request->copies;
}

#endif
