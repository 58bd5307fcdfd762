// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the short cut of the parser and the parser itself make of the same frame, for the test that compares them. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>
#include <uapi/linux/pkt_cls.h>
#include <uapi/linux/udp.h>

#include "compat.h"
#include "counters.h"
#include "types.h"
#include "parse.h"
#include "parse_direct.h"

struct outcome {
	u64 id;
	u32 source[4];
	u32 destination[4];
	u32 network;
	u32 transport;
	u32 payload_length;
	u16 source_port;
	u16 destination_port;
	u8 found;
	u8 has_id;
	u8 ipv6;
	u8 tagged;
	u8 first_fragment;
	u8 pad[3];
};

BPF_ARRAY(field_map, struct field, 1);
BPF_ARRAY(outcome_map, struct outcome, 2);

static inline void describe(int which, struct packet *packet, bool found, bool has_id, u64 id)
{
	struct outcome *outcome = outcome_map.lookup(&which);

	if (!outcome)
		return;
	__builtin_memset(outcome, 0, sizeof(*outcome));
	outcome->found = found;
	if (!found)
		return;
	outcome->has_id = has_id;
	outcome->id = has_id ? id : 0;
	__builtin_memcpy(outcome->source, packet->source, 16);
	__builtin_memcpy(outcome->destination, packet->destination, 16);
	outcome->network = packet->network;
	outcome->transport = packet->transport;
	outcome->payload_length = packet->payload_length;
	outcome->source_port = packet->source_port;
	outcome->destination_port = packet->destination_port;
	outcome->ipv6 = packet->ipv6;
	outcome->tagged = packet->tagged;
	outcome->first_fragment = packet->first_fragment;
}

int both_parsers(struct __sk_buff *skb)
{
	struct packet direct = {}, copied = {};
	int zero = 0;
	struct field *field = field_map.lookup(&zero);
	bool found, has_id;
	u64 id = 0;

	if (!field)
		return TC_ACT_SHOT;
	found = parse_direct(skb, &direct);
	has_id = found && read_field_direct(skb, &direct, field, &id);
	describe(0, &direct, found, has_id, id);
	found = !parse_copies(skb, &copied);
	has_id = found && read_field_copy(skb, &copied, field, &id);
	describe(1, &copied, found, has_id, id);
	return TC_ACT_UNSPEC;
}
