/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The short cut of the parser: frames without VLAN tag in them, IPv4 without options or IPv6 without extension headers,
 * read where they lie. Every packet of the interface passes here, and this costs a fifth of the copies. Whatever is
 * otherwise, or not in the packet's linear part, is left to parse.h, which gives the same results and all reasons. */
#ifndef HEDGEROW_PARSE_DIRECT_H
#define HEDGEROW_PARSE_DIRECT_H

/* False where the short cut does not lead anywhere: nothing is known then. */
static inline bool parse_direct(struct __sk_buff *skb, struct packet *packet)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *link = data;
	struct udphdr *udp;
	u32 available, udp_length;

	if (data + ETH_HLEN + sizeof(struct iphdr) + sizeof(*udp) > end || skb->gso_size)
		return false;
	if (link->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = data + ETH_HLEN;
		u32 total = bpf_ntohs(ip->tot_len);

		if (*(u8 *)ip != 0x45 || ip->protocol != IPPROTO_UDP || (ip->frag_off & bpf_htons(0x3fff)) ||
		    total < sizeof(*ip) || ETH_HLEN + total > skb->len)
			return false;
		udp = (void *)(ip + 1);
		available = total - sizeof(*ip);
		map_ipv4(packet->source, ip->saddr);
		map_ipv4(packet->destination, ip->daddr);
		packet->ipv6 = false;
		packet->transport = ETH_HLEN + sizeof(*ip);
	} else if (link->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if (data + ETH_HLEN + sizeof(*ip) + sizeof(*udp) > end || ip->version != 6 ||
		    ip->nexthdr != IPPROTO_UDP)
			return false;
		udp = (void *)(ip + 1);
		available = bpf_ntohs(ip->payload_len);
		if (ETH_HLEN + sizeof(*ip) + available > skb->len)
			return false;
		__builtin_memcpy(packet->source, &ip->saddr, sizeof(packet->source));
		__builtin_memcpy(packet->destination, &ip->daddr, sizeof(packet->destination));
		packet->ipv6 = true;
		packet->transport = ETH_HLEN + sizeof(*ip);
	} else {
		return false;
	}
	udp_length = bpf_ntohs(udp->len);
	if (udp_length < sizeof(*udp) || udp_length > available)
		return false;
	packet->source_port = udp->source;
	packet->destination_port = udp->dest;
	packet->network = ETH_HLEN;
	packet->payload_length = udp_length - sizeof(*udp);
	packet->tagged = skb->vlan_present;
	packet->first_fragment = false;
	return true;
}

/* Likewise for fields of 1, 2, 4 or 8 bytes near the payload's beginning. */
static inline bool read_field_direct(struct __sk_buff *skb, struct packet *packet, struct field *field, u64 *value)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u32 length = field->length, at = packet->transport + sizeof(struct udphdr) + field->offset;

	if (field->offset + length > packet->payload_length || at > 255)
		return false;
	asm volatile("" : "+r"(at));
	data += at & 255;
	if (length == 2 && data + 2 <= end)
		*value = bpf_ntohs(*(__be16 *)data);
	else if (length == 4 && data + 4 <= end)
		*value = bpf_ntohl(*(__be32 *)data);
	else if (length == 8 && data + 8 <= end)
		*value = __be64_to_cpu(*(__be64 *)data);
	else if (length == 1 && data + 1 <= end)
		*value = *(u8 *)data;
	else
		return false;
	return true;
}

/* See parse_copies. */
static inline int parse(struct __sk_buff *skb, struct packet *packet)
{
	return parse_direct(skb, packet) ? PARSED : parse_copies(skb, packet);
}

/* See read_field_copy. */
static inline bool read_field(struct __sk_buff *skb, struct packet *packet, struct field *field, u64 *value)
{
	return read_field_direct(skb, packet, field, value) || read_field_copy(skb, packet, field, value);
}

#endif
