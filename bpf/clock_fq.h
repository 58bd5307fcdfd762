/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A line with the qdisc fq, for either engine: each packet on the line has its own time of departure. That can be written
 * at the line's own egress only, so until there it stands in the packet's priority, as what is still to be waited. */
#ifndef HEDGEROW_CLOCK_FQ_H
#define HEDGEROW_CLOCK_FQ_H

#define FQ_UNIT_SHIFT 4 /* 16 ns: 68 s fit into a priority */

static inline u32 fq_wait(u64 wait_ns)
{
	u64 units = wait_ns >> FQ_UNIT_SHIFT;

	return units ? units : 1;
}

/* At the egress of the line's near end. fq holds back what is behind a packet of the same flow, so each has a flow. */
static inline void fq_depart(struct __sk_buff *skb)
{
	if (!skb->priority)
		return;
	bpf_set_hash(skb, skb->mark * 0x9e3779b1U);
	skb->tstamp = bpf_ktime_get_ns() + ((u64)skb->priority << FQ_UNIT_SHIFT);
}

#endif
