/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* How our own packets are told from others: a magic number in the high bits of skb->mark, masked, the low 16 bits left
 * to whoever else marks packets (a hedge keeps them; a clone carries its lane there on our own link only). */
#ifndef HEDGEROW_MARKS_H
#define HEDGEROW_MARKS_H

#define MARK_MAGIC 0x4ed00000
#define MARK_MASK 0xffff0000
#define MARK_VALUE 0x0000ffff

#define MARK_PRIMER (MARK_MAGIC | 0x10000)
#define MARK_CLONE (MARK_MAGIC | 0x20000)
#define MARK_HEDGE (MARK_MAGIC | 0x30000)

static inline u32 mark_kind(u32 mark)
{
	return mark & MARK_MASK;
}

#endif
