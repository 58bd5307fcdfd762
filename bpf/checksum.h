/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Whether the kernel will take a datagram that has arrived: one that it will drop must not win over another copy's. */
#ifndef HEDGEROW_CHECKSUM_H
#define HEDGEROW_CHECKSUM_H

#define MAX_DATAGRAM 65535

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
		/* The same bound once more in the one form that every verifier follows, 1 to SCRATCH, hidden from the
		 * compiler. */
		asm volatile("" : "+r"(part));
		part = ((part - 1) & (SCRATCH - 1)) + 1;
		if (bpf_skb_load_bytes(skb, offset + done, scratch->bytes, part) < 0)
			return 0;
		__builtin_memset(&scratch->bytes[part], 0, 4);
		sum = (u32)bpf_csum_diff(NULL, 0, (void *)scratch->bytes, (part + 3) & ~3U, sum);
	}
	return sum;
}

/* Cheap for a datagram sent on this host, or checked by the driver; others are added up. One without a sum cannot be
 * wrong: IPv6 accepts such a datagram only where its socket allows it. */
static inline bool checksum_right(struct __sk_buff *skb, struct packet *packet)
{
	struct pseudo_header pseudo = {};
	u32 length = packet->payload_length + sizeof(struct udphdr);
	u64 sum;
	u16 check;

	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0)
		return true;
	if (bpf_skb_load_bytes(skb, packet->transport + offsetof(struct udphdr, check), &check, sizeof(check)) < 0)
		return false;
	if (!check)
		return true;
	__builtin_memcpy(pseudo.source, packet->source, sizeof(pseudo.source));
	__builtin_memcpy(pseudo.destination, packet->destination, sizeof(pseudo.destination));
	pseudo.length = bpf_htonl(length);
	pseudo.protocol = bpf_htonl(IPPROTO_UDP);
	sum = (u32)bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
	/* CHECKSUM_PARTIAL: the sender left the rest to a device that the packet never crossed. */
	if (checksum_fold(sum) == check)
		return true;
	sum = checksum_add(skb, packet->transport, length, sum);
	return sum && checksum_fold(sum) == 0xffff;
}

#endif
