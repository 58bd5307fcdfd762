/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Which request a parsed datagram is a copy of, or a response to: its service, replica and print. */
#ifndef HEDGEROW_IDENTIFY_H
#define HEDGEROW_IDENTIFY_H

enum identification { IDENTIFIED = 0, NOT_SERVICE = 1, NO_ID = 2 };

struct subject {
	u64 print; /* of client, service, id and block: two requests have the same once in 2^64 */
	u64 id;
	struct service *service;
	u32 service_number;
	u32 replica; /* that it goes to, or comes from */
};

static inline struct endpoint *endpoint_find(struct config *config, const u32 *address, u16 port)
{
	struct endpoint_slot *slot = endpoint_at(endpoint_hash(config->endpoint_seed, address, port));

	if (!slot || !port)
		return NULL;
#pragma unroll
	for (u32 i = 0; i < ENDPOINT_WAYS; i++) {
		struct endpoint *way = &slot->way[i];

		if (way->port == port && way->address[3] == address[3] && way->address[2] == address[2] &&
		    way->address[1] == address[1] && way->address[0] == address[0])
			return way;
	}
	return NULL;
}

/* The replica that a datagram goes to, or comes from; NULL where that is none of the services. */
static inline struct endpoint *endpoint_of(struct config *config, struct packet *packet, u32 direction)
{
	if (direction == DIRECTION_REQUESTS)
		return endpoint_find(config, packet->destination, packet->destination_port);
	return endpoint_find(config, packet->source, packet->source_port);
}

/* Client and port count only where a request is its flow's: in a block of the testbed an id is used once, but a rival
 * may hedge from a second socket. */
static inline u64 print_of(struct config *config, const u32 *client, u16 client_port, u32 service, u64 id)
{
	bool flow = !IS_TESTBED || config->identity == IDENTITY_FLOW;
	u64 print = config->print_seed;

	if (flow) {
		print = mix(print ^ two_words(client[0], client[1]));
		print = mix(print ^ two_words(client[2], client[3]));
	}
	print = mix(print ^ two_words(config->block, service << 16 | (flow ? client_port : 0)));
	print = mix(print ^ id);
	return print ? print : 1;
}

/* IDENTIFIED, or the reason why not; then `subject` is undefined. */
static inline int identify(struct __sk_buff *skb, struct packet *packet, struct config *config, u32 direction,
			   struct subject *subject)
{
	bool request = direction == DIRECTION_REQUESTS;
	struct endpoint *endpoint = endpoint_of(config, packet, direction);
	struct service *service = endpoint ? service_get(endpoint->service) : NULL;

	if (!service)
		return NOT_SERVICE;
	if (!read_field(skb, packet, request ? &service->request_id : &service->response_id, &subject->id))
		return NO_ID;
	subject->service = service;
	subject->service_number = endpoint->service;
	subject->replica = endpoint->replica;
	subject->print = request ? print_of(config, packet->source, packet->source_port, endpoint->service, subject->id) :
				   print_of(config, packet->destination, packet->destination_port, endpoint->service,
					    subject->id);
	return IDENTIFIED;
}

#endif
