/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Hashes with seeds that are new at each start: packets cannot be made to fall into one place. */
#ifndef HEDGEROW_HASH_H
#define HEDGEROW_HASH_H

#define MIX_ODD 0xd6e8feb86659fd93ULL

/* A bijection in which every bit of the argument reaches every bit of the result. */
static inline u64 mix(u64 value)
{
	value ^= value >> 32;
	value *= MIX_ODD;
	value ^= value >> 32;
	value *= MIX_ODD;
	return value ^ (value >> 32);
}

static inline u64 two_words(u32 high, u32 low)
{
	return (u64)high << 32 | low;
}

/* Of an address and port; user space computes the same (endpoints.py). */
static inline u32 endpoint_hash(const u64 *seed, const u32 *address, u16 port)
{
	u64 value = two_words(address[0], address[1]) * seed[0] + two_words(address[2], address[3]) * seed[1] +
		    port * seed[2];

	return value >> 54; /* ENDPOINT_SLOTS */
}

#endif
