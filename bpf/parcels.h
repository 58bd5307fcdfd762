/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A clone that bears a mark of ours cannot bear its own, nor its priority where it crosses a link: both are kept here
 * meanwhile, under the number in the mark's lower half. */
#ifndef HEDGEROW_PARCELS_H
#define HEDGEROW_PARCELS_H

/* The next of the numbers below `end`, after the last of which they begin again. */
static inline u32 running_number(int which, u32 end)
{
	struct numbers *numbers = numbers_get(which);
	u32 number;

	if (!numbers)
		return 0;
	bpf_spin_lock(&numbers->lock);
	number = numbers->next;
	numbers->next = number + 1 < end ? number + 1 : 0;
	bpf_spin_unlock(&numbers->lock);
	return number;
}

/* A number that is free, or whose packet has long arrived. The first LANES numbers are the lanes', which are their
 * packets' own while they hold them. */
static inline u32 parcel_number(void)
{
	return LANES + running_number(NUMBER_PARCELS, PARCELS - LANES);
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
