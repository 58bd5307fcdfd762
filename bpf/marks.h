/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* How our own packets are recognized on our own links, and hedges by routing rules: a magic number in the high 16 bits of
 * skb->mark, with the packet's number below it. Other programs use marks too, so at the client's interface a hedge is
 * known by where it came in (skb->ingress_ifindex), which nothing else does. There it gets back the mark that its
 * request had. */
#ifndef HEDGEROW_MARKS_H
#define HEDGEROW_MARKS_H

#define MARK_MAGIC 0x4ed00000
#define MARK_MASK 0xffff0000
#define MARK_VALUE 0x0000ffff

#define MARK_PRIMER (MARK_MAGIC | 0x10000)
#define MARK_CLONE (MARK_MAGIC | 0x20000)
#define MARK_SLEEPER (MARK_MAGIC | 0x60000)
#define MARK_HEDGE (MARK_MAGIC | 0x30000)
/* A network fault has duplicated the packet or held it back; saved_marks.h has its own mark. */
#define MARK_FAULTED_REQUEST (MARK_MAGIC | 0x40000)
#define MARK_FAULTED_RESPONSE (MARK_MAGIC | 0x50000)

static inline u32 mark_kind(u32 mark)
{
	return mark & MARK_MASK;
}

#endif
