/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The engine of the deadline queue (queue.h): nothing is cloned for a request but what really leaves. The sleeper lives
 * on the delay link, whose far end has the program `drain`; what is due goes over the hedge link, which delays nothing,
 * to the rescuer. A frame that fits no cell, or has a VLAN tag, waits by itself, as a clone on the delay link. */
#ifndef HEDGEROW_ENGINE_QUEUE_H
#define HEDGEROW_ENGINE_QUEUE_H

#define TRIP_CELLS 256  /* looked at in one trip of the sleeper */
#define TRIP_HEDGES 64  /* sent in one: the backlog of a CPU must hold them */
#define RETRY_NS 25000ULL /* a cell whose sender is still writing */
/* So many trips in a row that came back in a quarter of the time asked: the line does not delay, and a sleeper would
 * keep a CPU busy for ever. */
#define QUICK_TRIPS 1000
#define GENERATION_BITS 12
#define GENERATION_MASK ((1 << GENERATION_BITS) - 1)

struct reservation {
	u32 ticket;
	u32 refused; /* the counter that says why there is no ticket; 0 (COUNT_out_seen): there is one */
	struct place place;
};

/* Whether the frame waits as a clone: it fits no cell, or has a tag that the kernel keeps beside it. */
static inline bool waits_as_clone(struct __sk_buff *skb)
{
	return skb->len > LARGE_BYTES || skb->vlan_present;
}

static inline void engine_reserve(struct __sk_buff *skb, struct context *context, struct subject *subject,
				  struct reservation *reserved)
{
	struct queue *queue = queue_at(subject->service_number);
	u64 deadline_ns = context->now_ns + subject->service->delay_ns;

	reserved->refused = COUNT_queue_full;
	if (!queue)
		return;
	queue_take(queue, context->now_ns, deadline_ns, skb->len > SMALL_BYTES && !waits_as_clone(skb),
		   &reserved->place);
	reserved->ticket = reserved->place.number;
	if (reserved->place.found)
		reserved->refused = 0;
	else if (queue->broken)
		reserved->refused = COUNT_queue_broken;
}

/* Any packet may become the sleeper. */
static inline void queue_bear(struct __sk_buff *skb, struct context *context, struct queue *queue, u32 number,
			      struct place *place)
{
	u32 mark = skb->mark, priority = skb->priority;

	if (!place->birth)
		return;
	COUNT(context, sleepers);
	skb->mark = MARK_SLEEPER | number << GENERATION_BITS | (place->generation & GENERATION_MASK);
	skb->priority = 0;
	if (bpf_clone_redirect(skb, context->config->line.ifindex, 0))
		queue->alive = 0; /* the next request tries again */
	skb->mark = mark;
	skb->priority = priority;
}

static inline void engine_give_back(struct __sk_buff *skb, struct context *context, struct subject *subject,
				    struct reservation *reserved)
{
	struct place *place = &reserved->place;
	struct queue *queue = queue_at(subject->service_number);
	struct cell *cell;

	if (reserved->refused || !queue)
		return;
	cell = queue_cell(queue, place->number);
	if (!cell)
		return;
	cell->length = 0;
	queue_publish(queue, cell, place->number);
	queue_bear(skb, context, queue, subject->service_number, place);
}

/* Counted by which the packet is armed, or why not. */
static inline u32 engine_arm(struct __sk_buff *skb, struct context *context, struct subject *subject,
			     struct reservation *reserved)
{
	struct place *place = &reserved->place;
	struct queue *queue = queue_at(subject->service_number);
	u32 length = skb->len, outcome = COUNT_armed, mark = skb->mark, priority = skb->priority;
	struct cell *cell;

	if (!queue)
		return COUNT_copy_failed;
	cell = queue_cell(queue, place->number);
	if (!cell)
		return COUNT_copy_failed;
	cell->deadline_ns = place->deadline_ns;
	if (waits_as_clone(skb)) {
		skb->mark = MARK_CLONE | ((u32)place->number & MARK_VALUE);
		skb->priority = 0;
		if (bpf_clone_redirect(skb, context->config->line.ifindex, 0))
			outcome = COUNT_too_large;
		skb->mark = mark;
		skb->priority = priority;
		cell->length = 0;
	} else if (!queue_fill(skb, queue, cell, place, length)) {
		outcome = COUNT_copy_failed;
		cell->length = 0;
	}
	queue_publish(queue, cell, place->number);
	queue_bear(skb, context, queue, subject->service_number, place);
	return outcome;
}

static inline void engine_cancel(struct subject *subject, struct request *seen)
{
	struct queue *queue = queue_at(subject->service_number);

	if (queue && (seen->flags & REQUEST_ARMED))
		queue_settle(queue, seen->ticket);
}

/* What the rescuer does with any packet that comes to it. */
static inline void engine_brought(struct context *context, u32 mark)
{
}

/* Makes the packet that came to the rescuer fit to be sent on. Its bytes are those of its request, whose sum may have
 * been left to a device; `to` is the other replica that it goes to, if any. Its link address is not the hedge link's,
 * so the kernel takes it for a packet to another host; only other devices than the loopback would mend that. */
static inline bool engine_finish(struct __sk_buff *skb, struct endpoint_key *to, struct packet *packet)
{
	if (to)
		__builtin_memcpy(packet->destination, to->address, sizeof(packet->destination));
	if (!checksum_complete(skb, packet))
		return false;
	return skb->pkt_type == PACKET_HOST || bpf_skb_change_type(skb, PACKET_HOST) == 0;
}

/* Sends the packet, the sleeper or a frame of its own, round until `target_ns`. */
static inline int engine_sleep(struct __sk_buff *skb, struct context *context, u64 target_ns, u64 *asked_ns)
{
	struct config *config = context->config;

	if (config->line.kind == LINE_FQ) {
		*asked_ns = target_ns > context->now_ns ? target_ns - context->now_ns : 0;
		skb->priority = fq_wait(*asked_ns);
	} else if (!clock_set(skb, config, context->now_ns, target_ns, asked_ns)) {
		COUNT(context, clock_busy);
	}
	return bpf_redirect(config->line.ifindex, 0);
}

/* A frame of its own: goes on to the rescuer when it is due, if it is still to be hedged. */
static inline int queue_drain_clone(struct __sk_buff *skb, struct context *context)
{
	struct packet packet = {};
	struct subject subject = {};
	struct request seen = {};
	u32 verdict = COUNT_rescue_failed;
	u64 asked_ns;

	if (!parse(skb, &packet) && !identify(skb, &packet, context->config, DIRECTION_REQUESTS, &subject))
		verdict = policy_may_hedge(context, &subject, skb->mark, &seen);
	if (verdict == COUNT_rescued)
		return bpf_redirect(context->config->hedge_near_ifindex, 0);
	if (verdict == COUNT_early)
		return engine_sleep(skb, context, seen.deadline_ns, &asked_ns);
	count(context, verdict);
	return TC_ACT_SHOT;
}

/* What is due goes to the rescuer, what is settled is passed over; returns when to look again, 0: at once. Indexes and
 * counters live in maps: as locals they would give the verifier a state for each value. */
static inline u64 queue_drain(struct __sk_buff *skb, struct context *context, struct queue *queue)
{
	u32 mark = skb->mark;

	queue->sent = 0;
#pragma clang loop unroll(disable)
	for (u32 n = 0; n < TRIP_CELLS; n++) {
		u64 head = queue->head;
		struct cell *cell = queue_cell(queue, head);
		struct settled *settled = queue_settled(queue, head);

		if (head == queue->tail || !cell || !settled)
			return 0;
		if (!queue_published(queue, cell, head))
			return context->now_ns + RETRY_NS;
		if (cell->length && settled->ticket == (u32)head) {
			queue->head = head + 1;
			COUNT(context, cancelled);
			continue;
		}
		if (!cell->length) {
			queue->head = head + 1;
			continue;
		}
		if (cell->deadline_ns > context->now_ns)
			return cell->deadline_ns;
		if (queue->sent >= TRIP_HEDGES)
			return 0;
		if (context->now_ns - cell->deadline_ns > context->config->max_late_ns) {
			COUNT(context, late);
		} else if (!cell_unpack(skb, cell, head)) {
			COUNT(context, rescue_failed);
		} else {
			skb->mark = MARK_CLONE | ((u32)head & MARK_VALUE);
			if (bpf_clone_redirect(skb, context->config->hedge_near_ifindex, 0))
				COUNT(context, hedge_link_failed);
			skb->mark = mark;
			queue->sent++;
		}
		queue->head = head + 1;
	}
	return 0;
}

/* The sleeper has come back. */
static inline int queue_wake(struct __sk_buff *skb, struct context *context, struct queue *queue)
{
	u32 generation = skb->mark & GENERATION_MASK;
	u64 target_ns, asked_ns = 0;
	int action;
	bool done = false;

	if (generation != (queue->generation & GENERATION_MASK)) { /* it was taken for lost */
		COUNT(context, stale_sleepers);
		return TC_ACT_SHOT;
	}
	COUNT(context, wakes);
	if (queue->asked_ns && context->now_ns - queue->asleep_ns < queue->asked_ns / 4)
		queue->quick++;
	else
		queue->quick = 0;
	if (queue->quick > QUICK_TRIPS) {
		queue->broken = 1;
		return TC_ACT_SHOT;
	}
	/* It was born of a tagged packet, which may have two tags. */
	if (skb->vlan_present && bpf_skb_vlan_pop(skb) < 0)
		return TC_ACT_SHOT;
	if (skb->vlan_present && bpf_skb_vlan_pop(skb) < 0)
		return TC_ACT_SHOT;
	target_ns = queue_drain(skb, context, queue);
	context->now_ns = bpf_ktime_get_ns();
	if (!target_ns)
		target_ns = context->now_ns;
	bpf_spin_lock(&queue->lock);
	if (queue->head == queue->tail) {
		queue->alive = 0;
		done = true;
	}
	queue->wake_ns = target_ns;
	bpf_spin_unlock(&queue->lock);
	if (done)
		return TC_ACT_SHOT;
	queue->asleep_ns = context->now_ns;
	action = engine_sleep(skb, context, target_ns, &asked_ns);
	queue->asked_ns = asked_ns;
	return action;
}

#endif
