/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The near end of the delay line: puts a clone of a request on the delay link, whose qdisc holds it until the deadline.
 * Network faults that delay have a line of their own.
 *
 * netem delays every packet by itself, and so does fq (clock_fq.h). An HTB class instead charges each packet one whole delay and delays the *next*
 * one: a primer goes first, at once, and the clone follows one delay later. While its clone waits and for one delay
 * after, a lane can hold no other request. */
#ifndef HEDGEROW_DELAY_LINE_H
#define HEDGEROW_DELAY_LINE_H

/* A lane whose clone has left is free one delay and this much later, since the qdisc's clock started a little later. */
#define LANE_MARGIN_NS 100000ULL
/* A claimed lane whose clone never comes back is free again after this many delays, but not sooner than a busy host may
 * take to bring it. */
#define LANE_CLAIM_DELAYS 4
#define LANE_CLAIM_LEAST_NS 100000000ULL

#define LANE_TRIES 4
#define NO_LANE 0xffffffff

enum held { HELD_FAILED = -1, HELD = 0, HELD_CONGESTED = 1, HELD_LANES_BUSY = 2 };

/* Takes the lane that has waited longest, or one of those after it: a lane whose clone was lost stays claimed for a
 * while and must not delay the others. NO_LANE if all that were tried are busy. */
static inline u32 lane_claim(struct line *line, u64 now_ns)
{
	struct lanes *lanes = lane_at(line->lanes);
	u64 claim_ns = LANE_CLAIM_DELAYS * line->delay_ns;
	u32 claimed = NO_LANE;

	if (!lanes)
		return NO_LANE;
	if (claim_ns < LANE_CLAIM_LEAST_NS)
		claim_ns = LANE_CLAIM_LEAST_NS;
	bpf_spin_lock(&lanes->lock);
#pragma unroll
	for (int i = 0; i < LANE_TRIES; i++) {
		u32 lane = lanes->next & (LANES - 1);

		lanes->next = lane + 1;
		if (lanes->free_ns[lane] <= now_ns) {
			lanes->free_ns[lane] = now_ns + claim_ns;
			claimed = lane;
			break;
		}
	}
	bpf_spin_unlock(&lanes->lock);
	return claimed;
}

static inline void lane_free(struct line *line, u32 lane, u64 free_ns)
{
	struct lanes *lanes = lane_at(line->lanes);

	if (!lanes)
		return;
	lane &= LANES - 1;
	bpf_spin_lock(&lanes->lock);
	lanes->free_ns[lane] = free_ns;
	bpf_spin_unlock(&lanes->lock);
}

/* Called when the lane's clone has crossed: the class lets nothing pass for one more delay. */
static inline void lane_release(struct line *line, u32 lane, u64 now_ns)
{
	lane_free(line, lane, now_ns + line->delay_ns + LANE_MARGIN_NS);
}

static inline long send_clone(struct __sk_buff *skb, struct line *line, u32 mark)
{
	skb->mark = mark;
	return bpf_clone_redirect(skb, line->ifindex, 0);
}

/* A number that no other packet of that kind on the line has: a lane, or a running one. NO_LANE where all that were
 * tried are busy. */
static inline u32 line_number(struct line *line, u32 kind, u64 now_ns)
{
	if (line->kind == LINE_HTB)
		return lane_claim(line, now_ns);
#ifdef TESTBED
	if (kind != MARK_CLONE)
		return saved_mark_number();
#endif
	return running_number(NUMBER_CLONES, MARK_VALUE + 1);
}

/* Puts a clone of the packet on the line, marked as `kind` with its number there. The packet itself is left as it
 * was. */
static inline enum held line_hold(struct __sk_buff *skb, struct line *line, u32 kind, u32 number, u64 now_ns)
{
	u32 mark = skb->mark, priority = skb->priority;
	long error = 0;

	if (number == NO_LANE)
		return HELD_LANES_BUSY;
	if (line->kind == LINE_FQ)
		skb->priority = fq_wait(line->delay_ns);
	if (line->kind == LINE_HTB) {
		skb->priority = line->lane_handle + number;
		error = send_clone(skb, line, MARK_PRIMER | number);
	}
#ifdef TESTBED
	if (kind != MARK_CLONE) /* the scoreboard knows a request's own mark */
		saved_mark_put(number, mark, priority);
#endif
	if (!error) /* a clone without its primer would cross at once */
		error = send_clone(skb, line, kind | number);
	skb->mark = mark;
	skb->priority = priority;
	if (error && line->kind == LINE_HTB) /* no clone will come to do it */
		lane_release(line, number, now_ns);
	if (error < 0)
		return HELD_FAILED;
	return error ? HELD_CONGESTED : HELD;
}

#endif
