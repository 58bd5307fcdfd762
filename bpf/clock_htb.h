/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The queues' clock, where the kernel has neither netem nor fq: HTB classes of many durations, shared by all queues. An
 * idle class lets a packet pass at once and holds the next one for its whole duration: a primer goes first, the sleeper
 * follows. For one more duration the class then lets nothing pass.
 *
 * Durations come in three scales, so that a sleep takes few trips: on the coarse ones it ends before its time, and the
 * rest is slept on the finest, which alone rounds up. */
#ifndef HEDGEROW_CLOCK_HTB_H
#define HEDGEROW_CLOCK_HTB_H

#define CLOCK_MARGIN_NS 100000ULL
/* Less is not worth a class: the trip itself takes that long. */
#define CLOCK_LEAST_NS 3000ULL
/* What is tried, in this order: the duration wanted, a step less, a half, a quarter; the longest of the finest scale;
 * and a short one, which is soon free again. */
#define CLASS_ROWS 6
#define SHORT_STEPS 16

static inline u64 clock_step_ns(u32 scale)
{
	return scale == 0 ? CLOCK_STEP_0_NS : scale == 1 ? CLOCK_STEP_1_NS : CLOCK_STEP_2_NS;
}

/* Claims a class for `rest_ns`, or for less where those are busy; NO_CLASS where all that were tried are. */
static inline u32 clock_claim(u64 now_ns, u64 rest_ns, u64 *asked_ns)
{
	struct clock *clock = clock_at(0);
	u32 scale = 2, claimed = NO_CLASS, first, wanted;

	if (!clock)
		return NO_CLASS;
	if (rest_ns <= CLOCK_STEPS * CLOCK_STEP_0_NS)
		scale = 0;
	else if (rest_ns <= CLOCK_STEPS * CLOCK_STEP_1_NS)
		scale = 1;
	wanted = scale == 0 ? (rest_ns + CLOCK_STEP_0_NS - 1) / CLOCK_STEP_0_NS :
		 scale == 1 ? rest_ns / CLOCK_STEP_1_NS : rest_ns / CLOCK_STEP_2_NS;
	if (wanted > CLOCK_STEPS)
		wanted = CLOCK_STEPS;
	bpf_spin_lock(&clock->lock);
	first = clock->next;
	clock->next = first + 1 < CLOCK_COPIES ? first + 1 : 0;
#pragma clang loop unroll(disable)
	for (u32 try = 0; try < CLASS_ROWS * CLOCK_COPIES; try++) {
		u32 row = try / CLOCK_COPIES, copy = (first + try) % CLOCK_COPIES;
		u32 of = row >= CLASS_ROWS - 2 ? 0 : scale, steps = wanted;
		u64 at, duration_ns;

		if (row == CLASS_ROWS - 1)
			steps = scale || wanted > SHORT_STEPS ? SHORT_STEPS : wanted;
		else if (row == CLASS_ROWS - 2)
			steps = scale ? CLOCK_STEPS : wanted;
		else if (row == 1)
			steps = wanted - 1;
		else if (row)
			steps = wanted >> (row - 1);
		if (steps < 1 || steps > CLOCK_STEPS)
			continue;
		duration_ns = steps * clock_step_ns(of);
		at = (of * CLOCK_COPIES + copy) * 256 + steps;
		asm volatile("" : "+r"(at));
		if (at >= CLOCK_CLASSES || clock->free_ns[at] > now_ns)
			continue;
		clock->free_ns[at] = now_ns + 2 * duration_ns + CLOCK_MARGIN_NS;
		*asked_ns = duration_ns;
		claimed = at;
		break;
	}
	bpf_spin_unlock(&clock->lock);
	return claimed;
}

/* Readies the packet for the line, so that it comes back at `target_ns`, or earlier: it asks again then. False where no
 * class is to be had, and it would come back at once. */
static inline bool clock_set(struct __sk_buff *skb, struct config *config, u64 now_ns, u64 target_ns, u64 *asked_ns)
{
	u32 mark = skb->mark, class;

	*asked_ns = 0;
	skb->priority = 0; /* unclassified: at once */
	if (target_ns < now_ns + CLOCK_LEAST_NS)
		return true;
	class = clock_claim(now_ns, target_ns - now_ns, asked_ns);
	if (class == NO_CLASS) {
		*asked_ns = target_ns - now_ns; /* so that too many such trips are noticed */
		return false;
	}
	skb->priority = config->line.lane_handle + class;
	skb->mark = MARK_PRIMER;
	bpf_clone_redirect(skb, config->line.ifindex, 0);
	skb->mark = mark;
	return true;
}

#endif
