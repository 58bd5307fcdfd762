/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Network faults: what a declared rule does to a copy of a request that leaves, or of a response that arrives.
 *
 * The splitter has recorded a request before a fault affects it, and the responder does not see a response that a fault
 * has taken, so both look to the hedger as they would on a bad network. Copies are taken silently (TC_ACT_STOLEN):
 * a TC_ACT_SHOT at egress is reported to the sender. A copy that a fault has duplicated, or that comes back from one of
 * the fault links, is recognized by our mark and affected by no further fault. */
#ifndef HEDGEROW_FAULTS_H
#define HEDGEROW_FAULTS_H

#define MAX_ARRIVALS 15

/* The order of arrival of a response among those from its replica, from 1; MAX_ARRIVALS stands for all after it too. */
static inline u32 fault_arrival(struct request *request, u32 replica)
{
	u32 shift = (replica & (MAX_REPLICAS - 1)) * 4, before = (request->arrivals >> shift) & 0xf;

	if (before == MAX_ARRIVALS)
		return MAX_ARRIVALS;
	request->arrivals += 1ULL << shift;
	return before + 1;
}

/* Which copy of its request the packet is, from 1; 0 where there is no such request. */
static inline u32 fault_copy(struct subject *subject, u32 direction)
{
	struct bucket *bucket = bucket_get(subject->print);
	u32 copy = 0;
	u64 way;

	if (!bucket)
		return 0;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way < BUCKET_WAYS) {
		struct request *request = &bucket->request[way];

		copy = direction == DIRECTION_REQUESTS ? request->copies : fault_arrival(request, subject->replica);
	}
	bpf_spin_unlock(&bucket->lock);
	return copy;
}

static inline void fault_disorders(struct subject *subject)
{
	struct bucket *bucket = bucket_get(subject->print);
	u64 way;

	if (!bucket)
		return;
	bpf_spin_lock(&bucket->lock);
	way = bucket_find(bucket, subject->print);
	if (way < BUCKET_WAYS)
		bucket->request[way].flags |= REQUEST_DISORDERED;
	bpf_spin_unlock(&bucket->lock);
}

/* Sends a clone of the packet, marked as faulted; 0 on success. */
static inline long fault_send(struct __sk_buff *skb, u32 ifindex, u64 flags, u32 kind)
{
	u32 mark = skb->mark, number = saved_mark_number();
	long error;

	saved_mark_put(number, mark, skb->priority);
	skb->mark = kind | number;
	error = bpf_clone_redirect(skb, ifindex, flags);
	skb->mark = mark;
	return error;
}

/* Applies the fault to the packet. Where a clone is needed and cannot be had, the packet passes and is counted. */
static inline int fault_apply(struct __sk_buff *skb, struct context *context, struct faults *faults, u32 fault,
			      struct subject *subject, u32 direction, u32 rule)
{
	u32 kind = direction == DIRECTION_REQUESTS ? MARK_FAULTED_REQUEST : MARK_FAULTED_RESPONSE;
	struct config *config = context->config;
	int action = TC_ACT_STOLEN;
	long error = 0;

	if (fault == FAULT_DUPLICATE) {
		error = fault_send(skb, config->out_ifindex, direction == DIRECTION_REQUESTS ? 0 : BPF_F_INGRESS, kind);
		action = TC_ACT_UNSPEC;
	} else if (fault == FAULT_CORRUPT) {
		error = fault_send(skb, faults->corrupt_ifindex, 0, kind);
	} else if (fault == FAULT_DELAY) {
		u64 now_ns = bpf_ktime_get_ns();

		error = line_hold(skb, &faults->line, kind, line_number(&faults->line, kind, now_ns), now_ns);
	}
	if (error) {
		COUNT(context, fault_failed);
		return TC_ACT_UNSPEC;
	}
	if (direction == DIRECTION_REQUESTS && (fault == FAULT_DELAY || fault == FAULT_DUPLICATE))
		fault_disorders(subject);
	fault_hit(rule);
	return action;
}

/* The first rule that selects the copy decides. */
static inline int fault_inject(struct __sk_buff *skb, struct context *context, struct faults *faults, u32 direction,
			       struct subject *subject, u32 copy)
{
	u64 id = subject->id, of_copy = draw_of_copy(faults->seed, id, copy, subject->replica);

	for (u32 i = 0; i < MAX_FAULT_RULES; i++) {
		struct fault_rule *rule = &faults->rules[i];

		if (i >= faults->count)
			break;
		if (rule->direction != direction || rule->replica != subject->replica || id < rule->first_id ||
		    id > rule->last_id || !draw_selects(draw_of_rule(of_copy, rule->salt), rule->threshold))
			continue;
		return fault_apply(skb, context, faults, rule->fault, subject, direction, i);
	}
	return TC_ACT_UNSPEC;
}

/* One direction's traffic at the client's interface. */
static inline int fault_filter(struct __sk_buff *skb, u32 direction)
{
	u32 faulted = direction == DIRECTION_REQUESTS ? MARK_FAULTED_REQUEST : MARK_FAULTED_RESPONSE, copy;
	struct faults *faults = fault_at(0);
	struct packet packet = {};
	struct subject subject = {};
	struct context context;

	if (mark_kind(skb->mark) == faulted) {
		saved_mark_restore(skb);
		return TC_ACT_UNSPEC;
	}
	if (!context_fill(&context) || context.config->mode == MODE_OFF || !faults || !faults->count)
		return TC_ACT_UNSPEC;
	if (parse(skb, &packet) || identify(skb, &packet, context.config, direction, &subject))
		return TC_ACT_UNSPEC;
	copy = fault_copy(&subject, direction);
	return copy ? fault_inject(skb, &context, faults, direction, &subject, copy) : TC_ACT_UNSPEC;
}

/* From the far end of a fault link back to where the packet was going. */
static inline int fault_return_packet(struct __sk_buff *skb, struct context *context)
{
	u32 kind = mark_kind(skb->mark), out_ifindex = context->config->out_ifindex;

	if (kind == MARK_FAULTED_REQUEST)
		return bpf_redirect(out_ifindex, 0);
	if (kind == MARK_FAULTED_RESPONSE)
		return bpf_redirect(out_ifindex, BPF_F_INGRESS);
	count(context, kind == MARK_PRIMER ? COUNT_primers : COUNT_stray);
	return TC_ACT_SHOT;
}

/* Flips a bit of the payload, of its last byte unless that is the id's and there is another. The link that the packet
 * has crossed does no sums, so by now it has a complete one; what a driver said of it before is forgotten. */
static inline bool fault_flip(struct __sk_buff *skb, struct config *config)
{
	struct packet packet = {};
	struct endpoint *endpoint;
	struct service *service;
	struct field *field;
	bool request = mark_kind(skb->mark) == MARK_FAULTED_REQUEST;
	u32 offset;
	u8 byte;

	if (parse(skb, &packet) || !packet.payload_length)
		return false;
	endpoint = endpoint_of(config, &packet, request ? DIRECTION_REQUESTS : DIRECTION_RESPONSES);
	service = endpoint ? service_get(endpoint->service) : NULL;
	if (!service)
		return false;
	field = request ? &service->request_id : &service->response_id;
	offset = packet.payload_length - 1;
	if (field->offset && offset >= field->offset && offset - field->offset < field->length)
		offset = field->offset - 1;
	offset += packet.transport + sizeof(struct udphdr);
	bpf_csum_level(skb, BPF_CSUM_LEVEL_RESET);
	if (bpf_skb_load_bytes(skb, offset, &byte, sizeof(byte)) < 0)
		return false;
	byte ^= 1;
	return bpf_skb_store_bytes(skb, offset, &byte, sizeof(byte), BPF_F_RECOMPUTE_CSUM) == 0;
}

#endif
