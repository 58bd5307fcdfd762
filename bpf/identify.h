/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* From a parsed datagram to the request that it is a copy of, or a response to: its service, replica and id. */
#ifndef HEDGEROW_IDENTIFY_H
#define HEDGEROW_IDENTIFY_H

enum identification { IDENTIFIED = 0, NOT_SERVICE = 1, NO_ID = 2 };

struct subject {
	struct request_key key;
	struct service *service;
	u32 replica; /* that it goes to, or comes from */
	u32 pad;
};

/* The replica that a datagram goes to, or comes from; NULL where that is none of the services. */
static inline struct endpoint *endpoint_of(struct packet *packet, u32 direction)
{
	if (direction == DIRECTION_REQUESTS)
		return endpoint_get(packet->destination, packet->destination_port);
	return endpoint_get(packet->source, packet->source_port);
}

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

/* IDENTIFIED, or the reason why not; then `subject` is undefined. */
static inline int identify(struct __sk_buff *skb, struct packet *packet, struct config *config, u32 direction,
			   struct subject *subject)
{
	bool request = direction == DIRECTION_REQUESTS;
	struct endpoint *endpoint = endpoint_of(packet, direction);
	struct service *service = endpoint ? service_get(endpoint->service) : NULL;
	u64 id;

	if (!service)
		return NOT_SERVICE;
	if (request) {
		if (!read_field(skb, packet, &service->request_id, &id))
			return NO_ID;
		request_key_fill(&subject->key, config, packet->source, packet->source_port, endpoint->service, id);
	} else {
		if (!read_field(skb, packet, &service->response_id, &id))
			return NO_ID;
		request_key_fill(&subject->key, config, packet->destination, packet->destination_port,
				 endpoint->service, id);
	}
	subject->service = service;
	subject->replica = endpoint->replica;
	return IDENTIFIED;
}

#endif
