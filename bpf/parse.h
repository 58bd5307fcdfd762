/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* From a frame to the flow and payload of a UDP datagram. Every header is loaded through a bounds-checked copy, which
 * works on linear and paged packets alike; what is not understood returns the reason; nothing is guessed.
 * parse_direct.h has the short cut for what nearly all packets are. */
#ifndef HEDGEROW_PARSE_H
#define HEDGEROW_PARSE_H

#define MAX_VLAN_TAGS 2
#define MAX_IPV6_EXTENSIONS 6

struct packet {
	u32 source[4]; /* IPv4 as ::ffff:a.b.c.d */
	u32 destination[4];
	u16 source_port; /* network order, as are the addresses */
	u16 destination_port;
	u32 network; /* offsets from the frame's start */
	u32 transport;
	u32 payload_length;
	bool ipv6;
	bool tagged; /* has a VLAN tag, in the frame or beside it */
	bool first_fragment; /* has ports and the beginning of the payload, though it counts as a fragment */
};

struct vlan_tag {
	__be16 control;
	__be16 type;
};

struct fragment_header {
	u8 next;
	u8 reserved;
	__be16 offset; /* in the upper 13 bits */
	__be32 id;
};

static inline void map_ipv4(u32 *mapped, __be32 address)
{
	mapped[0] = 0;
	mapped[1] = 0;
	mapped[2] = bpf_htonl(0xffff);
	mapped[3] = address;
}

/* Follows Ethernet and VLAN tags to the network header, and sets `*type` to its EtherType. */
static inline int parse_link(struct __sk_buff *skb, struct packet *packet, __be16 *type)
{
	u32 offset = ETH_HLEN;

	if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_proto), type, sizeof(*type)) < 0)
		return REASON_truncated;
	packet->tagged = skb->vlan_present;
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_tag tag;

		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			break;
		if (bpf_skb_load_bytes(skb, offset, &tag, sizeof(tag)) < 0)
			return REASON_truncated;
		*type = tag.type;
		offset += sizeof(tag);
		packet->tagged = true;
	}
	packet->network = offset;
	return PARSED;
}

/* Sets `*length` to the number of bytes behind the IP header, as that has it. */
static inline int parse_ipv4(struct __sk_buff *skb, struct packet *packet, u32 *length)
{
	struct iphdr ip;
	u32 header_length, total;

	if (bpf_skb_load_bytes(skb, packet->network, &ip, sizeof(ip)) < 0)
		return REASON_truncated;
	header_length = ip.ihl * 4;
	total = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || header_length < sizeof(ip) || total < header_length)
		return REASON_bad_header;
	if (packet->network + total > skb->len)
		return REASON_truncated;
	if (ip.frag_off & bpf_htons(0x1fff)) /* offset */
		return REASON_fragment;
	packet->first_fragment = ip.frag_off & bpf_htons(0x2000); /* more fragments */
	if (ip.protocol != IPPROTO_UDP)
		return REASON_not_udp;
	map_ipv4(packet->source, ip.saddr);
	map_ipv4(packet->destination, ip.daddr);
	packet->ipv6 = false;
	packet->transport = packet->network + header_length;
	*length = total - header_length;
	return PARSED;
}

static inline int parse_ipv6(struct __sk_buff *skb, struct packet *packet, u32 *length)
{
	struct ipv6hdr ip;
	u32 offset = packet->network + sizeof(ip), end;
	u8 next;

	if (bpf_skb_load_bytes(skb, packet->network, &ip, sizeof(ip)) < 0)
		return REASON_truncated;
	if (ip.version != 6)
		return REASON_bad_header;
	end = offset + bpf_ntohs(ip.payload_len);
	if (end > skb->len)
		return REASON_truncated;
	next = ip.nexthdr;
#pragma unroll
	for (int i = 0; i < MAX_IPV6_EXTENSIONS; i++) {
		u8 extension[2]; /* next header, length in 8-byte units beyond the first */

		if (next == NEXTHDR_ROUTING)
			return REASON_routing_header;
		if (next != NEXTHDR_HOP && next != NEXTHDR_DEST)
			break;
		if (bpf_skb_load_bytes(skb, offset, extension, sizeof(extension)) < 0)
			return REASON_truncated;
		next = extension[0];
		offset += (extension[1] + 1) * 8;
	}
	if (next == NEXTHDR_HOP || next == NEXTHDR_DEST)
		return REASON_too_many_headers;
	if (next == NEXTHDR_ROUTING)
		return REASON_routing_header;
	if (next == NEXTHDR_FRAGMENT) {
		struct fragment_header fragment;

		if (bpf_skb_load_bytes(skb, offset, &fragment, sizeof(fragment)) < 0)
			return REASON_truncated;
		if (fragment.offset & bpf_htons(0xfff8))
			return REASON_fragment;
		packet->first_fragment = true;
		next = fragment.next;
		offset += sizeof(fragment);
	}
	if (next != IPPROTO_UDP)
		return REASON_not_udp;
	if (offset > end)
		return REASON_bad_header;
	__builtin_memcpy(packet->source, &ip.saddr, sizeof(packet->source));
	__builtin_memcpy(packet->destination, &ip.daddr, sizeof(packet->destination));
	packet->ipv6 = true;
	packet->transport = offset;
	*length = end - offset;
	return PARSED;
}

/* PARSED, or the enum parse_reason why not. A first fragment is not hedged, but `packet` describes it. */
static inline int parse_copies(struct __sk_buff *skb, struct packet *packet)
{
	struct udphdr udp;
	__be16 type;
	u32 available = 0, udp_length;
	int reason;

	reason = parse_link(skb, packet, &type);
	if (reason)
		return reason;
	if (type == bpf_htons(ETH_P_IP))
		reason = parse_ipv4(skb, packet, &available);
	else if (type == bpf_htons(ETH_P_IPV6))
		reason = parse_ipv6(skb, packet, &available);
	else
		return REASON_not_ip;
	if (reason)
		return reason;
	if (skb->gso_size) /* not gso_segs, which a packet from a virtual machine may leave at 0 */
		return REASON_gso;
	if (available < sizeof(udp))
		return REASON_bad_header;
	if (bpf_skb_load_bytes(skb, packet->transport, &udp, sizeof(udp)) < 0)
		return REASON_truncated;
	udp_length = bpf_ntohs(udp.len);
	if (packet->first_fragment && udp_length > available)
		udp_length = available;
	if (udp_length < sizeof(udp) || udp_length > available)
		return REASON_bad_header;
	packet->source_port = udp.source;
	packet->destination_port = udp.dest;
	packet->payload_length = udp_length - sizeof(udp);
	return packet->first_fragment ? REASON_fragment : PARSED;
}

/* The `field` of the payload as an unsigned big-endian number; false where the payload is too short for it. */
static inline bool read_field_copy(struct __sk_buff *skb, struct packet *packet, struct field *field, u64 *value)
{
	u32 length = field->length;
	__be64 bytes = 0;

	if (length < 1 || length > sizeof(bytes) || field->offset + length > packet->payload_length)
		return false;
	length = BOUNDED(length, 8);
	if (bpf_skb_load_bytes(skb, packet->transport + sizeof(struct udphdr) + field->offset, &bytes, length) < 0)
		return false;
	*value = __be64_to_cpu(bytes) >> (64 - 8 * length);
	return true;
}

#endif
