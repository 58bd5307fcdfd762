/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Changes one address and port of a UDP datagram, checksums included. The helpers keep partial, complete and absent
 * sums right alike; an IPv4 datagram sent without a sum stays without one. */
#ifndef HEDGEROW_REWRITE_H
#define HEDGEROW_REWRITE_H

enum rewrite_side { REWRITE_SOURCE, REWRITE_DESTINATION };

static inline bool rewrite_ipv4(struct __sk_buff *skb, struct packet *packet, u32 address_offset, __be32 old, __be32 new)
{
	u32 sum = packet->transport + offsetof(struct udphdr, check);

	return bpf_l4_csum_replace(skb, sum, old, new, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | sizeof(new)) == 0 &&
	       bpf_l3_csum_replace(skb, packet->network + offsetof(struct iphdr, check), old, new, sizeof(new)) == 0 &&
	       bpf_skb_store_bytes(skb, packet->network + address_offset, &new, sizeof(new), 0) == 0;
}

/* IPv6 has no header sum to balance the change, hence BPF_F_RECOMPUTE_CSUM for packets with a complete sum. */
static inline bool rewrite_ipv6(struct __sk_buff *skb, struct packet *packet, u32 address_offset, u32 *old, u32 *new)
{
	u32 sum = packet->transport + offsetof(struct udphdr, check);
	/* A 32-bit sum before Linux 6.13, folded to 16 bits since: its sign says nothing. These sizes cannot fail. */
	u32 difference = bpf_csum_diff((void *)old, 16, (void *)new, 16, 0);

	return bpf_l4_csum_replace(skb, sum, 0, difference, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0) == 0 &&
	       bpf_skb_store_bytes(skb, packet->network + address_offset, new, 16, BPF_F_RECOMPUTE_CSUM) == 0;
}

static inline bool rewrite(struct __sk_buff *skb, struct packet *packet, int side, struct endpoint_key *to)
{
	u32 sum = packet->transport + offsetof(struct udphdr, check), address_offset, port_offset;
	u32 *old = side == REWRITE_SOURCE ? packet->source : packet->destination;
	u16 old_port = side == REWRITE_SOURCE ? packet->source_port : packet->destination_port;
	u32 new[4] = {to->address[0], to->address[1], to->address[2], to->address[3]};
	u16 new_port = to->port;

	if (packet->ipv6) {
		address_offset = side == REWRITE_SOURCE ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr);
		if (!rewrite_ipv6(skb, packet, address_offset, old, new))
			return false;
	} else {
		address_offset = side == REWRITE_SOURCE ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr);
		if (!rewrite_ipv4(skb, packet, address_offset, old[3], new[3]))
			return false;
	}
	port_offset = side == REWRITE_SOURCE ? offsetof(struct udphdr, source) : offsetof(struct udphdr, dest);
	return bpf_l4_csum_replace(skb, sum, old_port, new_port, BPF_F_MARK_MANGLED_0 | sizeof(new_port)) == 0 &&
	       bpf_skb_store_bytes(skb, packet->transport + port_offset, &new_port, sizeof(new_port), 0) == 0;
}

#endif
