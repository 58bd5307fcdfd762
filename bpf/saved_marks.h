/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A clone with a mark of ours cannot have its own, nor its priority where it crosses a link: until it has arrived both
 * are kept here, under the number in the mark's lower half. */
#ifndef HEDGEROW_SAVED_MARKS_H
#define HEDGEROW_SAVED_MARKS_H

/* A number that is free, or whose packet arrived long ago. The first LANES numbers belong to the lanes, each of which
 * holds one packet at a time. */
static inline u32 saved_mark_number(void)
{
	return LANES + running_number(NUMBER_SAVED_MARKS, SAVED_MARKS - LANES);
}

static inline void saved_mark_put(u32 number, u32 mark, u32 priority)
{
	struct saved_mark *saved = saved_mark_at(number);

	if (!saved)
		return;
	saved->mark = mark;
	saved->priority = priority;
}

/* Gives the packet its own mark and priority again. */
static inline void saved_mark_restore(struct __sk_buff *skb)
{
	struct saved_mark *saved = saved_mark_at(skb->mark & MARK_VALUE);

	if (!saved)
		return;
	skb->mark = saved->mark;
	skb->priority = saved->priority;
}

#endif
