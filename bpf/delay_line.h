/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The near end of the delay line: puts a clone of a request on the delay link, whose qdisc holds it until the deadline.
 *
 * netem delays every packet by itself. An HTB class instead charges each packet one whole delay and delays the *next*
 * one: a primer goes first, at once, and the clone follows one delay later. While its clone waits and for one delay
 * after, a lane can hold no other request. */
#ifndef HEDGEROW_DELAY_LINE_H
#define HEDGEROW_DELAY_LINE_H

/* A lane whose clone has left gets this much beyond the delay it owes, since the qdisc's clock started a little later. */
#define LANE_MARGIN_NS 100000ULL
/* A claimed lane whose clone never comes back is free again after this many delays. */
#define LANE_CLAIM_DELAYS 4

#define LANE_TRIES 4
#define NO_LANE 0xffffffff

/* Takes the lane that has waited longest, or one of those after it: a lane whose clone was lost stays claimed for a
 * while and must not hold up the others. NO_LANE if all that were tried are busy. */
static inline u32 lane_claim(struct config *config, u64 now_ns)
{
	struct lanes *lanes = lanes_get();
	u32 claimed = NO_LANE;

	if (!lanes)
		return NO_LANE;
	bpf_spin_lock(&lanes->lock);
#pragma unroll
	for (int i = 0; i < LANE_TRIES; i++) {
		u32 lane = lanes->next & (LANES - 1);

		lanes->next = lane + 1;
		if (lanes->free_ns[lane] <= now_ns) {
			lanes->free_ns[lane] = now_ns + LANE_CLAIM_DELAYS * config->delay_ns;
			claimed = lane;
			break;
		}
	}
	bpf_spin_unlock(&lanes->lock);
	return claimed;
}

/* Called when the lane's clone has crossed: the class owes one more delay from now. */
static inline void lane_release(struct config *config, u32 lane, u64 now_ns)
{
	struct lanes *lanes = lanes_get();

	if (!lanes)
		return;
	lane &= LANES - 1;
	bpf_spin_lock(&lanes->lock);
	lanes->free_ns[lane] = now_ns + config->delay_ns + LANE_MARGIN_NS;
	bpf_spin_unlock(&lanes->lock);
}

static inline long send_clone(struct __sk_buff *skb, struct config *config, u32 mark)
{
	skb->mark = mark;
	return bpf_clone_redirect(skb, config->delay_ifindex, 0);
}

/* Returns the counter that tells how it went. The packet itself is left as it was. */
static inline u32 delay_line_arm(struct __sk_buff *skb, struct config *config, u64 now_ns)
{
	u32 mark = skb->mark, priority = skb->priority, lane = 0;
	long error = 0;

	if (config->delay_line == LINE_HTB) {
		lane = lane_claim(config, now_ns);
		if (lane == NO_LANE)
			return COUNT_lane_busy;
		skb->priority = config->lane_handle + lane;
		error = send_clone(skb, config, MARK_PRIMER | lane);
	}
	if (!error) /* a clone without its primer would cross at once */
		error = send_clone(skb, config, MARK_CLONE | lane);
	skb->mark = mark;
	skb->priority = priority;
	if (error && config->delay_line == LINE_HTB) /* no clone will come to do it */
		lane_release(config, lane, now_ns);
	if (error < 0)
		return COUNT_clone_failed;
	return error ? COUNT_clone_congested : COUNT_armed;
}

#endif
