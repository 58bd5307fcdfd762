/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The deadline queue. Requests of a service have one delay, so their deadlines come in the order in which they leave: a
 * ring of cells does, and one packet, the sleeper, that wakes for the first of them that is unanswered. A request costs a
 * copy into a cell, an answer one store, and nothing runs while nothing waits. */
#ifndef HEDGEROW_QUEUE_H
#define HEDGEROW_QUEUE_H

/* A sleeper that is so much later than it wanted is taken for lost, and another is born. */
#define QUEUE_GRACE_NS 20000000ULL
#define PADDED_BYTES 128

/* A place in the queue. */
struct place {
	u64 number;
	u64 deadline_ns;
	u32 generation; /* of the sleeper */
	bool found;	/* else the ring is full, or the line is broken */
	bool birth;	/* a sleeper is needed */
	u32 large;	/* running number of frames too large for a cell */
};

static inline struct cell *queue_cell(struct queue *queue, u64 number)
{
	return cell_at(queue->first_cell + ((u32)number & queue->mask));
}

static inline struct settled *queue_settled(struct queue *queue, u64 number)
{
	return settled_at(queue->first_cell + ((u32)number & queue->mask));
}

/* All that an answer does. A store that comes a lap late unsettles another's cell at worst, and the rescuer asks the
 * scoreboard again. */
static inline void queue_settle(struct queue *queue, u32 ticket)
{
	struct settled *settled = queue_settled(queue, ticket);

	if (settled)
		settled->ticket = ticket;
}

/* Whether the sleeper is lost, or there was none. */
static inline bool queue_sleepless(struct queue *queue, u64 now_ns)
{
	return !queue->alive || (s64)(now_ns - queue->wake_ns) > (s64)QUEUE_GRACE_NS;
}

/* The last place. Deadlines never go back: another CPU's clock may be a little behind. */
static inline void queue_take(struct queue *queue, u64 now_ns, u64 deadline_ns, bool large, struct place *place)
{
	bpf_spin_lock(&queue->lock);
	if (!queue->broken && queue->tail - queue->head < queue->mask) {
		place->found = true;
		place->number = queue->tail;
		queue->tail = place->number + 1;
		if (deadline_ns < queue->last_ns)
			deadline_ns = queue->last_ns;
		queue->last_ns = deadline_ns;
		place->deadline_ns = deadline_ns;
		if (large)
			place->large = queue->large_tail++;
		if (queue_sleepless(queue, now_ns)) {
			queue->generation++;
			queue->alive = 1;
			queue->wake_ns = now_ns;
			place->birth = true;
		}
		place->generation = queue->generation;
	}
	bpf_spin_unlock(&queue->lock);
}

/* Where stores may be seen in another order than they were made, the lock is what orders them. */
static inline void queue_publish(struct queue *queue, struct cell *cell, u64 number)
{
#ifdef PUBLISH_LOCKED
	bpf_spin_lock(&queue->lock);
	cell->number = number;
	bpf_spin_unlock(&queue->lock);
#else
	asm volatile("" ::: "memory");
	*(volatile u64 *)&cell->number = number;
#endif
}

static inline bool queue_published(struct queue *queue, struct cell *cell, u64 number)
{
	u64 published;

#ifdef PUBLISH_LOCKED
	bpf_spin_lock(&queue->lock);
	published = cell->number;
	bpf_spin_unlock(&queue->lock);
#else
	published = *(volatile u64 *)&cell->number;
	asm volatile("" ::: "memory");
#endif
	return published == number;
}

/* Copies the frame of `length` bytes to its cell; false where that is not possible. The cell is not published yet. */
static inline bool queue_fill(struct __sk_buff *skb, struct queue *queue, struct cell *cell, struct place *place,
			      u32 length)
{
	struct large_cell *large;
	int which;

	cell->large = 0;
	cell->length = length;
	if (length <= SMALL_BYTES)
		return bpf_skb_load_bytes(skb, 0, cell->bytes, BOUNDED(length, SMALL_BYTES)) == 0;
	which = queue->first_large + (place->large & queue->large_mask);
	large = large_at(which);
	if (!large)
		return false;
	cell->large = which + 1;
	large->number = place->number;
	return bpf_skb_load_bytes(skb, 0, large->bytes, BOUNDED(length, LARGE_BYTES)) == 0;
}

/* Puts the cell's frame into the packet. One that was longer-headed may not be cut to every length: then it keeps some
 * bytes behind the frame, as short frames do on a wire. */
static inline bool cell_unpack(struct __sk_buff *skb, struct cell *cell, u64 number)
{
	u32 length = cell->length, large_cell = cell->large;
	struct large_cell *large;

	if (length < 1 || length > LARGE_BYTES)
		return false;
	if (bpf_skb_change_tail(skb, length, 0) < 0 &&
	    (length >= PADDED_BYTES || bpf_skb_change_tail(skb, PADDED_BYTES, 0) < 0))
		return false;
	if (!large_cell)
		return bpf_skb_store_bytes(skb, 0, cell->bytes, BOUNDED(length, SMALL_BYTES), 0) == 0;
	large = large_at(large_cell - 1);
	if (!large || large->number != number) /* overwritten: more large frames wait than there is room for */
		return false;
	return bpf_skb_store_bytes(skb, 0, large->bytes, BOUNDED(length, LARGE_BYTES), 0) == 0;
}

#endif
