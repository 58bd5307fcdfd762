/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A clone that bears a mark of ours cannot bear its own, nor its priority where it crosses a link: both are kept here
 * meanwhile, under the number in the mark's lower half. */
#ifndef HEDGEROW_PARCELS_H
#define HEDGEROW_PARCELS_H

/* A number that is free, or whose packet has long arrived. The first LANES numbers are the lanes', which are their
 * packets' own while they hold them. */
static inline u32 parcel_number(void)
{
	struct parcels *parcels = parcels_get();
	u32 number;

	if (!parcels)
		return LANES;
	bpf_spin_lock(&parcels->lock);
	number = parcels->next;
	parcels->next = number + 1 < PARCELS - LANES ? number + 1 : 0;
	bpf_spin_unlock(&parcels->lock);
	return LANES + number;
}

static inline void parcel_note(u32 number, u32 mark, u32 priority)
{
	struct parcel *parcel = parcel_get(number);

	if (!parcel)
		return;
	parcel->mark = mark;
	parcel->priority = priority;
}

/* Gives the packet back what it bore before. */
static inline void parcel_restore(struct __sk_buff *skb)
{
	struct parcel *parcel = parcel_get(skb->mark & MARK_VALUE);

	if (!parcel)
		return;
	skb->mark = parcel->mark;
	skb->priority = parcel->priority;
}

#endif
