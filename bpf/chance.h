/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Chance that is no chance: whether a rule strikes a copy follows from numbers that are the same under every strategy,
 * so all meet the same trouble. images/base/hedgerow_node/chance.py computes the same. */
#ifndef HEDGEROW_CHANCE_H
#define HEDGEROW_CHANCE_H

#define CHANCE_ODD 0xd6e8feb86659fd93ULL

/* A bijection in which every bit of the argument reaches every bit of the result. */
static inline u64 chance_mix(u64 value)
{
	value ^= value >> 32;
	value *= CHANCE_ODD;
	value ^= value >> 32;
	value *= CHANCE_ODD;
	return value ^ (value >> 32);
}

/* What is the same for every rule; `copy` counts from 1. */
static inline u64 chance_of_copy(u64 seed, u64 id, u32 copy, u32 replica)
{
	u64 value = chance_mix(seed + CHANCE_ODD);

	value = chance_mix(value ^ id);
	return chance_mix(value ^ ((u64)copy << 32 | replica));
}

/* Uniform over 64 bits. */
static inline u64 chance_of_rule(u64 of_copy, u64 salt)
{
	return chance_mix(of_copy ^ salt);
}

/* `threshold` is a probability in units of 2^-32; 2^32 strikes always. */
static inline bool chance_strikes(u64 chance, u64 threshold)
{
	return (chance >> 32) < threshold;
}

#endif
