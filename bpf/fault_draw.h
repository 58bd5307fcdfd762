/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Deterministic pseudo-random selection: whether a rule affects a copy follows from numbers that are the same under
 * every strategy, so that all strategies meet the same faults. images/base/hedgerow_node/fault_draw.py
 * computes the same. */
#ifndef HEDGEROW_FAULT_DRAW_H
#define HEDGEROW_FAULT_DRAW_H

/* What is the same for every rule; `copy` counts from 1. */
static inline u64 draw_of_copy(u64 seed, u64 id, u32 copy, u32 replica)
{
	u64 value = mix(seed + MIX_ODD);

	value = mix(value ^ id);
	return mix(value ^ ((u64)copy << 32 | replica));
}

/* Uniform over 64 bits. */
static inline u64 draw_of_rule(u64 of_copy, u64 salt)
{
	return mix(of_copy ^ salt);
}

/* `threshold` is a probability in units of 2^-32; 2^32 selects every copy. */
static inline bool draw_selects(u64 draw, u64 threshold)
{
	return (draw >> 32) < threshold;
}

#endif
