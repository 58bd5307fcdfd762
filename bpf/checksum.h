/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Whether the kernel will take a datagram that has arrived: one that it will drop must not win over another copy's. */
#ifndef HEDGEROW_CHECKSUM_H
#define HEDGEROW_CHECKSUM_H

#define MAX_DATAGRAM 65535
#define NOT_SUPPORTED 524 /* ENOTSUPP of the kernel's own headers */

struct pseudo_header {
	u32 source[4]; /* the words that an IPv4 address is mapped with add up to nothing */
	u32 destination[4];
	__be32 length;
	__be32 protocol;
};

static inline u32 checksum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* `sum` continued over `length` bytes of the packet; 0 means failure: it is never a sum. */
static inline u64 checksum_add(struct __sk_buff *skb, u32 offset, u32 length, u64 sum)
{
	struct scratch *scratch = scratch_get();

	if (!scratch)
		return 0;
	for (u32 n = 0; n < MAX_DATAGRAM / SCRATCH + 1; n++) {
		u32 done = n * SCRATCH, part;

		if (done >= length)
			break;
		part = length - done;
		if (part > SCRATCH)
			part = SCRATCH;
		part = BOUNDED(part, SCRATCH);
		if (bpf_skb_load_bytes(skb, offset + done, scratch->bytes, part) < 0)
			return 0;
		__builtin_memset(&scratch->bytes[part], 0, 4);
		sum = (u32)bpf_csum_diff(NULL, 0, (void *)scratch->bytes, (part + 3) & ~3U, sum);
	}
	return sum;
}

/* The sum over the datagram and its pseudo header, with the datagram's own sum in it; 0 means failure. */
static inline u64 checksum_datagram(struct __sk_buff *skb, struct packet *packet)
{
	u32 length = packet->payload_length + sizeof(struct udphdr);
	struct pseudo_header pseudo = {};

	__builtin_memcpy(pseudo.source, packet->source, sizeof(pseudo.source));
	__builtin_memcpy(pseudo.destination, packet->destination, sizeof(pseudo.destination));
	pseudo.length = bpf_htonl(length);
	pseudo.protocol = bpf_htonl(IPPROTO_UDP);
	return checksum_add(skb, packet->transport, length,
			    (u32)bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0));
}

/* Whether nothing needs adding up: the driver has checked the sum (CHECKSUM_UNNECESSARY), or the sender left it to a
 * device that the packet never crossed (CHECKSUM_PARTIAL). The latter shows in what the helpers refuse. What the
 * datagram's own field says proves nothing: off the wire it may say anything. */
static inline bool checksum_known(struct __sk_buff *skb)
{
	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0)
		return true;
	bpf_csum_level(skb, BPF_CSUM_LEVEL_INC); /* CHECKSUM_NONE becomes UNNECESSARY, others stay */
	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0) {
		bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
		return false;
	}
	return bpf_csum_update(skb, 0) == -NOT_SUPPORTED; /* else CHECKSUM_COMPLETE */
}

/* Cheap for a datagram sent on this host, or checked by the driver; others are added up. One without a sum cannot be
 * wrong: IPv6 accepts such a datagram only where its socket allows it. */
static inline bool checksum_right(struct __sk_buff *skb, struct packet *packet)
{
	u64 sum;
	u16 check;

	if (checksum_known(skb))
		return true;
	if (bpf_skb_load_bytes(skb, packet->transport + offsetof(struct udphdr, check), &check, sizeof(check)) < 0)
		return false;
	if (!check)
		return true;
	sum = checksum_datagram(skb, packet);
	return sum && checksum_fold(sum) == 0xffff;
}

/* Gives the datagram a complete sum, whatever its field says; one sent without stays without. */
static inline bool checksum_complete(struct __sk_buff *skb, struct packet *packet)
{
	u32 at = packet->transport + offsetof(struct udphdr, check), own = 0;
	u64 sum;
	u16 check;

	if (bpf_skb_load_bytes(skb, at, &check, sizeof(check)) < 0)
		return false;
	if (!check)
		return true;
	sum = checksum_datagram(skb, packet);
	if (!sum)
		return false;
	own = check;
	sum = (u32)bpf_csum_diff((void *)&own, sizeof(own), NULL, 0, sum);
	check = ~checksum_fold(sum);
	if (!check)
		check = 0xffff;
	return bpf_skb_store_bytes(skb, at, &check, sizeof(check), 0) == 0;
}

#endif
